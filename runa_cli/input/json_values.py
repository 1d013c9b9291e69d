"""From the values of a JSON or JSONL file to orders and items of the plan. Flags fill in what they leave out."""

from collections.abc import Iterator, Mapping
from typing import Any

from runa_cli.api.field_rules import quoted
from runa_cli.api.order_models import MOST_ITEMS
from runa_cli.input import fields
from runa_cli.input.fields import item_document
from runa_cli.input.json_file import Value
from runa_cli.input.places import JsonPlace
from runa_cli.input.plan_builder import PlanBuilder
from runa_cli.input.problems import Place

_ORDER_FIELDS = {"payment_method", "items", "description", "metadata"}


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
    builder.add_item(
        _filled(builder, document, defaults), place.item((), document, defaults), row=row, quantity=quantity
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
    located = [
        (_filled(builder, item, defaults), place.item(("items", index), item, defaults))
        for index, item in enumerate(items)
    ]
    builder.add_order(document, located, place, row=row)
    return len(items)


def _filled(builder: PlanBuilder, document: object, defaults: Mapping[str, Any]) -> object:
    """Return an item as JSON gave it, with what it leaves out filled in from the flags."""
    if not isinstance(document, dict):
        return document
    filled = {**item_document(defaults), **document}
    method, template_id = filled.get("distribution_method"), builder.order_input.template_id
    if isinstance(method, dict) and template_id and "template_id" not in method:
        filled["distribution_method"] = {**method, "template_id": template_id}
    return filled
