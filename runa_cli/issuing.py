"""The only sequencer of money: weigh, guard, record, claim, send, resume.

A create is weighed against the ledger first. What was asked for before is resumed or refused; only what is new is
recorded, and only what is recorded and claimed is sent.
"""

import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from runa_cli import payload, results
from runa_cli.client import Client
from runa_cli.clock import REAL, Clock
from runa_cli.crew import Crew
from runa_cli.errors import BatchBusy, Context, CredentialRefused, GuardRefused, Interrupted, LedgerUnusable
from runa_cli.governor import Governor
from runa_cli.ledger import Ledger
from runa_cli.mistakes import MOST_LISTED
from runa_cli.plan import Plan
from runa_cli.records import SETTLED, Batch, NewBatch, NewOrder, Recorded, State, Tally
from runa_cli.runs import Run, gifts, money
from runa_cli.settling import Progress, Say, Settler, Terms, renew
from runa_cli.troubles import context, recorded_trouble

SAME_ORDER_AGAIN = timedelta(minutes=10)  # within it, typing the same order twice is more likely a slip than a wish
STILL_AWAITED = timedelta(
    days=1
)  # that long, the links of an order that was cut off before it was shown are waited for
UNFINISHED = frozenset(State) - SETTLED
UNSENT = (State.PREPARED, State.REJECTED)

Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Asked:
    """How a create was asked for: names, guards and consent. Amounts are in the currency of the face values."""

    environment: str
    account: str
    name: str | None = None
    idempotency_key: str | None = None
    again: bool = False
    mode: str = "auto"
    stamp: bool = True
    max_total: Decimal | None = None
    confirm_total: Decimal | None = None
    yes: bool = False

    @property
    def live(self) -> bool:
        """Whether real money moves."""
        return self.environment == "live"

    @property
    def consented(self) -> bool:
        """Whether the flags say that it is meant."""
        return self.yes or self.confirm_total is not None


@dataclass
class Issuing:
    """Issues batches: one ledger, one way to Runa, one way to talk to the person."""

    ledger: Ledger
    client: Client
    terms: Terms
    progress: Progress
    say: Say
    ask: Ask | None = None
    concurrency: int = 1
    governor: Governor = field(default_factory=Governor)
    clock: Clock = REAL

    # --- create --------------------------------------------------------------------------------------------------

    @contextmanager
    def create(self, plan: Plan, asked: Asked, preflight: Callable[[Plan], None] | None = None) -> Iterator[Run]:
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
        while True:
            known = self.ledger.batches_with(asked.environment, fingerprint)
            batch = self._recorded(plan, asked, known)
            if batch is not None:
                if asked.name is None and self.ledger.tally(batch).any(*UNFINISHED):
                    self.say(f"This was begun as batch {batch.name} and is unfinished: it goes on.")
                return batch, False
            self._weigh_overlap(plan, asked)
            self._consent(plan.sums, plan.item_count, asked.account, live=asked.live, yes=asked.consented)
            if preflight:
                preflight(plan)
            name = asked.name or made_up_name(self.clock)
            batch = self.ledger.record(
                content(plan, asked, name, fingerprint),
                new_orders(plan, asked, name),
                known=[other.id for other in known],
                now=self.clock.now(),
            )
            if batch is not None:
                return batch, True

    def _weigh_overlap(self, plan: Plan, asked: Asked) -> None:
        """Hold a new file against those issued before. Raises GuardRefused where gifts stand in both.

        A file that grew is another file to the ledger, and its old rows would be paid again. A name, or `--again`, says
        that this is meant; under a name it is still worth a note, for names are mistyped.
        """
        if asked.again or plan.source != "file":
            return
        counted, newest = 0, None
        for identities in plan.identities():
            found, batch = self.ledger.issued_before(asked.environment, identities)
            counted, newest = counted + found, batch or newest
        if not counted or newest is None:
            return
        said = f"{counted} of the {plan.item_count} gifts in this file were issued before, the last in batch {newest}"
        if asked.name is not None:
            self.say(f"Note: {said}; batch {asked.name} issues them once more.")
            return
        raise GuardRefused(
            f"{said}. Nothing was sent.",
            f"`--batch {shlex.quote(newest)}` issues only the rows that are new to that batch. If all of it is meant"
            " once more, add --again, or a --batch name of its own.",
            Context(batch=newest),
            code="duplicate",
        )

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
                content(plan, asked, batch.name, fingerprint),
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
                renew(self.ledger, batch, order, self.clock.now())
        return batch

    def _recorded(self, plan: Plan, asked: Asked, known: list[Batch]) -> Batch | None:
        """Return the batch in which this was asked for before, or None where it is new. Raises GuardRefused."""
        if asked.idempotency_key is not None:
            return self._by_key(plan, asked, asked.idempotency_key, known)
        if asked.name is not None:
            return self.ledger.batch(asked.environment, asked.name)
        return self._by_content(plan, asked, known)

    def _by_key(self, plan: Plan, asked: Asked, key: str, known: list[Batch]) -> Batch | None:
        order = self.ledger.order_by_key(asked.environment, key)
        named = self.ledger.batch(asked.environment, asked.name) if asked.name else None
        if order is None and named is None:
            other = None if asked.again or asked.name else self._by_content(plan, asked, known)
            if other is not None:
                raise self._duplicate(other, self.ledger.tally(other))
            return None
        digests = [planned.body_sha256 for planned in plan.orders()]
        if order is None or [order.body_sha256] != digests or (named is not None and named.id != order.batch_id):
            raise GuardRefused(
                f"The key {key} was recorded for another order, or its batch under another key. Nothing was sent.",
                "One key stands for one order: give the same order, or another key.",
                Context(batch=named.name if named else None, idempotency_key=key),
                code="key_reused",
            )
        return self.ledger.batch_by_id(order.batch_id)

    def _by_content(self, plan: Plan, asked: Asked, known: list[Batch]) -> Batch | None:
        """Return the batch of the same content that this run goes on with, or None. Raises GuardRefused."""
        for batch in known:
            tally = self.ledger.tally(batch)
            if not tally.any(*(frozenset(State) - {State.REJECTED})) and next(self.ledger.orders(batch)).own_key:
                continue  # a key of their own is burnt with its rejection, and nothing else of the batch is left
            if self._goes_on(plan, batch, tally, again=asked.again):
                return batch
            if not asked.again and self._is_duplicate(plan, batch, tally):
                raise self._duplicate(batch, tally)
        return None

    def _goes_on(self, plan: Plan, batch: Batch, tally: Tally, *, again: bool) -> bool:
        """Tell whether a batch is not done yet as far as the person knows: unfinished, or its links never shown."""
        if again and batch.shown_at is not None:
            # What was accepted and shown is done: once more is meant. What is unknown or unsent comes first.
            return tally.any(State.SENT, *UNSENT)
        if tally.any(*UNFINISHED, State.REJECTED):
            return True
        unseen = batch.shown_at is None and tally.any(State.COMPLETED, State.FAILED)
        return unseen and (self._settled_within(tally, STILL_AWAITED) or (plan.source == "file" and not again))

    def _is_duplicate(self, plan: Plan, batch: Batch, tally: Tally) -> bool:
        if tally.any(State.ABANDONED):
            return True
        both_files = plan.source == "file" and batch.source == "file"
        return tally.any(State.COMPLETED, State.FAILED) and (
            both_files or self._settled_within(tally, SAME_ORDER_AGAIN)
        )

    def _settled_within(self, tally: Tally, time: timedelta) -> bool:
        return tally.settled_at is not None and self.clock.now() - tally.settled_at < time

    def _duplicate(self, batch: Batch, tally: Tally) -> GuardRefused:
        order = next(self.ledger.orders(batch))
        name = shlex.quote(batch.name)
        if tally.any(State.ABANDONED):
            became, hint = "was given up, and may have been issued,", f"`runa batch show {name}` tells more."
        elif tally.any(State.COMPLETED):
            became, hint = "was issued", f"`runa batch export {name}` shows its links again."
        elif tally.any(State.FAILED):
            became = "was ordered, and Runa reported it FAILED,"
            hint = "Ask ordersupport@runa.io with the order's id before issuing it again."
        else:
            became, hint = "is recorded", f"`runa batch resume {name}` finishes it."
        return GuardRefused(
            f"The same {became} on {batch.created_at.astimezone():%Y-%m-%d at %H:%M:%S} as batch {batch.name}."
            " Nothing was sent.",
            f"{hint} If it is meant once more, add --again.",
            context(batch, order),
            code="duplicate",
        )

    # --- consent -------------------------------------------------------------------------------------------------

    def _consent(self, sums: Mapping[str, Decimal], items: int, account: str, *, live: bool, yes: bool) -> None:
        """Make sure that somebody wants live money to move."""
        if not live or yes:
            return
        total = f"{gifts(items)}, {money(sums)}"
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
            self.say(f"Batch {batch.name} goes on: {gifts(done)} issued before, {gifts(left)} left.")
        elif done == sum(tally.items.values()):
            self.say(f"Batch {batch.name} is issued already: nothing is sent, its recorded result is shown.")

    def finish(self, batch: Batch) -> Run:
        """Send and settle every unfinished order of a claimed batch."""
        run = Run(batch)
        tally = self.ledger.tally(batch)
        self._say_what_is_done(batch, tally)
        self.progress.begin(batch, tally)
        for order in self.ledger.orders(batch, SETTLED):
            run.note(order, recorded_trouble(order, context(batch, order)))
            self.progress.settled(order)
        crew = Crew(self.concurrency, self.say)
        settler = Settler(
            ledger=self.ledger,
            client=self.client,
            batch=batch,
            terms=self.terms,
            progress=self.progress,
            say=self.say,
            governor=self.governor,
            stopping=crew.stopping,
            clock=self.clock,
        )

        def settle(order_row: int) -> None:
            settled = settler.settle(self.ledger.order(order_row))
            if isinstance(settled.trouble, LedgerUnusable):
                crew.stop()  # nothing more can be sent
            run.note(settled.order, settled.trouble)
            if isinstance(settled.trouble, CredentialRefused):
                crew.stop()  # the next order would be refused for the same reason

        try:
            run.interrupted = crew.work([order.id for order in self.ledger.orders(batch, UNFINISHED)], settle)
        except KeyboardInterrupt:  # a person who does not even wait for the answer to the first one
            run.interrupted = True
        finally:
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


def made_up_name(clock: Clock) -> str:
    """Return a name for a batch that was given none."""
    return f"{clock.now():%Y-%m-%d}-{secrets.token_hex(5)}"


def content(plan: Plan, asked: Asked, name: str, fingerprint: str) -> NewBatch:
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


def leave_out_issued(ledger: Ledger, batch: Batch, plan: Plan) -> None:
    """Leave what a batch has issued out of its edited plan.

    Raises GuardRefused, naming the rows, when something that was issued is missing or changed in the plan. What FAILED
    or was given up may be missing: it is not issued again by itself, and mending it is a person's wish.
    """
    missing: list[Recorded] = []
    count = 0
    for gift in plan.leave_out(ledger.held(batch)):
        if gift.state not in {State.FAILED, State.ABANDONED}:
            count += 1
            if len(missing) < MOST_LISTED:
                missing.append(gift)
    if not count:
        return
    missing.sort(key=lambda gift: gift.row)
    listed = [f"  row {gift.row}: {described(gift)}" for gift in missing]
    if count > len(listed):
        listed.append(f"  … and {count - len(listed)} more.")
    raise GuardRefused(
        f"Batch {batch.name} has issued {count} gift(s) that are missing or changed in the input now."
        " Nothing was sent.\n" + "\n".join(listed),
        "Put these rows back as they were. A further gift to the same person is a row of its own, or another batch.",
        Context(batch=batch.name),
        [{"row": gift.row, "order_id": gift.order_id, "state": str(gift.state)} for gift in missing],
        code="batch_changed",
    )


def described(gift: Recorded) -> str:
    """Say what a recorded gift is, and where it went."""
    line = results.item_line(gift.item)
    order = f", order {gift.order_id}" if gift.order_id else ""
    return f"{line.face_value} to {line.recipient or 'a payout link'} ({gift.state}{order})"


def new_orders(plan: Plan, asked: Asked, batch: str, *, after: int = 0) -> Iterator[NewOrder]:
    """Yield the plan's orders with their keys and final bytes, at the positions behind `after`."""
    for planned in plan.orders():
        sha256 = planned.body_sha256
        position = planned.position + after
        key = asked.idempotency_key or payload.derive_key(asked.environment, batch, position, 0, sha256)
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


def check_total(sums: Mapping[str, Decimal], asked: Asked) -> None:
    """Hold the total against the cap and the total that was confirmed. Raises GuardRefused."""
    # One cap cannot be converted, so it holds for all currencies together.
    if asked.max_total is not None and sum(sums.values()) > asked.max_total:
        raise GuardRefused(
            f"The total of {money(sums)} is above the cap of {asked.max_total:,.2f}. Nothing was sent.",
            "Raise --max-total (or RUNA_MAX_TOTAL) if it is meant; it holds for all currencies together.",
            code="above_max_total",
        )
    if asked.confirm_total is not None and list(sums.values()) != [asked.confirm_total]:
        raise GuardRefused(
            f"The total is {money(sums)}, but {asked.confirm_total:,.2f} was confirmed. Nothing was sent.",
            "Check the input; --confirm-total must be its exact total, in one currency.",
            code="total_differs",
        )
