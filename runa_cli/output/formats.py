"""The output formats: one function each, from a view of finished data to standard output.

A new format is a function in `WRITERS` and its name in `runa_cli/config/values.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from runa_cli.core.dialect import PLAIN, Dialect
from runa_cli.output.csv_format import csv_lines
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Part


class View(NamedTuple):
    """What a command shows, for every format. Only what the chosen format needs is called, once, and read as it comes.

    `entries` become a list in JSON and a line each in JSON lines; `documents` replace the list, each written on its
    own. `table` gets the columns of the terminal (None without one); `lines` of plain text replace it. Without
    `csv_cells` or `links`, these formats show the table. `gifts` become a line of JSON each; without them, the entries
    do. `dialect` is that of the CSV.
    """

    entries: Callable[[], Iterable[object]]
    documents: Callable[[], Iterable[object]] | None = None
    table: Callable[[int | None], Iterable[Part]] | None = None
    lines: Callable[[], Iterable[str]] | None = None
    csv_header: Sequence[str] = ()
    csv_cells: Callable[[], Iterable[Sequence[str]]] | None = None
    links: Callable[[], Iterable[str]] | None = None
    gifts: Callable[[], Iterable[object]] | None = None
    dialect: Dialect = PLAIN


def show(output: Output, view: View) -> None:
    """Write a view in the output's format. Raises OutputFailed, and whatever reading the data raises."""
    WRITERS[output.format](output, view)
    output.flush()


def _table(output: Output, view: View) -> None:
    if view.table is not None:
        output.parts(view.table(output.width))
    elif view.lines is not None:
        output.prose(view.lines())


def _json(output: Output, view: View) -> None:
    if view.documents is None:
        output.json_list(view.entries())
        return
    for document in view.documents():
        output.json(document)


def _json_lines(output: Output, view: View) -> None:
    for entry in view.entries():
        output.json_line(entry)


def _csv(output: Output, view: View) -> None:
    if view.csv_cells is None:
        _table(output, view)
        return
    for line in csv_lines(view.csv_header, view.csv_cells(), view.dialect):
        output.text(line)


def _gifts(output: Output, view: View) -> None:
    for gift in (view.gifts or view.entries)():
        output.json_line(gift)


def _links(output: Output, view: View) -> None:
    if view.links is None:
        _table(output, view)
        return
    output.lines(view.links())


WRITERS: Mapping[str, Callable[[Output, View], None]] = {
    "table": _table,
    "json": _json,
    "jsonl": _json_lines,
    "gifts": _gifts,
    "csv": _csv,
    "links": _links,
}
