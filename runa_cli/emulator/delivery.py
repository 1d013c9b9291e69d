"""Ways to deliver an answer to the client, completely or not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Protocol

from runa_cli.emulator.answers import Answer

_SILENCE_SECONDS = 10.0
_INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"
_INTERIM_SECONDS = 0.3


class Wire(Protocol):
    """The client's connection."""

    def send(self, data: bytes) -> None:
        """Send bytes at once."""

    def pause(self, seconds: float) -> None:
        """Wait that many seconds, or less if the server closes."""

    def listen(self, seconds: float) -> None:
        """Send nothing until the client closes the connection, for at most that many seconds."""

    def hang_up(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class Message:
    """An answer ready to be sent. With `keeps_alive`, the connection stays open after it."""

    answer: Answer
    now: datetime
    keeps_alive: bool = True
    with_body: bool = True

    def head(self, *, length: int | None) -> bytes:
        """Return the status line and headers. Without a length, the end of the connection ends the body."""
        lines = [f"HTTP/1.1 {self.answer.status} {HTTPStatus(self.answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.answer.headers.items()]
        lines.append(f"Date: {format_datetime(self.now, usegmt=True)}")
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if length is None or not self.keeps_alive:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def whole(self) -> bytes:
        """Return the bytes of the complete answer."""
        return self.head(length=len(self.answer.body)) + (self.answer.body if self.with_body else b"")


# Takes the wire, the answer and the seconds of the fault.
Delivery = Callable[[Wire, Message, float], None]


def whole(wire: Wire, message: Message, _: float) -> None:
    """Send the complete answer."""
    wire.send(message.whole())


def lost(wire: Wire, _message: Message, _: float) -> None:
    """Send nothing and close."""
    wire.hang_up()


def cut_by_length(wire: Wire, message: Message, _: float) -> None:
    """Send half of the body whose full length the headers announce, then close."""
    body = message.answer.body
    wire.send(message.head(length=len(body)) + body[: len(body) // 2])
    wire.hang_up()


def cut_by_close(wire: Wire, message: Message, _: float) -> None:
    """Send half of a body without a length, then close: only the broken JSON shows that it is incomplete."""
    body = message.answer.body
    wire.send(message.head(length=None) + body[: len(body) // 2])
    wire.hang_up()


def late(wire: Wire, message: Message, seconds: float) -> None:
    """Send the answer after that many seconds."""
    wire.pause(seconds)
    whole(wire, message, seconds)


def dribbled(wire: Wire, message: Message, seconds: float) -> None:
    """Send one byte at a time, that many seconds apart."""
    for byte in message.whole():
        wire.send(bytes([byte]))
        wire.pause(seconds)


def interim_only(wire: Wire, _message: Message, _: float) -> None:
    """Send the interim answer 102 and no final one."""
    wire.send(_INTERIM)
    wire.listen(_SILENCE_SECONDS)
    wire.hang_up()


def interim_first(wire: Wire, message: Message, _: float) -> None:
    """Send the interim answer 102, and the final one a little later."""
    wire.send(_INTERIM)
    wire.pause(_INTERIM_SECONDS)
    whole(wire, message, 0)
