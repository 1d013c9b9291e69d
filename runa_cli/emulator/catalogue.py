"""The products that can be ordered, and the built-in selections of them."""

import csv
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path

TEMPLATE_SIZE = 10

_TEMPLATES = {
    "PT-01HQ12PV4B8XMBRTK281JM54KK": "USD",
    "PT-01HPPT8ME05693EG77RCGKMX7N": "GBP",
    "PT-01HQ130AHCKRRB45Z5XV2Y8W9K": "EUR",
    "PT-01HQ12SMX2964BVXG2N69K8HF3": "CAD",
}
_RELOADABLE = frozenset({"VISARL-USD"})
_PREPAID_VISA = frozenset({"VISARL-USD", "VISASL-3M-USD"})


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan of a subscription: its length, its price and the code to order it by."""

    code: str
    name: str
    length: int
    length_unit: str
    price: str


_PLANS = {"STREAM-US": Plan("STREAM-US-3M", "Three months", 3, "MONTHS", "29.97")}


@dataclass(frozen=True, slots=True)
class Product:
    """One row of the catalogue; amounts stay strings, as the API sends them."""

    code: str
    name: str
    currency: str
    countries: tuple[str, ...]
    state: str
    is_orderable: bool
    payout_type: str
    availability: str
    denomination_type: str
    minimum_value: str
    maximum_value: str
    available_list: tuple[str, ...]
    discount_multiplier: str
    categories: tuple[str, ...]
    plan: Plan | None = None

    @property
    def takes_recipients(self) -> bool:
        """Whether RECIPIENT delivery is possible: for payments and reloadable cards."""
        return self.payout_type == "payment" or self.code in _RELOADABLE

    @property
    def is_prepaid_visa(self) -> bool:
        """Whether spend rules apply; every other product ignores them."""
        return self.code in _PREPAID_VISA

    def sells(self, value: Decimal) -> bool:
        """Return whether a face value is one of the denominations (compared as numbers: "25.0" includes 25)."""
        if self.denomination_type == "fixed":
            return any(value == Decimal(choice) for choice in self.available_list)
        return Decimal(self.minimum_value) <= value <= Decimal(self.maximum_value)


@cache
def products() -> dict[str, Product]:
    """Return every listed product by its code, sorted by code."""
    with Path(__file__).with_name("products.csv").open(encoding="utf-8", newline="") as rows:
        listed = [_product(row) for row in csv.DictReader(rows)]
    return {product.code: product for product in sorted(listed, key=lambda product: product.code)}


@cache
def orderable() -> dict[str, Product]:
    """Return the products that can be ordered, by their code; a subscription by the code of its plan."""
    found: dict[str, Product] = {}
    for product in products().values():
        plan = product.plan
        if plan is None:
            found[product.code] = product
        else:
            found[plan.code] = replace(product, code=plan.code, available_list=(plan.price,), denomination_type="fixed")
    return found


@cache
def templates() -> dict[str, tuple[Product, ...]]:
    """Return the built-in selection templates (developer.runa.io: reference/playground)."""
    return {template: _selection(currency) for template, currency in _TEMPLATES.items()}


def countries() -> list[str]:
    """Return the countries in which some product can be redeemed."""
    return sorted({country for product in products().values() for country in product.countries})


def categories() -> list[str]:
    """Return the codes of the categories in use."""
    return sorted({category for product in products().values() for category in product.categories})


def _selection(currency: str) -> tuple[Product, ...]:
    cards = [
        product
        for product in products().values()
        if product.currency == currency and product.is_orderable and product.payout_type == "gift_card"
    ]
    return tuple(cards[:TEMPLATE_SIZE])


def _product(row: dict[str, str]) -> Product:
    return Product(
        code=row["code"],
        name=row["name"],
        currency=row["currency"],
        countries=tuple(row["countries"].split()),
        state=row["state"],
        is_orderable=row["is_orderable"] == "true",
        payout_type=row["payout_type"],
        availability=row["availability"],
        denomination_type=row["denomination_type"],
        minimum_value=row["minimum_value"],
        maximum_value=row["maximum_value"],
        available_list=tuple(row["available_list"].split()),
        discount_multiplier=row["discount_multiplier"],
        categories=tuple(row["categories"].split()),
        plan=_PLANS.get(row["code"]),
    )
