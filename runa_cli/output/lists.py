"""Lists of Runa's objects in every output format: the objects themselves, lines of CSV, or rows of a table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from msgspec import Struct

from runa_cli.config.values import FORMATS
from runa_cli.core.errors import UsageMistake
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Column, Part, list_parts

Entry = Mapping[str, Any]


class ListView(Struct, frozen=True):
    """How one kind of list is shown as CSV and as a table. `empty_message` replaces a table without rows."""

    csv_header: Sequence[str]
    csv_cells: Callable[[Entry], Sequence[str]]
    columns: Sequence[Column]
    cells: Callable[[Entry], Sequence[str]]
    empty_message: str


def show_list(output: Output, view: ListView, entries: Iterable[Entry]) -> None:
    """Write a list, entry by entry as they arrive (a table: all at once).

    Raises OutputFailed, after which no more entries are fetched, and UsageMistake for the format `links`.
    """
    formats.show(output, list_view(view, entries))


def list_view(view: ListView, entries: Iterable[Entry]) -> View:
    """Return a list as every format shows it."""

    def table(width: int | None) -> Iterable[Part]:
        rows = [view.cells(entry) for entry in entries]
        return list_parts(view.columns, rows, width) if rows else [Part(view.empty_message)]

    return View(
        entries=lambda: entries,
        table=table,
        csv_header=view.csv_header,
        csv_cells=lambda: map(view.csv_cells, entries),
        links=no_links,
    )


def no_links() -> NoReturn:
    """Refuse the format `links`. Raises UsageMistake."""
    *others, last = (name for name in FORMATS if name != "links")
    raise UsageMistake(f"Only orders, batches and gifts have links: use {', '.join(others)} or {last}.")


def cell_text(value: object) -> str:
    """Return a value of one of Runa's replies as the text of a cell."""
    if isinstance(value, list):
        return " ".join(map(cell_text, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(getattr(value, "text", value))
