"""What becomes of a request that asks for an order."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from runa_cli.emulator import catalogue
from runa_cli.emulator.account import Script
from runa_cli.emulator.store import Store
from tests.emulator.calls import LIVE_KEY, Caller, item, kind, order, parsed

ULID = "[0-9A-HJKMNP-TV-Z]{26}"
LINK = r"http://localhost/gift/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def with_products(products: dict[str, Any], value: object = 10) -> dict[str, Any]:
    return {**item(value), "products": products}


def test_a_sync_order_is_answered_with_the_completed_order(caller: Caller) -> None:
    """The shape, the order of the keys and the style of every value are those of the playground."""
    answer = caller.post(order(item(12.5), description="wave 2", metadata={"batch": "w2"}))
    made = parsed(answer)
    [made_item] = made["items"]
    url = made_item["payout"]["url"]
    assert answer.status == 200
    assert re.fullmatch(f"O-{ULID}", made["id"])
    assert re.fullmatch(f"E-{ULID}", made_item["id"])
    assert re.fullmatch(LINK, url)
    expected = {
        "id": made["id"],
        "status": "COMPLETED",
        "created_at": "2026-01-02T12:00:00.123456+00:00",
        "completed_at": "2026-01-02T12:00:01.123456+00:00",
        "description": "wave 2",
        "payment_method": {"type": "ACCOUNT_BALANCE"},
        "currency": "USD",
        "total_discount": "0.00",
        "total_price": "12.50",
        "items": [
            {
                "id": made_item["id"],
                "distribution_method": {"type": "PAYOUT_LINK"},
                "products": {"type": "SINGLE", "value": "1800FL-US"},
                "face_value": "12.50",
                "price": "12.50",
                "discount_multiplier": "0.0",
                "redemption_url": url,
                "payout": {
                    "status": "ACTIVE",
                    "status_updated_at": "2026-01-02T12:00:01.123456+00:00",
                    "url": url,
                    "expiry_date": None,
                },
                "currency": "USD",
            }
        ],
        "transaction_detail": {"USD": {"value": "12.50", "fx": None}},
        "metadata": {"batch": "w2"},
    }
    assert json.dumps(expected) == json.dumps(made)


def test_description_and_metadata_are_null_when_absent(caller: Caller) -> None:
    made = parsed(caller.post(order()))
    assert (made["description"], made["metadata"]) == (None, None)


def test_an_async_order_is_accepted_with_id_and_status_only(caller: Caller) -> None:
    answer = caller.post(order(), mode="async")
    assert answer.status == 202
    assert list(parsed(answer)) == ["id", "status"]
    assert parsed(answer)["status"] == "PROCESSING"


def test_async_is_the_default(caller: Caller) -> None:
    assert caller.call("POST", "/order", order(), X_Idempotency_Key="k").status == 202


def test_an_async_order_is_processing_until_its_second_is_over(caller: Caller) -> None:
    order_id = parsed(caller.post(order(), mode="async"))["id"]
    caller.wait(seconds=0.999)
    assert list(caller.get(f"/order/{order_id}")) == ["id", "status", "message"]
    caller.wait(seconds=0.001)
    assert caller.get(f"/order/{order_id}")["status"] == "COMPLETED"


def test_a_processing_order_is_listed_without_details(caller: Caller) -> None:
    order_id = parsed(caller.post(order(), mode="async"))["id"]
    [listed] = caller.get("/order")["items"]
    assert {"id": order_id, "status": "PROCESSING", "message": listed["message"]} == listed


def test_an_order_reads_the_same_every_time(caller: Caller) -> None:
    made = parsed(caller.post(order()))
    caller.wait(days=3)
    assert made == caller.get(f"/order/{made['id']}")


def test_an_unknown_order_is_not_found(caller: Caller) -> None:
    assert kind(caller.call("GET", "/order/O-01H5WQGHKCBB85MQFM68S9KJ5Q")) == (404, "not_found")


def test_items_keep_the_order_of_the_request(caller: Caller) -> None:
    order_id = parsed(caller.post(order(*(item(value) for value in range(10, 60))), mode="async"))["id"]
    caller.wait(seconds=1)
    values = [made["face_value"] for made in caller.get(f"/order/{order_id}")["items"]]
    assert [f"{value}.00" for value in range(10, 60)] == values


def test_delivery_is_echoed_with_its_template(caller: Caller) -> None:
    delivery = {
        "type": "EMAIL",
        "email_address": "ann@example.test",
        "template_id": "DT-01HPSF51G0ZWHJ3JTNWRH0WDYK",
    }
    made = parsed(caller.post(order({**item(), "distribution_method": delivery})))
    assert delivery == made["items"][0]["distribution_method"]


def test_a_choice_of_products_is_echoed(caller: Caller) -> None:
    products = {"type": "MULTIPLE", "values": ["AMC-US", "1800FL-US"]}
    assert products == parsed(caller.post(order(with_products(products))))["items"][0]["products"]


@pytest.mark.parametrize(("template", "count"), [("USD", 10), ("GBP", 8), ("EUR", 10), ("CAD", 4)])
def test_a_template_is_answered_with_its_products(caller: Caller, template: str, count: int) -> None:
    by_currency = {choice[0].currency: template_id for template_id, choice in catalogue.templates().items()}
    products = {"type": "TEMPLATE", "template_id": by_currency[template]}
    made = parsed(caller.post(order(with_products(products, 50), currency=template)))
    echoed = made["items"][0]["products"]
    assert list(echoed) == ["type", "template_id", "values"]
    assert count == len(set(echoed["values"]))


def test_spend_rules_are_echoed_for_a_prepaid_visa(caller: Caller) -> None:
    config = {"spend_rules_template_id": "PSR-01HPSF51G0ZWHJ3JTNWRH0WDYK"}
    products = {"type": "SINGLE", "value": "VISASL-3M-USD", "usage_config": config}
    assert products == parsed(caller.post(order(with_products(products))))["items"][0]["products"]


def test_spend_rules_are_ignored_for_other_products(caller: Caller) -> None:
    config = {"spend_rules_template_id": "PSR-01HPSF51G0ZWHJ3JTNWRH0WDYK"}
    products = {"type": "SINGLE", "value": "AMC-US", "usage_config": config}
    made = parsed(caller.post(order(with_products(products))))
    assert made["items"][0]["products"] == {"type": "SINGLE", "value": "AMC-US"}


@pytest.mark.parametrize("product", ["P2C-US", "VISARL-USD"])
def test_payments_and_reloadable_cards_go_to_recipients(caller: Caller, product: str) -> None:
    delivery = {"type": "RECIPIENT", "recipient_reference": "ann-1", "email_address": "ann@example.test"}
    answer = caller.post(order({**item(product=product), "distribution_method": delivery}))
    assert delivery == parsed(answer)["items"][0]["distribution_method"]


def test_a_subscription_is_ordered_by_its_plan_at_its_price(caller: Caller) -> None:
    assert caller.post(order(item(29.97, "STREAM-US-3M"))).status == 200


RECIPIENT = {"type": "RECIPIENT", "recipient_reference": "ann", "email_address": "ann@example.test"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(order(item(product="NOPE-US")), id="unknown"),
        pytest.param(order(item(250, "AIRBB-MX"), currency="MXN"), id="not orderable"),
        pytest.param(order(item(9.99)), id="below the minimum"),
        pytest.param(order(item(100.01)), id="above the maximum"),
        pytest.param(order(item(30, "800PET-US")), id="not in the list"),
        pytest.param(order(item(29.97, "STREAM-US")), id="subscription by its product code"),
        pytest.param(order(item(29, "STREAM-US-3M")), id="subscription at another price"),
        pytest.param(order(item(), item(10, "ABO-GB")), id="two currencies"),
        pytest.param(order(item(10, "ADAS-DE"), item(10, "ADAS-FR"), currency="EUR"), id="two countries"),
        pytest.param(order(with_products({"type": "MULTIPLE", "values": ["AMC-US", "NOPE"]})), id="one unknown"),
        pytest.param(order(with_products({"type": "MULTIPLE", "values": ["AMC-US", "ABO-GB"]})), id="mixed choice"),
        pytest.param(order(with_products({"type": "MULTIPLE", "values": ["AMC-US", "1800FL-US"]}, 2)), id="too little"),
        pytest.param(
            order(with_products({"type": "TEMPLATE", "template_id": "PT-01HPSF51G0ZWHJ3JTNWRH0WDYK"})),
            id="unknown template",
        ),
        pytest.param(order({**item(), "distribution_method": RECIPIENT}), id="gift card to a recipient"),
    ],
)
def test_products_that_cannot_be_ordered_so_are_refused(caller: Caller, body: dict[str, Any]) -> None:
    assert kind(caller.post(body, mode="async")) == (400, "product_validation_error")
    assert caller.get("/order")["items"] == []


def test_denominations_are_compared_as_numbers(caller: Caller) -> None:
    assert caller.post(order(item(25.0, "800PET-US"))).status == 200


def test_the_balance_goes_down_by_the_total_price(caller: Caller) -> None:
    before = Decimal(caller.get("/balance?currency=USD")["balance"])
    caller.post(order(item(10), item(12.34)), mode="async")
    assert before - Decimal("22.34") == Decimal(caller.get("/balance?currency=USD")["balance"])


def test_an_order_beyond_the_balance_is_refused_and_costs_nothing(caller: Caller, store: Store) -> None:
    caller.api_key = LIVE_KEY
    store.set_balance("USD", Decimal("19.99"))
    assert kind(caller.post(order(item(20)))) == (400, "insufficient_funds")
    assert caller.get("/balance?currency=USD") == {"balance": "19.99", "currency": "USD"}


def test_a_balance_can_be_spent_to_the_last_cent(caller: Caller, store: Store) -> None:
    caller.api_key = LIVE_KEY
    store.set_balance("USD", Decimal("20.00"))
    assert caller.post(order(item(20))).status == 200
    assert caller.get("/balance?currency=USD")["balance"] == "0.00"


def test_the_balance_of_a_playground_key_never_runs_out(caller: Caller, store: Store) -> None:
    """It is topped up by a whole opening balance, so that it still tells what was spent."""
    store.set_balance("USD", Decimal("19.99"))
    assert 200 == caller.post(order(item(20))).status
    assert "999999.99" == caller.get("/balance?currency=USD")["balance"]


def test_a_playground_key_pays_from_a_currency_that_was_never_held(caller: Caller) -> None:
    assert 200 == caller.post(order(item(10), currency="INR")).status
    assert "0.00" == caller.get("/balance?currency=INR")["balance"]


def test_without_funds_a_playground_key_is_refused_too(caller: Caller) -> None:
    assert (400, "insufficient_funds") == kind(caller.post(order(), script=Script(funds=False)))
    assert "1000000.00" == caller.get("/balance?currency=USD")["balance"]


def test_what_orders_cost_is_counted_whatever_becomes_of_the_balance(caller: Caller, store: Store) -> None:
    caller.post(order(item(20)))
    store.set_balance("USD", Decimal(0))
    caller.post(order(item(12.34)), key="key-2")
    caller.post(order(item(50), currency="GBP"), key="key-3")
    caller.post(order(item(70)), key="key-4", script=Script(outcome="FAILED"))
    assert {"GBP": Decimal("42.46"), "USD": Decimal("32.34")} == store.spent()


def test_a_currency_never_held_has_a_balance_of_zero(caller: Caller) -> None:
    assert caller.get("/balance?currency=AED") == {"balance": "0.00", "currency": "AED"}


def test_all_balances_leave_out_the_empty_ones(caller: Caller, store: Store) -> None:
    store.set_balance("USD", Decimal(0))
    balances = {entry["currency"]: entry["balance"] for entry in caller.get("/balance")}
    assert "USD" not in balances
    assert balances["GBP"] == "1000000.00"


def test_a_currency_that_is_none_is_a_bad_request(caller: Caller) -> None:
    assert kind(caller.call("GET", "/balance?currency=usd")) == (400, "bad_request")


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [("insufficient_funds", (400, "insufficient_funds")), ("internal_server_error", (500, "internal_server_error"))],
)
def test_an_error_can_be_triggered_and_is_kept(caller: Caller, trigger: str, expected: tuple[int, str]) -> None:
    assert expected == kind(caller.post(order(), X_Trigger_Error=trigger))
    assert expected == kind(caller.post(order()))
    assert caller.get("/order")["items"] == []


def test_asking_for_mail_is_echoed(caller: Caller) -> None:
    assert caller.post(order(), X_Send_Email="true").headers["X-Send-Email"] == "true"


def test_a_failed_order_has_the_full_body_and_costs_nothing(caller: Caller) -> None:
    made = parsed(caller.post(order(), script=Script(outcome="FAILED")))
    assert made["status"] == "FAILED"
    assert len(made["items"]) == 1
    assert caller.get("/balance?currency=USD")["balance"] == "1000000.00"


def test_a_bare_failed_order_has_id_and_status_only(caller: Caller) -> None:
    order_id = parsed(caller.post(order(), mode="async", script=Script(outcome="FAILED", bare=True)))["id"]
    assert caller.get(f"/order/{order_id}")["status"] == "PROCESSING"
    caller.wait(seconds=1)
    assert {"id": order_id, "status": "FAILED"} == caller.get(f"/order/{order_id}")


def test_an_estimate_takes_discounts_off_and_makes_no_order(caller: Caller) -> None:
    caller.api_key = "wgtest.secret"
    answer = caller.call("POST", "/order/estimate", order(item(100), item(50, "AMC-US")))
    estimate = parsed(answer)
    assert answer.status == 200
    assert [priced["price"] for priced in estimate["items"]] == ["98.70", "49.85"]
    assert (estimate["total_price"], estimate["total_discount"]) == ("148.55", "1.45")
    assert caller.get("/order")["items"] == []


def test_the_playground_has_no_estimates(caller: Caller) -> None:
    assert kind(caller.call("POST", "/order/estimate", order())) == (404, "not_found")
