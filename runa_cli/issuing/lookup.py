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
from runa_cli.ledger.records import Order

# How long before its first sending by this ledger an order may have been created. A made-up batch name exists in this
# ledger only, so the difference is at most that of two clocks. A name given by a person may have been issued from
# elsewhere, at any time for which Runa remembers the key.
CLOCK_MARGIN = timedelta(days=1)
KEY_MEMORY = timedelta(days=30)


class Lookup:
    """Searches for at most `seconds`. `named`: a person named the batch, so it may have been issued from elsewhere."""

    def __init__(self, client: Client, seconds: float, *, named: bool, clock: Clock = REAL) -> None:
        self._client = client
        self._clock = clock
        self._deadline = clock.seconds() + seconds
        self._margin = KEY_MEMORY if named else CLOCK_MARGIN

    def find(self, order: Order) -> Answered | None:
        """Return Runa's order that carries this order's stamp; None where there is none.

        Raises Unreachable, CredentialRefused or RequestRefused when the list cannot be fetched.
        """
        for candidate in self._candidates(order):
            answer = self._client.read_order(candidate, seconds=self._seconds_left())
            if answer.order.stamp == order.idempotency_key:
                return answer
        return None

    def _candidates(self, order: Order) -> Iterator[str]:
        """Yield the ids of the orders that could match, page by page, those with the same total first."""
        document = order.document
        currency, description = document["payment_method"]["currency"], document.get("description")
        since = self._earliest_creation(order.first_sent_at or order.prepared_at)
        total = Decimal(order.total)
        for page in self._client.pages("/order", "items", {"limit": LIST_PAGE}, seconds=self._seconds_left()):
            self._seconds_left()
            matching = [entry for entry in page.members if _could_match(entry, currency, description, since)]
            yield from (str(entry["id"]) for entry in sorted(matching, key=lambda entry: not _has_total(entry, total)))
            if _all_older(page.members, since):
                return

    def _seconds_left(self) -> float:
        left = self._deadline - self._clock.seconds()
        if left <= 0:
            raise Unreachable("The time limit was reached before all orders were searched.", code="lookup_too_long")
        return left

    def _earliest_creation(self, sent: datetime) -> datetime:
        """Return the earliest time at which the order can have been created.

        Where the recorded time lies in the future, the clock was wrong, so all that Runa remembers is searched.
        """
        now = self._clock.now()
        return now - KEY_MEMORY if sent > now else sent - self._margin


def _could_match(entry: dict[str, Any], currency: str, description: str | None, since: datetime) -> bool:
    created = responses.parse_time(entry.get("created_at"))
    if not isinstance(entry.get("id"), str) or (created is not None and created < since):
        return False
    if entry.get("status") == "PROCESSING":  # the list shows nothing more of an order that is still processing
        return True
    return entry.get("currency") == currency and entry.get("description") == description


def _has_total(entry: dict[str, Any], total: Decimal) -> bool:
    """Tell whether the price is the total. Fees and discounts change it, so other prices are only searched later."""
    try:
        return responses.parse(responses.Order, entry).total_price == total
    except responses.Unreadable:
        return False


def _all_older(page: list[dict[str, Any]], since: datetime) -> bool:
    """Tell whether all later pages are too old: this page is, and it is in descending order.

    Runa documents no order for its list, so it is not taken for granted.
    """
    times = [moment for entry in page if (moment := responses.parse_time(entry.get("created_at")))]
    return bool(times) and times[0] >= times[-1] and max(times) < since
