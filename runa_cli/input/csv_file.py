"""CSV files: the separator is told from the header, and Excel's `sep=` line is read."""

import csv
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NoReturn

from runa_cli.core.dialect import Dialect
from runa_cli.input.decoding import WORKBOOK, DecodedText
from runa_cli.input.headings import ColumnOptions
from runa_cli.input.problems import Place, Problems
from runa_cli.input.table import Record

MOST_CELL = 1 << 20  # characters; a cell longer than a mebibyte is an unclosed quote
_SEPARATORS = ",;\t"
_TITLE_LINES = 20  # above a header, in which it is looked for
_MOST_HEADER = 1 << 14  # characters that are looked at to find it


class CsvTable:
    """A CSV file; its first lines are read at once, the rows as they are iterated."""

    is_defused = True
    hidden_columns: frozenset[int] = frozenset()

    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        problems: Problems,
        options: ColumnOptions,
        *,
        encoding: str | None = None,
        header_row: int | None = None,
    ) -> None:
        self.name = name
        self._problems = problems
        self._text = DecodedText(stream, name, problems, encoding)
        csv.field_size_limit(MOST_CELL)
        first = self._text.readline(MOST_CELL)
        if first.startswith(WORKBOOK.decode()):
            problems.stop(Place(file=name), "is an Excel workbook: add --format xlsx")
        self._above = 0  # lines above those that are read as rows
        separator = _named_separator(first)
        if separator is not None:
            self._above, first = 1, self._text.readline(MOST_CELL)
        self._first = self._first_lines(first)
        separator = separator or _separator(self._first, options, (header_row or 1) - 1 - self._above)
        self.dialect = Dialect(separator, bom=self._text.has_mark)

    def records(self) -> Iterator[Record]:
        """Yield all rows with the line that each begins in. Stops with a problem at what is no CSV."""
        reader = csv.reader(self._lines(), delimiter=self.dialect.delimiter, strict=True)
        while True:
            line = self._above + reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                self._stop(self._above + reader.line_num, error)
            if cells is None:
                return
            yield Record(line, cells)

    def place(self, line: int, *, row: int | None = None, index: int | None = None, column: str | None = None) -> Place:  # noqa: ARG002 - a cell of CSV has no name of its own
        """Return the place of a row or of its cell."""
        return Place(file=self.name, line=line, row=row, column=column)

    def _stop(self, line: int, error: csv.Error) -> NoReturn:
        self._problems.stop(Place(file=self.name, line=line), f"is not CSV: {error}")

    def _first_lines(self, first: str) -> list[str]:
        lines, size = [first], len(first)
        while lines[-1] and len(lines) < _TITLE_LINES and size < _MOST_HEADER:
            lines.append(self._text.readline(MOST_CELL))
            size += len(lines[-1])
        return lines

    def _lines(self) -> Iterator[str]:
        rest = iter(lambda: self._text.readline(MOST_CELL), "")
        return (line for line in chain(self._first, rest) if line)


def _named_separator(line: str) -> str | None:
    """Return the separator that Excel's own first line names, as in `sep=;`."""
    text = line.strip("\r\n \"'")
    return text[4] if len(text) == len("sep=;") and text[:4].casefold() == "sep=" else None


def _separator(lines: list[str], options: ColumnOptions, above: int) -> str:
    """Return the separator that makes most known headings of one row; where none does, of most cells of the first."""
    first = next((line for line in lines[max(above, 0) :] if line.strip()), "")
    best = max(_SEPARATORS, key=lambda mark: (_known(lines, options, mark), first.count(mark)))
    return best if _known(lines, options, best) or first.count(best) else ","


def _known(lines: list[str], options: ColumnOptions, mark: str) -> int:
    """Return how many headings of fields there are at most in one of the first rows."""
    try:
        rows = list(csv.reader(lines, delimiter=mark))
    except csv.Error:
        return 0
    return max((sum(map(options.means_field, row)) for row in rows), default=0)
