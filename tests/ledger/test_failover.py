"""A server that is replaced by a standby which lacks the last commits: refused, and nobody is paid twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support import postgres
from tests.support.csv_files import gifts, sheet
from tests.support.cutting_proxy import CuttingProxy, cutting
from tests.support.postgres import Database, Server
from tests.support.program import Program, links_at, orders_at, posts
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.file_ledger("it has one of its own")]


@dataclass
class Pair:
    """A server and its standby, and the one address under which the current one of them is reached."""

    primary: Server
    standby: Server
    proxy: CuttingProxy
    database: Database

    @property
    def url(self) -> str:
        """The address that leads to the current one."""
        return self.primary.url(self.database.name, port=self.proxy.port)

    @property
    def urls(self) -> str:
        """The address that names both."""
        both = f"@localhost:{self.primary.port},localhost:{self.standby.port}/{self.database.name}"
        return f"postgresql://{self.primary.user}:{self.primary.password}{both}?target_session_attrs=read-write"

    def lose_touch(self) -> None:
        """Let the standby receive what there is, and nothing more."""
        replayed = "SELECT 1 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()"
        wait_until(lambda: self.primary_says(replayed) != [])
        self.standby.cluster.stop("fast")

    def primary_says(self, statement: str) -> list[tuple[object, ...]]:
        """Return what the primary answers."""
        return Database(self.primary.url("postgres"), "postgres").run(statement)

    def fail_over(self) -> Database:
        """Let the standby take the server's place, and return the ledger as it is there."""
        self.primary.cluster.stop("immediate")
        self.standby.cluster.start()
        self.standby.cluster.promote()
        self.proxy.target = (self.standby.host, self.standby.port)
        return Database(self.standby.url(self.database.name), self.database.name)


@contextmanager
def pair() -> Iterator[Pair]:
    """Run a server and its standby."""
    with (
        postgres.server() as primary,
        primary.standby() as standby,
        cutting((primary.host, primary.port), "before", ()) as proxy,
    ):
        yield Pair(primary, standby, proxy, primary.database())


def gift(name: str) -> tuple[str, ...]:
    """Return the command that issues one gift under a name."""
    gift = ("--face-value", "10", "--email", f"{name}@example.com", "--product", "AMZ-US")
    return ("order", "create", *gift, "--batch", name, "--json")


def another_host(program: Program, tmp_path: Path) -> Program:
    """Return a machine that has never seen the ledger, and so cannot tell that it is behind."""
    home = tmp_path / "another"
    home.mkdir()
    return Program(home, program.env, program.time)


@pytest.mark.usefixtures("postgres")
def test_after_a_failover_that_lost_commits_nothing_is_sent_and_nothing_is_paid_again(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    """Also not from a machine that cannot notice it: what has a name is found at Runa."""
    emulator = emulate(processing_seconds=0)
    with pair() as servers:
        program.env["RUNA_LEDGER"] = servers.url
        assert 0 == program(*gift("ann")).code
        servers.lose_touch()
        assert 0 == program(*gift("bob")).code
        assert ["ann", "bob"] == names(servers.database)
        promoted = servers.fail_over()
        assert ["ann"] == names(promoted)
        for name, url in (("ann", servers.url), ("bob", servers.url), ("cat", servers.url), ("cat", servers.urls)):
            ran = program(*gift(name), RUNA_LEDGER=url)
            assert (4, "ledger_went_backwards", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
        assert 2 == posts(emulator)
        other = another_host(program, tmp_path)
        assert 0 == (ran := other(*gift("bob"))).code, ran.err
        assert ran.json["items"][0]["payout"]["url"] in links_at(emulator)
        assert 2 == posts(emulator)


def names(database: Database) -> list[str]:
    return [name for (name,) in database.run("SELECT name FROM batch ORDER BY name")]


@pytest.mark.usefixtures("postgres")
def test_a_process_that_is_sending_during_such_a_failover_stops_and_its_orders_are_not_paid_again(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    emulator = emulate(processing_seconds=0)
    path = sheet(program.home / "gifts.csv", gifts(4, orders=4))
    create = ("order", "create", "--file", str(path), "--batch", "bonus", "--no-preflight", "--json")
    with pair() as servers:
        program.env["RUNA_LEDGER"] = servers.url
        assert -9 == program.killed_at("call:Orders.mark_sent:3", *create, "--concurrency", "1").code
        servers.database.end_leases()
        servers.lose_touch()
        sending = program.paused_at("return:Orders.mark_sent", *create, "--concurrency", "1")
        assert sending.pauses()
        promoted = servers.fail_over()
        sending.go_on()
        ran = sending.end()
        assert 3 == posts(emulator)  # the third one was recorded as sent before
        assert (8, "partial") == (ran.code, ran.error["money"]), ran.err
        assert "went backwards while it was used" in ran.err
        again = program(*create)
        assert (4, "ledger_went_backwards") == (again.code, again.error["code"])
        promoted.end_leases()
        other = another_host(program, tmp_path)(*create)
    assert 0 == other.code, other.err
    assert 4 == len(orders_at(emulator))
    assert links_at(emulator) == {item["payout"]["url"] for order in other.json for item in order["items"]}
