"""Amounts are shown with the decimals of their currency, and none is rounded."""

from decimal import Decimal

import pytest

from runa_cli.core.money import format_money


@pytest.mark.parametrize(
    ("sums", "text"),
    [
        ({"USD": "7500"}, "7,500.00 USD"),
        ({"KWD": "1.234", "JPY": "5500", "USD": "0.5"}, "5,500 JPY + 1.234 KWD + 0.50 USD"),
        ({"USD": "10.005"}, "10.005 USD"),
        ({}, "nothing"),
    ],
)
def test_sums_are_shown_exactly(sums: dict[str, str], text: str) -> None:
    assert text == format_money({currency: Decimal(amount) for currency, amount in sums.items()})
