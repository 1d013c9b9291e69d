"""The rows of a result, one for each gift, made from the ledger or from an order as Runa returns it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from runa_cli.core import exact_json
from runa_cli.core.states import State
from runa_cli.ledger.records import UNMATCHED, Order, Result
from runa_cli.ledger.search_text import read_item

COLUMNS = (
    "row",
    "reference",
    "email",
    "face_value",
    "currency",
    "products",
    "status",
    "order_id",
    "item_id",
    "payout_url",
    "expiry_date",
    "price",
    "error",
)


def carried_headings(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the headings under which carried cells are shown: no two of all headings of the results are the same.

    A column of the input that is called as one of `COLUMNS` gets ` (input)` after its name, one that is called as
    another column of the input a number. Case and blanks around a name make no difference.
    """
    taken, headings = {_plain(name) for name in COLUMNS}, list[str]()
    for column in columns:
        name = f"{column.rstrip()} (input)" if _plain(column) in map(_plain, COLUMNS) else column
        heading, number = name, 1
        while _plain(heading) in taken:
            number += 1
            heading = f"{name.rstrip()} ({number})".lstrip()
        taken.add(_plain(heading))
        headings.append(heading)
    return tuple(headings)


def _plain(heading: str) -> str:
    return heading.strip().casefold()


class ResultRow(NamedTuple):
    """One gift to show. Every value other than `row` is text, empty where there is none."""

    row: int
    reference: str
    recipient: str
    email: str
    face_value: str
    currency: str
    products: tuple[str, ...]
    status: str
    order_id: str
    item_id: str
    payout_url: str
    expiry_date: str
    price: str
    error: str
    carried: tuple[str, ...] = ()

    def cells(self) -> list[str]:
        """Return the cells of the CSV row, the carried cells last."""
        return [
            *(str(self.row), self.reference, self.email, self.face_value, self.currency, "|".join(self.products)),
            *(self.status, self.order_id, self.item_id, self.payout_url, self.expiry_date, self.price, self.error),
            *self.carried,
        ]


_SENT = {"face_value", "distribution_method", "products"}  # all that an item has when it is sent

_REASONS = {State.FAILED: "Runa reports it FAILED, without a reason", State.ABANDONED: "given up"}
_NO_ITEM = "Runa's answer has no item that matches this row"
_NO_ROW = "no row matches this item of Runa's answer"


def row_from_ledger(result: Result) -> ResultRow:
    """Return the row of a recorded gift. Its status is the payout's, or the order's state where there is no payout."""
    answered = result.issued or {}
    return _row(
        # Runa's item mostly repeats all that was sent, and then that need not be read.
        answered if answered.keys() >= _SENT else {**result.item, **answered},
        row=result.row,
        reference=result.reference or "",
        status=_text(_payout(answered).get("status")) or str(result.state),
        order_id=result.order_id or "",
        currency=result.currency,
        error="" if answered else _reason(result),
        carried=result.carried,
    )


def payout_url(issued: str) -> str:
    """Return the payout link of Runa's item of a gift, as the ledger has it; empty where it has none."""
    return _text(_payout(read_item(issued)).get("url"))


def _reason(result: Result) -> str:
    if result.state is State.COMPLETED:
        return _NO_ITEM if result.item else ""  # a pruned gift has neither
    return result.error_text or _REASONS.get(result.state, "")


def unmatched_rows(order: Order, gifts: Iterable[Result]) -> list[ResultRow]:
    """Return a row for each item of an order's answer that was bound to none of its gifts. They have row number 0."""
    if order.error_type != UNMATCHED or not order.reply:
        return []
    document = _object(exact_json.loads(order.reply))
    bound = Counter(exact_json.dumps(gift.issued) for gift in gifts if gift.issued)
    unmatched = []
    for item in document.get("items") or []:
        text = exact_json.dumps(item)
        if bound[text]:
            bound[text] -= 1
        else:
            unmatched.append(_unmatched_row(_object(item), order))
    return unmatched


def _unmatched_row(item: Mapping[str, Any], order: Order) -> ResultRow:
    return _row(
        item,
        row=0,
        status=_text(_payout(item).get("status")) or str(order.state),
        order_id=order.order_id or "",
        currency=order.currency,
        error=_NO_ROW,
    )


def row_from_item(item: str) -> ResultRow:
    """Return the row of an item as it was sent, without anything from an answer."""
    document = exact_json.loads(item)
    return _row(_object(document), row=0, status="", order_id="", currency="")


def rows_from_order(order: Mapping[str, Any]) -> list[ResultRow]:
    """Return the rows of an order as Runa returns it; one row without a gift where it returns no items."""
    status, order_id, currency = (_text(order.get(name)) for name in ("status", "id", "currency"))
    items = order.get("items")
    if not isinstance(items, list) or not items:
        return [_row({}, row=1, status=status, order_id=order_id, currency=currency, error=_text(order.get("message")))]
    return [
        _row(
            item,
            row=row,
            status=_text(_payout(item).get("status")) or status,
            order_id=order_id,
            currency=currency,
        )
        for row, item in enumerate(items, 1)
        if isinstance(item, dict)
    ]


def _row(
    item: Mapping[str, Any],
    *,
    row: int,
    status: str,
    order_id: str,
    currency: str,
    reference: str = "",
    error: str = "",
    carried: tuple[str, ...] = (),
) -> ResultRow:
    method, payout = _object(item.get("distribution_method")), _payout(item)
    email = _text(method.get("email_address"))
    recipient = _text(method.get("recipient_reference"))
    return ResultRow(
        row=row,
        reference=reference,
        recipient=" ".join(filter(None, [recipient, email])),
        email=email,
        face_value=_text(item.get("face_value")),
        currency=_text(item.get("currency")) or currency,
        products=products_of(item),
        status=status,
        order_id=order_id,
        item_id=_text(item.get("id")),
        payout_url=_text(payout.get("url")),
        expiry_date=_text(payout.get("expiry_date")),
        price=_text(item.get("price")),
        error=error,
        carried=carried,
    )


def products_of(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the product codes of an item, or the id of its product template."""
    products = _object(item.get("products"))
    if isinstance(products.get("value"), str):
        return (products["value"],)
    if isinstance(products.get("template_id"), str):
        return (products["template_id"],)
    values = products.get("values")
    return tuple(_text(value) for value in values) if isinstance(values, list) else ()


def _payout(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(item.get("payout"))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else str(getattr(value, "text", value))
