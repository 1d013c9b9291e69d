"""Records a plan by the references of its gifts: each is issued once, in whichever batch it is recorded.

What is known stays in its own batch and is resumed there; what is new is recorded as a batch of its own, or added to a
named one.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal

from msgspec import Struct

from runa_cli.core.money import format_gifts
from runa_cli.core.states import UNFINISHED, State
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing import references
from runa_cli.issuing.confirmation import ToSend, source_of
from runa_cli.issuing.contents import contents_left, contents_of
from runa_cli.issuing.guard import Guard, check_cap, check_confirmed_total, check_not_pruned
from runa_cli.issuing.issuer import Issuer, Preflight, before_sending
from runa_cli.issuing.policy_guard import PolicyGuard
from runa_cli.issuing.references import KnownOrders, ReferencesKnown
from runa_cli.issuing.weighing import Weighing
from runa_cli.ledger.ledger import Ledger

_WORKED_ON = UNFINISHED | {State.FAILED}  # Runa is asked once more about an order that FAILED
_UNSENT = frozenset({State.PREPARED})


@contextmanager
def recorded(
    issuer: Issuer, plan: Plan, request: CreateRequest, preflight: Preflight | None = None
) -> Iterator[KnownOrders]:
    """Record what is new, and hold the claims on all batches that are worked on while the caller sends and shows.

    Yields the orders that hold the gifts of the plan, all of which are known by then. Raises GuardRefused, BatchBusy,
    LedgerUnusable or an error of the preflight, always before anything is sent.
    """
    with ExitStack() as claims:
        with before_sending():
            known = _record(issuer, plan, request, preflight, claims)
        yield known


class ToBeSent(Struct, frozen=True):
    """How many gifts are about to be sent, their face values by currency, and how limits stand with the new ones."""

    items: int
    sums: dict[str, Decimal]
    weighing: Weighing


def check(guard: Guard, policy: PolicyGuard, plan: Plan, request: CreateRequest, known: KnownOrders) -> ToBeSent:
    """Check a matched plan before anything is recorded or sent.

    Returns what is about to be sent: the new gifts, and all gifts of the known orders that were not sent yet. Raises
    GuardRefused, and ReferencesKnown where the plan must be matched again.
    """
    for batch_id in known.batches():
        check_not_pruned(guard.ledger.batch_by_id(batch_id))
    if plan.count_left:
        guard.check_new(plan, request)
    weighing = policy.check_plan(plan)
    for batch_id in known.batches(_UNSENT):
        policy.check_unsent(guard.ledger.batch_by_id(batch_id))
    items, sums = _to_send(guard.ledger, plan, known)
    for total in (plan.sums, sums):
        check_cap(total, request.max_total)
    check_confirmed_total(plan, request, sums)
    return ToBeSent(items, sums, weighing)


def _record(
    issuer: Issuer, plan: Plan, request: CreateRequest, preflight: Preflight | None, claims: ExitStack
) -> KnownOrders:
    guard = Guard(issuer.ledger, issuer.clock)
    issuer.confirm_by_reference(plan, request)
    while True:
        claims.close()
        known = _match_and_claim(issuer, plan, request, claims)
        try:
            to_be_sent = check(guard, issuer.policy, plan, request, known)
            for batch_id in known.batches():
                issuer.confirm_key(issuer.ledger.batch_by_id(batch_id), yes=request.yes)
            if plan.left_out_count:
                issuer.say(
                    f"By reference: {format_gifts(plan.left_out_count)} known, {format_gifts(plan.count_left)} new."
                )
            if to_be_sent.items and request.asks:
                about = _about(issuer.ledger, plan, request, known, to_be_sent)
                issuer.ask_before_sending(about, request.environment)
            if not plan.count_left:
                return known
            confirmed = request._replace(confirm_total=None, asked=True)
            claims.enter_context(issuer.recorded(plan, confirmed, preflight))
        except ReferencesKnown:
            continue
        return references.match(issuer.ledger, plan, request)


def _match_and_claim(issuer: Issuer, plan: Plan, request: CreateRequest, claims: ExitStack) -> KnownOrders:
    """Match the plan, and claim the batches that are worked on. Raises GuardRefused and BatchBusy."""
    claimed: set[int] = set()
    while True:
        known = references.match(issuer.ledger, plan, request)
        wanted = set(known.batches(_WORKED_ON)) - claimed
        if not wanted:
            return known
        for batch_id in sorted(wanted):
            claims.enter_context(issuer.claimed(issuer.ledger.batch_by_id(batch_id)))
        claimed |= wanted  # and match again, for the states may have changed until now


def _about(ledger: Ledger, plan: Plan, request: CreateRequest, known: KnownOrders, to_be_sent: ToBeSent) -> ToSend:
    """Return what the question before the sending names."""
    contents = contents_left(plan)
    for batch_id in known.batches(_UNSENT):
        orders = ledger.orders(ledger.batch_by_id(batch_id), only=known.rows(batch_id, _UNSENT))
        contents += contents_of(orders)
    before = f"{format_gifts(plan.left_out_count)} of the input, by reference" if plan.left_out_count else "none"
    items, sums, policy = to_be_sent.items, to_be_sent.sums, to_be_sent.weighing.fact
    return ToSend(source_of(plan), request.batch, items, sums, contents, before, policy=policy)


def _to_send(ledger: Ledger, plan: Plan, known: KnownOrders) -> tuple[int, dict[str, Decimal]]:
    items, sums = plan.count_left, plan.sums_left
    for batch_id in known.batches(_UNSENT):
        tally = ledger.tally(ledger.batch_by_id(batch_id), known.rows(batch_id, _UNSENT))
        items += sum(tally.items.values())
        for currency, amount in tally.sums().items():
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    return items, sums
