"""Converts the text of a setting. Each function returns the value, or raises ValueError saying what is allowed."""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from runa_cli.core.masking import mask_keys, shown

Environment = Literal["live", "playground", "local"]
ENVIRONMENTS: tuple[Environment, ...] = ("live", "playground", "local")
BASE_URLS = {"live": "https://api.runa.io/v2", "playground": "https://playground.runa.io/v2"}
API_VERSION = "2024-02-05"
FORMATS = ("table", "json", "jsonl", "gifts", "csv", "links")  # written by runa_cli/output/formats.py
JSON_FORMATS = frozenset({"json", "jsonl", "gifts"})  # errors go out as JSON too
LOG_FORMATS = ("text", "json")  # of the lines of -v
MODES = ("auto", "sync", "async")
ORDERS_PER_MINUTE = 300  # developer.runa.io: best-practices/rate-limits
LOOK_BACK_DAYS = 45  # how far back the orders at Runa are looked through for those of a batch

_URL = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?:/[A-Za-z0-9._~/-]*)?")

T = TypeVar("T")


def is_loopback(host: str | None) -> bool:
    """Return whether a host name or address is this machine."""
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_runa(host: str | None) -> bool:
    """Return whether a host name is one of Runa's own."""
    name = (host or "").lower()
    return name == "runa.io" or name.endswith(".runa.io")


def read_environment(text: str) -> Environment:
    """Convert the name of an environment."""
    for name in ENVIRONMENTS:
        if text == name:
            return name
    raise ValueError(f"must be one of {', '.join(ENVIRONMENTS)}, found {shown(text)}")


def read_base_url(text: str) -> str:
    """Check a base URL, and remove slashes at its end.

    Only a few characters are allowed: with others, two parsers can see two different hosts in the same URL.
    """
    url = text.strip()
    if "@" in url:
        raise ValueError("must not contain a user name or password")
    match = _URL.fullmatch(url)
    if match is None or not 0 < int(match["port"] or 443) < 65_536:
        raise ValueError(f"must be a URL such as {BASE_URLS['playground']}")
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(
            f"must use https: plain http to {mask_keys(parts.hostname or '')} would show the key to everyone on the"
            " network"
        )
    return url.rstrip("/")


def read_path(text: str) -> Path:
    """Convert a path, with `~` expanded."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"names the home directory of a user who has none: {mask_keys(text)!r}") from error


def optional(convert: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return the same function, typed for a setting whose default is None."""
    return convert


def one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    """Return a function that accepts only these words."""

    def convert(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be one of {', '.join(names)}, found {shown(text)}")
        return text

    return convert


def matching(pattern: str, description: str) -> Callable[[str], str]:
    """Return a function that accepts text matching a pattern. The description says in the message what is expected."""

    def convert(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {description}, found {shown(text)}")
        return text

    return convert


def read_seconds(text: str) -> float:
    """Convert a number of seconds, more than 0 and at most a day."""
    try:
        seconds = float(Decimal(text))
    except InvalidOperation as error:
        raise ValueError(f"must be a number of seconds, found {shown(text)}") from error
    if not 0 < seconds <= 86_400:
        raise ValueError(f"must be more than 0 and at most 86400 seconds, found {shown(text)}")
    return seconds


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a function that accepts whole numbers within these bounds, both included."""

    def convert(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}, found {shown(text)}")
        return int(text)

    return convert


Auto = Literal["auto"]
AUTO: Auto = "auto"


def auto_or(convert: Callable[[str], int]) -> Callable[[str], int | Auto]:
    """Return a function that accepts the word `auto` or what `convert` accepts."""
    return lambda text: AUTO if text == AUTO else convert(text)


def read_product_codes(text: str) -> tuple[str, ...]:
    """Split product codes at spaces, commas and vertical bars."""
    return tuple(code for code in re.split(r"[\s,|]+", text) if code)
