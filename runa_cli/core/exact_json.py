"""JSON that keeps numbers as they were written.

An amount that passes through a binary float becomes another amount, and the standard encoder writes a Decimal only as a
string. Here a number is a `Decimal` that remembers its own text.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import NoReturn, Self

DEEPEST = 64  # nothing Runa sends or takes is nested deeper than a dozen levels; the rest is an attack on the stack

# What a terminal acts on or a reader cannot see: C1 controls, DEL, and the marks that turn or hide text.
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
# Further marks that turn or hide text. Only what is shown escapes them: the bytes of an order and its key come from
# `dumps`, and another escape there would be another order to Runa.
UNSEEN = {
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
        """Read the number from JSON text. Raises ValueError when no decimal can hold it."""
        try:
            number = super().__new__(cls, text)
        except InvalidOperation as error:  # an exponent of twenty digits is JSON, but no number
            raise ValueError(f"the number {text[:40]} is too large") from error
        number.text = text
        return number


def loads(text: str | bytes) -> object:
    """Parse one JSON document. Raises ValueError for anything that is not one, NaN and repeated names included."""
    try:
        value = json.loads(
            text, parse_float=Number, parse_int=Number, parse_constant=_refuse, object_pairs_hook=_unique_names
        )
        if _brackets(text) > DEEPEST:  # fewer cannot be nested deeper
            check_depth(value)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    return value


def _brackets(text: str | bytes) -> int:
    return text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")


def decoder() -> json.JSONDecoder:
    """Return a decoder with the same rules, for reading a document value by value."""
    return json.JSONDecoder(
        parse_float=Number, parse_int=Number, parse_constant=_refuse, object_pairs_hook=_unique_names
    )


def dumps(value: object, *, indent: int | None = None) -> str:
    """Write a value as JSON: numbers as they came, text readable, nothing a terminal would act on."""
    text = _text(value, indent, 0)
    return text.translate(UNSAFE) if _ANY_UNSAFE.search(text) else text


def dumps_for_display(value: object, *, indent: int | None = None) -> str:
    """Write a value as JSON for somebody to look at."""
    text = dumps(value, indent=indent)
    return text if text.isascii() else text.translate(UNSEEN)


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
            raise TypeError(f"{type(value).__name__} is not written as JSON here")


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
    except UnicodeEncodeError:  # a lone surrogate is legal JSON only when escaped
        return encode_basestring_ascii(text)
    return encode_basestring(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{twice[:40]}" is given twice in one object')
    return members


def check_depth(value: object, left: int = DEEPEST) -> None:
    """Raise ValueError for a value that is nested deeper than any program would write it."""
    if not isinstance(value, dict | list):
        return
    if left == 0:
        raise ValueError("the JSON is nested too deeply")
    for member in value.values() if isinstance(value, dict) else value:
        check_depth(member, left - 1)
