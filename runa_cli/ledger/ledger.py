"""The journal: every order is recorded here before it is sent, and every reply before it is shown.

SQLite in WAL mode with `synchronous=FULL`: once a call returns, what it wrote survives a crash of the process and of
the machine. No transaction is held while a socket is open. The API key never comes here.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from runa_cli.core import exact_json
from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.states import State
from runa_cli.ledger import sqlite
from runa_cli.ledger.claims import Claims
from runa_cli.ledger.records import Batch, Exchange, NewBatch, NewOrder, Order, Recorded, Result, Tally
from runa_cli.ledger.rows import batch_of, moment_of, order_of, result_of, text_of
from runa_cli.ledger.sqlite import explained


class Ledger:
    """The open journal. Every method commits before it returns. Raises LedgerUnusable throughout."""

    def __init__(self, path: Path) -> None:
        self.path = sqlite.real_path(path)  # two names of one file must lead to one file of claims
        self._lock = threading.RLock()  # the threads that send orders share one connection
        self._connection = sqlite.opened(self.path)
        self._claims = Claims(self.path.with_name(self.path.name + "-claims"))

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
                        exact_json.dumps(list(batch.columns)),
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
                (content.fingerprint, exact_json.dumps(list(content.columns)), content.shape, batch.id),
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
            sql.execute("UPDATE batch SET columns = ? WHERE id = ?", (exact_json.dumps(list(columns)), batch.id))

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
                        exact_json.dumps(list(gift.carried)),
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
                ((exact_json.dumps(dict(item)), order.id, slot) for slot, item in enumerate(issued)),
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
        with explained(self.path):
            return self._claims.take(batch.id)

    def release(self, batch: Batch) -> None:
        """Let a batch go."""
        with explained(self.path):
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
        with self._lock, explained(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _stream(self, statement: str, *values: object) -> Iterator[sqlite3.Row]:
        """Yield rows one at a time over a connection of their own, so that others can write meanwhile."""
        with explained(self.path), closing(sqlite3.connect(self.path, timeout=sqlite.BUSY_SECONDS)) as connection:
            connection.row_factory = sqlite3.Row
            yield from connection.execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")  # a deferred one collides only later, when it must write
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
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
