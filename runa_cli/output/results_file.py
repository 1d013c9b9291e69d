"""The file of `--results`, written completely or not at all."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from runa_cli.core.dialect import Dialect
from runa_cli.core.errors import Context, Money, OutputFailed
from runa_cli.ledger.results import ResultRow
from runa_cli.output.csv_format import results_csv


def write_results(
    path: Path,
    rows: Iterable[ResultRow],
    carried: Sequence[str],
    dialect: Dialect,
    *,
    hint: str,
    context: Context,
    money: Money,
) -> None:
    """Write results as a CSV file that only its owner can read. `carried`: headings of the input's own columns.

    Raises OutputFailed with this hint, context and money, and leaves an existing file as it was.
    """
    try:
        # In the same directory, so that it can replace the file in one step.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.writelines(results_csv(rows, carried, dialect))
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise OutputFailed(
            f"The results could not be written to {path}: {error.strerror}.",
            hint,
            context,
            money=money,
        ) from error
