"""What `ledger check` tells of what it has found: as sentences for people, as a document for programs."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from runa_cli.core.money import counted, format_gifts, format_money, plain_amount

if TYPE_CHECKING:
    from runa_cli.issuing.lost_orders import FoundBatch
    from runa_cli.issuing.reading_back import ReadBack
    from runa_cli.ledger.restoration import PassedOver

MOST_NAMED = 10  # orders or batches in a message; the JSON has all


def sentences(found: "ReadBack", *, leaves: bool) -> list[str]:
    """Return what a check has found; `leaves`: whether a person left orders out that are in doubt."""
    from runa_cli.issuing.reading_back import IN_DOUBT, NOTHING_ISSUED, OTHERS

    batches = sorted(found.batches.values(), key=lambda batch: batch.name)
    said = [_batch_sentence(batch) for batch in batches[:MOST_NAMED]]
    if len(batches) > MOST_NAMED:
        said.append(f"… and {len(batches) - MOST_NAMED} more batches (`runa batch list`).")
    said = said or [f"Nothing was missing; {counted(found.read, 'order')} had to be read."]
    by_reason: dict[str, int] = {}
    for order in found.passed.values():
        by_reason[order.reason] = by_reason.get(order.reason, 0) + 1
    if others := by_reason.get(OTHERS):
        said.append(f"Not recorded here: {counted(others, 'order')} that another ledger issued without a batch name.")
    if failed := by_reason.get(NOTHING_ISSUED):
        said.append(f"Not recorded here: {counted(failed, 'order')} that FAILED, so that nothing was issued.")
    if leaves and (left := sum(by_reason.get(reason, 0) for reason in IN_DOUBT)):
        said.append(f"Not recorded here, as you say: {counted(left, 'order')} without a stamp.")
    if found.repeated:
        said.append(
            f"Warning: {', '.join(found.repeated[:MOST_NAMED])} have the same key as another order: their gifts were"
            " issued twice, after Runa had forgotten the key. They are recorded beside it."
        )
    return said


def _batch_sentence(batch: "FoundBatch") -> str:
    how = [f"{batch.adopted} not known before"] if batch.adopted else []
    how += [f"{batch.settled} whose outcome was unknown"] if batch.settled else []
    how += [f"{batch.failed} of them FAILED"] if batch.failed else []
    orders = counted(batch.adopted + batch.settled, "order")
    return f"Batch {batch.name}: {orders} ({', '.join(how)}), {format_gifts(batch.gifts)}, {format_money(batch.money)}."


def found_document(found: "ReadBack") -> dict[str, Any]:
    """Return the same as members of the document; amounts are text with the currency's decimals."""
    return {
        "read": found.read,
        "batches": [
            {
                "batch": batch.name,
                "named": batch.named,
                "orders": batch.adopted + batch.settled,
                "adopted": batch.adopted,
                "settled": batch.settled,
                "failed": batch.failed,
                "gifts": batch.gifts,
                "money": _plain(batch.money),
                "order_ids": batch.order_ids,
            }
            for batch in sorted(found.batches.values(), key=lambda batch: batch.name)
        ],
        "in_doubt": [
            {
                "order_id": order.order_id,
                "reason": order.reason,
                "gifts": order.gifts,
                "money": _plain({order.currency: order.total} if order.currency else {}),
            }
            for order in found.in_doubt
        ],
        "not_recorded": [
            {"order_id": order.order_id, "reason": order.reason}
            for order in found.passed.values()
            if order not in found.in_doubt
        ],
        "issued_twice": found.repeated,
        "unsettled": found.unsettled,
    }


def still_closed(environments: Sequence[str]) -> list[str]:
    """Return a sentence about environments that nobody has checked; none where there are none."""
    if not environments:
        return []
    return [
        f"It is still closed for {' and '.join(environments)}: `runa ledger check --env {environments[0]}` reads back"
        " what was issued there, if anything was."
    ]


def money_of(orders: "Sequence[PassedOver]") -> dict[str, Decimal]:
    """Return what orders cost that are not recorded, by currency."""
    sums: dict[str, Decimal] = {}
    for order in orders:
        if order.currency:
            sums[order.currency] = sums.get(order.currency, Decimal(0)) + order.total
    return sums


def _plain(sums: dict[str, Decimal]) -> dict[str, str | None]:
    return {currency: plain_amount(str(amount), currency) for currency, amount in sorted(sums.items())}
