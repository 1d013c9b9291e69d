"""What the ledger holds of its orders for a comparison with Runa's: short rows, a page at a time."""

from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from runa_cli.core.states import State
from runa_cli.core.units import from_units
from runa_cli.ledger.queries import LedgerQueries
from runa_cli.ledger.rows import to_timestamp

_AT_A_TIME = 500  # orders
# Never sent, or rejected by Runa itself: nothing of these is expected there.
_EXPECTED = "state IN ('sent', 'accepted', 'completed', 'failed', 'abandoned')"
_SENT = "coalesce(purchase.first_sent_at, purchase.prepared_at)"


class AuditedOrder(NamedTuple):
    """An order of the ledger. `total` is its face value in `currency`.

    `charged` is what Runa charged for it in `charged_in`; None where that is not recorded.
    """

    id: int
    batch: str
    position: int
    state: State
    order_id: str | None
    key: str
    account: str
    currency: str
    total: Decimal
    sent_at: datetime
    charged: Decimal | None
    charged_in: str


class AuditQueries(LedgerQueries):
    """Reads orders for an audit. Every method raises LedgerUnusable."""

    def first_sent(self, environment: str) -> datetime | None:
        """Return when the first order of an environment was sent; None where none was."""
        (row,) = self._engine.select(
            "SELECT min(first_sent_at) AS first FROM purchase WHERE environment = ?", environment
        )
        return datetime.fromisoformat(row["first"]) if row["first"] else None

    def audited_by_order_id(self, environment: str, order_ids: Sequence[str]) -> dict[str, AuditedOrder]:
        """Return the orders that are recorded under these ids of Runa."""
        found = self._audited(f"purchase.order_id IN ({','.join('?' * len(order_ids))})", environment, order_ids)
        return {order.order_id or "": order for order in found}

    def audited_by_key(self, environment: str, key: str) -> AuditedOrder | None:
        """Return the order that is recorded under an idempotency key."""
        order = self.order_by_key(environment, key)
        return None if order is None else next(self._audited("purchase.id = ?", environment, [order.id]), None)

    def audited_again(self, order: AuditedOrder) -> AuditedOrder:
        """Return an order as it is recorded now."""
        rows = self._engine.select("SELECT environment FROM purchase WHERE id = ?", order.id)
        return next(self._audited("purchase.id = ?", rows[0]["environment"], [order.id]))

    def audited_between(
        self, environment: str, since: datetime, until: datetime, *, except_for: Container[int]
    ) -> Iterator[AuditedOrder]:
        """Yield the orders that may be at Runa and were first sent within a time, except for the marked ones."""
        last = 0
        while rows := self._engine.select(
            f"SELECT id FROM purchase WHERE environment = ? AND id > ? AND {_EXPECTED}"  # noqa: S608 - own text
            f" AND first_sent_at >= ? AND first_sent_at < ? ORDER BY id LIMIT {_AT_A_TIME}",
            environment,
            last,
            to_timestamp(since),
            to_timestamp(until),
        ):
            last = rows[-1]["id"]
            if wanted := [row["id"] for row in rows if row["id"] not in except_for]:
                yield from self._audited(f"purchase.id IN ({','.join('?' * len(wanted))})", environment, wanted)

    def _audited(self, condition: str, environment: str, values: Sequence[object]) -> Iterator[AuditedOrder]:
        if not values:
            return
        rows = self._engine.select(
            "SELECT purchase.id, batch.name, position, state, order_id, idempotency_key, purchase.account, currency,"  # noqa: S608 - own text
            f" total, {_SENT} AS sent_at FROM purchase JOIN batch ON batch.id = purchase.batch_id WHERE {condition}"
            " AND purchase.environment || '' = ? ORDER BY purchase.id",
            *values,
            environment,
        )
        charges = self._charges([row["id"] for row in rows])
        for row in rows:
            charged, charged_in = charges.get(row["id"], (None, row["currency"]))
            yield AuditedOrder(
                id=row["id"],
                batch=row["name"],
                position=row["position"],
                state=State(row["state"]),
                order_id=row["order_id"],
                key=row["idempotency_key"],
                account=row["account"],
                currency=row["currency"],
                total=Decimal(row["total"]),
                sent_at=datetime.fromisoformat(row["sent_at"]),
                charged=charged,
                charged_in=charged_in,
            )

    def _charges(self, order_rows: Sequence[int]) -> dict[int, tuple[Decimal | None, str]]:
        """Return what Runa charged for completed orders, and in which currency, by the ids of their rows."""
        if not order_rows:
            return {}
        rows = self._engine.select(
            "SELECT gift.purchase_id, sum(charged) AS charged, count(*) AS gifts, count(charged) AS priced,"  # noqa: S608 - only marks
            " max(spent_term.text) AS currency FROM gift JOIN spent ON spent.gift_id = gift.id"
            " JOIN spent_term ON spent_term.id = spent.charged_in"
            f" WHERE gift.purchase_id IN ({','.join('?' * len(order_rows))}) GROUP BY gift.purchase_id",
            *order_rows,
        )
        return {
            row["purchase_id"]: (
                from_units(int(row["charged"])) if row["gifts"] == row["priced"] else None,
                row["currency"],
            )
            for row in rows
        }
