"""Answers requests by the rules of the account, without sockets or a clock."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from runa_cli.emulator import gifts, listings, money, orders, paging, validation
from runa_cli.emulator.answers import (
    API_VERSION,
    Answer,
    RefusedError,
    encode,
    error,
    from_application,
    gateway_error,
    json_answer,
)
from runa_cli.emulator.estimates import estimate
from runa_cli.emulator.reading import parse
from runa_cli.emulator.request import Request
from runa_cli.emulator.store import Store, StoredAnswer, StoredOrder

# After this time Runa has forgotten a key, and the same request creates another order
# (developer.runa.io: best-practices/idempotency).
KEY_LIFETIME = timedelta(days=30)

_KEY = re.compile(r"(?P<prefix>(?:xx|wg)[^.]*)\.(?P<secret>.+)", re.IGNORECASE | re.DOTALL)
_REVOKED = "revoked"
_REMOVED_VERSIONS = frozenset({"2023-01-16", "2023-07-27"})
_BASE = "/v2"


@dataclass(frozen=True, slots=True)
class Script:
    """How the account misbehaves for one POST /order. Without arguments it behaves as documented."""

    outcome: str = "COMPLETED"  # or FAILED
    bare: bool = False  # A failed order has only an id and a status.
    late: bool = False  # A failed order is only shown so in this answer: later ones show it as completed.
    shuffled: bool = False  # The items are in another order than in the request.
    respelled: bool = False  # The items say the same in another spelling.
    unmatched: bool = False  # The last item is for somebody who is not in the request.
    foreign: bool = False  # The answer shows another customer's order.
    makes_order: bool = True
    stores_500: bool = False  # The answer is a 500, repeated for the key.
    funds: bool = True  # Without them, the balance counts as empty.
    answer_after: timedelta = timedelta(0)  # Until then the key counts as in progress.


AS_DOCUMENTED = Script()


class Account:
    """One account. Every API key gives access to the same orders and balances.

    With a playground key every payment is accepted: a balance that would run out is topped up first.

    `processing` is how long an asynchronous order takes. The payout links of new orders begin with `links`.
    """

    def __init__(
        self, store: Store, processing: timedelta = timedelta(seconds=1), links: str = "http://localhost"
    ) -> None:
        self._store = store
        self._processing = processing
        self._links = links

    def answer(self, request: Request, script: Script = AS_DOCUMENTED) -> Answer:
        """Return the answer of the API, which may be an error. Raises sqlite3.Error if the store fails."""
        before_application = gifts.answer(self._store, request) or _gateway(request)
        if before_application is not None:
            return before_application
        try:
            _check_version(request)
            return from_application(self._routed(request, script))
        except RefusedError as refusal:
            return from_application(refusal.answer)

    def _routed(self, request: Request, script: Script) -> Answer:
        match request.method, *request.path.removeprefix(_BASE).split("/")[1:]:
            case "GET", "ping":
                return json_answer(200, {"message": "pong"})
            case ("GET", "balance") | ("GET", "balance", ""):
                return self._balance(request)
            case "POST", "order":
                return self._create_order(request, script)
            case "POST", "order", "estimate":
                return _estimate(request)
            case "GET", "order":
                return self._list_orders(request)
            case "GET", "order", order_id:
                return self._read_order(order_id, request.now, script)
        return listings.answer(request, request.path.removeprefix(_BASE))

    def _balance(self, request: Request) -> Answer:
        currency = request.parameter("currency")
        if currency is None:
            held = self._store.balances().items()
            return json_answer(200, [_balance(name, balance) for name, balance in held if balance > 0])
        if not re.fullmatch("[A-Z]{3}", currency):
            raise RefusedError(error("bad_request", reason="currency is not three capital letters"))
        return json_answer(200, _balance(currency, self._store.balance(currency)))

    def _read_order(self, order_id: str, now: datetime, script: Script) -> Answer:
        order = self._store.order(order_id)
        if order is None:
            raise RefusedError(error("not_found"))
        body = order.full if now >= order.ready_at else encode(_processing(order.order_id))
        if script.outcome == "FAILED":
            body = encode(orders.failed(json.loads(order.full), bare=script.bare))
        return Answer(200, body, {"Content-Type": "application/json"})

    def _list_orders(self, request: Request) -> Answer:
        page = paging.page_of(request, default=100)
        before, after = paging.position_at(page.before), paging.position_at(page.after)
        found = self._store.orders(page.limit, before=before, after=after)
        items = [
            json.loads(order.basic) if request.now >= order.ready_at else _processing(order.order_id) for order in found
        ]
        cursors = [paging.cursor_at(order.position) for order in found]
        return json_answer(200, {"items": items, "pagination": paging.pagination(page, cursors)})

    def _create_order(self, request: Request, script: Script) -> Answer:
        """Answer POST /order. The lookup of the key, the order, its price and the answer are one transaction.

        A second request with the same key therefore waits for the first and repeats its answer. If the first is
        scripted to answer late, the second is answered that the first is in progress.
        """
        key = request.header("X-Idempotency-Key")
        if not key:
            # Not documented: the error for a missing key.
            raise validation.missing_header("X-Idempotency-Key")
        sync = _is_sync(request)
        body_hash = hashlib.sha256(request.body).digest()
        with self._store.transaction():
            stored = self._store.answer_for(key)
            if stored is not None and request.now - stored.created_at < KEY_LIFETIME:
                return _repeat(stored, body_hash, request.now)
            answer = self._first_answer(request, sync=sync, script=script)
            self._store.keep_answer(
                StoredAnswer(
                    key=key,
                    body_hash=body_hash,
                    status=answer.status,
                    headers=json.dumps(dict(answer.headers)),
                    body=answer.body,
                    created_at=request.now,
                    answered_at=request.now + script.answer_after,
                )
            )
        return answer

    def _first_answer(self, request: Request, *, sync: bool, script: Script) -> Answer:
        try:
            _check_trigger(request)
            most = 1 if sync else validation.MAX_ITEMS
            order = validation.new_order(request.body, most_items=most)
            priced = orders.price(order, may_exchange=sync and len(order.items) == 1)
            answer = self._make(priced, request, sync=sync, script=script)
        except RefusedError as refusal:
            # A refusal is stored for its key like every other answer.
            return refusal.answer
        if script.stores_500:
            return error("internal_server_error")
        if request.header("X-Send-Email") == "true":
            return answer.with_headers(X_Send_Email="true")
        return answer

    def _make(self, priced: orders.Priced, request: Request, *, sync: bool, script: Script) -> Answer:
        now, currency = request.now, priced.order.currency
        balance = self._covering(priced, is_limited=_is_live(request), has_funds=script.funds)
        if not script.makes_order:
            return error("internal_server_error")
        made = orders.complete(priced, now, self._processing, self._links)
        if script.outcome == "FAILED" and not script.late:
            made = orders.failed(made, bare=script.bare)
        else:
            # Not documented: a failed order costs nothing here.
            self._store.pay(currency, priced.total, left=balance - priced.total)
        if script.shuffled:
            made = {**made, "items": made["items"][::-1]}
        if script.respelled:
            made = {**made, "items": [orders.respelled(item) for item in made["items"]]}
        if script.unmatched:
            made = {**made, "items": [*made["items"][:-1], orders.for_somebody_else(made["items"][-1])]}
        ready_at = now if sync else now + self._processing
        shown = self._add(made, ready_at)
        if script.late:
            shown = orders.failed(made, bare=script.bare)
        if script.foreign:
            shown = self._add(orders.foreign(made, now, self._links), ready_at, listed=False)
        if sync:
            return json_answer(200, shown)
        return json_answer(202, {"id": shown["id"], "status": "PROCESSING"})

    def _covering(self, priced: orders.Priced, *, is_limited: bool, has_funds: bool) -> Decimal:
        """Return the balance that the order is paid from. Raises RefusedError (400) where it is too small."""
        currency = priced.order.currency
        balance = self._store.balance(currency) if has_funds else Decimal(0)
        if has_funds and not is_limited:
            return money.topped_up(balance, priced.total, currency)
        if balance < priced.total:
            raise RefusedError(error("insufficient_funds", currency=currency))
        return balance

    def _add(self, order: dict[str, Any], ready_at: datetime, *, listed: bool = True) -> dict[str, Any]:
        basic = {name: value for name, value in order.items() if name not in orders.DETAILS_ONLY}
        stored = StoredOrder(order["id"], ready_at, encode(basic), encode(order), listed)
        self._store.add_order(stored, orders.gift_ids(order))
        return order


def _gateway(request: Request) -> Answer | None:
    """Return the gateway's refusal of a request, None where it passes. The gateway checks only the API key."""
    key = request.header("X-Api-Key")
    if not key:
        return gateway_error("unauthorized")
    found = _KEY.fullmatch(key)
    if found is None or found["secret"] == _REVOKED:
        return gateway_error("forbidden")
    return None


def _check_version(request: Request) -> None:
    version = request.header("X-Api-Version")
    if version in _REMOVED_VERSIONS:
        raise RefusedError(error("version_removed", version=version))
    if version not in {"", API_VERSION}:
        raise RefusedError(error("invalid_version", version=version))
    if not request.path.startswith(_BASE + "/"):
        raise RefusedError(error("not_found"))


def _is_sync(request: Request) -> bool:
    mode = request.header("X-Execution-Mode") or "async"
    if mode not in {"async", "sync"}:
        raise RefusedError(error("invalid_execution_mode"))
    return mode == "sync"


def _check_trigger(request: Request) -> None:
    """Fail as the header asks (developer.runa.io: reference/playground). Other values than these two do nothing."""
    wanted = request.header("X-Trigger-Error")
    if wanted == "insufficient_funds":
        raise RefusedError(error(wanted, currency=_currency_of(request.body)))
    if wanted == "internal_server_error":
        raise RefusedError(error(wanted))


def _currency_of(body: bytes) -> str:
    """Return the currency that a body names, even if the body is otherwise invalid."""
    try:
        return str(parse(body)["payment_method"]["currency"])
    except (RefusedError, LookupError, TypeError):
        return "account"


def _repeat(stored: StoredAnswer, body_hash: bytes, now: datetime) -> Answer:
    if stored.body_hash != body_hash:
        raise RefusedError(error("idempotency_validation_error"))
    if now < stored.answered_at:
        raise RefusedError(error("idempotency_in_progress"))
    return Answer(stored.status, stored.body, json.loads(stored.headers))


def _estimate(request: Request) -> Answer:
    """Price an order without creating it. Playground keys do not have this endpoint: for them it is not found."""
    if not _is_live(request):
        raise RefusedError(error("not_found"))
    return json_answer(200, estimate(validation.new_estimate(request.body)))


def _is_live(request: Request) -> bool:
    return request.header("X-Api-Key").lower().startswith("wg")


def _processing(order_id: str) -> dict[str, str]:
    return {"id": order_id, "status": "PROCESSING", "message": "The order is accepted and not finished yet."}


def _balance(currency: str, balance: Decimal) -> dict[str, str]:
    return {"balance": f"{balance:.2f}", "currency": currency}
