"""The rows of a worksheet, cell by cell as the spreadsheet shows them. Loaded only where a workbook is read."""

from collections.abc import Iterator
from datetime import date, time, timedelta
from functools import lru_cache
from typing import Any

from msgspec import Struct
from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

from runa_cli.input.number_format import shown_date, shown_number
from runa_cli.input.table import NO_VALUE

_MOST_COLUMNS = 16_384


class SheetRow(Struct):
    """A row: its number from 1, whether it is hidden, and its cells up to the last that holds something."""

    number: int
    is_hidden: bool
    cells: list[str]
    hidden_columns: set[int]  # indexes, the same in every row


class _Parser(WorkSheetParser):
    """openpyxl's own reader of rows, which says in addition what is hidden, and which formula has no value.

    Its public interface says neither, and keeps the attributes of every row in memory.
    """

    is_hidden = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.hidden_columns: set[int] = set()

    def parse_column_dimensions(self, col: Any) -> Any:
        if col.get("hidden") in {"1", "true"}:
            last = min(int(col.get("max")), _MOST_COLUMNS)
            self.hidden_columns.update(range(int(col.get("min")) - 1, last))

    def parse_row(self, row: Any) -> Any:
        self.is_hidden = row.get("hidden") in {"1", "true"}
        parsed = super().parse_row(row)
        self.row_dimensions.clear()
        return parsed

    def parse_cell(self, element: Any) -> Any:
        cell = super().parse_cell(element)
        if cell["value"] is None and element.find(FORMULA_TAG) is not None:
            cell["value"] = NO_VALUE
        return cell


def rows_of(sheet: Any) -> Iterator[SheetRow]:
    """Yield the rows of a sheet of a workbook that was opened read-only. Raises what openpyxl raises."""
    workbook = sheet.parent
    with sheet._get_source() as source:  # noqa: SLF001 - as openpyxl's own iteration does it
        parser = _Parser(
            source,
            sheet._shared_strings,  # noqa: SLF001
            data_only=True,
            epoch=workbook.epoch,
            date_formats=workbook._date_formats,  # noqa: SLF001
            timedelta_formats=workbook._timedelta_formats,  # noqa: SLF001
        )
        hidden: set[int] = parser.hidden_columns
        number_format = lru_cache(maxsize=None)(lambda style: ReadOnlyCell(sheet, 1, 1, None, "n", style).number_format)
        for number, cells in parser.parse():
            texts: list[str] = []
            for cell in cells:
                if (value := cell["value"]) is None:
                    continue
                index = cell["column"] - 1
                texts.extend([""] * (index - len(texts)))
                texts.append(value if isinstance(value, str) else _shown(value, number_format(cell["style_id"])))
            yield SheetRow(number, parser.is_hidden, texts, hidden)


def _shown(value: Any, number_format: str) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, date | time | timedelta):
        return shown_date(value, number_format)
    shown = shown_number(value, number_format)
    return f"{value} ({number_format})" if shown is None else shown
