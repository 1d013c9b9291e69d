"""XLSX, row by row: every cell is text, so that no cell is run as a formula and no id or amount is changed.

In a report amounts are numbers, which can be added up, unless one has more digits than a number of XLSX holds.

XlsxWriter is imported by whoever calls this, before anything is sent (results_file.py).
"""

import io
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from runa_cli.core.safe_text import visible

_DIGITS = 15  # of a number
_WIDEST, _NARROWEST = 40, 12  # characters that a column shows
_WIDTHS = {"email": 32, "products": 24, "order_id": 32, "item_id": 32, "payout_url": 66, "expiry_date": 28, "error": 40}


def write_xlsx(
    stream: BinaryIO,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    directory: Path,
    *,
    sheet: str = "Results",
    numbers: Collection[int] = (),
) -> None:
    """Write a workbook of one sheet. The rows wait in a temporary file in the directory, not in memory.

    `numbers` are the indexes of columns whose cells are numbers.

    Raises OSError, and ValueError for more than a sheet holds.
    """
    with tempfile.TemporaryDirectory(dir=directory, prefix=".xlsx.") as temporary:
        workbook = Workbook(stream, {"constant_memory": True, "tmpdir": temporary})
        workbook.use_zip64()
        made = workbook.add_worksheet(sheet)
        with closing(made.row_data_fh):  # which XlsxWriter closes only if all goes well
            styles = {
                places: workbook.add_format({"num_format": f"0.{'0' * places}".rstrip(".")}) for places in range(5)
            }
            _fill(made, header, rows, bold=workbook.add_format({"bold": True}), numbers=dict.fromkeys(numbers, styles))
            try:
                workbook.close()
            except FileCreateError as error:
                raise error.args[0] from error  # the OSError that it wraps


def workbook_of(rows: Sequence[Sequence[str]], *, numbers: int) -> bytes:
    """Return a workbook of one sheet to fill in, whose column at index `numbers` holds numbers below its heading."""
    stream = io.BytesIO()
    with Workbook(stream, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("Gifts")
        bold, amount = workbook.add_format({"bold": True}), workbook.add_format({"num_format": "0.00"})
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(rows[0]) - 1, 2 * _NARROWEST)
        sheet.set_column(numbers, numbers, _NARROWEST, amount)
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                if row and column == numbers:
                    sheet.write_number(row, column, float(cell), amount)
                else:
                    _write(sheet, row, column, cell, None if row else bold)
    return stream.getvalue()


def _fill(
    sheet: Worksheet,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    bold: Format,
    numbers: Mapping[int, Mapping[int, Format]],
) -> None:
    sheet.freeze_panes(1, 0)
    sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})  # all cells
    for column, heading in enumerate(header):
        sheet.set_column(column, column, _WIDTHS.get(heading) or min(max(len(heading) + 2, _NARROWEST), _WIDEST))
        _write(sheet, 0, column, heading, bold)
    for row, cells in enumerate(rows, 1):
        for column, cell in enumerate(cells):
            style = numbers[column].get(_decimals(cell)) if column in numbers and _is_exact(cell) else None
            if style is None:
                _write(sheet, row, column, cell)
            else:
                sheet.write_number(row, column, float(cell), style)


def _is_exact(cell: str) -> bool:
    """Tell whether a number of XLSX, which has 15 digits, is the same as the text."""
    return bool(cell) and sum(map(str.isdigit, cell)) <= _DIGITS


def _decimals(cell: str) -> int:
    return len(cell.partition(".")[2])


def _write(sheet: Worksheet, row: int, column: int, cell: str, style: Format | None = None) -> None:
    text = visible(cell)
    if text.startswith("<r>") and text.endswith("</r>"):
        text += " "  # XlsxWriter takes such a text for its own XML, which could hold a formula
    if sheet.write_string(row, column, text, style):
        raise ValueError(f"row {row} or one of its cells is more than a sheet of XLSX holds")
