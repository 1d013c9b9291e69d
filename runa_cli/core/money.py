"""Amounts of money: reads what people write, and formats amounts for people."""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import lru_cache

from runa_cli.core.exact_json import Number
from runa_cli.core.masking import shown

_DECIMALS = {  # ISO 4217; two for all others
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_MOST_DIGITS = 30  # text with a larger exponent is no amount, and would be written with as many zeros


_PLAIN_NUMBER = re.compile(r"(-?)0*([0-9]+(?:\.[0-9]{1,2}|\.[0-9]{4,})?)", re.ASCII)


def parse_amount(text: str) -> Decimal:
    """Read an amount in plain digits with a decimal point. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,10})?", text):
        raise ValueError(f"must be an amount such as 10 or 12.50, found {shown(text)}")
    return Decimal(text)


@lru_cache(maxsize=4096)  # a list has few values, and numbers do not change
def plain_number(text: str) -> object:
    """Return an amount in plain digits as a number, and any other text as it is, which validation then refuses.

    An amount with three decimals stays text too: where a point separates thousands, 1.500 means fifteen hundred.
    """
    found = _PLAIN_NUMBER.fullmatch(text)
    return Number("".join(found.groups())) if found else text


@lru_cache(maxsize=4096)  # a list has few values
def has_decimals_of(amount: Decimal, currency: str) -> bool:
    """Tell whether an amount has no more decimals than its currency; zeros at the end do not count."""
    return amount == amount.quantize(Decimal(1).scaleb(-decimals_of(currency)))


@lru_cache(maxsize=4096)
def to_minor(amount: Decimal, currency: str) -> int:
    """Return an amount in the minor units of its currency (cents), rounded up where it has more decimals."""
    return int(amount.scaleb(decimals_of(currency)).to_integral_value(ROUND_CEILING))


def from_minor(minor: int, currency: str) -> Decimal:
    """Return an amount that is in the minor units of its currency."""
    return Decimal(minor).scaleb(-decimals_of(currency))


def plain_minor(minor: int, currency: str) -> str:
    """Return an amount in minor units as machine formats have it: plain digits with the currency's decimals."""
    return f"{from_minor(minor, currency):f}"


def plain_amount(text: str, currency: str) -> str | None:
    """Return an amount in plain digits with the decimals of its currency; None for empty text.

    Digits after those are kept, and text that is no amount is returned as it is.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return text or None
    return plain_decimal(amount, currency) if _has_few_digits(amount) else text


def plain_decimal(amount: Decimal, currency: str) -> str:
    """Return an amount as `plain_amount` does; one with too many digits is written as it is."""
    if _has_few_digits(amount):
        rounded = f"{amount:.{decimals_of(currency)}f}"
        if Decimal(rounded) == amount:
            return rounded
    return f"{amount:f}"


def _has_few_digits(amount: Decimal) -> bool:
    return amount.is_finite() and abs(amount.adjusted()) <= _MOST_DIGITS


def decimals_of(currency: str) -> int:
    """Return how many decimals the amounts of a currency have."""
    return _DECIMALS.get(currency, 2)


def format_amount(amount: Decimal, currency: str) -> str:
    """Return an amount for people, with the decimals of its currency, for example `7,500.00` or `5,500`."""
    return f"{Decimal(plain_decimal(amount, currency)):,f}"


def amount_text(amount: Decimal, currency: str) -> str:
    """Return an amount for people with its currency, for example `7,500.00 USD`."""
    return f"{format_amount(amount, currency)} {currency}"


def format_money(sums: Mapping[str, Decimal]) -> str:
    """Return amounts by currency as text for people, for example `7,500.00 USD`."""
    return " + ".join(amount_text(amount, currency) for currency, amount in sorted(sums.items())) or "nothing"


def format_gifts(count: int) -> str:
    """Return a number of gifts as text for people."""
    return counted(count, "gift")


def counted(count: int, thing: str, things: str | None = None) -> str:
    """Return a number of things as text for people; `things` is the plural where it is not made with an s."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"
