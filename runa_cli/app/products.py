"""`product list`, `get`, `countries` and `categories`: the catalogue and single products."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from runa_cli.api import catalogue, responses
from runa_cli.api.code_suggestions import listed, suggestions
from runa_cli.app.catalogue import known_codes, load_catalogue
from runa_cli.app.country_names import country_code
from runa_cli.app.session import Session
from runa_cli.app.similar_names import did_you_mean
from runa_cli.core.errors import InputError, RequestRefused, RunaError, UsageMistake
from runa_cli.core.masking import shown
from runa_cli.output import formats, lists
from runa_cli.output.formats import View
from runa_cli.output.lists import ListView, cell_text
from runa_cli.output.tables import Column, Summary, summary_parts

_COUNTRIES = "countries_redeemable_in"


class ProductFilter(Struct, frozen=True):
    """Which products to list: those of any of the countries. None, and no country, match all."""

    countries: Sequence[str] = ()
    category: str | None = None
    currency: str | None = None
    search: str | None = None
    orderable: bool = False

    def matches(self, product: Mapping[str, Any]) -> bool:
        """Tell whether a product matches. Every word of the search must be in its code or name, in any letter case."""
        text = f"{cell_text(product.get('code'))} {cell_text(product.get('name'))}".casefold()
        return (
            (not self.countries or any(_is_among(code, product.get(_COUNTRIES)) for code in self.countries))
            and _is_among(self.category, product.get("categories"))
            and _is_among(self.currency, [product.get("currency")])
            and (not self.orderable or product.get("is_orderable") is True)
            and all(word in text for word in (self.search or "").casefold().split())
        )


def _is_among(wanted: str | None, values: object) -> bool:
    return wanted is None or (
        isinstance(values, list) and wanted.casefold() in {cell_text(value).casefold() for value in values}
    )


def show_list(session: Session, product_filter: ProductFilter, *, refresh: bool) -> None:
    """Show the products that match. `refresh` ignores the copy kept on this machine."""
    products = load_catalogue(session, refresh=refresh)
    if product_filter.countries:
        sold = _all("countries_redeemable_in", products)
        countries = [country_code(text, sold) for text in product_filter.countries]
        product_filter = replace(product_filter, countries=countries)
    _check_known("--category", "category", product_filter.category, _all("categories", products))
    _check_known("--currency", "product currency", product_filter.currency, _all("currency", products))
    lists.show_list(session.output, _VIEW, filter(product_filter.matches, products))


def _all(member: str, products: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return every value that a member of the products has."""
    values = (product.get(member) for product in products)
    return {cell_text(one) for value in values for one in (value if isinstance(value, list) else [value])} - {""}


def _check_known(flag: str, what: str, wanted: str | None, known: Collection[str]) -> None:
    """Check that a filter names something that there is, where any is known. Raises UsageMistake."""
    if wanted is None or not known or wanted.casefold() in {one.casefold() for one in known}:
        return
    raise UsageMistake(
        f"{flag}: there is no {what} {shown(wanted)}.{did_you_mean(wanted, known)}",
        f"There are: {', '.join(sorted(known))}.",
    )


def show_one(session: Session, code: str) -> None:
    """Show one product as it is at Runa now."""
    try:
        product = session.client.document(f"/product/{quote(code, safe='')}", seconds=session.settings.timeout.value)
    except RequestRefused as error:
        if error.code != "not_found":
            raise
        raise InputError(
            f"There is no product {code} in this catalogue ({session.environment}).{_meant(session, code)}",
            "`runa product list --search WORD` finds codes.",
            error.context,
            code="no_product",
        ) from error
    view = lists.list_view(_VIEW, [product])._replace(
        documents=lambda: [product],
        table=lambda width: summary_parts(_summary(product), width),
    )
    formats.show(session.output, view)


def _meant(session: Session, code: str) -> str:
    """Ask whether another code was meant; empty where none is like it."""
    try:
        meant = suggestions(code, {known: found.name for known, found in known_codes(session).items()})
    except RunaError:
        return ""
    return f" Did you mean {listed(meant)}?" if meant else ""


def show_names(session: Session, path: str, key: str) -> None:
    """Show the countries or the categories of the catalogue: the list under `key` in Runa's reply."""
    document = session.client.document(path, seconds=session.settings.timeout.value)
    entries = document.get(key)
    entries = entries if isinstance(entries, list) else []
    names = [cell_text(entry.get("code")) if isinstance(entry, dict) else cell_text(entry) for entry in entries]
    view = View(
        entries=lambda: entries,
        lines=lambda: names,
        csv_header=[key],
        csv_cells=lambda: ([name] for name in names),
    )
    formats.show(session.output, view)


def _values(product: Mapping[str, Any]) -> str:
    """Return the values for which a product can be ordered, as text."""
    try:
        parsed = responses.parse(catalogue.Product, product)
    except responses.Unreadable:
        return ""
    plans = (parsed.subscription or {}).get("subscription_plans")
    if isinstance(plans, list):
        return ", ".join(
            f"{cell_text(plan.get('price'))} ({cell_text(plan.get('subscription_plan_code'))})" for plan in plans
        )
    return catalogue.describe_denominations(parsed)


def _orderable(product: Mapping[str, Any]) -> str:
    return cell_text(product.get("state")) if product.get("is_orderable") is True else "not orderable"


def _summary(product: Mapping[str, Any]) -> Summary:
    facts = [
        ("Name", cell_text(product.get("name"))),
        ("Values", f"{_values(product)} {cell_text(product.get('currency'))}"),
        ("Countries", cell_text(product.get("countries_redeemable_in"))),
        ("Categories", cell_text(product.get("categories"))),
        ("Type", f"{cell_text(product.get('payout_type'))}, {cell_text(product.get('availability'))}".strip(", ")),
        ("Discount", cell_text(product.get("discount_multiplier"))),
    ]
    return Summary("Product", cell_text(product.get("code")), _orderable(product), facts)


def _cells(product: Mapping[str, Any]) -> Iterator[str]:
    for name in _FIELDS:
        yield _values(product) if name == "values" else cell_text(product.get(name))


_FIELDS = (
    "code", "name", "currency", "values", "is_orderable", "state", "payout_type", "discount_multiplier",
    "countries_redeemable_in", "categories",
)  # fmt: skip
_VIEW = ListView(
    _FIELDS,
    lambda product: list(_cells(product)),
    (
        Column("Code", no_wrap=True),
        Column("Name"),
        Column("Currency"),
        Column("Values"),
        Column("Countries"),
        Column("Categories"),
        Column("State", status=True),
    ),
    lambda product: [
        cell_text(product.get("code")),
        cell_text(product.get("name")),
        cell_text(product.get("currency")),
        _values(product),
        cell_text(product.get("countries_redeemable_in")),
        cell_text(product.get("categories")),
        _orderable(product),
    ],
    "No product matches.",
)
