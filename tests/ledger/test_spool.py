"""An answer of Runa is never lost: what the ledger cannot take is kept in a file and recorded by the next run."""

import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.states import State
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Exchange, Order
from tests.conftest import Emulate
from tests.support.cutting_proxy import cutting
from tests.support.ledgers import new_batch, order
from tests.support.postgres import Database, Server
from tests.support.program import GIFT, Program, posts
from tests.support.searching import differences

pytestmark = pytest.mark.file_ledger("it has one of its own")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
ISSUED = [{"id": "E-1", "payout": {"url": "https://link/1"}}, None]
EXCHANGE = Exchange(200, "r-1", "unmatched_items", "one is missing", 3)


def sent_order(ledger: Ledger) -> tuple[Batch, Order]:
    batch = ledger.record(new_batch(1), [order(1)], known=[], check=lambda: None, now=NOW)
    assert batch is not None
    (recorded,) = ledger.orders(batch)
    return batch, ledger.mark_sent(recorded, "xxtests", check=lambda: None, now=NOW)


@pytest.mark.parametrize("state", [State.ACCEPTED, State.COMPLETED, State.FAILED, State.REJECTED])
def test_what_a_locked_ledger_cannot_take_is_recorded_by_the_next_run_as_if_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    monkeypatch.setattr("runa_cli.ledger.sqlite_file.BUSY_SECONDS", 0.05)
    said: list[str] = []
    with Ledger(tmp_path / "ledger.db", spool=tmp_path / "replies") as ledger:
        batch, sent = sent_order(ledger)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnusable, match="Runa's reply is kept in") as failed:
                answer(ledger, sent, state)
        (kept,) = (tmp_path / "replies").iterdir()
        assert str(kept) in failed.value.message
        assert (0o600, 0o700) == (stat.S_IMODE(kept.stat().st_mode), stat.S_IMODE(kept.parent.stat().st_mode))
        assert State.SENT is ledger.order(sent.id).state
    with Ledger(tmp_path / "ledger.db", spool=tmp_path / "replies", warn=said.append) as ledger:
        found, links = ledger.order(sent.id), [result.issued for result in ledger.results(batch)]
        assert ["recorded now" in line for line in said] == [True]
        assert [] == differences(tmp_path / "ledger.db")
        assert answer(ledger, sent, state) == found
        assert [result.issued for result in ledger.results(batch)] == links
    assert [] == [*(tmp_path / "replies").iterdir()]


def answer(ledger: Ledger, sent: Order, state: State) -> Order:
    """Record an answer of Runa."""
    match state:
        case State.ACCEPTED:
            return ledger.mark_accepted(sent, "O-1", b"\0\xff", EXCHANGE)
        case State.COMPLETED:
            return ledger.mark_completed(sent, "O-1", b"\0\xff", ISSUED, exchange=EXCHANGE, now=NOW)
        case State.FAILED:
            return ledger.mark_failed(sent, "O-1", b"\0\xff", EXCHANGE, NOW)
        case _:
            return ledger.mark_rejected(sent, b"\0\xff", EXCHANGE, NOW)


def test_an_answer_to_an_order_that_was_read_back_meanwhile_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gifts may be in another order than in the answer, and a link must not come to stand beside another one."""
    monkeypatch.setattr("runa_cli.ledger.sqlite_file.BUSY_SECONDS", 0.05)
    first, second = ({"id": f"E-{n}", "payout": {"url": f"https://link/{n}"}} for n in (1, 2))
    with Ledger(tmp_path / "ledger.db", spool=tmp_path / "replies") as ledger:
        batch, sent = sent_order(ledger)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnusable):
                ledger.mark_completed(sent, "O-1", b"then", [first, second], exchange=EXCHANGE, now=NOW)
        ledger.mark_completed(sent, "O-1", b"now", [second, first], exchange=EXCHANGE, now=NOW)
    with Ledger(tmp_path / "ledger.db", spool=tmp_path / "replies") as ledger:
        assert [second, first] == [result.issued for result in ledger.results(batch)]
        assert b"now" == ledger.order(sent.id).reply
    assert [] == [*(tmp_path / "replies").iterdir()]


def test_an_answer_for_another_ledger_is_left_for_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runa_cli.ledger.sqlite_file.BUSY_SECONDS", 0.05)
    with Ledger(tmp_path / "ledger.db", spool=tmp_path / "replies") as ledger:
        _, sent = sent_order(ledger)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnusable):
                answer(ledger, sent, State.COMPLETED)
    with Ledger(tmp_path / "second.db", spool=tmp_path / "replies") as ledger:
        _, sent = sent_order(ledger)
        assert State.SENT is sent.state
    assert 1 == len([*(tmp_path / "replies").iterdir()])


def test_a_file_that_is_no_answer_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "replies").mkdir()
    for name, content in {"a.json": "{}", "b.json": "[", "c.json": '{"ledger": 1}', "d.new": "{}"}.items():
        (tmp_path / "replies" / name).write_text(content)
    Ledger(tmp_path / "ledger.db", spool=tmp_path / "replies").close()
    assert 4 == len([*(tmp_path / "replies").iterdir()])


@pytest.mark.parametrize("name", [(), ("--batch", "bonus")])
def test_a_reply_that_a_lost_server_could_not_take_is_shown_without_asking_runa_again(
    program: Program, emulate: Emulate, postgres: Server, database: Database, name: tuple[str, ...]
) -> None:
    """It was not shown by the run that received it, so the same command is no duplicate."""
    emulator = emulate(processing_seconds=0)
    with cutting((postgres.host, postgres.port), "before", {*range(4, 1000)}) as proxy:
        url = postgres.url(database.name, port=proxy.port)
        ran = program(*GIFT, *name, "--timeout", "1", "--json", RUNA_LEDGER=url)
    assert (7, "unknown") == (ran.code, ran.error["money"])
    (kept,) = (program.home / ".local/share/runa/replies").iterdir()
    assert str(kept) in ran.error["message"]
    database.end_leases()
    emulator.close()
    again = program(*GIFT, *name, "-o", "links", RUNA_LEDGER=database.url)
    assert (0, 1) == (again.code, posts(emulator)), again.err
    assert 1 == len(again.out.split())
    assert [] == [*(program.home / ".local/share/runa/replies").iterdir()]
