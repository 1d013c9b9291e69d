"""Rules that concern the items of one order together."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from runa_cli.api.countries import code_country, code_currency
from runa_cli.api.order_models import MOST_TEMPLATES, Item, Loc
from runa_cli.core.amounts import WrittenAmount
from runa_cli.core.money import has_decimals_of
from runa_cli.input.places import PlaceOf
from runa_cli.input.problems import Place, Problems


class CodeLookup(Protocol):
    """Knows product codes."""

    def __call__(self, code: str) -> str | None:
        """Return the currency of a code; None where it cannot be told."""

    def unknown(self, code: str, others: Sequence[str]) -> str | None:
        """Return what to say of a code that is certainly wrong; `others` are codes beside it."""


class CodesByCountry:
    """Knows of a product code what its ending says."""

    def __call__(self, code: str) -> str | None:
        """Return the currency of the country that the code ends in; None where it ends in none."""
        return code_currency(code)

    def unknown(self, code: str, others: Sequence[str]) -> str | None:  # noqa: ARG002 - nothing is known of it
        """Return None: any code may exist."""
        return None


BY_COUNTRY = CodesByCountry()


def product_currency(
    located: Sequence[tuple[Item, PlaceOf]],
    place: PlaceOf,
    base: Loc,
    problems: Problems,
    currency_of: Callable[[str], str | None],
) -> str | None:
    """Return the one currency of the items' products; None where their codes do not tell.

    Products of several currencies or countries in one order are a problem (developer.runa.io: features, limiting). It
    is one of the flag that gave all these codes, else of the path `base`.
    """
    currencies: dict[str, str] = {}
    countries: dict[str, str] = {}
    for item, _ in located:
        for code in item.codes:
            if currency := currency_of(code):
                currencies.setdefault(currency, code)
            if country := code_country(code):
                countries.setdefault(country, code)
    for kind, found in (("currency", currencies), ("country", countries)):
        if len(found) > 1:
            listed = ", ".join(f"{code} ({name})" for name, code in found.items())
            where = _flag_of({*found.values()}, located) or place(base)
            problems.add(where, f"must all be of one {kind}, found {listed}")
            break
    return next(iter(currencies), None)


def _flag_of(codes: Collection[str], located: Sequence[tuple[Item, PlaceOf]]) -> Place | None:
    """Return the flag from which all of these codes came; None where one is the file's own."""
    places = {place(("products",), alone=True) for item, place in located if not {*item.codes}.isdisjoint(codes)}
    return next(iter(places)) if len(places) == 1 and all(place.flag for place in places) else None


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
    if amount is not None and (mark := amount.disagreement(currency)):
        problems.add(place(("face_value",)), f"is in {mark}, but the gift is in {currency}")
        return False
    if not has_decimals_of(item.face_value, currency):
        problems.add(place(("face_value",)), f"has more decimals than {currency} has, found {item.face_value}")
        return False
    return True


def add_unknown_currency(
    located: Sequence[tuple[Item, PlaceOf]], place: Place, problems: Problems, lookup: CodeLookup
) -> None:
    """Report that no currency can be told from the products: each wrong code at its place, else all of them at once."""
    if not located:
        return  # what is wrong with every item, or that there is none, has been reported
    codes = [code for item, _ in located for code in item.codes]
    found = False
    for item, where in located:
        for code in item.codes:
            if lookup(code) is None and (sentence := lookup.unknown(code, codes)):
                problems.add(where(("products",), alone=True), sentence)
                found = True
    if not found:
        named = ", ".join(sorted(set(codes))[:5])
        told = f"from {named}: check the code, or" if named else "from a saved selection:"
        own = located[0][1](("products",) if codes else ("products", "template_id"), alone=True)
        problems.add(
            own if len(located) == 1 else _flag_of(codes, located) or place,
            f"no currency can be told {told} say which balance pays with --currency",
        )


def country_of(item: Item) -> str:
    """Return the country of an item's products, empty where it cannot be told; Runa takes one country an order."""
    return next(filter(None, map(code_country, item.codes)), "")
