"""A key that Runa may have forgotten is never sent again: the order is looked up, whatever the clock says."""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, KEY, Program, links_at, orders_at, posts
from tests.support.scripted_server import Answer, ScriptedServer, as_json, completed

NAMES = pytest.mark.parametrize(
    "name", [(), ("--batch", "bonus"), ("--idempotency-key", "invoice-7")], ids=["unnamed", "named", "own key"]
)
UNREACHED = {"RUNA_BASE_URL": "http://127.0.0.1:9/v2"}
OLD = timedelta(days=29, hours=1)


def age(program: Program, by: timedelta, *columns: str) -> None:
    """Move recorded times of all orders into the past."""
    with sqlite3.connect(program.ledger) as connection:
        for column in columns or ("prepared_at", "first_sent_at"):
            for row, text in connection.execute(f"SELECT id, {column} FROM purchase").fetchall():
                if text:
                    moved = (datetime.fromisoformat(text) - by).astimezone(UTC).isoformat(timespec="microseconds")
                    connection.execute(f"UPDATE purchase SET {column} = ? WHERE id = ?", (moved, row))
    connection.close()


def leave_sent(program: Program, *name: str) -> None:
    """Leave an order that was issued, and whose answer was lost."""
    program.killed_at("return:Client.create_order", *GIFT, *name)
    assert ["sent"] == program.states()


def leave_prepared(program: Program, *name: str) -> None:
    """Leave an order that was recorded and never sent."""
    assert 7 == program(*GIFT, *name, "--no-lookup", "--timeout", "0.5", **UNREACHED).code
    assert ["prepared"] == program.states()


@NAMES
def test_an_old_order_that_was_sent_is_found_and_not_sent_again(
    program: Program, emulate: Emulate, name: tuple[str, ...]
) -> None:
    emulator = emulate()
    leave_sent(program, *name)
    age(program, OLD)
    ran = program(*GIFT, *name, "-o", "links")
    assert (0, 1) == (ran.code, posts(emulator)), ran.err
    assert links_at(emulator) == set(ran.out.split())


@NAMES
def test_the_age_counts_from_the_recording_and_not_from_the_first_sending(
    program: Program, emulate: Emulate, name: tuple[str, ...]
) -> None:
    emulator = emulate("lost-before@1-9")
    assert 7 == program(*GIFT, *name, "--timeout", "3").code
    sent = posts(emulator)
    age(program, OLD, "prepared_at")
    ran = program(*GIFT, *name, "--json")
    assert (7, "outcome_unknown", sent) == (ran.code, ran.error["code"], posts(emulator))
    assert ["sent"] == program.states()
    emulator.hurry()
    program("batch", "abandon", ran.error["batch"], "--yes")
    while posts(emulator) < 9:  # the emulator's faults have to be met
        program(*GIFT, "--again", "--timeout", "3")


@NAMES
def test_an_old_order_that_was_never_sent_is_looked_up_and_then_sent(
    program: Program, emulate: Emulate, name: tuple[str, ...]
) -> None:
    emulator = emulate()
    leave_prepared(program, *name)
    age(program, OLD)
    ran = program(*GIFT, *name, "-o", "links")
    assert (0, 1) == (ran.code, len(orders_at(emulator))), ran.err
    targets = [(method, target) for method, target, _ in emulator.requests]
    assert targets.index(("GET", "/v2/order?limit=500")) < targets.index(("POST", "/v2/order"))


def test_an_old_order_that_was_never_sent_from_here_is_adopted_where_runa_has_it(
    program: Program, emulate: Emulate
) -> None:
    """The ledger is an older copy: under a made-up name and a key of its own, the order was sent all the same."""
    emulator = emulate()
    leave_prepared(program)
    copy = program.ledger.read_bytes()
    first = program(*GIFT, "-o", "links")
    program.ledger.write_bytes(copy)
    for suffix in ("-wal", "-shm"):
        program.ledger.with_name(program.ledger.name + suffix).unlink(missing_ok=True)
    program.mark.unlink()  # a person has accepted the older copy
    age(program, OLD)
    ran = program(*GIFT, "-o", "links")
    assert (0, first.out, 1) == (ran.code, ran.out, posts(emulator)), ran.err


def test_an_old_order_that_cannot_be_looked_up_is_not_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    leave_prepared(program)
    age(program, OLD)
    ran = program(*GIFT, "--timeout", "1", "--json", **UNREACHED)
    assert (7, 0, ["prepared"]) == (ran.code, posts(emulator), program.states())


def test_a_machine_that_sleeps_between_two_attempts_sends_no_old_key(program: Program) -> None:
    """Its own clock stands still meanwhile; by then Runa has forgotten the key and would issue again."""
    made: list[str] = []

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            made.append(headers["X-Idempotency-Key"])
            age(program, OLD)
            script.order = completed(made[0], body, description=None)  # type: ignore[attr-defined]
            return 200, {"Content-Length": "9999"}, b"{"
        if path.startswith("/order?"):
            return as_json(200, {"items": [script.order], "pagination": {}})  # type: ignore[attr-defined]
        return as_json(200, script.order)  # type: ignore[attr-defined]

    with ScriptedServer(script) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        ran = program(*GIFT, "-o", "links")
    assert (0, 1, 1) == (ran.code, len(made), len(ran.out.split())), ran.err


# --- the look-up -----------------------------------------------------------------------------------------------------


def entry(number: int, created: datetime) -> dict[str, Any]:
    return {
        "id": f"O-other-{number}", "status": "COMPLETED", "currency": "USD", "description": None,
        "total_price": "10.00", "created_at": created.isoformat(),
    }  # fmt: skip


NOW = datetime.now(UTC)


def descending(count: int, newest: datetime) -> list[dict[str, Any]]:
    return [entry(number, newest - timedelta(minutes=number)) for number in range(count)]


@pytest.mark.parametrize(
    ("first_page", "created"),
    [
        ([entry(1, NOW - timedelta(days=90)), entry(2, NOW - timedelta(days=91))], NOW),
        (descending(120, NOW - timedelta(days=90))[::-1], NOW),
        (
            [
                *descending(60, NOW - timedelta(days=80)),
                *descending(60, NOW - timedelta(days=70)),
                entry(0, NOW - timedelta(days=90)),
            ],
            NOW,
        ),
        ([entry(number, NOW - timedelta(days=90)) for number in range(120)], NOW),
        ([], NOW - timedelta(days=20)),
        (descending(120, NOW - timedelta(days=5)), NOW - timedelta(days=20)),
    ],
    ids=["two old ones", "ascending", "no order", "one time", "an older one", "an older one behind others"],
)
def test_an_order_is_found_wherever_it_is_in_the_list(
    program: Program, first_page: list[dict[str, Any]], created: datetime
) -> None:
    """Runa documents no order of its list, and the clock that recorded the order may have been wrong."""
    made: dict[str, Any] = {}

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            made.setdefault(
                "order", completed(headers["X-Idempotency-Key"], body, description=None, created_at=created.isoformat())
            )
            return as_json(500, {"type": "internal_server_error", "message": "Sorry."})
        if path.startswith("/order?"):
            page = [made["order"]] if "after" in path else first_page or [made["order"]]
            return as_json(200, {"items": page, "pagination": {"cursors": {"after": "next"}}})
        other = {**made["order"], "id": path.rsplit("/", 1)[-1], "metadata": {"a": "b"}}
        return as_json(200, made["order"] if path.endswith(made["order"]["id"]) else other)

    with ScriptedServer(script) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        ran = program(*GIFT, "-o", "links")
    assert 0 == ran.code, ran.err
    assert "was found at Runa by its stamp" in ran.err


def test_a_long_sorted_list_is_not_read_to_its_end(program: Program) -> None:
    pages: list[str] = []

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            return as_json(500, {"type": "internal_server_error", "message": "Sorry."})
        pages.append(path)
        page = descending(120, NOW - timedelta(days=90 * len(pages)))
        others = [{**one, "currency": "EUR"} for one in page]
        return as_json(200, {"items": others, "pagination": {"cursors": {"after": f"page-{len(pages)}"}}})

    with ScriptedServer(script) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        ran = program(*GIFT, "--json")
    assert (7, 1) == (ran.code, len(pages))
    assert "No order at Runa has its stamp" in ran.error["message"]


def test_an_order_that_is_still_processing_may_be_the_one(program: Program) -> None:
    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            return as_json(500, {"type": "internal_server_error", "message": "Sorry."})
        processing = {"id": "O-1", "status": "PROCESSING", "message": "Wait."}
        return as_json(200, {"items": [processing]} if path.startswith("/order?") else processing)

    with ScriptedServer(script) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        ran = program(*GIFT, "--json")
    assert (7, ["sent"]) == (ran.code, program.states())
    assert "Order O-1 is still processing" in ran.error["message"]
    assert "No order" not in ran.error["message"]
