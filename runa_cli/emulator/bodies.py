"""Reads the body of a request: of a stated length, or in chunks (RFC 9112, 7.1)."""

import re
from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase

MOST_BODY_BYTES = 8 * 1024 * 1024
_MOST_LINE = 4096  # bytes of the line before a chunk, or of one trailer
_MOST_TRAILERS = 100
_MOST_DIGITS = 18  # of a length; Python refuses to convert one of thousands of digits
_PART = 64 * 1024
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")


class BodyRefusedError(Exception):
    """Raised for a body that is refused. `keeps_connection`: it is read to its end, so that the next request can be."""

    def __init__(self, status: int, reason: str, *, keeps_connection: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.keeps_connection = keeps_connection


class BodyCutError(Exception):
    """Raised where the client has hung up in the middle of its body."""


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read the complete body, so that the next request can be read. Raises BodyRefusedError or BodyCutError."""
    coding = headers.get("Transfer-Encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            raise BodyRefusedError(501, "its transfer coding is not chunked")
        if "Content-Length" in headers:  # two readers could disagree about where it ends
            raise BodyRefusedError(400, "it has both a length and chunks")
        return _within_limit(_chunks(stream))
    length = headers.get("Content-Length", "0")
    if not (length.isascii() and length.isdecimal()):
        raise BodyRefusedError(411, "it needs a Content-Length")
    if len(length) > _MOST_DIGITS:
        raise BodyRefusedError(413, "it is too large")
    return _within_limit(_parts(stream, int(length)))


def _within_limit(parts: Iterator[bytes]) -> bytes:
    body = bytearray()
    is_too_large = False
    for part in parts:
        is_too_large = is_too_large or len(body) + len(part) > MOST_BODY_BYTES
        if not is_too_large:
            body += part
    if is_too_large:
        raise BodyRefusedError(413, "it is too large", keeps_connection=True)
    return bytes(body)


def _parts(stream: BufferedIOBase, length: int) -> Iterator[bytes]:
    while length > 0:
        part = stream.read(min(length, _PART))
        if not part:
            raise BodyCutError
        length -= len(part)
        yield part


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    while length := _size(stream):
        yield from _parts(stream, length)
        if _line(stream).strip(b"\r\n"):
            raise BodyRefusedError(400, "a chunk is longer than it says")
    for _ in range(_MOST_TRAILERS):
        if not _line(stream).strip(b"\r\n"):
            return
    raise BodyRefusedError(400, "it has too many trailers")


def _size(stream: BufferedIOBase) -> int:
    found = _SIZE.fullmatch(_line(stream))
    if found is None:
        raise BodyRefusedError(400, "a chunk does not say how long it is")
    return int(found[1], 16)


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(_MOST_LINE)
    if not line:
        raise BodyCutError
    if not line.endswith(b"\n"):
        raise BodyRefusedError(400, "a line in it is too long")
    return line
