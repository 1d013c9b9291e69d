"""A proxy before a PostgreSQL server that cuts a connection at a COMMIT, before or after the server has done it."""

import socket
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

When = Literal["before", "after"]
_COMMIT = b"COMMIT\0"
_PIECE = 65536


class CuttingProxy:
    """Passes everything on, but cuts the connection at commits: `cut` has their numbers, counted from 1."""

    def __init__(self, target: tuple[str, int], when: When, cut: Container[int], *, host: str = "127.0.0.1") -> None:
        """`host` is the address of this machine under which it can be reached."""
        self.target = target  # of connections that are made from now on
        self._when, self._cut = when, cut
        self._listener = socket.create_server((host, 0))
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.commits = 0
        self.cuts = 0

    def start(self) -> None:
        """Accept connections until it is closed."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, when: When, cut: Container[int]) -> None:
        """Cut at these commits from now on, counted anew."""
        with self._lock:
            self._when, self._cut, self.commits = when, cut, 0

    def close(self) -> None:
        """Cut every connection, and accept no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            _cut(connection)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self.target)
                except OSError:  # it is down for the moment
                    _cut(client)
                    continue
                self._connections += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(_PIECE):
                if _COMMIT in piece and self._is_cut():
                    if self._when == "before":
                        _cut(client)
                        _cut(server)
                        return
                    self._pending = client
                    server.sendall(piece)
                    continue
                server.sendall(piece)
        _cut(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(_PIECE):
                if getattr(self, "_pending", None) is client:  # the server has committed, and nobody hears of it
                    break
                client.sendall(piece)
        _cut(client)
        _cut(server)

    def _is_cut(self) -> bool:
        with self._lock:
            self.commits += 1
            self.cuts += self.commits in self._cut
            return self.commits in self._cut


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def cutting(
    target: tuple[str, int], when: When, cut: Container[int], *, host: str = "127.0.0.1"
) -> Iterator[CuttingProxy]:
    """Run a proxy."""
    proxy = CuttingProxy(target, when, cut, host=host)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
