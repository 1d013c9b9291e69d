"""What the ledger holds of the references of a plan, where each reference is the id of one gift (`--by-reference`).

A reference is known if a gift was recorded under it in any batch of the environment. What Runa rejected does not count,
for nothing was issued, and with --again what FAILED or was abandoned does not count either. A known gift is left out of
the plan and its recorded result is shown; a known reference of another gift is refused.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from runa_cli.core.errors import Context, GuardRefused
from runa_cli.core.identity import GiftIdentity
from runa_cli.core.states import GIVEN_UP, State
from runa_cli.input.plan import Plan
from runa_cli.input.problems import MOST_LISTED
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.overlap import Overlap
from runa_cli.issuing.refusals import GiftsRefused, Reasons
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order, Recorded, Referenced, SameGift

_ALL = frozenset(State)
_ELSEWHERE = 0  # in place of the id of a row that this ledger does not have
# Where several gifts have one reference, the one that came furthest is meant.
_PROGRESS = (State.ABANDONED, State.FAILED, State.PREPARED, State.SENT, State.ACCEPTED, State.COMPLETED)


class ReferencesKnown(Exception):
    """Another process has recorded one of the new references meanwhile: the caller must match them again."""


class KnownOrders(Struct):
    """The orders that hold the known gifts of a plan: the state of each by the ids of batch and order.

    `gifts` counts the known gifts by the id of their batch.
    """

    states: dict[int, dict[int, State]] = field(default_factory=dict)
    gifts: Counter[int] = field(default_factory=Counter)

    def add(self, found: Referenced) -> None:
        """Add the order of a gift."""
        self.states.setdefault(found.batch_id, {})[found.order_row] = found.gift.state
        self.gifts[found.batch_id] += 1

    def rows(self, batch_id: int, states: frozenset[State] = _ALL) -> set[int]:
        """Return the ids of the orders of a batch that are in one of these states."""
        return {row for row, state in self.states[batch_id].items() if state in states}

    def batches(self, states: frozenset[State] = _ALL) -> list[int]:
        """Return the ids of the batches that have an order in one of these states, oldest first."""
        return [batch_id for batch_id in sorted(self.states) if self.rows(batch_id, states)]


def match(ledger: Ledger | None, plan: Plan, request: CreateRequest, elsewhere: Sequence[Recorded] = ()) -> KnownOrders:
    """Leave the known gifts out of the plan, and return their orders.

    `elsewhere` are gifts that are not recorded here, but count as known; their orders are not returned. Raises
    GuardRefused, naming the rows, where a reference is known for another gift.
    """
    known, changed, refused = KnownOrders(), list[Recorded](), dict[GiftIdentity, str]()

    def known_gifts() -> Iterator[tuple[str, str, int]]:
        for key, same_gift, found in _find(ledger, plan, request, elsewhere):
            if found.gift.same_gift == same_gift:
                if found.batch_id != _ELSEWHERE:
                    known.add(found)
                yield key, same_gift, found.gift.id
            else:
                refused[GiftIdentity(same_gift, key)] = f"recorded for another gift ({found.gift.state})"
                if len(changed) < MOST_LISTED:
                    changed.append(found.gift)

    plan.leave_out_known(known_gifts())
    if refused:
        raise _changed(plan, changed, refused)
    return known


def check_new(ledger: Ledger, plan: Plan, request: CreateRequest) -> None:
    """Check that the references that are not left out of the plan are still new. Raises ReferencesKnown."""
    for chunk in plan.references(left=True):
        found = ledger.referenced(request.environment, [key for key, _ in chunk])
        if any(_counts(other.gift, request) for other in found):
            raise ReferencesKnown


def check_elsewhere(plan: Plan, request: CreateRequest, batch: str, elsewhere: Iterable[Recorded]) -> None:
    """Check the gifts that are not left out of the plan against gifts of a batch that are not recorded here.

    Raises GuardRefused where one of those is the same, and has no reference.
    """
    if request.again:
        return
    by_gift = {gift.same_gift: gift for gift in elsewhere if not gift.reference_key}
    gifts = [
        (identity, SameGift(identity, None, _ELSEWHERE, batch, same.state, same.item, same.id, None))
        for identities in plan.identities_left()
        for identity in identities
        if (same := by_gift.get(identity.gift))
    ]
    if gifts:
        raise issued_otherwise(Overlap(plan, gifts))


def issued_otherwise(overlap: Overlap) -> GuardRefused:
    """Return the error for gifts with new references that were issued under another spelling, or without one."""
    if overlap.respelled:
        return overlap.refused(
            f"{overlap.count} of the gifts with a new reference were issued before, the last in batch"
            f" {overlap.newest}. Nothing was sent.",
            "Write the references as they were recorded. If they are other gifts, add --again; it also issues anew"
            " what failed or was abandoned.",
        )
    name = shlex.quote(overlap.newest)
    return overlap.refused(
        f"{overlap.count} of the gifts with a new reference are recorded without one, the last in batch"
        f" {overlap.newest}: they were issued without a reference, or from another ledger, and Runa keeps no"
        " references. Nothing was sent.",
        f"Take these rows out if they are the same gifts; `runa batch show {name}` shows what was issued. If they are"
        " meant once more, add --again; it also issues anew what failed or was abandoned.",
    )


def recorded_elsewhere(ledger: Ledger, batch: Batch, order: Order) -> Recorded | None:
    """Return a gift of another order that has a reference of this one and was recorded later or may be issued."""
    keys = [identity.reference for identity in ledger.identities(order) if identity.reference]
    found = ledger.referenced(batch.environment, keys)
    own = {other.gift.reference_key: other.gift.id for other in found if other.order_row == order.id}
    others = (other.gift for other in found if other.order_row != order.id)
    return next((gift for gift in others if _stands_against(gift, own[gift.reference_key])), None)


def _stands_against(gift: Recorded, own_id: int) -> bool:
    if gift.state in {State.REJECTED, State.FAILED}:
        return False
    return gift.id > own_id or gift.state not in {State.PREPARED, State.ABANDONED}


def _find(
    ledger: Ledger | None, plan: Plan, request: CreateRequest, elsewhere: Sequence[Recorded]
) -> Iterator[tuple[str, str, Referenced]]:
    """Yield reference key and identity of each gift of the plan whose reference is known, with what it stands for."""
    for chunk in plan.references():
        keys, by_key = [key for key, _ in chunk], dict[str, list[Referenced]]()
        recorded = ledger.referenced(request.environment, keys) if ledger else []
        others = [_as_elsewhere(gift) for gift in elsewhere if gift.reference_key in keys]
        for found in [*recorded, *others]:
            if _counts(found.gift, request):
                by_key.setdefault(found.gift.reference_key, []).append(found)
        for key, same_gift in chunk:
            if key in by_key:
                yield key, same_gift, max(by_key[key], key=lambda found: _rank(found.gift, same_gift))


def _as_elsewhere(gift: Recorded) -> Referenced:
    # Its number is not the id of a row; a negative one is none of this ledger's either.
    return Referenced(gift._replace(id=-gift.id), _ELSEWHERE, _ELSEWHERE)


def _counts(gift: Recorded, request: CreateRequest) -> bool:
    """Tell whether a recorded gift makes its reference known."""
    return gift.state is not State.REJECTED and not (request.again and gift.state in GIVEN_UP)


def _rank(gift: Recorded, same_gift: str) -> tuple[bool, bool, bool, int, int]:
    is_unsent = gift.state is State.PREPARED
    progress = _PROGRESS.index(gift.state)
    return gift.state not in GIVEN_UP, not is_unsent, gift.same_gift == same_gift, progress, gift.id


def _changed(plan: Plan, changed: Sequence[Recorded], refused: Reasons) -> GuardRefused:
    by_key = {gift.reference_key: gift for gift in changed}
    details: list[dict[str, object]] = []
    listed: list[str] = []
    for row, item, reference, key in plan.rows_referenced(by_key):
        gift = by_key[key]
        details.append({"row": row, "reference": reference, "order_id": gift.order_id, "state": str(gift.state)})
        was = "a gift that was pruned" if gift.item == "{}" else _describe(gift.item)
        listed.append(f"  row {row}, reference {reference}: {_describe(item)}; recorded was {was} ({gift.state})")
    count = len(refused)
    if count > len(listed):
        listed.append(f"  … and {count - len(listed)} more.")
    given_up = all(gift.state in GIVEN_UP for gift in changed)
    return GiftsRefused(
        f"{count} of the references are recorded with another recipient, value or products. Nothing was sent.\n"
        + "\n".join(listed),
        "Give these rows as they were recorded; another gift needs a reference of its own."
        + (" What failed or was abandoned is issued anew with --again." if given_up else ""),
        Context(),
        details,
        code="reference_changed",
        gifts=refused,
    )


def _describe(item: str) -> str:
    """Describe a gift by value, products and recipient."""
    row = results.row_from_item(item)
    return f"{row.face_value} of {'|'.join(row.products)} to {row.recipient or 'a payout link'}"
