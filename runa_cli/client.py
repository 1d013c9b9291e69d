"""The wire: one method an endpoint. Bytes and key in; a reply, a refusal or *uncertain* out.

Nothing here retries a `POST /order`, prints or exits. What was measured shaped it: the HTTP library takes every 1xx but
100 for a final answer without a body and would read the next answer of that connection as ours, so each `POST /order`
has a connection of its own; a redirect would carry the key to another host, so none is followed; and the library's time
limit counts for each read, so the wall-clock limit is kept from outside.
"""

import email.utils
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests
import urllib3

from runa_cli import __version__, replies
from runa_cli.errors import Context, CredentialRefused, RequestRefused, RunaError, Unreachable
from runa_cli.ledger import Exchange
from runa_cli.retry import Outcome
from runa_cli.settings import is_loopback

log = logging.getLogger("runa")

CONNECT_SECONDS = 10.0
READ_SECONDS = 45.0  # Runa's gateway itself gives up at about 30 s
MOST_BYTES = 1 << 26
QUESTION_ATTEMPTS = 4  # a GET moves no money, so it is simply asked again
LIST_PAGE = 500  # developer.runa.io: reference/2024-02-05/endpoint/orders/list

# Answers that Runa gives before it looks at the idempotency key: they say nothing about an order sent earlier.
CREDENTIAL_TYPES = frozenset(
    {"unauthorized", "invalid_api_key", "forbidden", "invalid_version", "version_removed", "insecure_protocol"}
)
_UNJUDGED_TYPES = CREDENTIAL_TYPES | {"not_found"}
_UNJUDGED_STATUSES = frozenset({401, 404, 405, 407, 426})
_TRANSIENT_STATUSES = frozenset({408, 409, 425})

# What OpenSSL calls a failure that can only happen before the first byte of a request.
_HANDSHAKE_SIGNS = ("CERTIFICATE", "WRONG_VERSION", "HANDSHAKE", "UNSUPPORTED_PROTOCOL", "HOSTNAME", "UNKNOWN_CA")

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """A whole HTTP answer. `date` is the server's own clock, where it gave one."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    received: datetime

    @property
    def request_id(self) -> str | None:
        """The id that Runa's support can find the exchange by."""
        return self.headers.get("X-Amzn-Requestid") or self.headers.get("X-Request-Id")

    @property
    def date(self) -> datetime | None:
        """When the server says it answered (UTC, whole seconds)."""
        try:
            return email.utils.parsedate_to_datetime(self.headers.get("Date", "")).astimezone(UTC)
        except ValueError:
            return None

    @property
    def exchange(self) -> Exchange:
        """What the ledger keeps of it beside the body."""
        error = replies.error_body(self.body) if self.status >= 300 else None
        return Exchange(
            http_status=self.status,
            request_id=self.request_id,
            error_type=error.type if error else None,
            error_text=describe(error) if error else None,
        )


@dataclass(frozen=True)
class Answered:
    """Runa answered with an order. Whether it is ours is not decided here."""

    order: replies.Order
    reply: Reply


@dataclass(frozen=True)
class Refused:
    """Runa's final no.

    `judged` is false where Runa said no before it looked at the order (key, version, address), so that the answer
    proves nothing about the same key sent earlier.
    """

    error: replies.ErrorBody
    reply: Reply
    judged: bool


@dataclass(frozen=True)
class Uncertain:
    """No answer that settles anything: what it was, in words, and how long Runa asks to wait (seconds)."""

    outcome: Outcome
    said: str
    reply: Reply | None = None
    retry_after: float | None = None


class NotConnected(Exception):
    """Not a byte was sent: the name was not found, the connection refused, or TLS failed."""


class NoAnswer(Exception):
    """The request may have arrived; no whole answer came back."""


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom to talk: base URL without a slash at its end, the key, the dated API version."""

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

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url})"


class Client:
    """Talks to one endpoint. `clock` and `sleep` are in seconds."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self._clock = clock
        self._sleep = sleep
        # Loopback never goes through a proxy: over plain http that would show the key to it.
        self._direct = is_loopback(urlsplit(endpoint.base_url).hostname)

    # --- orders --------------------------------------------------------------------------------------------------

    def create_order(
        self, body: bytes, key: str, mode: Literal["sync", "async"], *, seconds: float
    ) -> Answered | Refused | Uncertain:
        """Send `POST /order` once, within the given wall-clock seconds."""
        headers = self.endpoint.headers(idempotency_key=key, mode=mode)
        try:
            reply = self._exchange("POST", "/order", headers, body, seconds)
        except NotConnected as error:
            return Uncertain(Outcome.NOT_CONNECTED, str(error))
        except NoAnswer as error:
            return Uncertain(Outcome.UNCLEAR, str(error))
        return _judge_order(reply)

    def fetch_order(self, order_id: str, *, seconds: float) -> Answered | Refused | Uncertain:
        """Send `GET /order/{id}` once."""
        try:
            reply = self._exchange("GET", f"/order/{quote(order_id, safe='')}", self.endpoint.headers(), None, seconds)
        except NotConnected as error:
            return Uncertain(Outcome.NOT_CONNECTED, str(error))
        except NoAnswer as error:
            return Uncertain(Outcome.UNCLEAR, str(error))
        return _judge_order(reply)

    # --- questions -----------------------------------------------------------------------------------------------

    def get(self, path: str, query: Mapping[str, Any] | None = None, *, seconds: float) -> Reply:
        """Ask a question that moves no money, again if the answer gets lost.

        Raises CredentialRefused, RequestRefused or Unreachable.
        """
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        deadline = self._clock() + seconds
        trouble = "no time was left"
        for attempt in range(QUESTION_ATTEMPTS):
            left = deadline - self._clock()
            if left <= 0:
                break
            try:
                reply = self._exchange("GET", target, self.endpoint.headers(), None, left)
            except (NotConnected, NoAnswer) as error:
                trouble, wait = str(error), 0.5 * 2**attempt
            else:
                if reply.status == 200:
                    return reply
                if not _worth_asking_again(reply):
                    raise refusal(reply)
                trouble, wait = _said(reply), _retry_after(reply) or 0.5 * 2**attempt
            if attempt + 1 < QUESTION_ATTEMPTS and wait < deadline - self._clock():
                self._sleep(wait)
        raise Unreachable(
            f"Runa gave no usable answer at {self.endpoint.base_url}: {trouble}.",
            hint="Check the connection and RUNA_BASE_URL, or try again later; `runa ping` tells when it works.",
        )

    def document(self, path: str, query: Mapping[str, Any] | None = None, *, seconds: float) -> dict[str, Any]:
        """Ask for a JSON object. Raises what `get` raises."""
        reply = self.get(path, query, seconds=seconds)
        try:
            return replies.document(reply.body)
        except replies.Unreadable as error:
            raise Unreachable(f"Runa's answer to {path} is unreadable: {error}.") from error

    def pages(
        self, path: str, member: str, query: Mapping[str, Any] | None = None, *, seconds: float
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of a list until the empty one (developer.runa.io: reference/2024-02-05/pagination)."""
        asked = dict(query or {})
        while True:
            page = self.document(path, asked, seconds=seconds)
            try:
                members = list(replies.member_list(page, member))
            except replies.Unreadable as error:
                raise Unreachable(f"Runa's answer to {path} is unreadable: {error}.") from error
            if not members:
                return
            yield members
            after = replies.cursor_after(page)
            if after is None or after == asked.get("after"):
                return
            asked["after"] = after

    # --- one exchange --------------------------------------------------------------------------------------------

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> Reply:
        started = self._clock()
        try:
            reply = _within(seconds, lambda: self._send(method, target, headers, body, min(seconds, READ_SECONDS)))
        except (NotConnected, NoAnswer) as error:
            log.info("%s %s: %s (%.2f s)", method, target.partition("?")[0], error, self._clock() - started)
            raise
        log.info(
            "%s %s: %d, request %s (%.2f s)",
            method, target.partition("?")[0], reply.status, reply.request_id or "-", self._clock() - started,
        )  # fmt: skip
        return reply

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, read_seconds: float
    ) -> Reply:
        with requests.Session() as session:
            session.trust_env = not self._direct
            try:
                with session.request(
                    method,
                    self.endpoint.base_url + target,
                    headers=dict(headers),
                    data=body,
                    timeout=(min(CONNECT_SECONDS, read_seconds), read_seconds),
                    allow_redirects=False,
                    stream=True,
                    auth=_no_netrc,
                ) as response:
                    content = _read(response)
                    return Reply(response.status_code, content, response.headers, datetime.now(UTC))
            except requests.RequestException as error:
                if _never_connected(error):
                    raise NotConnected(_reason(error)) from None
                raise NoAnswer(_reason(error)) from None
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise NoAnswer(_reason(error)) from None


def _read(response: requests.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(1 << 16):
        content += chunk
        if len(content) > MOST_BYTES:
            raise NoAnswer("the answer is longer than any order")
    return bytes(content)


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep the library from sending a password of the user's .netrc along."""
    return request


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Run work for at most that long on the wall clock; a name look-up or a dribbling answer would take for ever."""
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where the work was asked for
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = done.get(timeout=seconds)
    except queue.Empty:
        raise NoAnswer(f"no whole answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # without an error there is a result


def _never_connected(error: requests.RequestException) -> bool:
    """Tell whether this failed before a byte of the request could leave."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.exceptions.SSLError):
        return any(sign in str(reason).upper() for sign in _HANDSHAKE_SIGNS)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _reason(error: BaseException) -> str:
    """Say what went wrong in a few words, without addresses of memory or the library's nesting."""
    inner: BaseException = error
    while True:
        nested = [part for part in (*inner.args, getattr(inner, "reason", None)) if isinstance(part, BaseException)]
        if not nested:
            break
        inner = nested[-1]
    if isinstance(inner, urllib3.exceptions.NameResolutionError | socket.gaierror):
        return "its name could not be resolved"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "the connection timed out"
    if isinstance(error, requests.exceptions.ReadTimeout) or isinstance(inner, TimeoutError):
        return "the answer timed out"
    if isinstance(inner, urllib3.exceptions.IncompleteRead) or "IncompleteRead" in type(inner).__name__:
        return "the answer was cut off"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror[0].lower() + inner.strerror[1:]
    text = str(inner)
    return text.rpartition(">: ")[2].rpartition("): ")[2].removeprefix("Failed to ").rstrip(".") or type(inner).__name__


def _judge_order(reply: Reply) -> Answered | Refused | Uncertain:
    """Sort an answer about an order into what it proves (developer.runa.io: best-practices/handling-errors)."""
    error = replies.error_body(reply.body) if not 200 <= reply.status < 300 else None
    said = _said(reply)
    if reply.status == 102 or (error and error.type == "idempotency_in_progress"):
        return Uncertain(Outcome.IN_PROGRESS, "Runa is still working on an earlier request with this key", reply)
    if reply.status == 429:
        return Uncertain(Outcome.RATE_LIMITED, "Runa asks for fewer orders a minute", reply, _retry_after(reply))
    if 200 <= reply.status < 300:
        try:
            return Answered(replies.order(reply.body), reply)
        except replies.Unreadable as reason:
            return Uncertain(Outcome.UNCLEAR, f"the answer is unreadable ({reason})", reply)
    if reply.status >= 500:
        return Uncertain(Outcome.SERVER_ERROR, said, reply, _retry_after(reply))
    if error is None or not 400 <= reply.status < 500 or reply.status in _TRANSIENT_STATUSES:
        return Uncertain(Outcome.UNCLEAR, said, reply)
    judged = error.type not in _UNJUDGED_TYPES and reply.status not in _UNJUDGED_STATUSES
    return Refused(error, reply, judged)


def _said(reply: Reply) -> str:
    error = replies.error_body(reply.body)
    return f"HTTP {reply.status}" + (f", {error.type}: {describe(error)}" if error else "")


def describe(error: replies.ErrorBody) -> str:
    """Return Runa's own words about a refusal, with each detail's place."""
    details = "; ".join(f"{detail.path}: {detail.message}" for detail in error.details[:10])
    return " ".join(filter(None, [error.message.strip(), details])) or error.type


def _worth_asking_again(reply: Reply) -> bool:
    return reply.status in {102, 408, 425, 429} or reply.status >= 500


def _retry_after(reply: Reply) -> float | None:
    """Return the seconds that Runa asks to wait; it documents no such header, but honouring one costs nothing."""
    text = reply.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    now = reply.date or reply.received
    return max(0.0, (moment.astimezone(UTC) - now).total_seconds())


def refusal(reply: Reply) -> RunaError:
    """Return the error for a question that Runa refused."""
    error = replies.error_body(reply.body)
    context = Context(request_id=reply.request_id)
    if error is None:
        return RequestRefused(f"Runa's answer is HTTP {reply.status} without a reason.", context=context)
    if error.type in CREDENTIAL_TYPES or reply.status in {401, 403}:
        return CredentialRefused(
            f"Runa does not accept the request: {describe(error)} ({error.type}).",
            hint=credential_hint(error.type),
            code=error.type,
            context=context,
        )
    return RequestRefused(f"Runa said no: {describe(error)} ({error.type}).", code=error.type, context=context)


def credential_hint(error_type: str) -> str:
    """Return what to do when Runa does not let a request in."""
    if "version" in error_type:
        return (
            "RUNA_API_VERSION names a version that Runa does not serve; leave it out to use the one this program knows."
        )
    if error_type == "insecure_protocol":
        return "RUNA_BASE_URL must begin with https://."
    return "Check RUNA_API_KEY (`runa config` shows its prefix); it may be revoked, or belong to another environment."
