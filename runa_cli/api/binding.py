"""The echo check: finds out which item of an answer belongs to which item of the order that was sent."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runa_cli.api.responses import Order, OrderItem, Products, Unreadable, parse


def match_items(sent: Sequence[Mapping[str, Any]], answered: Order, *, with_links: bool = True) -> list[int] | None:
    """Return for each item sent the index of the answer's item that echoes it, or None when the two do not match.

    Items have no reference of ours and Runa does not promise their order, so a link can be bound to a row only by
    recipient, value and products. Exact matches are bound first, then matches that differ only in the letter case of
    the address, then those whose products Runa calls UNKNOWN, if only one choice of products is possible. With
    `with_links`, every item of the answer must have a link; the items of a FAILED order need none.
    """
    items = answered.items or []
    if len(items) != len(sent) or (with_links and any(not item.payout or not item.payout.url for item in items)):
        return None
    try:
        wanted = [parse(OrderItem, item) for item in sent]
    except Unreadable:
        return None
    bound: dict[int, int] = {}
    for key_of in (_exact, _without_case, _without_products):
        _bind(wanted, items, bound, key_of)
    return [bound[index] for index in range(len(wanted))] if len(bound) == len(wanted) else None


def _bind(
    wanted: list[OrderItem], items: list[OrderItem], bound: dict[int, int], key_of: Callable[[OrderItem], object]
) -> None:
    """Bind the items that are not bound yet to free items of the answer with the same key."""
    taken = set(bound.values())
    free: defaultdict[object, list[int]] = defaultdict(list)
    for index in reversed(range(len(items))):
        if index not in taken and (key_of is not _without_products or items[index].products.type == "UNKNOWN"):
            free[key_of(items[index])].append(index)
    unbound = [index for index in range(len(wanted)) if index not in bound]
    choices: defaultdict[object, set[object]] = defaultdict(set)
    for index in unbound:
        choices[key_of(wanted[index])].add(_choice(wanted[index].products))
    for index in unbound:
        key = key_of(wanted[index])
        is_ambiguous = key_of is _without_products and len(choices[key]) > 1
        if not is_ambiguous and (candidates := free.get(key)):
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
