"""Tables as Rich renderables: what `tables.py` promises.

Nothing is cut, and no word, id or link is broken. Where a table is wider than the terminal, the cells of some columns
(links, for instance) are below their rows; where it is still wider, each cell is on a line of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich import box
from rich.cells import cell_len
from rich.console import OverflowMethod
from rich.style import Style
from rich.table import Table
from rich.text import Text

from runa_cli.core.safe_text import printable
from runa_cli.ledger.results import ResultRow
from runa_cli.output.prose import wrapped
from runa_cli.output.tables import Column, Part, Summary

GOOD, BUSY, BAD, DIM = "green", "yellow", "red", "dim"  # readable on dark and on light backgrounds
_STATUS_STYLES = {
    **dict.fromkeys(("completed", "active", "live", "claimed"), GOOD),
    **dict.fromkeys(("processing", "accepted", "prepared", "sent", "temporarily_degraded"), BUSY),
    **dict.fromkeys(("failed", "rejected", "abandoned", "cancelled", "expired", "temporarily_disabled"), BAD),
}
_GRID_GAP = 2  # columns of the terminal between two columns of `_grid_row`
_TABLE_GAP = 3  # and of `_whole_table`
_FACT_INDENT = 4  # of a value that has no room after its name
_LEAST_WIDTH = 8  # of a column that wraps
_T = TypeVar("_T")


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(printable(status), style=_STATUS_STYLES.get(status.lower(), ""))


def link(url: str) -> Text:
    """Return a link, clickable where the terminal supports it and the URL holds nothing unsafe."""
    text = printable(url)
    safe = text == url and url.startswith(("https://", "http://"))
    return Text(text, style=Style(color="cyan", link=url if safe else None), no_wrap=True, overflow="ignore")


# --- one order -------------------------------------------------------------------------------------------------------


def order_parts(summary: Summary, gifts: Sequence[ResultRow], width: int | None) -> Iterator[Part]:
    """Yield the facts of one order, then a table of its gifts. `width` is None where there is no terminal."""
    yield from summary_parts(summary, width)
    if gifts:
        yield Part("")
        yield from gift_parts(gifts, width)


def summary_parts(summary: Summary, width: int | None) -> Iterator[Part]:
    """Yield a heading with name and status, and each fact. `width` is None where there is no terminal."""
    head = Text.assemble((summary.title + " ", "bold"), (printable(summary.name), "bold cyan"), "  ")
    yield Part(head.append_text(status_text(summary.status)))
    facts = [(name, value) for name, value in summary.facts if value]
    longest = max((cell_len(name) for name, _ in facts), default=0)
    for name, value in facts:
        yield _fact("  " + name.ljust(longest) + "  ", Text(printable(value)), width)


def _fact(name: str, value: Text, width: int | None) -> Part:
    """Return a value after its name; on a terminal its further lines begin where its first does.

    Where a word of it has no room there, all of it is on the lines below.
    """
    if width is not None:
        indent = cell_len(name)
        longest = value.cell_len if value.no_wrap else _longest_word(value.plain)
        if width - indent < longest <= width - _FACT_INDENT:
            name, indent = name.rstrip() + "\n" + " " * _FACT_INDENT, _FACT_INDENT
        value = wrapped(value, width - indent, indent=indent)
    return Part(Text.assemble((name, DIM), value), unwrapped=True)


def gift_parts(gifts: Sequence[ResultRow], width: int | None) -> Iterator[Part]:
    """Yield a table with a row for each gift. `width` is None where there is no terminal."""
    expires = [Column("Expires", no_wrap=True)] if any(gift.expiry_date for gift in gifts) else []
    columns = [*_GIFT_COLUMNS, *expires, Column("Payout link", no_wrap=True, link=True, own_line=True)]
    return _table_parts(columns, [_gift_cells(gift, with_expiry=bool(expires)) for gift in gifts], width)


_GIFT_COLUMNS = (
    Column("#", number=True, style=DIM),
    Column("Recipient"),
    Column("Value", number=True, no_wrap=True),
    Column("Products"),
    Column("Status"),
)


def _gift_cells(gift: ResultRow, *, with_expiry: bool) -> list[Text]:
    status = status_text(gift.status)
    if gift.error:
        status.append(f" {printable(gift.error)}", style=BAD)
    return [
        Text(str(gift.row or "-")),  # 0: an item of Runa's answer that matches no row
        Text(printable(gift.recipient or gift.reference or "payout link")),
        Text(printable(f"{gift.face_value} {gift.currency}".strip())),
        Text(printable(", ".join(gift.products))),
        status,
        *([Text(printable(gift.expiry_date[:10]))] if with_expiry else []),
        link(gift.payout_url),
    ]


# --- lists -----------------------------------------------------------------------------------------------------------


def list_parts(columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int | None) -> Iterator[Part]:
    """Yield a table of texts. `width` is None where there is no terminal."""
    cells = [[_cell(column, cell) for column, cell in zip(columns, row, strict=True)] for row in rows]
    return _table_parts(columns, cells, width)


def _table_parts(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int | None) -> Iterator[Part]:
    """Yield a table in the first shape that fits the terminal without breaking a word."""
    if columns[-1].own_line and not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    if width is None:
        yield _whole_table(columns, rows, [None] * len(columns))
        return
    own_lines = [index for index, column in enumerate(columns) if column.own_line]
    widths = _fitted_widths(columns, rows, width, _TABLE_GAP)
    if widths and (not own_lines or widths == _natural_widths(columns, rows)):
        yield _whole_table(columns, rows, widths)
        return
    for moved in range(1 if own_lines else 0, len(own_lines) + 1):
        below = own_lines[len(own_lines) - moved :]
        above = [index for index in range(len(columns)) if index not in below]
        headings, cells = _picked(columns, above), [_picked(row, above) for row in rows]
        if widths := _fitted_widths(headings, cells, width, _GRID_GAP):
            beneath = [_picked(row, below) for row in rows]
            yield from _grid(headings, cells, widths, _picked(columns, below), beneath, width=width)
            return
    yield from _one_cell_per_line(columns, rows, width)


def _picked(sequence: Sequence[_T], indexes: Sequence[int]) -> list[_T]:
    return [sequence[index] for index in indexes]


def _whole_table(columns: Sequence[Column], rows: Sequence[Sequence[Text]], widths: Sequence[int | None]) -> Part:
    """Return a table with all cells of a row beside each other. Widths are None where there is no terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold", show_edge=False)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            column.heading,
            justify="right" if column.number else "left",
            style=column.style,
            width=width,
            no_wrap=column.no_wrap or width is None,
            overflow=_overflow(column),
        )
    for row in rows:
        table.add_row(*row)
    return Part(table, unwrapped=None in widths)


def _grid(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Text]],
    widths: Sequence[int],
    columns_below: Sequence[Column],
    rows_below: Sequence[Sequence[Text]],
    *,
    width: int,
) -> Iterator[Part]:
    """Yield a narrow table, with some cells of each row on lines of their own below it.

    All of them but the last follow the heading of their column.
    """
    indent = " " * (widths[0] + _GRID_GAP if columns[0].number else _GRID_GAP)
    yield Part(_grid_row([Text(column.heading, style="bold") for column in columns], columns, widths))
    yield Part(Text("─" * _total_width(widths, _GRID_GAP)))
    for row, row_below in zip(rows, rows_below, strict=True):
        yield Part(_grid_row(row, columns, widths))
        for column, cell in zip(columns_below, row_below, strict=True):
            if cell:
                cell.stylize(column.style)
                heading = f"{column.heading} " if column is not columns_below[-1] else ""
                yield _fact(indent + heading, cell, width)


def _one_cell_per_line(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> Iterator[Part]:
    """Yield a list that is too wide for the terminal, with an empty line between two rows."""
    longest = max(cell_len(column.heading) for column in columns) + 2
    for number, row in enumerate(rows):
        if number:
            yield Part("")
        for index, (column, cell) in enumerate(zip(columns, row, strict=True)):
            if cell or not index:
                cell.no_wrap = column.no_wrap
                heading = ("  " if index else "") + column.heading
                yield _fact(heading.ljust(longest) + "  ", cell, width)


def _cell(column: Column, cell: str) -> Text:
    if column.link:
        return link(cell)
    return status_text(cell) if column.status else Text(printable(cell))


# --- layout ----------------------------------------------------------------------------------------------------------


def _fitted_widths(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int, gap: int) -> list[int] | None:
    """Return the widths of the columns, with those that may wrap narrowed, the widest first, until the table fits.

    Where it cannot fit without breaking a word, there are none.
    """
    widths = _natural_widths(columns, rows)
    least = [
        widths[index]
        if column.no_wrap
        else max(_LEAST_WIDTH, *map(_longest_word, [column.heading, *(row[index].plain for row in rows)]))
        for index, column in enumerate(columns)
    ]
    while _total_width(widths, gap) > width:
        narrowable = [index for index, narrowest in enumerate(least) if widths[index] > narrowest]
        if not narrowable:
            return None
        widths[max(narrowable, key=widths.__getitem__)] -= 1
    return widths


def _natural_widths(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> list[int]:
    """Return the widths at which nothing wraps."""
    return [
        max([cell_len(column.heading), *(row[index].cell_len for row in rows)]) for index, column in enumerate(columns)
    ]


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _total_width(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _grid_row(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> Table:
    table = Table.grid(padding=(0, _GRID_GAP, 0, 0), pad_edge=False)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            justify="right" if column.number else "left",
            style=column.style,
            width=width,
            overflow=_overflow(column),
            no_wrap=column.no_wrap,
        )
    table.add_row(*cells)
    return table


def _overflow(column: Column) -> OverflowMethod:
    """Return what Rich does with a cell that is too long. Where it ignores that, it aligns no cell to the right."""
    return "ignore" if column.no_wrap and not column.number else "fold"
