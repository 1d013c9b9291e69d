"""Amounts as integers, so that a database adds them exactly: SQLite adds decimals as floats.

A unit is a ten-thousandth of whatever currency it is. No currency has more than four decimals (ISO 4217), and 64 bits
hold 900 billion of each.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache, lru_cache

from runa_cli.core.money import decimals_of, plain_decimal

_DECIMALS = 4
_MOST = 10**18  # of one amount, so that a sum of several still has room in 64 bits


def to_units(amount: Decimal | None) -> int | None:
    """Return an amount in units; None for one that is not known, or too large to be an amount of money."""
    if amount is None or not amount.is_finite() or abs(amount.adjusted()) > len(str(_MOST)):
        return None
    return _units(amount)


@lru_cache(maxsize=4096)  # gifts have few values
def _units(amount: Decimal) -> int | None:
    units = int(amount.scaleb(_DECIMALS).to_integral_value(ROUND_HALF_EVEN))
    return units if abs(units) < _MOST else None


def from_units(units: int) -> Decimal:
    """Return units as an amount."""
    return Decimal(units).scaleb(-_DECIMALS)


@lru_cache(maxsize=4096)  # reports have many amounts, and most of them many times
def units_text(units: int, currency: str) -> str:
    """Return units as an amount in plain digits, with the decimals of its currency."""
    smallest, decimals = smallest_share(currency), decimals_of(currency)
    if units % smallest:  # no amount of that currency
        return plain_decimal(from_units(units).normalize(), currency)
    sign, coins = "-" if units < 0 else "", abs(units) // smallest
    if not decimals:
        return f"{sign}{coins}"
    whole, part = divmod(coins, 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}}"


@cache  # a few currencies, asked for with each amount of a report
def smallest_share(currency: str) -> int:
    """Return the smallest coin of a currency, in units."""
    return int(10 ** max(0, _DECIMALS - decimals_of(currency)))


def shares(total: int, weights: Sequence[int], smallest: int) -> list[int]:
    """Divide a total in proportion to weights, so that the shares add up to it. None of the numbers is negative.

    Shares are multiples of `smallest` where the total is one. What is left goes to the largest remainders, and of equal
    ones to the first. Weights that are all zero count as equal.
    """
    if not weights:
        return []
    step = 1 if total % smallest else smallest
    if not (whole := sum(weights)):
        weights, whole = [1] * len(weights), len(weights)
    steps = total // step
    counts, remainders = zip(*(divmod(steps * weight, whole) for weight in weights), strict=True)
    result = list(counts)
    by_remainder = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in by_remainder[: steps - sum(counts)]:
        result[index] += 1
    return [count * step for count in result]
