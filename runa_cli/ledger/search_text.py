"""What of an order's gifts can be searched for, as the ledger keeps it beside the order.

It only narrows a search down: whether a gift matches is decided by the gift itself (gift_search.py). So it may hold
more than there is to find, and never less.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from runa_cli.core.identity import search_key

# Only texts are read here, so that numbers need not be read as exactly as where they are amounts.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str)
_QUICK = msgspec.json.Decoder(float_hook=Decimal)


class SearchText(NamedTuple):
    """`text` has one line for each field by which gifts are found; `terms` the values of fields that must be equal.

    Both are written as `search_key` does. A term stands between two bars.
    """

    text: str
    terms: str


class RecordedGift(NamedTuple):
    """A gift as the ledger holds it; `issued` is JSON, and `item` was read by `read_item`."""

    item: Mapping[str, Any]
    reference: str | None
    carried: Sequence[object]
    issued: str | None


def search_text(gifts: Iterable[RecordedGift], order_id: str | None, unmatched_in: bytes | None = None) -> SearchText:
    """Return the search text of an order. `unmatched_in`: a reply of Runa's with items that match none of the gifts."""
    fields, terms = [order_id or ""], list[str]()
    for gift in gifts:
        fields.extend(_item_fields(gift.item, gift.reference, gift.carried))
        terms.extend(product_codes(gift.item))
        if gift.issued:
            _add_issued(_read(gift.issued), fields, terms)
    _add_unmatched(unmatched_in, fields, terms)
    return SearchText(_lines(fields), _terms(terms))


def issued_text(
    issued: Iterable[Mapping[str, Any] | None], order_id: str | None, unmatched_in: bytes | None = None
) -> SearchText:
    """Return what is added to an order's search text once Runa has issued its gifts; `issued` are Runa's items."""
    fields, terms = [order_id or ""], list[str]()
    for item in filter(None, issued):
        _add_issued(item, fields, terms)
    _add_unmatched(unmatched_in, fields, terms)
    return SearchText(_lines(fields), _terms(terms))


def recorded_gift(item: str, reference: str | None, carried: str, issued: str | None) -> RecordedGift:
    """Return a gift as the columns of its row hold it; `carried` is the JSON of a list."""
    cells = _DECODER.decode(carried)
    return RecordedGift(read_item(item), reference, cells if isinstance(cells, list) else (), issued)


def read_item(item: str) -> Mapping[str, Any]:
    """Return an item from its JSON, quickly. A number is an integer, a Decimal or text, and exact in any case."""
    try:
        return _object(_QUICK.decode(item))
    except ValueError:  # it has half of a character, which this decoder does not take
        return _read(item)


def term(text: str) -> str:
    """Return a term as it stands in `terms`."""
    return f"|{search_key(text)}|"


def product_codes(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield the product codes of an item, or the id of its product template."""
    products = _object(item.get("products"))
    values = products.get("values")
    for code in (products.get("value"), products.get("template_id"), *(values if isinstance(values, list) else ())):
        if isinstance(code, str):
            yield code


def _item_fields(item: Mapping[str, Any], reference: str | None, carried: Sequence[object]) -> Iterator[str]:
    method = _object(item.get("distribution_method"))
    for value in (method.get("email_address"), method.get("recipient_reference"), reference, *carried):
        if isinstance(value, str):
            yield value


def _add_issued(item: Mapping[str, Any], fields: list[str], terms: list[str]) -> None:
    """Add what Runa's item has beside what was sent: recipient and products are those of the gift."""
    payout = _object(item.get("payout"))
    fields.extend(value for value in (item.get("id"), payout.get("url")) if isinstance(value, str))
    if isinstance(status := payout.get("status"), str):
        terms.append(status)


def _add_unmatched(reply: bytes | None, fields: list[str], terms: list[str]) -> None:
    """Add all of the items of a reply, of which at least one belongs to no gift."""
    for item in _items(reply) if reply else ():
        _add_issued(item, fields, terms)
        fields.extend(_item_fields(item, None, ()))
        terms.extend(product_codes(item))


def _lines(fields: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(filter(None, map(_key, dict.fromkeys(fields)))))


def _terms(values: Iterable[str]) -> str:
    return "".join(dict.fromkeys(f"|{key}|" for key in map(_key, dict.fromkeys(values)) if key))


def _key(text: str) -> str:
    """Return the search key of text in a form that a database takes, without a lone surrogate of a reply."""
    key = search_key(text)
    return key if key.isascii() else key.encode("utf-8", "replace").decode()


def _items(reply: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        items = _read(reply.decode("utf-8", "replace")).get("items")
    except ValueError:  # an answer is recorded even where there is nothing to find in it
        return
    yield from map(_object, items if isinstance(items, list) else ())


def _read(text: str) -> Mapping[str, Any]:
    return _object(_DECODER.decode(text))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
