"""Compares the search texts of a ledger with what its gifts hold."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from runa_cli.ledger.engine import Row
from runa_cli.ledger.search_text import recorded_gift, search_text


def differences(ledger: Path) -> list[str]:
    """Return what a search would not find, and what is kept of gifts though they do not hold it any more.

    The ids of orders that are not the right ones may stay: they are nobody's data.
    """
    with closing(sqlite3.connect(ledger)) as database:
        database.row_factory = sqlite3.Row
        return differences_in(database.execute)


def differences_in(select: Callable[[str], Iterable[Row]]) -> list[str]:
    """Return the same of a ledger that is read by `select`."""
    rows = select(
        "SELECT purchase.id, order_id, CASE WHEN error_type = 'unmatched_items' THEN reply END AS unmatched,"
        " purchase_search.text, terms, gift.item, gift.reference, gift.carried, gift.issued FROM purchase"
        " LEFT JOIN purchase_search ON purchase_search.purchase_id = purchase.id"
        " JOIN gift ON gift.purchase_id = purchase.id ORDER BY purchase.id"
    )
    orders = groupby((tuple(row[name] for name in _READ) for row in rows), key=itemgetter(0))
    return [line for _, gifts in orders for line in _compared(list(gifts))]


_READ = ("id", "order_id", "unmatched", "text", "terms", "item", "reference", "carried", "issued")


def _compared(gifts: list[tuple[str | None, ...]]) -> Iterator[str]:
    row, order_id, reply, text, terms = gifts[0][:5]
    if text is None or terms is None:
        yield f"order {row} has no search text"
        return
    expected = search_text((recorded_gift(*gift[5:]) for gift in gifts), order_id, reply)  # type: ignore[arg-type]
    for name, kept, due in (("text", text, expected.text), ("terms", terms, expected.terms)):
        parts, wanted = (set(filter(None, each.replace("|", "\n").split("\n"))) for each in (kept, due))
        yield from (f"order {row} lacks the {name} {part}" for part in wanted - parts)
        yield from (f"order {row} keeps the {name} {part}" for part in parts - wanted if not part.startswith("o-"))
