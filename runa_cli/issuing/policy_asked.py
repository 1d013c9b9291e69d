"""What is about to be spent, as limits look at it: in all, order by order, recipient by recipient, gift by gift."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from runa_cli.core import exact_json
from runa_cli.core.identity import GiftIdentity, label_text
from runa_cli.core.states import State
from runa_cli.input.plan import Plan
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch
from runa_cli.ledger.spending import PayeeKind, Share


class AskedGift(NamedTuple):
    """One gift that is about to be spent: its row, its item, and the currency of the balance that pays."""

    row: int
    item: dict[str, Any]
    products: str
    currency: str


class Recipient(NamedTuple):
    """Who a payee is: the address or label as it is written, and the rows and identities of the gifts."""

    name: str
    rows: Sequence[int]
    gifts: Sequence[GiftIdentity]


class Asked(Protocol):
    """What is about to be spent."""

    def totals(self) -> list[Share]:
        """Return all of it by balance and choice of products."""

    def payees(self, kind: PayeeKind) -> Iterator[tuple[str, list[Share]]]:
        """Yield each recipient with what is for them."""

    def orders(self) -> Iterator[list[Share]]:
        """Yield what each order costs."""

    def payees_by_order(self, kind: PayeeKind) -> Iterator[tuple[str, list[Share]]]:
        """Yield each recipient of each order with what of the order is for them."""

    def gifts(self) -> Iterator[AskedGift]:
        """Yield each gift."""

    def recipient(self, kind: PayeeKind, payee: str) -> Recipient:
        """Return who a payee is."""

    @property
    def has_unknown_prices(self) -> bool:
        """Whether a gift is converted, and nobody knows yet what that costs."""


class PlanAsked(Struct, frozen=True):
    """What is left of a plan."""

    plan: Plan

    def totals(self) -> list[Share]:
        """Return all of it by balance and choice of products."""
        return [Share(*values) for values in self.plan.costs_left()]

    def payees(self, kind: PayeeKind) -> Iterator[tuple[str, list[Share]]]:
        """Yield each recipient with what is for them."""
        return _grouped(self.plan.payees_left(kind))

    def orders(self) -> Iterator[list[Share]]:
        """Yield what each order costs."""
        for order in self.plan.orders():
            paying = order.head.payment_method.currency
            yield _added(Share(paying, gift.products, gift.cost or 0) for gift in order.gifts)

    def payees_by_order(self, kind: PayeeKind) -> Iterator[tuple[str, list[Share]]]:
        """Yield each recipient of each order with what of the order is for them."""
        for order in self.plan.orders():
            paying, by_payee = order.head.payment_method.currency, dict[str, list[Share]]()
            for gift in order.gifts:
                payee = gift.payee.by_email if kind == "email" else gift.payee.by_reference
                by_payee.setdefault(payee, []).append(Share(paying, gift.products, gift.cost or 0))
            yield from ((payee, _added(shares)) for payee, shares in by_payee.items())

    def gifts(self) -> Iterator[AskedGift]:
        """Yield each gift."""
        for head, gifts in self.plan.heads():
            for each in gifts:
                yield AskedGift(each.gift.row, _item(each.gift.item), each.gift.products, head.payment_method.currency)

    def recipient(self, kind: PayeeKind, payee: str) -> Recipient:
        """Return who a payee is."""
        found = self.plan.gifts_for(kind, payee)
        name = _name(found[0].item, found[0].reference, found[0].carried) if payee and found else ""
        return Recipient(name, [gift.row for gift in found], [gift.identity for gift in found])

    @property
    def has_unknown_prices(self) -> bool:
        """Whether a gift is converted, and nobody knows yet what that costs."""
        return self.plan.has_unknown_costs


class RecordedAsked(Struct, frozen=True):
    """Recorded orders that were never sent, or were rejected and come again, by the ids of their rows."""

    ledger: Ledger
    order_rows: Sequence[int]

    def totals(self) -> list[Share]:
        """Return all of it by balance and choice of products."""
        return _added(share for shares in self.orders() for share in shares)

    def payees(self, kind: PayeeKind) -> Iterator[tuple[str, list[Share]]]:
        """Yield each recipient with what is for them."""
        by_payee: dict[str, list[Share]] = {}
        for payee, shares in self.payees_by_order(kind):
            by_payee.setdefault(payee, []).extend(shares)
        return ((payee, _added(shares)) for payee, shares in by_payee.items())

    def orders(self) -> Iterator[list[Share]]:
        """Yield what each order costs."""
        for row in self.order_rows:
            yield self.ledger.shares(row)

    def payees_by_order(self, kind: PayeeKind) -> Iterator[tuple[str, list[Share]]]:
        """Yield each recipient of each order with what of the order is for them."""
        for row in self.order_rows:
            yield from self.ledger.payee_shares(row, kind).items()

    def gifts(self) -> Iterator[AskedGift]:
        """Yield each gift."""
        for row in self.order_rows:
            order = self.ledger.order(row)
            paying = str(order.document.get("payment_method", {}).get("currency") or order.currency)
            for result, products in zip(self.ledger.order_results(order), self.ledger.products(row), strict=True):
                yield AskedGift(result.row, result.item, products, paying)

    def recipient(self, kind: PayeeKind, payee: str) -> Recipient:
        """Return who a payee is."""
        rows, name = [], ""
        for order_row in self.order_rows:
            for gift in self.ledger.gifts_for(order_row, kind, payee):
                rows.append(gift.row)
                name = name or (gift.recipient if payee else "")
        return Recipient(name, rows, [])

    @property
    def has_unknown_prices(self) -> bool:
        """Whether a gift is converted, and nobody knows yet what that costs."""
        return any(self.ledger.has_unknown_cost(row) for row in self.order_rows)


def to_be_sent(ledger: Ledger, batch: Batch, *, renewed: bool) -> RecordedAsked:
    """Return the orders of a batch that were never sent; `renewed`: and the rejected ones, which come again."""
    orders = ledger.orders(batch, [State.PREPARED, State.REJECTED] if renewed else [State.PREPARED])
    return RecordedAsked(
        ledger,
        [
            order.id
            for order in orders
            if order.first_sent_at is None or (order.state is State.REJECTED and not order.own_key)
        ],
    )


def _grouped(found: Iterator[tuple[str, str, str, int]]) -> Iterator[tuple[str, list[Share]]]:
    """Yield the shares of each payee of rows that come sorted by payee."""
    current, shares = None, list[Share]()
    for payee, currency, products, amount in found:
        if payee != current and current is not None:
            yield current, shares
            shares = []
        current = payee
        shares.append(Share(currency, products, amount))
    if current is not None:
        yield current, shares


def _added(shares: Iterable[Share]) -> list[Share]:
    sums: dict[tuple[str, str], int] = {}
    for currency, products, amount in shares:
        sums[currency, products] = sums.get((currency, products), 0) + amount
    return [Share(*key, amount) for key, amount in sums.items()]


def _item(text: str) -> dict[str, Any]:
    item = exact_json.loads(text)
    return item if isinstance(item, dict) else {}


def _name(item: str, reference: str | None, carried: Sequence[str]) -> str:
    method = _item(item).get("distribution_method") or {}
    return str(method.get("email_address") or "") or label_text(reference, carried)


def chunks(found: Iterator[tuple[str, list[Share]]], most: int = 400) -> Iterator[dict[str, list[Share]]]:
    """Yield recipients in portions of which the ledger can be asked at once."""
    while chunk := dict(islice(found, most)):
        yield chunk
