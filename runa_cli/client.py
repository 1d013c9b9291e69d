"""The wire: one method an endpoint. Bytes and key in; a reply, a refusal or *uncertain* out.

Nothing here retries a `POST /order`, prints or exits. What was measured shaped it: the HTTP library takes every 1xx but
100 for a final answer without a body and would read the next answer of that connection as ours, so each `POST /order`
has a connection of its own; a redirect would carry the key to another host, so none is followed; and the library's time
limit counts for each read, so the wall-clock limit is kept from outside.
"""

import email.utils
import errno
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
LONGEST_WAIT = 1e9  # seconds; longer than any time limit
QUESTION_ATTEMPTS = 4  # a GET moves no money, so it is simply asked again
LIST_PAGE = 500  # developer.runa.io: reference/2024-02-05/endpoint/orders/list

# Answers that Runa gives before it looks at the idempotency key: they say nothing about an order sent earlier.
CREDENTIAL_TYPES = frozenset(
    {"unauthorized", "invalid_api_key", "forbidden", "invalid_version", "version_removed", "insecure_protocol"}
)
# Answers that Runa gives to the order itself and stores under its key (developer.runa.io: reference/2024-02-05/errors).
JUDGED_TYPES = frozenset(
    {
        "bad_request",
        "validation_error",
        "idempotency_validation_error",
        "insufficient_funds",
        "product_validation_error",
        "currency_mismatch",
        "payment_method_unavailable",
        "invalid_card_id",
        "currency_not_supported",
        "invalid_execution_mode",
        "ordering_restricted",
    }
)
_SHUT_STATUSES = frozenset({401, 404, 405, 407, 426})
_TRANSIENT_STATUSES = frozenset({408, 409, 425})

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
        return _http_date(self.headers.get("Date", ""))

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
    """A final no.

    `judged` is true where Runa judged the order itself: then nothing was made under this key, neither now nor earlier.
    `shut` is true where the door was shut before the order was looked at (key, version, address). A no that is neither
    may come from a proxy on the way.
    """

    error: replies.ErrorBody
    reply: Reply
    judged: bool
    shut: bool


@dataclass(frozen=True)
class Uncertain:
    """No answer that settles anything: what it was, in words, and how long Runa asks to wait (seconds)."""

    outcome: Outcome
    said: str
    reply: Reply | None = None
    retry_after: float | None = None


@dataclass(frozen=True)
class Page:
    """One page of a list, and the cursor behind it."""

    members: list[dict[str, Any]]
    after: str | None


class NotConnected(Exception):
    """Not a byte was sent: the name was not found, the connection refused, or TLS failed."""


class NoAnswer(Exception):
    """The request may have arrived; no whole answer came back."""


class _TimeIsUp(Exception):
    """The wall-clock limit of one exchange."""


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
        self.is_direct = is_loopback(urlsplit(endpoint.base_url).hostname)

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

    def read_order(self, order_id: str, *, seconds: float) -> Answered:
        """Ask for an order, again if the answer gets lost. Raises what `ask` raises."""
        reply = self.ask(f"/order/{quote(order_id, safe='')}", seconds=seconds)
        answer = _judge_order(reply)
        if not isinstance(answer, Answered):
            raise Unreachable(f"Runa's answer about order {order_id} is unreadable.")
        return answer

    # --- questions -----------------------------------------------------------------------------------------------

    def ask(
        self, path: str, query: Mapping[str, Any] | None = None, *, seconds: float, body: bytes | None = None
    ) -> Reply:
        """Ask a question that moves no money, again if the answer gets lost; with a body, as a POST.

        Raises CredentialRefused, RequestRefused or Unreachable.
        """
        method, headers = "GET", self.endpoint.headers()
        if body is not None:
            method, headers = "POST", {**headers, "Content-Type": "application/json"}
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        deadline = self._clock() + seconds
        trouble = "no time was left"
        for attempt in range(QUESTION_ATTEMPTS):
            left = deadline - self._clock()
            if left <= 0:
                break
            try:
                reply = self._exchange(method, target, headers, body, left)
            except (NotConnected, NoAnswer) as error:
                trouble, wait = str(error), 0.5 * 2**attempt
            else:
                if reply.status == 200:
                    return reply
                if not _worth_asking_again(reply):
                    raise refusal(reply)
                trouble, wait = _said(reply), _retry_after(reply) or 0.5 * 2**attempt
            if attempt + 1 == QUESTION_ATTEMPTS or wait >= deadline - self._clock():
                break
            self._sleep(wait)
        raise Unreachable(
            f"Runa gave no usable answer at {self.endpoint.base_url}: {trouble}.",
            hint="Check the connection and RUNA_BASE_URL, or try again later; `runa ping` tells when it works.",
        )

    def document(
        self, path: str, query: Mapping[str, Any] | None = None, *, seconds: float, body: bytes | None = None
    ) -> dict[str, Any]:
        """Ask for a JSON object. Raises what `ask` raises."""
        reply = self.ask(path, query, seconds=seconds, body=body)
        try:
            return replies.document(reply.body)
        except replies.Unreadable as error:
            raise Unreachable(f"Runa's answer to {path} is unreadable: {error}.") from error

    def documents(self, path: str, *, seconds: float) -> list[dict[str, Any]]:
        """Ask for a JSON list of objects. Raises what `ask` raises."""
        try:
            return replies.documents(self.ask(path, seconds=seconds).body)
        except replies.Unreadable as error:
            raise Unreachable(f"Runa's answer to {path} is unreadable: {error}.") from error

    def pages(
        self, path: str, member: str, query: Mapping[str, Any] | None = None, *, seconds: float
    ) -> Iterator["Page"]:
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
            after = replies.cursor_after(page)
            yield Page(members, after)
            if after is None or after == asked.get("after"):
                return
            asked["after"] = after

    # --- one exchange --------------------------------------------------------------------------------------------

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> Reply:
        started = self._clock()
        line = _Line()
        try:
            reply = _within(
                seconds,
                lambda: self._send(method, target, headers, body, read_seconds=min(seconds, READ_SECONDS), line=line),
            )
        except Exception as error:  # noqa: BLE001 - whatever the library stumbles over, the request may have arrived
            failure = line.failure(error, seconds)
            log.info("%s %s: %s (%.2f s)", method, target.partition("?")[0], failure, self._clock() - started)
            raise failure from None
        log.info(
            "%s %s: %d, request %s (%.2f s)",
            method, target.partition("?")[0], reply.status, reply.request_id or "-", self._clock() - started,
        )  # fmt: skip
        return reply

    def _send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        read_seconds: float,
        line: "_Line",
    ) -> Reply:
        with requests.Session() as session:
            session.trust_env = not self.is_direct
            for scheme in ("http://", "https://"):
                session.mount(scheme, _WatchedAdapter(line))
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
                return Reply(response.status_code, _read(response), response.headers, datetime.now(UTC))


class _Line:
    """Knows whether a connection stood, so that a byte of the request may have left; and can forbid it from then on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connected = False
        self._given_up = False

    def connect(self) -> None:
        """Note that the connection stands. Raises OSError when nobody waits for it any more."""
        with self._lock:
            if self._given_up:
                raise OSError(errno.ECANCELED, "given up")
            self._connected = True

    def failure(self, error: Exception, seconds: float) -> "NotConnected | NoAnswer":
        """Return what a failed exchange means. From now on no connection may stand that does not stand yet."""
        with self._lock:
            self._given_up = True
            said = f"no whole answer within {seconds:.0f} s" if isinstance(error, _TimeIsUp) else _reason(error)
            return NoAnswer(said) if self._connected else NotConnected(said)


class _WatchedAdapter(requests.adapters.HTTPAdapter):
    """Connects as the library does, and tells a line when the connection stands: TLS, proxy and all."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        self._watch(manager)
        return manager

    def _watch(self, manager: Any) -> None:
        line = self._line

        def watched(pool: Any) -> Any:
            class Connection(pool.ConnectionCls):  # type: ignore[misc] # the library chooses the class at run time
                def connect(self) -> None:
                    super().connect()
                    line.connect()

            return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

        manager.pool_classes_by_scheme = {
            scheme: watched(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }


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
        raise _TimeIsUp from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # without an error there is a result


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
    if isinstance(error, NoAnswer):
        return str(error)
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
    if reply.status == 202:
        return _accepted(reply)
    if 200 <= reply.status < 300:
        try:
            return Answered(replies.order(reply.body), reply)
        except replies.Unreadable as reason:
            return Uncertain(Outcome.UNCLEAR, f"the answer is unreadable ({reason})", reply)
    if reply.status >= 500:
        return Uncertain(Outcome.SERVER_ERROR, said, reply, _retry_after(reply))
    if error is None or not 400 <= reply.status < 500 or reply.status in _TRANSIENT_STATUSES:
        return Uncertain(Outcome.UNCLEAR, said, reply)
    shut = error.type in CREDENTIAL_TYPES or error.type == "not_found" or reply.status in _SHUT_STATUSES
    return Refused(error, reply, judged=error.type in JUDGED_TYPES and not shut, shut=shut)


def _accepted(reply: Reply) -> Answered | Uncertain:
    """Take a 202 by its id, whatever else it says: an accepted order is polled and never posted again."""
    try:
        document = replies.document(reply.body)
        known = {name: document.get(name) for name in ("id", "metadata")}
        return Answered(replies.parse(replies.Order, {**known, "status": "PROCESSING"}), reply)
    except replies.Unreadable as reason:
        return Uncertain(Outcome.UNCLEAR, f"the acceptance is unreadable ({reason})", reply)


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
        return float(text) if len(text) < 9 else LONGEST_WAIT
    moment = _http_date(text)
    now = reply.date or reply.received
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


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
