"""The echo check: finds out which item of an answer belongs to which item of the order that was sent.

Items have no reference of ours and Runa does not promise their order, so a link can be bound to a row only by what the
item says: recipient, value, products, redemption template and spend rules. What Runa leaves out of its echo does not
distinguish. Exact matches are bound first, then those that mean the same in another spelling. Where an item could
belong to several rows that differ, it is bound to none of them.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from msgspec import Struct, field

from runa_cli.api.responses import Order, OrderItem, Products, Unreadable, parse
from runa_cli.core.identity import normalized_address


def match_items(sent: Sequence[Mapping[str, Any]], answered: Order, *, with_links: bool = True) -> list[int] | None:
    """Return for each item sent the index of the answer's item that echoes it, or None when the two do not match.

    With `with_links`, every item of the answer must have a link; the items of a FAILED order need none.
    """
    items = answered.items or []
    if len(items) != len(sent) or (with_links and not has_links(answered)):
        return None
    bound = [index for index in bind_items(sent, answered) if index is not None]
    return bound if len(bound) == len(sent) else None


def has_links(answered: Order) -> bool:
    """Tell whether the answer has items, and each of them a link."""
    return bool(answered.items) and all(item.payout and item.payout.url for item in answered.items or ())


def bind_items(sent: Sequence[Mapping[str, Any]], answered: Order) -> list[int | None]:
    """Return for each item sent the index of the answer's item that certainly echoes it, None where there is none."""
    if len(sent) == len(answered.items or ()) and all(map(_is_exact_echo, sent, answered.items or ())):
        return [*range(len(sent))]  # what the search below finds too
    try:
        asked = [parse(OrderItem, item) for item in sent]
    except Unreadable:
        return [None] * len(sent)
    groups: defaultdict[Hashable, _Group] = defaultdict(_Group)
    for index, item in enumerate(asked):
        groups[_recipient_and_value(item)].rows.setdefault(_details(item), []).append(index)
    for index, item in enumerate(answered.items or ()):
        if group := groups.get(_recipient_and_value(item)):
            group.items.setdefault(_details(item), []).append(index)
    bound: dict[int, int] = {}
    for group in groups.values():
        for stage in _Stage:
            group.bind(stage, asked, answered.items or (), bound)
    return [bound.get(index) for index in range(len(sent))]


def _is_exact_echo(sent: Mapping[str, Any], item: OrderItem) -> bool:
    """Tell whether an answered item is the one sent, in everything that the two are compared by."""
    asked, method = sent.get("distribution_method"), item.distribution_method
    wanted, products = sent.get("products"), item.products
    return (
        isinstance(asked, dict)
        and isinstance(wanted, dict)
        and method.email_address == asked.get("email_address")
        and item.face_value == sent.get("face_value")
        and method.type == asked.get("type")
        and method.recipient_reference == asked.get("recipient_reference")
        and method.template_id == asked.get("template_id")
        and products.value == wanted.get("value")
        and products.type == wanted.get("type")
        and products.values == wanted.get("values")
        and products.template_id == wanted.get("template_id")
        and products.usage_config == wanted.get("usage_config")
    )


class _Stage(IntEnum):
    """How closely an answered item resembles the one sent; later ones only count where earlier ones bind nothing."""

    SAME = 0
    OTHER_SPELLING = 1  # the same codes as another type of products, or a template that was not asked for
    PART = 2  # some of the products that were asked for, or the products of a template without its id
    UNKNOWN_PRODUCTS = 3


class _Details(NamedTuple):
    """What tells apart the items of one recipient and value."""

    products_type: str
    codes: frozenset[str]
    template: str | None  # of the products
    spend_rules: str | None
    redemption_template: str | None


class _Group(Struct):
    """The rows and the answered items of one recipient and value, by their details; each list holds those left."""

    rows: dict[_Details, list[int]] = field(default_factory=dict)
    items: dict[_Details, list[int]] = field(default_factory=dict)

    def bind(
        self, stage: _Stage, asked: Sequence[OrderItem], answered: Sequence[OrderItem], to: dict[int, int]
    ) -> None:
        """Bind what can only belong together, until nothing more follows from that."""
        while certain := self._certain(stage):
            for wanted, echoes in certain.items():
                for details in echoes:
                    _pair(self.rows[wanted], self.items[details], asked, answered, to)

    def _certain(self, stage: _Stage) -> dict[_Details, list[_Details]]:
        """Return the kinds of rows with the kinds of items that can belong to no other row that is left."""
        rows = [wanted for wanted, left in self.rows.items() if left]
        certain: defaultdict[_Details, list[_Details]] = defaultdict(list)
        for details in (details for details, left in self.items.items() if left):
            possible = [wanted for wanted in rows if _resembles(wanted, details, stage)]
            if len(possible) == 1:
                certain[possible[0]].append(details)
        return {wanted: echoes for wanted, echoes in certain.items() if len(echoes) == 1 or self._fit(wanted, echoes)}

    def _fit(self, wanted: _Details, echoes: list[_Details]) -> bool:
        """Tell whether there are enough rows: among too many items that differ, the right one is not known."""
        return sum(len(self.items[details]) for details in echoes) <= len(self.rows[wanted])


def _pair(
    rows: list[int], items: list[int], asked: Sequence[OrderItem], answered: Sequence[OrderItem], to: dict[int, int]
) -> None:
    """Bind rows to items that echo them equally well, as many as there are; those with the same spelling first."""
    for same_spelling in (True, False):
        for item in list(items):
            spelled = answered[item].distribution_method.email_address
            fitting = (
                row for row in rows if not same_spelling or asked[row].distribution_method.email_address == spelled
            )
            if (row := next(fitting, None)) is not None:
                to[row] = item
                rows.remove(row)
                items.remove(item)


def _recipient_and_value(item: OrderItem) -> Hashable:
    method = item.distribution_method
    return method.type, normalized_address(method.email_address or ""), method.recipient_reference, item.face_value


def _details(item: OrderItem) -> _Details:
    products = item.products
    rules = products.usage_config.get("spend_rules_template_id") if products.usage_config else None
    return _Details(
        products_type=products.type,
        codes=_codes(products),
        template=products.template_id,
        spend_rules=rules if isinstance(rules, str) else None,
        redemption_template=item.distribution_method.template_id,
    )


def _codes(products: Products) -> frozenset[str]:
    return frozenset([*(products.values or ()), *([products.value] if products.value else [])])


def _resembles(wanted: _Details, echoed: _Details, stage: _Stage) -> bool:
    products = _products_stage(wanted, echoed)
    if products is None or products > stage:
        return False
    return all(
        theirs in {None, ours} or (ours is None and stage >= _Stage.OTHER_SPELLING)
        for ours, theirs in (
            (wanted.spend_rules, echoed.spend_rules),
            (wanted.redemption_template, echoed.redemption_template),
        )
    )


def _products_stage(wanted: _Details, echoed: _Details) -> _Stage | None:
    """Return the stage at which products count as those asked for; None where they are others."""
    if echoed.products_type == "UNKNOWN" or not (echoed.codes or echoed.template):
        return _Stage.UNKNOWN_PRODUCTS
    if echoed.template or wanted.template:
        if echoed.template is None:
            return _Stage.PART
        return _Stage.SAME if echoed.template == wanted.template else None
    if echoed.codes == wanted.codes:
        return _Stage.SAME if echoed.products_type == wanted.products_type else _Stage.OTHER_SPELLING
    return _Stage.PART if echoed.codes < wanted.codes else None
