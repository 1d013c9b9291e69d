"""Names the place of a problem in terms of what the person wrote: a flag, a row and column, a path in JSON."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from runa_cli.api.order_models import Loc
from runa_cli.input.problems import Place

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
# The member of the API's item that a flat field becomes part of, where it has another name.
_MEMBERS = {
    "email": "distribution_method",
    "recipient": "distribution_method",
    "template_id": "distribution_method",
    "product": "products",
    "product_template": "products",
    "currency": "payment_method",
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


class PlaceOf(Protocol):
    """Names the place of a problem in terms of what the person wrote.

    A value that is wrong on its own (`alone`) is a problem of the flag it came from, reported once, and not of every
    row that the flag fills in.
    """

    def __call__(self, loc: Loc, *, alone: bool = False) -> Place:
        """Return the place of a path in the API's item."""


def field_name(loc: Loc) -> str:
    """Return the flat field that a path in the API's item stands for."""
    return _NAMES.get(loc[:2]) or _NAMES.get(loc[:1]) or str(loc[0])


def flag_place(loc: Loc, *, alone: bool = False) -> Place:  # noqa: ARG001 - a flag is one place in any case
    """Name the flag that a value came from."""
    return Place(flag=FLAGS.get(field_name(loc), field_name(loc)))


class RowPlace(NamedTuple):
    """Places in a row of a sheet; flags fill in the fields named in `filled`."""

    locate: Callable[[str], Place]  # the place of a field's cell
    filled: frozenset[str] = frozenset()

    @classmethod
    def at(cls, row: Place, filled: frozenset[str] = frozenset()) -> "RowPlace":
        """Return the places in a row of which only the names of its columns are known."""
        return cls(lambda name: row._replace(column=name), filled)

    def __call__(self, loc: Loc, *, alone: bool = False) -> Place:
        """Name the cell, or the flag that filled it in."""
        name = field_name(loc)
        return flag_place(loc) if alone and name in self.filled else self.locate(name)


class JsonPlace(NamedTuple):
    """Places in a JSON document, as paths from `base`; flags fill in the members named in `filled`."""

    place: Place
    base: Loc = ()
    filled: frozenset[str] = frozenset()

    def item(self, base: Loc, document: object, defaults: Mapping[str, Any]) -> "JsonPlace":
        """Return the places of an item, or of an order, at a path; flags fill in what it leaves out."""
        own = document if isinstance(document, dict) else {}
        names = {*defaults, "metadata"}
        return self._replace(base=base, filled=frozenset(name for name in names if _member(name) not in own))

    def __call__(self, loc: Loc, *, alone: bool = False) -> Place:
        """Name the path, or the flag that filled it in."""
        if alone and loc and field_name(loc) in self.filled:
            return flag_place(loc)
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.base + loc)
        path = ((self.place.path or "") + steps).lstrip(".")
        return Place(file=self.place.file, line=self.place.line, path=path or None)


def filled_in(names: tuple[str, ...], place: PlaceOf) -> str:
    """Return those of some fields of a row or an item that a flag filled in, with blanks between them."""
    return _listed(names, place.filled) if isinstance(place, RowPlace | JsonPlace) else ""


@lru_cache(maxsize=64)  # the rows of a list have the same few fields filled in
def _listed(names: tuple[str, ...], filled: frozenset[str]) -> str:
    return " ".join(name for name in names if name in filled)


def _member(name: str) -> str:
    return _MEMBERS.get(name, name)
