"""What `--results`, `-o csv` and `batch export` write: as the input was written, each heading once, beside no money."""

import csv
import io
import json

import pytest

from runa_cli.ledger.results import COLUMNS, carried_headings
from tests.conftest import Emulate
from tests.support.program import Program
from tests.support.ran import Ran

BOM = "\ufeff"
SEMICOLONS = "face_value;email;product;note\r\n12,50;ann@example.com;AMZ-US;a, b\r\n"


def issue(program: Program, text: str, *more: str) -> Ran:
    """Issue the gifts of a file, whose text is written byte by byte."""
    path = program.home / "gifts.csv"
    path.write_bytes(text.encode())
    return program("order", "create", "--file", str(path), "--batch", "bonus", *more)


@pytest.mark.parametrize("bom", ["", BOM])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_csv_results_have_the_separator_and_the_byte_order_mark_of_the_input(
    program: Program, emulate: Emulate, mark: str, bom: str
) -> None:
    """Else a spreadsheet that read the input shows the results in one column, or with broken letters."""
    emulate()
    heading = mark.join(("face_value", "email", "product", "note"))
    ran = issue(
        program, f"{bom}{heading}\n10{mark}ann@example.com{mark}AMZ-US{mark}naïve\n", "--results", "r.csv", "-o", "csv"
    )
    assert 0 == ran.code, ran.err
    assert ran.out.startswith(f"{bom}row{mark}reference{mark}email{mark}")
    assert ran.out.endswith(f"{mark}naïve\n")
    assert ran.out == (program.home / "r.csv").read_text(encoding="utf-8")


def test_an_export_long_after_follows_the_input_too(program: Program, emulate: Emulate) -> None:
    emulate()
    shown = issue(program, BOM + SEMICOLONS, "-o", "csv")
    assert shown.out == program("batch", "export", "bonus", "-o", "csv").out
    assert shown.out.startswith(f"{BOM}row;reference;email;")


def test_an_input_that_was_saved_again_in_another_dialect_is_followed_from_then_on(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    assert 0 == issue(program, BOM + SEMICOLONS).code
    assert issue(program, "face_value,email,product\n12.50,ann@example.com,AMZ-US\n", "-o", "csv").out.startswith(
        "row,"
    )
    assert program("batch", "export", "bonus", "-o", "csv").out.startswith("row,reference,")


def test_by_reference_follows_the_input_too(program: Program, emulate: Emulate) -> None:
    emulate()
    text = "reference;face_value;email;product\nid-1;10;ann@example.com;AMZ-US\n"
    ran = issue(program, text, "--by-reference", "--results", "r.csv", "-o", "csv")
    assert ran.out.startswith("row;reference;")
    assert ran.out == (program.home / "r.csv").read_text()


def test_a_separator_that_nobody_would_guess_is_named_and_the_results_are_read_again(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    ran = issue(
        program, "sep=!\nface_value!email!product\n10!ann@example.com!AMZ-US\n", "--results", "r.csv", "-o", "csv"
    )
    assert ran.out.startswith("sep=!\nrow!reference!")
    again = program("order", "create", "--file", "r.csv", "--batch", "bonus", "-o", "csv")
    assert (0, ran.out) == (again.code, again.out)


def test_results_of_flags_and_of_json_are_plain_csv(program: Program, emulate: Emulate) -> None:
    emulate()
    item = '[{"face_value": 10, "products": {"type": "SINGLE", "value": "AMZ-US"}}]'
    for ran in (
        program("order", "create", "--face-value", "10", "--product", "AMZ-US", "-o", "csv"),
        program("order", "create", "--file", "-", "--again", "-o", "csv", stdin=item),
    ):
        assert ran.out.startswith("row,reference,email,")


# --- headings --------------------------------------------------------------------------------------------------------

OWN_NAMES = "face_value,email,product,status,Price,note,note, Row\n10,ann@example.com,AMZ-US,new,9.99,a,b,7\n"
CARRIED = {"status (input)": "new", "Price (input)": "9.99", "note": "a", "note (2)": "b", "Row (input)": "7"}


def headings_of(text: str) -> list[str]:
    return next(csv.reader(io.StringIO(text)))


def test_a_column_that_is_called_as_one_of_the_results_own_gets_another_heading(
    program: Program, emulate: Emulate
) -> None:
    """Whoever reads the results by their headings would else get the input's status for Runa's."""
    emulate()
    ran = issue(program, OWN_NAMES, "--results", "r.csv", "-o", "csv")
    assert [*COLUMNS, "status (input)", "Price (input)", "note", "note (2)", " Row (input)"] == headings_of(ran.out)
    (row,) = csv.DictReader(io.StringIO((program.home / "r.csv").read_text()))
    assert ("1", "ACTIVE", "10.00") == (row["row"], row["status"], row["price"])
    assert CARRIED == {name.strip(): cell for name, cell in row.items() if name not in COLUMNS}


def test_gifts_have_the_same_headings_and_no_cell_replaces_another(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == issue(program, OWN_NAMES, "--quiet").code
    gift = json.loads(program("batch", "export", "bonus", "-o", "gifts").out)
    assert CARRIED == {name.strip(): cell for name, cell in gift["carried"].items()}


def test_results_with_such_headings_are_the_same_list_when_they_are_handed_back(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    first = issue(program, OWN_NAMES, "--results", "r.csv", "-o", "csv")
    again = program("order", "create", "--file", "r.csv", "--batch", "bonus", "-o", "csv")
    assert (0, first.out) == (again.code, again.out)


def test_two_columns_of_one_name_keep_their_cells_when_gifts_are_added_by_reference(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    heading = "reference,face_value,product,note,note\n"
    for row in ("id-1,10,AMZ-US,a,b\n", "id-2,10,AMZ-US,c,d\n"):
        assert 0 == issue(program, heading + row, "--by-reference").code
    rows = [*csv.reader(io.StringIO(program("batch", "export", "bonus", "-o", "csv").out))]
    assert [["note", "note (2)"], ["a", "b"], ["c", "d"]] == [row[-2:] for row in rows]


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        ((), ()),
        (("team", "Team"), ("team", "Team (2)")),
        (("", "", " "), ("", "(2)", "(3)")),
        (("status", "status"), ("status (input)", "status (input) (2)")),
        (("status (input)", "status"), ("status (input)", "status (input) (2)")),
        (("a (2)", "a", "a"), ("a (2)", "a", "a (3)")),
    ],
)
def test_no_two_headings_of_carried_columns_are_the_same(columns: tuple[str, ...], headings: tuple[str, ...]) -> None:
    assert headings == carried_headings(columns)


# --- another account -------------------------------------------------------------------------------------------------


def test_an_export_under_another_key_needs_a_yes(program: Program, emulate: Emulate) -> None:
    """The links are cash of the account that paid for them."""
    emulate()
    program.env["RUNA_ENV"] = "playground"
    first = issue(program, SEMICOLONS, "-o", "csv")
    other = {"RUNA_API_KEY": "xxother.key~secret"}
    refused = program("batch", "export", "bonus", "-o", "csv", **other)
    assert (6, "") == (refused.code, refused.out)
    assert "was issued under the key xxtests.…, and this is xxother.…. Nothing was shown." in refused.err
    assert first.out == program("batch", "export", "bonus", "-o", "csv", "--yes", **other).out
    assert first.out == program("batch", "export", "bonus", "-o", "csv", RUNA_API_KEY="").out
