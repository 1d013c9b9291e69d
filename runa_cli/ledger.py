"""The journal: every order is recorded here before it is sent, and every reply before it is shown.

SQLite in WAL mode with `synchronous=FULL`: once a call returns, what it wrote survives a crash of the process and of
the machine. No transaction is held while a socket is open. The API key never comes here.
"""

import errno
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from runa_cli import jsontext
from runa_cli.claims import Claims
from runa_cli.errors import LedgerUnusable
from runa_cli.records import (
    Batch,
    Exchange,
    NewBatch,
    NewOrder,
    Order,
    Recorded,
    Result,
    State,
    Tally,
    batch_of,
    moment_of,
    order_of,
    result_of,
    text_of,
)

BUSY_SECONDS = 30.0  # another process's longest transaction records a file of 100,000 rows

MIGRATIONS = (
    """
    CREATE TABLE batch (
        id INTEGER PRIMARY KEY,
        environment TEXT NOT NULL,
        name TEXT NOT NULL,
        named INTEGER NOT NULL,
        source TEXT NOT NULL,
        shape TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        account TEXT NOT NULL,
        columns TEXT NOT NULL,
        created_at TEXT NOT NULL,
        shown_at TEXT,
        pruned_at TEXT,
        UNIQUE (environment, name)
    );
    CREATE INDEX batch_by_content ON batch (environment, fingerprint);
    CREATE TABLE purchase (
        id INTEGER PRIMARY KEY,
        batch_id INTEGER NOT NULL REFERENCES batch (id),
        environment TEXT NOT NULL,
        position INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        idempotency_key TEXT NOT NULL,
        own_key INTEGER NOT NULL,
        body BLOB NOT NULL,
        body_sha256 TEXT NOT NULL,
        mode TEXT NOT NULL,
        currency TEXT NOT NULL,
        total TEXT NOT NULL,
        item_count INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('prepared', 'sent', 'accepted', 'completed', 'failed', 'rejected', 'abandoned')),
        prepared_at TEXT NOT NULL,
        first_sent_at TEXT,
        settled_at TEXT,
        order_id TEXT,
        http_status INTEGER,
        request_id TEXT,
        error_type TEXT,
        error_text TEXT,
        same_errors INTEGER NOT NULL DEFAULT 0,
        superseded INTEGER NOT NULL DEFAULT 0,
        reply BLOB,
        UNIQUE (batch_id, position, generation),
        UNIQUE (environment, idempotency_key)
    );
    CREATE INDEX purchase_by_state ON purchase (batch_id, state);
    CREATE INDEX purchase_by_order ON purchase (order_id);
    CREATE TABLE gift (
        id INTEGER PRIMARY KEY,
        purchase_id INTEGER NOT NULL REFERENCES purchase (id),
        slot INTEGER NOT NULL,
        row INTEGER NOT NULL,
        reference TEXT,
        carried TEXT NOT NULL,
        identity TEXT NOT NULL,
        item TEXT NOT NULL,
        issued TEXT,
        UNIQUE (purchase_id, slot)
    );
    CREATE INDEX gift_by_identity ON gift (identity);
    """,
)


class Ledger:
    """The open journal. Every method commits before it returns. Raises LedgerUnusable throughout."""

    def __init__(self, path: Path) -> None:
        with _explained(path):
            _check_link(path)
        path = Path(os.path.realpath(path))  # two names of one file must lead to one file of claims
        self.path = path
        self._lock = threading.RLock()  # the threads that send orders share one connection
        with _explained(path):
            mode = _create_private(path)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.row_factory = sqlite3.Row
                _check_as_found(self._connection, path, mode)
                _write_ahead(self._connection)
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute("PRAGMA foreign_keys = ON")
                _migrate(self._connection, path)
            except BaseException:
                self._connection.close()
                raise
        self._claims = Claims(path.with_name(path.name + "-claims"))

    def close(self) -> None:
        """Let go of the file and of every claim."""
        with self._lock:
            self._claims.close()
            self._connection.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- recording -----------------------------------------------------------------------------------------------

    def record(
        self, batch: NewBatch, orders: Iterable[NewOrder], *, known: Iterable[int], now: datetime
    ) -> Batch | None:
        """Record a batch with its orders, all of them or none.

        `known` are the batches of the same content that were weighed before. Returns None, and records nothing, when
        another process has recorded one since, or one of the same name or key: then it must be decided anew.
        """
        try:
            return self._record(batch, orders, set(known), now)
        except LedgerUnusable as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                return None
            raise

    def _record(self, batch: NewBatch, orders: Iterable[NewOrder], known: set[int], now: datetime) -> Batch | None:
        with self._transaction() as sql:
            others = {other.id for other in self.batches_with(batch.environment, batch.fingerprint)} - known
            if others or self.batch(batch.environment, batch.name) is not None:
                return None
            batch_id = int(
                sql.execute(
                    "INSERT INTO batch (environment, name, named, source, shape, fingerprint, account, columns,"
                    " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        batch.environment,
                        batch.name,
                        batch.named,
                        batch.source,
                        batch.shape,
                        batch.fingerprint,
                        batch.account,
                        jsontext.dumps(list(batch.columns)),
                        text_of(now),
                    ),
                ).lastrowid
                or 0
            )
            self._insert_orders(sql, batch_id, batch.environment, orders, now)
            row = sql.execute("SELECT * FROM batch WHERE id = ?", (batch_id,)).fetchone()
        return batch_of(row)

    def amend(
        self,
        batch: Batch,
        content: NewBatch,
        orders: Iterable[NewOrder],
        moved: Iterable[tuple[int, int, str | None, str]],
        *,
        now: datetime,
    ) -> Batch:
        """Give a claimed batch other content, all of it or none.

        What was never sent or was rejected gives way to `orders`; what is held stays, at the places that `moved` names
        (recorded id, row, reference, carried cells). Held gifts that moved nowhere are no longer part of the results.
        """
        with self._transaction() as sql:
            sql.execute(
                "DELETE FROM gift WHERE purchase_id IN"
                " (SELECT id FROM purchase WHERE batch_id = ? AND state IN ('prepared', 'rejected'))",
                (batch.id,),
            )
            sql.execute("DELETE FROM purchase WHERE batch_id = ? AND state = 'prepared'", (batch.id,))
            sql.execute("UPDATE purchase SET superseded = 1 WHERE batch_id = ? AND state = 'rejected'", (batch.id,))
            sql.execute(
                "UPDATE gift SET row = -abs(row) WHERE purchase_id IN (SELECT id FROM purchase WHERE batch_id = ?)",
                (batch.id,),
            )
            sql.executemany(
                "UPDATE gift SET row = ?, reference = ?, carried = ? WHERE id = ?",
                ((row, reference, carried, recorded) for recorded, row, reference, carried in moved),
            )
            self._insert_orders(sql, batch.id, batch.environment, orders, now)
            sql.execute(
                "UPDATE batch SET fingerprint = ?, columns = ?, shape = ?, shown_at = NULL WHERE id = ?",
                (content.fingerprint, jsontext.dumps(list(content.columns)), content.shape, batch.id),
            )
        return self.batch_by_id(batch.id)

    def relabel(self, batch: Batch, columns: Sequence[str], labels: Iterable[tuple[str | None, str]]) -> None:
        """Take over the references and carried cells that the same gifts have in the input now, in their order."""
        with self._transaction() as sql:
            rows = sql.execute(
                "SELECT gift.id FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
                " WHERE purchase.batch_id = ? AND gift.row > 0 ORDER BY gift.row, gift.id",
                (batch.id,),
            ).fetchall()
            sql.executemany(
                "UPDATE gift SET reference = ?1, carried = ?2"
                " WHERE id = ?3 AND (reference IS NOT ?1 OR carried IS NOT ?2)",
                ((reference, carried, row["id"]) for row, (reference, carried) in zip(rows, labels, strict=True)),
            )
            sql.execute("UPDATE batch SET columns = ? WHERE id = ?", (jsontext.dumps(list(columns)), batch.id))

    def prune(self, batch: Batch, now: datetime) -> None:
        """Drop a settled batch's payloads, addresses and links; what tells that it was issued stays."""
        with self._transaction() as sql:
            sql.execute("UPDATE purchase SET body = x'', reply = NULL WHERE batch_id = ?", (batch.id,))
            sql.execute(
                "UPDATE gift SET item = '{}', issued = NULL, reference = NULL, carried = '[]' WHERE purchase_id IN"
                " (SELECT id FROM purchase WHERE batch_id = ?)",
                (batch.id,),
            )
            sql.execute("UPDATE batch SET pruned_at = ? WHERE id = ?", (text_of(now), batch.id))

    def renew(self, rejected: Order, replacement: NewOrder, now: datetime) -> Order:
        """Record the next generation of a rejected order; its gifts move along."""
        with self._transaction() as sql:
            row = sql.execute("SELECT environment FROM batch WHERE id = ?", (rejected.batch_id,)).fetchone()
            new_id = self._insert_order(sql, rejected.batch_id, row["environment"], replacement, now)
            sql.execute("UPDATE gift SET purchase_id = ? WHERE purchase_id = ?", (new_id, rejected.id))
        return self.order(new_id)

    def _insert_orders(
        self, sql: sqlite3.Connection, batch_id: int, environment: str, orders: Iterable[NewOrder], now: datetime
    ) -> None:
        for order in orders:
            order_id = self._insert_order(sql, batch_id, environment, order, now)
            sql.executemany(
                "INSERT INTO gift (purchase_id, slot, row, reference, carried, identity, item)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        order_id,
                        slot,
                        gift.row,
                        gift.reference,
                        jsontext.dumps(list(gift.carried)),
                        gift.identity,
                        gift.item,
                    )
                    for slot, gift in enumerate(order.gifts)
                ),
            )

    def _insert_order(
        self, sql: sqlite3.Connection, batch_id: int, environment: str, order: NewOrder, now: datetime
    ) -> int:
        cursor = sql.execute(
            "INSERT INTO purchase (batch_id, environment, position, generation, idempotency_key, own_key, body,"
            " body_sha256, mode, currency, total, item_count, state, prepared_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'prepared', ?)",
            (
                batch_id,
                environment,
                order.position,
                order.generation,
                order.idempotency_key,
                order.own_key,
                order.body,
                order.body_sha256,
                order.mode,
                order.currency,
                order.total,
                order.item_count,
                text_of(now),
            ),
        )
        return int(cursor.lastrowid or 0)

    # --- what happened to an order -------------------------------------------------------------------------------

    def mark_sent(self, order: Order, now: datetime) -> Order:
        """Record that the order may reach Runa from now on. Called before its first byte leaves."""
        return self._update(order, "state = 'sent', first_sent_at = coalesce(first_sent_at, ?)", text_of(now))

    def mark_unsent(self, order: Order, exchange: Exchange) -> Order:
        """Record that nothing of this order ever reached Runa's orders, and why."""
        columns, *values = _exchange_columns(exchange)
        return self._update(order, f"state = 'prepared', first_sent_at = NULL, {columns}", *values)

    def mark_doubted(self, order: Order) -> Order:
        """Record that the id an order was accepted under is another order's, so that its outcome is unknown again."""
        return self._update(order, "state = 'sent', order_id = NULL, reply = NULL")

    def note(self, order: Order, exchange: Exchange) -> Order:
        """Record what was answered last, without a change of state."""
        return self._update(order, *_exchange_columns(exchange))

    def mark_accepted(self, order: Order, order_id: str, reply: bytes, exchange: Exchange) -> Order:
        """Record the id that Runa gave."""
        columns, *values = _exchange_columns(exchange)
        return self._update(order, f"state = 'accepted', order_id = ?, reply = ?, {columns}", order_id, reply, *values)

    def mark_completed(
        self,
        order: Order,
        order_id: str,
        reply: bytes,
        issued: Sequence[Mapping[str, Any]],
        *,
        exchange: Exchange,
        now: datetime,
    ) -> Order:
        """Record the reply with its links, each beside its gift. `issued` is in the order of the gifts."""
        return self._settle(order, State.COMPLETED, order_id, reply, issued, exchange=exchange, now=now)

    def mark_failed(self, order: Order, order_id: str, reply: bytes, exchange: Exchange, now: datetime) -> Order:
        """Record that Runa reports the order FAILED."""
        return self._settle(order, State.FAILED, order_id, reply, [], exchange=exchange, now=now)

    def mark_rejected(self, order: Order, reply: bytes, exchange: Exchange, now: datetime) -> Order:
        """Record Runa's final no."""
        return self._settle(order, State.REJECTED, None, reply, [], exchange=exchange, now=now)

    def mark_abandoned(self, order: Order, now: datetime) -> Order:
        """Record that a person gave the order up."""
        return self._update(order, "state = 'abandoned', settled_at = ?", text_of(now))

    def mark_shown(self, batch: Batch, now: datetime) -> None:
        """Record that the batch's result was written where it was asked for."""
        with self._transaction() as sql:
            sql.execute("UPDATE batch SET shown_at = ? WHERE id = ?", (text_of(now), batch.id))

    def _settle(
        self,
        order: Order,
        state: State,
        order_id: str | None,
        reply: bytes,
        issued: Sequence[Mapping[str, Any]],
        *,
        exchange: Exchange,
        now: datetime,
    ) -> Order:
        columns, *values = _exchange_columns(exchange)
        with self._transaction() as sql:
            sql.execute(
                "UPDATE purchase SET state = ?, order_id = coalesce(?, order_id), reply = ?, settled_at = ?,"  # noqa: S608 - the columns are this module's own text
                f" {columns} WHERE id = ?",
                (state, order_id, reply, text_of(now), *values, order.id),
            )
            sql.executemany(
                "UPDATE gift SET issued = ? WHERE purchase_id = ? AND slot = ?",
                ((jsontext.dumps(dict(item)), order.id, slot) for slot, item in enumerate(issued)),
            )
        return self.order(order.id)

    def _update(self, order: Order, assignments: str, *values: object) -> Order:
        with self._transaction() as sql:
            sql.execute(f"UPDATE purchase SET {assignments} WHERE id = ?", (*values, order.id))  # noqa: S608 - as above
        return self.order(order.id)

    # --- reading -------------------------------------------------------------------------------------------------

    def batch(self, environment: str, name: str) -> Batch | None:
        """Return a batch by its name."""
        rows = self._select("SELECT * FROM batch WHERE environment = ? AND name = ?", environment, name)
        return batch_of(rows[0]) if rows else None

    def batches(self, environment: str | None = None, *, oldest_first: bool = False) -> Iterator[Batch]:
        """Yield the batches of one environment or of all, newest first unless asked otherwise."""
        direction = "ASC" if oldest_first else "DESC"
        yield from map(
            batch_of,
            self._select(
                f"SELECT * FROM batch WHERE ? IS NULL OR environment = ? ORDER BY id {direction}",  # noqa: S608 - own text
                environment,
                environment,
            ),
        )

    def batches_with(self, environment: str, fingerprint: str) -> list[Batch]:
        """Return the batches of the same content, newest first."""
        rows = self._select(
            "SELECT * FROM batch WHERE environment = ? AND fingerprint = ? ORDER BY id DESC", environment, fingerprint
        )
        return [batch_of(row) for row in rows]

    def order(self, order_row: int) -> Order:
        """Return an order by its row in the ledger."""
        (row,) = self._select("SELECT * FROM purchase WHERE id = ?", order_row)
        return order_of(row)

    def batch_by_id(self, batch_id: int) -> Batch:
        """Return a batch by its row in the ledger."""
        return batch_of(self._select("SELECT * FROM batch WHERE id = ?", batch_id)[0])

    def held(self, batch: Batch) -> Iterator[Recorded]:
        """Yield the gifts of a batch whose money has moved or may have, sorted by identity."""
        for row in self._stream(
            "SELECT gift.*, purchase.state, purchase.order_id FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            " WHERE purchase.batch_id = ? AND purchase.state NOT IN ('prepared', 'rejected') AND gift.row > 0"
            " ORDER BY gift.identity, gift.row",
            batch.id,
        ):
            yield Recorded(row["id"], row["identity"], row["row"], row["item"], State(row["state"]), row["order_id"])

    def issued_before(self, environment: str, identities: Sequence[str]) -> tuple[int, str | None]:
        """Count which of these gifts a file has issued, or may have, and name the newest batch that holds one."""
        row = self._select(
            "SELECT count(DISTINCT gift.identity) AS found, max(batch.id) AS newest FROM gift"  # noqa: S608 - only marks
            " JOIN purchase ON purchase.id = gift.purchase_id JOIN batch ON batch.id = purchase.batch_id"
            " WHERE batch.environment = ? AND batch.source = 'file' AND purchase.state NOT IN ('prepared', 'rejected')"
            f" AND gift.identity IN ({','.join('?' * len(identities))})",
            environment,
            *identities,
        )[0]
        newest = self.batch_by_id(row["newest"]).name if row["newest"] is not None else None
        return row["found"], newest

    def last_position(self, batch: Batch) -> int:
        """Return the highest position an order of the batch ever had."""
        return int(
            self._select("SELECT coalesce(max(position), 0) AS last FROM purchase WHERE batch_id = ?", batch.id)[0][
                "last"
            ]
        )

    def claim(self, batch: Batch) -> bool:
        """Claim a batch for this process. Returns False while another process has it."""
        with _explained(self.path):
            return self._claims.take(batch.id)

    def release(self, batch: Batch) -> None:
        """Let a batch go."""
        with _explained(self.path):
            self._claims.release(batch.id)

    def order_by_key(self, environment: str, key: str) -> Order | None:
        """Return the order that was recorded under an idempotency key."""
        rows = self._select("SELECT * FROM purchase WHERE environment = ? AND idempotency_key = ?", environment, key)
        return order_of(rows[0]) if rows else None

    def is_anothers(self, order: Order, order_id: str) -> bool:
        """Tell whether one of Runa's order ids is bound to another order here."""
        return bool(
            self._select(
                "SELECT 1 FROM purchase AS other JOIN purchase AS own ON own.environment = other.environment"
                " WHERE own.id = ? AND other.id != own.id AND other.order_id = ?",
                order.id,
                order_id,
            )
        )

    def orders(self, batch: Batch, states: Iterable[State] = tuple(State)) -> Iterator[Order]:
        """Yield the batch's orders by position, the latest generation of each, one at a time."""
        wanted = set(states)
        for row in self._select(
            "SELECT id, state, max(generation) FROM purchase WHERE batch_id = ? AND NOT superseded"
            " GROUP BY position ORDER BY position",
            batch.id,
        ):
            if row["state"] in wanted:
                yield self.order(row["id"])

    def tally(self, batch: Batch) -> "Tally":
        """Count the batch's orders, items and money by state."""
        tally = Tally()
        for row in self._select(
            "SELECT state, total, currency, item_count, settled_at, max(generation) FROM purchase WHERE batch_id = ?"
            " AND NOT superseded GROUP BY position",
            batch.id,
        ):
            tally.count(State(row["state"]), Decimal(row["total"]), row["currency"], row["item_count"])
            tally.settled_at = max(filter(None, (tally.settled_at, moment_of(row["settled_at"]))), default=None)
        return tally

    def results(self, batch: Batch) -> Iterator[Result]:
        """Yield the batch's gifts in the order of their rows, with their links."""
        for row in self._stream(
            "SELECT gift.*, purchase.state, purchase.order_id, purchase.currency, purchase.error_text FROM gift"
            " JOIN purchase ON purchase.id = gift.purchase_id WHERE purchase.batch_id = ? AND gift.row > 0"
            " ORDER BY gift.row, gift.id",
            batch.id,
        ):
            yield result_of(row)

    def order_results(self, order: Order) -> list[Result]:
        """Return the gifts of one order in the order they were sent."""
        rows = self._select(
            "SELECT gift.*, purchase.state, purchase.order_id, purchase.currency, purchase.error_text FROM gift"
            " JOIN purchase ON purchase.id = gift.purchase_id WHERE purchase.id = ? ORDER BY gift.slot",
            order.id,
        )
        return [result_of(row) for row in rows]

    def _select(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, _explained(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _stream(self, statement: str, *values: object) -> Iterator[sqlite3.Row]:
        """Yield rows one at a time over a connection of their own, so that others can write meanwhile."""
        with _explained(self.path), closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
            connection.row_factory = sqlite3.Row
            yield from connection.execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")  # a deferred one collides only later, when it must write
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LedgerUnusable(
            f"The ledger {path} cannot be used: {reason}.",
            hint="Nothing is sent without it. Make room or mend its permissions, or name another file in RUNA_LEDGER.",
        ) from error


def _check_link(path: Path) -> None:
    """Make sure that a link leads to a ledger: a new one in its place would know nothing of what was issued."""
    if path.is_symlink() and not path.exists():
        raise LedgerUnusable(
            f"The ledger {path} is a link that leads nowhere ({path.readlink()}).",
            hint="Bring back what it led to. To begin a new ledger, name its file itself in RUNA_LEDGER.",
        )


def _create_private(path: Path) -> int:
    """Make the file for its owner alone before SQLite opens it: SQLite itself would leave it open to the umask.

    Returns the mode that it had.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):  # a device would lose its permissions for everybody
            raise OSError(errno.EINVAL, "It is no file")
        if mode & 0o077:
            os.fchmod(handle, 0o600)
        return stat.S_IMODE(mode)
    finally:
        os.close(handle)


def _check_as_found(connection: sqlite3.Connection, path: Path, mode: int) -> None:
    """Check whose file it is before anything in it changes, and give another program's file its mode back."""
    try:
        _check_ours(connection, path)
    except BaseException:
        if mode & 0o077:
            path.chmod(mode)
        raise


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Make sure that the file is empty, or a ledger this program knows."""
    # In this order: tables that are there were committed together with their version.
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise LedgerUnusable(
            f"The ledger {path} was written by a newer runa (its version is {version}, this program knows"
            f" {len(MIGRATIONS)}).",
            hint="Install the newer runa here too.",
        )
    if tables and not (version and tables >= {"batch", "purchase", "gift"}):
        raise LedgerUnusable(
            f"{path} is a database of another program.", hint="Name a file of its own for the ledger in RUNA_LEDGER."
        )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Choose the journal mode; unlike every other statement, this one does not wait for other processes by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        _check_ours(connection, path)  # another process may have migrated it since
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            for statement in script.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _exchange_columns(exchange: Exchange) -> tuple[str, int | None, str | None, str | None, str | None, int]:
    return (
        "http_status = ?, request_id = ?, error_type = ?, error_text = ?, same_errors = ?",
        exchange.http_status,
        _storable(exchange.request_id),
        _storable(exchange.error_type),
        _storable(exchange.error_text),
        exchange.same_errors,
    )


def _storable(text: str | None) -> str | None:
    """Return text that SQLite takes: a lone surrogate from a reply becomes an escape."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()
