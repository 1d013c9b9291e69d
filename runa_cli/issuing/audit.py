"""Compares the ledger with the orders at Runa, and changes neither.

Runa's list is read once, and has price and status of each order. Only what differs in it, or is not in one of the two,
is fetched, and read from the ledger again: an order may have settled between two looks.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from runa_cli.api import canonical, responses
from runa_cli.api.client import Client
from runa_cli.core.errors import RequestRefused, Unreachable
from runa_cli.core.states import State
from runa_cli.issuing.order_pages import Entry, order_pages, recent_pages
from runa_cli.issuing.origin import MAX_CLOCK_ERROR
from runa_cli.issuing.parallel_reads import read_each
from runa_cli.ledger.audit_queries import AuditedOrder
from runa_cli.ledger.ledger import Ledger


class Category(StrEnum):
    """What a comparison says of an order."""

    MATCHED = "matched"
    ONLY_HERE = "only_here"
    ONLY_AT_RUNA = "only_at_runa"
    AMOUNT_DIFFERS = "amount_differs"
    STATE_DIFFERS = "state_differs"
    UNKNOWN_HERE = "unknown_here"
    OTHER_KEY = "other_key"  # of an order that was sent with another key, and that this one does not show


AGREEING = frozenset({Category.MATCHED, Category.OTHER_KEY})  # those that are no differences

# The states of the ledger that agree with a status at Runa. What failed there has cost nothing.
_AGREES = {
    "COMPLETED": {State.COMPLETED},
    "PROCESSING": {State.ACCEPTED},
    "FAILED": {State.FAILED, State.REJECTED, State.ABANDONED},
}


class OrderAtRuna(Struct, frozen=True):
    """An order as Runa shows it. Of one that is processing, Runa shows neither price nor time."""

    id: str
    status: str
    price: Decimal | None = None
    currency: str = ""
    created: datetime | None = None
    stamp: str | None = None
    batch: str | None = None  # as it is stamped

    @classmethod
    def read(cls, document: Entry) -> "OrderAtRuna":
        """Read an order, or an entry of the list. Raises Unreachable."""
        try:
            order = responses.parse(responses.Order, {**document, "items": None})
        except responses.Unreadable as error:
            raise Unreachable(f"An order at Runa cannot be read: {error}.") from error
        currency = document.get("currency")
        return cls(
            order.id, order.status, order.total_price, currency if isinstance(currency, str) else "", order.created,
            order.stamp, order.batch_stamp,
        )  # fmt: skip


class Finding(Struct, frozen=True):
    """One order, and what the comparison says of it. `twin`: the recorded order that has the same stamp as another."""

    category: Category
    here: AuditedOrder | None = None
    at_runa: OrderAtRuna | None = None
    twin: AuditedOrder | None = None


class _Marks:
    """A set of row ids that takes a bit for each row of the ledger, not tens of bytes."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        """Add a number."""
        if (index := number >> 3) >= len(self._bits):
            self._bits.extend(bytes(index + 1 - len(self._bits)))
        self._bits[index] |= 1 << (number & 7)

    def __contains__(self, number: object) -> bool:
        return (
            isinstance(number, int)
            and (number >> 3) < len(self._bits)
            and bool(self._bits[number >> 3] & (1 << (number & 7)))
        )


class Audit(Struct):
    """Compares the orders of one environment from `since` until before `until`. `seconds` limits each request.

    An order at Runa is in that time by when Runa made it, any other one by when it was first sent from here. Clocks
    differ, so what is looked at is a day more on both sides: an order at an edge is never missing on one side alone.
    `tell` is told what is being done.
    """

    client: Client
    ledger: Ledger
    environment: str
    account: str
    since: datetime
    until: datetime
    seconds: float
    tell: Callable[[str], None]
    uncompared: int = 0  # matched orders of which the ledger does not know the price
    _seen: _Marks = field(default_factory=_Marks)

    def findings(self) -> Iterator[Finding]:
        """Yield what is found of each order. Raises Unreachable, CredentialRefused, RequestRefused, LedgerUnusable."""
        strange: dict[str, OrderAtRuna] = {}  # whose ids the ledger does not know
        for page in self._listed():
            yield from self._compared(page, strange)
        yield from self._identified(strange.values())
        yield from self._not_listed()

    # --- the list ------------------------------------------------------------------------------------------------

    def _listed(self) -> Iterator[list[OrderAtRuna]]:
        """Yield the orders that are not certainly too old, page by page."""
        count, oldest = 0, self.since - MAX_CLOCK_ERROR
        pages = ((page, oldest) for page, _ in order_pages(self.client, lambda: self.seconds))
        for page in recent_pages(pages):
            count += len(page)
            self.tell(f"Comparing Runa's orders: {count:,} so far.")
            yield [*map(OrderAtRuna.read, page)]

    def _compared(self, page: list[OrderAtRuna], strange: dict[str, OrderAtRuna]) -> Iterator[Finding]:
        recorded = self.ledger.audited_by_order_id(self.environment, [order.id for order in page])
        differing = []
        for order in page:
            here = recorded.get(order.id)
            if here is None:
                strange[order.id] = order
                continue
            # An order is in two pages where new ones have come between them.
            if here.id in self._seen or not self._is_in_time(order.created or here.sent_at):
                self._seen.add(here.id)
                continue
            self._seen.add(here.id)
            if category_of(here, order) in AGREEING:
                yield self._matched(here, order)
            else:
                differing.append((order.id, here))
        for order, here in self._fetched(differing):
            now = self.ledger.audited_again(here)
            category = category_of(now, order)
            yield self._matched(now, order) if category in AGREEING else Finding(category, now, order)

    def _matched(self, here: AuditedOrder, order: OrderAtRuna) -> Finding:
        if here.state is State.COMPLETED and (here.charged is None or order.price is None):
            self.uncompared += 1
        return Finding(Category.MATCHED, here, order)

    def _is_in_time(self, time: datetime) -> bool:
        return self.since <= time < self.until

    # --- what the ledger does not know by its id -------------------------------------------------------------------

    def _identified(self, strange: Iterable[OrderAtRuna]) -> Iterator[Finding]:
        """Yield what is found of orders whose ids the ledger does not know: their stamps tell whose they are."""
        near = [each for each in strange if each.created is None or each.created < self.until + MAX_CLOCK_ERROR]
        if near:
            self.tell(f"Fetching {len(near):,} orders that this ledger does not know, to see whose they are.")
        for order, _ in self._fetched((each.id, None) for each in near):
            here = self.ledger.audited_by_key(self.environment, order.stamp) if order.stamp else None
            if here is not None and here.order_id in {None, order.id}:
                self._seen.add(here.id)
                if self._is_in_time(order.created or here.sent_at):
                    yield Finding(category_of(here, order), here, order)
            elif order.created is None or self._is_in_time(order.created):
                yield Finding(Category.ONLY_AT_RUNA, None, order, twin=here)

    # --- what Runa's list does not have ----------------------------------------------------------------------------

    def _not_listed(self) -> Iterator[Finding]:
        missing: list[tuple[str, AuditedOrder]] = []
        for here in self.ledger.audited_between(self.environment, self.since, self.until, except_for=self._seen):
            if self.environment != "local" and self.account and here.account != self.account:
                yield Finding(Category.OTHER_KEY, here)
            elif here.order_id is not None:
                missing.append((here.order_id, here))
            elif here.state is not State.ABANDONED or not self._would_be_found(here):
                yield from self._unsettled(here)
        if missing:
            self.tell(f"Fetching {len(missing):,} orders that Runa's list does not have.")
        for order_id, here in missing:
            order = self._read(order_id)
            now = self.ledger.audited_again(here)
            if order is None:
                yield Finding(Category.ONLY_HERE, now)
            elif self._is_in_time(order.created or here.sent_at):
                category = category_of(now, order)
                yield self._matched(now, order) if category in AGREEING else Finding(category, now, order)

    def _unsettled(self, here: AuditedOrder) -> Iterator[Finding]:
        """Yield an order whose outcome is not known, unless it has settled since Runa's list was read."""
        now = self.ledger.audited_again(here)
        if now.state in {State.SENT, State.ABANDONED, State.FAILED}:
            yield Finding(Category.UNKNOWN_HERE, now)

    def _would_be_found(self, here: AuditedOrder) -> bool:
        """Tell whether an order would have been found by its stamp; what was pruned does not tell that any more."""
        return canonical.STAMP.encode() in self.ledger.order(here.id).body

    # --- single orders -------------------------------------------------------------------------------------------

    def _fetched(self, wanted: Iterable[tuple[str, Any]]) -> Iterator[tuple[OrderAtRuna, Any]]:
        """Yield orders as they are now, each with what came with its id, several at a time."""
        wanted = list(wanted)
        orders = read_each((order_id for order_id, _ in wanted), self._read)
        for (order_id, beside), order in zip(wanted, orders, strict=True):
            if order is None:
                raise Unreachable(
                    f"Runa lists order {order_id}, and says that there is none of that id.",
                    "Run the same command again. If it stays so, ask ordersupport@runa.io with this order id.",
                    code="list_cut",
                )
            yield order, beside

    def _read(self, order_id: str) -> OrderAtRuna | None:
        """Return an order as it is now; None where Runa itself says that there is none."""
        try:
            answer = self.client.read_order(order_id, seconds=self.seconds)
        except RequestRefused as error:
            if error.code == "not_found":
                return None
            raise
        return OrderAtRuna.read(answer.reply.document)


def category_of(here: AuditedOrder, order: OrderAtRuna) -> Category:
    """Return what the comparison of a recorded order with Runa's says."""
    if here.state not in _AGREES[order.status]:
        return Category.UNKNOWN_HERE if here.state in {State.SENT, State.ABANDONED} else Category.STATE_DIFFERS
    if here.state is State.COMPLETED and here.charged is not None and order.price is not None:
        differs = here.charged != order.price or (order.currency and here.charged_in != order.currency)
        return Category.AMOUNT_DIFFERS if differs else Category.MATCHED
    return Category.MATCHED
