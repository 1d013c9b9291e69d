"""Checks a create before anything is sent: against the cap, and against what the ledger has issued before.

What was asked for before is resumed or refused; only what is new is issued.
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
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.failures import context
from runa_cli.issuing.terms import Say
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Recorded, Tally

SAME_ORDER_AGAIN = timedelta(minutes=10)  # within it, the same order from flags is more likely a slip than meant
# Within it, the same command shows an order that was settled but never shown, instead of refusing it as a duplicate.
NOT_SHOWN_YET = timedelta(days=1)


@dataclass(frozen=True)
class Guard:
    """Checks a create against the ledger."""

    ledger: Ledger
    clock: Clock
    say: Say

    def find_recorded(self, plan: Plan, request: CreateRequest, known: list[Batch]) -> Batch | None:
        """Return the batch in which this was asked for before, or None where it is new. Raises GuardRefused."""
        if request.idempotency_key is not None:
            return self._by_key(plan, request, request.idempotency_key, known)
        if request.batch is not None:
            return self.ledger.batch(request.environment, request.batch)
        return self._by_content(plan, request, known)

    def _by_key(self, plan: Plan, request: CreateRequest, key: str, known: list[Batch]) -> Batch | None:
        order = self.ledger.order_by_key(request.environment, key)
        named = self.ledger.batch(request.environment, request.batch) if request.batch else None
        if order is None and named is None:
            other = None if request.again or request.batch else self._by_content(plan, request, known)
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

    def _by_content(self, plan: Plan, request: CreateRequest, known: list[Batch]) -> Batch | None:
        """Return the batch of the same content that this run resumes, or None. Raises GuardRefused."""
        for batch in known:
            tally = self.ledger.tally(batch)
            if not tally.any(*(frozenset(State) - {State.REJECTED})) and next(self.ledger.orders(batch)).own_key:
                continue  # Runa keeps answering the rejection to its own key, and nothing else of the batch is left
            if self._is_unfinished(plan, batch, tally, again=request.again):
                return batch
            if not request.again and self._is_duplicate(plan, batch, tally):
                raise self._duplicate(batch, tally)
        return None

    def _is_unfinished(self, plan: Plan, batch: Batch, tally: Tally, *, again: bool) -> bool:
        """Tell whether a batch is not done yet for the person who asked: unfinished, or its links never shown."""
        if again and batch.shown_at is not None:
            # Accepted and shown counts as done, so the same is issued once more; unknown or unsent orders come first.
            return tally.any(State.SENT, *UNSENT)
        if tally.any(*UNFINISHED, State.REJECTED):
            return True
        unseen = batch.shown_at is None and tally.any(State.COMPLETED, State.FAILED)
        return unseen and (self._settled_within(tally, NOT_SHOWN_YET) or (plan.source == "file" and not again))

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
            became, hint = "was abandoned, and may have been issued,", f"`runa batch show {name}` tells more."
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

    def check_overlap(self, plan: Plan, request: CreateRequest) -> None:
        """Check a new file against those issued before. Raises GuardRefused where it holds some of their gifts.

        A file that grew has another fingerprint, so its old rows would be paid again. A name, or `--again`, says that
        this is meant; under a name it is still noted, because names are mistyped.
        """
        if request.again or plan.source != "file":
            return
        count, newest = 0, None
        for identities in plan.identities():
            found, batch = self.ledger.issued_before(request.environment, identities)
            count, newest = count + found, batch or newest
        if not count or newest is None:
            return
        message = f"{count} of the {plan.item_count} gifts in this file were issued before, the last in batch {newest}"
        if request.batch is not None:
            self.say(f"Note: {message}; batch {request.batch} issues them once more.")
            return
        raise GuardRefused(
            f"{message}. Nothing was sent.",
            f"`--batch {shlex.quote(newest)}` issues only the rows that are new to that batch. If all of it is meant"
            " once more, add --again, or a --batch name of its own.",
            Context(batch=newest),
            code="duplicate",
        )


def check_cap(sums: Mapping[str, Decimal], max_total: Decimal | None, batch: str | None = None) -> None:
    """Check the total of a batch against the cap. Raises GuardRefused."""
    # A cap has no currency to convert into, so it holds for the sum over all currencies.
    if max_total is not None and sum(sums.values()) > max_total:
        raise GuardRefused(
            f"The total of {format_money(sums)} is above the cap of {max_total:,.2f}. Nothing was sent.",
            f"Raise {'RUNA_MAX_TOTAL' if batch else '--max-total (or RUNA_MAX_TOTAL)'} if it is meant; it holds for all"
            " currencies together.",
            Context(batch=batch),
            code="above_max_total",
        )


def check_total(sums: Mapping[str, Decimal], request: CreateRequest) -> None:
    """Check the total against the cap and the total that was confirmed. Raises GuardRefused."""
    check_cap(sums, request.max_total)
    if request.confirm_total is not None and list(sums.values()) != [request.confirm_total]:
        raise GuardRefused(
            f"The total is {format_money(sums)}, but {request.confirm_total:,.2f} was confirmed. Nothing was sent.",
            "Check the input; --confirm-total must be its exact total, in one currency.",
            code="total_differs",
        )


def leave_out_issued(ledger: Ledger, batch: Batch, plan: Plan) -> None:
    """Leave what a batch has issued out of its edited plan.

    Raises GuardRefused, naming the rows, when a gift that was issued is missing or changed in the plan. Gifts that
    FAILED or were abandoned may be missing: they are not issued again by themselves, and a person may correct them.
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
    """Describe a recorded gift: value, recipient, state and order."""
    line = results.row_from_item(gift.item)
    order = f", order {gift.order_id}" if gift.order_id else ""
    return f"{line.face_value} to {line.recipient or 'a payout link'} ({gift.state}{order})"
