"""Makes an order from a valid request: product rules, prices, currency exchange, ids and links."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from runa_cli.emulator import catalogue, money
from runa_cli.emulator.answers import RefusedError, error
from runa_cli.emulator.catalogue import Product
from runa_cli.emulator.ulids import ulid
from runa_cli.emulator.validation import NewItem, NewOrder

# What a list of orders leaves out (developer.runa.io: reference/2024-02-05/endpoint/orders/list).
DETAILS_ONLY = frozenset({"items", "transaction_detail", "metadata"})


@dataclass(frozen=True, slots=True)
class Priced:
    """A request whose products can be ordered: the products of each item, their currency and the total value."""

    order: NewOrder
    choices: list[tuple[Product, ...]]
    currency: str
    value: Decimal
    exchange: money.Exchange | None

    @property
    def total(self) -> Decimal:
        """The amount taken from the balance, in the currency of the payment."""
        return self.value if self.exchange is None else self.exchange.converted + self.exchange.fee

    def transaction_detail(self) -> dict[str, Any]:
        """Return the value of the order in the currency of its products, and the currency exchange."""
        fx = None if self.exchange is None else self.exchange.as_json()
        return {self.currency: {"value": money.amount(self.value), "fx": fx}}


def price(order: NewOrder, *, may_exchange: bool) -> Priced:
    """Check the products of an order and price it at face value, as the playground does. Raises RefusedError (400)."""
    choices = [_choice(item) for item in order.items]
    currency = _common_currency(order.items, choices)
    value = sum((item.face_value for item in order.items), Decimal(0))
    return Priced(order, choices, currency, value, exchanged(order, currency, value, may_exchange=may_exchange))


def exchanged(order: NewOrder, currency: str, value: Decimal, *, may_exchange: bool) -> money.Exchange | None:
    """Convert a value into the currency of the payment, if that is another one.

    Raises RefusedError (400) where that is not offered.
    Only one synchronous item can be paid in another currency (developer.runa.io: features/embedded-fx).
    """
    if order.currency == currency:
        return None
    exchange = money.exchange(value, payout=currency, billing=order.currency) if may_exchange else None
    if exchange is None:
        raise RefusedError(error("currency_mismatch", payment=order.currency, products=currency))
    return exchange


def complete(priced: Priced, now: datetime, delay: timedelta, links: str) -> dict[str, Any]:
    """Return the completed order, with its fields in the playground's order. Its payout links begin with `links`."""
    completed_at = timestamp(now + delay)
    order = priced.order
    items = [
        _item(item, choice, priced.currency, now, completed_at=completed_at, url=_link(links))
        for item, choice in zip(order.items, priced.choices, strict=True)
    ]
    return {
        "id": f"O-{ulid(now)}",
        "status": "COMPLETED",
        "created_at": timestamp(now),
        "completed_at": completed_at,
        "description": order.description,
        "payment_method": {"type": "ACCOUNT_BALANCE"},
        "currency": order.currency,
        "total_discount": "0.00",
        "total_price": money.amount(priced.total),
        "items": items,
        "transaction_detail": priced.transaction_detail(),
        "metadata": order.metadata,
    }


def timestamp(moment: datetime) -> str:
    """Return a time as the API writes it: with microseconds and +00:00."""
    return moment.isoformat(timespec="microseconds")


def gift_ids(order: dict[str, Any]) -> list[str]:
    """Return the ids at the end of an order's payout links; none for an order without items."""
    return [item["payout"]["url"].rpartition("/")[2] for item in order.get("items", [])]


def _link(links: str) -> str:
    return f"{links}/gift/{uuid4()}"


def _item(
    item: NewItem, choice: Sequence[Product], currency: str, now: datetime, *, completed_at: str, url: str
) -> dict[str, Any]:
    products = dict(item.products)
    if products["type"] == "TEMPLATE":
        products["values"] = [product.code for product in choice]
    elif not choice[0].is_prepaid_visa:
        products.pop("usage_config", None)
    return {
        "id": f"E-{ulid(now)}",
        "distribution_method": item.distribution_method,
        "products": products,
        "face_value": money.amount(item.face_value),
        "price": money.amount(item.face_value),
        "discount_multiplier": "0.0",
        "redemption_url": url,
        "payout": {"status": "ACTIVE", "status_updated_at": completed_at, "url": url, "expiry_date": None},
        "currency": currency,
    }


def _choice(item: NewItem) -> tuple[Product, ...]:
    """Return the products that an item names. Raises RefusedError (400) if they are not sold for its face value."""
    kind = item.products["type"]
    if kind == "TEMPLATE":
        choice = _template(item.products["template_id"])
    else:
        codes = [item.products["value"]] if kind == "SINGLE" else item.products["values"]
        choice = tuple(_product(code) for code in codes)
    _check_face_value(item, choice)
    if item.distribution_method.get("type") == "RECIPIENT":
        for product in choice:
            if not product.takes_recipients:
                raise _refused(f"{product.code} cannot be sent to a RECIPIENT.")
    return choice


def _template(template_id: str) -> tuple[Product, ...]:
    try:
        return catalogue.templates()[template_id]
    except KeyError:
        raise _refused(f"there is no selection template {template_id}.") from None


def _product(code: str) -> Product:
    product = catalogue.orderable().get(code)
    if product is None:
        raise _refused(f"there is no product {code}.")
    if not product.is_orderable:
        raise _refused(f"{code} is not orderable at present.")
    return product


def _check_face_value(item: NewItem, choice: Sequence[Product]) -> None:
    if item.products["type"] == "SINGLE":
        if not choice[0].sells(item.face_value):
            raise _refused(f"{choice[0].code} is not sold for {item.face_value:f}.")
    elif item.face_value < min(Decimal(product.minimum_value) for product in choice):
        # Products whose minimum is higher are left out of the choice. The order is refused when none is left.
        raise _refused(f"{item.face_value:f} is below the minimum of every product chosen.")


def _common_currency(items: Sequence[NewItem], choices: Sequence[tuple[Product, ...]]) -> str:
    currencies = {product.currency for choice in choices for product in choice}
    if len(currencies) > 1:
        raise _refused(f"one order cannot mix {', '.join(sorted(currencies))}.")
    # A built-in selection has products of several countries, so only products that are named singly are compared.
    named = [choice for item, choice in zip(items, choices, strict=True) if item.products["type"] != "TEMPLATE"]
    countries = [set(product.countries) for choice in named for product in choice]
    if countries and not set.intersection(*countries):
        raise _refused("the products of one order have to be of one country.")
    return currencies.pop()


def _refused(reason: str) -> RefusedError:
    return RefusedError(error("product_validation_error", reason=reason))


def failed(order: dict[str, Any], *, bare: bool) -> dict[str, Any]:
    """Return the order as FAILED: with all its fields, or with only an id and a status."""
    if bare:
        return {"id": order["id"], "status": "FAILED"}
    cancelled = [{**item, "payout": {**item["payout"], "status": "CANCELLED"}} for item in order["items"]]
    return {**order, "status": "FAILED", "items": cancelled}


def respelled(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item that says the same otherwise: its address, its amounts, and only the products that can be bought.

    Not documented: whether Runa normalises an address. Products that the value cannot buy are dropped
    (developer.runa.io: features/merchant-selection-templates).
    """
    method, products = dict(item["distribution_method"]), dict(item["products"])
    if address := method.get("email_address"):
        local, _, domain = address.rpartition("@")
        method["email_address"] = f"{unicodedata.normalize('NFC', local)}@{_ascii(domain)}".lower()
    if products["type"] == "MULTIPLE":
        known, value = catalogue.orderable(), Decimal(item["face_value"])
        products["values"] = [code for code in products["values"] if Decimal(known[code].minimum_value) <= value]
    amounts = {name: float(item[name]) for name in ("face_value", "price")}
    return {**item, **amounts, "distribution_method": method, "products": products}


def _ascii(domain: str) -> str:
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain


def for_somebody_else(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as if it had been made for another recipient."""
    return {**item, "distribution_method": {"type": "EMAIL", "email_address": "somebody.else@example.com"}}


def foreign(order: dict[str, Any], now: datetime, links: str) -> dict[str, Any]:
    """Return another customer's order of the same products and as many items."""
    items = [_foreign_item(item, now, _link(links)) for item in order["items"]]
    total = money.amount(sum((Decimal(item["price"]) for item in items), Decimal(0)))
    return {
        **order,
        "id": f"O-{ulid(now)}",
        "description": "an order of somebody else",
        "total_price": total,
        "items": items,
        "transaction_detail": {items[0]["currency"]: {"value": total, "fx": None}},
        "metadata": {"order": "somebody else's"},
    }


def _foreign_item(item: dict[str, Any], now: datetime, url: str) -> dict[str, Any]:
    value = money.amount(Decimal(item["face_value"]) + 1)
    return {
        **item,
        "id": f"E-{ulid(now)}",
        "distribution_method": {"type": "EMAIL", "email_address": "somebody.else@example.invalid"},
        "face_value": value,
        "price": value,
        "redemption_url": url,
        "payout": {**item["payout"], "url": url},
    }
