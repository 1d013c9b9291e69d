"""From a plan to the records of a batch: names, keys and final bytes; and the next generation of a rejected order."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from runa_cli.api import canonical
from runa_cli.core.clock import Clock
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.failures import body_changed
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, NewBatch, NewOrder, Order


def made_up_name(clock: Clock) -> str:
    """Return a unique name for a batch that was given none."""
    return f"{clock.now():%Y-%m-%d}-{secrets.token_hex(5)}"


def new_batch(plan: Plan, request: CreateRequest, name: str) -> NewBatch:
    """Return the plan as a batch to record."""
    return NewBatch(
        environment=request.environment,
        name=name,
        named=request.batch is not None,
        source=plan.source,
        shape=plan.shape,
        fingerprint=plan.fingerprint(),
        account=request.account,
        columns=plan.columns,
    )


def new_orders(plan: Plan, request: CreateRequest, batch: str, *, after: int = 0) -> Iterator[NewOrder]:
    """Yield the plan's orders with their keys and final bytes; positions count on from `after`."""
    for planned in plan.orders():
        sha256 = planned.body_sha256
        position = planned.position + after
        key = request.idempotency_key or canonical.derive_key(request.environment, batch, position, 0, sha256)
        yield NewOrder(
            position=position,
            generation=0,
            idempotency_key=key,
            own_key=request.idempotency_key is not None,
            body=planned.body(key if request.order_input.stamp else None),
            body_sha256=sha256,
            mode=_mode(request, len(planned.gifts)),
            currency=planned.currency,
            total=str(planned.total),
            item_count=len(planned.gifts),
            account=request.account,
            gifts=planned.gifts,
        )


def _mode(request: CreateRequest, items: int) -> str:
    """Return the execution mode; `auto` is sync for one item (developer.runa.io: getting-started, which mode)."""
    mode = request.order_input.mode
    if mode != "auto":
        return mode
    return "sync" if items == 1 else "async"


def record_next_generation(ledger: Ledger, batch: Batch, order: Order, now: datetime) -> Order:
    """Record and return the next generation of a rejected order: Runa repeats the rejection for the old key.

    Raises LedgerUnusable where the order's body was changed since it was recorded.
    """
    return ledger.renew(order, next_generation(batch, order), now)


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
