"""Amounts as sheets have them: digits, a decimal comma, a sign or a code; nothing that could be read in two ways."""

import pytest

from runa_cli.core.amounts import WrittenAmount, looks_like_amount, read_amount


@pytest.mark.parametrize(
    ("text", "number", "marks"),
    [
        ("25", "25", ()),
        ("25.00", "25.00", ()),
        ("$25.00", "25.00", ("$",)),
        ("25.00 USD", "25.00", ("USD",)),
        ("usd 25", "25", ("usd",)),
        ("25\u00a0€", "25", ("€",)),
        ("25.00 zł", "25.00", ("zł",)),
        ("CHF 25.50", "25.50", ("CHF",)),
        ("$25 USD", "25", ("$", "USD")),
    ],
)
def test_a_sign_and_a_code_may_stand_beside_an_amount(text: str, number: str, marks: tuple[str, ...]) -> None:
    assert WrittenAmount(number, marks) == read_amount(text, decimal_comma=False)


@pytest.mark.parametrize(
    ("text", "number"), [("25,00", "25.00"), ("€ 25,5", "25.5"), ("25,00 €", "25.00"), ("25.00", "25.00")]
)
def test_a_comma_is_a_decimal_point_where_the_sheet_has_decimal_commas(text: str, number: str) -> None:
    amount = read_amount(text, decimal_comma=True)
    assert amount is not None
    assert number == amount.number
    assert "," not in text or read_amount(text, decimal_comma=False) is None


@pytest.mark.parametrize(
    "text",
    ["1,500", "1.500", "1.500,00", "1,500.00", "1'500", "1 500", "25%", "-25", "(25)", "2026-11-30", "30.11.2026",
     "#N/A", "25 km/h", "25 dollars", "twenty", "", "25.", ".50", "2\u0665"],
)  # fmt: skip
@pytest.mark.parametrize("decimal_comma", [True, False])
def test_what_is_no_amount_or_could_be_two_is_not_read(text: str, decimal_comma: bool) -> None:
    assert read_amount(text, decimal_comma=decimal_comma) is None


@pytest.mark.parametrize(
    ("text", "currency", "wrong"),
    [("$25", "USD", None), ("$25", "CAD", None), ("$25", "EUR", "$"), ("US$25", "CAD", "US$"), ("25 €", "EUR", None),
     ("25 kr", "NOK", None), ("25 kr", "EUR", "kr"), ("$25 CAD", "USD", "CAD"), ("25 eur", "EUR", None)],
)  # fmt: skip
def test_a_sign_or_code_agrees_with_its_own_currencies_only(text: str, currency: str, wrong: str | None) -> None:
    amount = read_amount(text, decimal_comma=False)
    assert amount is not None
    assert wrong == amount.disagreement(currency)


@pytest.mark.parametrize("text", ["25", "25.00", "25,00", "1,500.00", "1.500,00 €", "1'500", "$5", "0.50", "0,50"])
def test_any_spelling_of_an_amount_looks_like_one(text: str) -> None:
    assert looks_like_amount(text)


@pytest.mark.parametrize("text", ["007", "00123", "E25", "25 km", "A-25", "30.11.2026 10:00", "+49 170 123", "", "ann"])
def test_numbers_that_name_something_do_not_look_like_amounts(text: str) -> None:
    assert not looks_like_amount(text)
