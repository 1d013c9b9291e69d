"""JSON that keeps numbers exactly as they were written.

An amount that is converted to a binary float can change its value, and the standard encoder cannot write a Decimal as a
number. Here a number is a `Decimal` that keeps its own text.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, NoReturn, Self

import msgspec

MAX_DEPTH = 64  # nothing that Runa sends or accepts is nested deeper than a dozen levels; more could exhaust the stack

# Characters that a terminal acts on or that nobody can see: DEL, C1 controls, zero-width characters, and marks that
# change the direction of text. `dumps` escapes them.
UNSAFE = {
    code: f"\\u{code:04x}"
    for first, last in (
        (0x7F, 0x9F),
        (0x200B, 0x200B),
        (0x200E, 0x200F),
        (0x2028, 0x202E),
        (0x2066, 0x2069),
        (0xFEFF, 0xFEFF),
    )
    for code in range(first, last + 1)
}
# More characters of these kinds, escaped only by `dumps_for_display`. `dumps` also makes the body of an order and its
# idempotency key: if it escaped more, the same order would get another body and another key.
UNSAFE_TO_SHOW = {
    code: json.dumps(chr(code))[1:-1]
    for first, last in (
        (0x061C, 0x061C),
        (0x180E, 0x180E),
        (0x2060, 0x2064),
        (0x206A, 0x206F),
        (0xFFF9, 0xFFFB),
        (0xE0000, 0xE007F),
    )
    for code in range(first, last + 1)
}
_ANY_UNSAFE = re.compile(f"[{''.join(map(re.escape, map(chr, UNSAFE)))}]")


class Number(Decimal):
    """A JSON number: its value, and the text it was written with."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read a number from its JSON text. Raises ValueError when a Decimal cannot hold it."""
        try:
            number = super().__new__(cls, text)
        except InvalidOperation as error:  # JSON allows an exponent of twenty digits, Decimal does not
            raise ValueError(f"the number {text[:40]} is too large") from error
        number.text = text
        return number


_number = lru_cache(maxsize=1024)(Number)  # a list has few amounts, and numbers do not change


def loads(text: str | bytes) -> object:
    """Parse one JSON document. Raises ValueError for anything else, including NaN and a name repeated in an object."""
    try:
        document = _decoded(text)
        value = _DECODER.decode(document)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    if document.count("[") + document.count("{") > MAX_DEPTH:  # with fewer it cannot be nested too deeply
        check_depth(value)
    return value


def _decoded(text: str | bytes) -> str:
    """Return the text of a document, as `json.loads` does."""
    if isinstance(text, bytes):
        return text.decode(json.detect_encoding(text), "surrogatepass")
    if text.startswith("\ufeff"):
        raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
    return text


def decoder() -> json.JSONDecoder:
    """Return a decoder with the rules of `loads`, to read a document value by value."""
    return json.JSONDecoder(
        parse_float=_number, parse_int=_number, parse_constant=_refuse_constant, object_pairs_hook=_unique_names
    )


def dumps(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON: numbers as they were written, other text unescaped, unsafe characters escaped."""
    text = _compact(value) if indent is None else _text(value, indent, 0)
    if text.isascii() and "\x7f" not in text:  # DEL is the only ASCII character among the unsafe ones
        return text
    return text.translate(UNSAFE) if _ANY_UNSAFE.search(text) else text


def dumps_read(value: object) -> str:
    """Return what `dumps` returns, in a seventh of the time, of a value that `loads` has returned."""
    try:
        text = _READ.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate
        return dumps(value)
    return text if text.isascii() and "\x7f" not in text else text.translate(UNSAFE)


def dumps_for_display(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON to show to a person: every character that is unsafe to show is escaped."""
    text = dumps(value, indent=indent)
    return text if text.isascii() else text.translate(UNSAFE_TO_SHOW)


def _raw_number(number: object) -> msgspec.Raw:
    if not isinstance(number, Number):
        raise TypeError(f"{type(number).__name__} does not come from JSON")
    return msgspec.Raw(number.text.encode())


_READ = msgspec.json.Encoder(enc_hook=_raw_number, decimal_format="number")


def _compact(value: Any) -> str:
    """Return what `_text` returns without indentation: every order passes here, so the common is first."""
    kind = type(value)
    if kind is str:
        return _string(value)
    if kind is dict:
        return "{" + ",".join([f"{_name(str(name))}:{_compact(item)}" for name, item in value.items()]) + "}"
    if kind is Number:
        return str(value.text)
    if kind is list or kind is tuple:
        return "[" + ",".join(map(_compact, value)) + "]"
    return _text(value, None, 0)


def _text(value: object, indent: int | None, level: int) -> str:
    match value:
        case str():
            return _string(value)
        case Number():
            return value.text
        case dict():
            colon = ":" if indent is None else ": "
            members = [f"{_string(str(name))}{colon}{_text(item, indent, level + 1)}" for name, item in value.items()]
            return _container("{", members, "}", indent, level)
        case list() | tuple():
            return _container("[", [_text(item, indent, level + 1) for item in value], "]", indent, level)
        case Decimal():
            return format(value, "f")
        case None | bool() | int():
            return json.dumps(value)
        case _:
            raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _container(opening: str, members: list[str], closing: str, indent: int | None, level: int) -> str:
    if not members or indent is None:
        return f"{opening}{','.join(members)}{closing}"
    newline = "\n" + " " * indent * level
    inner = newline + " " * indent
    return f"{opening}{inner}{f',{inner}'.join(members)}{newline}{closing}"


def _string(text: str) -> str:
    if text.isascii():
        return encode_basestring_ascii(text)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate is valid JSON only as an escape
        return encode_basestring_ascii(text)
    return encode_basestring(text)


@lru_cache(maxsize=1024)  # the members of items and replies have few names
def _name(name: str) -> str:
    return _string(name)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{repeated[:40]}" is given twice in one object')
    return members


_DECODER = decoder()  # one for all documents: to make one takes as long as to read a short document


_CONTAINERS = (dict, list)


def check_depth(value: object, levels: int = MAX_DEPTH) -> None:
    """Check that a value is nested at most that many levels deep. Raises ValueError."""
    if not isinstance(value, dict | list):
        return
    if levels == 0:
        raise ValueError("the JSON is nested too deeply")
    for member in value.values() if isinstance(value, dict) else value:
        if isinstance(member, _CONTAINERS):
            check_depth(member, levels - 1)
