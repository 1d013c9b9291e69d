"""The text of an input file: UTF-8, UTF-16 with a byte order mark, or the encoding that `--encoding` names."""

import codecs
import io
import re
from typing import Any, BinaryIO

from runa_cli.input.problems import Place, Problems

_START = 1 << 12  # bytes that are looked at to tell the encoding
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the mark of UTF-16, so it is looked for first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that the encoding does not have, as `surrogateescape` keeps them
WORKBOOK = b"PK\x03\x04"  # how an .xlsx file begins
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"  # how an .xls file begins, and a workbook with a password
BYTE_ORDER_MARK = "\ufeff"


class DecodedText:
    """The text of a stream, read by lines or by pieces, with any kind of line end.

    Stops with a problem that names the line and the byte where the stream is not in its encoding. The stream stays
    open: it belongs to whoever opened it.
    """

    def __init__(self, stream: BinaryIO, name: str, problems: Problems, encoding: str | None = None) -> None:
        self._name = name
        self._problems = problems
        self._given = encoding
        start, stream = peek(stream, _START)
        mark = next(((mark, found) for mark, found in _MARKS if start.startswith(mark)), None)
        self.has_mark = mark is not None
        self._encoding = encoding or self._told_by(start, mark[1] if mark else None)
        self.line = 0  # that was read last; with `read`, the one that the piece begins in
        self._breaks = 1  # line ends of the piece that was read last
        # What the stream holds is not closed with this wrapper, because `peek` returned a stream around it.
        self._text = io.TextIOWrapper(stream, encoding=self._encoding, errors="surrogateescape", newline="")

    def readline(self, limit: int) -> str:
        """Return the next line with its end, or as much of it as the limit allows; empty at the end of the text."""
        first = self.line == 0
        self.line += 1
        try:
            line = self._text.readline(limit)
        except UnicodeError:  # of encodings that cannot keep a byte as it is
            self._stop("")
        return self._checked(line.removeprefix(BYTE_ORDER_MARK) if first else line)

    def read(self, characters: int) -> str:
        """Return the next piece of the text; empty at its end."""
        first = self.line == 0
        self.line += self._breaks
        try:
            piece = self._text.read(characters)
        except UnicodeError:
            self._stop("")
        self._breaks = piece.count("\n")
        return self._checked(piece.removeprefix(BYTE_ORDER_MARK) if first else piece)

    def _told_by(self, start: bytes, marked: str | None) -> str:
        for half, zeros in (("le", start[1::2].count(0)), ("be", start[::2].count(0))):
            if marked is None and zeros * 4 > len(start):  # half of the bytes are, for letters without accents
                self._problems.stop(
                    Place(file=self._name), f"looks like UTF-16 without a byte order mark: add --encoding utf-16-{half}"
                )
        return marked or "utf-8"

    def _checked(self, text: str) -> str:
        if not text.isascii() and (wrong := _UNDECODED.search(text)):
            self.line += text.count("\n", 0, wrong.start())
            self._stop(f" (byte 0x{ord(wrong[0]) - 0xDC00:02x})")
        return text

    def _stop(self, byte: str) -> None:
        place = Place(file=self._name, line=self.line)
        if self._given is not None:
            self._problems.stop(place, f"is not {self._given}{byte}: check --encoding")
        if self._encoding.startswith("utf-8"):
            advice = "save it as UTF-8, or say what it is with --encoding, for Western Europe often --encoding cp1252"
            self._problems.stop(place, f"is not UTF-8{byte}: {advice}")
        self._problems.stop(place, f"is not {self._encoding.upper()}, which its byte order mark says: save it as UTF-8")


def is_text_encoding(name: str) -> bool:
    """Tell whether Python can decode text with the encoding of that name."""
    try:
        b"a\n".decode(name, "replace")
    except (LookupError, UnicodeError):
        return False
    return True


def peek(stream: BinaryIO, size: int) -> tuple[bytes, BinaryIO]:
    """Return the first bytes of a stream, and a stream that begins with them."""
    start = b""
    while len(start) < size and (piece := stream.read(size - len(start))):
        start += piece
    return start, io.BufferedReader(_Rewound(start, stream))


class _Rewound(io.RawIOBase):
    def __init__(self, start: bytes, stream: BinaryIO) -> None:
        self._start = start
        self._rest = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._start[: len(buffer)] or self._rest.read(len(buffer))
        self._start = self._start[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)
