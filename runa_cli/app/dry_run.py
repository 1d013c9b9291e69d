"""`order create --dry-run`: what would be sent, and what is issued already. Nothing is sent or recorded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from runa_cli.app.session import Session
from runa_cli.config import api_key, settings
from runa_cli.core import exact_json
from runa_cli.core.money import format_money
from runa_cli.core.states import UNSENT, State
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.failures import body_changed
from runa_cli.issuing.guard import (
    Guard,
    check_cap,
    check_confirmed_total,
    check_not_pruned,
    is_as_recorded,
    leave_out_issued,
)
from runa_cli.issuing.new_orders import made_up_name, new_orders, next_generation
from runa_cli.ledger.records import Batch, NewOrder, Order
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.tables import Summary, summary_parts

_ISSUED = (State.ACCEPTED, State.COMPLETED)
EMBEDDED_URL = "http://127.0.0.1/v2"  # the embedded emulator has a port only while it runs


@dataclass(frozen=True)
class PlannedRequest:
    """One request that would be sent."""

    idempotency_key: str
    mode: str
    body: bytes


def show(session: Session, plan: Plan, request: CreateRequest) -> None:
    """Show the plan; as JSON, the exact requests. Raises what a create would raise before it sends."""
    check_cap(plan.sums, request.max_total)
    batch = _check(session, plan, request)
    check_confirmed_total(plan, request)
    requests = _planned_requests(session, plan, request, batch)
    view = View(
        entries=lambda: (_document(session, planned) for planned in requests),
        table=lambda _: summary_parts(_summary(session, plan, batch, sum(1 for _ in requests))),
    )
    formats.show(session.output, view)


def _check(session: Session, plan: Plan, request: CreateRequest) -> Batch | None:
    """Return the batch that a create would resume; what it has issued is left out of the plan. Raises GuardRefused."""
    if not session.has_ledger:
        return None
    guard, ledger = Guard(session.ledger, session.clock), session.ledger
    batch = guard.find_recorded(plan, request, ledger.batches_with(request.environment, plan.fingerprint()))
    if batch is None:
        if note := guard.check_new(plan, request):
            session.console.say(note)
        return None
    check_not_pruned(batch)
    leave_out_issued(ledger, batch, plan, again=request.reissues)
    if not is_as_recorded(ledger, batch, plan):
        guard.check_edited(plan, request, batch)
    return batch


def _planned_requests(
    session: Session, plan: Plan, request: CreateRequest, batch: Batch | None
) -> Iterator[PlannedRequest]:
    if batch is None:
        yield from map(_new, new_orders(plan, request, request.batch or made_up_name(session.clock)))
        return
    for order in session.ledger.orders(batch, [State.SENT]):
        yield _again(order, batch)
    if is_as_recorded(session.ledger, batch, plan):
        for order in session.ledger.orders(batch, UNSENT):
            yield _again(order, batch)
    else:
        yield from map(_new, new_orders(plan, request, batch.name, after=session.ledger.last_position(batch)))


def _new(order: NewOrder) -> PlannedRequest:
    return PlannedRequest(order.idempotency_key, order.mode, order.body)


def _again(order: Order, batch: Batch) -> PlannedRequest:
    if not order.is_intact:
        raise body_changed(batch, order)
    if order.state is State.REJECTED and not order.own_key:
        return _new(next_generation(batch, order))
    return PlannedRequest(order.idempotency_key, order.mode, order.body)


def _summary(session: Session, plan: Plan, batch: Batch | None, orders: int) -> Summary:
    issued = "none"
    if batch is not None:
        tally = session.ledger.tally(batch)
        count = sum(tally.items[state] for state in _ISSUED)
        if count:
            issued = f"{count} items, {format_money(tally.sums(_ISSUED))}, in batch {batch.name}"
    return Summary(
        "Dry run:",
        "nothing was sent or recorded",
        "",
        [
            ("Environment", f"{session.environment}, account {session.settings.account or '(hidden)'}"),
            ("Items", str(plan.item_count)),
            ("Total", format_money(plan.sums)),
            ("Already issued", issued),
            ("To be sent", f"{orders} {'order' if orders == 1 else 'orders'}"),
        ],
    )


def _document(session: Session, planned: PlannedRequest) -> dict[str, Any]:
    url = settings.request_url(session.settings) or EMBEDDED_URL
    endpoint = session.endpoint(url)
    prefix = api_key.ApiKey(endpoint.api_key).prefix
    hidden = replace(endpoint, api_key=f"{prefix}.***" if prefix else "***")
    mode: Literal["sync", "async"] = "sync" if planned.mode == "sync" else "async"
    return {
        "method": "POST",
        "url": f"{endpoint.shown_url}/order",
        "headers": hidden.headers(idempotency_key=planned.idempotency_key, mode=mode),
        "body": exact_json.loads(planned.body),
    }
