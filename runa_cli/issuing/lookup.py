"""Finding an order again at Runa when its answers do not tell what became of it.

Runa's list has no filters and no metadata, so candidates are chosen by currency and description, and the proof is the
stamp in the metadata of the order itself (developer.runa.io: reference/2024-02-05/endpoint/orders/list).
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

# How long before the first sending an order of ours can have been made: a made-up name is this ledger's alone, so only
# the clocks can disagree; a given name may have been issued elsewhere as long as Runa remembers its key.
CLOCK_MARGIN = timedelta(days=1)
KEY_MEMORY = timedelta(days=30)


class Lookup:
    """Searches within `seconds` in all; `named` tells whether the batch may have been issued elsewhere."""

    def __init__(self, client: Client, seconds: float, *, named: bool, clock: Clock = REAL) -> None:
        self._client = client
        self._clock = clock
        self._deadline = clock.seconds() + seconds
        self._reach = KEY_MEMORY if named else CLOCK_MARGIN

    def find(self, order: Order) -> Answered | None:
        """Return Runa's answer for the order that bears this order's stamp; None where there is none.

        Raises Unreachable, CredentialRefused or RequestRefused when the list cannot be had.
        """
        for candidate in self._ranked(order):
            answer = self._client.read_order(candidate, seconds=self._left())
            if answer.order.stamp == order.idempotency_key:
                return answer
        return None

    def _left(self) -> float:
        left = self._deadline - self._clock.seconds()
        if left <= 0:
            raise Unreachable("The time was over before all orders were looked at.", code="lookup_too_long")
        return left

    def _since(self, sent: datetime) -> datetime:
        """Return when the order was made at the earliest; sent in the future, it may be as old as Runa remembers."""
        now = self._clock.now()
        return now - KEY_MEMORY if sent > now else sent - self._reach

    def _ranked(self, order: Order) -> Iterator[str]:
        """Yield the ids worth a look, a page at a time, those of the same total first."""
        document = order.document
        currency, description = document["payment_method"]["currency"], document.get("description")
        since = self._since(order.first_sent_at or order.prepared_at)
        total = Decimal(order.total)
        for page in self._client.pages("/order", "items", {"limit": LIST_PAGE}, seconds=self._left()):
            self._left()
            fitting = [entry for entry in page.members if _may_be(entry, currency, description, since)]
            yield from (str(entry["id"]) for entry in sorted(fitting, key=lambda entry: not _has_total(entry, total)))
            if _all_older(page.members, since):
                return


def _may_be(entry: dict[str, Any], currency: str, description: str | None, since: datetime) -> bool:
    created = responses.parse_time(entry.get("created_at"))
    if not isinstance(entry.get("id"), str) or (created is not None and created < since):
        return False
    if entry.get("status") == "PROCESSING":  # the list says nothing more about it
        return True
    return entry.get("currency") == currency and entry.get("description") == description


def _has_total(entry: dict[str, Any], total: Decimal) -> bool:
    """Fees and discounts move the price away from the face values, so another total ranks lower but is not excluded."""
    try:
        return responses.parse(responses.Order, entry).total_price == total
    except responses.Unreadable:
        return False


def _all_older(page: list[dict[str, Any]], since: datetime) -> bool:
    """Tell whether later pages are too old. Runa documents no order of its list, so it must be seen to fall."""
    times = [moment for entry in page if (moment := responses.parse_time(entry.get("created_at")))]
    return bool(times) and times[0] >= times[-1] and max(times) < since
