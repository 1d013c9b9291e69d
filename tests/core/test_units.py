"""Amounts as integers: nothing is lost, and shares add up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runa_cli.core.units import from_units, shares, smallest_share, to_units, units_text


def test_what_a_number_is_does_not_depend_on_what_was_asked_before() -> None:
    """These are equal, and one of them has an exponent that no amount has."""
    assert [None, 0, None] == [to_units(Decimal(text)) for text in ("0E+50", "0", "0E-25")]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("25.5", "USD", "25.50"),
        ("5500", "JPY", "5500"),
        ("5500.00", "JPY", "5500"),
        ("1.234", "KWD", "1.234"),
        ("1", "KWD", "1.000"),
        ("99.5", "JPY", "99.5"),
        ("0", "USD", "0.00"),
        ("90000000000000.01", "USD", "90000000000000.01"),
        ("-0.05", "USD", "-0.05"),
        ("-1.0001", "USD", "-1.0001"),
        ("-5500", "JPY", "-5500"),
    ],
)
def test_an_amount_comes_back_with_the_decimals_of_its_currency(amount: str, currency: str, text: str) -> None:
    units = to_units(Decimal(amount))
    assert units is not None
    assert text == units_text(units, currency)


@given(st.decimals(min_value=0, max_value=10**12, places=4))
def test_an_amount_of_four_decimals_is_exact(amount: Decimal) -> None:
    units = to_units(amount)
    assert units is not None
    assert amount == from_units(units)


@pytest.mark.parametrize("amount", [None, Decimal("NaN"), Decimal("1e15"), Decimal("1e999")])
def test_what_a_database_could_not_add_is_not_known(amount: Decimal | None) -> None:
    assert to_units(amount) is None


@pytest.mark.parametrize(
    ("total", "weights", "currency", "expected"),
    [
        ("10.00", ["10", "20"], "USD", ["3.33", "6.67"]),
        ("10.00", ["1", "1", "1"], "USD", ["3.34", "3.33", "3.33"]),
        ("100", ["1", "1", "1"], "JPY", ["34", "33", "33"]),
        ("1.000", ["1", "1", "1"], "KWD", ["0.334", "0.333", "0.333"]),
        ("30.60", ["10", "20"], "USD", ["10.20", "20.40"]),
        ("5.00", ["0", "0"], "USD", ["2.50", "2.50"]),
        ("5.00", [], "USD", []),
    ],
)
def test_a_price_is_divided_to_the_smallest_coin(
    total: str, weights: list[str], currency: str, expected: list[str]
) -> None:
    parts = shares(*_units(total, weights), smallest_share(currency))
    assert expected == [units_text(part, currency) for part in parts]


def _units(total: str, weights: list[str]) -> tuple[int, list[int]]:
    return to_units(Decimal(total)) or 0, [to_units(Decimal(weight)) or 0 for weight in weights]


@given(
    st.integers(0, 10**15),
    st.lists(st.integers(0, 10**12), min_size=1, max_size=50),
    st.sampled_from([1, 10, 100, 10_000]),
)
def test_shares_add_up(total: int, weights: list[int], smallest: int) -> None:
    parts = shares(total, weights, smallest)
    assert (total, len(weights)) == (sum(parts), len(parts))
    assert min(parts) >= 0
