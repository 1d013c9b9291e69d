"""What a create is weighed against before anything is sent: the cap, and what was asked for and issued before.

What was asked for before goes on or is refused; only what is new is issued.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from runa_cli.core.clock import Clock
from runa_cli.core.errors import Context, GuardRefused
from runa_cli.core.money import format_money
from runa_cli.core.states import UNFINISHED, UNSENT, State
from runa_cli.input.plan import Plan
from runa_cli.input.problems import MOST_LISTED
from runa_cli.issuing.failures import context
from runa_cli.issuing.terms import Say
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Recorded, Tally

SAME_ORDER_AGAIN = timedelta(minutes=10)  # within it, typing the same order twice is more likely a slip than a wish
STILL_AWAITED = timedelta(
    days=1
)  # that long, the links of an order that was cut off before it was shown are waited for


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


@dataclass(frozen=True)
class Guard:
    """Holds a create against the ledger."""

    ledger: Ledger
    clock: Clock
    say: Say

    def recorded(self, plan: Plan, asked: Asked, known: list[Batch]) -> Batch | None:
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

    def check_overlap(self, plan: Plan, asked: Asked) -> None:
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


def check_total(sums: Mapping[str, Decimal], asked: Asked) -> None:
    """Hold the total against the cap and the total that was confirmed. Raises GuardRefused."""
    # One cap cannot be converted, so it holds for all currencies together.
    if asked.max_total is not None and sum(sums.values()) > asked.max_total:
        raise GuardRefused(
            f"The total of {format_money(sums)} is above the cap of {asked.max_total:,.2f}. Nothing was sent.",
            "Raise --max-total (or RUNA_MAX_TOTAL) if it is meant; it holds for all currencies together.",
            code="above_max_total",
        )
    if asked.confirm_total is not None and list(sums.values()) != [asked.confirm_total]:
        raise GuardRefused(
            f"The total is {format_money(sums)}, but {asked.confirm_total:,.2f} was confirmed. Nothing was sent.",
            "Check the input; --confirm-total must be its exact total, in one currency.",
            code="total_differs",
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
    line = results.row_from_item(gift.item)
    order = f", order {gift.order_id}" if gift.order_id else ""
    return f"{line.face_value} to {line.recipient or 'a payout link'} ({gift.state}{order})"
