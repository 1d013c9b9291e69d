"""`audit` finds what differs between ledger and Runa, changes nothing, and never takes half a list for a whole one."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runa_cli.emulator.server import Emulator
from tests.conftest import Emulate
from tests.support.csv_files import gifts, rows_of, sheet
from tests.support.program import GIFT, KEY, Program, ask, at_runa, order_elsewhere, orders_at, posts
from tests.support.ran import Ran
from tests.support.scripted_server import Answer, ScriptedServer, as_json

AUDIT = ("audit", "-o", "csv")


@pytest.fixture
def emulator(emulate: Emulate) -> Emulator:
    return emulate(processing_seconds=0)


@pytest.fixture
def issued(program: Program, emulator: Emulator) -> Program:
    """Return a program that has issued three orders of a batch."""
    assert posts(emulator) == 0
    path = sheet(program.home / "gifts.csv", gifts(3, orders=3))
    assert 0 == program("order", "create", "--file", str(path), "--batch", "bonus").code
    return program


def rows(ran: Ran) -> list[dict[str, str]]:
    return rows_of(ran.out)


def found(ran: Ran) -> list[tuple[str, str]]:
    """Return category and number of orders of each row."""
    return [(row["category"], row["orders"]) for row in rows(ran)]


def difference(ran: Ran) -> dict[str, str]:
    """Return the only row that is no match."""
    assert 10 == ran.code, ran.err
    (row,) = (row for row in rows(ran) if row["category"] != "matched")
    return row


def change_order(tmp_path: Path, order_id: str, **fields: object) -> None:
    """Change what Runa shows of an order, in its list and by its id."""
    with closing(sqlite3.connect(tmp_path / "account.db")) as account, account:
        (shown,) = account.execute("SELECT basic, full FROM orders WHERE id = ?", (order_id,))
        changed = [json.dumps({**json.loads(document), **fields}).encode() for document in shown]
        account.execute("UPDATE orders SET basic = ?, full = ? WHERE id = ?", (*changed, order_id))


def test_where_all_agrees_the_list_is_read_once_and_no_order(issued: Program, emulator: Emulator) -> None:
    before, states = len(emulator.requests), issued.states()
    ran = issued(*AUDIT)
    assert (0, [("matched", "3")]) == (ran.code, found(ran))
    assert ["33.00", "33.00"] == [rows(ran)[0][side] for side in ("here", "at_runa")]
    page, empty_page = (target for _, target, _ in emulator.requests[before:])
    assert "/v2/order?limit=500" == page
    assert empty_page.startswith("/v2/order?limit=500&after=")
    assert (states, 3) == (issued.states(), posts(emulator))


def test_every_format_shows_the_same(issued: Program, emulator: Emulator) -> None:
    order_id = order_elsewhere(emulator)
    document = issued("audit", "--json")
    lines = [json.loads(line) for line in issued("audit", "-o", "jsonl").out.splitlines()]
    assert (10, "differences", document.json) == (document.code, document.error["code"], lines)
    assert [("matched", 3), ("only_at_runa", 1)] == [(row["category"], row["orders"]) for row in document.json]
    table = issued("audit")
    assert 10 == table.code
    for text in (order_id, "matched: 3 orders, 33.00 USD here, 33.00 USD at Runa.", "only at runa: 1 order"):
        assert text in table.out
    assert 2 == issued("audit", "-o", "links").code


@pytest.mark.parametrize(
    ("metadata", "whose"),
    [
        (None, "no stamp: another program, the portal or --no-stamp"),
        ({"team": "sales"}, "no stamp: another program, the portal or --no-stamp"),
        ({"runa_cli_key": "k", "runa_cli_batch": "Q3"}, "another ledger, batch Q3"),
        ({"runa_cli_key": "k"}, "another ledger"),
    ],
)
def test_an_order_made_elsewhere_is_only_at_runa_and_it_says_whose_it_is(
    issued: Program, emulator: Emulator, metadata: dict[str, str] | None, whose: str
) -> None:
    order_id = order_elsewhere(emulator, metadata)
    row = difference(issued(*AUDIT))
    assert ("only_at_runa", order_id, whose, "25.00", "") == (
        row["category"], row["order_id"], row["whose"], row["at_runa"], row["here"],
    )  # fmt: skip
    assert f"`runa order get {order_id}`" in row["next"]


def test_an_order_with_the_stamp_of_another_may_have_been_issued_twice(issued: Program, emulator: Emulator) -> None:
    (first, *_) = orders_at(emulator)
    order_elsewhere(emulator, metadata={"runa_cli_key": first["metadata"]["runa_cli_key"]})
    row = difference(issued(*AUDIT))
    assert ("only_at_runa", f"the same stamp as order {first['id']} of batch bonus") == (row["category"], row["whose"])
    assert "issued twice" in row["next"]


def test_an_amount_that_differs_is_found(issued: Program, emulator: Emulator, tmp_path: Path) -> None:
    (first, *_) = orders_at(emulator)
    change_order(tmp_path, first["id"], total_price="999.99")
    row = difference(issued(*AUDIT))
    assert ("amount_differs", first["id"], "bonus", first["total_price"], "999.99") == (
        row["category"], row["order_id"], row["batch"], row["here"], row["at_runa"],
    )  # fmt: skip


def test_the_same_amount_in_another_currency_differs(issued: Program, emulator: Emulator, tmp_path: Path) -> None:
    (first, *_) = orders_at(emulator)
    change_order(tmp_path, first["id"], currency="EUR")
    assert "amount_differs" == difference(issued(*AUDIT))["category"]


@pytest.mark.parametrize(("status", "at"), [("FAILED", "0.00"), ("PROCESSING", "")])
def test_a_state_that_differs_is_found(
    issued: Program, emulator: Emulator, tmp_path: Path, status: str, at: str
) -> None:
    (first, *_) = orders_at(emulator)
    if status == "PROCESSING":
        at_runa(tmp_path, "UPDATE orders SET ready_at = '2999-01-01T00:00:00+00:00' WHERE id = ?", first["id"])
    else:
        change_order(tmp_path, first["id"], status=status)
    row = difference(issued(*AUDIT))
    assert ("state_differs", "completed", status, at) == (
        row["category"], row["state_here"], row["state_at_runa"], row["at_runa"],
    )  # fmt: skip


def test_an_order_that_runa_has_lost_is_only_here(issued: Program, emulator: Emulator, tmp_path: Path) -> None:
    (first, *_) = orders_at(emulator)
    at_runa(tmp_path, "DELETE FROM orders WHERE id = ?", first["id"])
    row = difference(issued(*AUDIT))
    assert ("only_here", first["id"], first["total_price"], "") == (
        row["category"], row["order_id"], row["here"], row["at_runa"],
    )  # fmt: skip
    assert "ordersupport@runa.io" in row["next"]


def test_an_order_that_is_missing_in_the_list_alone_agrees(issued: Program, emulator: Emulator, tmp_path: Path) -> None:
    """It is asked for by its id before it is called missing."""
    (first, *_) = orders_at(emulator)
    at_runa(tmp_path, "UPDATE orders SET listed = 0 WHERE id = ?", first["id"])
    ran = issued(*AUDIT)
    assert (0, [("matched", "3")]) == (ran.code, found(ran))


def test_an_order_of_unknown_outcome_that_runa_made_is_found_by_its_stamp(program: Program, emulate: Emulate) -> None:
    """Then a resume settles it, and nothing differs any more."""
    emulator = emulate("lost-after@1-9", processing_seconds=0)
    program(*GIFT, "--batch", "lost", RUNA_TIMEOUT="1")
    row = difference(program(*AUDIT))
    (order,) = orders_at(emulator)
    assert ("unknown_here", order["id"], "sent", "COMPLETED", "10.00", "10.00") == tuple(
        row[name] for name in ("category", "order_id", "state_here", "state_at_runa", "here", "at_runa")
    )
    assert row["next"].startswith("`runa batch resume lost`")


def test_an_order_of_unknown_outcome_that_runa_does_not_show_stays_unknown(issued: Program) -> None:
    issued.killed_at("call:Client.create_order", *GIFT, "--batch", "lost")
    row = difference(issued(*AUDIT))
    assert ("unknown_here", "", "", "lost", "10.00") == tuple(
        row[name] for name in ("category", "order_id", "at_runa", "batch", "here")
    )
    assert 0 == issued("batch", "resume", "lost").code
    assert 0 == issued(*AUDIT).code


def test_an_order_that_was_given_up_and_is_not_at_runa_agrees(issued: Program) -> None:
    issued.killed_at("call:Client.create_order", *GIFT, "--batch", "lost")
    assert 0 == issued("batch", "abandon", "lost", "--yes").code
    assert 0 == issued(*AUDIT).code


def test_an_order_that_was_given_up_without_a_stamp_stays_unknown(issued: Program) -> None:
    issued.killed_at("call:Client.create_order", *GIFT, "--batch", "lost", "--no-stamp")
    assert 0 == issued("batch", "abandon", "lost", "--yes").code
    assert "unknown_here" == difference(issued(*AUDIT))["category"]


def test_an_order_that_is_processing_on_both_sides_agrees_and_one_that_has_settled_is_settled_by_a_resume(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    emulate(processing_seconds=1000)
    assert 0 == program(*GIFT, "--batch", "later", "--mode", "async", "--no-wait").code
    assert (0, [("matched", "1")]) == ((ran := program(*AUDIT)).code, found(ran))
    at_runa(tmp_path, "UPDATE orders SET ready_at = '2001-01-01T00:00:00+00:00'")
    row = difference(program(*AUDIT))
    assert ("state_differs", "accepted", "COMPLETED") == (row["category"], row["state_here"], row["state_at_runa"])
    assert "`runa batch resume later` takes over what Runa says" == row["next"]
    assert 0 == program("batch", "resume", "later").code
    assert 0 == program(*AUDIT).code


def test_a_pruned_batch_is_compared_too(issued: Program, emulator: Emulator, tmp_path: Path) -> None:
    assert 0 == issued("batch", "prune", "--older-than", "0", "--yes").code
    assert (0, [("matched", "3")]) == ((ran := issued(*AUDIT)).code, found(ran))
    (first, *_) = orders_at(emulator)
    change_order(tmp_path, first["id"], total_price="1.00")
    assert "amount_differs" == difference(issued(*AUDIT))["category"]


def test_every_page_is_compared(program: Program, emulator: Emulator) -> None:
    """More than a page of orders, and one made elsewhere before them all, on the last page."""
    order_id = order_elsewhere(emulator)
    path = sheet(program.home / "gifts.csv", gifts(510, orders=510))
    assert 0 == program("order", "create", "--file", str(path), "--batch", "bonus", "-q", "--no-preflight").code
    before = len(emulator.requests)
    ran = program(*AUDIT)
    assert ("only_at_runa", order_id) == (difference(ran)["category"], difference(ran)["order_id"])
    assert ("matched", "510") == found(ran)[0]
    asked = [target for _, target, _ in emulator.requests[before:]]
    assert 1 == sum(not target.startswith("/v2/order?") for target in asked)


@pytest.mark.parametrize("fault", ["get-lost@1-99", "get-500@1-99", "get-429@1-99", "get-404@1-99"])
def test_an_order_that_cannot_be_fetched_is_never_left_out(program: Program, emulate: Emulate, fault: str) -> None:
    order_elsewhere(emulate(fault, processing_seconds=0))
    ran = program("audit", "--json", RUNA_TIMEOUT="5")
    assert (7, "") == (ran.code, ran.out)
    assert ran.error["code"] in {"unreachable", "list_cut"}


def test_a_list_that_cannot_be_read_is_never_taken_for_an_empty_one(program: Program, emulator: Emulator) -> None:
    assert 0 == program(*GIFT).code
    ran = program("audit", "--json", RUNA_TIMEOUT="5", RUNA_BASE_URL="http://127.0.0.1:9/v2")
    assert (7, "", "unreachable") == (ran.code, ran.out, ran.error["code"])
    assert 1 == posts(emulator)


def test_a_key_that_is_refused_ends_the_audit(program: Program, emulator: Emulator) -> None:
    assert 0 == program(*GIFT).code
    assert 1 == posts(emulator)
    refused = as_json(401, {"type": "unauthorized", "message": "no"})
    with paged(refused) as server:
        ran = program("audit", "--json", RUNA_BASE_URL=f"{server.url}/v2")
    assert (4, "") == (ran.code, ran.out)


def paged(*pages: Answer) -> ScriptedServer:
    """Return a server whose list of orders has these pages."""
    left = list(pages)
    return ScriptedServer(lambda *_: left.pop(0) if len(left) > 1 else left[0])


def page(entries: list[Any], after: str | None) -> Answer:
    return as_json(200, {"items": entries, "pagination": {"cursors": {"after": after}, "page": {"limit": 500}}})


ENTRY = {"id": "O-1", "status": "COMPLETED", "created_at": "2001-01-01T00:00:00+00:00", "total_price": "1.00"}


@pytest.mark.parametrize(
    "second",
    [
        page([{**ENTRY, "id": "O-2"}], "a"),
        page([{"status": "COMPLETED"}], None),
        page([{**ENTRY, "status": "SHIPPED"}], None),
        (200, {}, b'{"items": [{"id": "O-2"'),
        as_json(200, {"pagination": {}}),
    ],
    ids=["leads back", "no id", "a status that is none", "cut", "no items"],
)
def test_a_list_that_ends_too_soon_is_no_list(program: Program, second: Answer) -> None:
    with paged(page([ENTRY], "a"), second) as server:
        program.env.update(RUNA_BASE_URL=f"{server.url}/v2", RUNA_ENV="local", RUNA_API_KEY=KEY, RUNA_TIMEOUT="5")
        ran = program("audit", "--since", "2000-01-01", "--json")
    assert (7, "") == (ran.code, ran.out)


@pytest.mark.parametrize("minutes", [-60 * 24 * 400, -60 * 24 * 2, 10])
def test_an_order_that_runa_made_at_another_time_than_is_compared_is_neither_missing_nor_counted(
    issued: Program, emulator: Emulator, tmp_path: Path, minutes: int
) -> None:
    """The clock of one side may say so of an order at the edge, and that of the other may not."""
    (first, *_) = orders_at(emulator)
    created = datetime.fromisoformat(first["created_at"]) + timedelta(minutes=minutes)
    change_order(tmp_path, first["id"], created_at=created.isoformat(), total_price="1.00")
    assert (0, [("matched", "2")]) == ((ran := issued(*AUDIT)).code, found(ran))


def test_orders_of_elsewhere_count_from_the_first_day_to_the_last(issued: Program, emulator: Emulator) -> None:
    order_elsewhere(emulator)
    assert 0 == issued(*AUDIT, "--since", "2001-01-01", "--until", "2001-01-02").code
    assert 10 == issued(*AUDIT, "--since", "2001-01-01").code


def test_orders_of_another_key_that_are_not_shown_are_no_difference(
    program: Program, emulator: Emulator, tmp_path: Path
) -> None:
    program.env["RUNA_ENV"] = "playground"
    assert 0 == program(*GIFT, "--batch", "one", "--no-lookup").code
    (order,) = orders_at(emulator)
    rotated = {"RUNA_API_KEY": "xxother.secret~part"}
    assert (0, [("matched", "1")]) == ((ran := program(*AUDIT, **rotated)).code, found(ran))
    at_runa(tmp_path, "DELETE FROM orders WHERE id = ?", order["id"])
    ran = program(*AUDIT, **rotated)
    assert (0, [("other_key", "1")]) == (ran.code, found(ran))
    assert "another key (xxtests.…)" in ran.err
    assert "only_here" == difference(program(*AUDIT))["category"]


def test_a_time_that_is_none_is_refused(issued: Program) -> None:
    for days in (("--since", "2999-01-01"), ("--since", "2026-01-02", "--until", "2026-01-01"), ("--until", "soon")):
        assert 2 == issued("audit", *days).code


def test_an_audit_of_an_empty_ledger_shows_what_was_issued_elsewhere(program: Program, emulator: Emulator) -> None:
    assert 0 == program(*AUDIT).code
    order_elsewhere(emulator)
    assert "only_at_runa" == difference(program(*AUDIT))["category"]
    assert 1 == len(ask(emulator, "/order?limit=500")["items"])
