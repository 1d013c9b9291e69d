"""The catalogue and its filters."""

from typing import Any

import pytest

from runa_cli.emulator import catalogue
from tests.emulator.calls import Caller, kind

REQUIRED = {
    "categories",
    "code",
    "countries_redeemable_in",
    "currency",
    "customer_service",
    "discount_multiplier",
    "name",
    "state",
    "is_orderable",
    "payout_type",
}


def codes(caller: Caller, query: str = "") -> list[str]:
    return [product["code"] for product in caller.get(f"/product?{query}")["catalog"]]


def test_the_catalogue_lists_every_product_by_code(caller: Caller) -> None:
    assert sorted(catalogue.products()) == codes(caller)
    assert {"AMZ-US", "AIRBNB-US", "P2C-US", "VISARL-USD", "VISASL-3M-USD"} < set(codes(caller))


def test_every_product_has_the_required_fields_and_details_of_its_type(caller: Caller) -> None:
    for product in caller.get("/product")["catalog"]:
        assert {*REQUIRED, "availability", product["payout_type"]} == product.keys()


def test_a_product_alone_reads_as_in_the_catalogue(caller: Caller) -> None:
    listed = {product["code"]: product for product in caller.get("/product")["catalog"]}
    assert listed["AMC-US"] == caller.get("/product/AMC-US")


def test_amounts_of_a_gift_card_are_strings(caller: Caller) -> None:
    fixed = {"type": "fixed", "minimum_value": "25.00", "maximum_value": "50.00", "available_list": ["25", "50"]}
    assert fixed == caller.get("/product/800PET-US")["gift_card"]["denominations"]
    assert caller.get("/product/AMC-US")["gift_card"]["denominations"]["available_list"] is None


def test_a_payment_has_limits_only(caller: Caller) -> None:
    limits = {"minimum_value": "1.00", "maximum_value": "2500.00"}
    assert limits == caller.get("/product/P2C-US")["payment"]["denominations"]


def test_a_subscription_has_plans_with_codes_to_order_by(caller: Caller) -> None:
    [plan] = caller.get("/product/STREAM-US")["subscription"]["subscription_plans"]
    assert (plan["subscription_plan_code"], plan["price"]) == ("STREAM-US-3M", "29.97")


@pytest.mark.parametrize(("content", "suffix"), [("url", "markdown_url"), ("md", "md"), ("html", "html")])
def test_texts_come_as_asked_for(caller: Caller, content: str, suffix: str) -> None:
    texts: dict[str, Any] = caller.get(f"/product/AMC-US?content={content}")["gift_card"]["content_resources"]
    assert {suffix} == {name.removeprefix("terms_buyer_") for name in texts if name.startswith("terms_buyer")}
    assert len(texts) == 8


def test_an_unknown_product_is_not_found(caller: Caller) -> None:
    assert kind(caller.call("GET", "/product/NOPE-US")) == (404, "not_found")


def test_products_that_cannot_be_ordered_can_be_left_out(caller: Caller) -> None:
    assert {"AIRBB-MX"} == set(codes(caller, "is_orderable=false")) - set(codes(caller, "is_orderable=true"))


def test_filters_can_repeat_and_combine(caller: Caller) -> None:
    assert codes(caller, "countries_redeemable_in=JP&countries_redeemable_in=HU") == [
        "ALINE-HU",
        "ASABR-JP",
        "CHCRIC-JP",
    ]
    assert codes(
        caller, "countries_redeemable_in=JP&countries_redeemable_in=HU&categories=travel&categories=fashion"
    ) == ["ALINE-HU"]


def test_a_product_can_be_asked_for_by_its_code(caller: Caller) -> None:
    assert ["AMC-US"] == codes(caller, "code=AMC-US")
    assert ["ABO-GB", "AMC-US"] == codes(caller, "code=AMC-US&code=ABO-GB")
    assert [] == codes(caller, "code=NOPE-US")
    assert [] == codes(caller, "code=AMC-US&countries_redeemable_in=GB")


def test_details_differ_from_product_to_product(caller: Caller) -> None:
    """A client meets every value that a field can have: those that say something, and none."""
    cards = [product["gift_card"] for product in caller.get("/product")["catalog"] if "gift_card" in product]
    assert {True, False} == {card["balance_check_url"] is None for card in cards}
    assert {True, False} == {card["website_url"] is None for card in cards}
    assert {True, False} == {card["assets"]["card_image_url"] is None for card in cards}
    assert {"all", "online", "in-store"} == {card["redeemable_at"] for card in cards}
    assert {"undefined", "url-recommended", "url-only"} == {card["e_code_usage_type"] for card in cards}
    assert {None, "code-128", "QR"} == {card["barcode_format"] for card in cards}
    expected = {"from-issue-date", "from-last-use", "from-last-balance-check", "indefinite", "do-not-show"}
    assert expected == {card["expiry"]["type"] for card in cards}
    texts = [card["content_resources"] for card in cards]
    assert {True, False} == {text["disclaimer_markdown_url"] is None for text in texts}
    assert {False} == {text["description_markdown_url"] is None for text in texts}
    assert {"en_US", "en_GB", "fr_FR", "ja_JP"} < {text["locale"] for text in texts}
    services = [product["customer_service"] for product in caller.get("/product")["catalog"]]
    assert {True, False} == {service["phone_number"] is None for service in services}
    assert {True, False} == {service["website_url"] is None for service in services}


def test_details_of_a_product_stay_the_same(caller: Caller) -> None:
    assert caller.get("/product/AMC-US") == caller.get("/product/AMC-US")


@pytest.mark.parametrize("query", ["is_orderable=yes", "countries_redeemable_in=Japan"])
def test_a_filter_that_makes_no_sense_is_refused(caller: Caller, query: str) -> None:
    assert kind(caller.call("GET", f"/product?{query}")) == (400, "bad_request")


def test_pages_of_products_lead_to_an_empty_one(caller: Caller) -> None:
    seen, page = [], caller.get("/product?limit=20")
    while page["catalog"]:
        seen += [product["code"] for product in page["catalog"]]
        page = caller.get(f"/product?limit=20&after={page['pagination']['cursors']['after']}")
    assert sorted(catalogue.products()) == seen


def test_before_gives_the_products_just_before(caller: Caller) -> None:
    every = codes(caller)
    assert every[8:10] == codes(caller, f"limit=2&before={every[10]}")


def test_countries_and_categories_are_no_product_codes(caller: Caller) -> None:
    assert {"JP", "US"} < set(caller.get("/product/countries")["countries"])
    assert {"code": "fashion"} in caller.get("/product/categories")["categories"]


def test_built_in_selections_hold_up_to_ten_products_of_one_currency() -> None:
    for choice in catalogue.templates().values():
        assert len({product.currency for product in choice}) == 1
        assert 2 <= len(choice) <= 10
