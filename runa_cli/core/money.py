"""Amounts of money: reading what people write, and showing amounts to people."""

import re
from collections.abc import Mapping
from decimal import Decimal

from runa_cli.core.exact_json import Number


def parse_amount(text: str) -> Decimal:
    """Read an amount in plain digits. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,10})?", text):
        raise ValueError(f"must be an amount such as 10 or 12.50, found {text[:40]!r}")
    return Decimal(text)


def plain_number(text: str) -> object:
    """Return the amount in plain digits as a number; anything else stays text and is a mistake by itself.

    So does one with three decimals: where people write a comma for the point, 1.500 is fifteen hundred.
    """
    found = re.fullmatch(r"(-?)0*([0-9]+(?:\.[0-9]{1,2}|\.[0-9]{4,})?)", text, re.ASCII)
    return Number("".join(found.groups())) if found else text


def decimal_point(cell: str) -> str:
    """Return a cell's amount with a decimal point where it has the comma that much of Europe writes.

    Only where it cannot be read in two ways: a comma before three digits may stand for a thousand.
    """
    return re.sub(r"^([0-9]+),([0-9]{1,2})$", r"\1.\2", cell, flags=re.ASCII)


def format_money(sums: Mapping[str, Decimal]) -> str:
    """Return amounts as a person writes them."""
    return " + ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(sums.items())) or "nothing"


def format_gifts(count: int) -> str:
    """Return a number of gifts as a person writes it."""
    return f"{count:,} {'gift' if count == 1 else 'gifts'}"
