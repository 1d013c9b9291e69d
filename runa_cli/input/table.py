"""A sheet as rows of text cells, whichever format it comes from; and where in it the header is."""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple, Protocol

from runa_cli.core.dialect import Dialect
from runa_cli.input.headings import ColumnOptions, data_in_header
from runa_cli.input.problems import Place, Problems

NO_VALUE = "#FORMULA"  # stands for a formula whose value is not in the file
ERROR_CELLS = frozenset({
    "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA", NO_VALUE,
})  # fmt: skip
_LOOKED_AT = 20  # rows in which the header is looked for, to say where it is


class Record(NamedTuple):
    """A row of a sheet: its number in the file, from 1, and its cells as text."""

    line: int
    cells: list[str]

    @property
    def is_blank(self) -> bool:
        """Whether no cell holds anything."""
        return not any(cell.strip() for cell in self.cells)

    @property
    def width(self) -> int:
        """How many cells there are up to the last one that holds something."""
        return max((index for index, cell in enumerate(self.cells, 1) if cell.strip()), default=0)


class Table(Protocol):
    """The rows of a CSV file or of a sheet of a workbook."""

    name: str
    dialect: Dialect  # of a CSV file; that of results for a workbook
    is_defused: bool  # whether results in this format have an apostrophe before what could be a formula

    @property
    def hidden_columns(self) -> Collection[int]:
        """The indexes of hidden columns, known once the header is read."""

    def records(self) -> Iterator[Record]:
        """Yield all rows, blank ones too. Stops with a problem where the file cannot be read on."""

    def place(self, line: int, *, row: int | None = None, index: int | None = None, column: str | None = None) -> Place:
        """Return the place of a row, or of its cell at an index."""


def split_header(
    table: Table, options: ColumnOptions, header_row: int | None, problems: Problems
) -> tuple[Record, Iterator[Record]]:
    """Return the header and the rows below it. Stops with a problem where there is no header at the place."""
    records = table.records()
    if header_row is not None:
        header = next((record for record in records if record.line >= header_row), None)
        if header is None or header.line != header_row or header.is_blank:
            problems.stop(Place(flag="--header-row"), f"there is no header in row {header_row} of {table.name}")
        return header, records
    header = next((record for record in records if not record.is_blank), Record(1, []))
    if not _fields(header, options):
        ahead = list(islice(records, _LOOKED_AT))
        below = next((record for record in ahead if _is_header(record, options)), None)
        if below is not None:
            problems.stop(
                table.place(header.line),
                f"is no header, and row {below.line} looks like one: add --header-row {below.line},"
                " or delete the rows above it",
            )
        records = chain(ahead, records)
    if data := data_in_header(header.cells, has_field=bool(_fields(header, options))):
        problems.stop(
            table.place(header.line),
            f"holds data ({data}) where the header should be: put a row with the names of the columns on top,"
            " such as face_value,email",
        )
    return header, records


def _fields(record: Record, options: ColumnOptions) -> Sequence[str]:
    return [cell for cell in record.cells if options.means_field(cell)]


def _is_header(record: Record, options: ColumnOptions) -> bool:
    return bool(_fields(record, options)) and data_in_header(record.cells, has_field=True) is None
