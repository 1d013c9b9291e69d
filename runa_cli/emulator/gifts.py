"""The pages behind payout links: a gift as HTML or JSON, and the newest gifts at the root.

They need no API key: anyone who has the link has the gift (developer.runa.io: features/redemption-api).
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runa_cli.emulator import catalogue, pages
from runa_cli.emulator.answers import Answer, json_answer
from runa_cli.emulator.pages import Gift
from runa_cli.emulator.redemption import redemption
from runa_cli.emulator.request import Request
from runa_cli.emulator.store import Store, StoredGift

NEWEST = 20

_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class _Gifts:
    """Reads gifts from the store, as they are at that time."""

    store: Store
    now: datetime

    def gift(self, gift_id: str) -> Gift | None:
        stored = self.store.gift(gift_id)
        return None if stored is None else self._shown(stored)

    def newest(self) -> list[Gift]:
        return [self._shown(stored) for stored in self.store.gifts(NEWEST)]

    def _shown(self, stored: StoredGift) -> Gift:
        order = json.loads(stored.order.full)
        item = order["items"][stored.number]
        return Gift(
            gift_id=stored.gift_id,
            value=item["face_value"],
            currency=item["currency"],
            products=_products(item["products"]),
            address=item["distribution_method"].get("email_address"),
            order_id=order["id"],
            item_id=item["id"],
            status=item["payout"]["status"] if self.now >= stored.order.ready_at else pages.PROCESSING,
            created_at=datetime.fromisoformat(order["created_at"]),
            link=item["payout"]["url"],
        )


def answer(store: Store, request: Request) -> Answer | None:
    """Answer a request for a payout link or the root; None for any other request."""
    if request.method not in {"GET", "HEAD"}:
        return None
    gifts = _Gifts(store, request.now)
    match request.path.split("/"):
        case "", "":
            return _page(200, pages.index(gifts.newest(), store.spent()))
        case "", "gift", gift_id if request.parameter("format") == "json":
            return _with_security_headers(json_answer(200, redemption(gifts.gift(gift_id))))
        case "", "gift", gift_id:
            gift = gifts.gift(gift_id)
            return _page(404, pages.missing()) if gift is None else _page(200, pages.gift(gift))
    return None


def _page(status: int, text: str) -> Answer:
    return _with_security_headers(Answer(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"}))


def _with_security_headers(answered: Answer) -> Answer:
    return Answer(answered.status, answered.body, {**answered.headers, **_SECURITY_HEADERS})


def _products(selection: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the code and name of every product of an item; the code again for one that left the catalogue."""
    codes = [selection["value"]] if selection["type"] == "SINGLE" else selection["values"]
    known = catalogue.orderable()
    return tuple((code, known[code].name if code in known else code) for code in codes)
