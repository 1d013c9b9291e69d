"""Reads JSON value by value, and collects every mistake with its place."""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from runa_cli.emulator.answers import RefusedError, error

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """The rules for a string. Lengths are in characters."""

    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()


def parse(body: bytes) -> Any:
    """Read a body as JSON with exact decimals. Raises RefusedError (400 bad_request) if it is not JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError) as unreadable:
        raise RefusedError(error("bad_request", reason="it is not JSON")) from unreadable


class Reader:
    """Reads values of an expected kind. Where it finds another kind, it adds a mistake and returns an empty value."""

    def __init__(self) -> None:
        self.mistakes: list[dict[str, Any]] = []

    def wrong(self, place: Place, kind: str, message: str) -> None:
        """Add a mistake."""
        self.mistakes.append({"type": kind, "message": message, "location": ["body", *place]})

    def present(self, holder: dict[str, Any], name: str, place: Place) -> bool:
        """Return whether a required field is present."""
        if name not in holder:
            self.wrong((*place, name), "missing", "This field is required.")
        return name in holder

    def mapping(self, holder: dict[str, Any], name: str, place: Place) -> dict[str, Any] | None:
        """Return a required field that must be an object, None if it is not one."""
        if not self.present(holder, name, place):
            return None
        return self.as_mapping(holder[name], (*place, name))

    def as_mapping(self, value: object, place: Place) -> dict[str, Any] | None:
        """Return a value that must be an object, None if it is not one."""
        if isinstance(value, dict):
            return value
        self.wrong(place, "model_attributes_type", "This has to be an object.")
        return None

    def sequence(self, holder: dict[str, Any], name: str, place: Place, least: int, most: int | None) -> list[Any]:
        """Return a required field that must be an array, an empty array if it is not one."""
        if not self.present(holder, name, place):
            return []
        value, place = holder[name], (*place, name)
        if not isinstance(value, list):
            self.wrong(place, "list_type", "This has to be an array.")
            return []
        if len(value) < least:
            self.wrong(place, "too_short", f"At least {least} needed, {len(value)} found.")
        if most is not None and len(value) > most:
            self.wrong(place, "too_long", f"At most {most} allowed, {len(value)} found.")
        return value

    def text(self, holder: dict[str, Any], name: str, place: Place, rule: Text) -> str:
        """Return a required field that must be a string, an empty string if it is not one."""
        return self.as_text(holder[name], (*place, name), rule) if self.present(holder, name, place) else ""

    def as_text(self, value: object, place: Place, rule: Text) -> str:
        """Return a value that must be a string, an empty string if it is not one."""
        if not isinstance(value, str):
            self.wrong(place, "string_type", "This has to be a string.")
            return ""
        if rule.choices and value not in rule.choices:
            self.wrong(place, "enum", f"This has to be one of {', '.join(rule.choices)}.")
        if len(value) < rule.shortest:
            self.wrong(place, "string_too_short", f"At least {rule.shortest} characters are needed.")
        if rule.longest is not None and len(value) > rule.longest:
            self.wrong(place, "string_too_long", f"At most {rule.longest} characters are allowed.")
        if rule.pattern and not re.fullmatch(rule.pattern, value):
            self.wrong(place, "string_pattern_mismatch", "This does not have the form that is needed here.")
        return value


def _no_constant(name: str) -> None:
    # Python accepts NaN and Infinity, which JSON does not have.
    raise ValueError(name)
