"""`gift list`: the gifts of the ledger are found by what they hold, and shown whole."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import gifts, rows_of, sheet
from tests.support.ledgers import make_older
from tests.support.program import GIFT, Program
from tests.support.searching import differences

STAFF = (
    "face_value,email,reference,product,Name,team\n"
    "25,Ann@example.com,E001,AMZ-US,Ann Lee,north\n"
    "50,ben@example.com,E_02,800PET-US,Zoë Müller,100%\n"
)


def issue(program: Program, text: str = STAFF, *more: str) -> None:
    path = program.home / "staff.csv"
    path.write_text(text)
    assert 0 == program("order", "create", "--file", str(path), "--batch", "bonus", "--quiet", *more).code


def found(program: Program, *arguments: str) -> list[str]:
    """Return the references of the gifts that a list shows."""
    ran = program("gift", "list", "-o", "gifts", *arguments)
    assert 0 == ran.code, ran.err
    return [json.loads(line)["reference"] for line in ran.out.splitlines()]


def lines_of(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("ANN@", ["E001"]),
        ("lee", ["E001"]),
        ("Lee NORTH", ["E001"]),
        ("lee south", []),
        ("MÜLLER", ["E_02"]),
        ("Zoe\u0308", ["E_02"]),
        ("e_0", ["E_02"]),
        ("100%", ["E_02"]),
        ("e%1", []),
        ("@example.com", ["E001", "E_02"]),
        ("50.00", []),
        ("  ", ["E001", "E_02"]),
    ],
)
def test_every_word_of_a_search_is_in_the_gift_itself(
    program: Program, emulate: Emulate, text: str, references: list[str]
) -> None:
    """Of the order, which holds both gifts, only the one that matches is shown."""
    emulate()
    issue(program)
    assert references == found(program, "--search", text)
    assert references == found(program, "--search", text, "--batch", "bonus")


def test_a_short_word_beside_others_does_not_count_in_a_link_or_an_id(program: Program, emulate: Emulate) -> None:
    """A link has most digits, so that else every gift of a list of numbered people would be found."""
    emulate()
    people = "".join(f"Person {number},p{number}@example.com,25,R{number}\n" for number in range(10, 20))
    issue(program, f"name,email,face_value,reference\n{people}", "--product", "800PET-US")
    assert ["R13"] == found(program, "--search", "person 13")
    assert ["R15"] == found(program, "--search", "person R15")


def test_links_and_ids_are_found_by_a_part_of_them(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program)
    gift, other = lines_of(program("gift", "list", "-o", "gifts").out)
    for name in ("payout_url", "item_id"):
        assert ["E001"] == found(program, "--search", str(gift[name])[-9:].lower())
    assert ["E001", "E_02"] == found(program, "--search", str(other["order_id"])[3:])


@pytest.mark.parametrize(
    ("arguments", "references"),
    [
        (["--product", "amz-us"], ["E001"]),
        (["--product", "AMZ"], []),
        (["--status", "completed"], ["E001", "E_02"]),
        (["--status", "Active"], ["E001", "E_02"]),
        (["--status", "EXPIRED"], []),
        (["--status", "failed"], []),
        (["--status", "unfinished"], []),
        (["--since", "2026-01-01", "--until", "2999-01-01"], ["E001", "E_02"]),
        (["--since", "2999-01-01"], []),
        (["--until", "2020-01-01"], []),
        (["--product", "AMZ-US", "--search", "ben@"], []),
    ],
)
def test_gifts_are_chosen_by_product_status_and_day(
    program: Program, emulate: Emulate, arguments: list[str], references: list[str]
) -> None:
    emulate()
    issue(program)
    assert references == found(program, *arguments)
    assert references == found(program, *arguments, "--batch", "bonus")


def test_an_unfinished_gift_is_found_before_and_after_it_is_issued(program: Program, emulate: Emulate) -> None:
    emulate()
    program.killed_at("return:Orders.mark_sent", *GIFT)
    (gift,) = program("gift", "list", "--status", "unfinished", "--search", "fred", "--json").json
    assert ("sent", "unknown", None) == (gift["status"], gift["money"], gift["payout_url"])
    program("batch", "resume", "--all")
    (gift,) = program("gift", "list", "--search", "fred", "--json").json
    assert ("ACTIVE", "issued") == (gift["status"], gift["money"])
    assert [] == found(program, "--status", "unfinished")


def test_the_newest_orders_come_first_and_the_list_is_cut(program: Program, emulate: Emulate) -> None:
    emulate()
    for number in range(3):
        path = sheet(program.home / f"{number}.csv", gifts(10, first=10 * number))
        assert 0 == program("order", "create", "--file", str(path), "-q", "--no-preflight").code
    first = program("gift", "list", "-o", "gifts")
    shown = [gift["reference"] for gift in lines_of(first.out)]
    assert [f"E{number:05}" for number in (*range(20, 30), *range(10, 20))] == shown
    cursor = json.loads(first.err)["next"]["after"]
    rest = program("gift", "list", "-o", "gifts", "--after", cursor)
    assert ([f"E{number:05}" for number in range(10)], "") == (
        [gift["reference"] for gift in lines_of(rest.out)], rest.err,
    )  # fmt: skip
    assert 30 == len(found(program, "--all"))
    text = program("gift", "list", "--limit", "5")
    assert 0 == text.code
    assert "There are more: add --after local.3.5, or --all for all of them.\n" == text.err
    following = lines_of(program("gift", "list", "-o", "gifts", "--after", "local.3.5", "--limit", "1").out)
    assert ["E00025"] == [gift["reference"] for gift in following]


@pytest.mark.parametrize("cursor", ["bonus", "local.1", "live.1.1"])
def test_a_cursor_that_no_list_told_is_an_error(program: Program, emulate: Emulate, cursor: str) -> None:
    emulate()
    ran = program("gift", "list", "--after", cursor, "--json")
    assert (2, "usage") == (ran.code, ran.error["code"])


def test_a_status_that_does_not_exist_is_an_error(program: Program) -> None:
    ran = program("gift", "list", "--status", "done", "--json")
    assert (2, "usage") == (ran.code, ran.error["code"])


def test_nothing_found_is_an_empty_list(program: Program, emulate: Emulate) -> None:
    emulate()
    assert (0, []) == ((ran := program("gift", "list", "--json")).code, ran.json)
    assert "Nothing was issued from here yet.\n" == program("gift", "list").out
    issue(program)
    assert (0, []) == ((ran := program("gift", "list", "--search", "nobody", "--json")).code, ran.json)
    assert "No gift matches.\n" == program("gift", "list", "--search", "nobody").out


def test_a_batch_is_shown_as_its_create_and_its_export_show_it(program: Program, emulate: Emulate) -> None:
    """All of it, by row and without a limit, though the gifts went into several orders."""
    emulate()
    rows = [*gifts(25), {**gifts(1, first=25)[0], "description": "another order", "face_value": "7"}]
    path = sheet(program.home / "gifts.csv", rows)
    created = program("order", "create", "--file", str(path), "--batch", "bonus", "-o", "gifts", "--no-preflight")
    listed = program("gift", "list", "--batch", "Bonus ".strip().lower(), "-o", "gifts")
    assert 26 == len(listed.out.splitlines())
    assert sorted(created.out.splitlines()) == sorted(listed.out.splitlines())
    for output_format in ("gifts", "csv", "links"):
        exported = program("batch", "export", "bonus", "-o", output_format)
        assert exported.out == program("gift", "list", "--batch", "bonus", "-o", output_format).out
    cut = program("gift", "list", "--batch", "bonus", "-o", "gifts", "--limit", "20")
    rest = program("gift", "list", "--batch", "bonus", "-o", "gifts", "--after", json.loads(cut.err)["next"]["after"])
    assert listed.out == cut.out + rest.out


def test_a_batch_counts_as_shown_only_when_all_of_it_was(program: Program, emulate: Emulate) -> None:
    """What was never shown is not pruned, for its links would be lost."""
    emulate()
    program.killed_at("return:Orders.mark_completed", *GIFT, "--batch", "bonus")
    prune = ("batch", "prune", "bonus", "--older-than", "0", "--yes", "--json")
    for arguments in (["--search", "fred"], ["--all"], ["--batch", "bonus", "--search", "fred"]):
        assert 0 == program("gift", "list", *arguments).code
        assert "not_shown" == program(*prune).error["code"]
    assert 0 == program("gift", "list", "--batch", "bonus").code
    assert 0 == program(*prune).code


def test_outside_of_its_batch_a_gift_tells_which_it_is_part_of(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program)
    (row, _) = rows_of(program("gift", "list", "-o", "csv").out)
    assert ("bonus", "local", "1", "E001") == (row["batch"], row["environment"], row["row"], row["reference"])
    assert {"Name": "Ann Lee", "team": "north"} == json.loads(row["carried"])
    (gift, _) = program("gift", "list", "--json").json
    assert ("bonus", "local", row["created_at"]) == (gift["batch"], gift["environment"], gift["created_at"])


def test_only_the_active_environment_is_listed_and_others_are_named(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program)
    other = program("gift", "list", "--env", "playground")
    assert ("Nothing was issued from here yet.\n", "Not listed: what was issued in local (--env).\n") == (
        other.out, other.err,
    )  # fmt: skip


def test_edited_cells_are_found_as_they_are_now(program: Program, emulate: Emulate) -> None:
    """What was replaced is not kept where a search looks."""
    emulate()
    issue(program)
    issue(program, STAFF.replace("Ann Lee", "Ann Lindqvist"))
    assert (["E001"], []) == (found(program, "--search", "lindqvist"), found(program, "--search", "lee"))
    assert [] == differences(program.ledger)
    with closing(sqlite3.connect(program.ledger)) as database:
        assert [] == database.execute("SELECT text FROM purchase_search WHERE text LIKE '%ann lee%'").fetchall()


def test_pruned_gifts_are_not_listed_and_nothing_of_them_is_kept_to_search(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program)
    order_id = program("gift", "list", "--json").json[0]["order_id"]
    assert 0 == program("batch", "prune", "--older-than", "0", "--yes").code
    assert [] == found(program)
    assert [] == found(program, "--search", "ann")
    with closing(sqlite3.connect(program.ledger)) as database:
        assert [(order_id.lower(), "")] == database.execute("SELECT text, terms FROM purchase_search").fetchall()
    ran = program("gift", "list", "--search", order_id)
    assert "No gift matches.\n" == ran.out
    assert ran.err.startswith("Batch bonus matches too, but it was pruned on ")
    assert 6 == program("gift", "list", "--batch", "bonus").code


def test_an_older_ledger_is_searched_as_a_new_one(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program)
    make_older(program.ledger, 8, program.mark)
    assert ["E_02"] == found(program, "--search", "müller")
    assert [] == differences(program.ledger)


def test_an_order_without_a_search_text_is_still_found(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program)
    with closing(sqlite3.connect(program.ledger)) as database, database:
        database.execute("UPDATE purchase_search SET text = NULL, terms = NULL")
    assert ["E_02"] == found(program, "--search", "müller", "--product", "800PET-US")


def test_an_item_that_matches_no_row_is_found_apart(program: Program, emulate: Emulate) -> None:
    """Its link is shown beside nobody."""
    emulate("unmatched@1")
    assert 8 == program(*GIFT, "-q").code
    (link,) = (
        str(gift["payout_url"])
        for gift in lines_of(program("batch", "export", batch(program), "-o", "gifts").out)
        if gift["payout_url"]
    )
    (gift,) = program("gift", "list", "--search", link, "--json").json
    assert (link, None) == (gift["payout_url"], gift["row"])
    assert gift == program("gift", "get", link, "--json").json


# --- another account -------------------------------------------------------------------------------------------------

OTHER = {"RUNA_API_KEY": "xxother.key~secret"}


def test_links_of_another_key_are_left_out_of_a_list_unless_a_yes_asks_for_them(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    program.env["RUNA_ENV"] = "playground"
    issue(program)
    shown = program("gift", "list", "-o", "links").out
    left_out = program("gift", "list", "-o", "gifts", "-v", **OTHER)
    assert ["E001", "E_02"] == [line["reference"] for line in lines_of(left_out.out)]
    assert [None, None] == [line["payout_url"] for line in lines_of(left_out.out)]
    assert "issued under another key are left out: add --yes" in left_out.err
    assert "" == program("gift", "list", "-o", "links", **OTHER).out
    assert shown == program("gift", "list", "-o", "links", "--yes", **OTHER).out


@pytest.mark.parametrize("command", [("list", "--batch", "bonus"), ("get", "E001")])
def test_gifts_of_another_keys_batch_need_a_yes(program: Program, emulate: Emulate, command: tuple[str, ...]) -> None:
    emulate()
    program.env["RUNA_ENV"] = "playground"
    issue(program)
    refused = program("gift", *command, "--json", **OTHER)
    assert (6, "key_changed", "") == (refused.code, refused.error["code"], refused.out)
    assert program("gift", *command, "--json").out == program("gift", *command, "--json", "--yes", **OTHER).out


def test_the_csv_of_a_batch_is_that_of_its_export_with_headings_and_separators_of_the_list(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    issue(program, "face_value;email;product;status;Note;note\n25;ann@example.com;AMZ-US;new;a;b\n")
    listed = program("gift", "list", "--batch", "bonus", "-o", "csv").out
    assert listed == program("batch", "export", "bonus", "-o", "csv").out
    assert listed.splitlines()[0].endswith(";status (input);Note;note (2)")


def batch(program: Program) -> str:
    """Return the name of the only batch."""
    (only,) = program("batch", "list", "--json").json
    return str(only["batch"])
