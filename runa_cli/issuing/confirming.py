"""Confirms orders that were read back from Runa by the input they were made of.

A lost ledger takes along what Runa never gets: references, carried cells, and which payout link is whose. When the
input of such an order is given again, the order is compared with it as one that was issued elsewhere (adoption.py), and
takes its labels from there if they are certain.
"""

import zlib
from dataclasses import replace

from runa_cli.api import canonical, responses
from runa_cli.core.errors import GuardRefused, RunaError, Unreachable
from runa_cli.core.states import UNSENT
from runa_cli.input.plan import Plan, is_link
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.adoption import Adoption, OwnOrders
from runa_cli.issuing.batch_lookup import FoundOrder
from runa_cli.issuing.guard import leave_out_issued
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import AdoptedOrder, Batch, Order

_GENERATIONS = 3  # of a key by which a batch without a name is recognised


def unnamed_batch(ledger: Ledger, plan: Plan, request: CreateRequest) -> Batch | None:
    """Return a batch without a chosen name that was read back, and of which the plan makes an order."""
    if request.batch is not None or not ledger.has_read_back(request.environment):
        return None
    batches = [batch for batch in ledger.read_back_batches(request.environment) if not batch.named]
    if request.idempotency_key is not None:
        order = ledger.order_by_key(request.environment, request.idempotency_key)
        return next((batch for batch in batches if order and batch.id == order.batch_id), None)
    made = [(order.position, order.body_sha256) for order in plan.orders()] if batches else []
    for batch in batches:
        keys = ledger.taken(batch).keys
        if any(
            canonical.derive_key(request.environment, batch.name, position, generation, sha256) in keys
            for position, sha256 in made
            for generation in range(_GENERATIONS)
        ):
            return batch
    return None


def leave_out_recorded(ledger: Ledger, batch: Batch, plan: Plan, request: CreateRequest) -> Adoption | None:
    """Leave out of a plan what its batch has issued. Returns how orders that were read back are to be recorded now.

    None where there are none, or where nothing is left to send and the plan lacks what was read back: another ledger
    may have issued that under the same name. Raises GuardRefused, and Unreachable where links are missing yet.
    """
    plan.leave_nothing_out()
    adoption = _adoption(ledger, batch, plan, request)
    if adoption is None:
        leave_out_issued(ledger.held(batch), batch.name, batch.columns, plan, again=request.reissues)
        return None
    own = [*ledger.held(batch, read_back=False)]  # not a stream: it is compared twice
    try:
        adoption.check(ledger)
        held = [*own, *adoption.recorded()]
        leave_out_issued(held, batch.name, adoption.columns, plan, again=request.reissues)
    except (GuardRefused, Unreachable) as refused:
        plan.leave_nothing_out()
        leave_out_issued(own, batch.name, batch.columns, plan, again=request.reissues)
        if plan.count_left or next(ledger.orders(batch, UNSENT), None) is not None:
            raise _told_of_restore(refused) from None
        return None
    return adoption


def _told_of_restore(refused: RunaError) -> RunaError:
    """Return the error of a file that lacks what was read back, without the advice to put rows for that into it."""
    if refused.code != "batch_changed":
        return refused
    hint = (
        "They were read back from Runa, which keeps no references. The file as it was when they were issued tells whose"
        " they are. Add no rows for them: those would be further gifts."
    )
    return replace(refused, hint=hint)


def confirmed_by_reference(ledger: Ledger, batch: Batch, plan: Plan, request: CreateRequest) -> list[AdoptedOrder]:
    """Return the orders that were read back and are certainly made of gifts of a plan with references.

    The rest of the batch need not be part of the plan. What is left out of the plan is no part of these orders.
    """
    adoption = _adoption(ledger, batch, plan, request)
    if adoption is None:
        return []
    return [order for order in adoption.orders() if any(gift.reference for gift in order.gifts) and _agree(order)]


def _agree(order: AdoptedOrder) -> bool:
    """Tell whether it is certain beside which reference each link belongs; mailed gifts have their addresses."""
    if not any(map(is_link, order.gifts)):
        return True
    labels = canonical.stamped_labels(order.reply)
    return labels is not None and labels == canonical.stamped_labels(order.body)


def _adoption(ledger: Ledger, batch: Batch, plan: Plan, request: CreateRequest) -> Adoption | None:
    orders = ledger.read_back_orders(batch)
    if not orders:
        return None
    found = [_as_found(order, batch) for order in orders if order.reply is not None]
    taken = ledger.taken(batch)
    own = OwnOrders(plan, request, batch.name, len(taken.positions) if request.by_reference else 0)
    return Adoption(batch.name, found, plan, request, own, batch, taken)


def _as_found(order: Order, batch: Batch) -> FoundOrder:
    document = order.reply or b"{}"
    answered = responses.read_order(document)
    return FoundOrder(
        id=order.order_id or "",
        status=answered.status,
        # One that bears the key of another order is known here by its id.
        stamp=None if order.idempotency_key == order.order_id else order.idempotency_key,
        batch_stamp=answered.batch_stamp and batch.name,
        created=order.first_sent_at or order.prepared_at,
        settled=order.settled_at or order.prepared_at,
        packed=zlib.compress(document, 1),
    )
