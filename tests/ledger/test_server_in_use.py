"""A ledger on a server that changes while it is used: nothing is decided there any more; and limits that hold."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.states import State
from runa_cli.ledger.engine import NotCommitted
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.postgres import PostgresEngine
from runa_cli.ledger.records import Batch, Order
from tests.conftest import Emulate
from tests.support.csv_files import gifts, links_by_address, sheet
from tests.support.ledgers import new_batch, order
from tests.support.postgres import Database, Server
from tests.support.program import Program, links_at, orders_at, posts, wait_for
from tests.support.waiting import wait_until

pytestmark = pytest.mark.file_ledger("it has one of its own")


def claimed(ledger: Ledger) -> tuple[Batch, Order]:
    """Return a recorded batch of one order that is claimed, and the order."""
    batch = ledger.record(new_batch(1), [order(1)], known=[], check=lambda: None, now=datetime.now(UTC))
    assert batch is not None
    assert ledger.claim(batch)
    return batch, next(ledger.orders(batch))


def mark_sent(ledger: Ledger, recorded: Order) -> Order:
    return ledger.mark_sent(recorded, "xxtests", check=lambda: None, now=datetime.now(UTC))


def end_connections(database: Database) -> None:
    database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid != pg_backend_pid()",
        database.name,
    )


def go_backwards(database: Database) -> None:
    database.run("UPDATE ledger SET changes = 1")


def take_the_place(database: Database) -> None:
    database.run("UPDATE ledger SET id = 'another'")


def become_newer(database: Database) -> None:
    database.run("UPDATE ledger SET version = version + 1")


def turn_read_only(database: Database) -> None:
    database.run(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    end_connections(database)


def turn_unsafe(database: Database) -> None:
    database.run(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    end_connections(database)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (go_backwards, "went backwards while it was used"),
        (take_the_place, "another ledger has taken its place"),
        (become_newer, "was written by a newer runa"),
        (turn_read_only, "the server is in recovery"),
        (turn_unsafe, "synchronous_commit is off there"),
    ],
)
def test_an_order_is_not_sent_from_a_ledger_that_has_become_another_one(
    database: Database, change: Callable[[Database], None], message: str
) -> None:
    with Ledger(database.address, patience=10) as ledger:
        _, recorded = claimed(ledger)
        change(database)
        with pytest.raises(LedgerUnusable, match=message):
            mark_sent(ledger, recorded)
        assert [("prepared",)] == database.run("SELECT state FROM purchase")


def test_a_connection_that_the_pooler_has_led_elsewhere_is_checked_in_each_transaction(database: Database) -> None:
    """Behind PgBouncer each transaction may be on a connection that somebody else has set otherwise."""
    with Ledger(database.address) as ledger:
        _, recorded = claimed(ledger)
        assert isinstance(ledger._engine, PostgresEngine)
        ledger._engine._connected().execute("SET synchronous_commit = off")
        with pytest.raises(LedgerUnusable, match="synchronous_commit is off there"):
            mark_sent(ledger, recorded)


@pytest.mark.parametrize(("code", "refused"), [("01000", True), ("57P01", False)])
def test_a_server_that_is_stopped_right_after_a_commit_is_not_one_that_has_not_replicated_it(
    database: Database, code: str, refused: bool
) -> None:
    """It says both in warnings."""
    with Ledger(database.address) as ledger:
        _, recorded = claimed(ledger)
        database.run(
            "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE WARNING 'stopping' USING ERRCODE = '{code}'; RETURN NULL; END $$"
        )
        database.run(
            "CREATE CONSTRAINT TRIGGER warn AFTER UPDATE ON purchase DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION warn()"
        )
        if refused:
            with pytest.raises(LedgerUnusable, match="has not replicated a change"):
                mark_sent(ledger, recorded)
        else:
            assert State.SENT is mark_sent(ledger, recorded).state


@pytest.mark.slow
def test_an_order_is_not_sent_whose_commit_no_standby_has_though_the_server_was_started_again_meanwhile(
    postgres: Server, database: Database
) -> None:
    """It has committed without its standby then, and says nothing of it."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with Ledger(database.address, patience=60) as ledger, ThreadPoolExecutor(1) as thread:
        _, recorded = claimed(ledger)
        with postgres.settings(synchronous_standby_names="nobody"):
            sending = thread.submit(mark_sent, ledger, recorded)
            wait_until(lambda: database.run(waiting) != [])
            postgres.cluster.stop("immediate")
            postgres.cluster.start()
            assert [("sent",)] == database.run("SELECT state FROM purchase")
            wait_until(lambda: database.run(waiting) != [] or sending.done())
            database.run(f"SELECT pg_cancel_backend(pid) FROM ({waiting}) AS waiting")
            with pytest.raises(LedgerUnusable, match="has not replicated a change"):
                sending.result()


def test_a_process_that_is_stopped_in_a_transaction_keeps_others_waiting_for_a_limited_time_only(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends its transaction, and nothing of it is recorded."""
    begin = "BEGIN; SET LOCAL lock_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = '100ms'"
    with Ledger(database.address) as stopped, Ledger(database.address) as other:
        batch, recorded = claimed(stopped)
        monkeypatch.setattr("runa_cli.ledger.postgres._BEGIN", begin)
        with pytest.raises(NotCommitted):
            stand_still_in_a_transaction(stopped, other)
        assert State.PREPARED is next(other.orders(batch)).state
        assert State.SENT is mark_sent(stopped, recorded).state


def stand_still_in_a_transaction(stopped: Ledger, other: Ledger) -> None:
    with stopped._engine.transaction() as transaction:
        transaction.execute("UPDATE purchase SET state = 'sent'")
        assert other.record(new_batch(2), [order(2)], known=[], check=lambda: None, now=datetime.now(UTC))


def test_a_holder_that_wakes_up_after_another_machine_has_finished_its_batch_sends_nothing(
    program: Program, emulate: Emulate, database: Database, tmp_path: Path
) -> None:
    emulator = emulate("slow:30@1", processing_seconds=0)
    program.env["RUNA_LEDGER"] = database.url
    (tmp_path / "second").mkdir()
    second = Program(tmp_path / "second", program.env, program.time)
    path = sheet(program.home / "gifts.csv", gifts(4, orders=4))
    command = ("order", "create", "--file", str(path), "--no-preflight", "--batch", "bonus", "-o", "links")
    first = program.start(*command, "--concurrency", "1")
    wait_for(lambda: posts(emulator) == 1, first)
    first.send_signal(signal.SIGSTOP)
    database.end_leases()
    emulator.hurry()
    ran = second(*command)
    assert (0, links_at(emulator)) == (ran.code, {*ran.out.split()}), ran.err
    sent = posts(emulator)
    first.send_signal(signal.SIGCONT)
    out, err = first.communicate(timeout=60)
    assert (0, {*ran.out.split()}) == (first.returncode, {*out.split()}), err
    assert (sent, 4) == (posts(emulator), len(orders_at(emulator)))
    assert [("completed",)] * 4 == database.run("SELECT state FROM purchase")


# --- limits, with four processes -------------------------------------------------------------------------------------


def four_at_once(program: Program, tmp_path: Path, arguments: Callable[[int], tuple[str, ...]]) -> list[int]:
    """Run the program from four homes at once, and return the exit codes; one that finds the batch busy comes again."""
    codes: list[int] = []

    def run(number: int) -> None:
        home = tmp_path / f"host{number}"
        home.mkdir()
        host = Program(home, program.env)

        def ends() -> bool:
            code = host.execute(host.command(*arguments(number))).code
            if code != 75:
                codes.append(code)
            return code != 75

        wait_until(ends)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(codes)


@pytest.mark.slow
def test_four_processes_that_add_to_a_batch_issue_exactly_as_much_as_its_cap_allows(
    program: Program, emulate: Emulate, database: Database, tmp_path: Path
) -> None:
    emulator = emulate(processing_seconds=0)
    program.env["RUNA_LEDGER"] = database.url

    def add(number: int) -> tuple[str, ...]:
        path = sheet(tmp_path / f"{number}.csv", gifts(3, first=10 * number, face_value="10"))
        create = ("order", "create", "--file", str(path), "--by-reference", "--batch", "bonus", "--max-total", "90")
        return (*create, "--no-preflight")

    assert [0, 0, 0, 6] == four_at_once(program, tmp_path, add)
    assert 9 == len(links_by_address(emulator))
