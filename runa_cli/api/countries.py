"""The countries and currencies that Runa sells in, and the country and currency that a product code names."""

# The currency of each country that Runa sells in (developer.runa.io: reference/2024-02-05/countries). Product codes end
# in the country. Bulgaria has had the euro since January 2026.
_EURO = "AT BE BG DE ES FI FR GR IE IT LU NL PT SI"
COUNTRY_CURRENCY = {
    **dict.fromkeys(_EURO.split(), "EUR"),
    **dict(
        pair.split(":")
        for pair in (  # noqa: SIM905 - a list of forty strings would hide the table
            "US:USD GB:GBP CA:CAD AR:ARS AU:AUD BR:BRL CL:CLP CN:CNY CO:COP CZ:CZK DK:DKK HU:HUF JP:JPY MY:MYR MX:MXN"
            " NZ:NZD NO:NOK PE:PEN PL:PLN RO:RON SA:SAR SG:SGD ZA:ZAR KR:KRW SE:SEK CH:CHF AE:AED IN:INR IL:ILS"
        ).split()
    ),
}
CURRENCIES = frozenset(COUNTRY_CURRENCY.values())


def code_country(code: str) -> str | None:
    """Return the country that a product code ends in, None where it ends in none."""
    suffix = code.rpartition("-")[2]
    return suffix if suffix in COUNTRY_CURRENCY else None


def code_currency(code: str) -> str | None:
    """Return the currency that a product code names, by its country (`-US`) or itself (`-USD`); else None."""
    suffix = code.rpartition("-")[2]
    return COUNTRY_CURRENCY.get(suffix) or (suffix if suffix in CURRENCIES else None)
