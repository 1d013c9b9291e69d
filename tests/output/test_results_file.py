"""The file of `--results`: XLSX whose cells are text, and what is refused before anything is sent."""

import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from runa_cli.core.errors import InputError
from runa_cli.ledger.results import COLUMNS
from runa_cli.output.results_file import MOST_CELL, check_fits
from runa_cli.output.xlsx_format import write_xlsx
from tests.conftest import Emulate
from tests.support.program import GIFT, Program, links_at, posts
from tests.support.system_faults import without_privileges

INJECTED = '<r></is></c><c r="Z9"><f>HYPERLINK("https://example.com")</f></c><c t="inlineStr" r="Y9"><is></r>'
HEADING = "face_value,reference,product,note\n"


def cells_of(path: Path | io.BytesIO) -> list[list[Any]]:
    """Read a workbook as another program would, formulas as formulas; an empty text is None."""
    with closing(openpyxl.load_workbook(path, read_only=True)) as workbook:
        (sheet,) = workbook.worksheets
        return [[cell.value for cell in row] for row in sheet.iter_rows()]


def written(directory: Path, *rows: list[str]) -> io.BytesIO:
    stream = io.BytesIO()
    write_xlsx(stream, ["row", "note"], rows, directory)
    return stream


# --- XLSX ------------------------------------------------------------------------------------------------------------


def test_a_name_that_ends_in_xlsx_makes_a_workbook_for_the_owner_alone(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    rows = "".join(f'10,E{number:03},AMZ-US,"=1+{number}"\n' for number in range(1, 4))
    ran = program("order", "create", "--file", "-", "--results", "Links.XLSX", "-o", "links", stdin=HEADING + rows)
    assert 0 == ran.code, ran.err
    path = program.home / "Links.XLSX"
    header, *results = cells_of(path)
    assert [*COLUMNS, "note"] == header
    assert [("1", "E001", "10.00", "=1+1"), ("2", "E002", "10.00", "=1+2"), ("3", "E003", "10.00", "=1+3")] == [
        (row[0], row[1], row[3], row[-1]) for row in results
    ]
    assert links_at(emulator) == {row[header.index("payout_url")] for row in results} == set(ran.out.split())
    assert 0o600 == path.stat().st_mode & 0o777
    assert [] == [found for found in program.home.iterdir() if "xlsx" in found.name.lower() and found != path]


def test_an_export_writes_the_same_file_later(program: Program, emulate: Emulate) -> None:
    emulate()
    rows = HEADING + "10,E001,AMZ-US,a\n10,E002,AMZ-US,b\n"
    issue = ("order", "create", "--file", "-", "--batch", "bonus", "--results", "first.xlsx")
    assert 0 == program(*issue, stdin=rows).code
    later = program("batch", "export", "bonus", "-o", "links", "--results", "later.xlsx")
    assert (0, "Results: later.xlsx\n") == (later.code, later.err)
    assert cells_of(program.home / "first.xlsx") == cells_of(program.home / "later.xlsx")
    refused = program("batch", "export", "bonus", "--results", "later.pdf")
    assert (2, "") == (refused.code, refused.out)


@pytest.mark.parametrize(
    "text",
    ["=1+1", "@SUM(A1)", "007", "25.00", "1E5", "2026-11-30", "TRUE", "#N/A", "https://example.com", "{=1}", " a ",
     "a\nb", "<b>&amp;</b>", "日本 🎁"],
)  # fmt: skip
def test_every_cell_is_the_text_that_it_was(tmp_path: Path, text: str) -> None:
    stream = written(tmp_path, ["1", text])
    (sheet,) = openpyxl.load_workbook(stream).worksheets
    assert (text, None) == (sheet["B2"].value, sheet["B2"].hyperlink)
    assert {"inlineStr", "s"} >= {cell.data_type for row in sheet.iter_rows() for cell in row}


def test_no_text_becomes_xml_of_its_own(tmp_path: Path) -> None:
    """XlsxWriter writes what looks like its own XML for formatted text as it is."""
    assert [["row", "note"], ["1", INJECTED + " "]] == cells_of(written(tmp_path, ["1", INJECTED]))


def test_what_nobody_can_see_is_escaped(tmp_path: Path) -> None:
    assert "a\\u202eb\\x00" == cells_of(written(tmp_path, ["1", "a\u202eb\x00"]))[1][1]


def test_more_than_a_cell_holds_is_an_error_and_not_cut(tmp_path: Path) -> None:
    assert "x" * MOST_CELL == cells_of(written(tmp_path, ["1", "x" * MOST_CELL]))[1][1]
    with pytest.raises(ValueError, match="row 1"):
        written(tmp_path, ["1", "x" * (MOST_CELL + 1)])
    assert [] == list(tmp_path.iterdir())


# --- before anything is sent -----------------------------------------------------------------------------------------


def test_without_the_library_it_says_how_to_install_it(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    (program.home / "xlsxwriter.py").write_text("raise ImportError('not installed')\n")
    command = program.command(*GIFT, "--json", "--results")
    missing = {"PYTHONPATH": f"{program.home}:{Path(__file__).parents[2]}"}
    ran = program.execute([*command, "r.xlsx"], **missing)
    assert (4, "no_xlsx", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert "pip install 'runa-cli[excel]'" in ran.error["hint"]
    assert (0, False) == (posts(emulator), program.ledger.exists())
    assert 0 == program.execute([*command, "r.csv"], **missing).code


@pytest.mark.parametrize("flags", [(), ("--dry-run",)], ids=["create", "dry-run"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/r.csv", "No such file or directory"),
        ("a-file/r.csv", "Not a directory"),
        (".", "it is a directory"),
        ("/dev/null", "it is no regular file"),
        ("r.xls", "CSV or XLSX, found .xls"),
        ("r.json", "CSV or XLSX, found .json"),
    ],
)
def test_results_that_could_not_be_written_are_refused_before_anything_is_sent(
    program: Program, emulate: Emulate, name: str, reason: str, flags: tuple[str, ...]
) -> None:
    emulator = emulate()
    (program.home / "a-file").touch()
    ran = program(*GIFT, "--results", name, *flags)
    assert (2, 0, False) == (ran.code, posts(emulator), program.ledger.exists()), ran.err
    assert reason in ran.err
    assert "Nothing was sent." in ran.err


def test_a_directory_that_may_not_be_written_is_no_mistake_in_the_command(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    (program.home / "theirs").mkdir(mode=0o500)
    ran = program.execute(without_privileges(program.command(*GIFT, "--results", "theirs/r.csv", "--json")))
    assert (4, "results_unwritable", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert (0, False) == (posts(emulator), program.ledger.exists())


def test_a_check_leaves_nothing_behind_and_the_old_results_as_they_were(program: Program, emulate: Emulate) -> None:
    emulate()
    path = program.home / "r.csv"
    path.write_text("before")
    assert 0 == program(*GIFT, "--results", "r.csv", "--dry-run").code
    assert "before" == path.read_text()
    assert [] == [found for found in program.home.iterdir() if found.name.startswith(".r.csv")]


@pytest.mark.parametrize(
    ("gifts", "columns", "long_cell", "reason"),
    [
        (1_048_576, 0, None, "1,048,576 rows with their header, and there are 1,048,576 gifts"),
        (1, 16_372, None, "16,384 columns, and there are 16,385"),
        (1, 1, 17, "row 17 carries a longer one"),
    ],
)
def test_what_a_sheet_does_not_hold_is_refused_for_xlsx_and_not_for_csv(
    gifts: int, columns: int, long_cell: int | None, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        check_fits(Path("r.xlsx"), gifts, columns, long_cell)
    check_fits(Path("r.csv"), gifts, columns, long_cell)
    check_fits(Path("r.xlsx"), 1_048_575, 16_371)


def test_a_carried_cell_that_a_sheet_does_not_hold_is_named_before_anything_is_sent(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    whole = HEADING + f"10,a,AMZ-US,{'x' * MOST_CELL}\n"
    command = ("order", "create", "--file", "-", "--batch", "bonus", "--json", "--results")
    ran = program(*command, "r.xlsx", stdin=whole + f"10,b,AMZ-US,{'🎁' * (MOST_CELL // 2 + 1)}\n")
    assert (3, "too_large", 0) == (ran.code, ran.error["code"], posts(emulator))
    assert "row 2" in ran.error["message"]
    assert 0 == program(*command, "r.xlsx", stdin=whole).code
    assert MOST_CELL == len(cells_of(program.home / "r.xlsx")[1][-1])


def test_a_broken_workbook_says_so_and_the_same_command_writes_it(program: Program, emulate: Emulate) -> None:
    emulate()
    directory = program.home / "results"
    directory.mkdir()
    command = (*GIFT, "--batch", "bonus", "--results", "results/r.xlsx", "--json")
    running = program.paused_at("return:Client.create_order", *command)
    running.pauses()
    directory.rmdir()
    running.go_on()
    ran = running.end()
    assert (9, "issued") == (ran.code, ran.error["money"])
    assert json.loads(ran.out)["id"]
    directory.mkdir()
    assert 0 == program(*command).code
    assert 2 == len(cells_of(directory / "r.xlsx"))
