"""An order whose recorded body was changed in the ledger is never sent; every other one is, whatever it carries."""

import sqlite3
from contextlib import closing

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, Program, orders_at, posts

pytestmark = pytest.mark.file_ledger("it is changed by hand there")
RAISE = "UPDATE purchase SET body = CAST(replace(body, ':10,', ':90,') AS BLOB)"
RAISE_AS_TEXT = "UPDATE purchase SET body = replace(CAST(body AS TEXT), ':10,', ':90,')"
EMPTY = "UPDATE purchase SET body = x''"
REJECTED = ("order", "create", "--face-value", "900000000", "--email", "fred@example.com", "--product", "AMZ-US",
            "--no-preflight")  # fmt: skip


def change(program: Program, statement: str) -> None:
    """Change the ledger as somebody does by hand."""
    with closing(sqlite3.connect(program.ledger)) as connection, connection:
        assert connection.execute(statement).rowcount


@pytest.mark.parametrize("statement", [RAISE, RAISE_AS_TEXT, EMPTY])
@pytest.mark.parametrize(
    ("killed_at", "ended"),
    [("return:Batches.record", (4, "not_issued")), ("return:Client.create_order", (7, "unknown"))],
)
def test_a_body_that_is_not_the_recorded_one_is_never_sent(
    program: Program, emulate: Emulate, killed_at: str, ended: tuple[int, str], statement: str
) -> None:
    emulator = emulate()
    assert -9 == program.killed_at(killed_at, *GIFT, "--batch", "bonus").code
    change(program, statement)
    sent, states = posts(emulator), program.states()
    for command in (
        (*GIFT, "--batch", "bonus"),
        ("batch", "resume", "bonus"),
        (*GIFT, "--batch", "bonus", "--dry-run"),
    ):
        ran = program(*command, "--json")
        assert ("ledger_damaged", *ended) == (ran.error["code"], ran.code, ran.error["money"])
    assert (sent, states) == (posts(emulator), program.states())


@pytest.mark.parametrize("point", ["call:OrderFlow.settle", "call:OrderFlow._attempt", "call:Orders.mark_sent"])
def test_a_body_that_is_changed_while_its_run_is_about_to_send_it_is_not_sent(
    program: Program, emulate: Emulate, point: str
) -> None:
    emulator = emulate()
    running = program.paused_at(point, *GIFT, "--json")
    assert running.pauses()
    change(program, RAISE)
    running.go_on()
    ran = running.end()
    assert (4, "ledger_damaged", 0) == (ran.code, ran.error["code"], posts(emulator))
    assert ["prepared"] == program.states()


def test_a_body_that_is_changed_between_two_attempts_is_not_sent_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate("lost-after@1")
    running = program.paused_at("return:Client.create_order", *GIFT, "--json")
    assert running.pauses()
    change(program, RAISE)
    running.go_on()
    ran = running.end()
    assert (7, "ledger_damaged", 1) == (ran.code, ran.error["code"], posts(emulator))


@pytest.mark.parametrize("statement", [RAISE, EMPTY])
def test_no_answer_is_taken_for_an_accepted_order_whose_body_was_changed(
    program: Program, emulate: Emulate, statement: str
) -> None:
    """Its links could be bound to other gifts than those that were sent."""
    emulate(processing_seconds=1)
    command = (*GIFT, "--mode", "async", "--batch", "bonus")
    assert 0 == program(*command, "--no-wait").code
    assert ["accepted"] == program.states()
    change(program, statement)
    ran = program("batch", "resume", "bonus", "--json")
    assert ("ledger_damaged", 7, "unknown") == (ran.error["code"], ran.code, ran.error["money"])
    assert ["accepted"] == program.states()


def test_a_rejected_order_whose_body_was_changed_gets_no_next_key(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 5 == program(*REJECTED, "--batch", "bonus").code
    change(program, "UPDATE purchase SET body = CAST(replace(body, '900000000', '10') AS BLOB)")
    for more in ((), ("--dry-run",)):
        ran = program(*REJECTED, "--batch", "bonus", *more, "--json")
        assert (4, "ledger_damaged", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert (1, ["rejected"]) == (posts(emulator), program.states())


@pytest.mark.parametrize("more", [("--metadata", "cost=Ünit 7"), ("--description", "Grüße"), ("--no-stamp",)])
def test_what_was_recorded_is_sent_after_a_crash_whatever_its_order_carries(
    program: Program, emulate: Emulate, more: tuple[str, ...]
) -> None:
    emulator = emulate()
    command = ("order", "create", "--face-value", "10.50", "--email", "jürgen@example.com", "--product", "AMZ-US")
    assert -9 == program.killed_at("return:Batches.record", *command, *more).code
    assert 0 == program(*command, *more).code
    assert 1 == len(orders_at(emulator))
