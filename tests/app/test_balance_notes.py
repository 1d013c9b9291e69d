"""In live the balance is noted before and after a run, `audit` compares what it can, and no run depends on it."""

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runa_cli.emulator.server import Emulator
from tests.conftest import Emulate
from tests.support.csv_files import gifts, rows_of, sheet
from tests.support.program import GIFT, Program, at_runa, links_at, order_elsewhere, posts, wait_for
from tests.support.ran import LONGEST
from tests.support.scripted_server import Answer, ScriptedServer, as_json

KEY = "wgtests.secret"
LIVE = {"RUNA_ENV": "live", "RUNA_API_KEY": KEY}
RUN = [("before", "1000000.00"), ("after", "999967.00")]  # of three gifts, 33.00 USD


@pytest.fixture
def emulator(emulate: Emulate, program: Program) -> Emulator:
    """Return an emulator that the program uses with a live key."""
    emulator = emulate(processing_seconds=0)
    program.env.update(LIVE)
    return emulator


def create(program: Program, *flags: str, batch: str = "bonus", first: int = 0) -> tuple[str, ...]:
    """Return the command that issues three gifts as three orders: for 33.00 USD, and 3.00 more for each `first`."""
    path = sheet(program.home / f"{batch}.csv", gifts(3, orders=3, first=first))
    return "order", "create", "--file", str(path), "--batch", batch, "--yes", *flags


def notes(program: Program) -> list[dict[str, Any]]:
    statement = "SELECT facts FROM event WHERE kind = 'balance.noted' ORDER BY id"
    return [json.loads(facts) for (facts,) in program.sql(statement)]


def told(program: Program) -> list[tuple[str, str | None]]:
    """Return when each balance was noted, and the balance."""
    return [(note["moment"], note["amount"]) for note in notes(program)]


def asked(emulator: Emulator) -> int:
    """Return how often a balance was asked for."""
    return sum(target.startswith("/v2/balance") for _, target, _ in emulator.requests)


def compared(program: Program) -> list[tuple[str, str, str, str]]:
    """Return category, charge, fall of the balance, and batch of each row about balances, where no order differs."""
    ran = program("audit", "-o", "csv")
    assert 0 == ran.code, ran.err
    return [
        (row["category"], row["here"], row["at_runa"], row["batch"])
        for row in rows_of(ran.out)
        if row["category"].startswith("balance")
    ]


def relay(emulator: Emulator, balance: Callable[[], Answer]) -> ScriptedServer:
    """Return a server that passes everything on to an emulator, except for the question for a balance."""

    def answer(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if path.startswith("/v2/balance"):
            return balance()
        own = {name: value for name, value in headers.items() if name.startswith(("X-", "Content-Type"))}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(emulator.url[:-3] + path, content, own, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, {}, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, {}, error.read()

    return ScriptedServer(answer)


def test_a_run_in_live_notes_its_balance_before_and_after_and_an_audit_finds_that_it_adds_up(
    program: Program, emulator: Emulator
) -> None:
    assert 0 == program(*create(program)).code
    assert (RUN, 2) == (told(program), asked(emulator))
    before, after = notes(program)
    assert {"environment": "live", "account": "wgtests", "currency": "USD", "batch": "bonus"}.items() <= before.items()
    assert before["run"] == after["run"]
    assert [("balance_agrees", "33.00", "33.00", "")] == compared(program)
    assert "balance of wgtests, USD: 1 period agrees, 33.00 USD charged.\n" in program("audit").out


def test_without_a_preflight_several_gifts_take_two_requests_and_a_single_one_takes_one(
    program: Program, emulator: Emulator
) -> None:
    """The note after the run before it takes the place of one before a single gift."""
    assert 0 == program(*create(program, "--no-preflight")).code
    assert (RUN, 2) == (told(program), asked(emulator))
    assert 0 == program(*GIFT, "--batch", "one", "--yes").code
    assert ([*RUN, ("after", "999957.00")], 3) == (told(program), asked(emulator))
    assert [("balance_agrees", "43.00", "43.00", "")] == compared(program)


def test_every_balance_that_pays_is_noted(program: Program, emulator: Emulator) -> None:
    rows = [*gifts(2), {**gifts(1)[0], "product": "BAW-GB"}]
    path = sheet(program.home / "two.csv", rows)
    assert 0 == program("order", "create", "--file", str(path), "--batch", "two", "--yes").code
    assert [("before", "GBP"), ("before", "USD"), ("after", "GBP"), ("after", "USD")] == [
        (note["moment"], note["currency"]) for note in notes(program)
    ]
    assert ["balance_agrees", "balance_agrees"] == [category for category, *_ in compared(program)]
    assert 4 == asked(emulator)


def test_what_somebody_else_spends_during_a_run_shows_as_a_difference_of_that_run(
    program: Program, emulator: Emulator
) -> None:
    running = program.paused_at("call:OrderFlow.settle", *create(program))
    assert running.pauses()
    order_elsewhere(emulator, key=KEY)
    running.go_on()
    assert 0 == running.end().code
    ran = program("audit", "-o", "csv")
    assert 10 == ran.code
    (row,) = (row for row in rows_of(ran.out) if row["category"].startswith("balance"))
    assert ("balance_differs", "3", "33.00", "58.00", "bonus") == tuple(
        row[name] for name in ("category", "orders", "here", "at_runa", "batch")
    )
    assert "somebody else may have ordered" in row["next"]


@pytest.mark.parametrize(("balance", "by"), [("999900", ("67.00", "somebody")), ("1000467", ("500.00", "topped up"))])
def test_a_balance_that_changes_between_runs_is_a_hint_and_no_difference(
    program: Program, emulate: Emulate, tmp_path: Path, balance: str, by: tuple[str, str]
) -> None:
    emulate(processing_seconds=0)
    program.env.update(LIVE)
    assert 0 == program(*create(program)).code
    at_runa(tmp_path, "UPDATE balances SET balance = ? WHERE currency = 'USD'", balance)
    assert 0 == program(*create(program, batch="second", first=10)).code
    agrees, differs = compared(program)
    assert ("balance_agrees", "96.00", "96.00", "") == agrees
    assert ("balance_differs", "0.00", "") == (differs[0], differs[1], differs[3])
    shown = program("audit")
    assert 0 == shown.code
    (line,) = (line for line in shown.out.splitlines() if "differs by" in line)
    assert line.startswith(f"balance of wgtests, USD: differs by {by[0]} USD from ")
    assert by[1] in line


@pytest.mark.parametrize(
    "answer",
    [
        as_json(500, {"type": "internal_server_error"}),
        as_json(403, {"type": "forbidden", "message": "no"}),
        as_json(200, {"balance": "much", "currency": "USD"}),
        as_json(200, {"balance": "5.00", "currency": "EUR"}),
        (200, {}, b"<html>"),
    ],
    ids=["an error", "refused", "no number", "another currency", "unreadable"],
)
def test_a_balance_that_cannot_be_fetched_is_noted_as_not_known_and_changes_nothing_else(
    program: Program, emulator: Emulator, answer: Answer
) -> None:
    usual = program(*create(program, "--no-preflight", "-o", "links", batch="usual"))
    links = links_at(emulator)
    with relay(emulator, lambda: answer) as server:
        arguments = create(program, "--no-preflight", "-o", "links", batch="other", first=10)
        ran = program(*arguments, RUNA_BASE_URL=f"{server.url}/v2")
    said = ["Batch other: 3 orders, 3 gifts, 63.00 USD.", "3 gifts issued, 63.00 USD."]
    assert (0, 0, said) == (usual.code, ran.code, ran.err.splitlines())
    assert links_at(emulator) - links == set(ran.out.split())
    assert [*RUN, ("before", None), ("after", None)] == told(program)
    assert [("balance_agrees", "33.00", "33.00", ""), ("balance_not_compared", "", "", "")] == compared(program)


def test_a_balance_that_the_preflight_could_not_fetch_is_not_asked_for_again_before_the_run(
    program: Program, emulator: Emulator
) -> None:
    count: list[int] = []

    def broken() -> Answer:
        count.append(posts(emulator))
        return as_json(403, {"type": "forbidden", "message": "no"})

    with relay(emulator, broken) as server:
        assert 0 == program(*create(program), RUNA_BASE_URL=f"{server.url}/v2").code
    assert ([0, 3], [("before", None), ("after", None)]) == (count, told(program))


def test_after_a_balance_that_is_not_known_the_next_one_is_compared_with_the_last_that_was(
    program: Program, emulator: Emulator
) -> None:
    assert 0 == program(*create(program)).code
    with relay(emulator, lambda: as_json(500, {"type": "internal_server_error"})) as server:
        assert 0 == program(*GIFT, "--batch", "one", "--yes", RUNA_BASE_URL=f"{server.url}/v2").code
    assert 0 == program(*GIFT, "--batch", "two", "--yes", "--again").code
    assert ("balance_agrees", "53.00", "53.00", "") == compared(program)[0]


@pytest.mark.parametrize("env", ["local", "playground"])
def test_elsewhere_than_in_live_nothing_is_noted(program: Program, emulator: Emulator, env: str) -> None:
    arguments = create(program, "--preflight", "--no-lookup")
    assert 0 == program(*arguments, RUNA_ENV=env, RUNA_API_KEY="xxtests.secret").code
    assert ([], 0) == (told(program), asked(emulator))


def test_a_dry_run_and_a_batch_that_is_issued_already_note_nothing(program: Program, emulator: Emulator) -> None:
    assert 0 == program(*create(program)).code
    assert 0 == program(*create(program, "--dry-run", batch="other", first=10)).code
    assert 0 == program(*create(program)).code
    assert 0 == program("batch", "resume", "bonus").code
    assert (RUN, 3) == (told(program), asked(emulator))  # the dry run has checked the funds


def test_a_run_that_leaves_orders_open_notes_no_balance_after_it_and_is_not_compared(
    program: Program, emulate: Emulate
) -> None:
    emulate(processing_seconds=1000)
    program.env.update(LIVE)
    assert 0 == program(*create(program, "--mode", "async", "--no-wait")).code
    assert ["before"] == [moment for moment, _ in told(program)]
    assert 7 == program("batch", "resume", "bonus").code
    assert ["before"] == [moment for moment, _ in told(program)]  # a resume that sends nothing
    assert 0 == program(*GIFT, "--batch", "one", "--yes").code
    assert [("balance_not_compared", "", "", "")] == compared(program)
    assert "under way" in program("audit").out


def test_a_run_that_was_killed_and_its_resume_are_not_compared(program: Program, emulator: Emulator) -> None:
    """Whether an order of unknown outcome was charged before the resume or by it, nobody can tell."""
    program.killed_at("return:Client.create_order", *create(program, "--no-preflight"))
    assert 0 == program("batch", "resume", "bonus", "--yes").code
    assert ["before", "before", "after"] == [moment for moment, _ in told(program)]
    assert 3 == len(links_at(emulator))
    assert {"balance_not_compared"} == {category for category, *_ in compared(program)}


def test_several_batches_that_are_resumed_together_are_one_run(program: Program, emulator: Emulator) -> None:
    for first, batch in enumerate(("one", "two")):
        command = create(program, "--no-preflight", batch=batch, first=10 * first)
        program.killed_at("call:OrderFlow.settle", *command)
    assert 0 == program("batch", "resume", "--all", "--yes").code
    assert ["before", "before", "before", "after"] == [moment for moment, _ in told(program)]
    assert [("balance_agrees", "96.00", "96.00", "")] == compared(program)
    assert 6 == posts(emulator)


def test_gifts_by_reference_are_compared_too(program: Program, emulator: Emulator) -> None:
    assert 0 == program(*create(program, "--by-reference")).code
    assert (RUN, 2) == (told(program), asked(emulator))
    assert [("balance_agrees", "33.00", "33.00", "")] == compared(program)


def test_another_run_at_the_same_time_is_not_taken_for_somebody_else(program: Program, emulator: Emulator) -> None:
    """Its orders are in the same journal; those that are under way when a balance is noted keep it from saying more."""
    first = program.paused_at("call:Client.create_order", *create(program, "--no-preflight", "--concurrency", "1"))
    assert first.pauses()
    assert 0 == program(*create(program, batch="other", first=10)).code
    first.go_on()
    assert 0 == first.end().code
    assert {"balance_not_compared"} == {category for category, *_ in compared(program)}
    assert 6 == posts(emulator)


def test_after_ctrl_c_no_balance_is_asked_for(program: Program, emulate: Emulate) -> None:
    emulator = emulate(processing_seconds=1000)
    program.env.update(LIVE)
    running = program.start(*create(program, "--mode", "async", "--no-preflight", "--timeout", "4"))
    wait_for(lambda: posts(emulator) == 3 and program.states().count("accepted") == 3, running)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=LONGEST)
    assert (130, 1) == (running.returncode, asked(emulator))
    assert ["before"] == [moment for moment, _ in told(program)]


def test_ctrl_c_while_the_last_balance_is_asked_for_ends_the_run_as_what_it_is(
    program: Program, emulator: Emulator
) -> None:
    """Its links were shown before that."""
    questions = 0

    def late() -> Answer:
        nonlocal questions
        questions += 1
        os.kill(running.pid, signal.SIGINT)
        return as_json(200, {"balance": "1.00", "currency": "USD"})

    with relay(emulator, late) as server:
        running = program.start(*GIFT, "--batch", "one", "--yes", "-o", "links", RUNA_BASE_URL=f"{server.url}/v2")
        out, err = running.communicate(timeout=LONGEST)
    assert (0, links_at(emulator), 1) == (running.returncode, set(out.split()), questions), err


def test_the_links_are_shown_before_the_last_balance_is_asked_for(program: Program, emulator: Emulator) -> None:
    shown: list[str] = []

    def balance() -> Answer:
        assert running.stdout is not None
        shown.append(running.stdout.readline().strip())
        return as_json(200, {"balance": "1.00", "currency": "USD"})

    with relay(emulator, balance) as server:
        running = program.start(*GIFT, "--batch", "one", "--yes", "-o", "links", RUNA_BASE_URL=f"{server.url}/v2")
        with running:  # closes its pipes
            running.wait(timeout=LONGEST)
    assert (0, links_at(emulator)) == (running.returncode, set(shown))
    assert [("after", "1.00")] == told(program)
