"""Never twice, and never another person's link, where a batch is issued from another machine or from a lost ledger."""

import json
import shutil
import urllib.request
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runa_cli.emulator.server import Emulator
from tests.conftest import Emulate
from tests.support.csv_files import LINKS, STAFF, links_of, rows_of
from tests.support.program import GIFT, KEY, Program, links_at, orders_at, posts
from tests.support.ran import Ran
from tests.support.scripted_server import Answer, ScriptedServer, as_json, completed

BONUS = ("--product", "AMZ-US", "--batch", "bonus", "-o", "csv")


@dataclass
class Machines:
    """Two homes, each with a ledger of its own, and one account at Runa."""

    first: Program
    second: Program
    emulator: Emulator

    def issue(self, program: Program, text: str, *arguments: str, **env: str) -> Ran:
        """Issue what a CSV file holds, as the batch `bonus`."""
        path = program.home / "gifts.csv"
        path.write_text(text)
        return program("order", "create", "--file", str(path), *BONUS, *arguments, **env)


@pytest.fixture
def machines(program: Program, emulate: Emulate, tmp_path: Path) -> Machines:
    return two_machines(program, emulate(), tmp_path)


def two_machines(program: Program, emulator: Emulator, path: Path) -> Machines:
    home = path / "second"
    home.mkdir()
    return Machines(program, program.elsewhere(home), emulator)


def gifts_at(emulator: Emulator) -> int:
    return sum(len(order["items"]) for order in orders_at(emulator))


def lists(emulator: Emulator) -> int:
    """Count the pages of the list that were asked for."""
    return sum(method == "GET" and target.startswith("/v2/order?") for method, target, _ in emulator.requests)


# --- the stamp -----------------------------------------------------------------------------------------------------


def test_orders_are_stamped_with_key_and_batch_and_a_named_one_is_described_by_its_name(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    (order,) = orders_at(machines.emulator)
    (key,) = (key for method, _, key in machines.emulator.requests if method == "POST")
    assert {"runa_cli_key": key, "runa_cli_batch": "bonus"} == order["metadata"]
    assert "bonus" == order["description"]


def test_a_made_up_name_is_stamped_and_is_no_description(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    gift = ("order", "create", "--face-value", "10", "--email", "ann@example.com", "--product", "AMZ-US")
    assert 0 == program(*gift).code
    (order,) = orders_at(emulator)
    assert order["description"] is None
    assert order["metadata"]["runa_cli_batch"] in program("batch", "list", "-o", "csv").out


def test_without_a_stamp_nothing_is_added(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF, "--no-stamp").code
    (order,) = orders_at(machines.emulator)
    assert (None, None) == (order["description"], order["metadata"])


def test_the_stamp_and_the_added_description_do_not_change_the_key(machines: Machines) -> None:
    """A version that stamps less derives the same key, so Runa's duplicate check still joins the two."""
    path = machines.first.home / "gifts.csv"
    path.write_text(STAFF)
    create = ("order", "create", "--file", str(path), "--product", "AMZ-US", "--batch", "bonus", "--dry-run", "--json")
    (stamped,), (plain,) = (json.loads(program_out(machines.first, *create, *more)) for more in ((), ("--no-stamp",)))
    assert stamped["headers"]["X-Idempotency-Key"] == plain["headers"]["X-Idempotency-Key"]
    assert stamped["body"] != plain["body"]


def program_out(program: Program, *arguments: str) -> str:
    ran = program(*arguments)
    assert 0 == ran.code, ran.err
    return ran.out


# --- what is adopted -----------------------------------------------------------------------------------------------

DT = "DT-01HPSF51G0ZWHJ3JTNWRH0WDYK"


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        (STAFF, {}, {}),
        ("face_value,email\n40,cem@example.com\n25,ben@example.com\n25,ann@example.com\n", {}, {}),
        (STAFF.replace("25,", "25.00,").replace("ann@example.com", "Ann@Example.COM"), {}, {}),
        ("email,face_value,team\nann@example.com,25,a\nben@example.com,25,b\ncem@example.com,40,c\n", {}, {}),
        (STAFF, {"RUNA_TEMPLATE_ID": DT}, {}),
        (STAFF, {}, {"RUNA_TEMPLATE_ID": DT}),
        ("description,face_value,email\nQ3,25,ann@example.com\nQ3,25,ben@example.com\nQ3,40,cem@example.com\n", {}, {}),
    ],
    ids=["same", "row order", "spelling", "columns", "template there", "template here", "description here"],
)  # fmt: skip
def test_the_same_batch_from_another_machine_is_adopted(
    machines: Machines, text: str, first: dict[str, str], second: dict[str, str]
) -> None:
    issued = machines.issue(machines.first, STAFF, **first)
    assert 0 == issued.code, issued.err
    ran = machines.issue(machines.second, text, **second)
    assert 0 == ran.code, ran.err
    assert "Batch bonus was issued elsewhere, from another ledger: 3 gifts, in O-" in ran.err
    assert "paid again" not in ran.err
    assert links_of(issued) == links_of(ran)
    assert 1 == posts(machines.emulator)
    assert ["completed"] == machines.second.states()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("--description", "run of Monday"), ("--description", "run of Tuesday")),
        (("--description", "run of Monday"), ()),
        ((), ("--description", "run of Tuesday")),
        (("--metadata", "run=Monday"), ("--metadata", "run=Tuesday")),
        ((), ("--no-stamp",)),
        ((), ("--again",)),
    ],
)
def test_other_flags_on_the_second_machine_pay_nothing_again(
    machines: Machines, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    issued = machines.issue(machines.first, STAFF, *first)
    ran = machines.issue(machines.second, STAFF, *second)
    assert (0, links_of(issued)) == (ran.code, links_of(ran)), ran.err
    assert 1 == posts(machines.emulator)


def test_one_gift_in_another_mode_is_paid_once(machines: Machines) -> None:
    """Runa's duplicate check compares bodies; nothing is known of what it makes of another execution mode."""
    one = "face_value,email\n25,ann@example.com\n"
    issued = machines.issue(machines.first, one, RUNA_MODE="sync")
    ran = machines.issue(machines.second, one, RUNA_MODE="async")
    assert (0, links_of(issued)) == (ran.code, links_of(ran)), ran.err
    assert 1 == posts(machines.emulator)


def test_after_runa_has_forgotten_the_key_the_batch_is_still_issued_once(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    machines = two_machines(program, emulate(), tmp_path)
    issued = machines.issue(machines.first, STAFF)
    program.time.sleep(timedelta(days=31).total_seconds())
    ran = machines.issue(machines.second, STAFF)
    assert (0, links_of(issued)) == (ran.code, links_of(ran)), ran.err
    assert 1 == posts(machines.emulator)


def test_an_order_older_than_the_look_back_is_not_found(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    machines.first.time.sleep(timedelta(days=46).total_seconds())
    ran = machines.issue(machines.second, STAFF)
    assert (0, 6) == (ran.code, gifts_at(machines.emulator)), ran.err


def test_a_lost_ledger_gets_its_links_back(machines: Machines) -> None:
    issued = machines.issue(machines.first, STAFF)
    for file in machines.first.ledger.parent.glob("ledger.db*"):
        file.unlink()
    again = machines.issue(machines.first, STAFF)
    assert (0, links_of(issued)) == (again.code, links_of(again)), again.err
    export = machines.first("batch", "export", "bonus", "-o", "csv")
    assert links_of(issued) == links_of(export)
    assert 1 == posts(machines.emulator)


def test_only_what_is_new_in_an_edited_file_is_issued(machines: Machines) -> None:
    issued = machines.issue(machines.first, STAFF)
    edited = STAFF.replace("face_value,email\n", "face_value,email\n10,new@example.com\n") + "25,dan@example.com\n"
    ran = machines.issue(machines.second, edited)
    assert 0 == ran.code, ran.err
    assert "Resuming batch bonus: 3 gifts issued before, 2 gifts left." in ran.err
    assert links_of(issued).items() <= links_of(ran).items()
    assert set(links_of(ran).values()) == links_at(machines.emulator)
    assert (5, 2) == (gifts_at(machines.emulator), posts(machines.emulator))
    keys = [key for method, _, key in machines.emulator.requests if method == "POST"]
    assert 2 == len(set(keys))
    again = machines.issue(machines.second, edited)
    assert (0, ran.out) == (again.code, again.out)
    assert 5 == gifts_at(machines.emulator)


def test_the_ledger_keeps_the_keys_and_replies_of_adopted_orders(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    assert 0 == machines.issue(machines.second, STAFF).code
    (there,), (here,) = (
        json.loads(program_out(each, "batch", "show", "bonus", "--json"))["orders"]
        for each in (machines.first, machines.second)
    )
    same = ("position", "generation", "state", "idempotency_key", "order_id", "items", "total", "currency")
    assert {name: there[name] for name in same} == {name: here[name] for name in same}
    exported = program_out(machines.second, "batch", "export", "bonus", "--json")
    assert orders_at(machines.emulator) == json.loads(exported)


def test_the_rest_of_a_batch_that_another_machine_left_unfinished_keeps_its_keys(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    """The other machine may send it at any moment: under other keys it would be paid twice."""
    machines = two_machines(program, emulate(), tmp_path)
    parts = "face_value,email,description\n" + "".join(f"{10 + n},p{n}@example.com,part {n}\n" for n in range(4))
    path = machines.first.home / "gifts.csv"
    path.write_text(parts)
    create = ("order", "create", "--file", str(path), *BONUS, "--concurrency", "1")
    assert -9 == machines.first.killed_at("return:Orders.mark_completed", *create).code
    path = machines.second.home / "gifts.csv"
    path.write_text(parts)
    planned = machines.second("order", "create", "--file", str(path), *BONUS[:-2], "--dry-run", "--json")
    assert 3 == len(planned.json)
    ran = machines.issue(machines.second, parts)
    assert 0 == ran.code, ran.err
    sent = {key for method, _, key in machines.emulator.requests if method == "POST"}
    assert {request["headers"]["X-Idempotency-Key"] for request in planned.json} < sent
    assert "Resuming batch bonus: 1 gift issued before, 3 gifts left." in ran.err
    finished = machines.first(*create)
    assert (0, links_of(ran)) == (finished.code, links_of(finished)), finished.err
    assert 4 == gifts_at(machines.emulator)


def test_a_gift_that_was_issued_elsewhere_and_is_missing_here_is_refused(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    changed = STAFF.replace("40,", "45,") + "25,dan@example.com\n"
    refused = machines.issue(machines.second, changed)
    assert 6 == refused.code
    assert "cem@example.com" in refused.err
    assert "order O-" in refused.err
    assert 1 == posts(machines.emulator)
    assert 0 == machines.issue(machines.second, STAFF).code
    assert 1 == posts(machines.emulator)


def test_a_dry_run_shows_and_refuses_what_the_real_run_would(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    path = machines.second.home / "gifts.csv"
    path.write_text(STAFF + "25,dan@example.com\n")
    create = ("order", "create", "--file", str(path), "--product", "AMZ-US", "--batch", "bonus")
    shown = machines.second(*create, "--dry-run", "--json")
    (request,) = json.loads(shown.out)
    assert ["dan@example.com"] == [item["distribution_method"]["email_address"] for item in request["body"]["items"]]
    assert not machines.second.ledger.exists()
    assert 0 == machines.second(*create).code
    assert request["headers"]["X-Idempotency-Key"] in {
        key for method, _, key in machines.emulator.requests if method == "POST"
    }
    path.write_text(STAFF.replace("40,", "45,"))
    assert 6 == machines.second.elsewhere(fresh(machines))(*create, "--dry-run").code


BY_REFERENCE = "face_value,email,reference\n25,ann@example.com,E001\n25,ben@example.com,E002\n"


def test_a_dry_run_by_reference_leaves_out_what_the_real_run_would_adopt(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, BY_REFERENCE, "--by-reference").code
    planned = machines.issue(machines.second, BY_REFERENCE, "--by-reference", "--dry-run", "-o", "json")
    assert (0, []) == (planned.code, planned.json)
    assert not machines.second.ledger.exists()
    assert 0 == machines.issue(machines.second, BY_REFERENCE, "--by-reference").code
    assert 1 == posts(machines.emulator)


@pytest.mark.parametrize(
    "text",
    [BY_REFERENCE + "25,cem@example.com,E003\n", "\n".join(BY_REFERENCE.split("\n")[:2])],
    ids=["a row more", "a row less"],
)
def test_by_reference_refuses_what_another_order_issued_elsewhere_without_its_reference(
    machines: Machines, text: str
) -> None:
    """Runa keeps no references, so whether these gifts are the same ones cannot be told: the message says why."""
    assert 0 == machines.issue(machines.first, BY_REFERENCE, "--by-reference").code
    ledger = machines.second.ledger
    planned = machines.issue(machines.second, text, "--by-reference", "--dry-run", "-o", "json")
    assert not ledger.exists()
    real = machines.issue(machines.second, text, "--by-reference", "-o", "json")
    assert (6, "duplicate", "bonus") == (real.code, real.error["code"], real.error["batch"])
    assert (planned.code, planned.error) == (real.code, real.error)
    assert "from another ledger, and Runa keeps no references" in real.error["message"]
    assert "runa batch show bonus" in real.error["hint"]
    assert 1 == posts(machines.emulator)


def test_a_dry_run_by_reference_counts_what_was_issued_elsewhere_against_the_cap(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, BY_REFERENCE, "--by-reference").code
    more = "face_value,email,reference\n25,cem@example.com,E003\n"
    capped = ("--by-reference", "--max-total", "60", "-o", "json")
    planned = machines.issue(machines.second, more, *capped, "--dry-run")
    real = machines.issue(machines.second, more, *capped)
    assert (6, "above_max_total") == (real.code, real.error["code"])
    assert (planned.code, planned.error) == (real.code, real.error)
    again = machines.issue(machines.second, more, *capped, "--dry-run")
    assert (real.code, real.error) == (again.code, again.error)


def test_a_dry_run_by_reference_looks_through_the_orders_at_runa_or_is_refused(machines: Machines) -> None:
    machines.emulator.close()
    planned = machines.issue(machines.second, BY_REFERENCE, "--by-reference", "--dry-run", "-o", "json")
    real = machines.issue(machines.second, BY_REFERENCE, "--by-reference", "-o", "json")
    assert (7, True) == (real.code, "could not be looked through" in real.error["message"])
    assert (planned.code, planned.error) == (real.code, real.error)


def fresh(machines: Machines) -> Path:
    home = machines.second.home.with_name("third")
    home.mkdir()
    return home


def test_a_failed_order_that_does_not_show_whose_it_is_is_named(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    machines = two_machines(program, emulate("failed-bare@1"), tmp_path)
    assert 5 == machines.issue(machines.first, STAFF).code
    ran = machines.issue(machines.second, STAFF + "25,dan@example.com\n")
    assert 0 == ran.code
    (failed,) = (order["id"] for order in orders_at(machines.emulator) if order["status"] == "FAILED")
    assert f"Runa reports {failed} as FAILED, and does not show whose they are" in ran.err
    again = machines.issue(machines.first, STAFF + "25,dan@example.com\n", "--batch", "another")
    assert failed not in again.err


def test_a_failed_order_of_another_machine_is_not_issued_again_by_itself(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    machines = two_machines(program, emulate("failed@1"), tmp_path)
    assert 5 == machines.issue(machines.first, STAFF).code
    assert 5 == machines.issue(machines.second, STAFF).code
    assert (["failed"], 1) == (machines.second.states(), posts(machines.emulator))
    third = program.elsewhere(fresh(machines))
    assert 8 == machines.issue(third, STAFF, "--again").code
    assert (["failed", "completed"], 2) == (third.states(), posts(machines.emulator))


def test_a_name_that_differs_in_case_alone_from_one_at_runa_is_refused(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    path = machines.second.home / "gifts.csv"
    path.write_text(STAFF)
    ran = machines.second("order", "create", "--file", str(path), "--product", "AMZ-US", "--batch", "Bonus", "--json")
    assert (6, "name_differs_in_case") == (ran.code, ran.error["code"])
    assert 1 == posts(machines.emulator)


def test_another_batch_of_the_same_gifts_is_nothing_to_adopt(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    path = machines.second.home / "gifts.csv"
    path.write_text(STAFF)
    ran = machines.second("order", "create", "--file", str(path), "--product", "AMZ-US", "--batch", "december")
    assert (0, 6) == (ran.code, gifts_at(machines.emulator)), ran.err


def test_an_order_that_is_still_processed_elsewhere_is_waited_for(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    machines = two_machines(program, emulate(processing_seconds=5), tmp_path)
    machines.issue(machines.first, STAFF, "--no-wait")
    ran = machines.issue(machines.second, STAFF)
    assert (0, 1) == (ran.code, posts(machines.emulator)), ran.err
    assert set(links_of(ran).values()) == links_at(machines.emulator)


def test_an_order_that_stays_processing_elsewhere_is_refused(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    machines = two_machines(program, emulate(processing_seconds=500), tmp_path)
    machines.issue(machines.first, STAFF, "--no-wait")
    ran = machines.issue(machines.second, STAFF, "--timeout", "20")
    assert 7 == ran.code
    assert "still processing" in ran.err
    assert "Nothing was sent." in ran.err
    assert (1, []) == (posts(machines.emulator), machines.second.states())


# --- payout links --------------------------------------------------------------------------------------------------


def test_links_with_references_are_adopted_for_the_same_rows(machines: Machines) -> None:
    issued = machines.issue(machines.first, LINKS)
    ran = machines.issue(machines.second, LINKS)
    assert (0, links_of(issued)) == (ran.code, links_of(ran)), ran.err
    assert 1 == posts(machines.emulator)


@pytest.mark.parametrize(
    "text",
    [
        "face_value,reference\n25,E002\n25,E001\n40,E003\n",
        "face_value,reference\n25,E001\n25,E004\n40,E003\n",
        "face_value,reference\n25,E001\n25,E000\n25,E002\n40,E003\n",
        "face_value,reference\n25,E001\n30,E002\n40,E003\n25,E004\n",
        "face_value\n25\n25\n40\n",
        "face_value,team\n25,E001\n25,E002\n40,E003\n",
    ],
    ids=["sorted", "replaced", "inserted", "another value", "no references", "other column"],
)
def test_links_whose_rows_cannot_be_told_are_refused(machines: Machines, text: str) -> None:
    assert 0 == machines.issue(machines.first, LINKS).code
    (order,) = orders_at(machines.emulator)
    refused = machines.issue(machines.second, text)
    assert (6, "") == (refused.code, refused.out), refused.err
    assert order["id"] in refused.err
    assert (1, []) == (posts(machines.emulator), machines.second.states())


def test_a_link_is_never_adopted_for_another_reference(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, "face_value,reference\n25,E001\n").code
    refused = machines.issue(machines.second, "face_value,reference\n25,E002\n")
    assert (6, "") == (refused.code, refused.out), refused.err
    assert 1 == posts(machines.emulator)


def test_links_of_cells_that_changed_columns_are_not_adopted(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, "face_value,winner,referrer\n25,Ann,Bob\n25,Bob,Ann\n").code
    refused = machines.issue(machines.second, "face_value,winner,referrer\n25,Bob,Ann\n25,Ann,Bob\n")
    assert (6, "") == (refused.code, refused.out), refused.err
    moved = machines.issue(machines.second, "face_value,referrer,winner\n25,Bob,Ann\n25,Ann,Bob\n")
    assert (0, 1) == (moved.code, posts(machines.emulator)), moved.err


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("face_value,reference", "25,E{:03}"),
        ("face_value,name", "25,Name {}"),
        ("face_value,email,reference", "25,{}@example.com,E{:03}"),
    ],
    ids=["references", "cells", "mailed"],
)
def test_links_of_a_file_that_was_issued_in_parts_are_adopted_for_the_same_rows(
    machines: Machines, head: str, row: str
) -> None:
    """The file makes other orders now, but each order is stamped with the labels of rows that are still together."""
    rows = [row.format(number, number) for number in range(7)]

    def issue(program: Program, some: list[str]) -> dict[str, str]:
        ran = machines.issue(program, "\n".join([head, *some]))
        assert 0 == ran.code, ran.err
        return {each["reference"] or each.get("name", ""): each["payout_url"] for each in rows_of(ran.out)}

    issue(machines.first, rows[2:5])
    issue(machines.first, [*rows[2:5], rows[5]])
    issued = issue(machines.first, rows[1:6])
    assert (5, 3) == (gifts_at(machines.emulator), posts(machines.emulator))
    assert issued == issue(machines.second, rows[1:6])
    assert 3 == posts(machines.emulator)
    more = issue(machines.second.elsewhere(fresh(machines)), rows)
    assert issued.items() <= more.items()
    assert (7, 7, 4) == (len(set(more.values())), gifts_at(machines.emulator), posts(machines.emulator))


@pytest.mark.parametrize("mixed", ["25,E001\n25,E002\n40,E001\n", "25,E001\n40,E002\n25,E003\n"])
def test_labels_alone_do_not_prove_whose_links_of_several_values_are(machines: Machines, mixed: str) -> None:
    """Read backwards, the first list has the same labels in the same order, and the first 25 is another person's."""
    head = "face_value,reference\n"
    issued = machines.issue(machines.first, head + mixed)
    assert 0 == issued.code
    backwards = machines.issue(machines.second, head + "".join(reversed(mixed.splitlines(keepends=True))))
    assert (6, "") == (backwards.code, backwards.out), backwards.err
    assert [] == machines.second.states()
    grown = machines.issue(machines.second, head + "25,E000\n" + mixed)
    assert 0 == grown.code, grown.err
    assert {(row["reference"], row["payout_url"]) for row in rows_of(issued.out)} < {
        (row["reference"], row["payout_url"]) for row in rows_of(grown.out)
    }
    assert 4 == gifts_at(machines.emulator)
    described = ("--description", "May")  # the key no longer proves of which rows the orders were made
    other = machines.issue(machines.second.elsewhere(fresh(machines)),
                           head + "25,E000\n" + mixed + "25,E009\n", *described)  # fmt: skip
    assert (6, 4) == (other.code, gifts_at(machines.emulator)), other.err


def test_two_links_of_one_label_that_were_issued_apart_are_both_adopted(machines: Machines) -> None:
    one = "face_value,reference\n25,E001\n"
    assert 0 == machines.issue(machines.first, one).code
    issued = machines.issue(machines.first, one + "25,E001\n")
    ran = machines.issue(machines.second, one + "25,E001\n30,E002\n")
    assert 0 == ran.code, ran.err
    assert {row["payout_url"] for row in rows_of(issued.out)} == {
        row["payout_url"] for row in rows_of(ran.out) if row["reference"] == "E001"
    }
    assert (3, 3) == (gifts_at(machines.emulator), posts(machines.emulator))
    fewer = machines.issue(machines.second.elsewhere(fresh(machines)), one)
    assert (6, 3) == (fewer.code, posts(machines.emulator)), fewer.err


def test_links_without_any_label_are_adopted_and_more_are_issued(machines: Machines) -> None:
    issued = machines.issue(machines.first, "face_value\n25\n25\n")
    ran = machines.issue(machines.second, "face_value\n25\n25\n25\n")
    assert 0 == ran.code, ran.err
    first, second = ([row["payout_url"] for row in rows_of(each.out)] for each in (issued, ran))
    assert first == second[:2]
    assert 3 == len(set(second)) == gifts_at(machines.emulator)


def test_an_unsent_order_whose_references_were_edited_is_stamped_anew(machines: Machines) -> None:
    """Else the digest would prove to a second machine what is no longer so."""
    swapped = "face_value,reference\n25,E002\n25,E001\n40,E003\n"
    nowhere = {"RUNA_BASE_URL": "http://127.0.0.1:9/v2", "RUNA_TIMEOUT": "0.5"}
    assert 7 == machines.issue(machines.first, LINKS, "--no-lookup", "--no-preflight", **nowhere).code
    issued = machines.issue(machines.first, swapped)
    assert 0 == issued.code, issued.err
    assert 6 == machines.issue(machines.second, LINKS).code
    ran = machines.issue(machines.second, swapped)
    assert ran.code in {0, 6}
    assert ran.code or links_of(issued) == links_of(ran)
    assert 1 == posts(machines.emulator)


@pytest.mark.parametrize("point", ["call:look_for_batch", "return:look_for_batch", "call:Batches.record"])
def test_another_process_that_records_the_batch_during_the_look_up_is_noticed(
    program: Program, emulate: Emulate, point: str
) -> None:
    emulator = emulate()
    path = program.home / "gifts.csv"
    path.write_text(STAFF)
    command = ("order", "create", "--file", str(path), *BONUS)
    running = program.paused_at(point, *command)
    assert running.pauses()
    assert -9 == program.killed_at("call:Client.create_order", *command).code
    running.go_on()
    ran = running.end()
    assert (0, 1) == (ran.code, posts(emulator)), ran.err
    assert set(links_of(ran).values()) == links_at(emulator)


def test_two_machines_at_once_with_references_sorted_otherwise_pay_once(machines: Machines) -> None:
    """Both have looked before either has sent. The keys are the same, and the bodies are not."""
    path = machines.second.home / "gifts.csv"
    path.write_text("face_value,reference\n25,E002\n25,E001\n40,E003\n")
    running = machines.second.paused_at("call:Batches.record", "order", "create", "--file", str(path), *BONUS)
    assert running.pauses()
    assert 0 == machines.issue(machines.first, LINKS).code
    running.go_on()
    assert 7 == running.end().code
    assert 3 == gifts_at(machines.emulator)


# --- a list that grows on two machines -----------------------------------------------------------------------------

GROWN = STAFF + "15,dan@example.com\n"
MORE = GROWN + "15,eve@example.com\n"


def test_what_another_machine_added_to_a_list_is_adopted_before_more_is_issued(machines: Machines) -> None:
    for program in (machines.first, machines.second):
        assert 0 == machines.issue(program, STAFF).code
    issued = machines.issue(machines.first, GROWN)
    planned = machines.issue(machines.second, MORE, "--dry-run", "-o", "json")
    ran = machines.issue(machines.second, MORE)
    assert 0 == ran.code, ran.err
    assert "More of batch bonus was issued elsewhere, from another ledger: 1 gift" in ran.err
    assert links_of(issued).items() <= links_of(ran).items()
    assert (5, 3) == (gifts_at(machines.emulator), posts(machines.emulator))
    *_, last = (key for method, _, key in machines.emulator.requests if method == "POST")
    assert [last] == [request["headers"]["X-Idempotency-Key"] for request in planned.json]
    assert links_of(ran) == links_of(machines.issue(machines.first, MORE))
    assert 3 == posts(machines.emulator)


def test_a_home_that_was_restored_from_a_copy_issues_what_was_added_since_only_once(machines: Machines) -> None:
    """Its high-water mark is as old as its ledger, so nothing tells that it went backwards."""
    assert 0 == machines.issue(machines.first, STAFF).code
    copy = machines.first.home.with_name("copy")
    shutil.copytree(machines.first.home, copy)
    machines.first.time.sleep(timedelta(days=3).total_seconds())
    issued = machines.issue(machines.first, GROWN)
    restored = Program(copy, machines.first.env, machines.first.time)
    ran = machines.issue(restored, MORE)
    assert 0 == ran.code, ran.err
    assert links_of(issued).items() <= links_of(ran).items()
    assert 5 == gifts_at(machines.emulator)


def test_what_another_machine_added_and_this_list_lacks_is_named_and_nothing_is_sent(machines: Machines) -> None:
    for program in (machines.first, machines.second):
        assert 0 == machines.issue(program, STAFF).code
    assert 0 == machines.issue(machines.first, GROWN).code
    other = STAFF + "15,eve@example.com\n"
    planned = machines.issue(machines.second, other, "--dry-run", "-o", "json")
    refused = machines.issue(machines.second, other, "-o", "json")
    assert (6, "batch_changed") == (refused.code, refused.error["code"])
    assert "to dan@example.com (completed" in refused.error["message"]
    assert planned.error["code"] == refused.error["code"]
    assert 4 == gifts_at(machines.emulator)
    assert 0 == machines.issue(machines.second, MORE).code
    assert 5 == gifts_at(machines.emulator)


def test_an_order_that_was_recorded_here_and_sent_elsewhere_is_adopted_too(machines: Machines) -> None:
    """The edited list would put its gift into another order, under another key."""
    for program in (machines.first, machines.second):
        assert 0 == machines.issue(program, STAFF).code
    path = machines.second.home / "gifts.csv"
    path.write_text(GROWN)
    command = ("order", "create", "--file", str(path), *BONUS)
    assert -9 == machines.second.killed_at("return:Batches.amend", *command).code
    issued = machines.issue(machines.first, GROWN)
    ran = machines.issue(machines.second, MORE)
    assert 0 == ran.code, ran.err
    assert links_of(issued).items() <= links_of(ran).items()
    assert 5 == gifts_at(machines.emulator)


@pytest.mark.parametrize(
    ("text", "arguments", "code", "count"),
    [(MORE, (), 6, 5), (GROWN, ("--description", "May"), 0, 4), (STAFF, (), 0, 4)],
    ids=["in another order", "in other words", "not at all"],
)
def test_what_was_recorded_and_never_sent_is_not_sent_if_another_machine_issued_it_meanwhile(
    machines: Machines, text: str, arguments: tuple[str, ...], code: int, count: int
) -> None:
    for program in (machines.first, machines.second):
        assert 0 == machines.issue(program, STAFF).code
    (machines.second.home / "gifts.csv").write_text(GROWN)
    command = ("order", "create", "--file", str(machines.second.home / "gifts.csv"), *BONUS)
    assert -9 == machines.second.killed_at("return:Batches.amend", *command).code
    assert 0 == machines.issue(machines.first, text, *arguments).code
    planned = machines.issue(machines.second, GROWN, "--dry-run")
    ran = machines.issue(machines.second, GROWN)
    assert (code, code) == (planned.code, ran.code), ran.err
    assert code or links_of(ran).keys() == {f"{name}@example.com" for name in ("ann", "ben", "cem", "dan")}
    assert count == gifts_at(machines.emulator)


@pytest.mark.parametrize("text", [GROWN, MORE], ids=["as recorded", "in another order"])
def test_a_resume_sends_nothing_if_another_machine_issued_more_of_the_batch(machines: Machines, text: str) -> None:
    """It has no file by which it could tell what is issued. The same order is no danger, for its key is the same."""
    for program in (machines.first, machines.second):
        assert 0 == machines.issue(program, STAFF).code
    (machines.second.home / "gifts.csv").write_text(GROWN)
    command = ("order", "create", "--file", str(machines.second.home / "gifts.csv"), *BONUS)
    assert -9 == machines.second.killed_at("return:Batches.amend", *command).code
    assert 0 == machines.issue(machines.first, text).code
    issued = gifts_at(machines.emulator)
    ran = machines.second("batch", "resume", "bonus", "--json")
    assert issued == gifts_at(machines.emulator)
    if text == GROWN:
        assert 0 == ran.code, ran.err
        return
    assert (6, "issued_elsewhere", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert 6 == machines.second("batch", "resume", "--all").code
    assert 0 == machines.issue(machines.second, text).code
    assert issued == gifts_at(machines.emulator)


@pytest.mark.parametrize(
    ("head", "row"),
    [("face_value,reference", "25,E{}"), ("face_value,team,name", "25,north,Name {}"), ("face_value", "25")],
    ids=["references", "cells", "no labels"],
)
def test_links_that_another_machine_added_are_adopted_for_their_labels(machines: Machines, head: str, row: str) -> None:
    def text(count: int, head: str = head) -> str:
        return "\n".join([head, *(row.format(number) for number in range(count))])

    for program in (machines.first, machines.second):
        assert 0 == machines.issue(program, text(2)).code
    issued = rows_of(machines.issue(machines.first, text(4)).out)
    moved = head.replace("team,name", "team,name,more")
    ran = machines.issue(machines.second, text(5, moved))
    assert 0 == ran.code, ran.err
    assert 5 == gifts_at(machines.emulator)
    labels = {row["payout_url"]: (row["reference"], row.get("name")) for row in rows_of(ran.out)}
    assert {row["payout_url"]: (row["reference"], row.get("name")) for row in issued}.items() <= labels.items()


def test_an_edited_list_is_refused_where_the_orders_at_runa_cannot_be_looked_through(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    machines.first.env["RUNA_BASE_URL"] = "http://127.0.0.1:9/v2"
    refused = machines.issue(machines.first, GROWN, "-o", "json")
    assert (7, "not_issued") == (refused.code, refused.error["money"])
    assert (
        "Another ledger may have issued more of batch bonus, and the orders at Runa could not be looked through"
        in (refused.error["message"])
    )
    assert ["completed"] == machines.first.states()
    assert 0 == machines.issue(machines.first, STAFF).code  # nothing is new


def test_a_resume_that_cannot_look_says_how_to_go_on_without(machines: Machines) -> None:
    """It has no flag for that, as a create has."""
    path = machines.first.home / "gifts.csv"
    path.write_text(STAFF)
    assert -9 == machines.first.killed_at("return:Batches.record", "order", "create", "--file", str(path), *BONUS).code
    nowhere = {"RUNA_BASE_URL": "http://127.0.0.1:9/v2", "RUNA_TIMEOUT": "0.5"}
    ran = machines.first("batch", "resume", "bonus", "--json", **nowhere)
    assert (7, ["prepared"]) == (ran.code, machines.first.states())
    assert "RUNA_LOOK_BACK=0 resumes it without looking" in ran.error["hint"]
    assert "--no-lookup" not in ran.error["hint"]


# --- the look-up ---------------------------------------------------------------------------------------------------


def test_a_known_list_is_not_looked_up_and_a_new_name_or_row_takes_one_page(machines: Machines) -> None:
    assert 0 == machines.issue(machines.first, STAFF).code
    assert 1 == lists(machines.emulator)  # of an empty account
    assert 0 == machines.issue(machines.first, STAFF).code
    assert 1 == lists(machines.emulator)
    assert 0 == machines.issue(machines.first, GROWN).code
    assert 3 == lists(machines.emulator)  # a page, and the empty one that tells the end
    assert 0 == machines.issue(machines.first, MORE, "--no-lookup").code
    assert 3 == lists(machines.emulator)
    assert 0 == machines.issue(machines.second, MORE).code
    assert 5 == lists(machines.emulator)


def test_a_batch_without_a_name_is_not_looked_up(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = program.home / "gifts.csv"
    path.write_text(STAFF)
    assert 0 == program("order", "create", "--file", str(path), "--product", "AMZ-US").code
    assert 0 == lists(emulator)


@pytest.mark.parametrize(("flags", "env"), [(("--no-lookup",), {}), ((), {"RUNA_LOOK_BACK": "0"})])
def test_without_the_look_up_runas_duplicate_check_is_all_there_is(
    machines: Machines, flags: tuple[str, ...], env: dict[str, str]
) -> None:
    issued = machines.issue(machines.first, STAFF)
    before = lists(machines.emulator)
    ran = machines.issue(machines.second, STAFF, *flags, **env)
    assert (0, links_of(issued)) == (ran.code, links_of(ran)), ran.err
    third = machines.first.elsewhere(fresh(machines))
    assert 0 == machines.issue(third, STAFF + "25,dan@example.com\n", *flags, **env).code
    assert (before, 7) == (lists(machines.emulator), gifts_at(machines.emulator))


def test_nothing_is_sent_or_recorded_where_runa_cannot_be_asked(machines: Machines) -> None:
    ran = machines.issue(
        machines.second, STAFF, RUNA_BASE_URL="http://127.0.0.1:9/v2", RUNA_TIMEOUT="0.5", RUNA_OUTPUT="csv"
    )
    assert 7 == ran.code
    assert "could not be looked through" in ran.err
    assert "Nothing was sent." in ran.err
    assert "--no-lookup" in ran.err
    assert [] == machines.second.states()


def test_a_key_that_runa_refuses_is_a_matter_of_the_key(machines: Machines) -> None:
    ran = machines.issue(machines.second, STAFF, RUNA_API_KEY="xxtests.revoked", RUNA_ENV="playground")
    assert 4 == ran.code
    assert "--no-lookup" not in ran.err
    assert [] == machines.second.states()


def test_many_orders_of_others_do_not_hide_those_of_the_batch(machines: Machines) -> None:
    """Other batches have descriptions of their own, of which one order is read each."""
    assert 0 == machines.issue(machines.first, STAFF).code
    for name in ("october", "november"):
        rows = "face_value,email,description\n" + "".join(f"10,p{n}@example.com,\n" for n in range(3))
        path = machines.first.home / "other.csv"
        path.write_text(rows)
        create = ("order", "create", "--file", str(path), "--product", "AMZ-US", "--batch", name)
        assert 0 == machines.first(*create).code
    ran = machines.issue(machines.second, STAFF)
    assert 0 == ran.code, ran.err
    assert 3 == posts(machines.emulator)


def page(count: int, after: str | None, first: int = 0) -> dict[str, object]:
    """Return a page of other orders, and the cursor of the next one."""
    entries = [
        {"id": f"O-{first + n}", "status": "COMPLETED", "created_at": "2099-01-01T00:00:00+00:00", "currency": "GBP"}
        for n in range(count)
    ]
    return {"items": entries, "pagination": {"cursors": {"after": after, "before": None}}}


@pytest.mark.parametrize(
    ("answer", "code", "reason"),
    [
        (as_json(200, page(500, "again")), 7, "read already"),
        (as_json(200, page(1, None) | {"items": [{"status": "COMPLETED"}]}), 7, "without an id"),
        (as_json(200, {"orders": []}), 7, "unreadable"),
        (as_json(500, {"type": "internal_server_error", "message": "An error."}), 7, "internal_server_error"),
        (as_json(400, {"type": "pagination_error", "message": "No such limit."}), 4, "pagination_error"),
    ],
    ids=["in circles", "no id", "no list", "error", "refused"],
)
def test_a_list_that_cannot_be_read_to_its_end_is_refused_before_anything_is_sent(
    program: Program, answer: Answer, code: int, reason: str
) -> None:
    """A refusal says that asking again would not help: key, address or version are wrong."""
    with ScriptedServer(lambda *_: answer) as fake:
        env = {"RUNA_BASE_URL": f"{fake.url}/v2", "RUNA_ENV": "local", "RUNA_API_KEY": KEY}
        ran = program(*GIFT, "--batch", "bonus", "--json", "--timeout", "5", **env)
    assert (code, "not_issued") == (ran.code, ran.error["money"])
    assert reason in ran.error["message"]
    assert "Nothing was sent." in ran.error["message"]
    assert (code == 7) == ("--no-lookup" in ran.error["hint"])
    assert ([], []) == (fake.posted, program.states())


def test_the_search_ends_with_two_pages_of_old_orders(program: Program) -> None:
    """One such page proves nothing: Runa documents no order for its list."""
    asked: list[str] = []

    def script(method: str, target: str, _: object, request: Any) -> Answer:
        if method == "POST":
            return as_json(200, completed("key", request))
        asked.append(target)
        old = page(500, f"c{len(asked)}", len(asked) * 500)
        return as_json(200, json.loads(json.dumps(old).replace("2099-", "2020-")))

    with ScriptedServer(script) as fake:
        env = {"RUNA_BASE_URL": f"{fake.url}/v2", "RUNA_ENV": "local", "RUNA_API_KEY": KEY}
        ran = program(*GIFT, "--batch", "bonus", **env)
    assert 0 == ran.code, ran.err
    assert 2 == len(asked)


# --- the version before, which stamped orders with the key alone ----------------------------------------------------


def issue_with_the_version_before(machines: Machines, text: str) -> None:
    """Send the order as it was sent before: the same key, a stamp without the batch, no description added."""
    path = machines.first.home / "gifts.csv"
    path.write_text(text)
    create = ("order", "create", "--file", str(path), "--product", "AMZ-US", "--batch", "bonus", "--no-lookup")
    (order,) = json.loads(program_out(machines.first, *create, "--dry-run", "--no-stamp", "--json"))
    key = order["headers"]["X-Idempotency-Key"]
    body = json.dumps(order["body"] | {"metadata": {"runa_cli_key": key}}).encode()
    headers = order["headers"] | {"X-Api-Key": KEY}
    with urllib.request.urlopen(
        urllib.request.Request(f"{machines.emulator.url}/order", body, headers), timeout=10
    ) as answer:
        assert answer.status in {200, 202}


def test_an_order_of_the_version_before_is_adopted_by_its_key(machines: Machines) -> None:
    issue_with_the_version_before(machines, STAFF)
    ran = machines.issue(machines.second, STAFF)
    assert (0, 1) == (ran.code, posts(machines.emulator)), ran.err
    assert set(links_of(ran).values()) == links_at(machines.emulator)


def test_links_of_the_version_before_are_not_given_to_references(machines: Machines) -> None:
    """It sent no digest of the labels, so equal links cannot be told apart."""
    issue_with_the_version_before(machines, LINKS)
    refused = machines.issue(machines.second, LINKS)
    assert (6, 1) == (refused.code, posts(machines.emulator)), refused.err


def test_the_same_key_with_the_body_of_the_version_before_is_an_error_that_pays_nothing(machines: Machines) -> None:
    issue_with_the_version_before(machines, STAFF)
    ran = machines.issue(machines.second, STAFF, "--no-lookup")
    assert 7 == ran.code
    assert "idempotency_validation_error" in ran.err or "another" in ran.err
    machines.first.time.sleep(60)
    assert 3 == gifts_at(machines.emulator)
