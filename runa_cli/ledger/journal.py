"""The journal: what was done with the ledger, by whom and when, as a chain of events that only grows.

Each event is written in the transaction that makes the change it tells of. Its hash covers the hash of the event before
it, so that an event cannot be changed, removed or put between two others without changing every later hash. All writers
of a ledger wait for one another anyway (in SQLite for the file, in PostgreSQL for the row of the table `ledger`), so
that the chain needs no lock of its own. docs/journal.md says what it proves and what it does not.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runa_cli.core.clock import REAL, Clock
from runa_cli.core.system import host_name, system_user
from runa_cli.ledger.engine import Engine, Row, Transaction
from runa_cli.ledger.rows import storable, to_timestamp
from runa_cli.ledger.spending_fill import Database

BEGINNING = "0" * 64  # what the first event has instead of the hash of one before it
STARTED = "journal.started"
COLUMNS = ("id", "at", "kind", "system_user", "host", "facts", "hash")
ALL = 'SELECT id, at, kind, "system_user", host, facts, hash FROM event ORDER BY id'

INSERT = f"INSERT INTO event ({ALL[7:].partition(' FROM')[0]}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - own text

# One encoder for all events: a new one for each would take as long as the event itself.
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


class Event(NamedTuple):
    """Something that was done. `kind` says what, `facts` to what: text, whole numbers, and lists and objects of them.

    Nothing in `facts` is about a recipient, except digests that are made with the salt of the batch.
    """

    kind: str
    facts: Mapping[str, object]


def event_hash(previous: str, columns: Iterable[object]) -> str:
    """Return the hash of an event: SHA-256 over the JSON list of the hash before it and its own columns, but this."""
    return hashlib.sha256(_encode([previous, *columns]).encode()).hexdigest()


class Journal:
    """Adds events to the journal of one ledger, in the name of whoever runs this process."""

    def __init__(self, clock: Clock = REAL) -> None:
        """`clock` tells when an event happened."""
        self._clock = clock
        self._user, self._host = storable(system_user()), storable(host_name())

    def add(self, engine: Engine, transaction: Transaction, events: Iterable[Event]) -> None:
        """Add events in an open transaction, before which nobody else adds one. An empty journal is begun first."""
        rows = engine.select("SELECT id, hash FROM event ORDER BY id DESC LIMIT 1")
        if rows:
            added = [*self.chained(events, rows[0]["id"], rows[0]["hash"])]
        else:
            (ledger,) = engine.select("SELECT id FROM ledger")
            added = [*self.chained([start(ledger["id"], engine.select(EARLIER)), *events])]
        if not added:
            return
        if len(added) == 1:  # which a statement writes faster than what is made for many rows
            transaction.execute(INSERT, *added[0])
        else:
            transaction.insert_rows("event", COLUMNS, added)

    def chained(self, events: Iterable[Event], last: int = 0, previous: str = BEGINNING) -> Iterator[tuple[Any, ...]]:
        """Yield events as rows of the table, the first of them after the event with this id and hash."""
        at = to_timestamp(self._clock.now())
        for number, event in enumerate(events, last + 1):
            columns = number, at, event.kind, self._user, self._host, _encode(event.facts)
            previous = event_hash(previous, columns)
            yield *columns, previous


_EARLIER = ("environment", "idempotency_key", "state", "order_id", "currency", "total", "prepared_at", "settled_at")
EARLIER = f"SELECT {', '.join(_EARLIER)}, item_count FROM purchase ORDER BY id"  # noqa: S608 - own text


def start(ledger_id: str, orders: Iterable[Row]) -> Event:
    """Return the first event of a journal: it digests the orders that the ledger held before, the rows of `EARLIER`."""
    digest, number, items = hashlib.sha256(), 0, 0
    for order in orders:
        digest.update(_encode([order[column] for column in _EARLIER]).encode())
        number, items = number + 1, items + int(order["item_count"])
    return Event(STARTED, {"ledger": ledger_id, "orders": number, "items": items, "digest": digest.hexdigest()})


def begin(database: Database) -> None:
    """Begin the journal with the orders that are there; that of a ledger without any begins with its first batch."""
    if list(database.execute("SELECT id FROM purchase LIMIT 1")):
        ((ledger_id,),) = map(tuple, database.execute("SELECT id FROM ledger"))
        orders = (dict(zip((*_EARLIER, "item_count"), row, strict=True)) for row in database.execute(EARLIER))
        database.execute(INSERT, next(Journal().chained([start(ledger_id, orders)])))


class Chain(NamedTuple):
    """What was found of a journal: how many events, the hash of the last one, and the first break of the chain.

    `places` has, by the hashes that were looked for, the number of the event that has it.
    """

    events: int
    head: str
    broken: str | None
    places: Mapping[str, int]


def check_chain(rows: Iterable[Row], *heads: str) -> Chain:
    """Follow a chain from its first event to its last. `rows` are those of the query `ALL`; `heads` are looked for."""
    number, previous, places = 0, BEGINNING, {}
    broken: str | None = None
    for number, row in enumerate(rows, 1):
        broken = broken or _break(row, number, previous)
        previous = row["hash"]
        if previous in heads:
            places[previous] = number
    return Chain(number, previous, broken, places)


def _break(row: Row, number: int, previous: str) -> str | None:
    """Say what is wrong with an event that follows one with the hash `previous`; None where nothing is."""
    if row["id"] != number:
        return f"Event {number} is missing: the one in its place has the number {row['id']}."
    if number == 1 and row["kind"] != STARTED:
        return "The first event is not the start of a journal."
    own = event_hash(previous, (row[column] for column in COLUMNS[:-1]))
    return None if own == row["hash"] else f"Event {number} ({row['kind']}) is not the one that was recorded."
