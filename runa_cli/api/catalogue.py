"""Products of Runa's catalogue, and which face values each can be ordered for."""

from decimal import Decimal
from typing import Any

from runa_cli.api.responses import SomeObject, SomeText, Tolerant, as_decimal


class Product(Tolerant):
    """One product of the catalogue."""

    code: str
    currency: SomeText = ""
    state: SomeText = ""
    is_orderable: bool = True
    gift_card: SomeObject = None
    payment: SomeObject = None
    subscription: SomeObject = None


def plan_codes(product: Product) -> list[str]:
    """Return the codes to order a subscription by, which are not its own."""
    plans = (product.subscription or {}).get("subscription_plans")
    entries = plans if isinstance(plans, list) else []
    return [
        str(plan["subscription_plan_code"])
        for plan in entries
        if isinstance(plan, dict) and plan.get("subscription_plan_code")
    ]


def _denominations(product: Product) -> dict[str, Any]:
    for detail in (product.gift_card, product.payment):
        found = (detail or {}).get("denominations")
        if isinstance(found, dict):
            return found
    return {}


def takes_value(product: Product, value: Decimal) -> bool:
    """Tell whether a product can be ordered for a value; yes where the catalogue does not tell."""
    found = _denominations(product)
    listed = found.get("available_list")
    if isinstance(listed, list) and listed:
        return any(as_decimal(entry) == value for entry in listed)
    least, most = found.get("minimum_value"), found.get("maximum_value")
    return (least is None or as_decimal(least) <= value) and (most is None or value <= as_decimal(most))


def describe_denominations(product: Product) -> str:
    """Say what values a product can be ordered for."""
    found = _denominations(product)
    listed = found.get("available_list")
    if isinstance(listed, list) and listed:
        return ", ".join(f"{as_decimal(entry).normalize():f}" for entry in listed)
    if found.get("minimum_value") is None:
        return ""
    least, most = (f"{as_decimal(found.get(name)).normalize():f}" for name in ("minimum_value", "maximum_value"))
    return f"{least} to {most}"
