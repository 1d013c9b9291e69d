"""Shows a report in any output format, or writes it to a file of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from runa_cli.app.changes import show_changes
from runa_cli.app.session import Session
from runa_cli.core.money import counted
from runa_cli.core.safe_text import printable
from runa_cli.output import formats, report_file
from runa_cli.output.formats import View
from runa_cli.output.lists import no_links
from runa_cli.output.tables import Column, Part, long_list_parts

Entry = Mapping[str, object]


class Report(Struct, frozen=True):
    """A report: its fields, those of them that are numbers, and how its rows are shown as a table.

    `ending` makes what a table ends with, once all rows were read. `empty_message` replaces a table without rows.
    """

    fields: Sequence[str]
    numbers: frozenset[str]
    columns: Sequence[Column]
    cells: Callable[[Entry], Sequence[str]]
    ending: Callable[[], Iterable[str]]
    empty_message: str


def show_report(session: Session, report: Report, entries: Iterable[Entry], to: Path | None) -> None:
    """Show a report row by row as it is read, or write it to the file `to`.

    Raises OutputFailed and, for a file that cannot be, UsageMistake.
    """
    if to is not None:
        report_file.check(to)
        written = _Counted(entries)
        report_file.write(to, report.fields, report.numbers, (_cells(report, entry) for entry in written))
        rows = counted(written.number, "row")
        show_changes(session, {"file": str(to), "rows": written.number}, [f"{rows}: {printable(str(to))}"])
        return
    view = View(
        entries=lambda: entries,
        table=lambda width: _table(report, entries, width),
        csv_header=report.fields,
        csv_cells=lambda: (_cells(report, entry) for entry in entries),
        links=no_links,
    )
    formats.show(session.output, view)


class _Counted:
    """Counts entries as they pass."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self.number = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            self.number += 1
            yield entry


def _cells(report: Report, entry: Entry) -> list[str]:
    return ["" if entry[name] is None else str(entry[name]) for name in report.fields]


def _table(report: Report, entries: Iterable[Entry], width: int | None) -> Iterator[Part]:
    rows = map(report.cells, entries)
    yield from long_list_parts(report.columns, rows, width, empty_message=report.empty_message)
    for number, line in enumerate(report.ending()):
        if not number:
            yield Part("")
        yield Part(printable(line))
