"""The computer fails: full disk, locked ledger, signals. Nothing is sent unrecorded, and the next run goes on."""

import json
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from tests.conftest import Emulate
from tests.program import GIFT, Program, links_at, orders_at, posts
from tests.sheets import gifts, links_by_address, rows_of, sheet

MANY = ("order", "create", "--face-value", "10", "--quantity", "60", "--product", "AMZ-US")


@pytest.mark.parametrize("kilobytes", [0, 4, 32, 64, 96, 100, 104, 112, 120, 128, 144, 160, 200, 300])
def test_a_disk_that_is_full_at_any_point_costs_neither_money_nor_links(
    program: Program, emulate: Emulate, kilobytes: int
) -> None:
    """The system refuses to let any file grow beyond a size, before the record, in it, at the reply, or not at all."""
    emulator = emulate(processing_seconds=0)
    limited = f"ulimit -f {kilobytes}; exec {' '.join(program.command(*MANY, '--json'))}"
    ran = program.execute(["bash", "-c", limited])
    made = orders_at(emulator)
    assert ran.code in {0, 4, 7, 9}, ran.err
    assert "Traceback" not in ran.err
    if ran.code == 4:
        assert ([], "not_issued") == (made, ran.error["money"])
    if made and ran.code != 0:
        assert ran.error["money"] in {"unknown", "issued"}
    again = program(*MANY, "-o", "links")
    assert again.code == (6 if ran.code == 0 else 0), again.err
    assert 1 == len(orders_at(emulator))
    if again.code == 0:
        assert links_at(emulator) == set(again.out.split())


def test_a_ledger_that_another_program_holds_is_waited_for(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    connection = sqlite3.connect(program.ledger, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    running = program.start(*GIFT, "--again")
    threading.Timer(1.0, lambda: connection.execute("ROLLBACK")).start()
    running.communicate(timeout=30)
    connection.close()
    assert 0 == running.returncode
    assert 2 == len(orders_at(emulator))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_batch_stopped_by_a_signal_says_where_it_stands_and_goes_on(
    program: Program, emulate: Emulate, number: signal.Signals
) -> None:
    emulator = emulate(processing_seconds=0.05)
    path = sheet(program.home / "gifts.csv", gifts(60, orders=60))
    command = (
        "order",
        "create",
        "--file",
        str(path),
        "--batch",
        "bonus",
        "--concurrency",
        "1",
        "--no-preflight",
        "--json",
    )
    running = program.start(*command)
    wait_for(lambda: posts(emulator) >= 3, running)
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert 130 == running.returncode
    assert "interrupted" == json.loads(err.splitlines()[-1])["error"]["code"]
    again = program(*command[:-1], "-o", "csv")
    assert 0 == again.code, again.err
    assert {row["email"]: [row["payout_url"]] for row in rows_of(again.out)} == links_by_address(emulator)


def test_nohup_means_that_a_lost_terminal_stops_nothing(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:1@1")
    running = subprocess.Popen(
        ["nohup", *program.command(*GIFT, "-o", "links")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=program.home, env=program.environment(),
    )  # fmt: skip
    wait_for(lambda: posts(emulator) >= 1, running)
    running.send_signal(signal.SIGHUP)
    out, _ = running.communicate(timeout=30)
    assert 0 == running.returncode
    assert links_at(emulator) == set(out.split())


def test_a_signal_to_a_single_order_in_flight_lets_it_finish(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:1@1")
    running = program.start(*GIFT, "-o", "links")
    wait_for(lambda: posts(emulator) >= 1, running)
    running.send_signal(signal.SIGTERM)
    out, _ = running.communicate(timeout=30)
    assert 0 == running.returncode
    assert links_at(emulator) == set(out.split())


def wait_for(condition: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    """Wait until something is so, or the program has ended without it."""
    while not condition():
        assert running.poll() is None, "the program ended too early"
        time.sleep(0.005)
