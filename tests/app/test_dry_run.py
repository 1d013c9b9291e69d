"""`--dry-run`: refuses what a create refuses, with the same error, and shows what the create would do row by row."""

import json
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import gifts, rows_of, sheet
from tests.support.program import GIFT, Program, posts
from tests.support.ran import Ran
from tests.support.terminal import on_a_terminal

SHEET = "E-mail Address,Face-Value,Name\na@example.com,10,Ann\nb@example.com,20,Bob\n"


def create(path: Path, *flags: str) -> tuple[str, ...]:
    return ("order", "create", "--file", str(path), *flags)


def dry(program: Program, path: Path, *flags: str, **env: str) -> Ran:
    return program(*create(path, "--dry-run", *flags), **env)


def actions(ran: Ran) -> list[str]:
    return [row["action"] for row in rows_of(ran.out)]


def facts(shown: str) -> dict[str, str]:
    """Return the facts above the table."""
    lines = (line.strip().partition("  ") for line in shown.splitlines() if line.startswith("  "))
    return {name: value.strip() for name, _, value in lines}


@pytest.fixture
def path(program: Program) -> Path:
    return program.home / "gifts.csv"


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_it_shows_what_each_column_was_taken_for(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    path.write_text(SHEET.replace("E-mail", "Email"))
    shown = facts(dry(program, path, RUNA_PRODUCTS="AMZ-US").out)
    assert "Email Address → email, Face-Value → face_value, Name (carried)" == shown["Columns"]
    assert "product AMZ-US from RUNA_PRODUCTS (environment)" == shown["Filled in"]


def test_columns_that_the_program_added_to_its_results_are_left_out(
    program: Program, emulate: Emulate, path: Path
) -> None:
    emulate()
    path.write_text(SHEET.replace("E-mail", "Email"))
    results = program(*create(path, "--product", "AMZ-US", "--batch", "first", "-o", "csv")).out
    path.write_text(results)
    columns = facts(dry(program, path, "--batch", "first").out)["Columns"].split(", ")
    assert {"row (left out)", "email", "products → product", "payout_url (left out)", "Name (carried)"} <= {*columns}


def test_it_shows_the_plan(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    link = {**gifts(1)[0], "email": "", "reference": "L1", "product": "BAW-GB|LUSH-GB"}
    sheet(path, [*gifts(3), link])
    shown = facts(dry(program, path, "--batch", "bonus", "--no-preflight", "--allow-links").out)
    expected = {
        "Input": str(path),
        "Environment": "local, account emulator",
        "Batch": "bonus",
        "Items": "4",
        "Total": "10.00 GBP + 33.00 USD",
        "Already issued": "none",
        "New": "4 gifts, 10.00 GBP + 33.00 USD",
        "Delivery": "3 mailed to 3 people, 1 payout link made",
        "Products": "AMZ-US (3), BAW-GB|LUSH-GB (1)",
        "To be sent": "2 orders",
    }
    assert expected == {name: shown[name] for name in expected}
    assert "Confirmation" not in shown


def test_it_tells_what_is_new(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    assert 0 == program(*create(sheet(path, gifts(3)), "--batch", "bonus")).code
    ran = dry(program, sheet(path, gifts(5)), "--batch", "bonus")
    assert ("3 gifts, 33.00 USD, in batch bonus", "2 gifts, 27.00 USD") == (
        facts(ran.out)["Already issued"],
        facts(ran.out)["New"],
    )


def test_it_shows_the_first_rows_and_counts_the_others(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    shown = on_a_terminal(program, *create(sheet(path, gifts(300)), "--dry-run"), columns=80, env={"NO_COLOR": "1"})
    rows = [line for line in shown.splitlines() if "@example.com" in line]
    assert ["person0@example.com", "person7@example.com"] == [rows[0].split()[1], rows[-1].split()[1]]
    assert "… and 292 more; -o csv shows every row" in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if str(path) not in line)


def test_in_live_it_tells_what_the_create_will_need(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    live = {"RUNA_ENV": "live", "RUNA_API_KEY": "wgtests.secret"}
    shown = facts(dry(program, sheet(path, gifts(2)), **live).out)
    assert (
        "asked for before sending; without a terminal it needs --yes or --confirm-total 21.00" == shown["Confirmation"]
    )


def test_every_row_is_a_line_of_csv_with_what_would_be_done(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    assert 0 == program(*create(sheet(path, gifts(1)), "--batch", "bonus")).code
    rows = rows_of(dry(program, sheet(path, gifts(2)), "--batch", "bonus", "-o", "csv").out)
    (order,) = program("order", "list", "--json").json
    common = {"currency": "USD", "products": "AMZ-US", "reason": ""}
    assert [
        {
            "row": "1",
            "reference": "E00000",
            "email": "person0@example.com",
            "face_value": "10.00",
            "action": "issued",
            "order_id": order["id"],
            "team": "team 0",
            **common,
        },
        {
            "row": "2",
            "reference": "E00001",
            "email": "person1@example.com",
            "face_value": "11.00",
            "action": "send",
            "order_id": "",
            "team": "team 1",
            **common,
        },
    ] == rows


# --- what is refused -------------------------------------------------------------------------------------------------


def is_the_same_refusal(program: Program, *command: str) -> Ran:
    """Make sure that a dry run ends as the create does, and return how it ended."""
    rehearsed, real = program(*command, "--dry-run", "-o", "csv"), program(*command, "--json")
    error = program(*command, "--dry-run", "--json").error
    assert (real.code, real.error["code"], real.error["message"]) == (rehearsed.code, error["code"], error["message"])
    assert real.error["message"] in rehearsed.err
    assert 0 != real.code
    return rehearsed


def test_a_duplicate_is_refused_whole(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    sheet(path, gifts(2))
    assert 0 == program(*create(path)).code
    ran = is_the_same_refusal(program, *create(path))
    assert ["refused", "refused"] == actions(ran)
    assert ["duplicate", "duplicate"] == [row["reason"] for row in rows_of(ran.out)]


def test_rows_that_were_issued_before_are_told_from_the_others(program: Program, emulate: Emulate, path: Path) -> None:
    emulator = emulate()
    assert 0 == program(*create(sheet(path, gifts(2)), "--batch", "first")).code
    ran = is_the_same_refusal(program, *create(sheet(path, gifts(3, first=1))))
    assert ["refused", "send", "send"] == actions(ran)
    assert "completed in batch first" == rows_of(ran.out)[0]["reason"]
    assert 1 == posts(emulator)


def test_every_refused_row_is_one_however_many_the_message_lists(
    program: Program, emulate: Emulate, path: Path
) -> None:
    emulate()
    assert 0 == program(*create(sheet(path, gifts(150)), "--batch", "first")).code
    ran = is_the_same_refusal(program, *create(sheet(path, gifts(160))))
    assert ["refused"] * 150 + ["send"] * 10 == actions(ran)


def test_an_unfinished_twin_is_refused(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    assert -9 == program.killed_at("return:Batches.record", *create(sheet(path, gifts(1)), "--batch", "first")).code
    ran = is_the_same_refusal(program, *create(sheet(path, gifts(2)), "--batch", "second"))
    assert ["refused", "send"] == actions(ran)
    assert "prepared in batch first" == rows_of(ran.out)[0]["reason"]


def test_an_unsent_order_whose_gifts_were_issued_since_is_refused(
    program: Program, emulate: Emulate, path: Path
) -> None:
    emulate()
    sheet(path, gifts(1))
    assert -9 == program.killed_at("return:Batches.record", *create(path, "--batch", "first")).code
    assert 0 == program(*create(path, "--batch", "second", "--again")).code
    ran = is_the_same_refusal(program, *create(path, "--batch", "first"))
    assert (6, ["refused"]) == (ran.code, actions(ran))


def test_an_edited_batch_that_misses_a_gift_is_refused(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    assert 0 == program(*create(sheet(path, gifts(2)), "--batch", "bonus")).code
    ran = is_the_same_refusal(program, *create(sheet(path, gifts(2, first=1)), "--batch", "bonus"))
    assert ["issued", "refused"] == actions(ran)


@pytest.mark.parametrize("flags", [("--max-total", "5"), ("--confirm-total", "5")])
def test_a_total_that_is_not_allowed_is_refused(
    program: Program, emulate: Emulate, path: Path, flags: tuple[str, ...]
) -> None:
    """What is issued already is shown as that."""
    emulate()
    assert 0 == program(*create(sheet(path, gifts(1)), "--batch", "bonus")).code
    ran = is_the_same_refusal(program, *create(sheet(path, gifts(2)), "--batch", "bonus", *flags))
    assert (6, ["issued", "refused"]) == (ran.code, actions(ran))


def test_the_preflight_is_on_for_several_orders_and_refuses(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    rows = gifts(4, orders=2)
    rows[1]["product"], rows[2]["face_value"] = "amz-US", "3000"
    ran = is_the_same_refusal(program, *create(sheet(path, rows)))
    assert (3, ["send", "refused", "refused", "send"]) == (ran.code, actions(ran))
    reasons = [row["reason"] for row in rows_of(ran.out)]
    assert "amz-US is not in the catalogue (did you mean AMZ-US?)" == reasons[1]
    assert "of 3000 cannot be ordered: AMZ-US takes 1 to 2000" == reasons[2]


def test_a_balance_that_does_not_suffice_is_refused(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    program.env |= {"RUNA_ENV": "live", "RUNA_API_KEY": "wgtests.secret"}
    rows = [{**row, "face_value": "2000"} for row in gifts(510)]
    ran = is_the_same_refusal(program, *create(sheet(path, rows)), "--yes")
    assert (6, {"refused"}) == (ran.code, {*actions(ran)})


def test_nothing_is_looked_up_for_a_batch_of_which_nothing_is_new(
    program: Program, emulate: Emulate, path: Path
) -> None:
    """The create does the same; a product that is gone since is no hindrance."""
    emulator = emulate()
    assert 0 == program(*create(sheet(path, gifts(4, orders=2)), "--batch", "bonus", "--no-preflight")).code
    assert 0 == dry(program, path, "--batch", "bonus", "--preflight").code
    assert not any("/product" in target for _, target, _ in emulator.requests)


def test_no_preflight_for_a_single_order(program: Program, emulate: Emulate, path: Path) -> None:
    emulator = emulate()
    assert 0 == dry(program, sheet(path, gifts(3))).code
    assert [] == emulator.requests
    assert 3 == program(*GIFT[:-1], "NOPE-US", "--dry-run", "--preflight").code


def test_a_batch_of_another_key_is_refused_where_nobody_can_be_asked(
    program: Program, emulate: Emulate, path: Path
) -> None:
    emulate()
    sheet(path, gifts(1))
    playground = {"RUNA_ENV": "playground"}
    assert 0 == program(*create(path, "--batch", "bonus"), **playground).code
    program.env.update(playground, RUNA_API_KEY="xxother.secret")
    assert 6 == is_the_same_refusal(program, *create(path, "--batch", "bonus")).code
    assert 0 == dry(program, path, "--batch", "bonus", "--yes").code


def test_a_refused_plan_is_shown_as_a_table_too(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    ran = dry(program, sheet(path, gifts(2)), "--max-total", "5")
    assert ran.out.startswith("Dry run: refused, nothing was sent or recorded\n")
    assert "2 gifts, and so nothing is sent" == facts(ran.out)["Refused"]
    assert {"New", "To be sent", "Already issued"}.isdisjoint(facts(ran.out))


def test_a_refusal_is_one_even_where_nothing_can_be_shown(program: Program, emulate: Emulate, path: Path) -> None:
    emulate()
    command = create(sheet(path, gifts(2)), "--dry-run", "--max-total")
    assert 6 == program.fork(*command, "5", closed=(1,)).code
    assert 9 == program.fork(*command, "50", closed=(1,)).code


@pytest.mark.parametrize("output", ["json", "jsonl", "gifts"])
def test_no_request_is_shown_that_would_be_refused(program: Program, emulate: Emulate, path: Path, output: str) -> None:
    emulate()
    ran = dry(program, sheet(path, gifts(2)), "--max-total", "5", "-o", output)
    assert (6, "") == (ran.code, ran.out)


# --- by reference ----------------------------------------------------------------------------------------------------


def test_by_reference_known_gifts_are_issued_and_changed_ones_refused(
    program: Program, emulate: Emulate, path: Path
) -> None:
    emulate()
    assert 0 == program(*create(sheet(path, gifts(2)), "--by-reference")).code
    sheet(path, gifts(3))
    assert ["issued", "issued", "send"] == actions(dry(program, path, "--by-reference", "-o", "csv"))
    rows = gifts(3)
    rows[1]["face_value"] = "99"
    ran = is_the_same_refusal(program, *create(sheet(path, rows), "--by-reference"))
    assert ("refused", "recorded for another gift (completed)") == (
        actions(ran)[1],
        rows_of(ran.out)[1]["reason"],
    )


def test_by_reference_the_cap_holds_for_the_batch_that_is_added_to(
    program: Program, emulate: Emulate, path: Path
) -> None:
    emulate()
    named = ("--by-reference", "--batch", "bonus", "--max-total", "22")
    assert 0 == program(*create(sheet(path, gifts(2)), *named)).code
    assert 6 == is_the_same_refusal(program, *create(sheet(path, gifts(1, first=2)), *named)).code


def test_by_reference_another_case_of_a_batch_is_refused_before_anything_is_shown(
    program: Program, emulate: Emulate, path: Path
) -> None:
    emulate()
    assert 0 == program(*create(sheet(path, gifts(1)), "--by-reference", "--batch", "bonus")).code
    ran = dry(program, sheet(path, gifts(2)), "--by-reference", "--batch", "BONUS", "--json")
    assert (6, "", "name_differs_in_case") == (ran.code, ran.out, ran.error["code"])


def test_a_failed_gift_is_not_issued_again_by_itself(program: Program, emulate: Emulate, path: Path) -> None:
    emulate("failed@1")
    sheet(path, gifts(1))
    assert 5 == program(*create(path, "--batch", "bonus", "--mode", "async")).code
    assert ["refused"] == actions(dry(program, path, "--batch", "bonus", "-o", "csv"))
    assert [] == json.loads(dry(program, path, "--batch", "bonus", "--json").out)
