"""From the values of a JSON or JSONL file to orders and items of the plan. Flags fill in what they leave out."""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from runa_cli.api.field_rules import quoted
from runa_cli.api.order_models import MOST_ITEMS
from runa_cli.core.exact_json import Number
from runa_cli.core.identity import normalized_text
from runa_cli.input import fields
from runa_cli.input.fields import item_document
from runa_cli.input.json_file import Value
from runa_cli.input.places import JsonPlace
from runa_cli.input.plan_builder import LocatedItem, PlanBuilder
from runa_cli.input.problems import Place

_ORDER_FIELDS = {"payment_method", "items", "description", "metadata"}
MOST_REFERENCE = 200  # characters


def add_values(builder: PlanBuilder, values: Iterator[Value]) -> None:
    """Add each value: an order where it has items or a payment method, else an item."""
    defaults = builder.defaults()
    row = 0
    for value in values:
        document, place = value.value, JsonPlace(value.place)
        if not isinstance(document, dict):
            builder.problems.add(value.place, f"must be an order or an item, found {quoted(document)}")
        elif {"items", "payment_method"} & document.keys():
            if value.alone:
                builder.plan.shape = "object"
            row += _add_order(builder, document, place, defaults, row)
        else:
            row += 1
            _add_item(builder, document, place, defaults, row)


def _add_item(
    builder: PlanBuilder, document: dict[str, Any], place: JsonPlace, defaults: Mapping[str, Any], row: int
) -> None:
    quantity = fields.quantity(builder.order_input.quantity, Place(flag="--quantity"), builder.problems)
    where = place.item((), document, defaults)
    document, reference = _without_reference(builder, document, where)
    builder.add_item(
        _filled(builder, document, defaults, where), where, row=row, reference=reference, quantity=quantity
    )


def _add_order(
    builder: PlanBuilder, document: dict[str, Any], place: JsonPlace, defaults: Mapping[str, Any], row: int
) -> int:
    """Add an order whose items follow the given row, and return how many rows it takes."""
    problems, items = builder.problems, document.get("items")
    if builder.order_input.quantity is not None:
        problems.add(Place(flag="--quantity"), "counts gifts, and an order of a file has its own")
    for name in document.keys() - _ORDER_FIELDS:
        problems.add(place((name,)), "is not a field Runa knows")
    if not isinstance(items, list):
        problems.add(place(("items",)), "is missing" if items is None else "must be a list")
        return 0
    if not 1 <= len(items) <= MOST_ITEMS:
        problems.add(place(("items",)), f"must hold 1 to {MOST_ITEMS} items, found {len(items)}")
        items = items[:MOST_ITEMS]
    located = [_located(builder, item, place, defaults, index) for index, item in enumerate(items)]
    builder.add_order(document, located, place.item((), document, defaults), row=row)
    return len(items)


def _located(
    builder: PlanBuilder, item: object, place: JsonPlace, defaults: Mapping[str, Any], index: int
) -> LocatedItem:
    where = place.item(("items", index), item, defaults)
    reference = None
    if isinstance(item, dict):
        item, reference = _without_reference(builder, item, where)
    return LocatedItem(_filled(builder, item, defaults, where), where, reference)


def _without_reference(
    builder: PlanBuilder, document: dict[str, Any], place: JsonPlace
) -> tuple[dict[str, Any], str | None]:
    """Return an item as the API takes it, and the reference of its own, which is kept here and not sent."""
    if "reference" not in document:
        return document, None
    item = {name: value for name, value in document.items() if name != "reference"}
    value = document["reference"]
    text = value.text if isinstance(value, Number) else value
    if text is None:
        return item, None
    if not isinstance(text, str):
        builder.problems.add(place(("reference",)), f"must be text or a number, found {quoted(value)}")
        return item, None
    text = text.strip()
    if not 1 <= len(text) <= MOST_REFERENCE or not normalized_text(text) or not _is_storable(text):
        builder.problems.add(
            place(("reference",)),
            f"must have 1 to {MOST_REFERENCE} characters and no control characters, found {quoted(value)}",
        )
        return item, None
    return item, text


def _is_storable(text: str) -> bool:
    """Tell whether text has neither control characters nor lone surrogates."""
    return not any(unicodedata.category(char) in {"Cc", "Cs"} for char in text)


def _filled(builder: PlanBuilder, document: object, defaults: Mapping[str, Any], place: JsonPlace) -> object:
    """Return an item as JSON gave it, with what it leaves out filled in from the flags."""
    if not isinstance(document, dict):
        return document
    filled = {**item_document(defaults), **document}
    method, template_id = filled.get("distribution_method"), builder.order_input.template_id
    if isinstance(method, dict) and "email_address" in method:
        builder.addresses.expect()
    elif "distribution_method" not in document:
        builder.addresses.is_missing(place(("distribution_method",)))
    if isinstance(method, dict) and template_id and "template_id" not in method:
        filled["distribution_method"] = {**method, "template_id": template_id}
    return filled
