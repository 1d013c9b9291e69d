"""JSON that keeps numbers as they were written.

An amount that passes through a binary float becomes another amount, and the standard encoder writes a Decimal only as a
string. Here a number is a `Decimal` that remembers its own text.
"""

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
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
        check_depth(value)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    return value


def decoder() -> json.JSONDecoder:
    """Return a decoder with the same rules, for reading a document value by value."""
    return json.JSONDecoder(
        parse_float=Number, parse_int=Number, parse_constant=_refuse, object_pairs_hook=_unique_names
    )


def dumps(value: object, *, indent: int | None = None) -> str:
    """Write a value as JSON: numbers as they came, text readable, nothing a terminal would act on."""
    return "".join(_chunks(value, indent, 0)).translate(UNSAFE)


def _chunks(value: object, indent: int | None, level: int) -> Iterator[str]:
    match value:
        case dict() if value:
            pairs = ((f"{_string(str(name))}:{' ' if indent else ''}", item) for name, item in value.items())
            yield from _container("{}", pairs, indent, level)
        case list() | tuple() if value:
            yield from _container("[]", (("", item) for item in value), indent, level)
        case dict():
            yield "{}"
        case list() | tuple():
            yield "[]"
        case _:
            yield _scalar(value)


def _container(brackets: str, members: Iterator[tuple[str, object]], indent: int | None, level: int) -> Iterator[str]:
    newline = "" if indent is None else "\n" + " " * indent * (level + 1)
    separator = brackets[0]
    for prefix, member in members:
        yield separator + newline + prefix
        yield from _chunks(member, indent, level + 1)
        separator = ","
    yield ("" if indent is None else "\n" + " " * indent * level) + brackets[1]


def _scalar(value: object) -> str:
    match value:
        case Number():
            return value.text
        case Decimal():
            return format(value, "f")
        case str():
            return _string(value)
        case None | bool() | int():
            return json.dumps(value)
        case _:
            raise TypeError(f"{type(value).__name__} is not written as JSON here")


def _string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate is legal JSON only when escaped
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False)


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
