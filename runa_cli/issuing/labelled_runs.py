"""Finds of which rows of an input an order of payout links was made, by the digest of their labels.

An order that is stamped with the digest was made of rows that followed one another. A file that was issued in parts, or
has grown since, makes other orders now, but may have these rows still. Labels alone do not tell which of several links
is whose where these differ in value or products: the list read backwards may have the same labels in the same order.
Then the key of the order has to prove that its body was made of these very rows.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from runa_cli.api import canonical, responses
from runa_cli.core.identity import full_label, labels_digest
from runa_cli.input.plan import Plan, PlannedGift, PlannedOrder, is_link, planned_order
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.batch_lookup import FoundOrder

# What is tried to recognise a key: where an order stood in its batch, and how often Runa had rejected it.
MOST_POSITIONS, MOST_GENERATIONS = 500, 3


def labelled_runs(
    plan: Plan, request: CreateRequest, batch: str, found: Sequence[FoundOrder]
) -> Iterator[tuple[FoundOrder, PlannedOrder]]:
    """Yield orders of a batch with the gifts of the plan that they were certainly made of, each order once.

    Two orders of equal labels may be found with the same gifts.
    """
    wanted: dict[int, dict[str, list[FoundOrder]]] = {}
    for order in found:
        labels = canonical.stamped_labels(order.document)
        items = responses.read_object(order.document).get("items")
        if labels is not None and isinstance(items, list):
            wanted.setdefault(len(items), {}).setdefault(labels, []).append(order)
    for length, by_labels in wanted.items():
        for labels, make in _runs(plan, length):
            if not (orders := by_labels.get(labels or "")):
                continue
            planned = make()
            proved = [order for order in orders if _is_proved(order, planned, request, batch)]
            yield from ((order, planned) for order in proved)
            by_labels[labels or ""] = [order for order in orders if order not in proved]


def _is_proved(order: FoundOrder, planned: PlannedOrder, request: CreateRequest, batch: str) -> bool:
    """Tell whether the labels prove the gifts, because all links are the same; or else whether the key does."""
    if len({gift.item for gift in planned.gifts if is_link(gift)}) == 1:
        return True
    sha256 = planned.body_sha256
    return any(
        canonical.derive_key(request.environment, batch, position, generation, sha256) == order.stamp
        for generation in range(MOST_GENERATIONS)
        for position in range(1, MOST_POSITIONS)
    )


def _runs(plan: Plan, length: int) -> Iterator[tuple[str | None, Callable[[], PlannedOrder]]]:
    """Yield the digest of the labels of each run of so many gifts, and what makes an order of them."""
    for head, gifts in plan.heads():
        run: deque[PlannedGift] = deque(maxlen=length)
        labels: deque[str | list[list[str]] | None] = deque(maxlen=length)
        for each in gifts:
            run.append(each)
            gift = each.gift
            labels.append(full_label(gift.reference, gift.carried, plan.columns) if is_link(gift) else None)
            if len(run) == length:
                digest = labels_digest([label for label in labels if label is not None])
                yield digest, partial(planned_order, 0, head, [*run], plan.columns)
