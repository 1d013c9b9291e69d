"""Several batches taken up at once: what becomes of all of them, and what the one answer for them says."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.program import Program, links_at, orders_at, posts, wait_for, wait_for_stopping
from tests.support.ran import LONGEST

ALL = ("batch", "resume", "--all")


@pytest.fixture
def nowhere() -> Iterator[dict[str, str]]:
    """Return the settings of a Runa that nobody reaches: a port that is taken and takes no connection."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield {"RUNA_BASE_URL": f"http://127.0.0.1:{closed.getsockname()[1]}/v2", "RUNA_TIMEOUT": "0.2"}


def record(program: Program, name: str, nowhere: dict[str, str]) -> None:
    """Leave a batch of one order that was recorded and not sent."""
    ran = program(*gift(name), "--batch", name, "--no-lookup", **nowhere)
    assert 7 == ran.code, ran.err


def lose(program: Program, name: str) -> None:
    """Leave a batch of one order that was issued, and whose answer nobody saw."""
    program.killed_at("return:Client.create_order", *gift(name), "--batch", name)


def gift(name: str) -> tuple[str, ...]:
    """Return the command that issues a gift to a person of this name."""
    return ("order", "create", "--face-value", "10", "--email", f"{name}@example.com", "--product", "AMZ-US")


def test_every_unfinished_batch_is_taken_up(program: Program, emulate: Emulate, nowhere: dict[str, str]) -> None:
    emulator = emulate()
    lose(program, "first")
    record(program, "second", nowhere)
    assert ["sent", "prepared"] == program.states()
    ran = program(*ALL, "-o", "links")
    assert 0 == ran.code, ran.err
    assert ["completed", "completed"] == program.states()
    assert links_at(emulator) == set(ran.out.split())
    assert 2 == len(ran.out.split()) == len(orders_at(emulator))


def test_ctrl_c_takes_up_no_further_batch(program: Program, emulate: Emulate, nowhere: dict[str, str]) -> None:
    """Even where the order in flight was the last of its batch, so that this one is finished."""
    emulator = emulate("slow:30@1")
    for name in ("first", "second", "third"):
        record(program, name, nowhere)
    running = program.start(*ALL, "--json", "-v")
    wait_for(lambda: posts(emulator) >= 1, running)
    running.send_signal(signal.SIGINT)
    wait_for_stopping(running)
    emulator.hurry()
    out, err = running.communicate(timeout=LONGEST)
    error = json.loads(err.splitlines()[-1])["error"]
    assert (130, "interrupted", "partial") == (running.returncode, error["code"], error["money"])
    assert "second" in error["message"]
    assert "third" in error["message"]
    assert ["completed", "prepared", "prepared"] == program.states()
    assert 1 == len(json.loads(out)) == posts(emulator)


def test_ctrl_c_before_the_second_order_says_that_the_first_is_issued(
    program: Program, emulate: Emulate, nowhere: dict[str, str]
) -> None:
    emulate()
    for name in ("first", "second"):
        record(program, name, nowhere)
    running = program.start(*ALL, "--json", RUNA_RATE_LIMIT="1")
    wait_for(lambda: "completed" in program.states(), running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=LONGEST)
    error = json.loads(err.splitlines()[-1])["error"]
    assert (130, "partial") == (running.returncode, error["money"])
    assert ["completed", "prepared"] == program.states()


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("call:Issuer.check_cap", (130, "not_issued", ["prepared", "prepared"])),
        ("call:BatchRun.error", (130, "partial", ["completed", "prepared"])),
    ],
)
def test_ctrl_c_between_two_batches_says_what_is_issued(
    program: Program, emulate: Emulate, nowhere: dict[str, str], point: str, expected: tuple[int, str, list[str]]
) -> None:
    emulate()
    for name in ("first", "second"):
        record(program, name, nowhere)
    ran = program.fork(*ALL, "--json", interrupted_at=point)
    assert expected == (ran.code, ran.error["money"], program.states())


def test_one_order_of_unknown_outcome_makes_the_outcome_unknown(
    program: Program, emulate: Emulate, nowhere: dict[str, str]
) -> None:
    emulate()
    record(program, "first", nowhere)
    lose(program, "second")
    ran = program(*ALL, "--json", **nowhere)
    assert (7, "unknown") == (ran.code, ran.error["money"])


def test_a_broken_output_does_not_hide_that_nothing_was_sent(
    program: Program, emulate: Emulate, nowhere: dict[str, str]
) -> None:
    emulate()
    for name in ("first", "second"):
        record(program, name, nowhere)
    with Path("/dev/full").open("w") as full:
        running = program.start(*ALL, "--json", stdout=full, **nowhere)
        _, err = running.communicate(timeout=LONGEST)
    error = json.loads(err.splitlines()[-1])["error"]
    assert (7, "not_issued") == (running.returncode, error["money"])


def test_a_broken_output_says_that_all_is_issued(program: Program, emulate: Emulate, nowhere: dict[str, str]) -> None:
    emulate()
    for name in ("first", "second"):
        record(program, name, nowhere)
    with Path("/dev/full").open("w") as full:
        running = program.start(*ALL, "--json", stdout=full)
        _, err = running.communicate(timeout=LONGEST)
    error = json.loads(err.splitlines()[-1])["error"]
    assert (9, "output_failed", "issued") == (running.returncode, error["code"], error["money"])
    assert 0 == program(*gift("first"), "--batch", "first").code


def test_the_cap_holds_on_resume_batch_by_batch_and_for_the_whole_batch(
    program: Program, emulate: Emulate, nowhere: dict[str, str]
) -> None:
    emulator = emulate()
    (program.home / "in.csv").write_text("face_value,email,product\n400,ann@example.com,AMZ-US\n")
    assert 7 == program("order", "create", "--file", "in.csv", "--batch", "big", "--no-lookup", **nowhere).code
    record(program, "small", nowhere)
    capped = {"RUNA_MAX_TOTAL": "399.99"}
    ran = program("batch", "resume", "big", "--json", **capped)
    assert (6, "above_max_total", "big") == (ran.code, ran.error["code"], ran.error["batch"])
    assert ("not_issued", 0) == (ran.error["money"], posts(emulator))
    ran = program(*ALL, "--json", **capped)
    assert (8, "partial") == (ran.code, ran.error["money"])
    assert "Batch big: The total of 400.00 USD is above the cap of 399.99." in ran.error["message"]
    assert ["prepared", "completed"] == program.states()
    (program.home / ".env").write_text("RUNA_MAX_TOTAL=399.99\n")
    assert 6 == program(*ALL).code
    assert ["prepared", "completed"] == program.states()
    assert 0 == program("batch", "resume", "big", RUNA_MAX_TOTAL="400").code


def test_the_cap_counts_what_a_batch_has_issued_before(program: Program, emulate: Emulate) -> None:
    emulate("transient-5xx@2-60")
    rows = "".join(f"200,p{number}@example.com,AMZ-US\n" for number in range(2))
    (program.home / "in.csv").write_text(f"face_value,email,product\n{rows}")
    create = ("order", "create", "--file", "in.csv", "--batch", "two", "--mode", "sync", "--concurrency", "1")
    assert 8 == program(*create, "--timeout", "1").code
    ran = program("batch", "resume", "two", "--json", RUNA_MAX_TOTAL="300")
    assert (6, "above_max_total") == (ran.code, ran.error["code"])


def test_a_batch_above_the_cap_of_which_nothing_is_left_to_send_is_settled(program: Program, emulate: Emulate) -> None:
    emulate(processing_seconds=5)
    program(*gift("slow"), "--mode", "async", "--no-wait", "--batch", "slow")
    assert ["accepted"] == program.states()
    assert 0 == program("batch", "resume", "slow", RUNA_MAX_TOTAL="1").code
    assert ["completed"] == program.states()
