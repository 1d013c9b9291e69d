"""The endpoints that list products, countries and categories."""

import re

from runa_cli.emulator import catalogue, paging, product_details
from runa_cli.emulator.answers import Answer, RefusedError, error, json_answer
from runa_cli.emulator.catalogue import Product
from runa_cli.emulator.request import Request


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
            return json_answer(200, product_details.as_json(catalogue.products()[code], _content(request)))
    raise RefusedError(error("not_found"))


def _list(request: Request) -> Answer:
    page = paging.page_of(request, default=paging.MOST)
    found = _cut([product for product in catalogue.products().values() if _matches(request, product)], page)
    codes = [product.code for product in found]
    listed = [product_details.as_json(product, "url") for product in found]
    return json_answer(200, {"catalog": listed, "pagination": paging.pagination(page, codes)})


def _matches(request: Request, product: Product) -> bool:
    orderable = request.parameter("is_orderable")
    if orderable not in {None, "true", "false"}:
        raise RefusedError(error("bad_request", reason="is_orderable is neither true nor false"))
    countries, categories = request.parameters("countries_redeemable_in"), request.parameters("categories")
    codes = request.parameters("code")  # no longer documented for the list, and still used by clients
    if not all(re.fullmatch("[A-Z]{2}", country) for country in countries):
        raise RefusedError(error("bad_request", reason="a country is not two capital letters"))
    return (
        (product.is_orderable or orderable != "true")
        and (not codes or product.code in codes)
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
    if content not in product_details.SUFFIXES:
        raise RefusedError(error("bad_request", reason="content is none of url, md and html"))
    return content
