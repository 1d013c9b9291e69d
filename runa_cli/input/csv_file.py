"""CSV files: a header and one gift a row; the separator is told from the header."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from runa_cli.core.safe_text import undefused
from runa_cli.input.columns import field_of, typo_of
from runa_cli.input.problems import Place, Problems
from runa_cli.ledger import results

MOST_CELL = 1 << 20  # characters; a cell longer than a mebibyte is an unclosed quote


class _Kind(Enum):
    FIELD = "field"
    CARRIED = "carried"  # to the results
    ADDED = "added"  # by this program, to its results


@dataclass(frozen=True)
class CsvRow:
    """One row: its place, the cells of known columns by their field, and the cells that are carried to the results."""

    place: Place
    row: int
    cells: dict[str, str]
    carried: tuple[str, ...]


class CsvFile:
    """A CSV file. The header is read at once, rows as they are iterated.

    A results file of this program is recognised: what it adds to its input is left out, and its apostrophes are undone.
    """

    def __init__(self, stream: BinaryIO, name: str, problems: Problems) -> None:
        self.name = name
        self._problems = problems
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        csv.field_size_limit(MOST_CELL)
        header_line = self._next_line()
        separator = re.fullmatch(r"sep=(.)\r?\n", header_line)  # how Excel names the separator
        self._above = 1 if separator else 0  # lines above the header
        if separator:
            header_line = self._next_line()
        if header_line.startswith("PK\x03\x04"):
            problems.stop(Place(file=name), "is an Excel workbook: save it as CSV UTF-8")
        self.delimiter = separator[1] if separator else _delimiter(header_line)
        self._reader = csv.reader(self._lines(header_line), delimiter=self.delimiter, strict=True)
        self._is_results = False
        self._headings = self._header()

    @property
    def columns(self) -> set[str]:
        """The fields that the file has a column for."""
        return {name for name, kind in self._headings if kind is _Kind.FIELD}

    @property
    def carried(self) -> tuple[str, ...]:
        """The names of the columns that are carried to the results."""
        return tuple(name for name, kind in self._headings if kind is _Kind.CARRIED)

    def rows(self) -> Iterator[CsvRow]:
        """Yield the rows that are not blank, numbered from 1."""
        row = 0
        known = [(index, name) for index, (name, kind) in enumerate(self._headings) if kind is _Kind.FIELD]
        carried = [index for index, (_, kind) in enumerate(self._headings) if kind is _Kind.CARRIED]
        while True:
            line = self._above + self._reader.line_num + 1
            cells = self._next_row()
            if cells is None:
                self._text.detach()  # the stream belongs to whoever opened it
                return
            if not any(cell.strip() for cell in cells):
                continue
            row += 1
            place = Place(file=self.name, line=line, row=row)
            if len(cells) > len(self._headings):
                self._problems.add(place, f"has {len(cells)} cells, but the header names {len(self._headings)}")
                continue
            cells += [""] * (len(self._headings) - len(cells))
            if self._is_results:
                cells = [undefused(cell) for cell in cells]
            yield CsvRow(
                place,
                row,
                {name: cells[index].strip() for index, name in known},
                tuple([cells[index] for index in carried]),
            )

    def _header(self) -> list[tuple[str, "_Kind"]]:
        names = self._next_row() or []
        self._is_results = tuple(name.strip() for name in names[: len(results.COLUMNS)]) == results.COLUMNS
        added = set(results.COLUMNS) if self._is_results else set[str]()
        headings: list[tuple[str, _Kind]] = []
        for number, name in enumerate(names):
            known = field_of(name)
            if known is None and number < len(added):
                headings.append((name, _Kind.ADDED))
                continue
            place = Place(file=self.name, line=self._above + 1, column=name.strip() or "(no name)")
            if known is None and (field := typo_of(name)):
                self._problems.add(place, f"is one typo away from {field}: rename it to {field}, or to something else")
            if known is not None and (known, _Kind.FIELD) in headings:
                self._problems.add(place, f"is a second column for {known}")
            headings.append((known, _Kind.FIELD) if known else (name, _Kind.CARRIED))
        return headings

    def _next_line(self) -> str:
        try:
            return self._text.readline(MOST_CELL)
        except UnicodeDecodeError as error:
            self._problems.stop(
                Place(file=self.name), f"is not UTF-8 (byte 0x{error.object[error.start]:02x}): save it as CSV UTF-8"
            )

    def _lines(self, first: str) -> Iterator[str]:
        line = first
        while line:
            yield line
            line = self._next_line()

    def _next_row(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error as error:
            self._problems.stop(Place(file=self.name, line=self._above + self._reader.line_num), f"is not CSV: {error}")


def _delimiter(header: str) -> str:
    """Return the separator that splits the header into the most known names; a comma where none does."""
    return max(
        ",;\t", key=lambda mark: (sum(field_of(name) is not None for name in header.split(mark)), header.count(mark))
    )
