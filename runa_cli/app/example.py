"""`runa order example`: a file to start from."""

import csv

from runa_cli.app.session import Session
from runa_cli.core.errors import UsageMistake
from runa_cli.core.extras import missing_for_xlsx
from runa_cli.input import examples


def show(session: Session, kind: str) -> None:
    """Write a file of the kind `csv`, `xlsx` or `json`. Raises ConfigurationError where XLSX needs what is missing."""
    if kind == "xlsx":
        session.output.binary(_workbook(session))
    else:
        session.output.text(examples.CSV if kind == "csv" else examples.JSON)
    session.output.flush()


def _workbook(session: Session) -> bytes:
    if session.output.is_terminal:
        raise UsageMistake("A workbook cannot be shown on a terminal: `runa order example xlsx > gifts.xlsx`.")
    try:
        from runa_cli.output.xlsx_format import workbook_of
    except ImportError as error:
        raise missing_for_xlsx("Writing XLSX", "XlsxWriter", "use the CSV example") from error
    rows = list(csv.reader(examples.CSV.splitlines()))
    return workbook_of(rows, numbers=rows[0].index("face_value"))
