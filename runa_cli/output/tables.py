"""What people look at: finished data in, renderables out.

Ids and links are never cut or wrapped. Where a table with its links is wider than the terminal, each link gets a line
of its own below its row; where a list is, each of its cells does.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from runa_cli.core.safe_text import printable
from runa_cli.ledger.results import ResultRow

GOOD, BUSY, BAD, DIM = "green", "yellow", "red", "dim"  # readable on dark and on light
_STATUS_STYLES = {
    **dict.fromkeys(("completed", "active", "live", "claimed"), GOOD),
    **dict.fromkeys(("processing", "accepted", "prepared", "sent", "temporarily_degraded"), BUSY),
    **dict.fromkeys(("failed", "rejected", "abandoned", "cancelled", "expired", "temporarily_disabled"), BAD),
}
_GAP = 2  # between the columns of a row that stands alone
_FRAME_GAP = 3  # between those of a frame


@dataclass(frozen=True)
class Part:
    """A piece of output; a `whole` one is written as it is, however narrow the terminal."""

    content: RenderableType
    whole: bool = False


@dataclass(frozen=True)
class Summary:
    """The facts of an order or a batch, in the order they are shown."""

    title: str
    ident: str
    status: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Column:
    """A column of a list: its heading, whether it holds numbers, and how its cells look."""

    heading: str
    number: bool = False
    style: str = ""
    status: bool = False
    keep: bool = False  # never wrapped
    least: int = 8  # a narrower one that may wrap is no pleasure to read


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(printable(status), style=_STATUS_STYLES.get(status.lower(), ""))


def link(url: str) -> Text:
    """Return a link that can be clicked where the terminal can."""
    shown = printable(url)
    safe = shown == url and url.startswith(("https://", "http://"))
    return Text(shown, style=Style(color="cyan", link=url if safe else None), no_wrap=True, overflow="ignore")


def order_parts(summary: Summary, lines: Sequence[ResultRow], width: int | None) -> Iterator[Part]:
    """Yield the view of one order: its facts, then a line a gift. `width` is None where there is no terminal."""
    yield from summary_parts(summary)
    if lines:
        yield Part("")
        yield from gift_parts(lines, width)


def summary_parts(summary: Summary) -> Iterator[Part]:
    """Yield the facts of an order or a batch."""
    head = Text.assemble((summary.title + " ", "bold"), (printable(summary.ident), "bold cyan"), "  ")
    yield Part(head.append_text(status_text(summary.status)), whole=True)
    facts = [(name, value) for name, value in summary.facts if value]
    longest = max((cell_len(name) for name, _ in facts), default=0)
    for name, value in facts:
        yield Part(Text.assemble(("  " + name.ljust(longest) + "  ", DIM), printable(value)), whole=True)


def gift_parts(lines: Sequence[ResultRow], width: int | None) -> Iterator[Part]:
    """Yield a line a gift."""
    with_links = any(line.payout_url for line in lines)
    table = _gifts(lines, with_links=with_links)
    if not with_links or width is None or _width(table) <= width:
        yield Part(table, whole=width is None)
        return
    columns = _columns(lines)
    widths = _fitted([[cell.plain for cell in row] for row in map(_cells, lines)], columns, width, _GAP)
    indent = widths[0] + _GAP
    yield Part(_row([Text(column.heading, style="bold") for column in columns], columns, widths))
    yield Part(Text("─" * _span(widths, _GAP)))
    for line in lines:
        yield Part(_row(_cells(line), columns, widths))
        if line.payout_url:
            yield Part(Text(" " * indent).append_text(link(line.payout_url)), whole=True)


def list_parts(columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int | None) -> Iterator[Part]:
    """Yield a plain list."""
    rows = list(rows)
    widths: Sequence[int | None] = [None] * len(columns)
    if width is not None:
        widths = _fitted(rows, columns, width, _FRAME_GAP)
        if _span(widths, _FRAME_GAP) > width:
            yield from _cards(columns, rows)
            return
    table = _frame()
    for column, fitted in zip(columns, widths, strict=True):
        table.add_column(
            column.heading,
            justify="right" if column.number else "left",
            style=column.style,
            width=fitted,
            no_wrap=column.keep or width is None,
            overflow="ignore" if column.keep else "fold",
        )
    for row in rows:
        table.add_row(*(_cell(column, cell) for column, cell in zip(columns, row, strict=True)))
    yield Part(table, whole=width is None)


def _cards(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Iterator[Part]:
    """Yield a list that fits into no columns, a cell a line."""
    longest = max(cell_len(column.heading) for column in columns)
    for row in rows:
        for index, (column, cell) in enumerate(zip(columns, row, strict=True)):
            if cell or not index:
                heading = Text(
                    ("  " if index else "") + column.heading.ljust(longest + (0 if index else 2)) + "  ", DIM
                )
                yield Part(heading.append_text(_cell(column, cell)), whole=True)


def _cell(column: Column, cell: str) -> Text:
    return status_text(cell) if column.status else Text(printable(cell))


def _columns(lines: Sequence[ResultRow]) -> list[Column]:
    columns = [
        Column("#", number=True, style=DIM),
        Column("Recipient"),
        Column("Value", number=True, keep=True),
        Column("Products"),
        Column("Status", keep=True),
    ]
    if any(line.expiry_date for line in lines):
        columns.append(Column("Expires", keep=True))
    return columns


def _cells(line: ResultRow) -> list[Text]:
    status = status_text(line.status)
    if line.error:
        status.append(f" {printable(line.error)}", style=BAD)
    cells = [
        Text(str(line.row)),
        Text(printable(line.recipient or line.reference or "payout link")),
        Text(printable(f"{line.face_value} {line.currency}".strip())),
        Text(printable(", ".join(line.products))),
        status,
    ]
    return [*cells, Text(printable(line.expiry_date[:10]))] if line.expiry_date else cells


def _gifts(lines: Sequence[ResultRow], *, with_links: bool) -> Table:
    table = _frame()
    columns = _columns(lines)
    for column in columns:
        table.add_column(column.heading, justify="right" if column.number else "left", style=column.style)
    if with_links:
        table.add_column("Payout link", no_wrap=True, overflow="ignore")
    for line in lines:
        cells = _cells(line)
        cells += [Text("")] * (len(columns) - len(cells))
        table.add_row(*cells, *([link(line.payout_url)] if with_links else []))
    return table


def _frame() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold", show_edge=False)


def _width(table: Table) -> int:
    """Return how wide the table is when nothing in it wraps."""
    widest = [max(cell_len(str(cell)) for cell in (column.header, *column.cells)) for column in table.columns]
    return sum(widest) + 3 * (len(widest) - 1)


def _fitted(rows: Sequence[Sequence[str]], columns: Sequence[Column], width: int, gap: int) -> list[int]:
    """Return column widths that fit, if any do: what may wrap gives way, the widest first."""
    cells = [[column.heading for column in columns], *rows]
    widths = [
        max(cell_len(printable(row[index])) for row in cells if index < len(row)) for index in range(len(columns))
    ]
    while _span(widths, gap) > width:
        loose = [
            index
            for index, column in enumerate(columns)
            if not column.keep and widths[index] > max(column.least, cell_len(column.heading))
        ]
        if not loose:
            break
        widths[max(loose, key=widths.__getitem__)] -= 1
    return widths


def _span(widths: Sequence[int | None], gap: int) -> int:
    return sum(filter(None, widths)) + gap * (len(widths) - 1)


def _row(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> Table:
    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            justify="right" if column.number else "left",
            style=column.style,
            width=width,
            overflow="ignore" if column.keep else "fold",
            no_wrap=column.keep,
        )
    table.add_row(*cells)
    return table
