"""Serves the account over HTTP on loopback."""

import contextlib
import select
import socket
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import unquote

from runa_cli.emulator.account import Account, Script
from runa_cli.emulator.answers import Answer, error
from runa_cli.emulator.bodies import BodyCutError, BodyRefusedError, read_body
from runa_cli.emulator.delivery import Message
from runa_cli.emulator.faults import NORMAL, Behaviour, Faults
from runa_cli.emulator.request import Request
from runa_cli.emulator.store import Store

# An emulator embedded in a command ends with the command. Its payout links have this port, on which
# `runa emulator serve` listens, so that they can be opened later.
DEFAULT_PORT = 8642
_CHUNK = 64 * 1024
_REMEMBERED = 10_000
_CLOSING_SECONDS = 5.0
_POLL_SECONDS = 0.02


class Emulator:
    """The emulated API, with its data in the file at `path`. As a context manager it serves while it is open.

    Port 0 takes a free port. `faults` are written as `Faults` says. An asynchronous order is PROCESSING for
    `processing_seconds`. Payout links begin with `links`, by default the server's own address. Raises ValueError for an
    unknown fault; `start` raises OSError or sqlite3.Error if the port or the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Sequence[str] = (),
        processing_seconds: float = 1.0,
        links: str | None = None,
    ) -> None:
        self._path = path
        self._address = (host, port)
        self._faults = Faults(faults)
        self._processing = timedelta(seconds=processing_seconds)
        self._links = links
        self._requests: deque[tuple[str, str, str | None]] = deque(maxlen=_REMEMBERED)
        self._ending = False
        self._no_pauses = threading.Event()
        self._server: _Server | None = None
        self._store: Store | None = None
        self._account: Account | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base URL for clients, with /v2. Raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the emulator is not started")
        return f"{self._server.root}/v2"

    @property
    def unhit_faults(self) -> list[str]:
        """The scripted faults that have not occurred so far."""
        return self._faults.unhit

    @property
    def spent(self) -> dict[str, Decimal]:
        """What all orders of the account have cost, by currency. Raises RuntimeError while it is not started."""
        if self._store is None:
            raise RuntimeError("the emulator is not started")
        return self._store.spent()

    @property
    def requests(self) -> list[tuple[str, str, str | None]]:
        """Method, path with query and idempotency key of the last 10,000 requests, in the order they came."""
        return list(self._requests)

    def start(self) -> None:
        """Bind the port and serve in background threads, which do not keep the program alive."""
        self._store = Store(self._path)
        try:
            self._server = _Server(self._address, self)
        except BaseException:
            self._store.close()
            raise
        self._account = Account(self._store, self._processing, self._links or self._server.root)
        threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()

    def serve_forever(self) -> None:
        """Serve until `shutdown` is called, from a signal handler or another thread."""
        if self._server is None:
            self.start()
        # The system may deliver a signal to another thread, and nothing then wakes this one to run the handler, so it
        # polls. It polls a plain flag: a signal handler that sets an Event can deadlock on the lock of the Event.
        while not self._ending:
            time.sleep(_POLL_SECONDS)

    def shutdown(self) -> None:
        """Make `serve_forever` return. The emulator still has to be closed."""
        self._ending = True

    def hurry(self) -> None:
        """End the pauses of faults, now and from now on. For a test whose awaited event has happened."""
        self._no_pauses.set()

    def close(self) -> None:
        """Stop serving, and close every connection and the file. May be called twice."""
        self.shutdown()
        self.hurry()
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._store is not None:
            self._store.close()
            self._store = None

    # The handlers of connections use the following methods.

    def pause(self, seconds: float) -> None:
        """Wait that many seconds, or less after `hurry`."""
        self._no_pauses.wait(seconds)

    def treatment(self, method: str, target: str, key: str | None) -> Behaviour:
        """Record a request, and return how to treat it."""
        self._requests.append((method, target, key))
        path = target.partition("?")[0]
        if (method, path) == ("POST", "/v2/order"):
            return self._faults.next_order()
        if method == "GET" and path.startswith("/v2/order/"):
            return self._faults.next_read()
        return NORMAL

    def now(self) -> datetime:
        """Return the time on the emulator's clock, in UTC."""
        return datetime.now(UTC) + self._faults.ahead

    def answer(self, request: Request, script: Script) -> Answer:
        """Return the account's answer, or an internal server error if the store fails."""
        if self._account is None:
            raise RuntimeError("the emulator is not started")
        try:
            return self._account.answer(request, script)
        except sqlite3.Error:
            return error("internal_server_error")


class _Server(ThreadingHTTPServer):
    """The HTTP server. It keeps a set of its open connections, to close them when it stops."""

    request_queue_size = 128
    # Otherwise two servers could share one port and each get some of the requests; the default depends on the version.
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], emulator: Emulator) -> None:
        self.emulator = emulator
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(address, _Handler)

    @property
    def root(self) -> str:
        """The server's own address as a URL without a path."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def server_bind(self) -> None:
        # The base class looks up the name of the host, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client may close its connection at any time; any other error is a defect of this program.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, _CLOSING_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    """Handles one connection, and is the `Wire` that deliveries write to."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def pause(self, seconds: float) -> None:
        self._emulator.pause(seconds)

    def listen(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], left)
            if not readable or not self.connection.recv(_CHUNK):
                return

    def hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing: stderr belongs to the command that embeds the emulator."""

    def do_any(self) -> None:
        """Answer a request of any method."""
        body = self._read_body()
        if body is None:
            return
        behaviour = self._emulator.treatment(self.command, self.path, self.headers.get("X-Idempotency-Key"))
        answer = self._answer(body, behaviour)
        keeps_alive = not self.close_connection
        message = Message(answer, self._emulator.now(), keeps_alive, with_body=self.command != "HEAD")
        behaviour.deliver(self, message, behaviour.seconds)

    def __getattr__(self, name: str) -> Any:
        """Find the method `do_...` for whatever a request's method is called."""
        if name.startswith("do_"):
            return self.do_any
        raise AttributeError(name)

    @property
    def _emulator(self) -> Emulator:
        return cast(_Server, self.server).emulator

    def _answer(self, body: bytes, behaviour: Behaviour) -> Answer:
        answer = Answer(200, b"")
        if behaviour.asks_account:
            answer = self._ask(body, behaviour.script)
        if behaviour.shown is not None:
            return behaviour.shown(self.connection.getsockname()[1])
        return answer

    def _ask(self, body: bytes, script: Script) -> Answer:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(path), self._emulator.now(), query, headers, body)
        return self._emulator.answer(request, script)

    def _read_body(self) -> bytes | None:
        """Read the complete body, so that the next request can be read. None if the request is answered already."""
        try:
            return read_body(self.headers, self.rfile)
        except BodyCutError:
            self.close_connection = True
        except BodyRefusedError as refused:
            self.close_connection = self.close_connection or not refused.keeps_connection
            answered = error("bad_request", reason=refused.reason)
            answer = Answer(refused.status, answered.body, answered.headers)
            self.send(Message(answer, self._emulator.now(), not self.close_connection).whole())
        return None
