"""From a plan to the records of a batch: names, keys and final bytes; and the next generation of a rejected order."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from runa_cli.api import canonical
from runa_cli.core.clock import Clock
from runa_cli.input.plan import Plan
from runa_cli.issuing.guard import Asked
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, NewBatch, NewOrder, Order


def made_up_name(clock: Clock) -> str:
    """Return a name for a batch that was given none."""
    return f"{clock.now():%Y-%m-%d}-{secrets.token_hex(5)}"


def new_batch(plan: Plan, asked: Asked, name: str, fingerprint: str) -> NewBatch:
    """Return the plan as a batch to record."""
    return NewBatch(
        environment=asked.environment,
        name=name,
        named=asked.name is not None,
        source=plan.source,
        shape=plan.shape,
        fingerprint=fingerprint,
        account=asked.account,
        columns=plan.columns,
    )


def new_orders(plan: Plan, asked: Asked, batch: str, *, after: int = 0) -> Iterator[NewOrder]:
    """Yield the plan's orders with their keys and final bytes, at the positions behind `after`."""
    for planned in plan.orders():
        sha256 = planned.body_sha256
        position = planned.position + after
        key = asked.idempotency_key or canonical.derive_key(asked.environment, batch, position, 0, sha256)
        yield NewOrder(
            position=position,
            generation=0,
            idempotency_key=key,
            own_key=asked.idempotency_key is not None,
            body=planned.body(key if asked.stamp else None),
            body_sha256=sha256,
            mode=asked.mode if asked.mode != "auto" else "sync" if len(planned.gifts) == 1 else "async",
            currency=planned.currency,
            total=str(planned.total),
            item_count=len(planned.gifts),
            gifts=planned.gifts,
        )


def record_next_generation(ledger: Ledger, batch: Batch, order: Order, now: datetime) -> Order:
    """Record the next generation of a rejected order, for Runa replays the rejection to the old key, and return it."""
    return ledger.renew(order, next_generation(batch, order), now)


def next_generation(batch: Batch, order: Order) -> NewOrder:
    """Return the next generation of a rejected order: the same content under the next key."""
    generation = order.generation + 1
    key = canonical.derive_key(batch.environment, batch.name, order.position, generation, order.body_sha256)
    return replace(
        order.as_new(),
        generation=generation,
        idempotency_key=key,
        own_key=False,
        body=canonical.with_stamp(order.body, key),
    )
