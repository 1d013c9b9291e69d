"""What `order create` checks before it sends, made without sending or recording anything, and what it would send."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

from msgspec import Struct

from runa_cli.app.session import Session
from runa_cli.core.errors import GuardRefused, InputError, RunaError
from runa_cli.core.identity import GiftIdentity
from runa_cli.core.money import format_gifts, format_money
from runa_cli.core.states import COSTING, UNSENT, State
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing import by_reference, confirming, references
from runa_cli.issuing.adoption import Adoption, look_for_batch
from runa_cli.issuing.approval import ApprovalGuard
from runa_cli.issuing.confirmation import ISSUED, confirm_key
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
from runa_cli.issuing.issued_since import may_be_issued_elsewhere
from runa_cli.issuing.issuer import Preflight
from runa_cli.issuing.new_orders import made_up_name, new_orders, next_generation
from runa_cli.issuing.references import KnownOrders, ReferencesKnown
from runa_cli.issuing.refusals import GiftsRefused
from runa_cli.issuing.weighing import NOTHING_WEIGHED, Weighing
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import NOTHING_TAKEN, AdoptedOrder, Batch, NewOrder, Order, Taken

_TO_BE_SENT = frozenset({State.PREPARED, State.SENT})
_NOT_SENT_YET = frozenset({State.PREPARED})
_MORE = 1 << 61  # what is added to the numbers of gifts that are not recorded, where there are two kinds of them


class PlannedRequest(Struct, frozen=True):
    """One request that would be sent."""

    idempotency_key: str
    mode: str
    body: bytes


@dataclass(eq=False, repr=False)
class Checks:
    """The checks of a create, and what they found.

    `issued` says what is issued already, `requests` are to be sent, and `refusal` is the first error of a guard or the
    preflight. After it the checks go on where they can, so that it is known what of the input is issued already.
    """

    session: Session
    plan: Plan
    request: CreateRequest
    preflight: Preflight | None
    issued: str = "none"
    requests: Iterator[PlannedRequest] = field(default_factory=lambda: iter(()))
    refusal: RunaError | None = None
    weighing: Weighing = NOTHING_WEIGHED

    def __post_init__(self) -> None:
        """Prepare the check against the policies in force."""
        self._policy = self.session.policy_guard()
        self._adopted: list[AdoptedOrder] = []

    def run(self) -> None:
        """Make all checks. Raises what a create would raise, but for the refusal."""
        if self.request.by_reference:
            with self._refusable():
                self._check_references()
            return
        with self._refusable():
            check_cap(self.plan.sums, self.request.max_total)
        with self._refusable():
            batch = self._find_recorded()
            if batch is None:
                self._check_new()
            else:
                self._check_recorded(batch)

    @contextmanager
    def _refusable(self) -> Iterator[None]:
        """Keep the refusal in which a check ends, unless there is one already."""
        try:
            yield
        except (GuardRefused, InputError) as error:
            self.refusal = self.refusal or error

    @property
    def _ledger(self) -> Ledger | None:
        return self.session.existing_ledger

    @property
    def _approval(self) -> ApprovalGuard:
        return self.session.approval_guard(self._policy)

    @property
    def _guard(self) -> Guard:
        return Guard(self.session.ledger, self.session.clock)

    # --- by reference --------------------------------------------------------------------------------------------

    def _check_references(self) -> None:
        plan, request, ledger = self.plan, self.request, self._ledger
        check_cap(plan.sums, request.max_total)
        known, name, taken = self._match(), self._name, NOTHING_TAKEN
        target: Batch | None = None
        for batch_id in known.batches():
            self._check_key(self.session.ledger.batch_by_id(batch_id))
        if plan.count_left and request.batch is not None:
            target = self._guard.find_recorded(plan, request, []) if ledger else None
            if ledger and target:
                check_not_pruned(target)
                self._check_key(target)
                check_cap_beside(ledger.tally(target).sums(COSTING), plan, request.max_total)
                self.weighing = self._policy.check_plan(plan, target, adds=True)
                name, taken = target.name, ledger.taken(target)
            elif adoption := self._find_adoption():
                sums, taken = adoption.sums, adoption.taken
                known = self._match(adoption)
                check_cap_beside(sums, plan, request.max_total)
                self.weighing = self._policy.check_plan(plan, adopted=self._adopted)
        approval = self._approval
        approval.check_plan(plan, request.batch, target, adds=True)
        if self.preflight and plan.count_left:
            self.preflight(plan)
        for batch_id in known.batches(_NOT_SENT_YET):
            batch = self.session.ledger.batch_by_id(batch_id)
            approval.check(batch)
            rows = known.rows(batch_id, _NOT_SENT_YET)
            self._check_unsent(batch, self.session.ledger.orders(batch, only=rows))
        self.requests = self._requests_by_reference(known, new_orders(plan, request, name, taken))

    def _match(self, adoption: Adoption | None = None) -> KnownOrders:
        """Return the known orders of the ledger; their gifts, and those to adopt, are left out. Raises GuardRefused."""
        plan, request, ledger = self.plan, self.request, self._ledger
        elsewhere = list(adoption.recorded()) if adoption else []
        while True:
            known = references.match(ledger, plan, request, elsewhere)
            if plan.left_out_count:
                self.issued = f"{format_gifts(plan.left_out_count)}, by reference"
            try:
                if ledger:
                    self.weighing = by_reference.check(self._guard, self._policy, plan, request, known).weighing
                else:
                    self.weighing = self._policy.check_plan(plan)
                    check_confirmed_total(plan, request)
            except ReferencesKnown:
                continue
            if adoption:
                references.check_elsewhere(plan, request, adoption.name, elsewhere)
            return known

    def _requests_by_reference(self, known: KnownOrders, new: Iterator[NewOrder]) -> Iterator[PlannedRequest]:
        for batch_id in known.batches(_TO_BE_SENT):
            batch = self.session.ledger.batch_by_id(batch_id)
            rows = known.rows(batch_id, _TO_BE_SENT)
            yield from (_again(order, batch) for order in self.session.ledger.orders(batch, only=rows))
        if self.plan.count_left:
            yield from map(_new, new)

    # --- one batch -----------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        ledger = self._ledger
        return self.request.batch or made_up_name(self.session.clock, ledger.id if ledger else "")

    def _find_recorded(self) -> Batch | None:
        """Return the batch that a create would resume. Raises GuardRefused."""
        if not self.session.has_ledger:
            return None
        unnamed = confirming.unnamed_batch(self.session.ledger, self.plan, self.request)
        if unnamed is not None and self._is_whole(unnamed):
            return unnamed
        known = self.session.ledger.batches_with(self.request.environment, self.plan.fingerprint())
        return self._guard.find_recorded(self.plan, self.request, known)

    def _is_whole(self, batch: Batch) -> bool:
        """Tell whether a batch that was read back holds all gifts of the plan. Raises GuardRefused."""
        try:
            confirming.leave_out_recorded(self.session.ledger, batch, self.plan, self.request)
        except GuardRefused:
            if not self.request.again:
                raise
            return False
        else:
            return not self.plan.count_left
        finally:
            self.plan.leave_nothing_out()

    def _check_recorded(self, batch: Batch) -> None:
        """Check what a create would go on with; what is issued is left out of the plan. Raises GuardRefused."""
        ledger, plan, request = self.session.ledger, self.plan, self.request
        tally = ledger.tally(batch)
        if count := sum(tally.items[state] for state in ISSUED):
            self.issued = f"{format_gifts(count)}, {format_money(tally.sums(ISSUED))}, in batch {batch.name}"
        check_not_pruned(batch)
        self._check_key(batch)
        confirmed = confirming.leave_out_recorded(ledger, batch, plan, request)
        as_recorded = request.idempotency_key is not None or is_as_recorded(ledger, batch, plan)
        adoption = None
        if may_be_issued_elsewhere(ledger, batch, plan, request, as_recorded=as_recorded):
            adoption = self._adopt_since(batch, confirmed)
            as_recorded = is_as_recorded(ledger, batch, plan)
        check_confirmed_total(plan, request)
        if as_recorded and not request.propose:
            self._approval.check(batch)
        else:
            self._approval.check_plan(plan, batch.name, batch, proposes=request.propose)
        if as_recorded:
            self.weighing = self._policy.check_unsent(batch, renewed=True)
            self._check_unsent(batch, ledger.orders(batch, [State.PREPARED]))
        else:
            self._guard.check_edited(plan, request, batch.name, batch)
            self.weighing = self._policy.check_plan(plan, batch, adopted=self._adopted)
            if self.preflight:
                self.preflight(plan)
        self.requests = self._requests_left(batch, adoption, as_recorded=as_recorded)

    def _adopt_since(self, batch: Batch, confirmed: Adoption | None) -> Adoption | None:
        """Return what a create would adopt into an edited batch; that, and what it holds, is left out of the plan.

        `confirmed` is how a create would record what was read back of it.
        """
        self.plan.leave_nothing_out()
        adoption = self._find_adoption(batch)
        held = chain(
            self.session.ledger.held(batch, read_back=confirmed is None),
            confirmed.recorded() if confirmed else (),
            (gift._replace(id=gift.id + _MORE) for gift in adoption.recorded()) if adoption else (),
        )
        columns = (adoption or confirmed or batch).columns
        leave_out_issued([*held], batch.name, columns, self.plan, again=self.request.reissues)
        return adoption

    def _check_new(self) -> None:
        """Check what a create would record; what it would adopt is left out. Raises what a create would raise."""
        adoption = self._check_against_ledger()
        self.weighing = self._policy.check_plan(self.plan, adopted=self._adopted)
        check_confirmed_total(self.plan, self.request)
        self._approval.check_plan(self.plan, self.request.batch, proposes=self.request.propose)
        if self.preflight and self.plan.count_left:
            self.preflight(self.plan)
        taken = adoption.taken if adoption else NOTHING_TAKEN
        self.requests = map(_new, new_orders(self.plan, self.request, self._name, taken))

    def _check_against_ledger(self) -> Adoption | None:
        """Return what a create would adopt; that is left out of the plan. Raises what a create would raise."""
        session, plan, request, ledger = self.session, self.plan, self.request, self._ledger
        adoption = self._find_adoption()
        if adoption is not None:
            leave_out_issued(adoption.recorded(), adoption.name, plan.columns, plan, again=request.reissues)
            self.issued = f"{format_gifts(plan.left_out_count)}, from another ledger"
            if ledger is not None:
                self._guard.check_edited(plan, request, adoption.name, None)
        elif ledger is not None and (note := self._guard.check_new(plan, request)):
            session.console.say(f"Note: {note}")
        return adoption

    def _find_adoption(self, recorded: Batch | None = None) -> Adoption | None:
        """Return what a create would adopt, and say so. Raises what a create would raise."""
        session, request = self.session, self.request
        if request.batch is None or not request.look_back:  # then no client is needed
            return None
        adoption = look_for_batch(
            session.client,
            self.plan,
            request,
            self._ledger,
            recorded=recorded,
            seconds=session.settings.timeout.value,
            say=session.console.say,
            clock=session.clock,
        )
        if adoption is not None:
            session.console.say(adoption.sentence)
            self._adopted = [*adoption.orders()]  # for the limits, before anything is left out of the plan
        return adoption

    def _requests_left(self, batch: Batch, adoption: Adoption | None, *, as_recorded: bool) -> Iterator[PlannedRequest]:
        ledger = self.session.ledger
        for order in ledger.orders(batch, [State.SENT]):
            yield _again(order, batch)
        if not as_recorded:
            taken = ledger.taken(batch, by_unsent=False)
            if adoption:
                taken = Taken({*taken.positions, *adoption.taken.positions}, {*taken.keys, *adoption.taken.keys})
            yield from map(_new, new_orders(self.plan, self.request, batch.name, taken))
            return
        for order in ledger.orders(batch, UNSENT):
            if order.state is State.PREPARED or not order.own_key:  # a key of one's own is not replaced
                yield _again(order, batch)

    # --- both ----------------------------------------------------------------------------------------------------

    def _check_key(self, batch: Batch) -> None:
        """Check that a batch of another key may be continued. Raises GuardRefused where nobody could be asked."""

        def tell(question: str) -> bool:
            self.session.console.say(f"A create would ask: {question}")
            return True

        if not self.request.yes:
            confirm_key(self.session.ledger, batch, self.session.settings.account, tell if self.session.ask else None)

    def _check_unsent(self, batch: Batch, orders: Iterator[Order]) -> None:
        """Check recorded orders that were never sent, as a create does before it sends them. Raises GiftsRefused."""
        first: GuardRefused | None = None
        gifts: dict[GiftIdentity, str] = {}
        again, with_references = self.request.again, self.request.by_reference
        for order in orders:
            if order.first_sent_at is not None:
                continue
            try:
                self._guard.check_order(batch, order, again=again, by_reference=with_references)
            except GuardRefused as refused:
                first = first or refused
                gifts |= dict.fromkeys(self.session.ledger.identities(order), "recorded again since in another batch")
        if first is not None:
            raise GiftsRefused(first.message, first.hint, first.context, code=first.code, gifts=gifts)


def _new(order: NewOrder) -> PlannedRequest:
    return PlannedRequest(order.idempotency_key, order.mode, order.body)


def _again(order: Order, batch: Batch) -> PlannedRequest:
    if not order.is_intact:
        raise body_changed(batch, order)
    if order.state is State.REJECTED and not order.own_key:
        return _new(next_generation(batch, order))
    return PlannedRequest(order.idempotency_key, order.mode, order.body)
