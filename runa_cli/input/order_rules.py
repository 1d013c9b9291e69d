"""Rules that concern the items of one order together."""

from collections.abc import Callable, Sequence

from runa_cli.api.countries import code_country
from runa_cli.api.order_models import MOST_TEMPLATES, Item, Loc
from runa_cli.core.amounts import WrittenAmount
from runa_cli.core.money import has_decimals_of
from runa_cli.input.places import PlaceOf
from runa_cli.input.problems import Problems


def product_currency(
    items: Sequence[Item], place: PlaceOf, base: Loc, problems: Problems, currency_of: Callable[[str], str | None]
) -> str | None:
    """Return the one currency of the items' products; None where their codes do not tell.

    Products of several currencies or countries in one order are a problem (developer.runa.io: features, limiting).
    """
    currencies: dict[str, str] = {}
    countries: dict[str, str] = {}
    for item in items:
        for code in item.codes:
            if currency := currency_of(code):
                currencies.setdefault(currency, code)
            if country := code_country(code):
                countries.setdefault(country, code)
    for kind, found in (("currency", currencies), ("country", countries)):
        if len(found) > 1:
            listed = ", ".join(f"{code} ({name})" for name, code in found.items())
            problems.add(place(base or ("products",)), f"must all be of one {kind}, found {listed}")
            break
    return next(iter(currencies), None)


def check_templates(items: Sequence[Item], place: PlaceOf, problems: Problems) -> None:
    """Check that an order names at most ten templates of each kind (developer.runa.io: features, templates)."""
    for name, found in (
        ("product templates", {getattr(item.products, "template_id", None) for item in items}),
        ("redemption templates", {item.distribution_method.template_id for item in items}),
    ):
        if len(found - {None}) > MOST_TEMPLATES:
            problems.add(
                place(("items",)),
                f"must name at most {MOST_TEMPLATES} different {name}, found {len(found - {None})}",
            )


def check_value(item: Item, currency: str, amount: WrittenAmount | None, place: PlaceOf, problems: Problems) -> bool:
    """Check that a face value is one of its currency: the decimals, and the sign or code that a sheet has beside it."""
    where = place(("face_value",))
    if amount is not None and (mark := amount.disagreement(currency)):
        problems.add(where, f"is in {mark}, but the gift is in {currency}")
        return False
    if not has_decimals_of(item.face_value, currency):
        problems.add(where, f"has more decimals than {currency} has, found {item.face_value}")
        return False
    return True


def unknown_currency(codes: Sequence[str]) -> str:
    """Say that the currency cannot be told from the products, and what to do."""
    named = ", ".join(sorted(set(codes))[:5]) or "a saved selection"
    return f"cannot be told from {named}: check the code, or say which balance pays with --currency"


def country_of(item: Item) -> str:
    """Return the country of an item's products, empty where it cannot be told; Runa takes one country an order."""
    return next(filter(None, map(code_country, item.codes)), "")
