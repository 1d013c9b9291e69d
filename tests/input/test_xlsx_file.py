"""Workbooks as LibreOffice, XlsxWriter and openpyxl write them; their cells are read as they are shown."""

import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from runa_cli.input.plan import Plan
from runa_cli.input.reader import from_file
from runa_cli.input.request import OrderInput
from tests.support.plans import gifts, items, mistakes, read

SHEETS = Path(__file__).parent / "sheets"  # saved by LibreOffice 7.4
ADVICE = "open the workbook in its program and save it"
ANN, BEN = "ann@example.test", "ben@example.test"
ROWS: list[list[object]] = [["Name", "Work Email", "Reward Amount"], ["Ann", ANN, 25], ["Ben", BEN, 12.5]]


def workbook(fill: Callable[[Any, Any], None], name: str = "Gifts") -> bytes:
    """Return a workbook of XlsxWriter with one sheet."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        fill(book, book.add_worksheet(name))
    return stream.getvalue()


def written(rows: list[list[object]] = ROWS) -> bytes:
    """Return a workbook with these cells."""

    def fill(_: Any, sheet: Any) -> None:
        for index, cells in enumerate(rows):
            sheet.write_row(index, 0, cells)

    return workbook(fill)


def formatted(value: object, number_format: str) -> bytes:
    """Return a workbook whose amount has a number format."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["email", "amount", "note"])
        sheet.write_string(1, 0, ANN)
        sheet.write(1, 1, value, book.add_format({"num_format": number_format}))

    return workbook(fill)


def plan_of(content: bytes, **given: Any) -> Plan:
    return read(content, **{"products": ("AMZ-US",), **given})


def values(plan: Plan) -> list[Decimal]:
    return [item["face_value"] for item in items(plan)]


# --- cells as they are shown -------------------------------------------------------------------------------------


def test_a_workbook_is_known_by_its_content_and_read_like_a_list() -> None:
    plan = plan_of(written())
    assert ("Name",) == plan.columns
    made = gifts(plan)
    assert [("Ann",), ("Ben",)] == [tuple(gift.carried) for gift in made]
    assert ['{"face_value":25,', '{"face_value":12.5'] == [gift.item[:17] for gift in made[:1]] + [made[1].item[:18]]


def test_a_file_is_read_too_and_named_with_the_cell_of_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "gifts.xlsx"
    path.write_bytes(written([*ROWS, ["Cleo", "cleo@example.test", "x"]]))
    found = mistakes(lambda: from_file(OrderInput(file=str(path), products=("AMZ-US",))))
    assert [f'{path}, cell C4, column Reward Amount: must be a number, found "x".'] == found


@pytest.mark.parametrize(
    ("value", "number_format", "expected"),
    [
        (1500, "#,##0.00", "1500.00"),
        (25, "$#,##0.00", "25.00"),
        (33.333333, "0.00", "33.33"),
        (25, "_($* #,##0.00_);_($* (#,##0.00)", "25.00"),
        ("25.00 USD", "@", "25.00"),
    ],
)  # fmt: skip
def test_an_amount_is_the_one_that_is_shown(value: object, number_format: str, expected: str) -> None:
    (item,) = items(plan_of(formatted(value, number_format)))
    assert expected == item["face_value"].text


@pytest.mark.parametrize(
    ("value", "number_format", "expected"),
    [
        (0.25, "0%", 'must be a number, found "25%"'),
        (25, "#,##0.00 [$€-407]", "is in €, but the gift is in USD"),
        (25, "dd.mm.yyyy", 'must be a number, found "25.01.1900"'),
        (25, "# ?/?", 'must be a number, found "25 (# ?/?)"'),
        (33.333, "General", 'must be a number, found "33.333"'),
        (33.3333, "General", "must have at most 2 decimal places, found 33.3333"),
        (True, "General", 'must be a number, found "TRUE"'),
        ("25,00", "@", 'must be a number, found "25,00"'),
    ],
)
def test_what_is_shown_as_something_else_than_an_amount_is_a_mistake_with_its_cell(
    value: object, number_format: str, expected: str
) -> None:
    (found,) = mistakes(lambda: plan_of(formatted(value, number_format)))
    assert found.startswith(f"stdin, cell B2, column amount: {expected}")


def test_carried_cells_keep_zeros_and_dates_as_they_are_shown() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["email", "amount", "badge", "since", "active", "empty"])
        sheet.write_row(1, 0, [ANN, 25])
        sheet.write_number(1, 2, 7, book.add_format({"num_format": "000"}))
        sheet.write_datetime(1, 3, datetime(2020, 11, 30), book.add_format({"num_format": "dd.mm.yyyy"}))  # noqa: DTZ001
        sheet.write_boolean(1, 4, True)

    (gift,) = gifts(plan_of(workbook(fill)))
    assert ["007", "30.11.2020", "TRUE", ""] == list(gift.carried)


@pytest.mark.parametrize(("cell", "expected"), [("=NA()", "holds an error, #N/A"), ("=1/0", "holds an error, #DIV/0!")])
@pytest.mark.parametrize("column", [0, 1])
def test_an_error_cell_is_a_mistake_in_any_field(cell: str, expected: str, column: int) -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["email", "amount"])
        sheet.write_row(1, 0, [ANN, 25])
        sheet.write_formula(1, column, cell, None, expected.rpartition(" ")[2])

    (found,) = mistakes(lambda: plan_of(workbook(fill)))
    assert f"stdin, cell {'AB'[column]}2, column {('email', 'amount')[column]}: {expected}." == found


def test_a_formula_counts_with_its_value_and_is_a_mistake_without_one() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["email", "amount"])
        sheet.write_string(1, 0, ANN)
        sheet.write_formula(1, 1, "=5*5", None, 25)

    assert [Decimal(25)] == values(plan_of(workbook(fill)))
    book, stream = openpyxl.Workbook(), io.BytesIO()  # which writes formulas without their values
    for cells in (["email", "amount"], [ANN, "=5*5"], [BEN, 5]):
        book.active.append(cells)  # type: ignore[union-attr]  # a new workbook has a sheet
    book.save(stream)
    found = mistakes(lambda: plan_of(stream.getvalue()))
    assert [f"stdin, cell B2, column amount: holds a formula whose value is not in the file: {ADVICE}."] == found


# --- rows and sheets ---------------------------------------------------------------------------------------------


def test_titles_totals_and_empty_rows_are_treated_as_in_any_list() -> None:
    rows: list[list[object]] = [["Bonus"], [], *ROWS, [], ["Total", "", 37.5]]
    (found,) = mistakes(lambda: plan_of(written(rows)))
    assert "stdin, line 1: is no header, and row 3 looks like one: add --header-row 3" in found
    (found,) = mistakes(lambda: plan_of(written(rows), header_row=3))
    assert "stdin, line 7 (row 3): looks like a row of totals (Total): delete it." == found


def test_a_row_that_a_filter_hides_is_not_issued_in_silence() -> None:
    def fill(_: Any, sheet: Any) -> None:
        for index, cells in enumerate([*ROWS, ["Cleo", "cleo@example.test", 5]]):
            sheet.write_row(index, 0, cells)
        sheet.set_row(1, None, None, {"hidden": True})
        sheet.set_row(9, None, None, {"hidden": True})

    found = mistakes(lambda: plan_of(workbook(fill)))
    assert ["stdin, line 2: is hidden, perhaps by a filter: show it, or delete it if it is not meant."] == found


def test_a_hidden_column_is_not_used_in_silence() -> None:
    def fill(_: Any, sheet: Any) -> None:
        for index, cells in enumerate([["Work Email", "Amount", "Team"], [ANN, 100, "north"]]):
            sheet.write_row(index, 0, cells)
        sheet.set_column("B:C", None, None, {"hidden": True})

    (found,) = mistakes(lambda: plan_of(workbook(fill)))
    assert (
        "stdin, cell B1, column Amount: is hidden in the sheet, and would be used: show it,"
        " or add --column face_value=Amount if it is meant."
    ) == found
    assert [Decimal(100)] == values(plan_of(workbook(fill), columns=(("face_value", "Amount"),)))


def two_sheets(*, hidden: bool = False) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        for name in ("Notes", "Gifts"):
            sheet = book.add_worksheet(name)
            for index, cells in enumerate(ROWS if name == "Gifts" else [["x"]]):
                sheet.write_row(index, 0, cells)
            if hidden and name == "Notes":
                sheet.very_hidden()
        book.worksheets()[1].activate()
        book.worksheets()[1].set_first_sheet()
    return stream.getvalue()


@pytest.mark.parametrize("hidden", [False, True])
def test_of_several_sheets_the_one_is_read_that_is_named(hidden: bool) -> None:
    content = two_sheets(hidden=hidden)
    expected = "has several sheets: say which with --sheet, one of 'Notes', 'Gifts'"
    assert [f"stdin: {expected}."] == mistakes(lambda: plan_of(content))
    assert [Decimal(25), Decimal("12.5")] == values(plan_of(content, sheet="gifts"))
    found = mistakes(lambda: plan_of(content, sheet="Gift"))
    assert ["--sheet: there is no sheet 'Gift': the sheets are 'Notes', 'Gifts'."] == found


def test_a_pipe_is_read_too() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self._content = io.BytesIO(written())

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._content.readinto(buffer)

    plan = from_file(OrderInput(products=("AMZ-US",)), io.BufferedReader(Pipe()))
    assert [Decimal(25), Decimal("12.5")] == values(plan)


# --- files that cannot be read -----------------------------------------------------------------------------------


def without(member: str) -> bytes:
    """Return a workbook that lacks a part."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(written())) as whole, zipfile.ZipFile(stream, "w") as rest:
        for name in whole.namelist():
            if name != member:
                rest.writestr(name, whole.read(name))
    return stream.getvalue()


def unpacked_too_large() -> bytes:
    stream = io.BytesIO(written())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/media/a", "w") as member:
        for _ in range(201):
            member.write(bytes(1_000_000))
    return stream.getvalue()


def open_document() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", "<office:document-content/>")
    return stream.getvalue()


def test_an_old_workbook_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "gifts.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512))
    (found,) = mistakes(lambda: from_file(OrderInput(file=str(path))))
    assert found.startswith(f"{path}: is protected by a password, or of an Excel older than 2007: save it as .xlsx")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "is protected by a password, or of an Excel older"),
        (lambda: b"email,amount\n", "is not an XLSX workbook: File is not a zip file."),
        (lambda: written()[:-100], "is not an XLSX workbook: File is not a zip file."),
        (lambda: without("xl/worksheets/sheet1.xml"), "has no sheet with cells."),
        (lambda: without("xl/workbook.xml"), "is damaged, or no workbook that can be read ("),
        (lambda: without("xl/sharedStrings.xml"), "is damaged, or no workbook that can be read ("),
        (open_document, "is an OpenDocument sheet: save it as .xlsx."),
        (unpacked_too_large, "has 201 MB unpacked, and at most 200 MB are read"),
    ],
)
def test_a_file_that_is_no_workbook_is_refused_with_its_reason(content: Callable[[], bytes], expected: str) -> None:
    (found,) = mistakes(lambda: plan_of(content(), file_format="xlsx"))
    assert found.startswith(f"stdin: {expected}")


# --- what LibreOffice writes -------------------------------------------------------------------------------------


def libre(name: str, **given: Any) -> Plan:
    return from_file(OrderInput(file=str(SHEETS / name), **{"products": ("ADAS-DE",), **given}))


def test_a_german_list_of_libreoffice_becomes_the_right_gifts() -> None:
    made = gifts(libre("list-german.xlsx"))
    assert ["007", "012"] == [gift.reference for gift in made]
    assert [("Änne Müller", "11/30/20"), ("Jörg Groß", "02/01/21")] == [tuple(gift.carried) for gift in made]
    assert ['{"face_value":25,', '{"face_value":50.'] == [gift.item[:17] for gift in made]


def test_a_french_list_of_libreoffice_becomes_the_right_gifts() -> None:
    assert [Decimal(25), Decimal("1250.5")] == values(libre("list-french.xlsx"))


def test_a_payroll_with_title_and_sum_is_refused_until_they_are_dealt_with() -> None:
    (found,) = mistakes(lambda: libre("payroll-german.xlsx"))
    assert found.endswith("add --header-row 3, or delete the rows above it.")
    (found,) = mistakes(lambda: libre("payroll-german.xlsx", header_row=3))
    assert found.endswith("looks like a row of totals (Summe): delete it.")
