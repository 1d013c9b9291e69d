"""The echo check: which item of an answer belongs to which item of the order that was sent."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runa_cli.api.responses import Order, OrderItem, Products, Unreadable, parse


def match_items(asked: Sequence[Mapping[str, Any]], answered: Order, *, with_links: bool = True) -> list[int] | None:
    """Return for each item asked for the index of the answer's item that echoes it, or None when they do not match.

    Items carry no reference of ours and Runa promises no order, so a link belongs to a row only by recipient, value
    and products. An exact match goes first; then one that differs only in the letter case of the address or in
    products that Runa calls UNKNOWN, if it leaves no doubt which. Every answered item must have a link, unless it is
    a FAILED order's.
    """
    items = answered.items or []
    if len(items) != len(asked) or (with_links and any(not item.payout or not item.payout.url for item in items)):
        return None
    try:
        wanted = [parse(OrderItem, item) for item in asked]
    except Unreadable:
        return None
    bound: dict[int, int] = {}
    for likeness in (_exact, _without_case, _without_products):
        _match(wanted, items, bound, likeness)
    return [bound[index] for index in range(len(wanted))] if len(bound) == len(wanted) else None


def _match(
    wanted: list[OrderItem], items: list[OrderItem], bound: dict[int, int], likeness: Callable[[OrderItem], object]
) -> None:
    taken = set(bound.values())
    free: defaultdict[object, list[int]] = defaultdict(list)
    for index in reversed(range(len(items))):
        if index not in taken and (likeness is not _without_products or items[index].products.type == "UNKNOWN"):
            free[likeness(items[index])].append(index)
    open_ = [index for index in range(len(wanted)) if index not in bound]
    choices: defaultdict[object, set[object]] = defaultdict(set)
    for index in open_:
        choices[likeness(wanted[index])].add(_choice(wanted[index].products))
    for index in open_:
        key = likeness(wanted[index])
        doubt = likeness is _without_products and len(choices[key]) > 1
        if not doubt and (candidates := free.get(key)):
            bound[index] = candidates.pop()


def _exact(item: OrderItem) -> object:
    method = item.distribution_method
    return (method.type, method.email_address, method.recipient_reference, item.face_value, _choice(item.products))


def _without_case(item: OrderItem) -> object:
    method = item.distribution_method
    address = (method.email_address or "").casefold()
    return (method.type, address, method.recipient_reference, item.face_value, _choice(item.products))


def _without_products(item: OrderItem) -> object:
    method = item.distribution_method
    return (method.type, (method.email_address or "").casefold(), method.recipient_reference, item.face_value)


def _choice(products: Products) -> object:
    if products.type == "TEMPLATE":
        return (products.type, products.template_id)
    return (products.type, products.value, frozenset(products.values or ()))
