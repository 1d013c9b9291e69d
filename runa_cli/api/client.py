"""Sends requests to Runa and returns what the answers prove. A `POST /order` is never sent a second time here."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from msgspec import Struct

from runa_cli import __version__
from runa_cli.api import pagination, responses
from runa_cli.api.classify import (
    Answered,
    NoAnswer,
    NotConnected,
    Refused,
    Reply,
    Uncertain,
    classify_order_answer,
    describe_reply,
    is_transient,
    refusal_error,
    retry_after,
)
from runa_cli.api.pagination import Page
from runa_cli.api.retry import Outcome
from runa_cli.config.values import is_loopback
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import Unreachable
from runa_cli.core.masking import mask_keys

log = logging.getLogger("runa")

QUESTION_ATTEMPTS = 4  # a request that moves no money can safely be repeated


class Endpoint(Struct, frozen=True):
    """Where requests go and with which credentials. The base URL has no slash at its end."""

    base_url: str
    api_key: str
    api_version: str

    def headers(
        self, *, idempotency_key: str | None = None, mode: Literal["sync", "async"] | None = None
    ) -> dict[str, str]:
        """Return the headers of a request (developer.runa.io: reference/2024-02-05/endpoint/orders/create)."""
        headers = {
            "Accept": "application/json",
            "User-Agent": f"runa-cli/{__version__}",
            "X-Api-Key": self.api_key,
            "X-Api-Version": self.api_version,
        }
        if idempotency_key is not None:
            headers |= {
                "Content-Type": "application/json",
                "X-Idempotency-Key": idempotency_key,
                "X-Execution-Mode": mode or "async",
            }
        return headers

    @property
    def shown_url(self) -> str:
        """The base URL as messages show it: without what looks like an API key that was put into it."""
        return mask_keys(self.base_url)

    def __repr__(self) -> str:
        return f"Endpoint({self.shown_url})"


class Client:
    """Sends requests to one endpoint."""

    def __init__(self, endpoint: Endpoint, clock: Clock = REAL) -> None:
        self.endpoint = endpoint
        self._clock = clock
        # Requests to loopback bypass any proxy: it would see the key in plain http.
        self.is_direct = is_loopback(urlsplit(endpoint.base_url).hostname)

    # --- orders --------------------------------------------------------------------------------------------------

    def create_order(
        self, body: bytes, key: str, mode: Literal["sync", "async"], *, seconds: float
    ) -> Answered | Refused | Uncertain:
        """Send `POST /order` once, within the given wall-clock seconds."""
        headers = self.endpoint.headers(idempotency_key=key, mode=mode)
        return self._order_request("POST", "/order", headers, body, seconds)

    def fetch_order(self, order_id: str, *, seconds: float) -> Answered | Refused | Uncertain:
        """Send `GET /order/{id}` once."""
        return self._order_request("GET", f"/order/{quote(order_id, safe='')}", self.endpoint.headers(), None, seconds)

    def _order_request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> Answered | Refused | Uncertain:
        try:
            return classify_order_answer(self._exchange(method, target, headers, body, seconds))
        except NotConnected as error:
            return Uncertain(Outcome.NOT_CONNECTED, str(error))
        except NoAnswer as error:
            return Uncertain(Outcome.UNCLEAR, str(error))

    def read_order(self, order_id: str, *, seconds: float) -> Answered:
        """Return an order, repeating the request as `ask` does.

        Raises what `ask` raises, and Unreachable for an answer that is unreadable or is about another order.
        """
        reply = self.ask(f"/order/{quote(order_id, safe='')}", seconds=seconds)
        answer = classify_order_answer(reply)
        if not isinstance(answer, Answered):
            raise Unreachable(f"Runa's answer about order {order_id} is unreadable.")
        if answer.order.id != order_id:
            raise Unreachable(f"Runa answered with another order ({answer.order.id}) than {order_id}.")
        return answer

    # --- requests that move no money -----------------------------------------------------------------------------

    def ask(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        seconds: float,
        body: bytes | None = None,
        attempts: int = QUESTION_ATTEMPTS,
    ) -> Reply:
        """Send a request that moves no money, a POST where it has a body, and repeat it if no answer comes.

        `seconds` limits all `attempts` together. Raises CredentialRefused, RequestRefused or Unreachable.
        """
        method, headers = "GET", self.endpoint.headers()
        if body is not None:
            method, headers = "POST", {**headers, "Content-Type": "application/json"}
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        deadline = self._clock.seconds() + seconds
        problem = "no time was left"
        for attempt in range(attempts):
            left = deadline - self._clock.seconds()
            if left <= 0:
                break
            try:
                reply = self._exchange(method, target, headers, body, left)
            except (NotConnected, NoAnswer) as error:
                problem, wait = str(error), 0.5 * 2**attempt
            else:
                if reply.status == 200:
                    return reply
                if not is_transient(reply):
                    raise refusal_error(reply)
                problem, wait = describe_reply(reply), retry_after(reply) or 0.5 * 2**attempt
            if attempt + 1 == attempts or wait >= deadline - self._clock.seconds():
                break
            self._clock.sleep(wait)
        raise Unreachable(
            f"Runa gave no usable answer at {self.endpoint.shown_url}: {problem}.",
            hint="Check the connection, and RUNA_BASE_URL and the proxy variables if they are set, then run the same"
            " command again.",
        )

    def document(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        seconds: float,
        body: bytes | None = None,
        attempts: int = QUESTION_ATTEMPTS,
    ) -> dict[str, Any]:
        """Return the JSON object of an answer. Raises what `ask` raises."""
        reply = self.ask(path, query, seconds=seconds, body=body, attempts=attempts)
        try:
            return responses.read_object(reply.body)
        except responses.Unreadable as error:
            raise Unreachable(f"Runa's answer to {path} is unreadable: {error}.") from error

    def documents(self, path: str, sign: str, *, seconds: float) -> list[dict[str, Any]]:
        """Return the JSON list of objects of an answer, or a single object with the member `sign` as a list.

        Raises what `ask` raises.
        """
        try:
            return responses.read_objects(self.ask(path, seconds=seconds).body, sign)
        except responses.Unreadable as error:
            raise Unreachable(f"Runa's answer to {path} is unreadable: {error}.") from error

    def pages(
        self, path: str, member: str, query: Mapping[str, Any] | None = None, *, seconds: float
    ) -> Iterator[Page]:
        """Yield the pages of a list up to the last one (developer.runa.io: reference/2024-02-05/pagination).

        `seconds` limits each page. Raises what `ask` raises.
        """
        parameters = dict(query or {})
        while True:
            page = self.document(path, parameters, seconds=seconds)
            try:
                members = list(pagination.member_list(page, member))
            except responses.Unreadable as error:
                raise Unreachable(f"Runa's answer to {path} is unreadable: {error}.") from error
            if not members:
                return
            after = pagination.cursor_after(page)
            yield Page(members, after)
            if after is None or after == parameters.get("after"):
                return
            parameters["after"] = after

    # --- one exchange --------------------------------------------------------------------------------------------

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> Reply:
        from runa_cli.api import transport

        started, path = self._clock.seconds(), target.partition("?")[0]
        request = transport.Request(method, self.endpoint.base_url + target, headers, body, self.is_direct)
        try:
            reply = transport.send(request, seconds=seconds, now=self._clock.now)
        except (NotConnected, NoAnswer) as error:
            took = self._clock.seconds() - started
            facts = {"method": method, "path": path, "error": str(error), "ms": round(took * 1000)}
            log.info("%s %s: %s (%.2f s)", method, path, error, took, extra={"facts": facts})
            raise
        took = self._clock.seconds() - started
        facts = {
            "method": method, "path": path, "status": reply.status, "request_id": reply.request_id,
            "ms": round(took * 1000),
        }  # fmt: skip
        log.info(
            "%s %s: %d, request %s (%.2f s)", method, path, reply.status, reply.request_id or "-", took,
            extra={"facts": facts},
        )  # fmt: skip
        return reply
