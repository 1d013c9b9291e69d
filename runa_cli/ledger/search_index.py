"""Keeps the search text of orders as their gifts are: what the ledger writes into `purchase_search`.

Every order has a row there from the moment when it is inserted; a trigger sees to that. While the text of a row is
NULL, every search looks at the gifts of the order.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from runa_cli.ledger.engine import Engine, Transaction
from runa_cli.ledger.queries import NOTHING_MADE
from runa_cli.ledger.records import UNMATCHED, AdoptedOrder, NewOrder, Placed
from runa_cli.ledger.search_text import RecordedGift, SearchText, issued_text, recorded_gift, search_text

_WRITE = "UPDATE purchase_search SET text = ?, terms = ? WHERE purchase_id = ?"
_CHUNK = 1000  # gifts that are in memory at a time


def add(transaction: Transaction, order_row: int, order: NewOrder, items: Sequence[Mapping[str, Any]]) -> None:
    """Write the search text of a new order. `items` are those of its gifts, as `read_item` reads them."""
    gifts = [
        RecordedGift(item, gift.reference, gift.carried, None) for gift, item in zip(order.gifts, items, strict=True)
    ]
    text = search_text(gifts, None)
    if isinstance(order, AdoptedOrder):
        issued = issued_text(order.issued, order.order_id, order.reply)
        text = SearchText(f"{text.text}\n{issued.text}", text.terms + issued.terms)
    transaction.execute(_WRITE, text.text, text.terms, order_row)


def extend(
    transaction: Transaction,
    order_row: int,
    order_id: str | None,
    issued: Iterable[Mapping[str, Any] | None] = (),
    unmatched_in: bytes | None = None,
) -> None:
    """Add what an answer tells of an order. `unmatched_in`: a reply with items that match none of its gifts."""
    more = issued_text(issued, order_id, unmatched_in)
    if more.text:
        transaction.execute(
            "UPDATE purchase_search SET text = text || ?, terms = terms || ? WHERE purchase_id = ?",
            f"\n{more.text}",
            more.terms,
            order_row,
        )


def move(transaction: Transaction, old: int, new: int) -> None:
    """Move the search text to the order that the gifts are moved to."""
    for column in ("text", "terms"):
        transaction.execute(
            f"UPDATE purchase_search SET {column} = (SELECT {column} FROM purchase_search WHERE purchase_id = ?)"  # noqa: S608 - own text
            " WHERE purchase_id = ?",
            old,
            new,
        )
    transaction.execute(_WRITE, "", "", old)


def drop_unmade(transaction: Transaction, batch_id: int) -> None:
    """Delete the search text of a batch's orders of which nothing was made, as their gifts are deleted."""
    transaction.execute(
        "UPDATE purchase_search SET text = '', terms = '' WHERE purchase_id IN"  # noqa: S608 - this package's own text
        f" (SELECT id FROM purchase WHERE batch_id = ? AND {NOTHING_MADE})",
        batch_id,
    )


def place(transaction: Transaction, engine: Engine, batch_id: int, placed: Iterable[Placed]) -> None:
    """Record where gifts are in an input, and write anew the search text of orders of which one looks different now."""
    left = iter(placed)
    while chunk := [*islice(left, _CHUNK)]:
        transaction.execute_many(
            "UPDATE purchase_search SET text = NULL, terms = NULL WHERE purchase_id ="
            " (SELECT purchase_id FROM gift WHERE id = ? AND (coalesce(reference, '') != ? OR carried != ?))",
            ((gift.id, gift.reference or "", gift.carried) for gift in chunk),
        )
        transaction.execute_many(
            "UPDATE gift SET row = ?, reference = ?, carried = ?, same_gift = ?, reference_key = ?, alike = ?"
            " WHERE id = ?",
            (
                (
                    *(gift.row, gift.reference, gift.carried),
                    *(gift.same_gift, gift.reference_key, gift.alike, gift.id),
                )
                for gift in chunk
            ),
        )
    missing = engine.select(
        "SELECT purchase.id, order_id, CASE WHEN error_type = ? THEN reply END AS reply FROM purchase"
        " JOIN purchase_search ON purchase_id = purchase.id WHERE batch_id = ? AND text IS NULL",
        UNMATCHED,
        batch_id,
    )
    for order in missing:
        gifts = engine.select("SELECT item, reference, carried, issued FROM gift WHERE purchase_id = ?", order["id"])
        recorded = (recorded_gift(row["item"], row["reference"], row["carried"], row["issued"]) for row in gifts)
        text = search_text(recorded, order["order_id"], order["reply"])
        transaction.execute(_WRITE, text.text, text.terms, order["id"])


def prune(transaction: Transaction, batch_id: int) -> None:
    """Delete the search text of a batch, except for what stays recorded: the ids of its orders."""
    transaction.execute(
        "UPDATE purchase_search SET terms = '', text ="
        " lower(coalesce((SELECT order_id FROM purchase WHERE purchase.id = purchase_search.purchase_id), ''))"
        " WHERE purchase_id IN (SELECT id FROM purchase WHERE batch_id = ?)",
        batch_id,
    )
