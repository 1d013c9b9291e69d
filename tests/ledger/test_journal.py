"""The journal tells who did what, and a change of it is found."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runa_cli.config.ledger_address import LedgerAddress
from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.states import State
from runa_cli.core.system import host_name, system_user
from runa_cli.ledger.journal import BEGINNING, Event, event_hash
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.postgres_init import initialise
from runa_cli.ledger.postgres_schema import MIGRATIONS
from runa_cli.ledger.records import NOTHING, Batch, Exchange
from runa_cli.ledger.rows import to_timestamp
from tests.support.ledgers import allow, make_older, make_server_older, new_batch, order
from tests.support.postgres import Database

pytestmark = pytest.mark.file_ledger("it has one of its own")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Place:
    """A ledger of either engine, and a way past the program into its database."""

    address: LedgerAddress
    database: Database | None

    @contextmanager
    def opened(self) -> Iterator[Ledger]:
        """Open it as one process does."""
        with Ledger(self.address) as ledger:
            yield ledger

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as somebody who may do everything in the database, and knows the triggers."""
        if self.database is not None:
            return self.database.run(f"SET session_replication_role = replica; {statement}")
        assert isinstance(self.address, Path)
        with closing(sqlite3.connect(self.address)) as connection, connection:
            for name in ("event_is_not_changed", "event_is_not_deleted"):
                connection.execute(f"DROP TRIGGER IF EXISTS {name}")
            return connection.execute(statement).fetchall()

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the kinds of all events, with what they say."""
        return [(kind, json.loads(facts)) for kind, facts in self.read("SELECT kind, facts FROM event ORDER BY id")]

    def read(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        if self.database is not None:
            return self.database.run(statement)
        with closing(sqlite3.connect(str(self.address))) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return where an empty ledger is, of each engine."""
    if request.param == "sqlite":
        return Place(tmp_path / "ledger.db", None)
    database: Database = request.getfixturevalue("database")
    return Place(database.address, database)


def record(ledger: Ledger, number: int = 1, orders: int = 1) -> Batch:
    made = [order(number, position) for position in range(1, orders + 1)]
    batch = ledger.record(new_batch(number), made, known=[], check=allow, now=NOW)
    assert batch is not None
    return batch


def issue(ledger: Ledger, number: int = 1) -> Batch:
    """Record a batch, send its order, and record that it was issued."""
    batch = record(ledger, number)
    assert ledger.claim(batch)
    sent = ledger.mark_sent(next(ledger.orders(batch)), "xxtests", check=allow, now=NOW)
    accepted = ledger.mark_accepted(sent, f"O-{number}", b"{}", NOTHING)
    ledger.mark_completed(accepted, f"O-{number}", b'{"a": 1}', [{}, {}], exchange=NOTHING, now=NOW)
    ledger.mark_shown(batch, NOW)
    ledger.release(batch)
    return batch


ISSUED = ["journal.started", "batch.recorded", "order.sent", "order.accepted", "order.completed", "batch.shown"]


def test_each_step_of_an_order_is_an_event_by_whoever_made_it(place: Place) -> None:
    with place.opened() as ledger:
        issue(ledger)
    told = place.events()
    assert ISSUED == [kind for kind, _ in told]
    assert 0 == told[0][1]["orders"]
    facts = told[1][1]
    assert ("batch 1", 1, 2, {"USD": "10.00"}) == tuple(facts[name] for name in ("batch", "orders", "items", "totals"))
    assert ("10.00", 2, "xxtests") == tuple(told[2][1][name] for name in ("total", "items", "account"))
    assert "O-1" == told[4][1]["order_id"]
    assert [(system_user(), host_name())] == place.read('SELECT DISTINCT "system_user", host FROM event')


def test_the_hashes_can_be_computed_by_anybody_as_documented(place: Place) -> None:
    with place.opened() as ledger:
        issue(ledger)
        chain, *_ = ledger.check_journal()
    previous = BEGINNING
    for *columns, own in place.read('SELECT id, at, kind, "system_user", host, facts, hash FROM event ORDER BY id'):
        previous = event_hash(previous, columns)
        assert previous == own
    assert (6, previous, None) == (chain.events, chain.head, chain.broken)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET at = '2020-01-01T00:00:00.000000+00:00' WHERE id = 3",
        "UPDATE event SET kind = 'order.unsent' WHERE id = 3",
        "UPDATE event SET \"system_user\" = 'somebody' WHERE id = 3",
        "UPDATE event SET host = 'elsewhere' WHERE id = 3",
        "UPDATE event SET facts = replace(facts, '10.00', '99.00') WHERE id = 3",
        "UPDATE event SET hash = '{}' WHERE id = 3".format("0" * 64),
    ],
)
def test_a_changed_field_is_found(place: Place, change: str) -> None:
    with place.opened() as ledger:
        issue(ledger)
    place.run(change)
    with place.opened() as ledger:
        chain, *_ = ledger.check_journal()
    assert "Event 3 " in str(chain.broken)


@pytest.mark.parametrize("statement", ["DELETE FROM event WHERE id = 1", "DELETE FROM event WHERE id = 4"])
def test_a_deleted_event_is_found(place: Place, statement: str) -> None:
    with place.opened() as ledger:
        issue(ledger)
    place.run(statement)
    with place.opened() as ledger:
        chain, *_ = ledger.check_journal()
    assert f"Event {statement[-1]} is missing" in str(chain.broken)


def test_an_event_that_changed_its_number_is_found(place: Place) -> None:
    with place.opened() as ledger:
        issue(ledger)
    place.run("DELETE FROM event WHERE id = 6")
    place.run("UPDATE event SET id = 6 WHERE id = 5")
    with place.opened() as ledger:
        assert "Event 5 is missing" in str(ledger.check_journal()[0].broken)


def test_a_journal_without_its_end_is_found_only_by_a_head_that_was_kept(place: Place) -> None:
    with place.opened() as ledger:
        issue(ledger)
        kept = ledger.check_journal()[0].head
        issue(ledger, 2)
        later = ledger.check_journal(kept)[0]
    assert {kept: 6} == later.places
    place.run("DELETE FROM event WHERE id > 5")
    with place.opened() as ledger:
        chain = ledger.check_journal(kept)[0]
    assert (None, {}) == (chain.broken, chain.places)


def test_an_emptied_journal_is_found(place: Place) -> None:
    with place.opened() as ledger:
        issue(ledger)
    place.run("DELETE FROM event")
    with place.opened() as ledger:
        assert "empty" in str(ledger.check_journal()[0].broken)


def test_the_program_itself_can_change_and_delete_no_event(place: Place) -> None:
    """A trigger sees to that; who may take the trigger away may also rewrite the chain."""
    with place.opened() as ledger:
        issue(ledger)
        for statement in ("UPDATE event SET host = ''", "DELETE FROM event"):
            with pytest.raises(LedgerUnusable, match="only grows"), ledger._engine.transaction() as transaction:
                transaction.execute(statement)
        assert (6, None) == (ledger.check_journal()[0].events, ledger.check_journal()[0].broken)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM purchase", "does not hold it any more"),
        ("UPDATE purchase SET total = '1.00'", "its total was 10.00, and is 1.00"),
        ("UPDATE purchase SET currency = 'EUR'", "its currency was USD"),
        ("UPDATE purchase SET item_count = 1", "its items was 2"),
        ("UPDATE purchase SET state = 'rejected'", "it was completed, and the ledger has it as rejected"),
        ("UPDATE purchase SET order_id = 'O-9'", "its order_id was O-1"),
    ],
)
def test_an_order_that_was_changed_past_the_journal_is_found(place: Place, change: str, told: str) -> None:
    with place.opened() as ledger:
        issue(ledger)
    place.run(change)
    with place.opened() as ledger:
        _, differences, count = ledger.check_journal()
    assert 1 == count
    assert told in differences[0]


def test_an_order_that_was_certainly_not_sent_may_be_edited_away(place: Place) -> None:
    with place.opened() as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        sent = ledger.mark_sent(next(ledger.orders(batch)), "xxtests", check=allow, now=NOW)
        assert State.PREPARED is ledger.mark_unsent(sent, Exchange(error_text="refused")).state
        ledger.amend(batch, new_batch(1), [order(1, 2)], [], check=allow, now=NOW)
        chain, differences, _ = ledger.check_journal()
    assert (None, []) == (chain.broken, differences)
    told = [kind for kind, _ in place.events()]
    assert ["order.sent", "order.unsent", "batch.edited"] == told[2:]


def test_every_other_change_of_a_batch_is_an_event(place: Place) -> None:
    with place.opened() as ledger:
        batch = record(ledger, orders=3)
        assert ledger.claim(batch)
        first, second, third = ledger.orders(batch)
        ledger.mark_rejected(
            ledger.mark_sent(first, "xxtests", check=allow, now=NOW), b"{}", Exchange(error_type="no"), NOW
        )
        ledger.renew(first, order(1, 1, 1), NOW)
        accepted = ledger.mark_accepted(
            ledger.mark_sent(second, "xxtests", check=allow, now=NOW), "O-2", b"{}", NOTHING
        )
        ledger.mark_accepted(accepted, "O-2", b"{}", NOTHING)  # as each time that it is polled
        ledger.mark_doubted(accepted)
        assert 2 == len(ledger.mark_abandoned([second, third], NOW))
        ledger.append(batch, [], [order(1, 9)], check=allow, now=NOW)
        chain, differences, _ = ledger.check_journal()
    assert (None, []) == (chain.broken, differences)
    assert [
        *("batch.recorded", "order.sent", "order.rejected", "order.renewed", "order.sent", "order.accepted"),
        *("order.doubted", "order.abandoned", "order.abandoned", "batch.extended"),
    ] == [kind for kind, _ in place.events()][1:]


def test_a_pruned_batch_leaves_the_chain_whole_and_its_digests_without_meaning(place: Place) -> None:
    with place.opened() as ledger:
        batch = issue(ledger)
        (salted,) = {facts["body"] for kind, facts in place.events() if kind == "order.sent"}
        assert ledger.claim(batch)
        ledger.prune(batch, check=allow, now=NOW)
        chain, differences, _ = ledger.check_journal()
    assert (7, None, []) == (chain.events, chain.broken, differences)
    assert [(None,)] == place.read("SELECT salt FROM batch")
    assert 64 == len(salted)
    assert "batch.pruned" == place.events()[-1][0]


def test_what_fails_leaves_no_event(place: Place) -> None:
    def refuse() -> None:
        raise LedgerUnusable("no")

    with place.opened() as ledger:
        batch = record(ledger)
        assert ledger.claim(batch)
        with pytest.raises(LedgerUnusable, match="no"):
            ledger.mark_sent(next(ledger.orders(batch)), "xxtests", check=refuse, now=NOW)
    assert ["journal.started", "batch.recorded"] == [kind for kind, _ in place.events()]


def test_two_processes_write_one_chain(place: Place) -> None:
    with place.opened() as one, place.opened() as other:
        for number in range(1, 5):
            issue(one if number % 2 else other, number)
        chain, differences, _ = one.check_journal()
    assert (1 + 4 * 5, None, []) == (chain.events, chain.broken, differences)


def test_the_journal_of_an_empty_ledger_stays_empty(place: Place) -> None:
    """So that another one can be copied into it."""
    with place.opened() as ledger:
        ledger.add_event(Event("links.read", {}))
        chain, *_ = ledger.check_journal()
    assert (0, None) == (chain.events, chain.broken)


def test_the_journal_of_an_older_ledger_begins_with_a_digest_of_what_is_there(place: Place) -> None:
    with place.opened() as ledger:
        issue(ledger)
    if place.database is None:
        make_older(Path(str(place.address)), 11)
    else:
        make_server_older(place.database.url, 1)
        assert len(MIGRATIONS) == initialise(place.database.address).now
    with place.opened() as ledger:
        assert ["journal.started"] == [kind for kind, _ in place.events()]
        issue(ledger, 2)
        chain, differences, _ = ledger.check_journal()
    facts = place.events()[0][1]
    assert (1, 2, 64) == (facts["orders"], facts["items"], len(facts["digest"]))
    assert (None, []) == (chain.broken, differences)
    assert [(32,), (32,)] == place.read("SELECT length(salt) FROM batch")


def test_a_time_is_that_of_the_clock(place: Place) -> None:
    with place.opened() as ledger:
        before = to_timestamp(datetime.now(UTC))
        record(ledger)
    assert [(True,)] == [(bool(later),) for (later,) in place.read(f"SELECT max(at) >= '{before}' FROM event")]


def test_the_journal_moves_with_the_ledger_and_goes_on(place: Place, tmp_path: Path) -> None:
    with place.opened() as ledger, Ledger(tmp_path / "copy.db") as copy:
        issue(ledger)
        kept = ledger.check_journal()[0].head
        copy.copy_from(ledger, lambda *_: None)
        chain, differences, _ = copy.check_journal(kept)
        assert (7, None, {kept: 6}, []) == (chain.events, chain.broken, chain.places, differences)
        issue(copy, 2)
        assert (12, None) == (copy.check_journal()[0].events, copy.check_journal()[0].broken)


def test_a_journal_that_was_written_anew_adds_up_and_only_a_kept_head_tells(place: Place) -> None:
    """Who may write the database can compute hashes too."""
    with place.opened() as ledger:
        issue(ledger)
        kept = ledger.check_journal()[0].head
    previous = BEGINNING
    for number, *columns, _ in place.read(
        'SELECT id, at, kind, "system_user", host, facts, hash FROM event ORDER BY id'
    ):
        columns[2] = "somebody"
        previous = event_hash(previous, (number, *columns))
        place.run(f"UPDATE event SET \"system_user\" = 'somebody', hash = '{previous}' WHERE id = {number}")
    with place.opened() as ledger:
        chain, differences, _ = ledger.check_journal(kept)
    assert (None, [], {}) == (chain.broken, differences, chain.places)
