"""Lists in every format: each member as Runa's own object, as a line of CSV, or as a row of a table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from runa_cli.core.errors import UsageMistake
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Column, Part, list_parts

Member = Mapping[str, Any]


@dataclass(frozen=True)
class ListView:
    """How one kind of list is shown. `cells` fill the CSV columns, `row` the columns of the table."""

    fields: Sequence[str]
    cells: Callable[[Member], Sequence[str]]
    columns: Sequence[Column]
    row: Callable[[Member], Sequence[str]]
    nothing: str


def show_list(output: Output, shelf: ListView, members: Iterable[Member]) -> None:
    """Write a list as it comes. Raises OutputFailed, which ends the fetching too; UsageMistake for `links`."""
    formats.show(output, list_view(shelf, members))


def list_view(shelf: ListView, members: Iterable[Member]) -> View:
    """Return a list as every format shows it."""

    def table(width: int | None) -> Iterable[Part]:
        rows = [shelf.row(member) for member in members]
        return list_parts(shelf.columns, rows, width) if rows else [Part(shelf.nothing)]

    return View(
        entries=lambda: members,
        table=table,
        csv_header=shelf.fields,
        csv_cells=lambda: map(shelf.cells, members),
        links=_no_links,
    )


def _no_links() -> NoReturn:
    raise UsageMistake("Only orders and batches have links: use table, json, jsonl or csv.")


def cell_text(value: object) -> str:
    """Return a value of a reply as a cell."""
    if isinstance(value, list):
        return " ".join(map(cell_text, value))
    return "" if value is None else str(getattr(value, "text", value))
