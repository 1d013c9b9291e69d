"""A product as the API shows it, with the details that differ from one product to the next.

Real products fill in different fields: some have no help line, page or picture, texts are missing, and codes expire by
different rules. Which fields a product here fills in depends on its code alone, so that it is the same each time.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

from runa_cli.emulator import catalogue
from runa_cli.emulator.catalogue import Product

SUFFIXES = {"url": "markdown_url", "md": "md", "html": "html"}  # of the names of texts, by how they are asked for

_SITE = "https://products.example.test"
_TEXTS = (
    "description",
    "disclaimer",
    "refund_policy",
    "reissuance_policy",
    "terms_buyer",
    "terms_consumer",
    "redemption_instructions",
)
_ALWAYS = frozenset({"description"})  # the one text that no product lacks
_LOCALES = {
    "GB": "en_GB", "IE": "en_IE", "CA": "en_CA", "SG": "en_SG", "DE": "de_DE", "FR": "fr_FR", "IT": "it_IT",
    "BE": "nl_BE", "CH": "de_CH", "GR": "el_GR", "SE": "sv_SE", "CZ": "cs_CZ", "HU": "hu_HU", "JP": "ja_JP",
    "MX": "es_MX", "DK": "da_DK", "PL": "pl_PL",
}  # fmt: skip
_EXPIRIES: tuple[dict[str, Any], ...] = (
    {"date_policy": "12 months after it was issued.", "in_months": 12, "type": "from-issue-date"},
    {"date_policy": None, "in_months": 24, "type": "from-issue-date"},
    {"date_policy": "36 months after it was last used.", "in_months": 36, "type": "from-last-use"},
    {"date_policy": None, "in_months": 18, "type": "from-last-balance-check"},
    {"date_policy": "Does not expire.", "in_months": 0, "type": "indefinite"},
    {"date_policy": None, "in_months": 0, "type": "do-not-show"},
)
# As the documentation's samples of redemption have them; the codes of other products have no barcode.
_BARCODES = {"CDISC-FR": "code-128", "AUCHAN-FR": "code-128", "ABO-GB": "QR"}
_USAGES = {"LUSH-CA": "url-only"}
_Choice = TypeVar("_Choice")


def as_json(product: Product, content: str) -> dict[str, Any]:
    """Return a product as the API shows it; `content` is a key of `SUFFIXES`."""
    code = product.code
    return {
        "code": code,
        "name": product.name,
        "currency": product.currency,
        "state": product.state,
        "is_orderable": product.is_orderable,
        "payout_type": product.payout_type,
        "availability": product.availability,
        "categories": list(product.categories),
        "countries_redeemable_in": list(product.countries),
        "customer_service": {
            "phone_number": _one_of(code, "phone", (None, "+1 555 0100", "+44 1632 960000")),
            "website_url": _one_of(code, "help", (None, f"{_SITE}/{code}/help")),
        },
        "discount_multiplier": product.discount_multiplier,
        product.payout_type: _details(product, content),
    }


def expiry(code: str) -> dict[str, Any]:
    """Return when the gift cards of a product expire; `in_months` is 0 where they do not."""
    return _one_of(code, "expiry", _EXPIRIES)


def barcode_format(code: str) -> str | None:
    """Return the format of the barcode that a product's gift cards have, None for those without one."""
    return _BARCODES.get(code)


def _one_of(code: str, field: str, choices: Sequence[_Choice]) -> _Choice:
    return choices[hashlib.sha256(f"{field} {code}".encode()).digest()[0] % len(choices)]


def _details(product: Product, content: str) -> dict[str, Any]:
    code = product.code
    icon = {
        "icon_image_url": f"{_SITE}/{code}/icon.png",
        "primary_color": _one_of(code, "color", ("#336699", "#00704A", "#FF9900", "#000000")),
    }
    limits = {"minimum_value": product.minimum_value, "maximum_value": product.maximum_value}
    resources = _resources(product, content)
    if product.payout_type == "payment":
        return {"assets": icon, "denominations": limits, "content_resources": resources}
    details: dict[str, Any] = {
        "assets": {"card_image_url": _one_of(code, "card", (f"{_SITE}/{code}/card.png",) * 4 + (None,)), **icon},
        "balance_check_url": _one_of(code, "balance", (None, None, f"{_SITE}/{code}/balance")),
        "content_resources": resources,
        "expiry": dict(expiry(code)),
        "redeemable_at": _one_of(code, "where", ("all", "online", "in-store")),
        "website_url": _one_of(code, "site", (f"{_SITE}/{code}",) * 3 + (None,)),
        "barcode_format": barcode_format(code),
        "e_code_usage_type": _USAGES.get(code) or _one_of(code, "usage", ("undefined", "undefined", "url-recommended")),
    }
    if product.plan is None:
        available = list(product.available_list) if product.denomination_type == "fixed" else None
        details["denominations"] = {"type": product.denomination_type, **limits, "available_list": available}
    else:
        details["subscription_plans"] = [_plan(product.plan)]
    return details


def _plan(plan: catalogue.Plan) -> dict[str, Any]:
    return {
        "length_unit": plan.length_unit,
        "length": plan.length,
        "name": plan.name,
        "price": plan.price,
        "subscription_plan_code": plan.code,
    }


def _resources(product: Product, content: str) -> dict[str, str | None]:
    texts = {f"{name}_{SUFFIXES[content]}": _resource(product, name, content) for name in _TEXTS}
    return {**texts, "locale": _LOCALES.get(product.countries[0], "en_US")}


def _resource(product: Product, name: str, content: str) -> str | None:
    if name not in _ALWAYS and _one_of(product.code, name, (False, False, True)):
        return None  # there is no such text
    sentence = f"Sample {name.replace('_', ' ')} of {product.code}."
    return {
        "url": f"{_SITE}/{product.code}/{name}.md",
        "md": sentence,
        "html": f"<p>{sentence}</p>",
    }[content]
