"""One HTTP exchange over a connection of its own, within a wall-clock limit.

What was measured shaped it: the HTTP library takes every 1xx but 100 for a final answer without a body and would read
the next answer of that connection as ours, so each request has its own; a redirect would carry the key to another host,
so none is followed; and the library's time limit counts for each read, so the wall-clock limit is kept from outside.
"""

import errno
import http.client
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import requests
import urllib3

from runa_cli.api.classify import NoAnswer, NotConnected, Reply
from runa_cli.core.clock import SIGNAL_CHECK_SECONDS

CONNECT_SECONDS = 10.0
READ_SECONDS = 45.0  # Runa's gateway itself gives up at about 30 s
MOST_BYTES = 1 << 26
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

T = TypeVar("T")


class _TimeIsUp(Exception):
    """The wall-clock limit of one exchange."""


@dataclass(frozen=True)
class Request:
    """What to send. `direct` keeps it off any proxy."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    direct: bool


def send(request: Request, *, seconds: float, now: Callable[[], datetime]) -> Reply:
    """Send a request and return the whole answer, with the time it came. Raises NotConnected or NoAnswer."""
    line = _Connection()
    try:
        return _within(seconds, lambda: _send(request, min(seconds, READ_SECONDS), line, now))
    except Exception as error:  # noqa: BLE001 - whatever the library stumbles over, the request may have arrived
        raise line.failure(error, seconds) from None


def _send(request: Request, read_seconds: float, line: "_Connection", now: Callable[[], datetime]) -> Reply:
    with requests.Session() as session:
        session.trust_env = not request.direct
        session.verify = _authorities()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _WatchedAdapter(line))
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
    """Return whose certificates are trusted: the library's authorities, or those that the machine's variables name.

    The library reads only some of these variables, and none for a server that must not be reached through a proxy.
    """
    return next(filter(None, map(os.environ.get, CA_VARIABLES)), True)


class _Connection:
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

    def failure(self, error: Exception, seconds: float) -> NotConnected | NoAnswer:
        """Return what a failed exchange means. From now on no connection may stand that does not stand yet."""
        with self._lock:
            self._given_up = True
            said = f"no whole answer within {seconds:.0f} s" if isinstance(error, _TimeIsUp) else _reason(error)
            return NoAnswer(said) if self._connected else NotConnected(said)


class _WatchedAdapter(requests.adapters.HTTPAdapter):
    """Connects as the library does, and tells a line when the connection stands: TLS, proxy and all."""

    def __init__(self, line: _Connection) -> None:
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


def _read_body(response: requests.Response) -> bytes:
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
    """Say what went wrong in a few words, without addresses of memory or the library's nesting."""
    inner: BaseException = error
    while True:
        causes = (*inner.args, getattr(inner, "reason", None), inner.__cause__)
        nested = [part for part in causes if isinstance(part, BaseException)]
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
    if isinstance(inner, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror[0].lower() + inner.strerror[1:]
    text = str(inner)
    return text.rpartition(">: ")[2].rpartition("): ")[2].removeprefix("Failed to ").rstrip(".") or type(inner).__name__
