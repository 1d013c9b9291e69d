"""Lists of Runa's objects in every output format: the objects themselves, lines of CSV, or rows of a table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runa_cli.core.errors import UsageMistake
from runa_cli.core.safe_text import defused
from runa_cli.output.csv_format import csv_lines
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Column, Part, list_parts

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class ListView:
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
    match output.format:
        case "json":
            output.json_list(entries)
        case "jsonl":
            for entry in entries:
                output.json_line(entry)
        case "csv":
            rows = ([defused(cell) for cell in view.csv_cells(entry)] for entry in entries)
            for line in csv_lines(view.csv_header, rows):
                output.text(line)
        case "links":
            raise UsageMistake("Only orders and batches have links: use table, json, jsonl or csv.")
        case _:
            table = [view.cells(entry) for entry in entries]
            output.parts(list_parts(view.columns, table, output.width) if table else [Part(view.empty_message)])
    output.flush()


def cell_text(value: object) -> str:
    """Return a value of one of Runa's replies as the text of a cell."""
    if isinstance(value, list):
        return " ".join(map(cell_text, value))
    return "" if value is None else str(getattr(value, "text", value))
