"""Checks a create before anything is sent: against the cap, and against what the ledger has issued before.

What was asked for before is resumed or refused; only what is new is issued.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

from msgspec import Struct

from runa_cli.api.canonical import stamped_labels
from runa_cli.core.clock import Clock
from runa_cli.core.errors import Context, GuardRefused
from runa_cli.core.identity import GiftIdentity, label_text
from runa_cli.core.money import format_money
from runa_cli.core.states import GIVEN_UP, UNFINISHED, UNSENT, State
from runa_cli.input.plan import Plan
from runa_cli.input.problems import MOST_LISTED
from runa_cli.input.request import CreateRequest
from runa_cli.issuing import links_in_doubt, references
from runa_cli.issuing.failures import context, pruned
from runa_cli.issuing.overlap import MOST_NAMED, Overlap, describe_item
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order, Recorded, SameGift, Tally
from runa_cli.ledger.rows import from_list

SAME_ORDER_AGAIN = timedelta(minutes=10)  # within it, the same order from flags is more likely a slip than meant
# Within it, the same command shows an order that was settled but never shown, instead of refusing it as a duplicate.
NOT_SHOWN_YET = timedelta(days=1)
_NOT_REJECTED = frozenset(State) - {State.REJECTED}  # something was issued, or may be yet


class Guard(Struct, frozen=True):
    """Checks a create against the ledger."""

    ledger: Ledger
    clock: Clock

    # --- what was asked for before -------------------------------------------------------------------------------

    def find_recorded(self, plan: Plan, request: CreateRequest, known: list[Batch]) -> Batch | None:
        """Return the batch in which this was asked for before, or None where it is new. Raises GuardRefused."""
        if request.idempotency_key is not None:
            return self._by_key(plan, request, request.idempotency_key, known)
        if request.batch is not None:
            return self._by_name(request.environment, request.batch)
        if request.by_reference:
            return None  # what is left of the plan is new: the same content can only be what Runa rejected
        return self._by_content(plan, request, known)

    def _by_name(self, environment: str, name: str) -> Batch | None:
        batch = self.ledger.batch(environment, name)
        if batch is None and (others := self.ledger.batches_named(environment, name)):
            raise GuardRefused(
                f"There is a batch {others[0].name}, which differs from {name} only in case. Nothing was sent.",
                f"Write --batch {shlex.quote(others[0].name)} if that is meant, or choose another name.",
                Context(batch=others[0].name),
                code="name_differs_in_case",
            )
        return batch

    def _by_key(self, plan: Plan, request: CreateRequest, key: str, known: list[Batch]) -> Batch | None:
        order = self.ledger.order_by_key(request.environment, key)
        named = self._by_name(request.environment, request.batch) if request.batch else None
        if order is None and named is None:
            other = None if request.again or request.batch else self._by_content(plan, request, known)
            if other is not None and (tally := self.ledger.tally(other)).any(*_NOT_REJECTED):
                raise self._duplicate(other, tally)
            return None
        batch = None if order is None else self.ledger.batch_by_id(order.batch_id)
        if batch is None or batch.fingerprint != plan.fingerprint() or (named is not None and named.id != batch.id):
            raise GuardRefused(
                f"The key {key} was recorded for another order, or its batch under another key. Nothing was sent.",
                "One key stands for one order: give the same order, or another key.",
                Context(batch=named.name if named else None, idempotency_key=key),
                code="key_reused",
            )
        return batch

    def _by_content(self, plan: Plan, request: CreateRequest, known: list[Batch]) -> Batch | None:
        """Return the batch of the same content that this run resumes, or None. Raises GuardRefused."""
        for batch in known:
            tally = self.ledger.tally(batch)
            if not tally.any(*_NOT_REJECTED) and next(self.ledger.orders(batch)).own_key:
                continue  # Runa keeps answering the rejection to its own key, and nothing else of the batch is left
            if self._is_unfinished(plan, batch, tally, again=request.again):
                return batch
            if not request.again and self._is_duplicate(plan, batch, tally):
                raise self._duplicate(batch, tally)
        return None

    def _is_unfinished(self, plan: Plan, batch: Batch, tally: Tally, *, again: bool) -> bool:
        """Tell whether a batch is not done yet for the person who asked: unfinished, or its links never shown."""
        was_shown = tally.was_shown(batch)
        if again and was_shown:
            # Accepted and shown counts as done, so the same is issued once more; unknown or unsent orders come first.
            return tally.any(State.SENT, *UNSENT)
        if tally.any(*UNFINISHED, State.REJECTED):
            return True
        unseen = not was_shown and tally.any(State.COMPLETED, State.FAILED)
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
            became = "was issued"
            hint = (
                "The batch was pruned: its links are no longer recorded."
                if batch.pruned_at
                else f"`runa batch export {name}` shows its links again."
            )
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

    # --- gifts that the ledger holds already ---------------------------------------------------------------------

    def check_new(self, plan: Plan, request: CreateRequest) -> str | None:
        """Check the gifts of a new batch against all the ledger holds. Raises GuardRefused.

        A name says that gifts which were issued before are meant once more. Returns a note on that, because names are
        mistyped. Where gifts are known by their references, raises ReferencesKnown if one of those is not new.
        """
        if request.by_reference:
            references.check_new(self.ledger, plan, request)
        if request.again:
            return None
        links_in_doubt.check_new(self.ledger, plan, request)
        overlap = self._overlap(plan, request, None)
        if not overlap.gifts:
            return None
        self._check_unfinished(overlap, request)
        if request.by_reference:
            raise references.issued_otherwise(overlap)
        issued = overlap.issued(since=None if plan.source == "file" else self.clock.now() - SAME_ORDER_AGAIN)
        if not issued.gifts:
            return None
        gifts = "gifts in this file" if plan.source == "file" else "gifts"
        message = (
            f"{issued.count} of the {plan.item_count} {gifts} were issued before, the last in batch {issued.newest}"
        )
        if request.batch is not None:
            self._check_seen(issued)
            return f"{message}; batch {request.batch} issues them once more."
        raise issued.refused(f"{message}. Nothing was sent.", self._ways_out(issued, request))

    def _check_seen(self, issued: Overlap) -> None:
        """Refuse to issue once more what nobody knows to be issued: its outcome was unknown when it was last told."""
        for batch in map(self.ledger.batch_by_id, {found.batch_id for _, found in issued.gifts}):
            if batch.named or batch.pruned_at is not None:
                continue
            tally = self.ledger.tally(batch)
            if tally.any(State.COMPLETED) and not tally.was_shown(batch):
                name, unseen = shlex.quote(batch.name), issued.in_batch(batch.id)
                raise unseen.refused(
                    f"{unseen.counted('was', 'were')} issued in batch {batch.name}, whose result was not shown yet."
                    " Nothing was sent. A name does not change that.",
                    f"`runa batch export {name}` shows it. If they are meant once more beside it, add --again.",
                )

    def _ways_out(self, issued: Overlap, request: CreateRequest) -> str:
        whole = self._that_takes(issued.plan, request, issued.batch_with_all)
        hint = "If all of it is meant once more, add --again, or a --batch name of its own."
        if issued.respelled:
            return f"Write the references as they were recorded. {hint}"
        return (
            f"`--batch {shlex.quote(whole)}` issues only the rows that are new to that batch. {hint}" if whole else hint
        )

    def _that_takes(self, plan: Plan, request: CreateRequest, name: str | None) -> str | None:
        """Return the name of a batch if a plan could be issued under it: it is not pruned, and nothing is missing."""
        batch = self.ledger.batch(request.environment, name) if name else None
        if batch is None or batch.pruned_at is not None:
            return None
        try:
            leave_out_issued(self.ledger.held(batch), batch.name, batch.columns, plan)
        except GuardRefused:
            return None
        finally:
            plan.leave_nothing_out()
        return name

    def check_edited(self, plan: Plan, request: CreateRequest, name: str, batch: Batch | None) -> None:
        """Check the gifts that an edited batch would issue anew against all the ledger holds. Raises GuardRefused.

        `batch` is None where this ledger has not recorded the batch yet.
        """
        if request.again:
            return
        links_in_doubt.check_new(self.ledger, plan, request)
        overlap = self._overlap(plan, request, batch)
        if not overlap.gifts:
            return
        self._check_unfinished(overlap, request)
        raise overlap.refused(
            f"{overlap.count} of the gifts that batch {name} has not issued yet were issued before, the last in"
            f" batch {overlap.newest}. Nothing was sent.",
            "Take these rows out, or add --again if they are meant once more.",
        )

    def check_order(self, batch: Batch, order: Order, *, again: bool = False, by_reference: bool = False) -> None:
        """Check, before an order is sent for the first time, that its gifts were not recorded again since.

        Raises GuardRefused where another batch holds one of them that was recorded after it, or its own batch does in
        an order that was taken over from Runa, unless `again` says that this is meant; with `by_reference`, also where
        another order holds one of its references.
        """
        if by_reference and (other := references.recorded_elsewhere(self.ledger, batch, order)):
            raise GuardRefused(
                f"Order {order.position} of batch {batch.name} was not sent: its reference {other.reference} is"
                f" recorded in another order too, for {describe_item(other.item)} ({other.state}).",
                f"`runa batch abandon {shlex.quote(batch.name)}` gives the order up.",
                context(batch, order),
                code="duplicate",
            )
        if again:
            return
        links_in_doubt.check_order(self.ledger, batch, order)
        own = self.ledger.identities(order)
        for identity, found in self.ledger.same_gifts(batch.environment, own, own=order):
            if found.newest_id > own[identity] and found.state is not State.FAILED:
                name = shlex.quote(batch.name)
                raise GuardRefused(
                    f"Order {order.position} of batch {batch.name} was not sent: {describe_item(found.item)} was"
                    f" recorded again since, in batch {found.batch} ({found.state}).",
                    f"`runa batch abandon {name}` gives the order up. To issue it all the same, run the command that"
                    " created it with --again.",
                    context(batch, order),
                    code="duplicate",
                )

    def _check_unfinished(self, overlap: Overlap, request: CreateRequest) -> None:
        """Refuse gifts that are unfinished in another batch, and gifts that were abandoned."""
        unfinished = overlap.only(UNFINISHED)
        if unfinished.gifts:
            name = shlex.quote(unfinished.newest)
            without_name = "" if request.batch is None else " A name does not change that."
            raise unfinished.refused(
                f"{unfinished.counted('is', 'are')} unfinished in batch {unfinished.newest}. Nothing was sent."
                + without_name,
                f"`runa batch resume {name}` finishes it, `runa batch abandon {name}` gives it up. If they are meant"
                " once more beside it, add --again.",
            )
        abandoned = overlap.only({State.ABANDONED})
        if abandoned.gifts:
            raise abandoned.refused(
                f"{abandoned.counted('was', 'were')} abandoned in batch {abandoned.newest}, and may have been issued."
                " Nothing was sent.",
                f"`runa batch show {shlex.quote(abandoned.newest)}` tells more. To issue them all the same, add"
                " --again.",
            )

    def _overlap(self, plan: Plan, request: CreateRequest, batch: Batch | None) -> Overlap:
        """Return what the ledger holds of the gifts that are about to be recorded.

        Of the batch itself only what FAILED or was abandoned counts: it was left out of the input, and is back.
        """
        gifts: list[tuple[GiftIdentity, SameGift]] = []
        for identities in plan.identities_left():
            for identity, found in self.ledger.same_gifts(request.environment, identities):
                if batch is None or found.batch_id != batch.id or found.state in GIVEN_UP:
                    gifts.append((identity, found))
        return Overlap(plan, gifts)


def check_cap(sums: Mapping[str, Decimal], max_total: Decimal | None, batch: str | None = None) -> None:
    """Check the total of a batch against the cap. Raises GuardRefused."""
    # A cap has no currency to convert into, so it holds for the sum over all currencies.
    if max_total is not None and sum(sums.values()) > max_total:
        raise GuardRefused(
            f"The total of {format_money(sums)} is above the cap of {max_total:,f}. Nothing was sent.",
            f"Raise {'RUNA_MAX_TOTAL' if batch else '--max-total (or RUNA_MAX_TOTAL)'} if it is meant; it holds for all"
            " currencies together.",
            Context(batch=batch),
            code="above_max_total",
        )


def check_cap_beside(held: Mapping[str, Decimal], plan: Plan, max_total: Decimal | None) -> None:
    """Check what is left of a plan, and what its batch holds already, together against the cap. Raises GuardRefused."""
    left = plan.sums_left
    check_cap(
        {each: held.get(each, Decimal(0)) + left.get(each, Decimal(0)) for each in held.keys() | left.keys()}, max_total
    )


def check_confirmed_total(plan: Plan, request: CreateRequest, to_send: Mapping[str, Decimal] | None = None) -> None:
    """Check the confirmed total: that of the whole input, or of what is about to be sent. Raises GuardRefused.

    `to_send` is what is about to be sent, where orders of earlier runs are part of it: then the total of the input is
    enough only if no more than that is sent.
    """
    confirmed = request.confirm_total
    if confirmed is None:
        return
    left = plan.sums_left if to_send is None else to_send
    is_within = all(amount <= plan.sums.get(currency, 0) for currency, amount in left.items())
    if [confirmed] == list(left.values()) or (is_within and [confirmed] == list(plan.sums.values())):
        return
    raise GuardRefused(
        f"The total is {format_money(plan.sums)}, but {confirmed:,f} was confirmed. Nothing was sent.",
        "Check the input; --confirm-total must be its exact total, in one currency.",
        code="total_differs",
    )


def check_not_pruned(batch: Batch) -> None:
    """Check that a batch still has results to show. Raises GuardRefused."""
    if batch.pruned_at is not None:
        raise pruned(batch)


def leave_out_issued(
    held: Iterable[Recorded], name: str, columns: Sequence[str], plan: Plan, *, again: bool = False
) -> None:
    """Leave what a batch has issued out of its edited plan.

    `held` are the gifts of the batch whose money has moved or may have moved, their carried cells under `columns`.
    Raises GuardRefused, naming the rows, when a gift that was issued is missing or changed in the plan. Gifts that
    FAILED or were abandoned may be missing: they are not issued again by themselves, and a person may correct them.
    With `again` they are issued again.
    """
    missing: list[Recorded] = []
    count = 0
    meant = (gift for gift in held if not (again and gift.state in GIVEN_UP))
    for gift in plan.leave_out(meant, columns):
        if gift.state not in GIVEN_UP:
            count += 1
            if len(missing) < MOST_LISTED:
                missing.append(gift)
    if not count:
        return
    missing.sort(key=lambda gift: gift.row)
    # A reference that a spreadsheet has changed is another gift: the message must show it.
    by_reference = any(gift.reference for gift in missing)
    listed = [f"  row {gift.row}: {describe_recorded(gift, with_reference=by_reference)}" for gift in missing]
    if count > len(listed):
        listed.append(f"  … and {count - len(listed)} more.")
    if new := plan.rows_left(most=MOST_NAMED):
        listed += [
            "The input has new instead:",
            *(f"  row {row}: {describe_item(item, label, with_label=by_reference)}" for row, item, label in new),
        ]
    raise GuardRefused(
        f"Of the gifts that batch {name} has issued, {count:,} {'is' if count == 1 else 'are'} missing or changed in"
        " the input now. Nothing was sent.\n" + "\n".join(listed),
        "Put these rows back as they were. A further gift to the same person is a row of its own, or another batch.",
        Context(batch=name),
        [{"row": gift.row, "order_id": gift.order_id, "state": str(gift.state)} for gift in missing],
        code="batch_changed",
    )


def is_as_recorded(ledger: Ledger, batch: Batch, plan: Plan) -> bool:
    """Tell whether the orders left to send are the recorded ones, byte for byte, and no issued gift is missing.

    The labels of payout links count where the recorded order is stamped with them.

    What the batch has issued must have been left out of the plan.
    """
    unsent = [
        (order.body_sha256, stamped_labels(order.body))
        for order in ledger.orders(batch, UNSENT)
        if order.state is State.REJECTED or order.first_sent_at is None
    ]
    if plan.missing_count or len(unsent) != plan.order_count:
        return False
    return all(
        sha256 == order.body_sha256 and (labels is None or labels == order.labels)
        for (sha256, labels), order in zip(unsent, plan.orders(), strict=True)
    )


def describe_recorded(gift: Recorded, *, with_reference: bool = False) -> str:
    """Describe a recorded gift: value, recipient, state and order; perhaps with its reference."""
    order = f", order {gift.order_id}" if gift.order_id else ""
    label = label_text(gift.reference, from_list(gift.carried))
    described = describe_item(gift.item, label, with_label=with_reference and bool(gift.reference))
    return f"{described} ({gift.state}{order})"
