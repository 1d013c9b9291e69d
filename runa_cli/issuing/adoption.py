"""Adopts the orders of a batch that was issued elsewhere: records them here as Runa shows them.

A name that is new to a ledger may not be new to Runa: another machine, a lost ledger, an older copy. Once its orders
are recorded, the input is compared with them as with any batch of this ledger, and only what is missing is issued.

Runa knows no labels. A payout link gets a label only where its order proves it: it is stamped with the digest of the
labels, and rows of this input that follow one another have the same ones (`labelled_runs.py`).
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import count
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from runa_cli.api import binding, canonical, responses
from runa_cli.api.client import Client
from runa_cli.core import exact_json
from runa_cli.core.clock import Clock
from runa_cli.core.errors import Context, GuardRefused, RunaError, Unreachable
from runa_cli.core.identity import fingerprint, name_key, same_name
from runa_cli.core.money import format_gifts
from runa_cli.core.states import COSTING, State
from runa_cli.input.plan import Plan, is_link
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.adopted_orders import as_planned, as_shown
from runa_cli.issuing.batch_lookup import BatchLookup, FoundOrder
from runa_cli.issuing.issued_since import days_since, not_looked_through, was_sent_from_here
from runa_cli.issuing.labelled_runs import labelled_runs
from runa_cli.issuing.new_orders import carried_under, columns_with, new_batch
from runa_cli.issuing.terms import Say
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import NOTHING_TAKEN, AdoptedOrder, Batch, NewBatch, Recorded, Taken

_NO_ROW = 1 << 62  # a gift that is not recorded has a number above it, for no ledger has so many rows
GENERATIONS = 10  # keys that are recognised of one order: each rejection by Runa takes the next


def look_for_batch(
    client: Client,
    plan: Plan,
    request: CreateRequest,
    ledger: Ledger | None,
    *,
    recorded: Batch | None = None,
    seconds: float,
    say: Say,
    clock: Clock,
) -> "Adoption | None":
    """Return the orders at Runa of a batch whose name is new to the ledger; None where there are none.

    `recorded` is the batch where the name is not new: then only the orders are returned that it does not have. What
    became of those that it has sent, their own keys tell. Nothing may be left out of the plan.

    None as well where the batch has no name, or the look-up is not wanted. Raises GuardRefused where they cannot be
    adopted, and the error of a request that Runa did not answer.
    """
    if request.batch is None or not request.look_back:
        return None

    def is_known(order_id: str) -> bool:
        return ledger is not None and ledger.has_order(request.environment, order_id)

    name = recorded.name if recorded else request.batch
    own_orders = OwnOrders(plan, request, name)
    days = days_since(recorded, request.look_back, clock) if recorded else request.look_back
    lookup = BatchLookup(client, name, days, seconds, is_known, say, clock)
    try:
        found = lookup.find(own_orders.has_made)
    except RunaError as error:
        raise not_looked_through(name, error, is_new=recorded is None) from error
    if ledger and recorded:
        found = [order for order in found if not was_sent_from_here(ledger, recorded, order)]
    if not found:
        return None
    taken = ledger.taken(recorded) if ledger and recorded else NOTHING_TAKEN
    adoption = Adoption(name, _with_distinct_keys(found), plan, request, own_orders, recorded, taken)
    adoption.check(ledger)
    return adoption


class _Slot(NamedTuple):
    """Where an order of the plan stands while nothing is left out of it: its position, and the generation of a key."""

    position: int
    generation: int


class OwnOrders(Struct, frozen=True, dict=True):
    """The orders that the plan makes under a name, by their keys.

    `others` is how many orders the batch had before, at most: those of a plan by reference follow them.
    """

    plan: Plan
    request: CreateRequest
    name: str
    others: int = 0

    def has_made(self, order: responses.Order) -> bool:
        """Tell whether an order is one of the batch. A name that differs in case alone counts.

        Versions that did not stamp the name are recognised by their keys.
        """
        if order.batch_stamp is not None:
            return name_key(order.batch_stamp) == name_key(self.name)
        return order.stamp in self.slots

    @cached_property
    def slots(self) -> dict[str | None, _Slot]:
        """The place of each key that an order of the plan may have."""
        own_key = self.request.idempotency_key
        if own_key is not None:
            return {own_key: _Slot(1, 0)}
        return {
            canonical.derive_key(
                self.request.environment, self.name, others + order.position, generation, sha256
            ): _Slot(order.position, generation)
            for order in self.plan.orders()
            for sha256 in [order.body_sha256]
            for others in range(self.others + 1)
            for generation in range(GENERATIONS)
        }


class Adoption(Struct):
    """The orders of a batch that were issued elsewhere.

    `into` is the batch where it is recorded already, and `occupied` are the positions of its orders. `taken` are the
    positions and keys of the found orders, `gifts` counts their gifts by state.
    """

    name: str
    found: Sequence[FoundOrder]
    plan: Plan
    request: CreateRequest
    own_orders: OwnOrders
    into: Batch | None = None
    occupied: Taken = NOTHING_TAKEN
    taken: Taken = NOTHING_TAKEN
    gifts: Counter[State] = field(default_factory=Counter)

    def check(self, ledger: Ledger | None) -> None:
        """Check that the orders can be adopted. Raises GuardRefused, or Unreachable where links are missing yet."""
        for found in self.found:
            self._check_names(found, ledger)
        positions, keys = set[int](), set[str]()
        for order in self.orders():
            self._check_links(order)
            positions.add(order.position)
            keys.add(order.idempotency_key)
            self.gifts[order.state] += order.item_count
        self.taken = Taken(positions, keys)

    @property
    def columns(self) -> Sequence[str]:
        """The headings of the carried cells of the gifts."""
        if self.into is None:
            return self.plan.columns
        return columns_with(self.into.columns, self.plan.columns)

    def orders(self) -> Iterator[AdoptedOrder]:
        """Yield the orders to record: those of gifts of this plan with these gifts, the others as Runa shows them.

        Nothing may be left out of the plan yet.
        """
        if self.into is None:
            yield from self._orders()
            return
        free = (position for position in count(1) if position not in self.occupied.positions)
        for order in self._orders():
            moved = carried_under(self.columns, self.plan.columns, order)
            yield replace(moved, position=next(free), generation=0)

    def _orders(self) -> Iterator[AdoptedOrder]:
        own = {
            self.own_orders.slots[order.stamp].position: order
            for order in self.found
            if order.stamp in self.own_orders.slots
        }
        adopted: set[str] = set()
        last = max(own, default=0)
        for planned in self.plan.orders():
            if (order := own.get(planned.position)) and (own_order := as_planned(order, planned, self.request)):
                adopted.add(order.id)
                slot = self.own_orders.slots[order.stamp]
                yield replace(own_order, position=slot.position, generation=slot.generation)
        for position, other in enumerate(self._others(adopted), last + 1):
            yield replace(other, position=position)

    def _others(self, adopted: set[str]) -> Iterator[AdoptedOrder]:
        """Yield the orders that this plan does not make: with its gifts where their labels prove it, or as shown."""
        others = [order for order in self.found if order.id not in adopted]
        for order, planned in labelled_runs(self.plan, self.request, self.name, others):
            if labelled := as_planned(order, planned, self.request):
                adopted.add(order.id)
                yield labelled
        own_key = self.request.idempotency_key is not None
        yield from (
            as_shown(order, self.request.account, own_key=own_key) for order in self.found if order.id not in adopted
        )

    def batch(self) -> NewBatch:
        """Return the batch to record with these orders."""
        identities = sorted((gift.same_gift, gift.reference_key) for order in self.orders() for gift in order.gifts)
        return replace(new_batch(self.plan, self.request, self.name), fingerprint=fingerprint(identities))

    def recorded(self) -> Iterator[Recorded]:
        """Yield the gifts of the orders as the ledger would hold them, for a run that records nothing."""
        number = _NO_ROW
        for order in self.orders():
            for gift in order.gifts:
                number += 1
                yield Recorded(
                    id=number,
                    row=gift.row,
                    same_gift=gift.same_gift,
                    reference_key=gift.reference_key,
                    reference=gift.reference,
                    carried=exact_json.dumps(list(gift.carried)),
                    item=gift.item,
                    state=order.state,
                    order_id=order.order_id,
                )

    @property
    def sums(self) -> dict[str, Decimal]:
        """What the orders cost, by currency."""
        sums: dict[str, Decimal] = {}
        for order in self.orders():
            if order.state in COSTING:
                sums[order.currency] = sums.get(order.currency, Decimal(0)) + Decimal(order.total)
        return sums

    @property
    def sentence(self) -> str:
        """What is said about it."""
        issued, failed = self.gifts[State.COMPLETED], self.gifts[State.FAILED]
        batch = f"Batch {self.name}" if self.into is None else f"More of batch {self.name}"
        ids = ", ".join(order.id for order in self.found[:3]) + (", …" if len(self.found) > 3 else "")
        also = f", and {format_gifts(failed)} FAILED" if failed else ""
        return f"{batch} was issued elsewhere, from another ledger: {format_gifts(issued)}{also}, in {ids}."

    # --- what cannot be adopted ----------------------------------------------------------------------------------

    def _check_names(self, order: FoundOrder, ledger: Ledger | None) -> None:
        if order.batch_stamp is not None and not same_name(order.batch_stamp, self.name):
            raise GuardRefused(
                f"There is a batch {order.batch_stamp} at Runa, which differs from {self.name} only in case."
                " Nothing was sent.",
                f"Write --batch {shlex.quote(order.batch_stamp)} if that is meant, or choose another name.",
                Context(batch=self.name, order_id=order.id),
                code="name_differs_in_case",
            )
        if self.request.idempotency_key not in {None, order.stamp}:
            raise GuardRefused(
                f"Batch {self.name} was issued elsewhere as order {order.id}, under another key. Nothing was sent.",
                "Leave --idempotency-key out to show it, or choose another name.",
                Context(batch=self.name, order_id=order.id),
                code="key_reused",
            )
        known = ledger.order_by_key(self.request.environment, order.stamp) if ledger and order.stamp else None
        other = ledger.batch_by_id(known.batch_id).name if ledger and known else self.name
        if not same_name(other, self.name):  # else another process has recorded the batch meanwhile
            raise GuardRefused(
                f"Order {order.id} at Runa belongs to batch {self.name}, and its key is recorded here in batch {other}."
                " Nothing was sent.",
                f"`runa batch show {shlex.quote(other)}` shows that one. For other gifts choose another name.",
                Context(batch=other, order_id=order.id),
                code="duplicate",
            )

    def _check_links(self, order: AdoptedOrder) -> None:
        """Check that the order has its links, and that it is certain beside which label each of them belongs."""
        if order.state is State.COMPLETED and not binding.has_links(responses.read_order(order.reply)):
            raise Unreachable(
                f"Batch {self.name} was issued elsewhere, and order {order.order_id} of it has no links yet."
                " Nothing was sent.",
                "Run the same command again later.",
                Context(batch=self.name, order_id=order.order_id),
            )
        if order.state is State.FAILED and not order.gifts and not self.request.again:
            raise GuardRefused(
                f"Order {order.order_id} of batch {self.name} was sent from another ledger, and Runa reports it FAILED"
                " without its gifts. Nothing was sent.",
                "Ask ordersupport@runa.io with this order id. To issue the gifts all the same, add --again.",
                Context(batch=self.name, order_id=order.order_id),
                code="order_failed",
            )
        stamped = canonical.stamped_labels(order.reply)
        own = canonical.stamped_labels(order.body)
        is_labelled = any(gift.reference or any(gift.carried) for gift in order.gifts if is_link(gift))
        if stamped != own or (is_labelled and stamped is None):
            raise GuardRefused(
                f"This ledger does not know for whom each payout link of order {order.order_id} of batch {self.name}"
                " was made, and Runa keeps no references. Nothing was sent.",
                "Use the file as it was when the order was issued, or the ledger that has recorded it."
                f" `runa order get {order.order_id}` shows the links.",
                Context(batch=self.name, order_id=order.order_id),
                code="links_in_doubt",
            )


def _with_distinct_keys(found: Sequence[FoundOrder]) -> list[FoundOrder]:
    """Return the orders, where several have one key only the first with it: Runa forgets a key after 30 days."""
    keys: set[str | None] = set()
    distinct = []
    for order in found:
        distinct.append(order._replace(stamp=None) if order.stamp in keys else order)
        keys.add(order.stamp)
    return distinct
