"""Prices orders without creating them (developer.runa.io: reference/2024-02-05/endpoint/orders/estimate)."""

from decimal import Decimal
from typing import Any

from runa_cli.emulator import money, orders
from runa_cli.emulator.catalogue import Product
from runa_cli.emulator.validation import NewItem, NewOrder


def estimate(order: NewOrder) -> dict[str, Any]:
    """Return prices and discounts. Raises RefusedError (400) if the products cannot be ordered like this.

    Amounts are strings, as in orders; the documentation shows both numbers and strings.
    """
    at_face_value = orders.price(order, may_exchange=True)
    discounts = [_discount(choice) for choice in at_face_value.choices]
    prices = [_price(item, discount) for item, discount in zip(order.items, discounts, strict=True)]
    value = sum(prices, Decimal(0))
    exchange = orders.exchanged(order, at_face_value.currency, value, may_exchange=True)
    priced = orders.Priced(order, at_face_value.choices, at_face_value.currency, value, exchange)
    return {
        "payment_method": {"type": "ACCOUNT_BALANCE"},
        "items": [
            {
                "products": item.products,
                "face_value": money.amount(item.face_value),
                "price": money.amount(price),
                "discount_multiplier": str(discount),
                "currency": priced.currency,
            }
            for item, price, discount in zip(order.items, prices, discounts, strict=True)
        ],
        "currency": order.currency,
        "total_discount": money.amount(at_face_value.value - value),
        "total_price": money.amount(priced.total),
        "transaction_detail": priced.transaction_detail(),
    }


def _discount(choice: tuple[Product, ...]) -> Decimal:
    # Which product of a choice the recipient takes is not known yet, so only the smallest discount is certain.
    return min(Decimal(product.discount_multiplier) for product in choice)


def _price(item: NewItem, discount: Decimal) -> Decimal:
    return money.cents(item.face_value * (1 - discount))
