"""Searches Runa's orders for one whose outcome is unknown.

Runa's list has no filters and no metadata. Candidates are therefore chosen by currency and description, and the proof
is the stamp (our idempotency key) in the metadata of the order itself
(developer.runa.io: reference/2024-02-05/endpoint/orders/list).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from runa_cli.api import responses
from runa_cli.api.classify import Answered
from runa_cli.api.client import Client
from runa_cli.api.pagination import LIST_PAGE
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import Unreachable
from runa_cli.core.identity import normalized_text
from runa_cli.ledger.records import Order

# Candidates that were created later than this before the order's recorded time are read first: clocks rarely differ by
# more. The others follow, for the recorded time may be wrong.
LIKELY_MARGIN = timedelta(days=1)
# Orders that are older than this before the recorded time are not searched for if the list turns out to be sorted: the
# 30 days for which Runa remembers a key used elsewhere, and as much for a wrong clock.
SEARCHED_MARGIN = timedelta(days=60)
# So many entries have to be in descending order before the list counts as sorted: Runa documents no order for it.
SORTED_ENTRIES = 100


class Lookup:
    """Searches for at most `seconds`."""

    def __init__(self, client: Client, seconds: float, *, clock: Clock = REAL) -> None:
        self._client = client
        self._clock = clock
        self._deadline = clock.seconds() + seconds

    def find(self, order: Order) -> Answered | None:
        """Return Runa's order that carries this order's stamp; None where there is none.

        Raises Unreachable, CredentialRefused or RequestRefused when not every order that may be it could be read.
        """
        processing = None
        for candidate in self._candidates(order):
            answer = self._client.read_order(candidate, seconds=self._seconds_left())
            if answer.order.stamp == order.idempotency_key:
                return answer
            if answer.order.status == "PROCESSING" and answer.order.stamp is None:
                processing = candidate
        if processing is not None:
            raise Unreachable(
                f"Order {processing} is still processing, and until it settles Runa shows no stamp of it."
            )
        return None

    def _candidates(self, order: Order) -> Iterator[str]:
        """Yield the ids of the orders that could match, the likely ones page by page, then the others."""
        document = order.document
        currency, description = document["payment_method"]["currency"], document.get("description")
        recorded = min(filter(None, (order.prepared_at, order.first_sent_at)))
        total, others = Decimal(order.total), list[dict[str, Any]]()
        for page in self._pages(recorded):
            matching = [entry for entry in page if _could_match(entry, currency, description)]
            likely = [entry for entry in matching if not _is_older(entry, recorded - LIKELY_MARGIN)]
            others += [entry for entry in matching if entry not in likely]
            yield from _ids(likely, total)
        yield from _ids(others, total)

    def _pages(self, recorded: datetime) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of the list, up to one in a sorted list that is certainly too old as a whole."""
        # A recorded time that lies in the future is from a wrong clock, and says nothing about when to stop.
        since = recorded - SEARCHED_MARGIN if recorded <= self._clock.now() else None
        seen: list[datetime] = []
        for page in self._client.pages("/order", "items", {"limit": LIST_PAGE}, seconds=self._seconds_left()):
            self._seconds_left()
            yield page.members
            times = [time for entry in page.members if (time := responses.parse_time(entry.get("created_at")))]
            seen += times
            if since and times and max(times) < since and _is_descending(seen):
                return

    def _seconds_left(self) -> float:
        left = self._deadline - self._clock.seconds()
        if left <= 0:
            raise Unreachable("The time limit was reached before all orders were searched.", code="lookup_too_long")
        return left


def _could_match(entry: dict[str, Any], currency: str, description: str | None) -> bool:
    if not isinstance(entry.get("id"), str):
        return False
    if entry.get("status") == "PROCESSING":  # the list shows nothing more of an order that is still processing
        return True
    listed = entry.get("description")
    same_description = normalized_text(str(listed or "")) == normalized_text(description or "")
    return entry.get("currency") == currency and same_description


def _is_older(entry: dict[str, Any], time: datetime) -> bool:
    created = responses.parse_time(entry.get("created_at"))
    return created is not None and created < time


def _ids(entries: list[dict[str, Any]], total: Decimal) -> Iterator[str]:
    """Yield the ids, those of the same total first."""
    yield from (str(entry["id"]) for entry in sorted(entries, key=lambda entry: not _has_total(entry, total)))


def _has_total(entry: dict[str, Any], total: Decimal) -> bool:
    """Tell whether the price is the total. Fees and discounts change it, so other prices are only searched later."""
    try:
        return responses.parse(responses.Order, entry).total_price == total
    except responses.Unreadable:
        return False


def _is_descending(times: list[datetime]) -> bool:
    return len(times) >= SORTED_ENTRIES and times == sorted(times, reverse=True) and times[0] > times[-1]
