"""The file of `--results`, written completely or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from runa_cli.core.errors import Context, Money, OutputFailed
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch
from runa_cli.output.batch_formats import result_rows
from runa_cli.output.csv_format import results_csv


def write_results(path: Path, ledger: Ledger, batch: Batch, money: Money) -> None:
    """Write the results of a batch as a CSV file that only its owner can read.

    Raises OutputFailed, which says that the money is `money`, and leaves an existing file as it was.
    """
    try:
        # In the same directory, so that it can replace the file in one step.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.writelines(results_csv(result_rows(ledger, batch), batch.columns))
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
            f"`runa batch export {batch.name} -o csv` writes them again.",
            Context(batch=batch.name),
            money=money,
        ) from error
