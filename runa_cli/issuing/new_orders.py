"""From a plan to the records of a batch: names, keys and final bytes; and the next generation of a rejected order."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from runa_cli.api import canonical
from runa_cli.core.clock import Clock
from runa_cli.core.system import host_name, system_user
from runa_cli.input.plan import STDIN, Plan, PlannedOrder
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.failures import body_changed
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import NOTHING_TAKEN, Batch, NewBatch, NewOrder, Order, Taken
from runa_cli.ledger.results import carried_headings

OrderT = TypeVar("OrderT", bound=NewOrder)


_MADE_UP = re.compile(r"\d{4}-\d\d-\d\d-(?:([0-9a-f]{4})[0-9a-f]{8}|[0-9a-f]{10})")


def made_up_name(clock: Clock, ledger_id: str) -> str:
    """Return a unique name for a batch that was given none. It tells from which ledger it is (`name_mark`)."""
    return f"{clock.now():%Y-%m-%d}-{name_mark(ledger_id)}{secrets.token_hex(4)}"


def name_mark(ledger_id: str) -> str:
    """Return what the made-up names of one ledger have in common, and those of another one hardly ever."""
    return hashlib.sha256(ledger_id.encode()).hexdigest()[:4]


def is_made_up(name: str) -> bool:
    """Tell whether a name looks like one that this program makes up."""
    return _MADE_UP.fullmatch(name) is not None


def mark_of(name: str) -> str | None:
    """Return the mark of the ledger that made a name up; None for any other, and for one of an older version."""
    found = _MADE_UP.fullmatch(name)
    return found[1] if found else None


def new_batch(plan: Plan, request: CreateRequest, name: str) -> NewBatch:
    """Return the plan as a batch to record, issued by whoever runs this process."""
    return NewBatch(
        environment=request.environment,
        name=name,
        named=request.batch is not None,
        source=plan.source,
        shape="list" if request.by_reference else plan.shape,
        fingerprint=plan.fingerprint(left=request.by_reference),
        account=request.account,
        columns=plan.columns,
        dialect=plan.dialect,
        file=plan.file if plan.file in {None, STDIN} else str(Path(plan.file).absolute()),
        user=system_user(),
        host=host_name(),
    )


def new_orders(
    plan: Plan,
    request: CreateRequest,
    batch: str,
    taken: Taken = NOTHING_TAKEN,
    *,
    policy: Callable[[], str] = str,
) -> Iterator[NewOrder]:
    """Yield the plan's orders with their keys and final bytes. `policy` returns the digest of the one in force.

    Each gets the first free position. An order that is not recorded yet thereby keeps the key under which another
    machine, which may have recorded the same file, would send it.
    """
    position, digest = 0, policy()
    for planned in plan.orders():
        sha256 = planned.body_sha256
        position, key = _free_position(request, batch, sha256, position, taken)
        yield NewOrder(
            position=position,
            generation=0,
            idempotency_key=key,
            own_key=request.idempotency_key is not None,
            body=planned.body(_stamp(planned, request, batch, key)),
            body_sha256=sha256,
            mode=_mode(request, len(planned.gifts)),
            currency=planned.currency,
            total=str(planned.total),
            item_count=len(planned.gifts),
            account=request.account,
            gifts=planned.gifts,
            balance=planned.head.payment_method.currency,
            policy=digest,
        )


def carried_under(columns: Sequence[str], own: Sequence[str], order: OrderT) -> OrderT:
    """Return an order with the carried cells of its gifts under other headings than their own."""
    gifts = []
    for gift in order.gifts:
        cells = dict(zip(carried_headings(own), gift.carried, strict=False))
        gifts.append(gift._replace(carried=[cells.get(heading, "") for heading in carried_headings(columns)]))
    return replace(order, gifts=gifts)


def columns_with(recorded: Sequence[str], own: Sequence[str]) -> Sequence[str]:
    """Return the columns of a batch, and after them those of an input that it does not have."""
    known = carried_headings(recorded)
    named = zip(carried_headings(own), own, strict=True)
    return (*recorded, *(column for heading, column in named if heading not in known))


def _free_position(request: CreateRequest, batch: str, sha256: str, last: int, taken: Taken) -> tuple[int, str]:
    """Return the first free position after `last`, and the key of an order there."""
    position = last
    while True:
        position += 1
        key = request.idempotency_key or canonical.derive_key(request.environment, batch, position, 0, sha256)
        if position not in taken.positions and (key not in taken.keys or key == request.idempotency_key):
            return position, key


def _stamp(planned: PlannedOrder, request: CreateRequest, batch: str, key: str) -> canonical.Stamp | None:
    if not request.order_input.stamp:
        return None
    if request.batch is not None:
        return canonical.Stamp(key, batch, named=True, labels=planned.labels)
    # Under a key of one's own the body must be the same from every ledger, and a made-up name is not.
    if request.idempotency_key is not None:
        return canonical.Stamp(key)
    return canonical.Stamp(key, batch, labels=planned.labels)


def _mode(request: CreateRequest, items: int) -> str:
    """Return the execution mode; `auto` is sync for one item (developer.runa.io: getting-started, which mode)."""
    mode = request.order_input.mode
    if mode != "auto":
        return mode
    return "sync" if items == 1 else "async"


def record_next_generation(
    ledger: Ledger, batch: Batch, order: Order, *, check: Callable[[], object], policy: str, now: datetime
) -> Order:
    """Record and return the next generation of a rejected order: Runa repeats the rejection for the old key.

    `check` is called in the transaction. Raises what it raises, and LedgerUnusable where the order's body was changed
    since it was recorded.
    """
    return ledger.renew(order, replace(next_generation(batch, order), policy=policy), check=check, now=now)


def next_generation(batch: Batch, order: Order) -> NewOrder:
    """Return the next generation of a rejected order: the same content under the next key. Raises LedgerUnusable."""
    if not order.is_intact:
        raise body_changed(batch, order)
    generation = order.generation + 1
    key = canonical.derive_key(batch.environment, batch.name, order.position, generation, order.body_sha256)
    return replace(
        order.as_new(),
        generation=generation,
        idempotency_key=key,
        own_key=False,
        body=canonical.with_stamp(order.body, key),
    )
