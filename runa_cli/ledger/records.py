"""What the ledger holds, as it is passed around: batches, orders, gifts, results."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from runa_cli.core import exact_json
from runa_cli.core.states import State


@dataclass(frozen=True)
class Gift:
    """One item on its way into the ledger: its input row, what the row carried, and the item as it is sent."""

    row: int
    reference: str | None
    carried: Sequence[str]
    identity: str
    item: str


@dataclass(frozen=True)
class Recorded:
    """A gift whose money has moved or may have: where it is recorded and what became of its order."""

    id: int
    identity: str
    row: int
    item: str
    state: State
    order_id: str | None


@dataclass(frozen=True)
class NewOrder:
    """An order to record. The body is final: these bytes are what is sent, each time."""

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
    gifts: Sequence[Gift]


@dataclass(frozen=True)
class NewBatch:
    """A batch to record."""

    environment: str
    name: str
    named: bool
    source: str
    shape: str
    fingerprint: str
    account: str
    columns: Sequence[str]


@dataclass(frozen=True)
class Batch:
    """A recorded batch."""

    id: int
    environment: str
    name: str
    named: bool
    source: str
    shape: str
    fingerprint: str
    account: str
    columns: tuple[str, ...]
    created_at: datetime
    shown_at: datetime | None
    pruned_at: datetime | None


@dataclass(frozen=True)
class Order:
    """A recorded order. `body` and `reply` are the exact bytes; once pruned, `body` is empty and `reply` None."""

    id: int
    batch_id: int
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

    @property
    def document(self) -> dict[str, Any]:
        """The order as it is sent."""
        document = exact_json.loads(self.body)
        return document if isinstance(document, dict) else {}

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items as they are sent."""
        return list(self.document["items"])


@dataclass(frozen=True)
class Result:
    """One row of the results: a gift and the order it is part of."""

    row: int
    reference: str | None
    carried: tuple[str, ...]
    item: dict[str, Any]
    issued: dict[str, Any] | None
    state: State
    order_id: str | None
    currency: str
    error_text: str | None


@dataclass(frozen=True)
class Exchange:
    """What is worth keeping of one answer."""

    http_status: int | None = None
    request_id: str | None = None
    error_type: str | None = None
    error_text: str | None = None
    same_errors: int = 0


NOTHING = Exchange()


@dataclass
class Tally:
    """Orders, items and money (by currency of the face values) in each state, and when the last order settled."""

    orders: Counter[State] = field(default_factory=Counter)
    items: Counter[State] = field(default_factory=Counter)
    money: dict[State, dict[str, Decimal]] = field(default_factory=dict)
    settled_at: datetime | None = None

    def count(self, state: State, total: Decimal, currency: str, items: int) -> None:
        """Count one order."""
        self.orders[state] += 1
        self.items[state] += items
        sums = self.money.setdefault(state, {})
        sums[currency] = sums.get(currency, Decimal(0)) + total

    def any(self, *states: State) -> bool:
        """Tell whether an order is in one of these states."""
        return any(self.orders[state] for state in states)

    def sums(self, states: Iterable[State] = tuple(State)) -> dict[str, Decimal]:
        """Return the money in these states by currency."""
        total: dict[str, Decimal] = {}
        for state in states:
            for currency, amount in self.money.get(state, {}).items():
                total[currency] = total.get(currency, Decimal(0)) + amount
        return total
