"""A mistake is one of what the person wrote: what a flag or a setting filled in is not blamed on a column or a path."""

import json
from typing import Any

import pytest

from tests.support.plans import PT, mistakes, read, read_csv

ROWS = "face_value,email\n10,a@example.com\n20,b@example.com\n"
ENV = {"--product": "RUNA_PRODUCTS (.env)", "--currency": "RUNA_CURRENCY (.env)"}
PAY = "Runa would convert and charge a fee"


def item(value: int, **more: Any) -> dict[str, Any]:
    return {"face_value": value, "distribution_method": {"type": "PAYOUT_LINK"}, **more}


def product(code: str) -> dict[str, Any]:
    return {"products": {"type": "SINGLE", "value": code}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"products": ("AMZ-US",), "currency": "GBP"}, f"--currency: is GBP, but the products are in USD: {PAY}"),
        ({"products": ("AMZ-US", "BAW-GB")}, "--product: must all be of one currency, found AMZ-US (USD), BAW-GB"),
        ({"products": ("ADAS-DE", "ABBON-IT")}, "--product: must all be of one country, found ADAS-DE (DE), ABBON-IT"),
        ({"products": ("NOPE",)}, "--product: no currency can be told from NOPE"),
        ({"product_template": PT.format("A")}, "--product-template: no currency can be told from a saved selection"),
        (
            {"products": ("AMZ-US", "AMC-US"), "face_value": "10.50"},
            "--face-value: must be a whole number for a choice of products",
        ),
    ],
)
def test_what_flags_filled_in_is_one_mistake_of_the_flag(given: dict[str, Any], expected: str) -> None:
    sheet = ROWS if "face_value" not in given else "email\na@example.com\nb@example.com\n"
    for content in sheet, json.dumps([item(10), item(20)] if "face_value" not in given else [no_value(), no_value()]):
        (mistake,) = mistakes(lambda text=content: read(text, **given))  # type: ignore[misc] # a default binds it
        assert mistake.startswith(expected)


def no_value() -> dict[str, Any]:
    return {"distribution_method": {"type": "PAYOUT_LINK"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"products": ("AMZ-US",), "currency": "GBP"}, "RUNA_CURRENCY (.env): is GBP, but the products are in USD"),
        ({"products": ("NOPE",)}, "RUNA_PRODUCTS (.env): no currency can be told from NOPE"),
        ({"products": ("AMZ-US", "BAW-GB")}, "RUNA_PRODUCTS (.env): must all be of one currency"),
    ],
)
def test_what_a_setting_filled_in_is_one_mistake_of_the_setting(given: dict[str, Any], expected: str) -> None:
    (mistake,) = mistakes(lambda: read_csv(ROWS, settings=ENV, **given))
    assert mistake.startswith(expected)


def test_a_currency_of_a_flag_is_not_blamed_on_an_order_of_a_file() -> None:
    order = {"items": [item(10, **product("AMZ-US")), item(20, **product("AMZ-US"))]}
    (mistake,) = mistakes(lambda: read(json.dumps(order), currency="GBP"))
    assert mistake.startswith("--currency: is GBP, but the products are in USD")


def test_products_of_a_flag_are_not_blamed_on_an_order_of_a_file() -> None:
    (mistake,) = mistakes(lambda: read(json.dumps({"items": [item(10), item(20)]}), products=("AMZ-US", "BAW-GB")))
    assert mistake.startswith("--product: must all be of one currency")


@pytest.mark.parametrize(
    ("sheet", "given", "expected"),
    [
        ("product\nAMZ-US|BAW-GB\n", {}, "stdin, line 2 (row 1), column product: must all be of one currency"),
        ("product,currency\nAMZ-US,GBP\n", {}, "stdin, line 2 (row 1), column currency: is GBP, but the products are"),
        ("currency\nGBP\n", {"products": ("AMZ-US",)}, "stdin, line 2 (row 1), column currency: is GBP, but the"),
        ("product\nNOPE\n", {"products": ("AMZ-US",)}, "stdin, line 2 (row 1), column product: no currency can be"),
    ],
)
def test_what_a_row_says_itself_is_a_mistake_of_its_column(sheet: str, given: dict[str, Any], expected: str) -> None:
    (mistake,) = mistakes(lambda: read_csv(sheet, face_value="10", **given))
    assert mistake.startswith(expected)


def test_what_an_order_says_itself_is_a_mistake_of_its_path() -> None:
    order = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "GBP"},
        "items": [item(10, **product("AMZ-US"))],
    }
    (mistake,) = mistakes(lambda: read(json.dumps(order), currency="USD"))
    assert mistake.startswith("stdin, payment_method.currency: is GBP, but the products are in USD")
