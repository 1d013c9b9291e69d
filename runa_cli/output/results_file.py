"""The file of `--results`: CSV, or XLSX where its name says so."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from runa_cli.core.dialect import Dialect
from runa_cli.core.errors import ConfigurationError, Context, InputError, Money, OutputFailed, UsageMistake
from runa_cli.core.extras import missing_for_xlsx
from runa_cli.ledger.results import COLUMNS, ResultRow, carried_headings
from runa_cli.output.csv_format import results_csv
from runa_cli.output.private_file import private_file, try_private_file

MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384  # of a sheet of XLSX
MOST_CELL = 32_767  # UTF-16 characters of one of its cells
_OTHERS = frozenset(
    {".xls", ".xlsm", ".xlsb", ".ods", ".json", ".jsonl", ".html", ".pdf"}
)  # what CSV must not be called


def is_xlsx(path: Path) -> bool:
    """Tell whether a file is written as XLSX."""
    return path.suffix.lower() == ".xlsx"


def why_unwritable(path: Path) -> str | None:
    """Return what is wrong with the name of a file that cannot be written; None where it can.

    Raises OSError where the name is right: a full disk, or a directory that belongs to others.
    """
    try:
        return try_private_file(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        return f"{path.parent}: {error.strerror}"


def load_writer(path: Path) -> None:
    """Load what writes a file of XLSX, before there is anything to write. Raises ConfigurationError."""
    if is_xlsx(path):
        try:
            from runa_cli.output import xlsx_format  # noqa: F401 - only loaded here
        except ImportError as error:
            raise missing_for_xlsx("Writing XLSX", "XlsxWriter", "name a CSV file") from error


def check_writable(path: Path) -> None:
    """Check, before anything is sent, that the results can be written. Raises UsageMistake or ConfigurationError."""
    if path.suffix.lower() in _OTHERS:
        raise UsageMistake(f"--results writes CSV or XLSX, found {path.suffix}. Nothing was sent.")
    try:
        wrong = why_unwritable(path)
    except OSError as error:  # no mistake in the command
        raise ConfigurationError(
            f"--results cannot be written to {path}: {error.strerror}. Nothing was sent.",
            "Make room or get permission there, or name another file.",
            code="results_unwritable",
        ) from error
    if wrong:
        raise UsageMistake(f"--results cannot be written to {path}: {wrong}. Nothing was sent.")
    load_writer(path)


def check_fits(path: Path, gifts: int, columns: int, long_cell: int | None = None) -> None:
    """Check, before anything is sent, that so many gifts and carried columns fit into the file. Raises InputError.

    `long_cell` is a row of the input that carries a cell of more than `MOST_CELL` characters.
    """
    if not is_xlsx(path):
        return
    for wrong, found in (
        (gifts >= MOST_ROWS, f"{MOST_ROWS:,} rows with their header, and there are {gifts:,} gifts"),
        (columns + len(COLUMNS) > MOST_COLUMNS, f"{MOST_COLUMNS:,} columns, and there are {columns + len(COLUMNS):,}"),
        (long_cell is not None, f"{MOST_CELL:,} characters in a cell, and row {long_cell} carries a longer one"),
    ):
        if wrong:
            raise InputError(
                f"An XLSX file holds at most {found}. Nothing was sent.",
                "Name a CSV file for the results, which has no such limit.",
                code="too_large",
            )


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
    """Write results to a file that only its owner can read. `carried`: headings of the input's own columns.

    Raises OutputFailed with this hint, context and money, and leaves an existing file as it was.
    """
    try:
        with private_file(path) as stream:
            if is_xlsx(path):
                from runa_cli.output.xlsx_format import write_xlsx

                header = [*COLUMNS, *carried_headings(carried)]
                write_xlsx(stream, header, (row.cells() for row in rows), path.parent)
            else:
                stream.writelines(line.encode("utf-8", "replace") for line in results_csv(rows, carried, dialect))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputFailed(
            f"The results could not be written to {path}: {reason}.",
            hint,
            context,
            money=money,
        ) from error
