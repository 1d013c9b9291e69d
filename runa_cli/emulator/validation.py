"""Validates the body of a request, and reports every mistake with its place.

The rules are those of developer.runa.io: reference/2024-02-05/endpoint/orders/create. Places and type names have the
form of the playground's. Fields that are not in the schema are ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from runa_cli.emulator.answers import RefusedError, validation_error
from runa_cli.emulator.reading import Place, Reader, Text, parse

MAX_ITEMS = 200
MAX_ITEMS_ESTIMATED = 500
MAX_TEMPLATES = 10

_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
_LEAST = Decimal("0.01")
# Not documented: a limit far above every denomination keeps the arithmetic exact.
_MOST = Decimal("999999999.99")


@dataclass(frozen=True, slots=True)
class NewItem:
    """One item of a request. The objects have only the known fields, unchanged, for the echo in the answer."""

    face_value: Decimal
    distribution_method: dict[str, Any]
    products: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A valid request for an order or an estimate."""

    currency: str
    items: list[NewItem]
    description: str | None
    metadata: dict[str, str] | None


_CURRENCY = Text(pattern="[A-Z]{3}")
_EMAIL = Text(pattern=r"[^@\s,;<>()]+@[^@\s,;<>().]+(\.[^@\s,;<>().]+)+", longest=254)
_REDEMPTION_TEMPLATE = Text(pattern="DT-" + _ULID)
_SELECTION_TEMPLATE = Text(pattern="PT-" + _ULID)
_SPEND_RULES = Text(pattern="PSR-" + _ULID)
_REFERENCE = Text(pattern="[A-Za-z0-9-_@.]+", longest=255)
_DELIVERIES = Text(choices=("EMAIL", "PAYOUT_LINK", "RECIPIENT"))
_SELECTIONS = Text(choices=("SINGLE", "MULTIPLE", "TEMPLATE"))
_ESTIMATED_SELECTIONS = Text(choices=("SINGLE", "MULTIPLE"))


def new_order(body: bytes, *, most_items: int) -> NewOrder:
    """Read the body of POST /order. Raises RefusedError (400 or 422) for a mistake or too many items."""
    return _read(body, _OrderReader(most_items))


def new_estimate(body: bytes) -> NewOrder:
    """Read the body of POST /order/estimate, whose items need no distribution method. Raises RefusedError as above."""
    return _read(body, _EstimateReader(MAX_ITEMS_ESTIMATED))


def missing_header(name: str) -> RefusedError:
    """Return the error for a request without a required header."""
    detail = {"type": "missing", "message": "This header is required.", "location": ["header", name]}
    return RefusedError(validation_error([detail]))


def _read(body: bytes, reader: "_OrderReader") -> NewOrder:
    order = reader.order(parse(body))
    if reader.mistakes:
        raise RefusedError(validation_error(reader.mistakes))
    return order


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class _OrderReader(Reader):
    """Reads the body of POST /order."""

    selections = _SELECTIONS

    def __init__(self, most_items: int) -> None:
        super().__init__()
        self.most_items = most_items

    def order(self, body: object) -> NewOrder:
        holder = self.as_mapping(body, ())
        if holder is None:
            return NewOrder("", [], None, None)
        currency = self.payment(holder)
        items = self.sequence(holder, "items", (), 1, self.most_items)
        read = [self.item(item, ("items", str(index))) for index, item in enumerate(items)]
        self.templates(read)
        return NewOrder(currency, read, self.description(holder), self.metadata(holder))

    def payment(self, holder: dict[str, Any]) -> str:
        method, place = self.mapping(holder, "payment_method", ()), ("payment_method",)
        if method is None:
            return ""
        self.text(method, "type", place, Text(choices=("ACCOUNT_BALANCE",)))
        return self.text(method, "currency", place, _CURRENCY)

    def description(self, holder: dict[str, Any]) -> str | None:
        if holder.get("description") is None:
            return None
        return self.text(holder, "description", (), Text(longest=128))

    def metadata(self, holder: dict[str, Any]) -> dict[str, str] | None:
        if holder.get("metadata") is None:
            return None
        pairs, place = self.mapping(holder, "metadata", ()), ("metadata",)
        if pairs is None:
            return None
        if len(pairs) > 20:
            self.wrong(place, "too_long", f"At most 20 pairs are allowed, {len(pairs)} found.")
        for key, value in pairs.items():
            self.as_text(key, (*place, key), Text(longest=40))
            self.as_text(value, (*place, key), Text(longest=200))
        return pairs

    def item(self, value: object, place: Place) -> NewItem:
        holder = self.as_mapping(value, place) or {}
        distribution = self.distribution(holder, place)
        products = self.products(holder, place)
        whole = products.get("type") in {"MULTIPLE", "TEMPLATE"}
        return NewItem(self.face_value(holder, place, whole=whole), distribution, products)

    def face_value(self, holder: dict[str, Any], place: Place, *, whole: bool) -> Decimal:
        if not self.present(holder, "face_value", place):
            return _LEAST
        value, place = holder["face_value"], (*place, "face_value")
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.wrong(place, "decimal_type", "This has to be a number.")
            return _LEAST
        return self.in_range(Decimal(value), place, whole=whole)

    def in_range(self, value: Decimal, place: Place, *, whole: bool) -> Decimal:
        if value < _LEAST:
            self.wrong(place, "greater_than_equal", f"This has to be {_LEAST} or more.")
        elif value > _MOST:
            self.wrong(place, "less_than_equal", f"This has to be {_MOST} or less.")
        elif whole and value != value.to_integral_value():
            self.wrong(place, "int_from_float", "A choice of products needs a whole number.")
        elif value != round(value, 2):
            # Not documented. Without a refusal, the amount that somebody is paid would be rounded.
            self.wrong(place, "decimal_max_places", "At most two decimal places are allowed.")
        return value

    def distribution(self, holder: dict[str, Any], place: Place) -> dict[str, Any]:
        method, place = self.mapping(holder, "distribution_method", place), (*place, "distribution_method")
        if method is None:
            return {}
        read = {"type": self.text(method, "type", place, _DELIVERIES)}
        if read["type"] == "RECIPIENT":
            read["recipient_reference"] = self.text(method, "recipient_reference", place, _REFERENCE)
        if read["type"] in {"EMAIL", "RECIPIENT"}:
            read["email_address"] = self.text(method, "email_address", place, _EMAIL)
        if "template_id" in method:
            read["template_id"] = self.text(method, "template_id", place, _REDEMPTION_TEMPLATE)
        return read

    def products(self, holder: dict[str, Any], place: Place) -> dict[str, Any]:
        selection, place = self.mapping(holder, "products", place), (*place, "products")
        if selection is None:
            return {}
        kind = self.text(selection, "type", place, self.selections)
        read: dict[str, Any] = {"type": kind}
        if kind == "SINGLE":
            read["value"] = self.text(selection, "value", place, Text(shortest=1))
            if "usage_config" in selection:
                read["usage_config"] = self.usage_config(selection, place)
        elif kind == "MULTIPLE":
            read["values"] = self.codes(selection, place)
        elif kind == "TEMPLATE":
            read["template_id"] = self.text(selection, "template_id", place, _SELECTION_TEMPLATE)
        return read

    def usage_config(self, selection: dict[str, Any], place: Place) -> dict[str, Any]:
        config, place = self.mapping(selection, "usage_config", place) or {}, (*place, "usage_config")
        if "spend_rules_template_id" not in config:
            return {}
        return {"spend_rules_template_id": self.text(config, "spend_rules_template_id", place, _SPEND_RULES)}

    def codes(self, selection: dict[str, Any], place: Place) -> list[str]:
        values = self.sequence(selection, "values", place, 2, None)
        place = (*place, "values")
        codes = [self.as_text(value, (*place, str(index)), Text(shortest=1)) for index, value in enumerate(values)]
        if len(set(codes)) < len(codes):
            self.wrong(place, "value_error", "The product codes have to differ.")
        return codes

    def templates(self, items: Iterable[NewItem]) -> None:
        """Check how many different templates all items together use."""
        kinds = {
            "selection": {_text(item.products.get("template_id")) for item in items},
            "redemption": {_text(item.distribution_method.get("template_id")) for item in items},
        }
        for kind, used in kinds.items():
            if len(used - {""}) > MAX_TEMPLATES:
                message = f"One order can use {MAX_TEMPLATES} different {kind} templates, not {len(used - {''})}."
                self.wrong(("items",), "value_error", message)


class _EstimateReader(_OrderReader):
    """Reads the body of POST /order/estimate, where nothing is distributed."""

    selections = _ESTIMATED_SELECTIONS

    def distribution(self, holder: dict[str, Any], place: Place) -> dict[str, Any]:  # noqa: ARG002 - nothing to read
        return {}
