"""Exchange, fees and their rounding."""

from decimal import Decimal

import pytest

from runa_cli.emulator import money
from tests.emulator.calls import Caller, item, kind, order, parsed


def test_paying_pounds_for_dollars_divides_and_adds_the_fee(caller: Caller) -> None:
    """10 USD at 1.2 are 8.33 GBP, 1.9 % of them 0.16, together 8.49."""
    made = parsed(caller.post(order(item(10), currency="GBP")))
    fx = {"rate": "1.2", "rate_symbol": "GBPUSD", "fee": {"value": "0.16", "currency": "GBP"}}
    assert {"USD": {"value": "10.00", "fx": fx}} == made["transaction_detail"]
    assert (made["currency"], made["total_price"]) == ("GBP", "8.49")
    assert tuple(made["items"][0][name] for name in ("currency", "face_value", "price")) == ("USD", "10.00", "10.00")


def test_paying_dollars_for_pounds_multiplies(caller: Caller) -> None:
    """10 GBP at 1.2 are 12.00 USD, and 0.23 of fee."""
    made = parsed(caller.post(order(item(10, "ABO-GB"))))
    assert made["transaction_detail"]["GBP"]["fx"]["rate_symbol"] == "GBPUSD"
    assert (made["currency"], made["total_price"]) == ("USD", "12.23")


def test_the_fee_comes_out_of_the_balance_too(caller: Caller) -> None:
    caller.post(order(item(10), currency="GBP"))
    assert caller.get("/balance?currency=GBP")["balance"] == "999991.51"
    assert caller.get("/balance?currency=USD")["balance"] == "1000000.00"


def test_an_async_order_cannot_be_exchanged(caller: Caller) -> None:
    assert kind(caller.post(order(currency="GBP"), mode="async")) == (400, "currency_mismatch")


def test_a_currency_without_a_rate_cannot_be_exchanged(caller: Caller) -> None:
    assert kind(caller.post(order(currency="XAU"))) == (400, "currency_mismatch")


def test_some_currencies_are_payable_from_dollars_only() -> None:
    assert money.exchange(Decimal(10), payout="INR", billing="EUR") is None
    exchange = money.exchange(Decimal(830), payout="INR", billing="USD")
    assert exchange is not None
    assert (Decimal("10.00"), "USDINR") == (exchange.converted, exchange.rate_symbol)


def test_two_currencies_without_the_dollar_are_exchanged_at_their_cross_rate() -> None:
    exchange = money.exchange(Decimal(11), payout="EUR", billing="GBP")
    assert exchange is not None
    assert (exchange.rate_symbol, exchange.rate) == ("GBPEUR", "1.0909")
    assert Decimal("10.08") == exchange.converted


@pytest.mark.parametrize(("value", "written"), [("0.005", "0.01"), ("0.004", "0.00"), ("1E+2", "100.00")])
def test_amounts_are_written_with_two_places_rounded_half_up(value: str, written: str) -> None:
    assert written == money.amount(Decimal(value))
