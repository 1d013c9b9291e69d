"""Lists in every format: each member as Runa's own object, as a line of CSV, or as a row of a table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runa_cli.core.errors import UsageMistake
from runa_cli.core.safe_text import defused
from runa_cli.output.csv_format import csv_lines
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
    match output.format:
        case "json":
            output.json_list(members)
        case "jsonl":
            for member in members:
                output.json_line(member)
        case "csv":
            for line in csv_lines(
                shelf.fields, ([defused(cell) for cell in shelf.cells(member)] for member in members)
            ):
                output.text(line)
        case "links":
            raise UsageMistake("Only orders and batches have links: use table, json, jsonl or csv.")
        case _:
            rows = [shelf.row(member) for member in members]
            output.parts(list_parts(shelf.columns, rows, output.width) if rows else [Part(shelf.nothing)])
    output.flush()


def cell_text(value: object) -> str:
    """Return a value of a reply as a cell."""
    if isinstance(value, list):
        return " ".join(map(cell_text, value))
    return "" if value is None else str(getattr(value, "text", value))
