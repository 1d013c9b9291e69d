"""CSV, line by line: any rows, and the results of a batch."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from runa_cli.core.dialect import COMMON_DELIMITERS, PLAIN, Dialect
from runa_cli.core.safe_text import defused
from runa_cli.ledger.results import COLUMNS, ResultRow, carried_headings


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[str]], dialect: Dialect = PLAIN) -> Iterator[str]:
    """Yield the lines of a CSV file, each ending in a line feed; no cell of it is run as a formula.

    A separator that nobody would guess is named in a line of its own, as Excel names it.
    """
    # The writer quotes a cell that contains a character of its line terminator: with both, CR and LF are both quoted.
    writer = csv.writer(_Same(), delimiter=dialect.delimiter, lineterminator="\r\n")
    if dialect.bom:
        yield "\ufeff"
    if dialect.delimiter not in COMMON_DELIMITERS:
        yield f"sep={dialect.delimiter}\n"
    for row in chain([header], rows):
        yield writer.writerow(map(defused, row)).removesuffix("\r\n") + "\n"


def results_csv(rows: Iterable[ResultRow], carried: Sequence[str] = (), dialect: Dialect = PLAIN) -> Iterator[str]:
    """Yield results as the lines of a CSV file. `carried`: headings of the input's own columns."""
    yield from csv_lines([*COLUMNS, *carried_headings(carried)], (row.cells() for row in rows), dialect)


class _Same:
    """What a CSV writer writes to, to return each line: it passes on what `write` returns."""

    @staticmethod
    def write(line: str) -> str:
        return line
