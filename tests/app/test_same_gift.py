"""Never twice, and never another person's link, whatever people do with their files: what counts is what is meant."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from runa_cli.emulator.server import Emulator
from runa_cli.ledger.schema import MIGRATIONS
from tests.conftest import Emulate
from tests.support.csv_files import rows_of
from tests.support.ledgers import make_older
from tests.support.program import Program, behave, links_at, orders_at, posts
from tests.support.ran import Ran

FLAGS = ("order", "create", "--product", "AMZ-US")


@pytest.fixture
def nowhere() -> Iterator[dict[str, str]]:
    """Return the settings of a Runa that nobody reaches: a port that is taken and takes no connection."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield {"RUNA_BASE_URL": f"http://127.0.0.1:{closed.getsockname()[1]}/v2", "RUNA_TIMEOUT": "0.2"}


def issue(program: Program, text: str, *arguments: str, **env: str) -> Ran:
    """Issue what a CSV file says."""
    path = program.home / "gifts.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return program("order", "create", "--file", str(path), *arguments, **env)


def link_of(ran: Ran) -> dict[str, str]:
    """Return the link that is shown beside each reference or address."""
    return {row["reference"] or row["email"]: row["payout_url"] for row in rows_of(ran.out)}


def gifts_at(emulator: Emulator) -> int:
    """Count the gifts that were paid."""
    return sum(len(order["items"]) for order in orders_at(emulator))


# --- the same gift, spelled otherwise ------------------------------------------------------------------------------

ANN = "face_value,email,product\n25.00,ann@example.com,AMZ-US|AIRBNB-US\n"


@pytest.mark.parametrize(
    ("again", "arguments"),
    [
        ("face_value,email,product\r\n25,ann@example.com,AMZ-US|AIRBNB-US\r\n", ()),
        ("face_value,email,product\n25.0, Ann@Example.COM ,AMZ-US|AIRBNB-US\n", ()),
        ("face_value,email,product\n25.00,ann@example.com,AIRBNB-US|AMZ-US\n", ()),
        ("product;email;face_value\nAMZ-US|AIRBNB-US;ann@example.com;25,00\n", ()),
        (ANN, ("--description", "run of Tuesday")),
        (ANN, ("--metadata", "run=Tuesday")),
        (ANN, ("--template-id", "DT-01HPSF51G0ZWHJ3JTNWRH0WDYK")),
        ("face_value,email,product,reference,team\n25.00,ann@example.com,AMZ-US|AIRBNB-US,E001,north\n", ()),
    ],
    ids=[
        "saved again",
        "address",
        "order of codes",
        "order of columns",
        "description",
        "metadata",
        "template",
        "columns",
    ],
)
def test_a_file_that_means_the_same_is_refused(
    program: Program, emulate: Emulate, again: str, arguments: tuple[str, ...]
) -> None:
    emulator = emulate()
    assert 0 == issue(program, ANN).code
    refused = issue(program, again, *arguments, "--json")
    assert (6, "duplicate", "not_issued") == (refused.code, refused.error["code"], refused.error["money"])
    assert 1 == posts(emulator) == gifts_at(emulator)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("--face-value", "30", "--email", "ann@example.com"), ("--face-value", "30.00", "--email", "ANN@example.com")),
        (("--face-value", "9", "--email", "e\u0301ve@a.test"), ("--face-value", "9", "--email", "\u00e9ve@a.test")),
        (("--face-value", "9", "--email", "a@b\u00fccher.de"), ("--face-value", "9", "--email", "a@xn--bcher-kva.de")),
        (("--face-value", "30", "--quantity", "2"), ("--face-value", "30.0", "--quantity", "2", "--description", "x")),
    ],
    ids=["amount and case", "composed letters", "domain", "links"],
)  # fmt: skip
def test_flags_that_mean_the_same_are_refused_for_ten_minutes(
    program: Program, emulate: Emulate, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    emulator = emulate()
    assert 0 == program(*FLAGS, *first).code
    assert 6 == program(*FLAGS, *second).code
    assert 1 == posts(emulator)


def test_the_same_gift_of_unknown_outcome_is_resumed_under_its_own_key(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    first = (*FLAGS, "--face-value", "10", "--email", "fred@example.com")
    assert -9 == program.killed_at("return:Client.create_order", *first).code
    ran = program(*FLAGS, "--face-value", "10.00", "--email", "Fred@Example.com", "--json")
    assert 0 == ran.code, ran.err
    assert 1 == gifts_at(emulator)
    assert ["completed"] == program.states()


# --- references that a spreadsheet changed ---------------------------------------------------------------------------

MAILED = "face_value,email,reference\n25,ann@example.com,007\n25,ben@example.com,E08\n"
LABELLED = "face_value,reference\n25,007\n25,E08\n"
ONE_PRODUCT = ("--product", "AMZ-US")


@pytest.mark.parametrize("text", [MAILED, LABELLED], ids=["mailed", "links"])
@pytest.mark.parametrize("respelled", ["7", "7.0", "07"])
def test_a_list_whose_references_a_spreadsheet_changed_is_refused(
    program: Program, emulate: Emulate, text: str, respelled: str
) -> None:
    emulator = emulate()
    assert 0 == issue(program, text, *ONE_PRODUCT).code
    changed = text.replace("007", respelled).replace("E08", "e08")
    planned = issue(program, changed, *ONE_PRODUCT, "--dry-run", "--json")
    refused = issue(program, changed, *ONE_PRODUCT, "--json")
    assert (6, "duplicate", "not_issued") == (refused.code, refused.error["code"], refused.error["money"])
    assert f"row 1: {respelled}, recorded as 007" in refused.error["message"]
    assert "row 2: e08, recorded as E08" in refused.error["message"]
    assert "--again" in refused.error["hint"]
    assert (planned.code, planned.error) == (refused.code, refused.error)
    assert 1 == posts(emulator)
    assert 0 == issue(program, changed, *ONE_PRODUCT, "--again").code
    assert 2 == posts(emulator)


def test_a_changed_reference_is_refused_while_the_list_is_unfinished_and_after_it_was_pruned(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    assert -9 == issue_killed(program, MAILED, "return:Orders.mark_sent")
    assert 6 == issue(program, MAILED.replace("007", "7"), *ONE_PRODUCT).code
    assert 0 == program("batch", "resume", "--all").code
    assert 0 == program("batch", "prune", "--older-than", "0", "--yes").code
    assert 6 == issue(program, MAILED.replace("007", "7"), *ONE_PRODUCT).code


def issue_killed(program: Program, text: str, point: str) -> int:
    path = program.home / "gifts.csv"
    path.write_text(text)
    return program.killed_at(point, "order", "create", "--file", str(path), *ONE_PRODUCT).code


def test_by_reference_a_changed_reference_of_the_same_gift_is_refused(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == issue(program, MAILED, *ONE_PRODUCT, "--by-reference").code
    refused = issue(program, MAILED.replace("007", "7"), *ONE_PRODUCT, "--by-reference", "--json")
    assert (6, "duplicate") == (refused.code, refused.error["code"])
    assert "row 1: 7, recorded as 007" in refused.error["message"]
    assert 1 == posts(emulator)
    other = MAILED.replace("25,ann@example.com,007", "30,ann@example.com,7")
    assert 0 == issue(program, other, *ONE_PRODUCT, "--by-reference").code


def test_under_a_new_name_changed_references_are_noted(program: Program, emulate: Emulate) -> None:
    """As with the same gifts: a name of its own says that they are meant once more."""
    emulate()
    assert 0 == issue(program, MAILED, *ONE_PRODUCT).code
    ran = issue(program, MAILED.replace("007", "7").replace("E08", "E09"), *ONE_PRODUCT, "--batch", "june")
    assert 0 == ran.code
    assert "Warning: 1 of the 2 gifts in this file were issued before" in ran.err


def test_a_ledger_of_an_older_version_learns_which_references_are_alike(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == issue(program, MAILED, *ONE_PRODUCT).code
    assert 0 == issue(program, LABELLED, *ONE_PRODUCT).code
    make_older(program.ledger, 7, program.mark)
    for text in (MAILED, LABELLED):
        assert 6 == issue(program, text.replace("007", "7"), *ONE_PRODUCT).code


# --- links that change hands ---------------------------------------------------------------------------------------

STAFF = "reference,face_value,name\nE001,25,Ann\nE002,25,Ben\nE003,25,Cleo\n"


@pytest.mark.parametrize(
    ("edited", "new"),
    [
        ("reference,face_value,name\nE003,25,Cleo\nE002,25,Ben\nE001,25,Ann\n", 0),
        ("reference,face_value,name\nE000,25,Zoe\nE001,25,Ann\nE002,25,Ben\nE003,25,Cleo\n", 1),
        ("reference,face_value,name\nE001,25,Anne\nE002,25.00,Ben\nE003,25,\n", 0),
    ],
    ids=["sorted", "a row on top", "names changed"],
)
def test_a_link_stays_beside_its_reference(program: Program, emulate: Emulate, edited: str, new: int) -> None:
    emulator = emulate()
    command = ("--product", "AMZ-US", "--batch", "bonus", "-o", "csv")
    before = link_of(issue(program, STAFF, *command))
    after = issue(program, edited, *command)
    assert 0 == after.code, after.err
    assert before == {name: link for name, link in link_of(after).items() if name != "E000"}
    assert before.items() <= link_of(program("batch", "export", "bonus", "-o", "csv")).items()
    assert 3 + new == gifts_at(emulator)


@pytest.mark.parametrize(
    "edited",
    [
        "reference,face_value,name\nE001,25,Ann\nE009,25,Dan\nE003,25,Cleo\n",
        "reference,face_value,name\nE101,25,Dora\nE102,25,Emil\nE103,25,Fay\n",
        "reference,face_value,name\nE002,25,Ben\nE003,25,Cleo\n",
    ],
    ids=["replaced", "another month", "left out"],
)
def test_a_label_that_is_gone_is_named_and_nothing_is_sent(program: Program, emulate: Emulate, edited: str) -> None:
    emulator = emulate()
    command = ("--product", "AMZ-US", "--batch", "bonus")
    assert 0 == issue(program, STAFF, *command).code
    refused = issue(program, edited, *command)
    assert 6 == refused.code
    missing = {"E001", "E002", "E003"} - set(edited.replace("\n", ",").split(","))
    new = set(edited.replace("\n", ",").split(",")) & {"E009", "E101", "E102", "E103"}
    assert [] == [name for name in missing | new if f"25 to {name}" not in refused.err]
    assert 1 == posts(emulator)


def test_links_without_a_reference_are_told_apart_by_all_their_cells(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    command = ("--product", "AMZ-US", "--batch", "bonus", "-o", "csv")
    first = rows_of(issue(program, "face_value,name\n25,Ann\n25,Ben\n", *command).out)
    then = rows_of(issue(program, "face_value,name\n25,Zoe\n25,Ben\n25,Ann\n", *command).out)
    links = {row["name"]: row["payout_url"] for row in then}
    assert {row["name"]: row["payout_url"] for row in first} == {name: links[name] for name in ("Ann", "Ben")}
    assert 3 == len(set(links.values())) == gifts_at(emulator)
    assert 6 == issue(program, "face_value,name\n25,Zoe\n25,Ben\n25,Dan\n", *command).code


@pytest.mark.parametrize("text", ["face_value,name\n10,Al\n10,=Bo\n", STAFF], ids=["links", "mailed"])
def test_the_programs_own_results_are_the_same_list(program: Program, emulate: Emulate, text: str) -> None:
    emulator = emulate()
    path = program.home / "results.csv"
    flags = ("--product", "AMZ-US") if "product" not in text else ()
    assert 0 == issue(program, text, *flags, "--results", str(path)).code
    results = path.read_text()
    ran = program("order", "create", "--file", str(path), "--json")
    assert (6, "duplicate", 1) == (ran.code, ran.error["code"], posts(emulator)), ran.err
    other = program.home / "again.csv"
    assert 0 == program("order", "create", "--file", str(path), "--again", "--results", str(other)).code
    again = other.read_text()
    assert results.splitlines()[0] == again.splitlines()[0]
    assert [row["name"] for row in rows_of(results) if "name" in row] == [
        row["name"] for row in rows_of(again) if "name" in row
    ]


def test_a_reference_that_a_spreadsheet_changed_is_shown_where_the_batch_is_refused(
    program: Program, emulate: Emulate
) -> None:
    """Else the message would show the spelling of the amounts as the only difference, which makes none."""
    emulate()
    text = "face_value,email,reference\n25.00,ann@example.com,007\n"
    assert 0 == issue(program, text, *ONE_PRODUCT, "--batch", "bonus").code
    ran = issue(program, text.replace("25.00", "25").replace("007", "7"), *ONE_PRODUCT, "--batch", "bonus", "--json")
    assert (6, "batch_changed") == (ran.code, ran.error["code"])
    assert "25.00 to ann@example.com, 007 (completed" in ran.error["message"]
    assert "25 to ann@example.com, 7" in ran.error["message"]


def test_a_batch_that_would_refuse_the_file_is_no_way_out(program: Program, emulate: Emulate) -> None:
    emulate()
    text = "face_value,email\n25,ann@gmial.com\n25,ben@example.com\n"
    assert 0 == issue(program, text, *ONE_PRODUCT, "--batch", "bonus").code
    ran = issue(program, text.replace("gmial", "gmail"), *ONE_PRODUCT, "--json")
    assert (6, "duplicate") == (ran.code, ran.error["code"])
    assert "--batch bonus" not in ran.error["hint"]
    ran = issue(program, text + "25,cleo@example.com\n", *ONE_PRODUCT, "--json")
    assert "`--batch bonus` issues only the rows that are new" in ran.error["hint"]


def test_a_name_is_refused_for_gifts_whose_result_nobody_has_seen(program: Program, emulate: Emulate) -> None:
    """The run was killed before it said that they are issued; a name is what a person tries then."""
    emulator = emulate()
    path = program.home / "gifts.csv"
    path.write_text("face_value,email\n25,ann@example.com\n")
    command = ("order", "create", "--file", str(path), *ONE_PRODUCT, "--json")
    program.killed_at("return:Orders.mark_completed", *command)
    ran = program(*command, "--batch", "bonus")
    assert (6, "duplicate", 1) == (ran.code, ran.error["code"], posts(emulator))
    name = ran.error["batch"]
    assert f"`runa batch export {name}` shows it" in ran.error["hint"]
    assert f"1 of the gifts was issued in batch {name}, whose result was not shown yet" in ran.error["message"]
    assert 0 == program("batch", "export", name).code
    assert (0, 2) == (program(*command, "--batch", "bonus").code, posts(emulator))


def test_results_in_a_workbook_are_the_same_list_too(program: Program, emulate: Emulate) -> None:
    """Its cells are as they were in the input: an apostrophe there is no sign of this program's."""
    emulator = emulate()
    path = program.home / "results.xlsx"
    text = "name,email,face_value,note\nAnn,+ann@example.com,10,'=1\nBen,ben@example.com,20,=2\n"
    assert 0 == issue(program, text, "--product", "AMZ-US", "--results", str(path)).code
    ran = program("order", "create", "--file", str(path), "--json")
    assert (6, "duplicate", 1) == (ran.code, ran.error["code"], posts(emulator)), ran.err
    again = program("order", "create", "--file", str(path), "--again", "-o", "gifts")
    assert [("+ann@example.com", "'=1"), ("ben@example.com", "=2")] == [
        (gift["email"], gift["carried"]["note"]) for gift in map(json.loads, again.out.splitlines())
    ]


CELLS = "face_value,winner,referrer\n10,Ann,Bob\n"


@pytest.mark.parametrize(
    ("edited", "matches"),
    [
        ("face_value,referrer,winner\n10,Bob,Ann\n", True),
        ("face_value,Winner , referrer\n10, Ann,Bob\n", True),
        ("face_value,person,by\n10,Ann,Bob\n", True),
        ("face_value,winner,referrer\n10,Bob,Ann\n", False),
        ("face_value,winner,referrer\n10,,Ann\n", False),
        ("face_value,person,by\n10,Bob,Ann\n", False),
        ("face_value,referrer,person\n10,Bob,Ann\n", True),
        ("face_value,referrer,person\n10,Ann,Bob\n", False),
        ("face_value,referrer,team,winner\n10,Bob,,Ann\n", True),
    ],
    ids=[
        "columns moved",
        "spelled otherwise",
        "headings renamed",
        "swapped",
        "one missing",
        "renamed and swapped",
        "one moved and one renamed",
        "one renamed and swapped",
        "an empty one more",
    ],
)
def test_cells_that_change_columns_are_another_label(
    program: Program, emulate: Emulate, edited: str, matches: bool
) -> None:
    emulator = emulate()
    named = ("--product", "AMZ-US", "--batch", "bonus")
    assert 0 == issue(program, CELLS, *named).code
    ran = issue(program, edited, *named, "--json")
    assert (0 if matches else 6, 1) == (ran.code, posts(emulator)), ran.err
    if not matches:
        assert "10 to Ann, Bob" in ran.error["message"]


def test_links_that_only_their_columns_tell_apart_are_refused_where_several_headings_are_others(
    program: Program, emulate: Emulate
) -> None:
    """Whether the columns changed places as well cannot be told."""
    emulator = emulate()
    both = CELLS + "10,Bob,Ann\n"
    named = ("--product", "AMZ-US", "--batch", "bonus", "-o", "csv")
    before = {row["winner"]: row["payout_url"] for row in rows_of(issue(program, both, *named).out)}
    for heading in ("person,by", "referrer of,winner of"):
        refused = issue(program, both.replace("winner,referrer", heading), *named)
        assert (6, "") == (refused.code, refused.out), refused.err
    renamed = issue(program, "face_value,referrer,person\n10,Bob,Ann\n10,Ann,Bob\n", *named)
    assert before == {row["person"]: row["payout_url"] for row in rows_of(renamed.out)}
    assert 1 == posts(emulator)


def test_another_reference_at_the_same_address_is_another_gift(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    header = "reference,face_value,email\n"
    command = ("--product", "AMZ-US", "--batch", "bonus", "-o", "csv")
    before = link_of(issue(program, header + "E001,25,ann@example.com\n", *command))
    both = issue(program, header + "E002,25,ann@example.com\nE001,25,ann@example.com\n", *command)
    assert 0 == both.code, both.err
    assert before["E001"] == link_of(both)["E001"]
    assert 2 == gifts_at(emulator)
    assert 6 == issue(program, header + "E002,25,ann@example.com\nE003,25,ann@example.com\n", *command).code


# --- every path is checked -----------------------------------------------------------------------------------------


def weeks(*names: str) -> str:
    """Return a list that grows week by week."""
    return "face_value,email\n" + "".join(f"25,{name}@example.com\n" for name in names)


def test_a_hint_is_never_a_second_payment(program: Program, emulate: Emulate) -> None:
    """The list grows by a person a week; whatever name a refusal tells is tried, and nobody is paid twice."""
    emulator = emulate()
    people = ["ann", "ben", "cleo", "dora"]
    for week in range(1, 5):
        ran = issue(program, weeks(*people[:week]), "--product", "AMZ-US", "--json")
        if ran.code == 6 and "`--batch" in ran.error["hint"]:
            name = ran.error["hint"].partition("--batch ")[2].partition("`")[0]
            issue(program, weeks(*people[:week]), "--product", "AMZ-US", "--batch", name)
    paid = [item["distribution_method"]["email_address"] for order in orders_at(emulator) for item in order["items"]]
    assert sorted(f"{name}@example.com" for name in people) == sorted(paid)


def test_a_batch_is_no_way_out_unless_it_holds_every_gift_concerned(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == issue(program, weeks("ann"), "--product", "AMZ-US", "--batch", "w1").code
    assert 0 == issue(program, weeks("ben"), "--product", "AMZ-US", "--batch", "w2").code
    refused = issue(program, weeks("ann", "ben", "cleo"), "--product", "AMZ-US", "--json")
    assert 6 == refused.code
    assert "w1" not in refused.error["hint"]
    assert "w2" not in refused.error["hint"]
    assert 6 == issue(program, weeks("ann", "ben", "cleo"), "--product", "AMZ-US", "--batch", "w2").code
    assert 2 == gifts_at(emulator)
    again = issue(program, weeks("ann", "ben", "cleo"), "--product", "AMZ-US", "--batch", "w2", "--again")
    assert 0 == again.code, again.err
    assert 4 == gifts_at(emulator)


@pytest.mark.parametrize("name", [(), ("--batch", "march")])
def test_what_is_unfinished_elsewhere_is_refused_with_or_without_a_name(
    program: Program, emulate: Emulate, nowhere: dict[str, str], name: tuple[str, ...]
) -> None:
    """The list was recorded and not sent; mended, or given a name, it would be paid a second time by a resume."""
    emulator = emulate()
    first = issue(program, weeks("ann", "ben", "clo"), "--product", "AMZ-US", "--json", **nowhere)
    assert (7, "not_issued") == (first.code, first.error["money"])
    mended = issue(program, weeks("ann", "ben", "cleo"), "--product", "AMZ-US", "--json", *name)
    assert (6, "duplicate") == (mended.code, mended.error["code"])
    assert f"runa batch resume {first.error['batch']}" in mended.error["hint"]
    assert 0 == posts(emulator)
    assert 0 == program("batch", "abandon", first.error["batch"], "--yes").code
    assert 6 == issue(program, weeks("ann", "ben", "cleo"), "--product", "AMZ-US", *name).code
    assert 0 == issue(program, weeks("ann", "ben", "cleo"), "--product", "AMZ-US", *name, "--again").code
    assert 0 == program("batch", "resume", "--all").code
    assert 3 == gifts_at(emulator)


def test_a_name_after_an_unknown_outcome_does_not_pay_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = program.home / "gifts.csv"
    path.write_text(weeks("ann"))
    command = ("order", "create", "--file", str(path), "--product", "AMZ-US")
    assert -9 == program.killed_at("return:Client.create_order", *command).code
    assert 6 == program(*command, "--batch", "march").code
    assert 1 == gifts_at(emulator)


def test_a_batch_whose_gifts_were_issued_since_is_not_resumed(
    program: Program, emulate: Emulate, nowhere: dict[str, str]
) -> None:
    """The first list was never sent; a second one with the same people was issued, and was meant."""
    emulator = emulate()
    assert (
        7
        == issue(program, weeks("ann", "ben"), "--product", "AMZ-US", "--batch", "first", "--no-lookup", **nowhere).code
    )
    assert 0 == issue(program, weeks("ann", "ben"), "--product", "AMZ-US", "--batch", "second", "--again").code
    resumed = program("batch", "resume", "first", "--json")
    assert (6, "not_issued") == (resumed.code, resumed.error["money"])
    assert "second" in resumed.error["message"]
    assert 6 == program("batch", "resume", "--all").code
    assert 2 == gifts_at(emulator)
    assert 0 == issue(program, weeks("ann", "ben"), "--product", "AMZ-US", "--batch", "first", "--again").code
    assert 4 == gifts_at(emulator)


def test_a_rejected_order_whose_gifts_were_issued_since_is_not_sent_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    wanted = ("--product", "AMZ-US", "--no-preflight")
    behave(emulator, "no-funds@*")
    assert 5 == issue(program, weeks("ann"), *wanted, "--batch", "first").code
    behave(emulator)
    assert 0 == issue(program, weeks("ann"), *wanted, "--batch", "second").code
    assert 6 == issue(program, weeks("ann"), *wanted, "--batch", "first").code
    assert 1 == gifts_at(emulator)


def test_a_rejected_order_does_not_stand_in_the_way_of_another_key(program: Program, emulate: Emulate) -> None:
    """Runa repeats its refusal to the old key, and nothing was issued under it."""
    emulator = emulate()
    gift = (*FLAGS, "--face-value", "10", "--email", "ann@example.com")
    behave(emulator, "no-funds@*")
    assert 5 == program(*gift).code
    behave(emulator)
    assert 0 == program(*gift, "--idempotency-key", "invoice-2").code
    assert 1 == gifts_at(emulator)


def test_again_does_not_issue_an_abandoned_order_under_its_own_key(program: Program, emulate: Emulate) -> None:
    """One key stands for one order: Runa would take the same key for the order that was given up."""
    emulator = emulate("stored-5xx@1")
    keyed = (*FLAGS, "--face-value", "10", "--email", "ann@example.com", "--idempotency-key", "invoice-2")
    assert 7 == program(*keyed).code
    assert 0 == program("batch", "abandon", program("batch", "list", "--json").json[0]["batch"], "--yes").code
    sent = posts(emulator)
    for again in ((), ("--again",)):
        ran = program(*keyed, *again, "--json")
        assert (7, "abandoned") == (ran.code, ran.error["code"])
    assert 0 == program(*keyed, "--again", "--dry-run").code
    assert sent == posts(emulator)


@pytest.mark.parametrize("point", ["call:Batches.record", "call:Preflight.check"])
def test_no_question_or_preflight_comes_between_the_check_and_the_record(
    program: Program, emulate: Emulate, point: str
) -> None:
    """One process has checked its list and stands still; another issues one of its gifts meanwhile."""
    emulator = emulate()
    path = program.home / "list.csv"
    path.write_text(weeks("ann", "ben"))
    running = program.paused_at(
        point, "order", "create", "--file", str(path), "--product", "AMZ-US", "--preflight", "--json"
    )
    assert running.pauses()
    assert 0 == issue(program, weeks("ben"), "--product", "AMZ-US").code
    running.go_on()
    ran = running.end()
    assert (6, "duplicate") == (ran.code, ran.error["code"])
    assert 1 == gifts_at(emulator)


def test_an_abandoned_row_comes_back_only_with_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate("stored-5xx@1")
    command = ("--product", "AMZ-US", "--batch", "bonus")
    assert 7 == issue(program, weeks("ann"), *command).code
    assert 0 == program("batch", "abandon", "bonus", "--yes").code
    assert 8 == issue(program, weeks("ben"), *command).code
    assert 6 == issue(program, weeks("ben", "ann"), *command).code
    assert 1 == gifts_at(emulator)
    assert 8 == issue(program, weeks("ben", "ann"), *command, "--again").code
    assert 2 == gifts_at(emulator)


def test_what_was_issued_counts_before_what_was_abandoned(program: Program, emulate: Emulate) -> None:
    """The sheet has one row of two equal ones left: it stands for the gift that was issued, whose link is shown."""
    emulator = emulate("stored-5xx@1-5")
    path = program.home / "gifts.csv"
    path.write_text("email,face_value,description\nann@example.com,25,may\nann@example.com,25,june\n")
    command = ("order", "create", "--file", str(path), "--product", "AMZ-US", "--batch", "bonus", "--concurrency", "1")
    assert 8 == program(*command, "--timeout", "8").code
    assert 0 == program("batch", "abandon", "bonus", "--yes").code
    path.write_text("email,face_value,description\nann@example.com,25,june\n")
    ran = program(*command, "--json")
    assert 8 == ran.code, ran.err
    assert ["COMPLETED"] == [order["status"] for order in ran.json]
    assert 1 == gifts_at(emulator)


def test_cells_that_moved_to_other_references_are_pointed_out(program: Program, emulate: Emulate) -> None:
    """One column of the sheet was sorted by itself: each link stays with its reference, beside another name now."""
    emulator = emulate()
    command = ("--product", "AMZ-US", "--batch", "bonus", "--quiet")
    first = issue(program, "reference,name,face_value\n1,Cleo,25\n2,Ann,25\n3,Ben,25\n", *command, "-o", "csv")
    assert (0, "") == (first.code, first.err)
    sorted_alone = issue(program, "reference,name,face_value\n1,Ann,25\n2,Ben,25\n3,Cleo,25\n", *command, "-o", "csv")
    assert "3 issued links now (row 1, 1: Cleo → Ann; row 2, 2: Ann → Ben; row 3, 3: Ben → Cleo)" in sorted_alone.err
    assert link_of(first) == link_of(sorted_alone)
    again = issue(program, "reference,name,face_value\n1,Ann,25\n2,Ben,25\n3,Cleo,25\n", *command, "-o", "csv")
    assert (0, "") == (again.code, again.err)
    assert 3 == gifts_at(emulator)


def test_a_second_payment_under_another_name_is_pointed_out_even_to_cron(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == issue(program, weeks("ann", "ben"), "--product", "AMZ-US", "--batch", "bonus", "-q").code
    ran = issue(program, weeks("ann", "ben"), "--product", "AMZ-US", "--batch", "bonus_", "-q")
    assert 0 == ran.code
    assert "2 of the 2 gifts in this file were issued before, the last in batch bonus" in ran.err


# --- names and accounts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["caf\u00e9 2026 ", "cafe\u0301 2026", "caf\u00e9\u00a02026", "caf\u00e9\u200b  2026"])
def test_a_name_is_the_same_however_its_blanks_and_letters_are_written(
    program: Program, emulate: Emulate, name: str
) -> None:
    emulator = emulate()
    gift = (*FLAGS, "--face-value", "10", "--email", "ann@example.com")
    assert 0 == program(*gift, "--batch", "caf\u00e9 2026").code
    assert 0 == program(*gift, "--batch", name).code
    assert 0 == program("batch", "show", name).code
    assert 1 == posts(emulator)


def test_a_name_that_differs_in_case_alone_is_refused(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    gift = (*FLAGS, "--face-value", "10", "--email", "ann@example.com")
    assert 0 == program(*gift, "--batch", "Bonus").code
    refused = program(*gift, "--batch", "bonus", "--json")
    assert (6, "name_differs_in_case", "Bonus") == (refused.code, refused.error["code"], refused.error["batch"])
    assert 1 == posts(emulator)


def test_a_settled_batch_is_shown_under_another_key_only_with_a_yes(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    gift = (*FLAGS, "--face-value", "10", "--email", "ann@example.com", "--batch", "bonus", "-o", "links")
    first = {"RUNA_ENV": "playground", "RUNA_API_KEY": "xxfirst.secret"}
    second = {"RUNA_ENV": "playground", "RUNA_API_KEY": "xxsecond.secret"}
    shown = program(*gift, **first)
    assert 0 == shown.code, shown.err
    refused = program(*gift, **second)
    assert (6, "") == (refused.code, refused.out)
    assert "xxfirst" in refused.err
    assert shown.out == program(*gift, "--yes", **second).out
    assert 1 == posts(emulator)
    assert links_at(emulator) == set(shown.out.split())


def test_the_total_may_be_confirmed_that_is_about_to_be_sent(program: Program, emulate: Emulate) -> None:
    emulate()
    command = ("--product", "AMZ-US", "--batch", "bonus")
    assert 0 == issue(program, weeks("ann"), *command).code
    assert 6 == issue(program, weeks("ann", "ben"), *command, "--confirm-total", "26").code
    assert 0 == issue(program, weeks("ann", "ben"), *command, "--confirm-total", "25").code
    assert 0 == issue(program, weeks("ann", "ben"), *command, "--confirm-total", "50").code


# --- what an older version recorded --------------------------------------------------------------------------------


def test_a_ledger_of_the_version_before_is_brought_along(program: Program, emulate: Emulate) -> None:
    """Its gifts are recognised, however they are written now, and an unfinished batch is finished under its key."""
    emulator = emulate()
    assert 0 == issue(program, STAFF, "--product", "AMZ-US", "--batch", "bonus").code
    path = program.home / "lost.csv"
    path.write_text(weeks("ann"))
    lost = ("order", "create", "--file", str(path), "--product", "AMZ-US")
    assert -9 == program.killed_at("return:Client.create_order", *lost).code
    take_back(program.ledger)
    program.mark.unlink()  # the version before wrote none
    assert 0 == program(*lost).code
    assert 6 == issue(program, STAFF.replace(",25,", ",25.00,"), "--product", "AMZ-US").code
    assert 0 == issue(program, STAFF.replace(",25,", ",25.00,"), "--product", "AMZ-US", "--batch", " bonus").code
    assert 4 == gifts_at(emulator)
    assert ["completed", "completed"] == program.states()


def take_back(ledger: Path) -> None:
    """Make a ledger one of the first version, which has the same rows in fewer columns."""
    older = ledger.with_name("older.db")
    connection = sqlite3.connect(older)
    connection.executescript(MIGRATIONS[0].script)
    connection.execute("ATTACH ? AS newer", (str(ledger),))
    for table in ("batch", "purchase", "gift"):
        columns = ", ".join(name for _, name, *_ in connection.execute(f"PRAGMA main.table_info({table})"))
        connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
    connection.execute("UPDATE batch SET fingerprint = 'of another kind'")
    connection.execute("PRAGMA main.user_version = 1")
    connection.commit()
    connection.close()
    for suffix in ("-wal", "-shm"):
        ledger.with_name(ledger.name + suffix).unlink(missing_ok=True)
    older.replace(ledger)
