"""Finds of which rows of an input an order of payout links was made, by the digest of their labels.

An order that is stamped with the digest was made of rows that followed one another. A file that was issued in parts, or
has grown since, makes other orders now, but has these rows still, and the digest proves them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from runa_cli.api import canonical, responses
from runa_cli.core.identity import full_label, labels_digest
from runa_cli.input.plan import Plan, PlannedGift, PlannedOrder, is_link, planned_order
from runa_cli.issuing.batch_lookup import FoundOrder


def labelled_runs(plan: Plan, found: Sequence[FoundOrder]) -> Iterator[tuple[FoundOrder, PlannedOrder]]:
    """Yield orders with the gifts of the plan that have the same labels in the same order, each order once.

    Two orders of equal labels are found with the same gifts.
    """
    wanted: dict[int, dict[str, list[FoundOrder]]] = {}
    for order in found:
        labels = canonical.stamped_labels(order.document)
        items = responses.read_object(order.document).get("items")
        if labels is not None and isinstance(items, list):
            wanted.setdefault(len(items), {}).setdefault(labels, []).append(order)
    for length, by_labels in wanted.items():
        for labels, planned in _runs(plan, length):
            yield from ((order, planned()) for order in by_labels.pop(labels or "", []))
            if not by_labels:
                break


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
