"""What is reserved of the money: written with each order, and read by limits and by whoever asks how much is spent.

Each order has a row in `reserved` for each choice of products among its gifts. It is `held` from the moment when the
order is recorded until the order is rejected, failed or abandoned; a trigger on the state of the order sees to that, so
that no change of state can forget it. Amounts are in minor units of the balance that pays.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

from runa_cli.core import exact_json
from runa_cli.core.money import to_minor
from runa_cli.core.states import State
from runa_cli.ledger.engine import Engine, Transaction
from runa_cli.ledger.queries import IN_ENVIRONMENT, NOTHING_MADE, RESULTS, UNFINISHED
from runa_cli.ledger.records import AdoptedOrder, NewOrder, Order, Result
from runa_cli.ledger.rows import read_result, storable, to_timestamp

RELEASED = (State.REJECTED, State.FAILED, State.ABANDONED)
PayeeKind = Literal["email", "reference"]
_PAYEES: Mapping[PayeeKind, str] = {"email": "payee", "reference": "payee_reference"}
_AT_ONCE = 400  # parameters of a statement


class Share(NamedTuple):
    """So much money (minor units) on one choice of products, from the balance of one currency."""

    currency: str
    products: str
    amount: int


class Left(NamedTuple):
    """Orders that do not count: those that nothing was made of in one batch, or a single order; 0 for none."""

    batch: int = 0
    order: int = 0


NOTHING_LEFT_OUT = Left()
_LEFT_OUT = f"((purchase.batch_id = ? AND {NOTHING_MADE}) OR purchase.id = ?)"


class Reservation(NamedTuple):
    """When an order's money was reserved, and the digest of the policy that it was checked against."""

    time: str
    policy: str


# --- writing ---------------------------------------------------------------------------------------------------------


def reserve(transaction: Transaction, order_row: int, environment: str, order: NewOrder, now: datetime) -> None:
    """Reserve the money of a new order: from now on, or from when it was created at Runa."""
    time, held = now, True
    if isinstance(order, AdoptedOrder):
        time, held = order.created, order.state not in RELEASED
    shares: dict[str, tuple[int, int]] = {}
    for gift in order.gifts:
        amount, gifts = shares.get(gift.products, (0, 0))
        shares[gift.products] = amount + (gift.cost or 0), gifts + 1
    currency = order.balance or order.currency
    for products, (amount, gifts) in shares.items():
        transaction.insert(
            "INSERT INTO reserved (purchase_id, environment, currency, products, amount, gifts, reserved_at, held,"
            " policy) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(order_row, environment, currency, products, amount, gifts, to_timestamp(time), int(held), order.policy),
        )


def reserve_again(transaction: Transaction, old: int, new: int, policy: str, now: datetime) -> None:
    """Reserve the money of the next generation of an order."""
    transaction.execute(
        "INSERT INTO reserved (purchase_id, environment, currency, products, amount, gifts, reserved_at, held, policy)"
        " SELECT ?, environment, currency, products, amount, gifts, ?, 1, ? FROM reserved WHERE purchase_id = ?",
        new,
        to_timestamp(now),
        policy,
        old,
    )


def move_to_now(transaction: Transaction, order_row: int, policy: str, now: datetime) -> None:
    """Count an order in the windows of this moment, when it is first sent."""
    transaction.execute(
        "UPDATE reserved SET reserved_at = ?, policy = ? WHERE purchase_id = ?", to_timestamp(now), policy, order_row
    )


def correct_conversion(transaction: Transaction, order: Order, reply: bytes) -> None:
    """Count what Runa charged for a gift that it converted, as soon as that is known."""
    if order.item_count != 1:  # it converts only single items
        return
    document = _loaded(reply)
    items, billing = document.get("items"), document.get("currency")
    item = items[0] if isinstance(items, list) and items else None
    payout = item.get("currency") if isinstance(item, dict) else None
    if not isinstance(billing, str) or payout in {None, billing}:
        return
    amount = converted_price(document, billing)
    if amount is not None:
        transaction.execute(
            "UPDATE reserved SET currency = ?, amount = ? WHERE purchase_id = ?", storable(billing), amount, order.id
        )
        transaction.execute("UPDATE gift SET cost = ? WHERE purchase_id = ?", amount, order.id)


def price_in(reply: bytes, currency: str) -> int | None:
    """Return what an order costs (minor units) as Runa's reply has it; None where it has nothing in that currency."""
    return converted_price(_loaded(reply), currency)


def _loaded(reply: bytes) -> Mapping[str, Any]:
    try:
        document = exact_json.loads(reply)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def converted_price(document: Mapping[str, object], currency: str) -> int | None:
    """Return what an order or estimate of Runa's costs (minor units), without regard to discounts.

    As everywhere, what counts is the value that is given away, and the fee of the conversion with it. None where it has
    nothing in that currency.
    """
    price, discount = document.get("total_price"), document.get("total_discount") or "0"
    if document.get("currency") != currency or not isinstance(price, (str, Decimal)):
        return None
    try:
        return to_minor(Decimal(price) + Decimal(str(discount)), currency)
    except InvalidOperation:
        return None


# --- reading ---------------------------------------------------------------------------------------------------------


class SpendingQueries:
    """Reads what is reserved. `since` is the start of a window, None for all time. Every method raises LedgerUnusable.

    What is dated later than now counts as well: a clock was set back since.
    """

    _engine: Engine

    def spent(
        self,
        environment: str,
        currency: str,
        since: datetime | None,
        left_out: Left = NOTHING_LEFT_OUT,
        *,
        by_products: bool = True,
    ) -> list[Share]:
        """Return what is held from a balance, by choice of products or all of it together (which is faster)."""
        start = _start(since)
        what, group = ("products", " GROUP BY products") if by_products else ("'' AS products", "")
        rows = self._engine.select(
            f"SELECT {what}, coalesce(sum(amount), 0) AS amount FROM reserved"  # noqa: S608 - own text
            f" WHERE environment = ? AND currency = ? AND held = 1 AND reserved_at >= ?{group}",
            environment,
            currency,
            start,
        )
        sums = {row["products"]: int(row["amount"]) for row in rows}
        for time, share in self._left_out(left_out):
            if share.currency == currency and time >= start:
                products = share.products if by_products else ""
                sums[products] = sums.get(products, 0) - share.amount
        return [Share(currency, products, amount) for products, amount in sums.items()]

    def _left_out(self, left_out: Left) -> Iterator[tuple[str, Share]]:
        """Yield what is held for orders that do not count, with its time."""
        if left_out == NOTHING_LEFT_OUT:
            return
        for condition, value in (
            ("purchase.batch_id = ? AND " + NOTHING_MADE, left_out.batch),
            ("purchase.id = ?", left_out.order),
        ):
            if value:
                for row in self._engine.select(
                    "SELECT reserved.currency, products, amount, reserved_at FROM purchase JOIN reserved"  # noqa: S608 - own text
                    f" ON reserved.purchase_id = purchase.id WHERE {condition} AND held = 1",
                    value,
                ):
                    yield row["reserved_at"], Share(row["currency"], row["products"], int(row["amount"]))

    def spent_in_batch(self, batch_id: int, left_out: Left = NOTHING_LEFT_OUT) -> list[Share]:
        """Return what is held for a batch."""
        rows = self._engine.select(
            "SELECT reserved.currency, products, sum(amount) AS amount FROM purchase JOIN reserved"  # noqa: S608 - own text
            f" ON reserved.purchase_id = purchase.id WHERE purchase.batch_id = ? AND held = 1 AND NOT {_LEFT_OUT}"
            " GROUP BY reserved.currency, products",
            batch_id,
            left_out.batch,
            left_out.order,
        )
        return [Share(row["currency"], row["products"], int(row["amount"])) for row in rows]

    def spent_for(
        self,
        kind: PayeeKind,
        payees: Sequence[str],
        *,
        environment: str,
        currency: str,
        since: datetime | None,
        left_out: Left = NOTHING_LEFT_OUT,
        batch_id: int = 0,
        unfinished: bool = False,
    ) -> dict[str, list[Share]]:
        """Return what is held for each of these recipients, of whom there are at most 400.

        `batch_id`: only in that batch; `unfinished`: only of orders that have not settled.
        """
        column = _PAYEES[kind]
        only = (f" AND {UNFINISHED}" if unfinished else "") + (" AND purchase.batch_id = ?" if batch_id else "")
        rows = self._engine.select(
            f"SELECT gift.{column} AS payee, gift.products, sum(gift.cost) AS amount FROM gift"  # noqa: S608 - only marks
            " JOIN reserved ON reserved.purchase_id = gift.purchase_id AND reserved.products = gift.products"
            " JOIN purchase ON purchase.id = gift.purchase_id"
            f" WHERE gift.{column} IN ({','.join('?' * len(payees))}) AND held = 1"
            # Written so that no index is used for it: the recipients are few, and the environment is not.
            " AND reserved.environment || '' = ? AND reserved.currency = ? AND reserved.reserved_at || '' >= ?"
            f" AND NOT {_LEFT_OUT}{only} GROUP BY gift.{column}, gift.products",
            *payees,
            environment,
            currency,
            _start(since),
            left_out.batch,
            left_out.order,
            *([batch_id] if batch_id else []),
        )
        found: dict[str, list[Share]] = {}
        for row in rows:
            found.setdefault(row["payee"], []).append(Share(currency, row["products"], int(row["amount"] or 0)))
        return found

    def reservation(self, order: Order) -> Reservation:
        """Return when the money of an order was reserved."""
        rows = self._engine.select("SELECT reserved_at, policy FROM reserved WHERE purchase_id = ? LIMIT 1", order.id)
        return Reservation(rows[0]["reserved_at"], rows[0]["policy"]) if rows else Reservation("", "")

    # --- one order -----------------------------------------------------------------------------------------------

    def shares(self, order_row: int) -> list[Share]:
        """Return what an order costs, whether it is held or not."""
        rows = self._engine.select("SELECT currency, products, amount FROM reserved WHERE purchase_id = ?", order_row)
        return [Share(row["currency"], row["products"], int(row["amount"])) for row in rows]

    def payee_shares(self, order_row: int, kind: PayeeKind) -> dict[str, list[Share]]:
        """Return what of an order is for each recipient."""
        column, found = _PAYEES[kind], dict[str, list[Share]]()
        for row in self._engine.select(
            f"SELECT coalesce(gift.{column}, '') AS payee, reserved.currency, gift.products,"  # noqa: S608 - own text
            " sum(gift.cost) AS amount FROM gift JOIN reserved ON reserved.purchase_id = gift.purchase_id"
            " AND reserved.products = gift.products WHERE gift.purchase_id = ?"
            f" GROUP BY gift.{column}, reserved.currency, gift.products",
            order_row,
        ):
            share = Share(row["currency"], row["products"], int(row["amount"] or 0))
            found.setdefault(row["payee"], []).append(share)
        return found

    def products(self, order_row: int) -> list[str]:
        """Return the choice of products of each gift of an order, in the order they are sent."""
        rows = self._engine.select("SELECT products FROM gift WHERE purchase_id = ? ORDER BY slot", order_row)
        return [row["products"] for row in rows]

    def gifts_for(self, order_row: int, kind: PayeeKind, payee: str) -> list[Result]:
        """Return the gifts of an order that are for one recipient."""
        rows = self._engine.select(
            f"{RESULTS} WHERE purchase.id = ? AND coalesce(gift.{_PAYEES[kind]}, '') = ? ORDER BY gift.slot",
            order_row,
            payee,
        )
        return [read_result(row) for row in rows]

    def has_unknown_cost(self, order_row: int) -> bool:
        """Tell whether it is not known what a gift of an order costs."""
        return bool(
            self._engine.select(
                "SELECT id FROM gift WHERE purchase_id = ? AND cost IS NULL AND item != '{}'", order_row
            )
        )

    def shared_time(self, own: datetime) -> datetime:
        """Return the time that windows go by; `own` is that of this machine."""
        return self._engine.now(own)

    def stored_policy(self) -> str | None:
        """Return the text of the policy that is stored in the ledger; None where there is none."""
        rows = self._engine.select("SELECT text FROM policy WHERE id = 1")
        return str(rows[0]["text"]) if rows else None

    # --- for people ----------------------------------------------------------------------------------------------

    def unsettled(self, environment: str) -> list[tuple[str, Share]]:
        """Return what is held for orders that have not settled, each with when it was reserved."""
        rows = self._engine.select(
            "SELECT reserved.currency, products, amount, reserved_at"  # noqa: S608 - own text
            # A cross join, which SQLite begins with its left side: there are few unfinished orders.
            " FROM purchase CROSS JOIN reserved WHERE reserved.purchase_id = purchase.id"
            f" AND {UNFINISHED} AND held = 1 AND {IN_ENVIRONMENT}",
            environment,
        )
        return [(row["reserved_at"], Share(row["currency"], row["products"], int(row["amount"]))) for row in rows]

    def given_up(self, environment: str, currency: str, since: datetime | None) -> int:
        """Return how much was sent with unknown outcome and abandoned: it is not held, and may have been issued."""
        (row,) = self._engine.select(
            "SELECT coalesce(sum(amount), 0) AS amount FROM reserved JOIN purchase ON purchase.id = purchase_id"
            " WHERE reserved.environment = ? AND reserved.currency = ? AND held = 0 AND reserved_at >= ?"
            " AND state = 'abandoned' AND first_sent_at IS NOT NULL",
            environment,
            currency,
            _start(since),
        )
        return int(row["amount"])

    def highest(
        self,
        kind: PayeeKind,
        *,
        environment: str,
        currency: str,
        since: datetime | None,
        products: Sequence[str] | None,
        most: int,
    ) -> list[tuple[str, int]]:
        """Return for whom most is held, each with the id of a gift; `products`: only of these choices of products."""
        column = _PAYEES[kind]
        only = "" if products is None else f" AND reserved.products IN ({','.join('?' * len(products))})"
        rows = self._engine.select(
            f"SELECT gift.{column} AS payee, max(gift.id) AS gift_id FROM reserved JOIN gift"  # noqa: S608 - only marks
            " ON gift.purchase_id = reserved.purchase_id AND gift.products = reserved.products"
            " WHERE reserved.environment = ? AND reserved.currency = ? AND held = 1 AND reserved_at >= ?"
            f"{only} AND gift.{column} IS NOT NULL GROUP BY gift.{column} ORDER BY sum(gift.cost) DESC, 1 LIMIT ?",
            environment,
            currency,
            _start(since),
            *(products or ()),
            most,
        )
        return [(row["payee"], int(row["gift_id"])) for row in rows]


def _start(since: datetime | None) -> str:
    return "" if since is None else to_timestamp(since)
