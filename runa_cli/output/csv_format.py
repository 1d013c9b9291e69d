"""CSV: any rows, and the results of a batch."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from runa_cli.core.safe_text import defused
from runa_cli.ledger.results import COLUMNS, ResultRow


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a CSV file a line at a time; no cell of it is run as a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # so that a cell with either character is quoted
    writer.writerow(map(defused, header))
    yield _emptied(buffer)
    for row in rows:
        writer.writerow(map(defused, row))
        yield _emptied(buffer)


def _emptied(buffer: io.StringIO) -> str:
    text = buffer.getvalue()[:-2] + "\n"
    buffer.seek(0)
    buffer.truncate()
    return text


def results_csv(lines: Iterable[ResultRow], carried: Sequence[str] = ()) -> Iterator[str]:
    """Yield results as CSV."""
    yield from csv_lines([*COLUMNS, *carried], (line.cells() for line in lines))
