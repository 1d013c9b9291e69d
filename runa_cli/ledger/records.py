"""The records of the ledger: batches, orders, gifts and results."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from msgspec import Struct, field
from msgspec.structs import fields

from runa_cli.core import exact_json
from runa_cli.core.dialect import PLAIN, Dialect
from runa_cli.core.identity import GiftIdentity, Payee, label_text, recipient_key
from runa_cli.core.states import OUTCOME_UNKNOWN, State

_LOADS_A_CARD = '"RECIPIENT"'  # in the JSON of an item
UNMATCHED = "unmatched_items"  # the `error_type` of a completed order whose answer does not match all of its rows
NOBODY = Payee()


class Gift(NamedTuple):
    """One gift to record: its row in the input, the cells carried from there, and the JSON of its item as it is sent.

    `same_gift`, `reference_key` and `alike` are its identity (core/identity.py). `identity` is a digest of its exact
    bytes, by which older versions compared gifts.

    `payee`, `products` and `cost` are what a policy counts: who it is for, the choice of products as text, and what it
    costs in minor units of the balance that pays (the face value; None where a conversion has an unknown price).
    """

    row: int
    reference: str | None
    carried: Sequence[str]
    identity: str
    same_gift: str
    reference_key: str
    item: str
    alike: str = ""
    payee: Payee = NOBODY
    products: str = ""
    cost: int | None = None

    @property
    def recipient_key(self) -> str:
        """Whose card it loads (core/identity.py); empty for a gift that loads none."""
        if _LOADS_A_CARD not in self.item:
            return ""
        item: Any = exact_json.loads(self.item)
        return recipient_key(item)


class Recorded(NamedTuple):
    """A recorded gift whose money has moved or may have moved, with the state of its order.

    `carried` is the JSON of the list of its carried cells.
    """

    id: int
    row: int
    same_gift: str
    reference_key: str
    reference: str | None
    carried: str
    item: str
    state: State
    order_id: str | None


class Referenced(NamedTuple):
    """A recorded gift that was found by its reference, with its order and the ids of the rows of order and batch."""

    gift: Recorded
    order_row: int
    batch_id: int


class Placed(NamedTuple):
    """Where a recorded gift is in an input: its row, and what is carried with it from there."""

    id: int
    row: int
    reference: str | None
    carried: str
    same_gift: str
    reference_key: str
    alike: str


class Settled(NamedTuple):
    """A batch that has settled and is not pruned: the id of its row, its name and how many gifts it holds.

    `is_shown`: none of its links would be lost, because the result was shown since it settled, or because it has none.
    """

    batch_id: int
    name: str
    items: int
    is_shown: bool


class SameGift(NamedTuple):
    """Gifts of one batch that are the same as one that is about to be sent, all of them in one state.

    `newest_id` is the id of the latest recorded of them; `settled_at` is when the last of their orders settled.
    `reference` is that of one of them, None once it is pruned.
    """

    identity: GiftIdentity
    reference: str | None
    batch_id: int
    batch: str
    state: State
    item: str
    newest_id: int
    settled_at: datetime | None


class BatchFields(Struct, frozen=True, kw_only=True):
    """What a batch is, whether it is recorded already or not.

    `named` tells whether a person chose the name. `source` is `file` or `flags`. `shape` is the form of its results in
    JSON: `object` or `list`. `fingerprint` is equal for batches of the same content. `account` is what may be shown of
    the account that pays. `columns` are the headings of the carried cells. `dialect` is that of a CSV input, which its
    results follow. `file` is the path of the file that the gifts came from, or `stdin`; None for flags.
    `user` (of the system) and `host` tell who issued it; they are empty in a batch of an older version.
    """

    environment: str
    name: str
    named: bool
    source: str
    shape: str
    fingerprint: str
    account: str
    columns: Sequence[str]
    dialect: Dialect = PLAIN
    file: str | None = None
    user: str = ""
    host: str = ""


class NewBatch(BatchFields, frozen=True, kw_only=True):
    """A batch to record."""


class Batch(BatchFields, frozen=True, kw_only=True):
    """A recorded batch."""

    id: int
    created_at: datetime
    shown_at: datetime | None
    pruned_at: datetime | None


def body_digest(body: bytes) -> str:
    """Return the SHA-256, in hexadecimal, of the exact bytes of an order, by which a changed body is recognised."""
    return hashlib.sha256(body).hexdigest()


class OrderFields(Struct, frozen=True, kw_only=True):
    """What an order is, whether it is recorded already or not.

    `body` is final: these bytes are what is sent, each time. `generation` counts the keys under which the order was
    sent, from 0; `own_key` tells whether a person chose the key. `total` is in `currency`, that of the face values.
    `account` is what may be shown of the account that pays.
    """

    position: int
    generation: int
    idempotency_key: str
    own_key: bool
    body: bytes
    body_sha256: str
    mode: str
    currency: str
    total: str
    item_count: int
    account: str


class NewOrder(OrderFields, frozen=True, kw_only=True, dict=True):
    """An order to record, with its gifts.

    `balance` is the currency of the balance that pays, empty for that of the face values. `policy` is the digest of the
    policy that the order was checked against.
    """

    gifts: Sequence[Gift]
    balance: str = ""
    policy: str = ""

    @cached_property
    def sent_sha256(self) -> str:
        """The digest of the body."""
        return body_digest(self.body)


class AdoptedOrder(NewOrder, frozen=True, kw_only=True):
    """An order to record that was issued from another ledger. `issued` has Runa's item of each gift, None without one.

    `created` and `settled` are Runa's times.
    """

    state: State
    order_id: str
    reply: bytes
    issued: Sequence[Mapping[str, Any] | None]
    created: datetime
    settled: datetime


class Order(OrderFields, frozen=True, kw_only=True):
    """A recorded order. `body` and `reply` are the exact bytes; once pruned, `body` is empty and `reply` None.

    `sent_sha256` is the digest of `body` from when it was recorded, and empty once it is pruned. (`body_sha256` is that
    of the content, before the stamp was added.)
    """

    id: int
    batch_id: int
    state: State
    prepared_at: datetime
    first_sent_at: datetime | None
    settled_at: datetime | None
    order_id: str | None
    http_status: int | None
    request_id: str | None
    error_type: str | None
    error_text: str | None
    same_errors: int
    reply: bytes | None
    sent_sha256: str

    @property
    def is_intact(self) -> bool:
        """Whether the body is the one that was recorded."""
        return body_digest(self.body) == self.sent_sha256

    @property
    def document(self) -> dict[str, Any]:
        """The order as it is sent."""
        document = exact_json.loads(self.body)
        return document if isinstance(document, dict) else {}

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items as they are sent."""
        return list(self.document["items"])

    def as_new(self) -> NewOrder:
        """Return the same order as one to record, without its gifts."""
        content: dict[str, Any] = {shared.name: getattr(self, shared.name) for shared in fields(OrderFields)}
        return NewOrder(**content, gifts=())


class Taken(NamedTuple):
    """The positions and idempotency keys of a batch's orders that stay recorded when the batch is edited."""

    positions: Collection[int] = ()
    keys: Collection[str] = ()


NOTHING_TAKEN = Taken()


class Result(NamedTuple):
    """One row of the results: a gift and the order it is part of.

    `item_json` is the item as it was sent, `position` that of the order in its batch, `gift_id` the id of the gift's
    row. `created_at` is when the order was first sent, or where it was not (`is_sent`), when it was recorded.
    """

    row: int
    reference: str | None
    carried: tuple[str, ...]
    item_json: str
    issued: dict[str, Any] | None
    state: State
    order_id: str | None
    currency: str
    error_text: str | None
    position: int = 0
    gift_id: int = 0
    created_at: datetime | None = None
    is_sent: bool = True

    @property
    def recipient(self) -> str:
        """Who the gift is for, as it is written: the address or the label; empty once it is pruned."""
        address = (self.item.get("distribution_method") or {}).get("email_address")
        return str(address or "") or label_text(self.reference, self.carried)

    @property
    def item(self) -> dict[str, Any]:
        """The item as it was sent; empty once it is pruned."""
        item = exact_json.loads(self.item_json)
        return item if isinstance(item, dict) else {}


class Exchange(NamedTuple):
    """What the ledger keeps of one answer beside its body. `same_errors` counts equal errors in a row."""

    http_status: int | None = None
    request_id: str | None = None
    error_type: str | None = None
    error_text: str | None = None
    same_errors: int = 0


NOTHING = Exchange()


class Tally(Struct):
    """Orders, items and money (by currency of the face values) in each state, and when the last order settled.

    `by_currency` has the number of orders and of items in each currency. `never_sent` counts those of the abandoned
    orders that were given up before they were sent; None where there are none.
    """

    orders: Counter[State] = field(default_factory=Counter)
    items: Counter[State] = field(default_factory=Counter)
    money: dict[State, dict[str, Decimal]] = field(default_factory=dict)
    by_currency: dict[str, tuple[int, int]] = field(default_factory=dict)
    settled_at: datetime | None = None
    never_sent: "Tally | None" = None

    def count(self, state: State, total: Decimal, currency: str, items: int, *, orders: int = 1) -> None:
        """Count one order, or several with the same total each; `items` are those of all of them."""
        self.orders[state] += orders
        self.items[state] += items
        sums = self.money.setdefault(state, {})
        sums[currency] = sums.get(currency, Decimal(0)) + total * orders
        counted = self.by_currency.get(currency, (0, 0))
        self.by_currency[currency] = counted[0] + orders, counted[1] + items

    def add(self, other: "Tally") -> None:
        """Add the counts of other orders."""
        self.orders.update(other.orders)
        self.items.update(other.items)
        for state, sums in other.money.items():
            own = self.money.setdefault(state, {})
            for currency, amount in sums.items():
                own[currency] = own.get(currency, Decimal(0)) + amount
        for currency, (orders, items) in other.by_currency.items():
            counted = self.by_currency.get(currency, (0, 0))
            self.by_currency[currency] = counted[0] + orders, counted[1] + items
        self.settled(other.settled_at)
        if other.never_sent:
            self.count_never_sent().add(other.never_sent)

    def count_never_sent(self) -> "Tally":
        """Return what counts abandoned orders that were never sent, which are counted here too."""
        self.never_sent = self.never_sent or Tally()
        return self.never_sent

    @property
    def of_unknown_outcome(self) -> "Tally":
        """The orders of which something may have been issued: sent or accepted and not settled, or given up then."""
        unknown, unsent = Tally(), self.never_sent or Tally()
        for state in OUTCOME_UNKNOWN:
            unknown.orders[state] = self.orders[state] - unsent.orders[state]
            unknown.items[state] = self.items[state] - unsent.items[state]
            sums = {key: amount - unsent.sums([state]).get(key, 0) for key, amount in self.sums([state]).items()}
            unknown.money[state] = {key: amount for key, amount in sums.items() if amount}
        return unknown

    def settled(self, time: datetime | None) -> None:
        """Take into account when an order settled; None where it has not."""
        if time is not None and (self.settled_at is None or time > self.settled_at):
            self.settled_at = time

    def any(self, *states: State) -> bool:
        """Tell whether an order is in one of these states."""
        return any(self.orders[state] for state in states)

    def was_shown(self, batch: Batch) -> bool:
        """Tell whether the result of the batch that this counts was shown, and no order has settled since."""
        return batch.shown_at is not None and (self.settled_at is None or self.settled_at <= batch.shown_at)

    def sums(self, states: Iterable[State] = tuple(State)) -> dict[str, Decimal]:
        """Return the money in these states by currency."""
        total: dict[str, Decimal] = {}
        for state in states:
            for currency, amount in self.money.get(state, {}).items():
                total[currency] = total.get(currency, Decimal(0)) + amount
        return total
