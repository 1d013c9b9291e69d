"""The only sequencer of money: check, record, claim, send, resume.

A create is checked against the ledger first. What was asked for before is resumed or refused; only what is new is
recorded, and only what is recorded and claimed is sent.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from runa_cli.api.client import Client
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import (
    ConfigurationError,
    CredentialRefused,
    GuardRefused,
    Interrupted,
    LedgerUnusable,
    RunaError,
)
from runa_cli.core.money import counted, format_gifts
from runa_cli.core.states import COSTING, SETTLED, UNFINISHED, UNSENT, State
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.approval_check import ApprovalCheck, Granted
from runa_cli.issuing.balances import BalanceNotes
from runa_cli.issuing.concurrency import Concurrency
from runa_cli.issuing.confirmation import ToSend, confirm_key, confirm_sending, issued_before, source_of
from runa_cli.issuing.contents import contents_left, contents_of
from runa_cli.issuing.failures import batch_not_readable, busy, context, recorded_failure
from runa_cli.issuing.follow_queue import Later
from runa_cli.issuing.guard import (
    Guard,
    check_cap,
    check_cap_beside,
    check_confirmed_total,
    check_not_pruned,
    is_as_recorded,
    leave_out_issued,
)
from runa_cli.issuing.issued_since import check_read_back, may_be_issued_elsewhere
from runa_cli.issuing.new_orders import (
    carried_under,
    columns_with,
    made_up_name,
    new_batch,
    new_orders,
    record_next_generation,
)
from runa_cli.issuing.order_flow import FlowStep, OrderFlow
from runa_cli.issuing.outcome import BatchRun
from runa_cli.issuing.policy_guard import PolicyGuard
from runa_cli.issuing.rate_limit import RateLimit
from runa_cli.issuing.terms import Ask, Progress, Say, Terms
from runa_cli.issuing.weighing import Weighing
from runa_cli.issuing.worker_pool import WorkerPool
from runa_cli.ledger.claims import ClaimLost
from runa_cli.ledger.engine import Repeatable
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, NewOrder, Order, Placed, Tally
from runa_cli.ledger.rows import to_list

if TYPE_CHECKING:
    from runa_cli.issuing.adoption import Adoption
    from runa_cli.issuing.policy import Policy

Preflight = Callable[[Plan], None]
_MOST_CHANGED = 3  # rows in a note


@dataclass(eq=False, repr=False)
class Issuer:
    """Issues batches: one ledger, one client, one account, one person to ask.

    `account` is the part of the API key that may be shown, `payer` how a question names the account. `ask` is None
    where nobody could answer.
    """

    ledger: Ledger
    client: Client
    terms: Terms
    progress: Progress
    say: Say
    warn: Say
    account: str
    payer: str
    balances: BalanceNotes
    ask: Ask | None = None
    concurrency: Concurrency = field(default_factory=lambda: Concurrency(1))
    rate_limit: RateLimit = field(default_factory=RateLimit)
    clock: Clock = REAL
    own_policy: "Policy | None" = None
    environment: str = ""

    def __post_init__(self) -> None:
        """Prepare the checks against the policies in force."""
        self.policy = PolicyGuard(self.ledger, self.environment, self.clock, self.own_policy)
        self.approval = ApprovalCheck(self.ledger, self.account, self.clock, self.policy.policies)

    # --- from a plan to a recorded batch -------------------------------------------------------------------------

    @contextmanager
    def recorded(self, plan: Plan, request: CreateRequest, preflight: Preflight | None = None) -> Iterator[Batch]:
        """Record a plan once, and hold the claim on its batch while the caller sends and shows it.

        Raises GuardRefused, BatchBusy, LedgerUnusable or an error of the preflight, always before anything is sent.
        """
        check_cap(plan.sums, request.max_total)
        if request.propose:
            self.approval.guard().check_rules()
        with before_sending():
            batch, is_new = self._find_or_record(plan, request, preflight)
        with self.claimed(batch):
            if not is_new:
                with before_sending():
                    batch = self._prepare_to_resume(batch, plan, request, preflight)
            yield batch

    def _find_or_record(self, plan: Plan, request: CreateRequest, preflight: Preflight | None) -> tuple[Batch, bool]:
        """Return the batch to work on, and whether it is a new one."""
        guard = Guard(self.ledger, self.clock)
        fingerprint = plan.fingerprint(left=request.by_reference)
        nothing_elsewhere = False
        self._confirm_unnamed(plan, request)
        while True:
            known = self.ledger.batches_with(request.environment, fingerprint)
            batch = guard.find_recorded(plan, request, known)
            if batch is not None:
                if request.batch is None and self.ledger.tally(batch).any(*UNFINISHED):
                    self.say(f"Resuming unfinished batch {batch.name}.")
                return batch, False
            if not nothing_elsewhere:
                nothing_elsewhere = not self._adopt(plan, request)
                continue  # meanwhile another process may have recorded the same
            try:
                note = guard.check_new(plan, request)
                weighing = self.policy.check_plan(plan)
            except GuardRefused:
                if self._is_recorded_since(request, fingerprint, known):
                    continue
                raise
            if note and not request.asks:  # the question has it
                self.warn(note)
            check_confirmed_total(plan, request)
            name = request.batch or made_up_name(self.clock, self.ledger.id)
            self.approval.check_plan(plan, request.batch, proposes=request.propose)
            before = "none in this batch" if note else "none"
            self._confirm_new(plan, request, name, weighing, before=before, note=note)
            if preflight:
                preflight(plan)
            batch = self.ledger.record(
                new_batch(plan, request, name),
                Repeatable(partial(new_orders, plan, request, name, policy=self.policy.digest)),
                known=[other.id for other in known],
                check=lambda: (guard.check_new(plan, request), self.policy.check_plan(plan)),
                now=self.clock.now(),
            )
            if batch is not None:  # else another process has recorded the same meanwhile: decide anew
                return batch, True

    def _is_recorded_since(self, request: CreateRequest, fingerprint: str, known: Sequence[Batch]) -> bool:
        """Tell whether another process has recorded the same meanwhile, so that it must be decided anew."""
        if request.batch is not None and self.ledger.batch(request.environment, request.batch) is not None:
            return True
        found = self.ledger.batches_with(request.environment, fingerprint)
        return {batch.id for batch in found} != {batch.id for batch in known}

    def _adopt(self, plan: Plan, request: CreateRequest) -> bool:
        """Record a batch that is new to this ledger as it was issued from another one. Returns False where it was not.

        Raises GuardRefused, and the error of a request that Runa did not answer.
        """
        adoption = self._look_for_batch(plan, request)
        if adoption is None:
            return False
        batch = adoption.batch()
        known = [other.id for other in self.ledger.batches_with(batch.environment, batch.fingerprint)]
        if self.ledger.record(batch, Repeatable(adoption.orders), known=known, check=_allow, now=self.clock.now()):
            self.say(adoption.sentence)  # else another process has recorded the batch meanwhile
        return True

    def _look_for_batch(self, plan: Plan, request: CreateRequest, recorded: Batch | None = None) -> "Adoption | None":
        if request.batch is None:
            return None
        from runa_cli.issuing.adoption import look_for_batch  # most orders have no name, and need none of it

        return look_for_batch(
            self.client,
            plan,
            request,
            self.ledger,
            recorded=recorded,
            seconds=self.terms.timeout,
            say=self.say,
            clock=self.clock,
        )

    def _prepare_to_resume(
        self, batch: Batch, plan: Plan, request: CreateRequest, preflight: Preflight | None
    ) -> Batch:
        """Bring a claimed batch that was recorded before to what its input is now, and new keys to the rejected."""
        batch = self.ledger.batch_by_id(batch.id)
        check_not_pruned(batch)
        self.confirm_key(batch, yes=request.yes)
        if request.by_reference:
            return self._append(batch, plan, request, preflight)
        batch = self._confirm(batch, plan, request)
        as_recorded = request.idempotency_key is not None or is_as_recorded(self.ledger, batch, plan)
        if may_be_issued_elsewhere(self.ledger, batch, plan, request, as_recorded=as_recorded):
            batch = self._adopt_since(batch, plan, request)
            as_recorded = is_as_recorded(self.ledger, batch, plan)
        check_confirmed_total(plan, request)
        self._note_changed_cells(batch, plan)
        content = new_batch(plan, request, batch.name)
        if as_recorded:
            weighing = self.policy.check_unsent(batch, renewed=True)
            if not request.propose:
                self.approval.check(batch)
            batch = self.ledger.relabel(batch, content, (*plan.moved(), *self._relabelled(batch, plan)))
            self.confirm_sending(batch, UNSENT, weighing, yes=not request.asks, source=source_of(plan))
            for order in self.ledger.orders(batch, [State.REJECTED]):
                if not order.own_key:
                    self._renew(batch, order)
            return batch
        guard = Guard(self.ledger, self.clock)
        guard.check_edited(plan, request, batch.name, batch)
        weighing = self.policy.check_plan(plan, batch)
        self.approval.check_plan(plan, batch.name, batch, proposes=request.propose)
        self._confirm_new(plan, request, batch.name, weighing, before=issued_before(self.ledger.tally(batch)))
        if preflight:
            preflight(plan)

        def check() -> None:
            guard.check_edited(plan, request, batch.name, batch)
            self.policy.check_plan(plan, batch)

        taken = self.ledger.taken(batch, by_unsent=False)
        return self.ledger.amend(
            batch,
            content,
            Repeatable(partial(new_orders, plan, request, batch.name, taken, policy=self.policy.digest)),
            Repeatable(plan.left_out),
            check=check,
            now=self.clock.now(),
        )

    def _note_changed_cells(self, batch: Batch, plan: Plan) -> None:
        """Say beside which issued links other cells stand now than before: a link stays with its reference alone.

        Whoever sorts one column of a sheet by itself puts other names beside the references.
        """
        if list(batch.columns) != list(plan.columns):
            return
        count, named = 0, []
        for row, reference, before, now in plan.changed_cells_of_links():
            count += 1
            if count <= _MOST_CHANGED:
                named.append(f"row {row}, {reference}: {', '.join(before)} → {', '.join(now)}")
        if count:
            self.warn(
                f"Other cells stand beside the references of {counted(count, 'issued link')} now ("
                f"{'; '.join(named)}{'; …' if count > _MOST_CHANGED else ''}). Each link stays with its reference: make"
                " sure that no column was sorted by itself."
            )

    def _renew(self, batch: Batch, order: Order) -> None:
        """Record the next generation of an order that Runa rejected. Raises GuardRefused."""
        record_next_generation(
            self.ledger,
            batch,
            order,
            check=lambda: self.policy.check_order(batch, order),
            policy=self.policy.digest(),
            now=self.clock.now(),
        )

    def _confirm(self, batch: Batch, plan: Plan, request: CreateRequest) -> Batch:
        """Leave out of a plan what its claimed batch has issued, and give what was read back from Runa its labels.

        Raises GuardRefused, and Unreachable where links are missing yet.
        """
        from runa_cli.issuing import confirming  # as for adoption, a new order needs none of it

        adoption = confirming.leave_out_recorded(self.ledger, batch, plan, request)
        if adoption is not None:
            plan.leave_nothing_out()
            batch = self.ledger.adopt(batch, adoption.columns, Repeatable(adoption.orders), self.clock.now())
            leave_out_issued(self.ledger.held(batch), batch.name, batch.columns, plan, again=request.reissues)
        return batch

    def _confirm_unnamed(self, plan: Plan, request: CreateRequest) -> None:
        """Make a batch without a name that was read back what it was, so that it is found by its content."""
        if request.by_reference or not self.ledger.has_read_back(request.environment):
            return
        from runa_cli.issuing import confirming

        if (batch := confirming.unnamed_batch(self.ledger, plan, request)) is None:
            return
        with self.claimed(batch):
            try:
                batch = self._confirm(batch, plan, request)
                if not plan.count_left:  # else it has become another list
                    self.ledger.relabel(batch, new_batch(plan, request, batch.name), plan.moved())
            except GuardRefused:
                if not request.again:
                    raise
            finally:
                plan.leave_nothing_out()

    def confirm_by_reference(self, plan: Plan, request: CreateRequest) -> None:
        """Give references to the gifts of a plan that were read back from Runa without them.

        The order that they are in was made of the whole plan, or of what was new in it then.
        """
        if not self.ledger.has_read_back(request.environment):
            return
        from runa_cli.issuing import references

        plan.leave_nothing_out()
        self._confirm_by_reference(plan, request)
        references.match(self.ledger, plan, request)
        if plan.left_out_count and plan.count_left:
            self._confirm_by_reference(plan, request)

    def _confirm_by_reference(self, plan: Plan, request: CreateRequest) -> None:
        from runa_cli.issuing import confirming

        batch = (
            self.ledger.batch(request.environment, request.batch)
            if request.batch is not None
            else confirming.unnamed_batch(self.ledger, plan, request)
        )
        if batch is None:
            return
        with self.claimed(batch):
            columns = columns_with(batch.columns, plan.columns)
            orders = confirming.confirmed_by_reference(self.ledger, batch, plan, request)
            if orders:
                self.ledger.adopt(batch, columns, orders, self.clock.now())

    def _adopt_since(self, batch: Batch, plan: Plan, request: CreateRequest) -> Batch:
        """Record what was issued of a batch from another ledger since it was recorded here.

        Another machine issues the same list, or this ledger was restored from a copy. What the batch then holds is left
        out of the plan. Raises GuardRefused, and the error of a request that Runa did not answer.
        """
        plan.leave_nothing_out()
        adoption = self._look_for_batch(plan, request, batch)
        if adoption is not None:
            batch = self.ledger.adopt(batch, adoption.columns, Repeatable(adoption.orders), self.clock.now())
            self.say(adoption.sentence)
        leave_out_issued(self.ledger.held(batch), batch.name, batch.columns, plan, again=request.reissues)
        return batch

    def _append(self, batch: Batch, plan: Plan, request: CreateRequest, preflight: Preflight | None) -> Batch:
        """Add what is left of a plan by reference to a claimed batch."""
        guard = Guard(self.ledger, self.clock)
        guard.check_new(plan, request)
        check_cap_beside(self.ledger.tally(batch).sums(COSTING), plan, request.max_total)
        weighing = self.policy.check_plan(plan, batch, adds=True)
        self.approval.check_plan(plan, batch.name, batch, adds=True)
        self._confirm_new(plan, request, batch.name, weighing, before=issued_before(self.ledger.tally(batch)))
        if preflight:
            preflight(plan)
        columns = columns_with(batch.columns, plan.columns)
        taken = self.ledger.taken(batch)

        def orders() -> Iterator[NewOrder]:
            for order in new_orders(plan, request, batch.name, taken, policy=self.policy.digest):
                yield carried_under(columns, plan.columns, order)

        return self.ledger.append(
            batch,
            columns,
            Repeatable(orders),
            check=lambda: (guard.check_new(plan, request), self.policy.check_plan(plan, batch, adds=True)),
            now=self.clock.now(),
        )

    def _relabelled(self, batch: Batch, plan: Plan) -> Iterator[Placed]:
        """Yield where the gifts of orders that are left to send are in the input, where that changed."""
        planned = (gift for order in plan.orders() for gift in order.gifts)
        for recorded, gift in zip(self.ledger.not_made(batch), planned, strict=True):
            carried = to_list(gift.carried)
            if (recorded.row, recorded.reference, recorded.carried) != (gift.row, gift.reference, carried):
                identity = gift.same_gift, gift.reference_key, gift.alike
                yield Placed(recorded.id, gift.row, gift.reference, carried, *identity)

    # --- confirmation --------------------------------------------------------------------------------------------

    def _confirm_new(
        self,
        plan: Plan,
        request: CreateRequest,
        name: str,
        weighing: Weighing,
        *,
        before: str = "none",
        note: str | None = None,
    ) -> None:
        """Make sure that a person wants what is left of the plan to be sent. Raises GuardRefused."""
        if not request.asks or not plan.count_left:
            return
        items, sums, contents = plan.count_left, plan.sums_left, contents_left(plan)
        to_send = ToSend(source_of(plan), name, items, sums, contents, before, note, weighing.fact)
        self.ask_before_sending(to_send, request.environment)

    def check_cap(self, batch: Batch, max_total: Decimal | None) -> None:
        """Check the whole total of a batch against the cap, if any of it may still be sent. Raises GuardRefused."""
        tally = self.ledger.tally(batch)
        if tally.any(State.PREPARED, State.SENT):
            check_cap(tally.sums(), max_total, batch.name)

    def check_approved(self, batch: Batch) -> None:
        """Check that what was never sent of a batch may be sent, before any question. Raises GuardRefused."""
        self._granted(batch, self.ledger.tally(batch))

    def confirm_sending(
        self,
        batch: Batch,
        states: Sequence[State],
        weighing: Weighing,
        *,
        yes: bool,
        source: str = "the ledger",
    ) -> None:
        """Make sure that what an earlier run left unsent may be sent. Raises GuardRefused."""
        tally = self.ledger.tally(batch)
        items = sum(tally.items[state] for state in states)
        if items and not yes:
            contents, before = contents_of(self.ledger.orders(batch, states)), issued_before(tally)
            self.ask_before_sending(
                ToSend(source, batch.name, items, tally.sums(states), contents, before, policy=weighing.fact),
                batch.environment,
            )

    def ask_before_sending(self, to_send: ToSend, environment: str) -> None:
        """Ask whether this is to be sent. Raises GuardRefused for a no, and where nobody can be asked."""
        confirm_sending(to_send, environment, self.payer, self.ask)

    def confirm_key(self, batch: Batch, *, yes: bool) -> None:
        """Make sure that a batch with orders of another key may be resumed and shown. Raises GuardRefused."""
        if not yes:
            confirm_key(self.ledger, batch, self.account, self.ask)

    # --- sending -------------------------------------------------------------------------------------------------

    @contextmanager
    def claimed(self, batch: Batch) -> Iterator[None]:
        """Hold the claim on a batch. Raises BatchBusy while another process holds it."""
        if not self.ledger.claim(batch):
            raise busy(
                self.ledger,
                batch,
                "Nothing was sent by this one.",
                "Wait until it has ended; the same command then shows its result.",
            )
        try:
            yield
        finally:
            self.ledger.release(batch)

    def send(self, batch: Batch, *, again: bool = False, only: Container[int] | None = None) -> BatchRun:
        """Send and settle every unfinished order of a claimed batch.

        `only`: the rows of the orders that a run by reference is about; the batch needs no claim if all are settled.
        An order whose gifts another batch has recorded since is not sent for the first time, unless `again` says so.
        What goes wrong with single orders is in the run. Raises GuardRefused and LedgerUnusable before anything is
        sent, and OutcomeUnknown where the ledger fails after that.
        """
        if not again:
            check_read_back(self.ledger, batch)
        tally = self.ledger.tally(batch, only)
        granted = self._granted(batch, tally)
        run = BatchRun(batch, before=tally)
        if only is None:
            self._say_what_is_done(batch, tally)
        self.progress.begin(batch, tally)
        # An order that FAILED is fetched once more: Runa may have completed it since.
        for order in self.ledger.orders(batch, SETTLED - {State.FAILED}, only):
            run.add_failure(order, recorded_failure(order, context(batch, order)))
            self.progress.settled(order)

        def answered(seconds: float) -> None:
            self.concurrency.add(seconds)
            pool.widen(self.concurrency.slots)

        check_gifts = partial(Guard(self.ledger, self.clock).check_order, again=again, by_reference=only is not None)
        pool = WorkerPool(self.concurrency.slots, self.say, self.clock)
        flow = OrderFlow(
            ledger=self.ledger,
            client=self.client,
            batch=batch,
            account=self.account,
            terms=self.terms,
            progress=self.progress,
            say=self.say,
            rate_limit=self.rate_limit,
            stopping=pool.stopping,
            check=partial(self._check_first_sending, batch, granted, check_gifts),
            policy=self.policy.digest,
            answered=answered,
            clock=self.clock,
        )

        def conclude(result: FlowStep) -> Later[None] | None:
            if isinstance(result, Later):
                run_step = result.run
                return Later(result.seconds, lambda: conclude(run_step()))
            if isinstance(result.failure, (LedgerUnusable, ClaimLost)):
                pool.stop()  # nothing more can be recorded, or is this process's business: nothing more may be sent
            run.add_failure(result.order, result.failure)
            if isinstance(result.failure, CredentialRefused):
                pool.stop()  # the next order would be refused for the same reason
            return None

        unfinished = [order.id for order in self.ledger.orders(batch, UNFINISHED | {State.FAILED}, only)]
        with _while_sending(batch):
            try:
                self.balances.before(batch, tally)
                pool.run(unfinished, lambda row: conclude(flow.settle(self.ledger.order(row))))
                run.interrupted = pool.interrupted
            except KeyboardInterrupt:
                pool.stop()
                run.interrupted = True
            finally:
                run.left_in_flight = pool.active
                run.tally = self.ledger.tally(batch, only)
                self.progress.end(run.tally)
                self.balances.ran(run)
        return run

    def _check_first_sending(
        self, batch: Batch, granted: Granted | RunaError, check_gifts: Callable[[Batch, Order], None], order: Order
    ) -> int | None:
        """Check an order in the transaction that marks it as sent, and return the id of the proposal that approves it.

        None where none is needed. Raises GuardRefused and ConfigurationError.
        """
        check_gifts(batch, order)
        self.policy.check_first_sending(batch, order)
        if isinstance(granted, RunaError):
            raise granted
        return self.approval.check_again(batch, granted).proposal_id

    def _granted(self, batch: Batch, tally: Tally) -> Granted | RunaError:
        """Return whether what was never sent of a batch may be sent, and until when.

        Where nothing else is left to do, what refuses it is raised. Else it is returned: the outcome of what was sent
        before is still found out. Raises GuardRefused and ConfigurationError.
        """
        if not tally.any(State.PREPARED):
            return Granted(None, ())
        try:
            return self.approval.check(batch)
        except (GuardRefused, ConfigurationError) as refused:
            if not tally.any(State.SENT, State.ACCEPTED, State.FAILED):
                raise
            return refused

    def _say_what_is_done(self, batch: Batch, tally: Tally) -> None:
        """Tell what an earlier run has issued from what this one is about to send."""
        done, left = tally.items[State.COMPLETED], sum(tally.items[state] for state in UNFINISHED)
        if done and left:
            self.say(f"Resuming batch {batch.name}: {format_gifts(done)} issued before, {format_gifts(left)} left.")
        elif done == sum(tally.items.values()):
            self.say(f"Batch {batch.name} is issued already: nothing is sent, its recorded result is shown.")


def _allow(*_: object) -> None:
    """Refuse nothing."""


@contextmanager
def before_sending() -> Iterator[None]:
    """Run what comes before the first order is sent; interrupted here, no money has moved. Raises Interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("Interrupted. Nothing was sent.") from None


@contextmanager
def _while_sending(batch: Batch) -> Iterator[None]:
    """Run what may move money: if the ledger fails here, the outcome is unknown. Raises OutcomeUnknown."""
    try:
        yield
    except LedgerUnusable as error:
        raise batch_not_readable(batch, error) from error
