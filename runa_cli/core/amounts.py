"""Amounts as people write them in sheets: with a decimal comma, a currency sign or a currency code."""

import re
from decimal import Decimal
from functools import cached_property, lru_cache

from msgspec import Struct
from msgspec.structs import replace

_DOLLARS = {"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "CLP", "COP", "ARS", "JMD", "TTD"}
_KRONER = {"SEK", "NOK", "DKK", "ISK"}
_SIGNS = {
    "$": _DOLLARS, "US$": {"USD"}, "$US": {"USD"}, "C$": {"CAD"}, "CA$": {"CAD"}, "A$": {"AUD"}, "AU$": {"AUD"},
    "NZ$": {"NZD"}, "S$": {"SGD"}, "HK$": {"HKD"}, "NT$": {"TWD"}, "MX$": {"MXN"}, "R$": {"BRL"}, "€": {"EUR"},
    "£": {"GBP"}, "¥": {"JPY", "CNY"}, "₹": {"INR"}, "₩": {"KRW"}, "₺": {"TRY"}, "₪": {"ILS"}, "₱": {"PHP"},
    "₫": {"VND"}, "฿": {"THB"}, "₴": {"UAH"}, "₦": {"NGN"}, "₡": {"CRC"}, "zł": {"PLN"}, "Kč": {"CZK"},
    "kr": _KRONER, "kr.": _KRONER, "Fr.": {"CHF"}, "SFr.": {"CHF"}, "Ft": {"HUF"}, "lei": {"RON"}, "R": {"ZAR"},
    "RM": {"MYR"}, "Rp": {"IDR"}, "S/": {"PEN"}, "лв": {"BGN"}, "лв.": {"BGN"},
}  # fmt: skip
_KNOWN = frozenset({"AED", "EGP", "KES", "KWD", "LKR", "MAD", "PKR", "QAR", "SAR", "UGX"}).union(*_SIGNS.values())
_PARTS = re.compile(r"([^0-9]*?)\s*([0-9]+(?:[.,][0-9]+)?)\s*([^0-9]*)", re.ASCII)
_CODE = re.compile(r"[A-Za-z]{3}", re.ASCII)


class WrittenAmount(Struct, frozen=True, dict=True):
    """An amount in plain digits with a decimal point, and the currency signs and codes that stand beside it."""

    number: str
    marks: tuple[str, ...]

    @cached_property
    def value(self) -> Decimal:
        """The amount itself."""
        return Decimal(self.number)

    def beside(self, marks: tuple[str, ...]) -> "WrittenAmount":
        """Return the same amount with signs and codes that stand elsewhere, for example above it."""
        return replace(self, marks=(*self.marks, *marks)) if marks else self

    def disagreement(self, currency: str) -> str | None:
        """Return the sign or code that stands for another currency than this one; None where all agree."""
        return next((mark for mark in self.marks if currency not in _currencies(mark)), None)


@lru_cache(maxsize=4096)  # a list has few values
def read_amount(text: str, *, decimal_comma: bool) -> WrittenAmount | None:
    """Read an amount as a cell has it; None for what is none, or what could be read in two ways.

    A comma is a decimal point where the sheet has decimal commas and at most two digits follow. Before three digits a
    point or a comma may separate thousands: such an amount is not read.
    """
    found = _PARTS.fullmatch(text.strip())
    if found is None:
        return None
    before, number, after = found.groups()
    marks = tuple(mark for mark in (before.strip(), after.strip()) if mark)
    if not all(map(_currencies, marks)):
        return None
    whole, mark, decimals = re.fullmatch(r"([0-9]+)(?:([.,])([0-9]+))?", number, re.ASCII).groups()  # type: ignore[union-attr]  # it is part of the match above
    if mark == "," and not decimal_comma:
        return None
    if mark and len(decimals) == 3:
        return None
    return WrittenAmount(f"{whole}.{decimals}" if mark else whole, marks)


def is_currency(text: str) -> bool:
    """Tell whether a cell is the code of a well-known currency."""
    return text.strip().upper() in _KNOWN


def marks_in(heading: str) -> tuple[str, ...]:
    """Return the currency signs and codes in the heading of a column of amounts, as in `Amount (EUR)`."""
    words = re.findall(r"[^\W\d_]+|[^\w\s()\[\]/.,:;-]+", heading)
    return tuple(word for word in words if word in _SIGNS or (word.isupper() and word in _KNOWN))


def looks_like_amount(text: str) -> bool:
    """Tell whether a cell may be an amount of money, in any spelling."""
    found = re.fullmatch(r"([^0-9]*?)\s*([0-9][0-9.,' \u00a0\u202f]*)\s*([^0-9]*)", text.strip(), re.ASCII)
    if found is None:
        return False
    marks = [mark for mark in (found[1].strip(), found[3].strip()) if mark]
    if not all(map(_currencies, marks)):
        return False
    return bool(marks) or not found[2].startswith("0") or found[2][1:2] in {".", ","}


def _currencies(mark: str) -> set[str]:
    """Return the currencies that a sign or a code stands for; none for what is neither."""
    return _SIGNS.get(mark) or ({mark.upper()} if _CODE.fullmatch(mark) else set())
