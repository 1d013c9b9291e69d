"""XLSX workbooks: opens one, chooses its sheet, and yields the rows."""

import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any, BinaryIO, NoReturn, Self

from runa_cli.core.dialect import PLAIN
from runa_cli.core.extras import missing_for_xlsx
from runa_cli.input.decoding import OLD_WORKBOOK
from runa_cli.input.problems import Place, Problems
from runa_cli.input.table import Record

_MOST_UNPACKED = 200_000_000  # bytes
_ROWS_AT_ONCE = 200


class XlsxTable:
    """One sheet of a workbook; the workbook is opened at once, the rows are read as they are iterated."""

    is_defused = False  # its cells are text, which is never a formula
    dialect = PLAIN  # amounts that are numbers have no comma, and text tells nothing of how they are written

    def __init__(self, stream: BinaryIO, name: str, problems: Problems, sheet: str | None = None) -> None:
        self.name = name
        self._problems = problems
        _check_installed()
        self.hidden_columns: set[int] = set()
        self._open_files = ExitStack()
        try:
            self._stream = self._seekable(stream)
            self._check_container()
            self._workbook = self._open()
            self._sheet = self._choose(sheet)
        except BaseException:
            self._open_files.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open_files.close()

    def records(self) -> Iterator[Record]:
        """Yield the rows that there are. Stops with a problem where the workbook is damaged."""
        from runa_cli.input.xlsx_rows import rows_of

        rows = rows_of(self._sheet)
        while True:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about parts of a workbook that are not read here
                    some = list(islice(rows, _ROWS_AT_ONCE))
            except Exception as error:  # noqa: BLE001 - openpyxl raises whatever a damaged part leads to
                self._damaged(error)
            if not some:
                return
            self.hidden_columns = some[-1].hidden_columns
            for row in some:
                if row.is_hidden and any(map(str.strip, row.cells)):
                    self._problems.add(
                        self.place(row.number),
                        "is hidden, perhaps by a filter: show it, or delete it if it is not meant",
                    )
                yield Record(row.number, row.cells)

    def place(self, line: int, *, row: int | None = None, index: int | None = None, column: str | None = None) -> Place:
        """Return the place of a row or of its cell."""
        from openpyxl.utils import get_column_letter

        cell = None if index is None else f"{get_column_letter(index + 1)}{line}"
        return Place(file=self.name, line=line, row=row, cell=cell, column=column)

    # --- opening -------------------------------------------------------------------------------------------------

    def _seekable(self, stream: BinaryIO) -> BinaryIO:
        """Return the stream, or a temporary file with its content where it is a pipe."""
        if stream.seekable():
            return stream
        copy = self._open_files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the table
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        return copy

    def _check_container(self) -> None:
        start = self._stream.read(4)
        self._stream.seek(0)
        place = Place(file=self.name)
        if start == OLD_WORKBOOK:
            self._problems.stop(
                place, "is protected by a password, or of an Excel older than 2007: save it as .xlsx without a password"
            )
        try:
            with zipfile.ZipFile(self._stream) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
                is_other = "[Content_Types].xml" not in archive.namelist() and "content.xml" in archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            self._problems.stop(place, f"is not an XLSX workbook: {error}")
        if is_other:
            self._problems.stop(place, "is an OpenDocument sheet: save it as .xlsx")
        if unpacked > _MOST_UNPACKED:
            self._problems.stop(
                place,
                f"has {unpacked / 1e6:,.0f} MB unpacked, and at most {_MOST_UNPACKED / 1e6:,.0f} MB are read:"
                " delete what is not needed, or save the sheet as CSV",
            )

    def _open(self) -> Any:
        from openpyxl import load_workbook

        self._stream.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                workbook = load_workbook(self._stream, read_only=True, data_only=True, keep_links=False)
        except Exception as error:  # noqa: BLE001 - openpyxl raises whatever a damaged part leads to
            self._damaged(error)
        self._open_files.callback(workbook.close)
        return workbook

    def _choose(self, wanted: str | None) -> Any:
        sheets = self._workbook.worksheets
        names = ", ".join(repr(sheet.title) for sheet in sheets)
        if wanted is not None:
            plain = wanted.strip().casefold()
            found = [sheet for sheet in sheets if sheet.title == wanted] or [
                sheet for sheet in sheets if sheet.title.strip().casefold() == plain
            ]
            if not found:
                self._problems.stop(Place(flag="--sheet"), f"there is no sheet {wanted!r}: the sheets are {names}")
            return found[0]
        if not sheets:
            self._problems.stop(Place(file=self.name), "has no sheet with cells")
        if len(sheets) > 1:
            self._problems.stop(Place(file=self.name), f"has several sheets: say which with --sheet, one of {names}")
        if sheets[0].sheet_state != "visible":
            place = Place(file=self.name)
            self._problems.stop(place, f"has only a hidden sheet: if it is meant, add --sheet {names}")
        return sheets[0]

    def _damaged(self, error: Exception) -> NoReturn:
        reason = f"{type(error).__name__}: {error}".split("\n", 1)[0][:100]
        self._problems.stop(Place(file=self.name), f"is damaged, or no workbook that can be read ({reason})")


def _check_installed() -> None:
    try:
        import openpyxl  # noqa: F401 - loaded before the input is read
    except ImportError as error:
        raise missing_for_xlsx("Reading XLSX", "openpyxl", "save the sheet as CSV UTF-8") from error
