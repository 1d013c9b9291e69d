"""The ledger's queries: everything that only reads."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from runa_cli.core.states import State
from runa_cli.ledger.engine import Engine
from runa_cli.ledger.records import Batch, Order, Recorded, Result, Tally
from runa_cli.ledger.rows import from_timestamp, read_batch, read_order, read_result

# The latest generation of each order of a batch, without orders that an edit of the batch replaced.
_LATEST = (
    " FROM purchase AS own WHERE batch_id = ? AND superseded = 0 AND generation = (SELECT max(generation) FROM purchase"
    " AS other WHERE other.batch_id = own.batch_id AND other.position = own.position AND other.superseded = 0)"
    " ORDER BY position"
)
_RESULTS = (
    "SELECT gift.*, purchase.state, purchase.order_id, purchase.currency, purchase.error_text"
    " FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
)


class LedgerQueries:
    """Reads what is recorded. Every method raises LedgerUnusable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- batches -------------------------------------------------------------------------------------------------

    def batch(self, environment: str, name: str) -> Batch | None:
        """Return a batch by its name."""
        rows = self._engine.select("SELECT * FROM batch WHERE environment = ? AND name = ?", environment, name)
        return read_batch(rows[0]) if rows else None

    def batch_by_id(self, batch_id: int) -> Batch:
        """Return a batch by the id of its row."""
        (row,) = self._engine.select("SELECT * FROM batch WHERE id = ?", batch_id)
        return read_batch(row)

    def batches(self, environment: str | None = None, *, oldest_first: bool = False) -> Iterator[Batch]:
        """Yield the batches of one environment or of all, newest first unless `oldest_first`."""
        order = "id ASC" if oldest_first else "id DESC"
        if environment is None:
            rows = self._engine.select(f"SELECT * FROM batch ORDER BY {order}")  # noqa: S608 - one of the two above
        else:
            rows = self._engine.select(
                f"SELECT * FROM batch WHERE environment = ? ORDER BY {order}",  # noqa: S608 - as above
                environment,
            )
        yield from map(read_batch, rows)

    def batches_with(self, environment: str, fingerprint: str) -> list[Batch]:
        """Return the batches of the same content, newest first."""
        rows = self._engine.select(
            "SELECT * FROM batch WHERE environment = ? AND fingerprint = ? ORDER BY id DESC", environment, fingerprint
        )
        return [read_batch(row) for row in rows]

    def tally(self, batch: Batch) -> Tally:
        """Count the batch's orders, items and money by state."""
        tally = Tally()
        for row in self._engine.select(
            "SELECT state, total, currency, item_count, settled_at" + _LATEST,
            batch.id,
        ):
            tally.count(State(row["state"]), Decimal(row["total"]), row["currency"], row["item_count"])
            tally.settled_at = max(filter(None, (tally.settled_at, from_timestamp(row["settled_at"]))), default=None)
        return tally

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

    def orders(self, batch: Batch, states: Iterable[State] = tuple(State)) -> Iterator[Order]:
        """Yield the batch's orders in these states by position, the latest generation of each, one at a time."""
        wanted = set(states)
        for row in self._engine.select("SELECT id, state" + _LATEST, batch.id):
            if row["state"] in wanted:
                yield self.order(row["id"])

    def last_position(self, batch: Batch) -> int:
        """Return the highest position that an order of the batch ever had; 0 where it has none."""
        (row,) = self._engine.select(
            "SELECT coalesce(max(position), 0) AS last FROM purchase WHERE batch_id = ?", batch.id
        )
        return int(row["last"])

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

    def held(self, batch: Batch) -> Iterator[Recorded]:
        """Yield the gifts of a batch whose money has moved or may have moved, sorted by identity."""
        for row in self._engine.stream(
            "SELECT gift.*, purchase.state, purchase.order_id FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            " WHERE purchase.batch_id = ? AND purchase.state NOT IN ('prepared', 'rejected') AND gift.row > 0"
            " ORDER BY gift.identity, gift.row",
            batch.id,
        ):
            yield Recorded(row["id"], row["identity"], row["row"], row["item"], State(row["state"]), row["order_id"])

    def issued_before(self, environment: str, identities: Sequence[str]) -> tuple[int, str | None]:
        """Count which of these gifts were issued from a file, or may have been.

        Returns the count and the name of the newest batch that holds one of them.
        """
        (row,) = self._engine.select(
            "SELECT count(DISTINCT gift.identity) AS found, max(batch.id) AS newest FROM gift"  # noqa: S608 - only marks
            " JOIN purchase ON purchase.id = gift.purchase_id JOIN batch ON batch.id = purchase.batch_id"
            " WHERE batch.environment = ? AND batch.source = 'file' AND purchase.state NOT IN ('prepared', 'rejected')"
            f" AND gift.identity IN ({','.join('?' * len(identities))})",
            environment,
            *identities,
        )
        newest = self.batch_by_id(row["newest"]).name if row["newest"] is not None else None
        return row["found"], newest

    def results(self, batch: Batch) -> Iterator[Result]:
        """Yield the batch's gifts in the order of their rows, with their links."""
        rows = self._engine.stream(
            f"{_RESULTS} WHERE purchase.batch_id = ? AND gift.row > 0 ORDER BY gift.row, gift.id", batch.id
        )
        return map(read_result, rows)

    def order_results(self, order: Order) -> list[Result]:
        """Return the gifts of one order in the order they were sent."""
        rows = self._engine.select(f"{_RESULTS} WHERE purchase.id = ? ORDER BY gift.slot", order.id)
        return [read_result(row) for row in rows]
