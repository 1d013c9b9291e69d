"""Several machines with one ledger: one works on a batch at a time, and no write is lost or done twice."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import asdict

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.states import State
from runa_cli.ledger.claims import ClaimLost
from runa_cli.ledger.engine import NotCommitted
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import AdoptedOrder, Batch, Exchange, Order
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.cutting_proxy import CuttingProxy, When, cutting
from tests.support.ledgers import allow, new_batch, order
from tests.support.postgres import Database, Server, free_port
from tests.support.program import GIFT, Program, links_at, orders_at, posts, wait_for

pytestmark = pytest.mark.file_ledger("it has one of its own")


def now() -> datetime:
    return datetime.now(UTC)


def record(ledger: Ledger, number: int = 1, orders: int = 1) -> Batch:
    made = [order(number, position) for position in range(1, orders + 1)]
    batch = ledger.record(new_batch(number), made, known=[], check=allow, now=now())
    assert batch is not None
    return batch


def adopted(position: int) -> AdoptedOrder:
    """Return an order that was issued from another ledger."""
    return AdoptedOrder(
        **asdict(order(1, position)), state=State.COMPLETED, order_id=f"O-{position}", reply=b"{}", issued=[{}, None],
        created=now(), settled=now(),
    )  # fmt: skip


def first_order(ledger: Ledger, batch: Batch) -> Order:
    return next(ledger.orders(batch))


@dataclass
class Hosts:
    """Two homes with one ledger on a server, and one account at Runa."""

    first: Program
    second: Program
    database: Database


@pytest.fixture
def hosts(program: Program, database: Database, tmp_path: Path) -> Hosts:
    program.env["RUNA_LEDGER"] = database.url
    home = tmp_path / "second"
    home.mkdir()
    return Hosts(program, Program(home, program.env, program.time), database)


# --- two machines ----------------------------------------------------------------------------------------------------


def test_what_one_machine_issued_another_one_shows_and_does_not_issue_again(hosts: Hosts, emulate: Emulate) -> None:
    emulator = emulate()
    path = sheet(hosts.first.home / "gifts.csv", gifts(3))
    command = ("order", "create", "--file", str(path), "--batch", "bonus", "-o", "links")
    links = hosts.first(*command).out
    again = hosts.second(*command)
    assert (0, links, 1) == (again.code, again.out, posts(emulator))
    assert set(links.split()) == links_at(emulator)
    assert 6 == hosts.second(*command[:4], "--batch", "other").code or 2 == posts(emulator)


def test_while_one_machine_works_on_a_batch_another_one_names_it_and_does_nothing(
    hosts: Hosts, emulate: Emulate
) -> None:
    emulator = emulate("slow:30@1")
    first = hosts.first.start(*GIFT, "--batch", "bonus")
    wait_for(lambda: posts(emulator) == 1, first)
    busy = hosts.second(*GIFT, "--batch", "bonus", "--json")
    assert (75, "batch_busy", "not_issued") == (busy.code, busy.error["code"], busy.error["money"])
    assert f" on {os.uname().nodename} (process {first.pid}); its lease ends at " in busy.error["message"]
    assert 75 == hosts.second("batch", "abandon", "bonus", "--yes").code
    emulator.hurry()
    first.communicate(timeout=60)
    assert (0, 0) == (first.returncode, hosts.second(*GIFT, "--batch", "bonus").code)
    assert 1 == posts(emulator)


def test_a_batch_of_a_machine_that_is_gone_is_free_when_its_lease_ends(hosts: Hosts, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    first = hosts.first.start(*GIFT, "--batch", "bonus")
    wait_for(lambda: posts(emulator) == 1, first)
    first.kill()
    first.communicate()
    emulator.hurry()
    assert 75 == hosts.second(*GIFT, "--batch", "bonus").code
    ((seconds,),) = hosts.database.run("SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM claim")
    assert 0 < seconds <= 60
    hosts.database.end_leases()
    assert 0 == hosts.second(*GIFT, "--batch", "bonus").code
    assert 1 == len(orders_at(emulator))


def test_a_machine_that_was_stopped_for_longer_than_its_lease_sends_nothing_when_it_wakes_up(
    hosts: Hosts, emulate: Emulate
) -> None:
    """Another one has given the batch up meanwhile and issues its gifts under other keys."""
    emulator = emulate("slow:30@1", processing_seconds=0)
    path = sheet(hosts.first.home / "gifts.csv", gifts(6, orders=6))
    command = ("order", "create", "--file", str(path), "--no-preflight", "-q")
    first = hosts.first.start(*command, "--batch", "bonus", "--concurrency", "1")
    wait_for(lambda: posts(emulator) == 1, first)
    first.send_signal(signal.SIGSTOP)
    hosts.database.end_leases()
    assert 0 == hosts.second("batch", "abandon", "bonus", "--yes").code
    sent = posts(emulator)
    first.send_signal(signal.SIGCONT)
    emulator.hurry()
    _, err = first.communicate(timeout=60)
    assert sent == posts(emulator), err
    assert first.returncode in {7, 8}, err  # the first order was in flight, and its answer is recorded
    assert ["completed", *["abandoned"] * 5] == states(hosts.database)


def states(database: Database) -> list[str]:
    return [state for (state,) in database.run("SELECT state FROM purchase ORDER BY id")]


# --- leases ----------------------------------------------------------------------------------------------------------


def taken_over(database: Database, batch: Batch) -> None:
    """Let another process claim a batch whose holder was stopped past its lease."""
    database.end_leases()
    with Ledger(database.address) as other:
        assert other.claim(batch)
        other._claims._closing.set()  # type: ignore[union-attr] # its heartbeat ends with it
        other._claims.before_close = lambda: None  # type: ignore[method-assign] # and is killed


@pytest.mark.parametrize("again", ["free", "taken"])
def test_no_decision_is_recorded_without_the_lease(database: Database, again: str) -> None:
    with Ledger(database.address) as ledger:
        batch = record(ledger)
        recorded = first_order(ledger, batch)
        assert ledger.claim(batch)
        database.end_leases() if again == "free" else taken_over(database, batch)
        decisions: list[Callable[[], object]] = [
            lambda: ledger.mark_sent(recorded, "xxtests", check=allow, now=now()),
            lambda: ledger.renew(recorded, order(1, generation=1), now()),
            lambda: ledger.mark_abandoned([recorded], now()),
            lambda: ledger.amend(batch, new_batch(1), [], [], check=allow, now=now()),
            lambda: ledger.append(batch, [], [order(1, 2)], check=allow, now=now()),
            lambda: ledger.adopt(batch, [], [], now()),
            lambda: ledger.relabel(batch, new_batch(1), []),
            lambda: ledger.prune(batch, check=allow, now=now()),
            lambda: ledger.mark_doubted(recorded),
        ]
        for decision in decisions:
            with pytest.raises(ClaimLost, match="lease of this process on batch batch 1 has ended"):
                decision()
        assert [recorded] == [*ledger.orders(batch)]


def test_an_answer_is_recorded_without_the_lease(database: Database) -> None:
    with Ledger(database.address) as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        sent = ledger.mark_sent(first_order(ledger, batch), "xxtests", check=allow, now=now())
        taken_over(database, batch)
        accepted = ledger.mark_accepted(sent, "O-1", b"{}", Exchange())
        assert State.ACCEPTED is accepted.state
        completed = ledger.mark_completed(accepted, "O-1", b"{}", [{"id": "E-1"}, None], exchange=Exchange(), now=now())
        assert State.COMPLETED is completed.state


def test_a_late_answer_takes_no_link_away(database: Database) -> None:
    """One process was stopped after an answer had come, and another one has settled the order meanwhile."""
    with Ledger(database.address) as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        sent = ledger.mark_sent(first_order(ledger, batch), "xxtests", check=allow, now=now())
        done = ledger.mark_completed(sent, "O-1", b"{}", [{}, {}], exchange=Exchange(), now=now())
        taken_over(database, batch)
        exchange = Exchange(error_text="no")
        assert done == ledger.mark_accepted(sent, "O-1", b"{1}", exchange)
        assert done == ledger.mark_failed(sent, "O-1", b"{2}", exchange, now())
        assert done == ledger.mark_rejected(sent, b"{3}", exchange, now())
        assert done == ledger.note(sent, exchange)
        assert done == ledger.mark_unsent(sent, exchange)


def test_an_order_that_another_process_may_have_sent_meanwhile_is_not_called_unsent(database: Database) -> None:
    with Ledger(database.address) as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        sent = ledger.mark_sent(first_order(ledger, batch), "xxtests", check=allow, now=now())
        taken_over(database, batch)
        assert State.SENT is ledger.mark_unsent(sent, Exchange(error_text="refused")).state


def test_a_lease_is_renewed_while_its_holder_lives(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runa_cli.ledger.leases.HEARTBEAT", 0.02)
    with Ledger(database.address) as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        ((before,),) = database.run("SELECT expires_at FROM claim")
        while database.run("SELECT expires_at FROM claim") == [(before,)]:
            time.sleep(0.01)
        assert State.SENT is ledger.mark_sent(first_order(ledger, batch), "x", check=allow, now=now()).state


def test_an_ended_lease_is_not_renewed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have acted since; the token alone would still match."""
    with Ledger(database.address) as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        database.end_leases()
        with psycopg.connect(database.url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
            ledger._claims._renew(connection)  # type: ignore[union-attr] # what the heartbeat does
        with pytest.raises(ClaimLost):
            ledger.mark_sent(first_order(ledger, batch), "x", check=allow, now=now())


def test_near_the_end_of_its_lease_by_its_own_clock_a_process_starts_no_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot know whether the server is reached before the end."""
    with Ledger(database.address) as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        later = time.clock_gettime(time.CLOCK_BOOTTIME) + 55.5
        monkeypatch.setattr("runa_cli.ledger.leases.elapsed", lambda: later)
        with pytest.raises(ClaimLost):
            ledger.mark_sent(first_order(ledger, batch), "x", check=allow, now=now())


# --- lost connections ------------------------------------------------------------------------------------------------


def through(proxy: CuttingProxy, postgres: Server, database: Database, patience: float = 30.0) -> Ledger:
    return Ledger(ServerLedger(postgres.url(database.name, port=proxy.port)), patience=patience)


@pytest.mark.parametrize("when", ["before", "after"])
def test_each_write_is_done_once_though_the_connection_is_lost_at_its_commit(
    postgres: Server, database: Database, when: When
) -> None:
    """Before the server has committed, or after that: it looks the same from here."""
    with cutting((postgres.host, postgres.port), when, {*range(1, 100, 2)}) as proxy:
        with through(proxy, postgres, database) as ledger:
            batch = record(ledger)
            assert ledger.claim(batch)
            batch = ledger.amend(batch, new_batch(1), [order(1, 2)], [], check=allow, now=now())
            batch = ledger.append(batch, [], [order(1, 3)], check=allow, now=now())
            batch = ledger.adopt(batch, [], [adopted(4)], now())
            sent = ledger.mark_sent(first_order(ledger, batch), "xxtests", check=allow, now=now())
            noted = ledger.note(sent, Exchange(same_errors=1))
            accepted = ledger.mark_accepted(noted, "O-1", b"{}", Exchange())
            done = ledger.mark_completed(accepted, "O-1", b"{}", [{}, {}], exchange=Exchange(), now=now())
            ledger.mark_shown(batch, now())
        assert State.COMPLETED is done.state
        assert proxy.cuts >= 4
    assert [("completed", "O-1"), ("prepared", None), ("completed", "O-4")] == database.run(
        "SELECT state, order_id FROM purchase ORDER BY position"
    )
    assert [(1,)] == database.run("SELECT token FROM claim")
    assert [(11,)] == database.run("SELECT changes FROM ledger")  # each write once, the claim and its release too


@pytest.mark.parametrize(("when", "recorded"), [("before", 0), ("after", 1)])
def test_a_batch_of_orders_that_cannot_be_made_again_is_recorded_whole_or_not_at_all(
    postgres: Server, database: Database, when: When, recorded: int
) -> None:
    """An iterator is used up; nothing is sent yet."""
    orders = (order(1, position) for position in range(1, 4))
    with cutting((postgres.host, postgres.port), when, {1}) as proxy, through(proxy, postgres, database) as ledger:
        if recorded:
            assert ledger.record(new_batch(1), orders, known=[], check=allow, now=now()) is not None
        else:
            with pytest.raises(NotCommitted):
                ledger.record(new_batch(1), orders, known=[], check=allow, now=now())
    assert [(recorded, 3 * recorded)] == database.run(
        "SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM purchase)"
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_batch_is_issued_once_through_connections_that_are_lost(
    program: Program, emulate: Emulate, postgres: Server, database: Database, when: When
) -> None:
    emulator = emulate(processing_seconds=0)
    path = sheet(program.home / "gifts.csv", gifts(4, orders=4))
    command = ("order", "create", "--file", str(path), "--no-preflight", "--batch", "bonus", "-o", "links")
    with cutting((postgres.host, postgres.port), when, {*range(1, 1000, 3)}) as proxy:
        url = postgres.url(database.name, port=proxy.port)
        ran = program(*command, RUNA_LEDGER=url)
        assert proxy.cuts > 3
    assert 0 == ran.code, ran.err
    assert links_at(emulator) == {*ran.out.split()}
    assert 4 == len(orders_at(emulator))


def test_nothing_is_sent_where_the_server_is_lost_for_good(
    program: Program, emulate: Emulate, postgres: Server, database: Database
) -> None:
    emulator = emulate()
    with cutting((postgres.host, postgres.port), "before", {*range(2, 1000)}) as proxy:
        ran = program(*GIFT, "--timeout", "1", "--json", RUNA_LEDGER=postgres.url(database.name, port=proxy.port))
    assert (4, "not_issued") == (ran.code, ran.error["money"])
    assert 0 == posts(emulator)


def test_a_commit_that_no_standby_has_confirmed_is_an_error(postgres: Server, database: Database) -> None:
    """The server warns that it gave up waiting, and calls that a success."""
    with Ledger(database.address) as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        postgres.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        postgres.run("SELECT pg_reload_conf()")
        stop = threading.Event()
        canceller = threading.Thread(target=cancel_waiting, args=(database, stop))
        canceller.start()
        try:
            wait_until_commits_wait(database)
            with pytest.raises(LedgerUnusable, match="has not replicated a change"):
                ledger.mark_sent(first_order(ledger, batch), "x", check=allow, now=now())
        finally:
            postgres.run("ALTER SYSTEM RESET synchronous_standby_names")
            postgres.run("SELECT pg_reload_conf()")
            stop.set()
            canceller.join()


def cancel_waiting(database: Database, stop: threading.Event) -> None:
    """Cancel each commit that waits for a standby, as an administrator would."""
    while not stop.wait(0.02):
        database.run("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")


def wait_until_commits_wait(database: Database) -> None:
    """Commit until the server says that it gave up waiting: it reads its settings again in its own time."""
    notices: list[str | None] = []
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
        while "01000" not in notices:
            connection.execute("SELECT pg_logical_emit_message(true, 'test', 'a commit')")


# --- limits ----------------------------------------------------------------------------------------------------------


def test_four_processes_send_exactly_as_many_orders_as_the_rate_limit_allows(database: Database) -> None:
    with Ledger(database.address) as ledger:
        for number in range(4):
            record(ledger, number, orders=20)
    racing = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.race_for_turns", database.url, f"batch {number}", "30"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in racing:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    sent = [int(process.communicate("go\n", timeout=60)[0]) for process in racing]
    assert 30 == sum(sent), sent
    assert [(30,)] == database.run("SELECT count(*) FROM purchase WHERE state = 'sent'")


# --- PgBouncer -------------------------------------------------------------------------------------------------------


@pytest.fixture
def bouncer(postgres: Server, tmp_path: Path) -> Iterator[int]:
    """Run PgBouncer with one connection to the server for each two transactions, and yield its port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        if os.environ.get("POSTGRES") == "required":
            pytest.fail("PgBouncer is not installed")
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    port = free_port()
    (tmp_path / "users.txt").write_text(f'"{postgres.user}" "{postgres.password}"\n')
    (tmp_path / "bouncer.ini").write_text(
        f"[databases]\n* = host={postgres.host} port={postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {tmp_path}/users.txt\npool_mode = transaction\n"
        "default_pool_size = 2\nunix_socket_dir =\nlogfile = /dev/null\n"
    )
    for path in (tmp_path, *tmp_path.iterdir(), *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055 if path.is_dir() else 0o644)
    user = ["-u", "postgres"] if os.getuid() == 0 else []  # it refuses to be root
    running = subprocess.Popen([program, *user, str(tmp_path / "bouncer.ini")], stderr=subprocess.DEVNULL)
    try:
        while True:
            assert running.poll() is None, "pgbouncer has ended"
            try:
                psycopg.connect(postgres.url("postgres", port=port)).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                break
        yield port
    finally:
        running.terminate()
        running.wait()


def test_a_ledger_behind_pgbouncer_keeps_its_promises(
    hosts: Hosts, emulate: Emulate, postgres: Server, bouncer: int
) -> None:
    """In its transaction mode nothing outlives a transaction: no session lock, no prepared statement, no setting."""
    emulator = emulate("slow:30@1", processing_seconds=0)
    hosts.first.env["RUNA_LEDGER"] = postgres.url(hosts.database.name, port=bouncer)
    path = sheet(hosts.first.home / "gifts.csv", gifts(250, orders=2))
    command = ("order", "create", "--file", str(path), "--no-preflight", "--batch", "bonus", "-o", "links")
    first = hosts.first.start(*command)
    wait_for(lambda: posts(emulator) == 2, first)
    assert 75 == hosts.second(*command).code
    emulator.hurry()
    out, err = first.communicate(timeout=60)
    assert 0 == first.returncode, err
    again = hosts.second(*command)
    assert (0, out) == (again.code, again.out)
    assert (2, {*out.split()}) == (posts(emulator), links_at(emulator))
