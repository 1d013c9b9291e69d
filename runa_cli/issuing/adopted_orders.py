"""An order that was issued from another ledger, as it is recorded here: with planned gifts, or as Runa shows it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from runa_cli.api import binding, canonical, responses
from runa_cli.api.order_models import OrderHead, PaymentMethod
from runa_cli.core import exact_json
from runa_cli.core.errors import Unreachable
from runa_cli.core.identity import identify, payee, products_text
from runa_cli.core.money import to_minor
from runa_cli.core.states import State
from runa_cli.input.plan import PlannedOrder
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.batch_lookup import FoundOrder
from runa_cli.ledger.records import AdoptedOrder, Gift
from runa_cli.ledger.spending import price_in


def as_planned(order: FoundOrder, planned: PlannedOrder, request: CreateRequest) -> AdoptedOrder | None:
    """Return an order with the gifts of a planned one, its position and generation left open.

    None where its items are others.
    """
    items, gifts = _items(order), planned.gifts
    bound = binding.bind_items([_loaded(gift.item) for gift in gifts], responses.read_order(order.document))
    if items and (None in bound or len(bound) != len(items)):
        return None
    stamp = canonical.Stamp(order.stamp or "", order.batch_stamp, labels=planned.labels)
    body = planned.body(stamp if order.batch_stamp else None)
    issued = [None if index is None else items[index] for index in bound]
    own_key = request.idempotency_key is not None
    return _adopted(order, request.account, body, planned.body_sha256, gifts, issued, own_key=own_key)


def as_shown(order: FoundOrder, account: str, *, own_key: bool) -> AdoptedOrder:
    """Return an order with gifts made of Runa's items, its position left open. Raises Unreachable."""
    document, items = responses.read_object(order.document), _items(order)
    paying = str(document.get("currency"))
    gifts = [_gift(item, row, _currency(item, document), paying) for row, item in enumerate(items, 1)]
    metadata = document.get("metadata") or {}
    head = OrderHead.model_construct(
        payment_method=PaymentMethod.model_construct(type="ACCOUNT_BALANCE", currency=str(document.get("currency"))),
        description=document.get("description"),
        metadata={name: value for name, value in metadata.items() if name not in canonical.STAMPS},
    )
    body = canonical.order_body(head, [gift.item for gift in gifts])
    return _adopted(order, account, body, canonical.sha256_hex(body), gifts, items, own_key=own_key)


def _adopted(  # noqa: PLR0917 - each is another field
    order: FoundOrder,
    account: str,
    body: bytes,
    body_sha256: str,
    gifts: Sequence[Gift],
    issued: Sequence[Mapping[str, Any] | None],
    *,
    own_key: bool,
) -> AdoptedOrder:
    document, items = responses.read_object(order.document), _items(order)
    values: list[Any] = [_loaded(gift.item)["face_value"] for gift in gifts]
    is_failed = order.status == "FAILED"
    if len(gifts) == 1 and gifts[0].cost is None:  # Runa converted it
        gifts = [gifts[0]._replace(cost=price_in(order.document, str(document.get("currency"))))]
    return AdoptedOrder(
        position=0,
        generation=0,
        idempotency_key=order.stamp or order.id,
        own_key=own_key,
        body=body,
        body_sha256=body_sha256,
        mode="sync" if len(gifts) == 1 else "async",
        currency=_currency(items[0] if items else {}, document),
        total=str(sum(values, Decimal(0))),
        item_count=len(gifts),
        account=account,
        gifts=gifts,
        state=State.FAILED if is_failed else State.COMPLETED,
        order_id=order.id,
        reply=order.document,
        issued=[None] * len(gifts) if is_failed else issued,
        balance=str(document.get("currency") or ""),
        created=order.created,
        settled=order.settled,
    )


def _items(order: FoundOrder) -> list[dict[str, Any]]:
    items = responses.read_object(order.document).get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _loaded(item: str) -> dict[str, Any]:
    document = exact_json.loads(item)
    return document if isinstance(document, dict) else {}


def _currency(item: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    return str(item.get("currency") or document.get("currency"))


def _gift(item: Mapping[str, Any], row: int, currency: str, paying: str) -> Gift:
    """Return an item of Runa's as the gift that was sent; `paying` is the currency of the balance.

    Raises Unreachable where it cannot be read.
    """
    try:
        sent = {
            "face_value": exact_json.Number(str(item["face_value"])),
            "distribution_method": item["distribution_method"],
            "products": item["products"],
        }
        text = exact_json.dumps(sent)
        identity = identify(sent, currency, None, ())
    except (KeyError, ValueError, ArithmeticError) as error:
        raise Unreachable(f"An item of an order at Runa cannot be read ({error}). Nothing was sent.") from error
    return Gift(
        row,
        None,
        (),
        canonical.sha256_hex(text.encode()),
        identity.gift,
        identity.reference,
        text,
        identity.alike,
        payee=payee(sent, None, ()),
        products=products_text(sent["products"]),
        cost=to_minor(sent["face_value"], currency) if currency == paying else None,
    )
