"""Requests to the account without sockets, and to the server over them."""

import http.client
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runa_cli.emulator.account import AS_DOCUMENTED, Account, Script
from runa_cli.emulator.answers import Answer
from runa_cli.emulator.request import Request
from runa_cli.emulator.server import Emulator

KEY = "XXtest.secret"
LIVE_KEY = "wgtest.secret"
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)


def item(value: object = 10, product: str = "1800FL-US") -> dict[str, Any]:
    """Return an item that gives a link to one product."""
    return {
        "face_value": value,
        "distribution_method": {"type": "PAYOUT_LINK"},
        "products": {"type": "SINGLE", "value": product},
    }


def order(*items: dict[str, Any], currency: str = "USD", **more: object) -> dict[str, Any]:
    """Return the body of an order; one item of 10 USD if none is given."""
    payment = {"type": "ACCOUNT_BALANCE", "currency": currency}
    return {"payment_method": payment, "items": list(items) or [item()], **more}


def encoded(body: object) -> bytes:
    """Return bytes as they are, anything else as JSON."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@dataclass
class Caller:
    """Calls the account at a moment that a test can move."""

    account: Account
    now: datetime = NOON
    api_key: str | None = KEY

    def wait(self, **duration: float) -> None:
        """Let time pass."""
        self.now += timedelta(**duration)

    def call(
        self, method: str, target: str, body: object = b"", *, script: Script = AS_DOCUMENTED, **headers: str
    ) -> Answer:
        """Send one request below /v2; an underscore in the name of a header stands for a hyphen."""
        path, _, query = target.partition("?")
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        if self.api_key is not None:
            named.setdefault("x-api-key", self.api_key)
        return self.account.answer(Request(method, f"/v2{path}", self.now, query, named, encoded(body)), script)

    def get(self, target: str) -> Any:
        """Return the JSON of a GET."""
        return json.loads(self.call("GET", target).body)

    def post(self, body: object, key: str = "key-1", mode: str = "sync", **rest: Any) -> Answer:
        """Send an order, by default synchronously."""
        return self.call("POST", "/order", body, X_Idempotency_Key=key, X_Execution_Mode=mode, **rest)


def parsed(answer: Answer) -> Any:
    """Return the JSON of an answer."""
    return json.loads(answer.body)


def kind(answer: Answer) -> tuple[int, str]:
    """Return status and error type of an answer."""
    return answer.status, parsed(answer)["type"]


@dataclass
class Reply:
    """What came over the wire."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Client:
    """One kept-alive connection to an emulator; a context manager."""

    def __init__(self, emulator: Emulator, timeout: float = 5.0) -> None:
        self.connection = http.client.HTTPConnection(emulator.url.split("/")[2], timeout=timeout)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def call(self, method: str, target: str, body: object = None, **headers: str) -> Reply:
        """Send one request below /v2 and read the whole reply."""
        named = {"X-Api-Key": KEY, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.connection.request(method, f"/v2{target}", None if body is None else encoded(body), named)
        with self.connection.getresponse() as response:
            return Reply(response.status, response.read(), dict(response.getheaders()))

    def post(self, body: object, key: str = "key-1", mode: str = "sync") -> Reply:
        """Send an order, by default synchronously."""
        return self.call("POST", "/order", body, X_Idempotency_Key=key, X_Execution_Mode=mode)

    def orders(self) -> list[dict[str, Any]]:
        """Return the orders the account lists, newest first."""
        items: list[dict[str, Any]] = self.call("GET", "/order").json["items"]
        return items
