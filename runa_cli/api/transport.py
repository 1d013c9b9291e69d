"""Sends one HTTP request over its own connection, within a wall-clock limit.

- Each request has its own connection: the HTTP library treats every 1xx answer except 100 as final, and would take the
  real answer for that of the connection's next request.
- No redirect is followed: it would send the key to another host.
- The library's time limit applies to each read, so the request runs in a thread that is abandoned at the limit.
"""

import errno
import http.client
import os
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import requests
import urllib3
from msgspec import Struct

from runa_cli.api.classify import NoAnswer, NotConnected, Reply
from runa_cli.config.network import CA_VARIABLES
from runa_cli.core.clock import SIGNAL_CHECK_SECONDS

CONNECT_SECONDS = 10.0
READ_SECONDS = 45.0  # Runa's gateway gives up after about 30 s
MOST_BYTES = 1 << 26  # of an answer; no order is longer

T = TypeVar("T")


class _TimeIsUp(Exception):
    """The wall-clock limit of the request is reached."""


class Request(Struct, frozen=True):
    """What to send. With `direct`, no proxy is used."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    direct: bool


def send(request: Request, *, seconds: float, now: Callable[[], datetime]) -> Reply:
    """Send a request and return the complete answer. Raises NotConnected or NoAnswer."""
    connection = _Connection()
    try:
        return _within(seconds, lambda: _send(request, min(seconds, READ_SECONDS), connection, now))
    except Exception as error:  # noqa: BLE001 - whatever error the library raises, the request may have arrived
        raise connection.failure(error, seconds) from None


def _send(request: Request, read_seconds: float, connection: "_Connection", now: Callable[[], datetime]) -> Reply:
    with requests.Session() as session:
        session.trust_env = not request.direct
        session.verify = _authorities()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _ReportingAdapter(connection))
        with session.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            data=request.body,
            timeout=(min(CONNECT_SECONDS, read_seconds), read_seconds),
            allow_redirects=False,
            stream=True,
            auth=_no_netrc,
        ) as response:
            return Reply(response.status_code, _read_body(response), response.headers, now())


def _authorities() -> str | bool:
    """Return the file of trusted CA certificates that an environment variable names, else True for the library's own.

    The library itself reads only some of these variables, and none of them without a proxy.
    """
    return next(filter(None, map(os.environ.get, CA_VARIABLES)), True)


class _Connection:
    """Whether a connection was established, after which a byte of the request may have been sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._established = False
        self._abandoned = False

    def establish(self) -> None:
        """Record that the connection is established. Raises OSError after `failure`, so that nothing is sent then."""
        with self._lock:
            if self._abandoned:
                raise OSError(errno.ECANCELED, "abandoned")
            self._established = True

    def failure(self, error: Exception, seconds: float) -> NotConnected | NoAnswer:
        """Return what a failed request means. If no connection is established yet, none can be from now on."""
        with self._lock:
            self._abandoned = True
            timed_out = isinstance(error, _TimeIsUp)
            reason = f"no complete answer within {_shown(seconds)} s" if timed_out else _reason(error)
            return NoAnswer(reason) if self._established else NotConnected(reason)


class _ReportingAdapter(requests.adapters.HTTPAdapter):
    """Connects as the library does, and reports when a connection is established, with TLS and proxy."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self._report_from(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        self._report_from(manager)
        return manager

    def _report_from(self, manager: Any) -> None:
        reported = self._connection

        def reporting(pool: Any) -> Any:
            class Connection(pool.ConnectionCls):  # type: ignore[misc] # the library chooses the class at run time
                def connect(self) -> None:
                    super().connect()
                    reported.establish()

            return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

        manager.pool_classes_by_scheme = {
            scheme: reporting(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }


def _shown(seconds: float) -> str:
    """Return seconds as a message shows them: the last attempt may have had less than one of them."""
    return f"{seconds:.0f}" if seconds >= 10 else f"{max(seconds, 0.001):.2g}"


def _read_body(response: requests.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(1 << 16):
        content += chunk
        if len(content) > MOST_BYTES:
            raise NoAnswer("the answer is too long to be an order")
    return bytes(content)


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Take the place of the library's own authentication, which would send a password from the user's .netrc."""
    return request


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Run work in a thread, and raise _TimeIsUp if it takes longer on the wall clock.

    A name look-up, or an answer that comes byte by byte, could otherwise take forever.
    """
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        try:
            result, error = done.get(timeout=max(0.0, min(left, SIGNAL_CHECK_SECONDS)))
            break
        except queue.Empty:
            if left <= 0:
                raise _TimeIsUp from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # without an error there is a result


def _reason(error: BaseException) -> str:
    """Return the cause of an error in a few words of this program.

    The library's own text is never shown: it may hold the address of a proxy, with its password.
    """
    if isinstance(error, NoAnswer):
        return str(error)
    inner = _innermost(error)
    if status := re.match(r"Tunnel connection failed: ([0-9]{3})", str(inner)):
        return f"the proxy refused the connection (HTTP {status[1]}{_PROXY_ANSWERS.get(status[1], '')})"
    reason = _known_reason(error, inner)
    return f"the proxy could not be used: {reason}" if isinstance(error, requests.exceptions.ProxyError) else reason


_PROXY_ANSWERS = {"407": ": it needs another user name or password"}


def _innermost(error: BaseException) -> BaseException:
    """Return the first cause of an error, without the library's nested ones."""
    while True:
        causes = (*error.args, getattr(error, "reason", None), error.__cause__)
        nested = [part for part in causes if isinstance(part, BaseException)]
        if not nested:
            return error
        error = nested[-1]


def _known_reason(error: BaseException, inner: BaseException) -> str:
    if isinstance(inner, urllib3.exceptions.NameResolutionError | socket.gaierror):
        return "its name could not be resolved"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "the connection timed out"
    if isinstance(error, requests.exceptions.ReadTimeout) or isinstance(inner, TimeoutError):
        return "the answer timed out"
    if isinstance(inner, urllib3.exceptions.IncompleteRead) or "IncompleteRead" in type(inner).__name__:
        return "the answer was cut off"
    if isinstance(inner, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(inner, http.client.HTTPException):
        return "the answer is not HTTP"
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate could not be verified ({inner.verify_message.rstrip('.')})"
    if isinstance(inner, ssl.SSLError):
        return "the TLS connection failed"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror[0].lower() + inner.strerror[1:]
    return "the connection failed"
