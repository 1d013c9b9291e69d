"""The ledger's queries: everything that only reads."""

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from runa_cli.core.identity import GiftIdentity, name_key, same_name
from runa_cli.core.states import State
from runa_cli.ledger.engine import Engine, Row
from runa_cli.ledger.records import Batch, Order, Recorded, Referenced, Result, SameGift, Settled, Taken, Tally
from runa_cli.ledger.results import payout_url
from runa_cli.ledger.rows import (
    from_timestamp,
    read_batch,
    read_order,
    read_recorded,
    read_result,
    read_same_gift,
    to_timestamp,
)

# The latest generation of each order of a batch, without orders that an edit of the batch replaced.
_LATEST = " FROM purchase WHERE batch_id = ? AND superseded = 0 ORDER BY position"
# Values and not parameters, so that the index of unfinished orders is used.
UNFINISHED = "purchase.state IN ('prepared', 'sent', 'accepted')"
_NEWEST = (1 << 63) - 1  # no id is greater
_PAGE = 500  # batches that are in memory at a time
# Orders of which nothing can have been made at Runa: never sent, or rejected by Runa itself.
NOTHING_MADE = "(purchase.state = 'rejected' OR (purchase.state = 'prepared' AND purchase.first_sent_at IS NULL))"
# Written so that no index is used for it: with many keys to look up, a database may otherwise begin with every order of
# the environment.
IN_ENVIRONMENT = "purchase.environment || '' = ?"
RESULTS = (
    "SELECT gift.*, purchase.state, purchase.order_id, purchase.currency, purchase.error_text, purchase.position,"
    " coalesce(purchase.first_sent_at, purchase.prepared_at) AS created_at,"
    " purchase.first_sent_at IS NOT NULL AS is_sent"
    " FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
)


class LedgerQueries:
    """Reads what is recorded. Every method raises LedgerUnusable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- batches -------------------------------------------------------------------------------------------------

    def batch(self, environment: str, name: str) -> Batch | None:
        """Return a batch by its name, in whichever way that is written; the exact spelling comes first."""
        batches = [batch for batch in self.batches_named(environment, name) if same_name(batch.name, name)]
        return max(batches, key=lambda batch: batch.name == name, default=None)

    def batches_named(self, environment: str, name: str) -> list[Batch]:
        """Return the batches whose names differ from this one at most in case, blanks and composed letters."""
        rows = self._engine.select(
            "SELECT * FROM batch WHERE environment = ? AND name_key = ? ORDER BY id", environment, name_key(name)
        )
        return [read_batch(row) for row in rows]

    def batch_by_id(self, batch_id: int) -> Batch:
        """Return a batch by the id of its row."""
        (row,) = self._engine.select("SELECT * FROM batch WHERE id = ?", batch_id)
        return read_batch(row)

    def batches(self, environment: str | None = None, *, before: int = _NEWEST) -> Iterator[Batch]:
        """Yield the batches of one environment or of all, newest first; `before`: only those with a lower id."""
        for page in self._pages(environment, before):
            yield from page

    def tallied_batches(
        self, environment: str | None = None, *, before: int = _NEWEST, first_page: int = _PAGE
    ) -> Iterator[tuple[Batch, Tally]]:
        """Yield batches as `batches` does, with their counts, which are read for a page of batches at once."""
        for page in self._pages(environment, before, first_page):
            tallies = self.tallies([batch.id for batch in page])
            for batch in page:
                yield batch, tallies.get(batch.id) or Tally()

    def _pages(self, environment: str | None, before: int, size: int = _PAGE) -> Iterator[list[Batch]]:
        """Yield batches in pages: nothing is kept open between two of them, so that others can write meanwhile."""
        condition, own = ("", ()) if environment is None else ("environment = ? AND ", (environment,))
        while rows := self._engine.select(
            f"SELECT * FROM batch WHERE {condition}id < ? ORDER BY id DESC LIMIT ?",  # noqa: S608 - own text
            *own,
            before,
            size,
        ):
            yield [read_batch(row) for row in rows]
            before, size = rows[-1]["id"], _PAGE

    def batch_names(self, environment: str, most: int) -> list[str]:
        """Return the names of the newest batches of an environment."""
        rows = self._engine.select(
            "SELECT name FROM batch WHERE environment = ? ORDER BY id DESC LIMIT ?", environment, most
        )
        return [row["name"] for row in rows]

    def count_batches(self, environment: str | None = None, *, before: int = _NEWEST) -> int:
        """Count the batches that `batches` yields."""
        condition, own = ("", ()) if environment is None else ("environment = ? AND ", (environment,))
        (row,) = self._engine.select(
            f"SELECT count(*) AS number FROM batch WHERE {condition}id < ?",  # noqa: S608 - own text
            *own,
            before,
        )
        return int(row["number"])

    def unfinished_batches(self, environment: str) -> list[Batch]:
        """Return the batches that have an unfinished order, oldest first."""
        rows = self._engine.select(
            "SELECT batch.* FROM"  # noqa: S608 - own text
            f" (SELECT DISTINCT batch_id FROM purchase WHERE {UNFINISHED} AND superseded = 0) AS unfinished"
            # A cross join, which SQLite begins with its left side: else it begins with every batch of the environment.
            " CROSS JOIN batch WHERE batch.id = unfinished.batch_id AND batch.environment = ? ORDER BY batch.id",
            environment,
        )
        return [read_batch(row) for row in rows]

    def settled_before(self, environment: str, time: datetime) -> Iterator[Settled]:
        """Yield the batches that are not pruned and of which the last order settled before a time, newest first."""
        for row in self._engine.stream(
            "SELECT batch.id, batch.name, sum(item_count) AS items,"  # noqa: S608 - own text
            " max(CASE WHEN state = 'completed' THEN 1 ELSE 0 END) = 0"
            " OR coalesce(batch.shown_at >= max(settled_at), FALSE) AS is_shown"
            " FROM batch JOIN purchase ON purchase.batch_id = batch.id AND superseded = 0"
            " WHERE batch.environment = ? AND batch.pruned_at IS NULL"
            f" AND NOT EXISTS (SELECT 1 FROM purchase WHERE purchase.batch_id = batch.id AND {UNFINISHED})"
            # Which is found with the first order of most batches, so that the others are not read.
            " AND NOT EXISTS (SELECT 1 FROM purchase AS later WHERE later.batch_id = batch.id AND later.superseded = 0"
            " AND later.settled_at >= ?)"
            " GROUP BY batch.id HAVING max(settled_at) < ? ORDER BY batch.id DESC",
            environment,
            to_timestamp(time),
            to_timestamp(time),
        ):
            yield Settled(row["id"], row["name"], row["items"], bool(row["is_shown"]))

    def all_unfinished(self) -> list[Batch]:
        """Return the batches of every environment that have an unfinished order, oldest first."""
        environments = self._engine.select("SELECT DISTINCT environment FROM batch ORDER BY environment")
        return [batch for row in environments for batch in self.unfinished_batches(row["environment"])]

    def batches_with(self, environment: str, fingerprint: str) -> list[Batch]:
        """Return the batches of the same content, newest first."""
        rows = self._engine.select(
            "SELECT * FROM batch WHERE environment = ? AND fingerprint = ? ORDER BY id DESC", environment, fingerprint
        )
        return [read_batch(row) for row in rows]

    def tally(self, batch: Batch, only: Container[int] | None = None) -> Tally:
        """Count the batch's orders, items and money by state. `only`: the rows of the orders to count."""
        if only is None:
            return self.tallies([batch.id]).get(batch.id) or Tally()
        tally = Tally()
        columns = "id, state, total, currency, item_count, settled_at, first_sent_at"
        for row in self._engine.select(f"SELECT {columns}{_LATEST}", batch.id):
            if row["id"] in only:
                order = State(row["state"]), Decimal(row["total"]), row["currency"], row["item_count"]
                tally.count(*order)
                tally.settled(from_timestamp(row["settled_at"]))
                if row["state"] == State.ABANDONED and row["first_sent_at"] is None:
                    tally.count_never_sent().count(*order)
        return tally

    def tallies(self, batch_ids: Sequence[int]) -> dict[int, Tally]:
        """Count the orders, items and money of batches by state; a batch without orders has no entry.

        Orders with the same total are counted together: amounts are text, and are added here.
        """
        tallies: dict[int, Tally] = {}
        for row in self._engine.select(
            "SELECT batch_id, state, currency, total, count(*) AS orders, sum(item_count) AS items,"  # noqa: S608 - only marks
            " max(settled_at) AS settled_at FROM purchase"
            f" WHERE batch_id IN ({','.join('?' * len(batch_ids))}) AND superseded = 0"
            " GROUP BY batch_id, state, currency, total",
            *batch_ids,
        ):
            tally = tallies.setdefault(row["batch_id"], Tally())
            tally.count(State(row["state"]), Decimal(row["total"]), row["currency"], row["items"], orders=row["orders"])
            tally.settled(from_timestamp(row["settled_at"]))
        given_up = [batch_id for batch_id, tally in tallies.items() if tally.any(State.ABANDONED)]
        for row in self._never_sent(given_up) if given_up else ():
            unsent = tallies[row["batch_id"]].count_never_sent()
            unsent.count(State.ABANDONED, Decimal(row["total"]), row["currency"], row["item_count"])
        return tallies

    def _never_sent(self, batch_ids: Sequence[int]) -> Sequence[Row]:
        """Return what the orders cost that were given up before they were sent."""
        return self._engine.select(
            "SELECT batch_id, currency, total, item_count FROM purchase"  # noqa: S608 - only marks
            f" WHERE batch_id IN ({','.join('?' * len(batch_ids))}) AND superseded = 0 AND state = 'abandoned'"
            " AND first_sent_at IS NULL",
            *batch_ids,
        )

    # --- orders --------------------------------------------------------------------------------------------------

    def order(self, order_row: int) -> Order:
        """Return an order by the id of its row."""
        (row,) = self._engine.select("SELECT * FROM purchase WHERE id = ?", order_row)
        return read_order(row)

    def order_by_key(self, environment: str, key: str) -> Order | None:
        """Return the order that was recorded under an idempotency key."""
        rows = self._engine.select(
            "SELECT * FROM purchase WHERE environment = ? AND idempotency_key = ?", environment, key
        )
        return read_order(rows[0]) if rows else None

    def orders(
        self, batch: Batch, states: Iterable[State] = tuple(State), only: Container[int] | None = None
    ) -> Iterator[Order]:
        """Yield the batch's orders in these states by position, the latest generation of each, one at a time.

        `only`: the rows of the orders to yield.
        """
        wanted = set(states)
        for row in self._engine.select("SELECT id, state" + _LATEST, batch.id):
            if row["state"] in wanted and (only is None or row["id"] in only):
                yield self.order(row["id"])

    def has_unfinished(self, batch: Batch) -> bool:
        """Tell whether any order ever recorded in the batch is unfinished, replaced ones too."""
        return bool(
            self._engine.select(f"SELECT id FROM purchase WHERE batch_id = ? AND {UNFINISHED} LIMIT 1", batch.id)  # noqa: S608 - own text
        )

    def accounts(self, batch: Batch) -> set[str]:
        """Return the accounts of a batch's orders, except of those that Runa rejected."""
        rows = self._engine.select(
            "SELECT DISTINCT account FROM purchase WHERE batch_id = ? AND superseded = 0 AND state != 'rejected'",
            batch.id,
        )
        return {row["account"] for row in rows}

    def taken(self, batch: Batch, *, by_unsent: bool = True) -> Taken:
        """Return the positions and keys of the batch's orders, without `by_unsent` only of those that were sent."""
        unsent = "" if by_unsent else " AND NOT (state = 'prepared' AND first_sent_at IS NULL)"
        rows = self._engine.select(
            f"SELECT position, idempotency_key FROM purchase WHERE batch_id = ?{unsent}",  # noqa: S608 - own text
            batch.id,
        )
        return Taken({row["position"] for row in rows}, {row["idempotency_key"] for row in rows})

    def has_order(self, environment: str, order_id: str) -> bool:
        """Tell whether an order is recorded under one of Runa's order ids."""
        found = self._engine.select(
            "SELECT id FROM purchase WHERE order_id = ? AND environment = ?", order_id, environment
        )
        return bool(found)

    def is_anothers(self, order: Order, order_id: str) -> bool:
        """Tell whether another order of the same environment is recorded under one of Runa's order ids."""
        return bool(
            self._engine.select(
                "SELECT id FROM purchase WHERE order_id = ? AND id != ?"
                " AND environment = (SELECT environment FROM purchase WHERE id = ?)",
                order_id,
                order.id,
                order.id,
            )
        )

    # --- gifts ---------------------------------------------------------------------------------------------------

    def held(self, batch: Batch, *, read_back: bool = True) -> Iterator[Recorded]:
        """Yield the gifts of a batch whose money has moved or may have moved, by row.

        Without `read_back`, those of orders are left out that were read back from Runa and that no input confirmed.
        """
        own = "" if read_back else " AND read_back = 0"
        for row in self._engine.stream(
            "SELECT gift.*, purchase.state, purchase.order_id FROM gift JOIN purchase ON purchase.id = gift.purchase_id"  # noqa: S608 - own text
            f" WHERE purchase.batch_id = ? AND NOT ({NOTHING_MADE}) AND gift.row > 0{own} ORDER BY gift.row, gift.id",
            batch.id,
        ):
            yield read_recorded(row)

    def not_made(self, batch: Batch) -> Iterator[Recorded]:
        """Yield the gifts of a batch of which nothing was made at Runa, in the order of their orders."""
        for row in self._engine.stream(
            "SELECT gift.*, purchase.state, purchase.order_id FROM gift JOIN purchase ON purchase.id = gift.purchase_id"  # noqa: S608 - own text
            f" WHERE purchase.batch_id = ? AND {NOTHING_MADE} AND superseded = 0 ORDER BY position, slot",
            batch.id,
        ):
            yield read_recorded(row)

    def same_gifts(
        self, environment: str, identities: Iterable[GiftIdentity], *, own: Order | None = None
    ) -> Iterator[tuple[GiftIdentity, SameGift]]:
        """Yield each of these identities with what the ledger holds of the same gift, unless Runa rejected it.

        `own` is an order whose batch does not count, but for what was taken over from Runa after it was recorded.

        The ledger's side has one entry a batch, state and identity. Those whose references are spelled otherwise come
        last.
        """
        by_gift: dict[str, list[GiftIdentity]] = {}
        by_alike: dict[str, list[GiftIdentity]] = {}
        for identity in identities:
            by_gift.setdefault(identity.gift, []).append(identity)
            if identity.alike:
                by_alike.setdefault(identity.alike, []).append(identity)
        for found in self._gifts_by("same_gift", by_gift, environment, own):
            for identity in by_gift[found.identity.gift]:
                if identity.may_be(found.identity):
                    yield identity, found
        for found in self._gifts_by("alike", by_alike, environment, own):
            for identity in by_alike[found.identity.alike]:
                if identity.is_respelled(found.identity):
                    yield identity, found

    def _gifts_by(self, column: str, keys: Collection[str], environment: str, own: Order | None) -> Iterator[SameGift]:
        if not keys:
            return
        rows = self._engine.select(
            "SELECT gift.same_gift, gift.reference_key, gift.alike, purchase.state, batch.id AS batch_id, batch.name,"  # noqa: S608 - only marks
            " max(gift.id) AS newest_id, max(gift.item) AS item, max(gift.reference) AS reference,"
            " max(purchase.settled_at) AS settled_at FROM gift"
            " JOIN purchase ON purchase.id = gift.purchase_id JOIN batch ON batch.id = purchase.batch_id"
            f" WHERE {IN_ENVIRONMENT} AND purchase.state != 'rejected'"
            # An order that was not sent from here has no answer to it.
            " AND (purchase.batch_id != ? OR (purchase.id > ? AND order_id IS NOT NULL AND http_status IS NULL))"
            f" AND gift.{column} IN ({','.join('?' * len(keys))})"
            " GROUP BY gift.same_gift, gift.reference_key, gift.alike, purchase.state, batch.id, batch.name"
            " ORDER BY batch.id",
            environment,
            own.batch_id if own else 0,
            own.id if own else 0,
            *keys,
        )
        yield from map(read_same_gift, rows)

    def referenced(self, environment: str, keys: Sequence[str]) -> list[Referenced]:
        """Return every recorded gift that has one of these reference keys, rejected ones too, in the order recorded."""
        if not keys:
            return []
        rows = self._engine.select(
            "SELECT gift.*, purchase.state, purchase.order_id, purchase.batch_id FROM gift"  # noqa: S608 - only marks
            f" JOIN purchase ON purchase.id = gift.purchase_id WHERE {IN_ENVIRONMENT}"
            f" AND gift.reference_key IN ({','.join('?' * len(keys))}) ORDER BY gift.id",
            environment,
            *keys,
        )
        return [Referenced(read_recorded(row), row["purchase_id"], row["batch_id"]) for row in rows]

    def first_items(self, environment: str, recipients: Collection[str]) -> dict[str, str]:
        """Return the item of the first gift that was issued, or may have been, to each of these recipient keys.

        What was pruned is not known any more.
        """
        if not recipients:
            return {}
        rows = self._engine.select(
            "SELECT gift.recipient_key, gift.item FROM gift JOIN purchase ON purchase.id = gift.purchase_id"  # noqa: S608 - only marks
            f" WHERE {IN_ENVIRONMENT} AND purchase.state NOT IN ('rejected', 'failed', 'abandoned')"
            f" AND gift.recipient_key IN ({','.join('?' * len(recipients))}) AND gift.recipient_key != ''"
            " AND gift.item != '{}' ORDER BY gift.id DESC",
            environment,
            *recipients,
        )
        return {row["recipient_key"]: row["item"] for row in rows}  # the first one comes last

    def identities(self, order: Order) -> dict[GiftIdentity, int]:
        """Return the identities of an order's gifts, each with the id of the first gift that has it."""
        rows = self._engine.select(
            "SELECT same_gift, reference_key, alike, min(id) AS first_id FROM gift WHERE purchase_id = ?"
            " AND same_gift IS NOT NULL GROUP BY same_gift, reference_key, alike",
            order.id,
        )
        return {GiftIdentity(row["same_gift"], row["reference_key"], row["alike"]): row["first_id"] for row in rows}

    def results(self, batch: Batch) -> Iterator[Result]:
        """Yield the batch's gifts in the order of their rows, with their links."""
        rows = self._engine.stream(
            f"{RESULTS} WHERE purchase.batch_id = ? AND gift.row > 0 ORDER BY gift.row, gift.id", batch.id
        )
        return map(read_result, rows)

    def payout_urls(self, batch: Batch) -> Iterator[str]:
        """Yield the payout links of the batch's gifts in the order of their rows."""
        rows = self._engine.stream(
            "SELECT gift.issued FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            " WHERE purchase.batch_id = ? AND gift.row > 0 AND gift.issued IS NOT NULL ORDER BY gift.row, gift.id",
            batch.id,
        )
        return filter(None, (payout_url(row["issued"]) for row in rows))

    def results_of(self, gifts: Sequence[int]) -> dict[int, Result]:
        """Return the results of gifts by the ids of their rows."""
        rows = self._engine.select(f"{RESULTS} WHERE gift.id IN ({','.join('?' * len(gifts))})", *gifts)
        return {row["id"]: read_result(row) for row in rows}

    def states_of(self, gifts: Sequence[int]) -> dict[int, State]:
        """Return the states of the orders of gifts, by the ids of the gifts' rows."""
        rows = self._engine.select(
            "SELECT gift.id, purchase.state FROM gift JOIN purchase ON purchase.id = gift.purchase_id"  # noqa: S608 - only marks
            f" WHERE gift.id IN ({','.join('?' * len(gifts))})",
            *gifts,
        )
        return {row["id"]: State(row["state"]) for row in rows}

    def order_results(self, order: Order) -> list[Result]:
        """Return the gifts of one order in the order they were sent."""
        rows = self._engine.select(f"{RESULTS} WHERE purchase.id = ? ORDER BY gift.slot", order.id)
        return [read_result(row) for row in rows]
