"""`order create --dry-run`: what would be sent, and what is issued already. Nothing is sent or recorded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from runa_cli.app.session import Session
from runa_cli.config import api_key, settings
from runa_cli.core import exact_json
from runa_cli.core.money import format_gifts, format_money
from runa_cli.core.states import COSTING, UNSENT, State
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing import by_reference, references
from runa_cli.issuing.adoption import Adoption, look_for_batch
from runa_cli.issuing.failures import body_changed
from runa_cli.issuing.guard import (
    Guard,
    check_cap,
    check_cap_beside,
    check_confirmed_total,
    check_not_pruned,
    is_as_recorded,
    leave_out_issued,
)
from runa_cli.issuing.new_orders import made_up_name, new_orders, next_generation
from runa_cli.issuing.references import KnownOrders, ReferencesKnown
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import NOTHING_TAKEN, Batch, NewOrder, Order
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.tables import Summary, summary_parts

_ISSUED = (State.ACCEPTED, State.COMPLETED)
_TO_BE_SENT = frozenset({State.PREPARED, State.SENT})
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
    issued, requests = (
        _by_reference(session, plan, request) if request.by_reference else _by_batch(session, plan, request)
    )
    view = View(
        entries=lambda: (_document(session, planned) for planned in requests),
        table=lambda _: summary_parts(_summary(session, plan, issued, sum(1 for _ in requests))),
    )
    formats.show(session.output, view)


# --- by reference ----------------------------------------------------------------------------------------------------


def _by_reference(session: Session, plan: Plan, request: CreateRequest) -> tuple[str, Iterator[PlannedRequest]]:
    """Return what is known, as a sentence, and the requests of the rest. Raises what a create would raise."""
    ledger = session.ledger if session.has_ledger else None
    known = _known(session, ledger, plan, request)
    name, taken = request.batch or made_up_name(session.clock), NOTHING_TAKEN
    if plan.count_left:
        target = Guard(ledger, session.clock).find_recorded(plan, request, []) if ledger else None
        if ledger and target:
            check_not_pruned(target)
            check_cap_beside(ledger.tally(target).sums(COSTING), plan, request.max_total)
            name, taken = target.name, ledger.taken(target)
        elif adoption := _adopted(session, ledger, plan, request):
            sums, taken = adoption.sums, adoption.taken
            known = _known(session, ledger, plan, request, adoption)
            check_cap_beside(sums, plan, request.max_total)
    issued = f"{format_gifts(plan.left_out_count)}, by reference" if plan.left_out_count else "none"
    return issued, _requests_by_reference(session, plan, known, new_orders(plan, request, name, taken))


def _known(
    session: Session, ledger: Ledger | None, plan: Plan, request: CreateRequest, adoption: Adoption | None = None
) -> KnownOrders:
    """Return the known orders of the ledger; their gifts, and those to adopt, are left out. Raises GuardRefused."""
    elsewhere = list(adoption.recorded()) if adoption else []
    while True:
        known = references.match(ledger, plan, request, elsewhere)
        try:
            if ledger:
                by_reference.check(Guard(ledger, session.clock), plan, request, known)
            else:
                check_confirmed_total(plan, request)
        except ReferencesKnown:
            continue
        if adoption:
            references.check_elsewhere(plan, request, adoption.name, elsewhere)
        return known


def _requests_by_reference(
    session: Session, plan: Plan, known: KnownOrders, new: Iterator[NewOrder]
) -> Iterator[PlannedRequest]:
    for batch_id in known.batches(_TO_BE_SENT):
        batch = session.ledger.batch_by_id(batch_id)
        rows = known.rows(batch_id, _TO_BE_SENT)
        yield from (_again(order, batch) for order in session.ledger.orders(batch, only=rows))
    if plan.count_left:
        yield from map(_new, new)


# --- one batch -------------------------------------------------------------------------------------------------------


def _by_batch(session: Session, plan: Plan, request: CreateRequest) -> tuple[str, Iterator[PlannedRequest]]:
    """Return what is issued already, as a sentence, and the requests of the rest. Raises what a create would raise."""
    batch = _check(session, plan, request)
    adoption = None if batch else _check_new(session, plan, request)
    check_confirmed_total(plan, request)
    if batch is not None:
        return _issued(session, batch), _requests_left(session, plan, request, batch)
    name, taken = request.batch or made_up_name(session.clock), adoption.taken if adoption else NOTHING_TAKEN
    issued = f"{format_gifts(plan.left_out_count)}, from another ledger" if adoption else "none"
    return issued, map(_new, new_orders(plan, request, name, taken))


def _check(session: Session, plan: Plan, request: CreateRequest) -> Batch | None:
    """Return the batch that a create would resume; what it has issued is left out of the plan. Raises GuardRefused."""
    if not session.has_ledger:
        return None
    guard, ledger = Guard(session.ledger, session.clock), session.ledger
    batch = guard.find_recorded(plan, request, ledger.batches_with(request.environment, plan.fingerprint()))
    if batch is None:
        return None
    check_not_pruned(batch)
    leave_out_issued(ledger.held(batch), batch.name, batch.columns, plan, again=request.reissues)
    if not is_as_recorded(ledger, batch, plan):
        guard.check_edited(plan, request, batch.name, batch)
    return batch


def _check_new(session: Session, plan: Plan, request: CreateRequest) -> Adoption | None:
    """Return what a create would adopt; that is left out of the plan. Raises what a create would raise."""
    ledger = session.ledger if session.has_ledger else None
    adoption = _adopted(session, ledger, plan, request)
    if adoption is not None:
        leave_out_issued(adoption.recorded(), adoption.name, plan.columns, plan, again=request.reissues)
        if ledger is not None:
            Guard(ledger, session.clock).check_edited(plan, request, adoption.name, None)
    elif ledger is not None and (note := Guard(ledger, session.clock).check_new(plan, request)):
        session.console.say(note)
    return adoption


def _adopted(session: Session, ledger: Ledger | None, plan: Plan, request: CreateRequest) -> Adoption | None:
    """Return what a create would adopt, and say so. Raises what a create would raise."""
    if request.batch is None or not request.look_back:  # then no client is needed
        return None
    adoption = look_for_batch(
        session.client,
        plan,
        request,
        ledger,
        seconds=session.settings.timeout.value,
        say=session.console.say,
        clock=session.clock,
    )
    if adoption is not None:
        session.console.say(adoption.sentence)
    return adoption


def _requests_left(session: Session, plan: Plan, request: CreateRequest, batch: Batch) -> Iterator[PlannedRequest]:
    for order in session.ledger.orders(batch, [State.SENT]):
        yield _again(order, batch)
    if is_as_recorded(session.ledger, batch, plan):
        for order in session.ledger.orders(batch, UNSENT):
            yield _again(order, batch)
    else:
        yield from map(_new, new_orders(plan, request, batch.name, session.ledger.taken(batch, by_unsent=False)))


def _new(order: NewOrder) -> PlannedRequest:
    return PlannedRequest(order.idempotency_key, order.mode, order.body)


def _again(order: Order, batch: Batch) -> PlannedRequest:
    if not order.is_intact:
        raise body_changed(batch, order)
    if order.state is State.REJECTED and not order.own_key:
        return _new(next_generation(batch, order))
    return PlannedRequest(order.idempotency_key, order.mode, order.body)


def _issued(session: Session, batch: Batch) -> str:
    tally = session.ledger.tally(batch)
    count = sum(tally.items[state] for state in _ISSUED)
    return f"{count} items, {format_money(tally.sums(_ISSUED))}, in batch {batch.name}" if count else "none"


def _summary(session: Session, plan: Plan, issued: str, orders: int) -> Summary:
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
