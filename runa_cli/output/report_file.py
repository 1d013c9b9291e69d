"""The file of a report: CSV, or XLSX where its name says so."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from runa_cli.core.errors import OutputFailed, UsageMistake
from runa_cli.output.csv_format import csv_lines
from runa_cli.output.private_file import private_file
from runa_cli.output.results_file import is_xlsx, load_writer, why_unwritable


def check(path: Path) -> None:
    """Check that a report can be written to a file. Raises UsageMistake, OutputFailed and ConfigurationError."""
    if path.suffix.lower() not in {".csv", ".xlsx"}:
        raise UsageMistake(f"--to writes XLSX or CSV, by the end of the file's name, found {path.name!r}.")
    try:
        wrong = why_unwritable(path)
    except OSError as error:
        raise _failed(path, error.strerror or str(error)) from error
    if wrong:
        raise UsageMistake(f"--to cannot be written to {path}: {wrong}.")
    load_writer(path)


def write(path: Path, header: Sequence[str], numbers: Collection[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a report to a file that only its owner can read. `numbers` are the headings of columns of numbers.

    Raises OutputFailed, and leaves an existing file as it was.
    """
    try:
        with private_file(path) as stream:
            if is_xlsx(path):
                from runa_cli.output.xlsx_format import write_xlsx

                columns = {index for index, heading in enumerate(header) if heading in numbers}
                write_xlsx(stream, header, rows, path.parent, sheet="Report", numbers=columns)
            else:
                stream.writelines(line.encode("utf-8", "replace") for line in csv_lines(header, rows))
    except (OSError, ValueError) as error:
        raise _failed(path, str(getattr(error, "strerror", None) or error)) from error


def _failed(path: Path, reason: str) -> OutputFailed:
    return OutputFailed(f"The report could not be written to {path}: {reason}.", "Name another file.")
