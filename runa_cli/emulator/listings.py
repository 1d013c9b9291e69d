"""The endpoints that list products, countries and categories."""

import re
from typing import Any

from runa_cli.emulator import catalogue, paging
from runa_cli.emulator.answers import Answer, RefusedError, error, json_answer
from runa_cli.emulator.catalogue import Product
from runa_cli.emulator.request import Request

_TEXTS = (
    "description",
    "disclaimer",
    "refund_policy",
    "reissuance_policy",
    "terms_buyer",
    "terms_consumer",
    "redemption_instructions",
)
_SUFFIXES = {"url": "markdown_url", "md": "md", "html": "html"}
_SITE = "https://products.example.test"


def answer(request: Request, path: str) -> Answer:
    """Answer a request below /product; RefusedError (404) for every other path."""
    match request.method, *path.split("/")[1:]:
        case "GET", "product":
            return _list(request)
        case "GET", "product", "countries":
            return json_answer(200, {"countries": catalogue.countries()})
        case "GET", "product", "categories":
            return json_answer(200, {"categories": [{"code": code} for code in catalogue.categories()]})
        case "GET", "product", code if code in catalogue.products():
            return json_answer(200, _as_json(catalogue.products()[code], _content(request)))
    raise RefusedError(error("not_found"))


def _list(request: Request) -> Answer:
    page = paging.page_of(request, default=paging.MOST)
    found = _cut([product for product in catalogue.products().values() if _matches(request, product)], page)
    codes = [product.code for product in found]
    listed = [_as_json(product, "url") for product in found]
    return json_answer(200, {"catalog": listed, "pagination": paging.pagination(page, codes)})


def _matches(request: Request, product: Product) -> bool:
    orderable = request.parameter("is_orderable")
    if orderable not in {None, "true", "false"}:
        raise RefusedError(error("bad_request", reason="is_orderable is neither true nor false"))
    countries, categories = request.parameters("countries_redeemable_in"), request.parameters("categories")
    if not all(re.fullmatch("[A-Z]{2}", country) for country in countries):
        raise RefusedError(error("bad_request", reason="a country is not two capital letters"))
    return (
        (product.is_orderable or orderable != "true")
        and (not countries or bool(set(countries) & set(product.countries)))
        and (not categories or bool(set(categories) & set(product.categories)))
    )


def _cut(found: list[Product], page: paging.Page) -> list[Product]:
    """Cut a page out of products sorted by code, which is also their cursor."""
    for cursor in (page.before, page.after):
        if cursor is not None and cursor not in catalogue.products():
            raise paging.refused("this is no cursor of this list")
    if page.before is not None:
        return [product for product in found if product.code < page.before][-page.limit :]
    return [product for product in found if page.after is None or product.code > page.after][: page.limit]


def _content(request: Request) -> str:
    content = request.parameter("content") or "url"
    if content not in _SUFFIXES:
        raise RefusedError(error("bad_request", reason="content is none of url, md and html"))
    return content


def _as_json(product: Product, content: str) -> dict[str, Any]:
    return {
        "code": product.code,
        "name": product.name,
        "currency": product.currency,
        "state": product.state,
        "is_orderable": product.is_orderable,
        "payout_type": product.payout_type,
        "availability": product.availability,
        "categories": list(product.categories),
        "countries_redeemable_in": list(product.countries),
        "customer_service": {"phone_number": None, "website_url": f"{_SITE}/{product.code}/help"},
        "discount_multiplier": product.discount_multiplier,
        product.payout_type: _details(product, content),
    }


def _details(product: Product, content: str) -> dict[str, Any]:
    icon = {"icon_image_url": f"{_SITE}/{product.code}/icon.png", "primary_color": "#336699"}
    limits = {"minimum_value": product.minimum_value, "maximum_value": product.maximum_value}
    resources = _resources(product, content)
    if product.payout_type == "payment":
        return {"assets": icon, "denominations": limits, "content_resources": resources}
    details: dict[str, Any] = {
        "assets": {"card_image_url": f"{_SITE}/{product.code}/card.png", **icon},
        "balance_check_url": None,
        "content_resources": resources,
        "expiry": {"date_policy": None, "in_months": 12, "type": "from-issue-date"},
        "redeemable_at": "all",
        "website_url": f"{_SITE}/{product.code}",
        "barcode_format": None,
        "e_code_usage_type": "undefined",
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


def _resources(product: Product, content: str) -> dict[str, str]:
    texts = {f"{name}_{_SUFFIXES[content]}": _resource(product, name, content) for name in _TEXTS}
    return {**texts, "locale": "en_US"}


def _resource(product: Product, name: str, content: str) -> str:
    sentence = f"Sample {name.replace('_', ' ')} of {product.code}."
    return {
        "url": f"{_SITE}/{product.code}/{name}.md",
        "md": sentence,
        "html": f"<p>{sentence}</p>",
    }[content]
