"""The countries and currencies Runa sells in, and what a product code tells about them."""

# The currency of each country Runa sells in (developer.runa.io: reference/2024-02-05/countries); product codes end in
# the country. Bulgaria pays in euro since January 2026.
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
    """Return the country a product code ends in, where it does."""
    suffix = code.rpartition("-")[2]
    return suffix if suffix in COUNTRY_CURRENCY else None


def code_currency(code: str) -> str | None:
    """Return the currency a product code tells: by its country (`-US`) or outright (`-USD`)."""
    suffix = code.rpartition("-")[2]
    return COUNTRY_CURRENCY.get(suffix) or (suffix if suffix in CURRENCIES else None)
