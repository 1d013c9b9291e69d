"""What comes from Runa is read with patience, and a link goes to nobody but the one it was asked for."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runa_cli.api import binding, catalogue, pagination, responses
from runa_cli.api.catalogue import Product
from runa_cli.api.responses import Order, Unreadable
from runa_cli.core import exact_json
from runa_cli.core.exact_json import Number

ANN, BOB = "ann@example.test", "bob@example.test"


def asked(
    email: str | None = ANN, value: str = "10", product: object = "AMZ-US", recipient: str | None = None
) -> dict[str, Any]:
    """Return an item as it stands in a request."""
    method: dict[str, Any] = {"type": "EMAIL", "email_address": email} if email else {"type": "PAYOUT_LINK"}
    if recipient:
        method = {"type": "RECIPIENT", "recipient_reference": recipient, "email_address": email}
    products = product if isinstance(product, dict) else {"type": "SINGLE", "value": product}
    return {"face_value": Number(value), "distribution_method": method, "products": products}


def echo(item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the item as Runa answers it: amounts as text with two decimals, and a link."""
    payout = {"url": "https://spend.runa.io/1", "status": "ACTIVE", "expiry_date": None}
    return {
        **item, "id": "E-1", "face_value": f"{item['face_value']:.2f}", "price": "9.90", "currency": "USD",
        "payout": payout, **changes,
    }  # fmt: skip


def answer(*items: dict[str, Any], **changes: Any) -> Order:
    return responses.parse(Order, {"id": "O-1", "status": "COMPLETED", "items": list(items), **changes})


def delivered(item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**item, "distribution_method": {**item["distribution_method"], **changes}}


# --- which link is whose -----------------------------------------------------------------------------------------

MIXED = [
    asked(ANN),
    asked(BOB),
    asked(ANN, "20"),
    asked(ANN, product="AMC-US"),
    asked(None, "5"),
    asked(ANN, recipient="panel-7"),
]


_ASKED = [
    delivered(asked(email, value, product), **template)
    for email in (ANN, "Ann@example.TEST", BOB)
    for value in ("10", "20")
    for product in (
        "AMZ-US",
        {"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]},
        {"type": "MULTIPLE", "values": ["AMC-US", "AMZ-US"]},
        {"type": "SINGLE", "value": "AMZ-US", "usage_config": {"spend_rules_template_id": "PSR-1"}},
    )
    for template in ({}, {"template_id": "DT-1"})
]


@given(st.lists(st.sampled_from(_ASKED), min_size=1, max_size=8))
def test_exact_echoes_are_bound_as_the_search_would_bind_them(sent: list[dict[str, Any]]) -> None:
    answered = answer(*map(echo, sent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binding, "_is_exact_echo", lambda *_: False)
        searched = binding.bind_items(sent, answered)
    assert [*range(len(sent))] == searched == binding.bind_items(sent, answered)


def test_an_answer_in_the_same_order_is_bound_one_to_one() -> None:
    assert [0, 1, 2, 3, 4, 5] == binding.match_items(MIXED, answer(*map(echo, MIXED)))


@pytest.mark.parametrize("order", list(itertools.permutations(range(6)))[5::103])
def test_an_answer_in_any_order_is_bound_by_what_was_asked(order: tuple[int, ...]) -> None:
    """Runa promises no order of its items."""
    bound = binding.match_items(MIXED, answer(*(echo(MIXED[index]) for index in order)))
    assert [order.index(index) for index in range(6)] == bound


def test_gifts_that_are_the_same_in_all_get_a_link_each() -> None:
    bound = binding.match_items([asked(), asked(BOB), asked()], answer(echo(asked()), echo(asked()), echo(asked(BOB))))
    assert [0, 2, 1] == bound


def test_one_address_with_different_values_gets_each_value_its_own_link() -> None:
    wanted = [asked(value="10"), asked(value="20")]
    assert [1, 0] == binding.match_items(wanted, answer(echo(wanted[1]), echo(wanted[0])))


@pytest.mark.parametrize("amount", ["10", "10.0", "10.00", Number("10"), Number("1e1")])
def test_an_amount_is_compared_by_its_value(amount: object) -> None:
    assert [0] == binding.match_items([asked()], answer(echo(asked(), face_value=amount)))


def test_an_address_in_other_letter_case_is_the_same_address() -> None:
    assert [0] == binding.match_items([asked("Ann@Example.test")], answer(echo(asked("ann@example.TEST"))))


def test_the_address_in_its_own_letter_case_goes_first() -> None:
    wanted = [asked("ANN@example.test"), asked("ann@example.test")]
    assert [1, 0] == binding.match_items(wanted, answer(echo(wanted[1]), echo(wanted[0])))
    assert [1, 0] == binding.match_items(wanted, answer(echo(asked("Ann@example.test")), echo(wanted[0])))


def test_a_choice_of_products_may_come_back_in_another_order() -> None:
    wanted = asked(product={"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]})
    echoed = echo(wanted, products={"type": "MULTIPLE", "values": ["AMC-US", "AMZ-US"]})
    assert [0] == binding.match_items([wanted], answer(echoed))


def test_a_template_may_come_back_with_its_products() -> None:
    wanted = asked(product={"type": "TEMPLATE", "template_id": "PT-1"})
    echoed = echo(wanted, products={"type": "TEMPLATE", "template_id": "PT-1", "values": ["AMC-US", "AMZ-US"]})
    assert [0] == binding.match_items([wanted], answer(echoed))


def test_spend_rules_are_no_part_of_the_comparison() -> None:
    wanted = asked(product={"type": "SINGLE", "value": "VISARL-USD", "usage_config": {"spend_rules_template_id": "P"}})
    assert [0] == binding.match_items([wanted], answer(echo(asked(product="VISARL-USD"))))


UNKNOWN = {"type": "UNKNOWN"}


def test_products_that_runa_cannot_tell_are_taken_for_those_asked_for() -> None:
    assert [1, 0] == binding.match_items(
        MIXED[:2], answer(echo(MIXED[1], products=UNKNOWN), echo(MIXED[0], products=UNKNOWN))
    )


def test_products_that_runa_can_tell_go_before_those_it_cannot() -> None:
    wanted = [asked(product="AMZ-US"), asked(product="AMC-US")]
    assert [1, 0] == binding.match_items(wanted, answer(echo(wanted[1], products=UNKNOWN), echo(wanted[0])))
    assert [0, 1] == binding.match_items(wanted, answer(echo(wanted[0], products=UNKNOWN), echo(wanted[1])))


@pytest.mark.parametrize(
    "echoed",
    [
        echo(asked(BOB)),
        echo(asked(BOB), products=UNKNOWN),
        echo(asked(value="10.01")),
        echo(asked(value="20"), products=UNKNOWN),
        echo(asked(product="AMC-US")),
        echo(asked(product={"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]})),
        echo(asked(product={"type": "TEMPLATE", "template_id": "PT-1"})),
        echo(asked(None)),
        echo(asked(recipient="panel-7")),
        echo(asked(), payout=None),
        echo(asked(), payout={"url": "", "status": "ACTIVE"}),
    ],
)
def test_an_item_that_was_not_asked_for_or_has_no_link_is_bound_to_nobody(echoed: dict[str, Any]) -> None:
    """An answer may belong to the order before: one item that was not asked for spoils all of it."""
    assert binding.match_items([asked()], answer(echoed)) is None
    assert binding.match_items([asked(BOB, "7"), asked()], answer(echo(asked(BOB, "7")), echoed)) is None


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        (asked(recipient="panel-7"), asked(recipient="panel-8")),
        (
            asked(product={"type": "TEMPLATE", "template_id": "PT-1"}),
            asked(product={"type": "TEMPLATE", "template_id": "PT-2"}),
        ),
        (
            asked(product={"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]}),
            asked(product={"type": "MULTIPLE", "values": ["AMZ-US", "X-US"]}),
        ),
    ],
)
def test_an_item_that_is_only_alike_is_bound_to_nobody(wanted: dict[str, Any], other: dict[str, Any]) -> None:
    assert binding.match_items([wanted], answer(echo(other))) is None


@pytest.mark.parametrize(
    "items",
    [[], [echo(asked())], [echo(asked())] * 2, [echo(asked()), echo(asked(BOB)), echo(asked())]],
    ids=["none", "too few", "one twice", "too many"],
)
def test_an_answer_with_other_items_than_asked_for_binds_nothing(items: list[dict[str, Any]]) -> None:
    assert binding.match_items([asked(), asked(BOB)], answer(*items)) is None


def test_an_answer_without_items_binds_nothing() -> None:
    assert binding.match_items([asked()], responses.parse(Order, {"id": "O-1", "status": "PROCESSING"})) is None


def test_two_hundred_gifts_are_bound_whatever_their_order() -> None:
    wanted = [asked(f"p{number % 67}@example.test", str(number % 3 + 1)) for number in range(200)]
    bound = binding.match_items(wanted, answer(*map(echo, reversed(wanted))))
    assert sorted(bound or []) == [*range(200)]
    assert wanted == [wanted[199 - index] for index in bound or []]


# --- replies -----------------------------------------------------------------------------------------------------

RECORDED = b"""{"id":"O-01J0000000000000000000000A","status":"COMPLETED","created_at":
"2026-01-02T03:04:05.123456+00:00","completed_at":"2026-01-02T03:04:06.123456+00:00","description":null,"payment_method":{"type":"ACCOUNT_BALANCE"},
"currency":"USD","total_discount":"0.00","total_price":"10.00","items":[{"id":"E-01J0000000000000000000000B",
"distribution_method":{"type":"PAYOUT_LINK"},"products":{"type":"SINGLE","value":"1800FL-US"},"face_value":"10.00",
"price":"10.00","discount_multiplier":"0.0","redemption_url":"https://spend.playground.runa.io/1","payout":{"status":
"ACTIVE","status_updated_at":"2026-01-02T03:04:06.123456+00:00","url":"https://spend.playground.runa.io/1",
"expiry_date":null},"currency":"USD"}],"transaction_detail":{"USD":{"value":"10.00","fx":null}},"metadata":null}"""


def test_an_order_of_the_playground_is_read() -> None:
    order = responses.read_order(RECORDED)
    (item,) = order.items or []
    assert ("O-01J0000000000000000000000A", "COMPLETED", Decimal(10), None) == (
        order.id, order.status, order.total_price, order.stamp,
    )  # fmt: skip
    assert ("https://spend.playground.runa.io/1", Decimal(10)) == (item.payout and item.payout.url, item.face_value)
    assert datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC) == order.created


def test_amounts_are_read_as_text_and_as_numbers() -> None:
    """Runa's pages disagree, and neither goes through a binary float."""
    for text in (b"0.10", b'"0.10"'):
        order = responses.read_order(b'{"id":"O-1","status":"COMPLETED","total_price":%s}' % text)
        assert Decimal("0.10") == order.total_price


def test_what_is_processing_or_failed_has_no_more_than_an_id_and_a_status() -> None:
    assert responses.read_order(b'{"id":"O-1","status":"PROCESSING","message":"wait"}').items is None
    assert "FAILED" == responses.read_order(b'{"id":"O-1","status":"FAILED"}').status


@pytest.mark.parametrize(
    ("metadata", "stamp"), [({"runa_cli_key": "k"}, "k"), ({"a": "b"}, None), ({"runa_cli_key": 5}, None), (None, None)]
)
def test_the_stamp_is_found_in_the_metadata(metadata: object, stamp: str | None) -> None:
    assert stamp == answer(metadata=metadata).stamp


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"x"', b"<html>", b"{", RECORDED[:-1], b"\xff\xfe", b'{"id":"O-1"}',
        b'{"status":"FAILED"}',
        b'{"id":"","status":"COMPLETED"}', b'{"id":null,"status":"COMPLETED"}', b'{"id":"O-1","status":"SHIPPED"}',
        RECORDED.replace(b'"url"', b'"uri"'), RECORDED.replace(b'"face_value":"10.00"', b'"face_value":"ten"'),
        RECORDED.replace(b'"face_value":"10.00"', b'"face_value":"NaN"'), b"[" * 100_000,
        b'{"id":"O-1","id":"O-2","status":"COMPLETED"}',
    ],
)  # fmt: skip
def test_what_is_not_an_order_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        responses.read_order(body)


# --- error bodies ------------------------------------------------------------------------------------------------


def test_an_error_body_is_read_with_the_places_of_its_details() -> None:
    body = b"""{"type":"validation_error","message":"wrong, see details.","help":null,"details":[
    {"type":"enum","message":"bad currency","location":["body","payment_method","currency"]},
    {"type":"x","message":"too small","location":["items","0","face_value"]}],"new_field":1}"""
    error = responses.error_body(body)
    assert error is not None
    assert ("validation_error", "wrong, see details.") == (error.type, error.message)
    assert ["payment_method.currency", "items[0].face_value"] == [detail.path for detail in error.details]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>502</html>", b'{"error": "rate exceeded"}', b"[]", b'{"message":"x"}', b'{"type":5}', b"\xff"],
)
def test_what_is_no_error_of_runas_application_is_none(body: bytes) -> None:
    """A 429 has another body, and a proxy's page says nothing about the order."""
    assert responses.error_body(body) is None


@pytest.mark.parametrize("rest", ["", ',"message":"m"', ',"help":"h"', ',"details":[]', ',"details":[{}]'])
def test_the_type_alone_is_enough_of_an_error_body(rest: str) -> None:
    error = responses.error_body(f'{{"type":"insufficient_funds"{rest}}}'.encode())
    assert "insufficient_funds" == (error and error.type)


@pytest.mark.parametrize(
    "rest", ['"message":null', '"details":null', '"details":[{"location":["items",0]}]', '"details":["x"]', '"help":{}']
)
def test_the_type_is_read_whatever_stands_beside_it(rest: str) -> None:
    """Only the type is promised."""
    error = responses.error_body(f'{{"type":"insufficient_funds",{rest}}}'.encode())
    assert "insufficient_funds" == (error and error.type)


# --- times, pages, amounts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05.123456+00:00", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, 0, UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, 0, UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, 0, UTC)),
        ("2026-01-02", datetime(2026, 1, 2, 0, 0, 0, 0, UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
        pytest.param("9999-12-31T23:59:59-05:00", None),
    ],
)
def test_a_time_is_read_as_utc(text: str | None, expected: datetime | None) -> None:
    assert expected == responses.parse_time(text)


@pytest.mark.parametrize(
    ("page", "cursor"),
    [
        ({"pagination": {"cursors": {"after": "c", "before": "a"}, "page": {"limit": 100}}}, "c"),
        ({"pagination": {"cursors": {"after": None}}}, None),
        ({"pagination": {"cursors": {"after": ""}}}, None),
        ({"pagination": {"cursors": {}}}, None),
        ({"pagination": {"cursors": None}}, None),
        ({"pagination": []}, None),
        ({}, None),
    ],
)
def test_the_cursor_of_the_next_page_is_found_or_there_is_none(page: dict[str, Any], cursor: str | None) -> None:
    assert cursor == pagination.cursor_after(page)


def test_the_members_of_a_page_are_objects() -> None:
    assert [{"id": "O-1"}] == list(pagination.member_list({"items": [{"id": "O-1"}]}, "items"))


@pytest.mark.parametrize("page", [{}, {"items": None}, {"items": {}}, {"items": ["x"]}])
def test_a_page_without_its_list_is_unreadable(page: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="no list of items"):
        pagination.member_list(page, "items")


def test_an_amount_is_read_however_it_is_written() -> None:
    written = ["10.50", Number("10.50"), "45000", None, "ten"]
    assert [Decimal("10.50"), Decimal("10.50"), Decimal(45000), 0, 0] == [responses.as_decimal(one) for one in written]


# --- products ----------------------------------------------------------------------------------------------------


def product(**detail: object) -> Product:
    return responses.parse(Product, exact_json.loads(exact_json.dumps({"code": "AMZ-US", **detail})))


FIXED = product(gift_card={"denominations": {"type": "fixed", "available_list": ["25", "15.0", "12.95"]}})
OPEN = product(gift_card={"denominations": {"type": "open", "minimum_value": "5", "maximum_value": "250.00",
                                            "available_list": None}})  # fmt: skip
PAYMENT = product(payment={"denominations": {"minimum_value": "0.01", "maximum_value": "1000"}})
SUBSCRIPTION = product(
    subscription={
        "subscription_plans": [{"subscription_plan_code": "P-1M"}, {"name": "x"}, {"subscription_plan_code": "P-1Y"}]
    }
)


@pytest.mark.parametrize(
    ("offered", "taken", "refused"),
    [
        (FIXED, ["25.00", "15", "12.95"], ["20", "12.9", "0"]),
        (OPEN, ["5", "5.00", "17.35", "250"], ["4.99", "250.01"]),
        (PAYMENT, ["0.01", "1000"], ["1000.01"]),
        (product(), ["1", "100000"], []),
        (SUBSCRIPTION, ["1"], []),
    ],
)
def test_a_product_takes_the_values_that_the_catalogue_names(
    offered: Product, taken: list[str], refused: list[str]
) -> None:
    assert taken == [value for value in taken + refused if catalogue.takes_value(offered, Decimal(value))]


@pytest.mark.parametrize(
    ("offered", "said"), [(FIXED, "25, 15, 12.95"), (OPEN, "5 to 250"), (PAYMENT, "0.01 to 1000"), (product(), "")]
)
def test_the_values_of_a_product_can_be_said(offered: Product, said: str) -> None:
    assert said == catalogue.describe_denominations(offered)


def test_a_subscription_is_ordered_by_the_codes_of_its_plans() -> None:
    assert ["P-1M", "P-1Y"] == catalogue.plan_codes(SUBSCRIPTION)
    assert [] == catalogue.plan_codes(FIXED)
