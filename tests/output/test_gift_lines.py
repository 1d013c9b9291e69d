"""`-o gifts`: one JSON object a gift and line, whatever the outcome."""

import json
from typing import Any

import pytest

from runa_cli.core.money import plain_amount
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.program import GIFT, Program, links_at, orders_at, posts, wait_for
from tests.support.ran import LONGEST, Ran

KEYS = [
    *("batch", "order", "row", "reference", "email", "face_value", "currency", "products", "status", "money"),
    *("order_id", "item_id", "payout_url", "expiry_date", "price", "error", "carried"),
]


def lines(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(text) for text in ran.out.splitlines()]


def create(program: Program, *flags: str, count: int = 4, orders: int = 2) -> Ran:
    path = sheet(program.home / "gifts.csv", gifts(count, orders=orders))
    return program("order", "create", "--file", str(path), "--batch", "bonus", "-o", "gifts", "--no-preflight", *flags)


def by_row(ran: Ran) -> list[dict[str, Any]]:
    return sorted(lines(ran), key=lambda gift: int(gift["row"]))


def test_an_issued_gift_has_every_key_in_its_place(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = create(program)
    assert (0, "") == (ran.code, ran.err)
    assert [KEYS] * 4 == [list(gift) for gift in lines(ran)]
    first = by_row(ran)[0]
    (order,) = [order for order in orders_at(emulator) if order["id"] == first["order_id"]]
    (item,) = [item for item in order["items"] if item["id"] == first["item_id"]]
    expected = {
        "batch": "bonus", "order": 1, "row": 1, "reference": "E00000", "email": "person0@example.com",
        "face_value": "10.00", "currency": "USD", "products": ["AMZ-US"], "status": "ACTIVE", "money": "issued",
        "order_id": order["id"], "item_id": item["id"], "payout_url": item["payout"]["url"],
        "expiry_date": item["payout"].get("expiry_date"), "price": "10.00", "error": None,
        "carried": {"team": "team 0"},
    }  # fmt: skip
    assert expected == first
    assert [1, 2, 1, 2] == [gift["order"] for gift in by_row(ran)]


def test_export_and_the_same_command_write_the_same_lines_at_any_time(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    first = create(program)
    assert by_row(first) == lines(program("batch", "export", "bonus", "-o", "gifts"))
    assert by_row(first) == by_row(create(program))
    assert by_row(first) == by_row(program("batch", "resume", "bonus", "-o", "gifts"))
    assert 2 == posts(emulator)


def test_a_gift_without_an_address_has_null_where_nothing_is_known(program: Program, emulate: Emulate) -> None:
    emulate()
    ran = program("order", "create", "--face-value", "25", "--product", "800PET-US", "-o", "gifts")
    (gift,) = lines(ran)
    assert (None, None, {}, 1) == (gift["reference"], gift["email"], gift["carried"], gift["row"])


def test_every_outcome_has_its_lines(program: Program, emulate: Emulate) -> None:
    """Completed, FAILED and of unknown outcome, in one run: a program that joins by row misses none."""
    emulate("failed@2", "stored-5xx@3")
    ran = create(program, "--concurrency", "1", count=6, orders=3)
    assert (8, "partial") == (ran.code, ran.error["money"])
    by_reference = {gift["reference"]: gift for gift in lines(ran)}
    assert 6 == len(lines(ran)) == len(by_reference)
    assert {"E00000": "issued", "E00001": "not_issued", "E00002": "unknown"} == {
        reference: by_reference[reference]["money"] for reference in ("E00000", "E00001", "E00002")
    }
    assert ["failed", "sent"] == [by_reference[reference]["status"] for reference in ("E00001", "E00002")]
    assert all(gift["error"] for gift in lines(ran) if gift["money"] != "issued")
    assert all(gift["payout_url"] is None for gift in lines(ran) if gift["money"] != "issued")
    assert by_row(ran) == lines(program("batch", "export", "bonus", "-o", "gifts"))


def test_a_rejected_order_has_its_lines(program: Program, emulate: Emulate) -> None:
    emulate()
    ran = program(*GIFT[:2], "--face-value", "10", "--product", "NO-SUCH-US", "--currency", "USD", "-o", "gifts")
    (gift,) = lines(ran)
    assert (5, "rejected", "not_issued", "10.00") == (ran.code, gift["status"], gift["money"], gift["face_value"])


def test_orders_that_a_run_does_not_get_to_have_their_lines_too(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@2", processing_seconds=0.05)
    path = sheet(program.home / "gifts.csv", gifts(6, orders=3))
    running = program.start(
        "order", "create", "--file", str(path), "--batch", "bonus", "--concurrency", "1", "--no-preflight", "-o",
        "gifts",
    )  # fmt: skip
    wait_for(lambda: posts(emulator) == 2, running)
    running.terminate()
    wait_for(lambda: program.states()[2:] == ["prepared"], running)
    emulator.hurry()
    out, err = running.communicate(timeout=LONGEST)
    assert 130 == running.returncode
    assert 1 == len(err.splitlines())
    found = [json.loads(text) for text in out.splitlines()]
    assert [1, 2, 3, 4, 5, 6] == sorted(gift["row"] for gift in found)
    assert {"issued", "not_issued"} == {gift["money"] for gift in found}


def test_a_line_is_written_when_its_order_settles(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@2", processing_seconds=0.05)
    path = sheet(program.home / "gifts.csv", gifts(4, orders=2))
    running = program.start(
        "order", "create", "--file", str(path), "--concurrency", "1", "--no-preflight", "-o", "gifts"
    )
    assert running.stdout is not None
    early = [json.loads(running.stdout.readline()) for _ in range(2)]
    assert {"person0@example.com", "person2@example.com"} == {gift["email"] for gift in early}
    wait_for(lambda: posts(emulator) == 2, running)
    emulator.hurry()
    out, _ = running.communicate(timeout=LONGEST)
    assert links_at(emulator) == {
        gift["payout_url"] for gift in (*early, *(json.loads(text) for text in out.splitlines()))
    }


def test_resuming_all_batches_writes_the_gifts_of_each(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    for name, address in (("first", "a@example.com"), ("second", "b@example.com")):
        program.killed_at(
            "return:Batches.record", "order", "create", "--face-value", "10", "--product", "AMZ-US", "--email", address,
            "--batch", name,
        )  # fmt: skip
    ran = program("batch", "resume", "--all", "-o", "gifts")
    assert {("first", "a@example.com"), ("second", "b@example.com")} == {
        (gift["batch"], gift["email"]) for gift in lines(ran)
    }
    assert links_at(emulator) == {gift["payout_url"] for gift in lines(ran)}


def test_an_order_at_runa_has_no_batch(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    (issued,) = lines(program(*GIFT, "-o", "gifts"))
    (gift,) = lines(program("order", "get", orders_at(emulator)[0]["id"], "-o", "gifts"))
    assert {**issued, "batch": None, "order": None} == gift
    assert KEYS == list(gift)


def test_the_setting_takes_it_and_errors_are_json(program: Program, emulate: Emulate) -> None:
    emulate()
    ran = program("order", "create", "--face-value", "0", "--product", "AMZ-US", RUNA_OUTPUT="gifts")
    assert (3, "") == (ran.code, ran.out)
    assert [ran.err.strip()] == ran.err.splitlines()
    assert "invalid_input" == ran.error["code"]


@pytest.mark.parametrize("output", ["json", "jsonl", "gifts"])
def test_the_error_is_alone_on_standard_error_unless_v_is_given(
    program: Program, emulate: Emulate, output: str
) -> None:
    emulate("failed@2")
    rows = gifts(4, orders=2)
    rows[2]["email"] = rows[0]["email"]
    path = sheet(program.home / "gifts.csv", rows)
    command = ("order", "create", "--file", str(path), "--concurrency", "1", "-o", output, "--batch", "bonus")
    ran = program(*command)
    assert (8, 1) == (ran.code, len(ran.err.splitlines()))
    assert "partly_done" == ran.error["code"]
    spoken = program(*command, "-v")
    assert 1 < len(spoken.err.splitlines())
    assert 1 < len(program(*command[:-4], "-o", "csv", "--batch", "bonus").err.splitlines())


@pytest.mark.parametrize(
    ("text", "currency", "shown"),
    [
        ("10", "USD", "10.00"), ("10.5", "USD", "10.50"), ("1E+2", "USD", "100.00"), ("0.125", "USD", "0.125"),
        ("", "USD", None), ("x", "USD", "x"), ("1E+999", "USD", "1E+999"), ("-3", "", "-3.00"),
        ("5000.00", "JPY", "5000"), ("5000", "JPY", "5000"), ("0.50", "JPY", "0.50"),
    ],
)  # fmt: skip
def test_an_amount_is_a_plain_number_with_the_decimals_of_its_currency(
    text: str, currency: str, shown: str | None
) -> None:
    assert shown == plain_amount(text, currency)
