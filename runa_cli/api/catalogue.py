"""Products of Runa's catalogue, and the face values that each can be ordered for."""

from decimal import Decimal
from typing import Any

from runa_cli.api.responses import SomeObject, SomeText, Tolerant, as_decimal


class Product(Tolerant):
    """One product of the catalogue."""

    code: str
    name: SomeText = ""
    currency: SomeText = ""
    state: SomeText = ""
    is_orderable: bool = True
    gift_card: SomeObject = None
    payment: SomeObject = None
    subscription: SomeObject = None


def plan_codes(product: Product) -> list[str]:
    """Return the codes of a subscription's plans. A subscription is ordered by these, not by its own code."""
    plans = (product.subscription or {}).get("subscription_plans")
    entries = plans if isinstance(plans, list) else []
    return [
        str(plan["subscription_plan_code"])
        for plan in entries
        if isinstance(plan, dict) and plan.get("subscription_plan_code")
    ]


def takes_value(product: Product, value: Decimal) -> bool:
    """Return whether a product can be ordered for a value; true where the catalogue does not say."""
    found = _denominations(product)
    listed = found.get("available_list")
    if isinstance(listed, list) and listed:
        return any(as_decimal(entry) == value for entry in listed)
    least, most = found.get("minimum_value"), found.get("maximum_value")
    return (least is None or as_decimal(least) <= value) and (most is None or value <= as_decimal(most))


def describe_denominations(product: Product) -> str:
    """Return as text for which values a product can be ordered, empty where the catalogue does not say."""
    found = _denominations(product)
    listed = found.get("available_list")
    if isinstance(listed, list) and listed:
        return ", ".join(f"{as_decimal(entry).normalize():f}" for entry in listed)
    if found.get("minimum_value") is None:
        return ""
    least, most = (f"{as_decimal(found.get(name)).normalize():f}" for name in ("minimum_value", "maximum_value"))
    return f"{least} to {most}"


def _denominations(product: Product) -> dict[str, Any]:
    for detail in (product.gift_card, product.payment):
        found = (detail or {}).get("denominations")
        if isinstance(found, dict):
            return found
    return {}
