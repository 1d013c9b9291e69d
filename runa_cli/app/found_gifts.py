"""The gifts of the ledger one by one: those of the newest orders first, or those of a batch by row."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from runa_cli.core.states import UNSENT, State
from runa_cli.ledger import results
from runa_cli.ledger.gift_search import GiftFilter
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import UNMATCHED, Batch, Order, Result
from runa_cli.ledger.results import COLUMNS, ResultRow
from runa_cli.output import gift_lines

# Of gifts outside of their batches: each of those has other carried columns, so that they are one column here.
CSV_HEADER = ("batch", "environment", "created_at", *COLUMNS, "carried")
_BATCHES = 1000  # that are in memory at a time


class FoundGift(Struct, frozen=True):
    """A gift of the ledger with its batch, its row of results and its JSON object.

    `place` tells the order and the place in it where a list goes on after this gift.
    """

    batch: Batch
    row: ResultRow
    line: Mapping[str, Any]
    created_at: str
    place: tuple[int, int] = (0, 0)
    sent: str = ""  # the item as it was sent; empty for one of Runa's that matches no row

    def document(self) -> dict[str, Any]:
        """Return the gift as JSON outside of its batch."""
        return {**self.line, "environment": self.batch.environment, "created_at": self.created_at or None}

    def cells(self) -> list[str]:
        """Return the cells of the gift outside of its batch."""
        carried = self.line["carried"]
        return [
            *(self.batch.name, self.batch.environment, self.created_at),
            *self.row.cells()[: len(COLUMNS)],
            json.dumps(carried, ensure_ascii=False) if carried else "",
        ]


class FoundGifts:
    """Yields the gifts of a ledger that a filter finds. `pruned` are the batches of which nothing can be shown."""

    def __init__(
        self, ledger: Ledger, wanted: GiftFilter, *, withholds: Callable[[Batch], bool] = lambda _: False
    ) -> None:
        """`withholds` tells whether the links of a batch's gifts are left out where gifts of any batch are listed."""
        self._ledger = ledger
        self._wanted = wanted
        self._batch = lru_cache(_BATCHES)(ledger.batch_by_id)
        self._withholds = lru_cache(_BATCHES)(lambda batch_id: withholds(self._batch(batch_id)))
        self.pruned: dict[str, Batch] = {}
        self.withheld = 0  # links

    def newest(self, environment: str, *, after: tuple[int, int] | None = None) -> Iterator[FoundGift]:
        """Yield gifts, the newest orders first; those of an order by row. `after`: those that follow this place."""
        up_to = None if after is None else after[0]
        for order_row in self._ledger.matching_orders(environment, self._wanted, up_to=up_to):
            for gift in self.of_order(order_row):
                if (after is None or order_row < after[0] or gift.place > after) and self._matches(gift):
                    yield self._as_may_be_shown(gift)

    def _as_may_be_shown(self, gift: FoundGift) -> FoundGift:
        if not gift.row.payout_url or not self._withholds(gift.batch.id):
            return gift
        self.withheld += 1
        return replace(gift, row=gift.row._replace(payout_url=""), line={**gift.line, "payout_url": None})

    def of_order(self, order_row: int) -> Iterator[FoundGift]:
        """Yield all gifts of an order, and last the items of Runa's answer that match none of them."""
        order = self._ledger.order(order_row)
        batch = self._batch(order.batch_id)
        if batch.pruned_at is not None:
            self.pruned[batch.name] = batch
            return
        gifts = self._ledger.order_results(order)
        # A row that is not part of the batch any more may be issued, unless nothing was made of it.
        listed = [gift for gift in gifts if gift.row > 0 or order.state not in UNSENT]
        found = [*(recorded(gift, batch) for gift in listed), *unmatched(order, gifts, batch)]
        for number, gift in enumerate(found, 1):
            yield replace(gift, place=(order_row, number))

    def of_batch(self, batch: Batch) -> Iterator[FoundGift]:
        """Yield the gifts of a batch by row, and last the items of Runa's answers that match none of them."""
        for gift in self._ledger.matching_results(batch, self._wanted):
            found = recorded(gift, batch)
            if self._matches(found):
                yield found
        for order in self._ledger.orders(batch, [State.COMPLETED]):
            if order.error_type == UNMATCHED and self._wanted.fits(order):
                for found in unmatched(order, self._ledger.order_results(order), batch):
                    if self._matches(found):
                        yield found

    def _matches(self, gift: FoundGift) -> bool:
        return self._wanted.matches(gift.row) or (
            bool(self._wanted.words and gift.sent) and self._wanted.matches(gift.row, results.row_from_item(gift.sent))
        )


def recorded(gift: Result, batch: Batch) -> FoundGift:
    """Return a gift that was recorded."""
    row = results.row_from_ledger(gift)
    missing = len(batch.columns) - len(row.carried)
    row = row._replace(row=max(0, row.row), carried=(*row.carried, *[""] * missing))
    line = {**gift_lines.recorded_gift(gift, batch, batch.columns), "row": row.row or None}
    return FoundGift(batch, row, line, gift.created_at.isoformat() if gift.created_at else "", sent=gift.item_json)


def unmatched(order: Order, gifts: Sequence[Result], batch: Batch) -> Iterator[FoundGift]:
    """Yield the items of an order's answer that match none of its gifts."""
    created = (order.first_sent_at or order.prepared_at).isoformat()
    for row in results.unmatched_rows(order, gifts):
        yield FoundGift(batch, row, gift_lines.unmatched_gift(row, order, batch), created)
