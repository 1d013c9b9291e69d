"""JSON and JSONL files, read value by value, so that a long file is never in memory as a whole."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from runa_cli.core import exact_json
from runa_cli.input.decoding import BYTE_ORDER_MARK, DecodedText
from runa_cli.input.problems import Place, Problems

_CHUNK = 1 << 16
PEEK = 1 << 13
MOST_CHARACTERS = 1 << 26  # a longer value is not an order: 200 items are about 50,000 characters


class Value(NamedTuple):
    """One value of a file: its place, and whether it is the whole document (`alone`)."""

    place: Place
    value: object
    alone: bool


def read_json(stream: DecodedText, name: str, problems: Problems) -> Iterator[Value]:
    """Yield the document itself, or the members of the list that it is."""
    text = _Text(stream, name, problems)
    if text.peek() != "[":
        yield Value(Place(file=name), text.value(Place(file=name)), alone=True)
    else:
        text.skip()
        yield from _members(text, name)
    if text.peek():
        text.stop("has more than one document: one a line is --format jsonl")


def _members(text: "_Text", name: str) -> Iterator[Value]:
    index = 0
    while text.peek() != "]":
        if index:
            if text.peek() != ",":
                text.stop("is not JSON: a list needs commas between its members and ] at its end")
            text.skip()
            if text.peek() == "]":
                text.stop("is not JSON: there is a comma too many before ]")
        place = Place(file=name, path=f"[{index}]")
        yield Value(place, text.value(place), alone=False)
        index += 1
    text.skip()


def read_jsonl(text: DecodedText, name: str, problems: Problems) -> Iterator[Value]:
    """Yield the value of each line that is not blank."""
    while line := text.readline(MOST_CHARACTERS):
        place = Place(file=name, line=text.line)
        line = line.removeprefix(BYTE_ORDER_MARK)  # of a file that was appended to another
        try:
            if line.strip():
                yield Value(place, exact_json.loads(line), alone=False)
        except ValueError as error:
            problems.add(place, f"is not JSON: {_reason(error)}")


def looks_like_lines(start: bytes) -> bool:
    """Tell whether the start of a file is one JSON value a line rather than one document."""
    first, newline, rest = start.partition(b"\n")
    if not newline or not rest.lstrip().startswith((b"{", b"[")):
        return False
    try:
        exact_json.loads(first)
    except ValueError:
        return False
    return True


class _Text:
    """The rest of a text, read as far as the next value needs it."""

    def __init__(self, stream: DecodedText, name: str, problems: Problems) -> None:
        self._stream = stream
        self._name = name
        self._problems = problems
        self._decoder = exact_json.decoder()
        self._buffer = ""
        self._line = 1
        self._column = 0  # characters of the current line that are dropped already
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            rest = self._buffer.lstrip(" \t\r\n")
            self._drop(len(self._buffer) - len(rest))
            if rest or not self._more():
                return rest[:1]

    def skip(self) -> None:
        """Pass over the character that was peeked at."""
        self._drop(1)

    def value(self, place: Place) -> object:
        """Return the next value; a list's place is only for the message."""
        if not self.peek():
            self._problems.stop(place, "is empty" if place.path is None else "is not JSON: it ends too early")
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer)
                # A number at the very end may go on in what is not read yet.
                if end == len(self._buffer) and self._more():
                    continue
                exact_json.check_depth(value)
            except json.JSONDecodeError as error:
                if len(self._buffer) < MOST_CHARACTERS and self._more():
                    continue
                line = self._line + error.lineno - 1
                column = error.colno + (self._column if error.lineno == 1 else 0)
                self._problems.stop(
                    Place(file=self._name, line=line, path=place.path),
                    f"is not JSON: {_reason(error)} at column {column}",
                )
            except (ValueError, RecursionError) as error:
                reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
                self._problems.stop(place, f"is not JSON: {reason}")
            else:
                self._drop(end)
                return value

    def stop(self, sentence: str) -> None:
        """Raise InputError at the current line."""
        self._problems.stop(Place(file=self._name, line=self._line), sentence)

    def _drop(self, count: int) -> None:
        last_break = self._buffer.rfind("\n", 0, count)
        self._column = count - last_break - 1 if last_break >= 0 else self._column + count
        self._line += self._buffer.count("\n", 0, count)
        self._buffer = self._buffer[count:]

    def _more(self) -> bool:
        """Read on, doubling what is there so that a long value costs no more than twice its length."""
        if self._ended:
            return False
        piece = self._stream.read(max(_CHUNK, len(self._buffer)))
        self._ended = not piece
        self._buffer += piece
        return True


def _reason(error: ValueError) -> str:
    text = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return text[:1].lower() + text[1:]
