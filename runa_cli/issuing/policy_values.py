"""Reads the values of a policy file. Each function returns the value, or raises ValueError saying what is allowed."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from runa_cli.core import amounts
from runa_cli.core.identity import normalized_address
from runa_cli.core.masking import shown
from runa_cli.core.money import has_decimals_of, to_minor
from runa_cli.core.safe_text import printable

VERSION = 1
_AMOUNT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,4})?) ([A-Z]{3})", re.ASCII)
_DURATION = re.compile(r"([1-9][0-9]{0,4})(m|h|d)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_MOST_SIGNATURES = 100  # more is certainly a slip
# What these names mean depends on the machine.
_NO_ZONES = re.compile(r"(localtime|posixrules|factory)|(posix|right)/.*", re.IGNORECASE)


def described(found: object) -> str:
    """Return a wrong value as a message quotes it, with its kind where that is what is wrong."""
    if isinstance(found, str):
        return shown(found)
    if isinstance(found, bool):
        return str(found).lower()
    return f"the number {found}" if isinstance(found, (int, float)) else f"a {_KINDS.get(type(found), 'value')}"


_KINDS: dict[type, str] = {list: "list", dict: "table"}


def read_version(found: object) -> int:
    """Check the version of the file's format."""
    if type(found) is not int or found != VERSION:  # True and 1.0 are equal to 1
        raise ValueError(f"must be {VERSION}, the only version that this program knows, found {described(found)}")
    return found


def read_zone(found: object) -> ZoneInfo:
    """Convert the name of a time zone."""
    name = _text(found, 'the name of a time zone such as "Europe/London"')
    try:
        if _NO_ZONES.fullmatch(name):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError, a directory an OSError
        raise ValueError(f'must be the name of a time zone such as "Europe/London", found {shown(name)}') from error


def read_amount(found: object) -> tuple[int, str]:
    """Convert an amount with its currency to minor units."""
    wanted = 'text of an amount and its currency such as "5000 USD"'
    parts = _AMOUNT.fullmatch(_text(found, wanted))
    if parts is None:
        raise ValueError(f"must be {wanted}, found {described(found)}")
    value, currency = Decimal(parts[1]), _currency(parts[2])
    if not has_decimals_of(value, currency):
        raise ValueError(f"has more decimals than {currency} has: {shown(parts[0])}")
    return to_minor(value, currency), currency


def read_currencies(found: object) -> tuple[str, ...]:
    """Convert a list of currencies."""
    return _list(found, "currencies", _currency)


def read_domains(found: object) -> tuple[str, ...]:
    """Convert a list of domains, as they are compared."""
    return _list(found, "domains", _domain)


def read_patterns(found: object) -> tuple[str, ...]:
    """Convert a list of patterns of product codes."""
    return _list(found, "patterns of product codes", _pattern)


def read_duration(found: object) -> timedelta:
    """Convert a time such as `72h`."""
    wanted = 'a time such as "72h" (m, h or d)'
    parts = _DURATION.fullmatch(_text(found, wanted))
    if parts is None:
        raise ValueError(f"must be {wanted}, found {described(found)}")
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def read_count(found: object) -> int:
    """Check how many signatures are needed."""
    if type(found) is not int or not 1 <= found <= _MOST_SIGNATURES:
        raise ValueError(f"must be a whole number from 1 to {_MOST_SIGNATURES}, found {described(found)}")
    return found


def read_yes_or_no(found: object) -> bool:
    """Check a yes or no."""
    if found is not True and found is not False:
        raise ValueError(f"must be true or false, found {described(found)}")
    return found


def read_tables(found: object) -> tuple[object, ...]:
    """Convert the tables of one name."""
    if not isinstance(found, list) or not found:
        raise ValueError(f"must be tables that begin with [[limit]], found {described(found)}")
    return tuple(found)


def read_signers(found: object) -> Path:
    """Convert a path; a relative one would be another file in another directory."""
    path = Path(_text(found, "the path of a file"))
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path, found '{printable(str(path))}'")
    return path


def _text(found: object, wanted: str) -> str:
    if not isinstance(found, str):
        raise ValueError(f"must be {wanted}, found {described(found)}")  # noqa: TRY004 - pydantic collects these only
    return found


def _list(found: Any, what: str, convert: Callable[[str], str]) -> tuple[str, ...]:
    if not isinstance(found, list) or not found:
        raise ValueError(f"must be a list of {what} that is not empty, found {described(found)}")
    return tuple(convert(_text(each, f"a list of {what} as text")) for each in found)


def _currency(text: str) -> str:
    if not (re.fullmatch("[A-Z]{3}", text, re.ASCII) and (amounts.is_currency(text) or _is_in_iso_4217(text))):
        raise ValueError(f"must name a currency by its code such as USD, found {shown(text)}")
    return text


def _is_in_iso_4217(code: str) -> bool:
    import pycountry  # only for a currency that is not among the well-known ones

    return pycountry.currencies.get(alpha_3=code) is not None


def _domain(text: str) -> str:
    if not re.fullmatch(r"[^\s@*]+\.[^\s@*]+", text):
        raise ValueError(f'must be domains such as "example.com", found {shown(text)}')
    return normalized_address(f"@{text}").removeprefix("@")


def _pattern(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7b\x7d\x7e]+", text):  # all but blanks and the separator of codes
        raise ValueError(f'must be patterns of product codes such as "VISA*", found {shown(text)}')
    return text
