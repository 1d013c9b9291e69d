"""The only sequencer of money: weigh, guard, record, claim, send, resume.

A create is weighed against the ledger first. What was asked for before is resumed or refused; only what is new is
recorded, and only what is recorded and claimed is sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from runa_cli.api.client import Client
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import BatchBusy, Context, CredentialRefused, GuardRefused, Interrupted, LedgerUnusable
from runa_cli.core.money import format_gifts, format_money
from runa_cli.core.states import SETTLED, UNFINISHED, UNSENT, State
from runa_cli.input.plan import Plan
from runa_cli.issuing.failures import batch_not_readable, context, recorded_failure
from runa_cli.issuing.guard import Asked, Guard, check_total, leave_out_issued
from runa_cli.issuing.new_orders import made_up_name, new_batch, new_orders, record_next_generation
from runa_cli.issuing.order_flow import OrderFlow
from runa_cli.issuing.outcome import BatchRun
from runa_cli.issuing.rate_limit import RateLimit
from runa_cli.issuing.terms import Ask, Progress, Say, Terms
from runa_cli.issuing.worker_pool import WorkerPool
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Tally


@dataclass
class Issuer:
    """Issues batches: one ledger, one way to Runa, one way to talk to the person."""

    ledger: Ledger
    client: Client
    terms: Terms
    progress: Progress
    say: Say
    ask: Ask | None = None
    concurrency: int = 1
    governor: RateLimit = field(default_factory=RateLimit)
    clock: Clock = REAL

    # --- create --------------------------------------------------------------------------------------------------

    @contextmanager
    def create(self, plan: Plan, asked: Asked, preflight: Callable[[Plan], None] | None = None) -> Iterator[BatchRun]:
        """Issue a plan once, and hold the claim on its batch until the result is shown.

        Raises GuardRefused, BatchBusy, LedgerUnusable or an error of the preflight, always before anything is sent.
        What goes wrong after that is in the run.
        """
        check_total(plan.sums, asked)
        fingerprint = plan.fingerprint()
        with before_sending():
            batch, fresh = self._admit(plan, asked, fingerprint, preflight)
        with self.claimed(batch):
            if not fresh:
                with before_sending():
                    batch = self._take_up(batch, plan, asked, fingerprint, preflight)
            yield self.finish(batch)

    def _admit(
        self, plan: Plan, asked: Asked, fingerprint: str, preflight: Callable[[Plan], None] | None
    ) -> tuple[Batch, bool]:
        """Return the batch to work on, and whether it is a new one."""
        weighing = Guard(self.ledger, self.clock, self.say)
        while True:
            known = self.ledger.batches_with(asked.environment, fingerprint)
            batch = weighing.recorded(plan, asked, known)
            if batch is not None:
                if asked.name is None and self.ledger.tally(batch).any(*UNFINISHED):
                    self.say(f"This was begun as batch {batch.name} and is unfinished: it goes on.")
                return batch, False
            weighing.check_overlap(plan, asked)
            self._consent(plan.sums, plan.item_count, asked.account, live=asked.live, yes=asked.consented)
            if preflight:
                preflight(plan)
            name = asked.name or made_up_name(self.clock)
            batch = self.ledger.record(
                new_batch(plan, asked, name, fingerprint),
                new_orders(plan, asked, name),
                known=[other.id for other in known],
                now=self.clock.now(),
            )
            if batch is not None:
                return batch, True

    def _take_up(
        self, batch: Batch, plan: Plan, asked: Asked, fingerprint: str, preflight: Callable[[Plan], None] | None
    ) -> Batch:
        """Make a claimed batch ready to go on: other content where the input was edited, new keys for the rejected."""
        batch = self.ledger.batch_by_id(batch.id)
        self.consent_to_key(batch, asked.account, yes=asked.yes)
        if batch.fingerprint != fingerprint:
            leave_out_issued(self.ledger, batch, plan)
            self._consent(plan.sums_left, plan.count_left, asked.account, live=asked.live, yes=asked.consented)
            if preflight:
                preflight(plan)
            return self.ledger.amend(
                batch,
                new_batch(plan, asked, batch.name, fingerprint),
                new_orders(plan, asked, batch.name, after=self.ledger.last_position(batch)),
                plan.left_out(),
                now=self.clock.now(),
            )
        if plan.source == "file" and batch.pruned_at is None:
            self.ledger.relabel(batch, plan.columns, plan.labels())
            batch = self.ledger.batch_by_id(batch.id)
        self.consent_to_send(batch, UNSENT, asked.account, yes=asked.consented)
        for order in self.ledger.orders(batch, [State.REJECTED]):
            if not order.own_key:
                record_next_generation(self.ledger, batch, order, self.clock.now())
        return batch

    # --- consent -------------------------------------------------------------------------------------------------

    def _consent(self, sums: Mapping[str, Decimal], items: int, account: str, *, live: bool, yes: bool) -> None:
        """Make sure that somebody wants live money to move."""
        if not live or yes:
            return
        total = f"{format_gifts(items)}, {format_money(sums)}"
        if self.ask is None:
            raise GuardRefused(
                f"Live money needs a yes: {total}, from account {account}. Nothing was sent.",
                "Without a terminal, add --yes, or --confirm-total with this total.",
                code="not_confirmed",
            )
        if not self.ask(f"Issue {total}, in live, from account {account}?"):
            raise GuardRefused("Not confirmed. Nothing was sent.", code="not_confirmed")

    def consent_to_key(self, batch: Batch, account: str, *, yes: bool) -> None:
        """Make sure that a batch begun under another key may go on. Raises GuardRefused.

        Runa sees duplicates only inside one account, and whether two keys share one, only a person can tell.
        """
        if batch.account == account or yes or not self.ledger.tally(batch).any(*UNFINISHED):
            return
        said = f"Batch {batch.name} was begun under the key {batch.account}.…, and this is {account}.…"
        if self.ask is None or not self.ask(f"{said}. Runa sees duplicates only inside one account. Is it the same?"):
            raise GuardRefused(
                f"{said}. Nothing was sent.",
                "If both keys belong to the same account, add --yes. If not, use the key it was begun under.",
                Context(batch=batch.name),
                code="key_changed",
            )

    def consent_to_send(self, batch: Batch, states: Sequence[State], account: str, *, yes: bool) -> None:
        """Make sure that what an earlier run left unsent may be sent. Raises GuardRefused."""
        tally = self.ledger.tally(batch)
        if left := sum(tally.items[state] for state in states):
            self._consent(tally.sums(states), left, account, live=batch.environment == "live", yes=yes)

    # --- working on a batch --------------------------------------------------------------------------------------

    @contextmanager
    def claimed(self, batch: Batch) -> Iterator[None]:
        """Work on a batch alone. Raises BatchBusy while another process does."""
        if not self.ledger.claim(batch):
            raise BatchBusy(
                f"Another process works on batch {batch.name} right now. Nothing was sent by this one.",
                "Wait until it has ended; the same command then shows its result.",
                Context(batch=batch.name),
            )
        try:
            yield
        finally:
            self.ledger.release(batch)

    def _say_what_is_done(self, batch: Batch, tally: Tally) -> None:
        """Tell what an earlier run has issued from what this one is about to send."""
        done, left = tally.items[State.COMPLETED], sum(tally.items[state] for state in UNFINISHED)
        if done and left:
            self.say(f"Batch {batch.name} goes on: {format_gifts(done)} issued before, {format_gifts(left)} left.")
        elif done == sum(tally.items.values()):
            self.say(f"Batch {batch.name} is issued already: nothing is sent, its recorded result is shown.")

    def finish(self, batch: Batch) -> BatchRun:
        """Send and settle every unfinished order of a claimed batch.

        Raises LedgerUnusable before anything is sent, and OutcomeUnknown where the ledger fails after that.
        """
        run = BatchRun(batch)
        tally = self.ledger.tally(batch)
        self._say_what_is_done(batch, tally)
        self.progress.begin(batch, tally)
        for order in self.ledger.orders(batch, SETTLED):
            run.add_failure(order, recorded_failure(order, context(batch, order)))
            self.progress.settled(order)
        crew = WorkerPool(self.concurrency, self.say)
        settler = OrderFlow(
            ledger=self.ledger,
            client=self.client,
            batch=batch,
            terms=self.terms,
            progress=self.progress,
            say=self.say,
            rate_limit=self.governor,
            stopping=crew.stopping,
            clock=self.clock,
        )

        def settle(order_row: int) -> None:
            settled = settler.settle(self.ledger.order(order_row))
            if isinstance(settled.failure, LedgerUnusable):
                crew.stop()  # nothing more can be sent
            run.add_failure(settled.order, settled.failure)
            if isinstance(settled.failure, CredentialRefused):
                crew.stop()  # the next order would be refused for the same reason

        unfinished = [order.id for order in self.ledger.orders(batch, UNFINISHED)]
        with _while_sending(batch):
            try:
                crew.run(unfinished, settle)
                run.interrupted = crew.interrupted
            except KeyboardInterrupt:
                crew.stop()
                run.interrupted = True
            finally:
                run.left_in_flight = crew.active
                run.tally = self.ledger.tally(batch)
                self.progress.end(run.tally)
        return run


@contextmanager
def before_sending() -> Iterator[None]:
    """Do what comes before the first order is sent: whoever interrupts it has moved no money. Raises Interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("Interrupted. Nothing was sent.") from None


@contextmanager
def _while_sending(batch: Batch) -> Iterator[None]:
    """Do what may move money: a ledger that fails now leaves open what became of it. Raises OutcomeUnknown."""
    try:
        yield
    except LedgerUnusable as error:
        raise batch_not_readable(batch, error) from error
