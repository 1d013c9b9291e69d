"""A gift as one JSON object, whatever became of it: for programs that join results to their input."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from runa_cli.core.errors import Money
from runa_cli.core.money import plain_amount
from runa_cli.core.states import State
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import UNMATCHED, Batch, Order, Result
from runa_cli.ledger.results import ResultRow, carried_headings

_MONEY = {
    State.PREPARED: Money.NOT_ISSUED,
    State.SENT: Money.UNKNOWN,
    State.ACCEPTED: Money.UNKNOWN,
    State.COMPLETED: Money.ISSUED,
    State.FAILED: Money.NOT_ISSUED,
    State.REJECTED: Money.NOT_ISSUED,
    State.ABANDONED: Money.UNKNOWN,
}
_MONEY_AT_RUNA = {"COMPLETED": Money.ISSUED, "FAILED": Money.NOT_ISSUED}


def batch_gifts(ledger: Ledger, batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield the gifts of a batch in the order of their rows, and last the answered items that match none of them."""
    for result in ledger.results(batch):
        yield recorded_gift(result, batch, batch.columns)
    for order in ledger.orders(batch, [State.COMPLETED]):
        if order.error_type == UNMATCHED:
            yield from unmatched_gifts(order, ledger.order_results(order), batch)


def order_gifts(ledger: Ledger, order: Order) -> Iterator[dict[str, Any]]:
    """Yield the gifts of a recorded order that are part of its batch's results, and the items that match none."""
    batch, gifts = ledger.batch_by_id(order.batch_id), ledger.order_results(order)
    yield from (recorded_gift(result, batch, batch.columns) for result in gifts if result.row > 0)
    yield from unmatched_gifts(order, gifts, batch)


def recorded_gift(result: Result, batch: Batch, columns: Sequence[str]) -> dict[str, Any]:
    """Return a recorded gift of a batch; `columns` are the headings of its carried cells."""
    has_no_item = result.state is State.COMPLETED and result.issued is None
    return _gift(
        results.row_from_ledger(result),
        batch=batch.name,
        order=result.position,
        money=Money.UNKNOWN if has_no_item else _MONEY[result.state] if result.is_sent else Money.NOT_ISSUED,
        columns=columns,
    )


def unmatched_gifts(order: Order, gifts: Iterable[Result], batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield the items of an order's answer that match none of its gifts."""
    for row in results.unmatched_rows(order, gifts):
        yield unmatched_gift(row, order, batch)


def unmatched_gift(row: ResultRow, order: Order, batch: Batch) -> dict[str, Any]:
    """Return an item of an order's answer that matches none of its gifts."""
    return _gift(row, batch=batch.name, order=order.position, money=Money.ISSUED)


def runa_gifts(order: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the gifts of an order as Runa returns it, which knows neither batch nor reference."""
    money = _MONEY_AT_RUNA.get(str(order.get("status")), Money.UNKNOWN)
    for row in results.rows_from_order(order):
        yield _gift(row, batch=None, order=None, money=money)


def _gift(
    row: ResultRow, *, batch: str | None, order: int | None, money: Money, columns: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "batch": batch,
        "order": order,
        "row": row.row or None,
        "reference": row.reference or None,
        "email": row.email or None,
        "face_value": plain_amount(row.face_value, row.currency),
        "currency": row.currency or None,
        "products": list(row.products),
        "status": row.status or None,
        "money": str(money),
        "order_id": row.order_id or None,
        "item_id": row.item_id or None,
        "payout_url": row.payout_url or None,
        "expiry_date": row.expiry_date or None,
        "price": plain_amount(row.price, row.currency),
        "error": row.error or None,
        "carried": dict(zip(carried_headings(columns), row.carried, strict=False)),
    }
