"""Flat fields, as flags and columns have them: the API's item that they describe, and the name of a place in it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from runa_cli.api import order_models
from runa_cli.api.order_models import Loc
from runa_cli.core.exact_json import Number
from runa_cli.input.problems import Mistakes, Place

MOST_QUANTITY = 100_000

FLAGS = {
    "face_value": "--face-value",
    "email": "--email",
    "recipient": "--recipient",
    "product": "--product",
    "product_template": "--product-template",
    "template_id": "--template-id",
    "currency": "--currency",
    "description": "--description",
    "metadata": "--metadata",
    "quantity": "--quantity",
}
# Which member of the API's item a flat field ends up in, where that is not itself.
_MEMBERS = {
    "email": "distribution_method",
    "recipient": "distribution_method",
    "template_id": "distribution_method",
    "product": "products",
    "product_template": "products",
}
_NAMES: dict[Loc, str] = {
    ("face_value",): "face_value",
    ("distribution_method", "email_address"): "email",
    ("distribution_method", "recipient_reference"): "recipient",
    ("distribution_method", "template_id"): "template_id",
    ("payment_method", "currency"): "currency",
    ("products", "template_id"): "product_template",
    ("products",): "product",
}


@dataclass(frozen=True)
class Typed:
    """What was typed about gifts, orders and their file, to create or to estimate them. Amounts are text."""

    face_value: str | None = None
    emails: tuple[str, ...] = ()
    quantity: str | None = None
    products: tuple[str, ...] = ()
    product_template: str | None = None
    template_id: str | None = None
    recipient: str | None = None
    currency: str | None = None
    fx: bool = False
    description: str | None = None
    metadata: tuple[str, ...] = ()  # KEY=VALUE
    file: str | None = None
    file_format: str | None = None


@dataclass(frozen=True)
class Given(Typed):
    """What was typed, with what settings add to it."""

    mode: str = "auto"
    stamp: bool = True
    currency_of: Callable[[str], str | None] = order_models.code_currency

    def fields(self) -> dict[str, Any]:
        """Return the flat fields of an item and its order; but for addresses, of which there may be several."""
        fields = {
            "face_value": self.face_value,
            "recipient": self.recipient,
            "product": list(self.products) or None,
            "product_template": self.product_template,
            "template_id": self.template_id,
            "currency": self.currency,
            "description": self.description,
            "quantity": self.quantity,
        }
        return {name: value for name, value in fields.items() if value is not None}


def item_document(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item that flat fields describe, in the API's shape; what is missing stays out."""
    template = {"template_id": fields["template_id"]} if fields.get("template_id") else {}
    document: dict[str, Any] = {"distribution_method": {**_distribution(fields), **template}}
    if fields.get("face_value") is not None:
        document["face_value"] = _number(str(fields["face_value"]))
    codes = fields.get("product")
    if fields.get("product_template") is not None:
        document["products"] = {"type": "TEMPLATE", "template_id": fields["product_template"]}
    elif codes:
        document["products"] = (
            {"type": "SINGLE", "value": codes[0]} if len(codes) == 1 else {"type": "MULTIPLE", "values": codes}
        )
    return document


def _distribution(fields: Mapping[str, Any]) -> dict[str, Any]:
    email, recipient = fields.get("email"), fields.get("recipient")
    address = {} if email is None else {"email_address": email}
    if recipient is not None:
        return {"type": "RECIPIENT", "recipient_reference": recipient, **address}
    return {"type": "EMAIL", **address} if address else {"type": "PAYOUT_LINK"}


def _number(text: str) -> object:
    """Return the amount in plain digits as a number; anything else stays text and is a mistake by itself.

    So does one with three decimals: where people write a comma for the point, 1.500 is fifteen hundred.
    """
    found = re.fullmatch(r"(-?)0*([0-9]+(?:\.[0-9]{1,2}|\.[0-9]{4,})?)", text, re.ASCII)
    return Number("".join(found.groups())) if found else text


def with_point(cell: str) -> str:
    """Return a cell's amount with a decimal point where it has the comma that much of Europe writes.

    Only where it cannot be read in two ways: a comma before three digits may stand for a thousand.
    """
    return re.sub(r"^([0-9]+),([0-9]{1,2})$", r"\1.\2", cell, flags=re.ASCII)


def quantity(text: str | None, place: Place, mistakes: Mistakes) -> int:
    """Return how many gifts are meant; one where nothing is said, or nothing that can be read."""
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_QUANTITY and len(text) < 9):
        mistakes.add(place, f"must be a whole number from 1 to {MOST_QUANTITY}, found {order_models.shown(text)}")
        return 1
    return int(text)


def metadata(pairs: tuple[str, ...], mistakes: Mistakes) -> dict[str, str]:
    """Return the metadata that KEY=VALUE flags make."""
    made: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            mistakes.add(Place(flag="--metadata"), f"must be KEY=VALUE, found {order_models.shown(pair)}")
        elif key in made:
            mistakes.add(Place(flag="--metadata"), f"names {order_models.shown(key)} twice")
        made[key] = value
    return made


# --- places ----------------------------------------------------------------------------------------------------------


class Where(Protocol):
    """Names the place of a mistake in terms of what the person wrote.

    What is wrong `alone`, whatever stands beside it, is the mistake of one flag, not of each row that the flag fills.
    """

    def __call__(self, loc: Loc, *, alone: bool = False) -> Place:
        """Return the place of a path in the API's item."""


def _name(loc: Loc) -> str:
    """Return the flat field that a path in the API's item stands for."""
    return _NAMES.get(loc[:2]) or _NAMES.get(loc[:1]) or str(loc[0])


def flag_place(loc: Loc, *, alone: bool = False) -> Place:  # noqa: ARG001 - a flag is one place in any case
    """Name the flag that a value came from."""
    return Place(flag=FLAGS.get(_name(loc), _name(loc)))


@dataclass(frozen=True)
class RowPlace:
    """Places in a CSV row, of which flags fill in some fields."""

    place: Place
    filled: frozenset[str] = frozenset()

    def __call__(self, loc: Loc, *, alone: bool = False) -> Place:
        """Name the column, or the flag that filled it in."""
        name = _name(loc)
        return flag_place(loc) if alone and name in self.filled else replace(self.place, column=name)


@dataclass(frozen=True)
class JsonPlace:
    """Places in a JSON document, as a path; `base` leads to an item of which flags fill in some members."""

    place: Place
    base: Loc = ()
    filled: frozenset[str] = frozenset()

    def item(self, base: Loc, document: object, given: Mapping[str, Any]) -> "JsonPlace":
        """Return the places of an item; what it leaves out is filled in from flat fields."""
        own = document if isinstance(document, dict) else {}
        return replace(self, base=base, filled=frozenset(name for name in given if _member(name) not in own))

    def __call__(self, loc: Loc, *, alone: bool = False) -> Place:
        """Name the path, or the flag that filled it in."""
        if alone and loc and _name(loc) in self.filled:
            return flag_place(loc)
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.base + loc)
        path = ((self.place.path or "") + steps).lstrip(".")
        return Place(file=self.place.file, line=self.place.line, path=path or None)


def _member(name: str) -> str:
    return _MEMBERS.get(name, name)
