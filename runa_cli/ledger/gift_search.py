"""Finds gifts by text, product, status and time, newest orders first.

The database chooses the orders by what is short to read: by state and time (`purchase_listed`), and by the search texts
(`purchase_search`), which may hold more than there is to find. `matches` then decides about each of their gifts.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from runa_cli.core.identity import search_key
from runa_cli.core.states import State
from runa_cli.ledger.queries import RESULTS, LedgerQueries
from runa_cli.ledger.records import Batch, Order, Result
from runa_cli.ledger.results import ResultRow
from runa_cli.ledger.rows import read_result, to_timestamp
from runa_cli.ledger.search_text import term

_FIRST_WINDOW, _LARGEST_WINDOW = 2_000, 64_000  # orders that one statement looks at: few at first, to show them soon
_PAGE = 500  # orders that are found at a time


class GiftFilter(NamedTuple):
    """Which gifts to find; None and nothing find all.

    `words` are search keys: together they are part of one of the gift's texts, or each is part of one that a person
    wrote: recipient, reference or carried cell. `product` is the code of one of its products. `states` are those of its
    order, `payout` is the status of its payout. It was first sent, or else recorded, at `since` or later and before
    `until`.
    """

    words: tuple[str, ...] = ()
    product: str | None = None
    states: frozenset[State] | None = None
    payout: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, gift: ResultRow, sent: ResultRow | None = None) -> bool:
        """Tell whether a gift is to be found, of an order that fits by its state and time.

        `sent` is the gift as it was sent, whose address Runa may have answered in another spelling.
        """
        return (
            (self.payout is None or search_key(gift.status) == search_key(self.payout))
            and (self.product is None or search_key(self.product) in map(search_key, gift.products))
            and self._has_words(gift, sent)
        )

    def fits(self, order: Order) -> bool:
        """Tell whether an order fits by its state and time."""
        created = order.first_sent_at or order.prepared_at
        return (
            (self.states is None or order.state in self.states)
            and (self.since is None or created >= self.since)
            and (self.until is None or created < self.until)
        )

    def _has_words(self, gift: ResultRow, sent: ResultRow | None) -> bool:
        if not self.words:
            return True
        written = [*map(search_key, (gift.recipient, gift.reference, *gift.carried, sent.recipient if sent else ""))]
        made = map(search_key, (gift.payout_url, gift.item_id, gift.order_id))
        whole = " ".join(self.words)
        if any(whole in text for text in (*written, *made)):
            return True
        # The words of a name may be in several columns. In a link or an id, a short word is there by chance.
        return all(any(word in text for text in written) for word in self.words)

    def conditions(self) -> tuple[str, list[object]]:
        """Return what narrows the orders down, as SQL that begins with a blank, and its parameters."""
        clauses: list[str] = []
        values: list[object] = []
        for column, part in [("text", word) for word in self.words] + [("terms", name) for name in self._terms()]:
            clauses.append(f"({column} IS NULL OR {column} LIKE ? ESCAPE '\\')")
            values.append(f"%{_escaped(part)}%")
        if self.states is not None:
            clauses.append(f"purchase.state IN ({','.join('?' * len(self.states))})")
            values += sorted(map(str, self.states))
        for moment, comparison in ((self.since, ">="), (self.until, "<")):
            if moment is not None:
                clauses.append(f"coalesce(purchase.first_sent_at, purchase.prepared_at) {comparison} ?")
                values.append(to_timestamp(moment))
        return "".join(f" AND {clause}" for clause in clauses), values

    def _terms(self) -> list[str]:
        return [term(text) for text in (self.product, self.payout) if text is not None]

    @property
    def reads_texts(self) -> bool:
        """Whether the search texts of orders are needed."""
        return bool(self.words or self._terms())

    @property
    def chooses_orders(self) -> bool:
        """Whether orders are chosen by their states or times."""
        return any(each is not None for each in (self.states, self.since, self.until))


EVERY_GIFT = GiftFilter()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _tables(wanted: GiftFilter) -> tuple[str, str]:
    """Return what an order is chosen from, up to its conditions, and the column of its row.

    SQLite begins a cross join with its left side.
    """
    if not wanted.reads_texts:
        return "purchase WHERE TRUE", "purchase.id"
    if wanted.chooses_orders:
        return "purchase CROSS JOIN purchase_search WHERE purchase_id = purchase.id", "purchase.id"
    return "purchase_search CROSS JOIN purchase WHERE purchase.id = purchase_id", "purchase_id"


class GiftSearch(LedgerQueries):
    """Finds gifts. Every method raises LedgerUnusable."""

    def matching_orders(self, environment: str, wanted: GiftFilter, *, up_to: int | None = None) -> Iterator[int]:
        """Yield the rows of the orders that may hold a wanted gift, the newest first. `up_to`: those of no later order.

        Nothing is kept open between two of them, and they come as they are found.
        """
        conditions, values = wanted.conditions()
        tables, order_row = _tables(wanted)
        statement = (
            f"SELECT {order_row} AS id FROM {tables} AND {order_row} > ? AND {order_row} <= ?{conditions}"  # noqa: S608 - own text
            f" AND purchase.environment = ? ORDER BY {order_row} DESC LIMIT {_PAGE}"
        )
        newest = self._engine.select(
            "SELECT id FROM purchase WHERE environment = ? ORDER BY id DESC LIMIT 1", environment
        )
        last, window = newest[0]["id"] if newest else 0, _FIRST_WINDOW
        if up_to is not None:
            last = min(last, up_to)
        while last > 0:
            first = max(0, last - window)
            found = self._engine.select(statement, first, last, *values, environment)
            yield from (row["id"] for row in found)
            last = found[-1]["id"] - 1 if len(found) == _PAGE else first
            window = min(window * 2, _LARGEST_WINDOW)

    def matching_results(self, batch: Batch, wanted: GiftFilter) -> Iterator[Result]:
        """Yield the gifts of a batch that may be wanted, in the order of their rows."""
        conditions, values = wanted.conditions()
        rows = self._engine.stream(
            f"{RESULTS} WHERE purchase.batch_id = ? AND gift.row > 0"  # noqa: S608 - own text
            " AND purchase.id IN (SELECT purchase.id FROM purchase"
            " JOIN purchase_search ON purchase_search.purchase_id = purchase.id"
            f" WHERE purchase.batch_id = ?{conditions}) ORDER BY gift.row, gift.id",
            batch.id,
            batch.id,
            *values,
        )
        return map(read_result, rows)
