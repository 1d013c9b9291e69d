"""`--results`: the results as a file, written whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from runa_cli.core.errors import Context, Money, OutputFailed
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch
from runa_cli.output import csv_format
from runa_cli.output.batch_formats import result_rows


def write_results(path: Path, ledger: Ledger, batch: Batch, became: Money) -> None:
    """Write the results as CSV for the owner alone, whole or not at all. Raises OutputFailed."""
    hint = f"`runa batch export {batch.name} -o csv` writes them again."
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.writelines(csv_format.results_csv(result_rows(ledger, batch), batch.columns))
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
            Context(batch=batch.name),
            money=became,
        ) from error
