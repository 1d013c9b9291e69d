"""Amounts, currencies, fixed exchange rates and the fee for exchanging."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")

# Every currency that an account can hold (developer.runa.io: reference/currencies), with the balance of a new account.
OPENING_BALANCES = {
    **dict.fromkeys(("AUD", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "MXN"), "1000000.00"),
    **dict.fromkeys(("NOK", "NZD", "PLN", "RON", "SEK", "SGD", "USD", "ZAR"), "1000000.00"),
    **dict.fromkeys(("HUF", "JPY"), "100000000.00"),
}
_PAYABLE_FROM_USD_ONLY = frozenset(("AED", "ARS", "BRL", "CLP", "COP", "INR", "MYR", "PEN", "SAR"))
_FEE = Decimal("0.019")

# The emulator's own fixed rates: how many US dollars one unit costs, or how many units one US dollar costs.
_DOLLARS_PER_UNIT = {"GBP": "1.2", "EUR": "1.1", "AUD": "0.65", "NZD": "0.6"}
_UNITS_PER_DOLLAR = {
    "AED": "3.67", "ARS": "350", "BRL": "5", "CAD": "1.35", "CHF": "0.9", "CLP": "850", "CNY": "7.2",
    "COP": "4000", "CZK": "23", "DKK": "6.9", "HUF": "360", "ILS": "3.7", "INR": "83", "JPY": "150",
    "KRW": "1300", "MXN": "17", "MYR": "4.6", "NOK": "10.5", "PEN": "3.8", "PLN": "4.1", "RON": "4.6",
    "SAR": "3.75", "SEK": "10.8", "SGD": "1.35", "ZAR": "18.5",
}  # fmt: skip
# The currency named first in a pair is the base of its rate.
_PRECEDENCE = (*_DOLLARS_PER_UNIT, "USD", *_UNITS_PER_DOLLAR)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A conversion of a payout's value into the currency of the payment."""

    converted: Decimal
    fee: Decimal
    rate: str
    rate_symbol: str
    billing_currency: str

    def as_json(self) -> dict[str, object]:
        """Return the `fx` object of an order."""
        fee = {"value": amount(self.fee), "currency": self.billing_currency}
        return {"rate": self.rate, "rate_symbol": self.rate_symbol, "fee": fee}


def cents(value: Decimal) -> Decimal:
    """Round to two decimal places, half up."""
    return value.quantize(CENT, ROUND_HALF_UP)


def amount(value: Decimal) -> str:
    """Return an amount as the API writes it: a string with two decimals."""
    return str(cents(value))


def topped_up(balance: Decimal, needed: Decimal, currency: str) -> Decimal:
    """Return a balance that suffices, by as many opening balances more as that takes.

    The playground accepts every payment (developer.runa.io: reference/2024-02-05/playground).
    """
    missing = max(needed - balance, Decimal(0))
    opening = Decimal(OPENING_BALANCES.get(currency, 0))
    if not opening:
        return balance + missing
    return balance + (missing / opening).to_integral_value(ROUND_CEILING) * opening


def exchange(value: Decimal, *, payout: str, billing: str) -> Exchange | None:
    """Convert a value from the payout currency into the billing currency; None where Runa does not offer that.

    A rate is the price of one unit of the first currency of its symbol in the second one. The fee is 1.9 % of the
    converted amount (developer.runa.io: features/embedded-fx).
    """
    if payout not in _PRECEDENCE or billing not in _PRECEDENCE:
        return None
    if payout in _PAYABLE_FROM_USD_ONLY and billing != "USD":
        return None
    base, quote = sorted((payout, billing), key=_PRECEDENCE.index)
    rate = _rate(base, quote)
    converted = cents(value / rate if billing == base else value * rate)
    return Exchange(converted, cents(converted * _FEE), str(rate), base + quote, billing)


def _rate(base: str, quote: str) -> Decimal:
    if quote == "USD":
        return Decimal(_DOLLARS_PER_UNIT[base])
    if base == "USD":
        return Decimal(_UNITS_PER_DOLLAR[quote])
    return (_dollars(base) / _dollars(quote)).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def _dollars(currency: str) -> Decimal:
    if currency in _DOLLARS_PER_UNIT:
        return Decimal(_DOLLARS_PER_UNIT[currency])
    return 1 / Decimal(_UNITS_PER_DOLLAR[currency])
