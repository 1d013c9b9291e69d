"""Mistakes in the body of a request are all named, each with its place."""

import json
from typing import Any

import pytest

from tests.emulator.calls import Caller, item, kind, order, parsed

DT = "DT-01HPSF51G0ZWHJ3JTNWRH0WDY{}"
PT = "PT-01HPSF51G0ZWHJ3JTNWRH0WDY{}"


def mistakes(caller: Caller, body: object, mode: str = "async") -> list[tuple[str, str]]:
    answer = caller.post(body, mode=mode)
    assert kind(answer) == (422, "validation_error")
    return [(".".join(detail["location"]), detail["type"]) for detail in parsed(answer)["details"]]


def changed(**fields: object) -> dict[str, Any]:
    return order({**item(), **fields})


def delivered(**fields: object) -> dict[str, Any]:
    return changed(distribution_method=fields)


def chosen(**fields: object) -> dict[str, Any]:
    return changed(products=fields)


def templated(form: str, field: str) -> dict[str, Any]:
    """Return an order of eleven items, each with a template of its own."""
    ids = [form.format(last) for last in "0123456789A"]
    if field == "products":
        return order(*({**item(), field: {"type": "TEMPLATE", "template_id": template}} for template in ids))
    return order(*({**item(), field: {"type": "PAYOUT_LINK", "template_id": template}} for template in ids))


ANN = "ann@example.test"
ITEM = "body.items.0"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [("body", "model_attributes_type")]),
        ({}, [("body.payment_method", "missing"), ("body.items", "missing")]),
        (order() | {"payment_method": 1}, [("body.payment_method", "model_attributes_type")]),
        (
            order() | {"payment_method": {}},
            [("body.payment_method.type", "missing"), ("body.payment_method.currency", "missing")],
        ),
        (
            order() | {"payment_method": {"type": "CARD", "currency": "usd"}},
            [("body.payment_method.type", "enum"), ("body.payment_method.currency", "string_pattern_mismatch")],
        ),
        (order() | {"items": []}, [("body.items", "too_short")]),
        (order() | {"items": {}}, [("body.items", "list_type")]),
        (order(*[item()] * 201), [("body.items", "too_long")]),
        (order() | {"items": ["x"]}, None),
        (order(description="x" * 129), [("body.description", "string_too_long")]),
        (order(description=5), [("body.description", "string_type")]),
        (order(metadata=[]), [("body.metadata", "model_attributes_type")]),
        (order(metadata={str(n): "" for n in range(21)}), [("body.metadata", "too_long")]),
        (order(metadata={"k" * 41: ""}), [("body.metadata." + "k" * 41, "string_too_long")]),
        (order(metadata={"k": "v" * 201}), [("body.metadata.k", "string_too_long")]),
        (order(metadata={"k": 1}), [("body.metadata.k", "string_type")]),
        (changed(face_value="10"), [(f"{ITEM}.face_value", "decimal_type")]),
        (changed(face_value=True), [(f"{ITEM}.face_value", "decimal_type")]),
        (changed(face_value=None), [(f"{ITEM}.face_value", "decimal_type")]),
        (changed(face_value=0), [(f"{ITEM}.face_value", "greater_than_equal")]),
        (changed(face_value=-5), [(f"{ITEM}.face_value", "greater_than_equal")]),
        (changed(face_value=1e30), [(f"{ITEM}.face_value", "less_than_equal")]),
        (changed(face_value=10.001), [(f"{ITEM}.face_value", "decimal_max_places")]),
        (delivered(), [(f"{ITEM}.distribution_method.type", "missing")]),
        (delivered(type="PIGEON"), [(f"{ITEM}.distribution_method.type", "enum")]),
        (delivered(type="EMAIL"), [(f"{ITEM}.distribution_method.email_address", "missing")]),
        (
            delivered(type="EMAIL", email_address="ann at home"),
            [(f"{ITEM}.distribution_method.email_address", "string_pattern_mismatch")],
        ),
        (
            delivered(type="PAYOUT_LINK", template_id="DT-1"),
            [(f"{ITEM}.distribution_method.template_id", "string_pattern_mismatch")],
        ),
        (
            delivered(type="RECIPIENT", recipient_reference="a b", email_address=ANN),
            [(f"{ITEM}.distribution_method.recipient_reference", "string_pattern_mismatch")],
        ),
        (
            delivered(type="RECIPIENT", recipient_reference="a" * 256, email_address=ANN),
            [(f"{ITEM}.distribution_method.recipient_reference", "string_too_long")],
        ),
        (chosen(type="SINGLE"), [(f"{ITEM}.products.value", "missing")]),
        (chosen(type="SINGLE", value=""), [(f"{ITEM}.products.value", "string_too_short")]),
        (
            chosen(type="SINGLE", value="AMC-US", usage_config={"spend_rules_template_id": "x"}),
            [(f"{ITEM}.products.usage_config.spend_rules_template_id", "string_pattern_mismatch")],
        ),
        (chosen(type="MULTIPLE", values=["AMC-US"]), [(f"{ITEM}.products.values", "too_short")]),
        (chosen(type="MULTIPLE", values=["AMC-US"] * 2), [(f"{ITEM}.products.values", "value_error")]),
        (chosen(type="MULTIPLE", values="AMC-US"), [(f"{ITEM}.products.values", "list_type")]),
        (chosen(type="MULTIPLE", values=["AMC-US", 1]), [(f"{ITEM}.products.values.1", "string_type")]),
        (
            order({**item(10.5), "products": {"type": "MULTIPLE", "values": ["AMC-US", "1800FL-US"]}}),
            [(f"{ITEM}.face_value", "int_from_float")],
        ),
        (
            chosen(type="TEMPLATE", template_id="PT-l"),
            [(f"{ITEM}.products.template_id", "string_pattern_mismatch")],
        ),
        (templated(DT, "distribution_method"), [("body.items", "value_error")]),
        (templated(PT, "products"), [("body.items", "value_error")]),
    ],
)
def test_a_mistake_is_named_with_its_place(
    caller: Caller, body: object, expected: list[tuple[str, str]] | None
) -> None:
    found = mistakes(caller, body)
    assert expected == found if expected is not None else (ITEM, "model_attributes_type") in found


def test_all_mistakes_come_at_once(caller: Caller) -> None:
    body = order(item("x"), {**item(), "products": {"type": "NONE"}}, description="x" * 200)
    assert mistakes(caller, body) == [
        ("body.items.0.face_value", "decimal_type"),
        ("body.items.1.products.type", "enum"),
        ("body.description", "string_too_long"),
    ]


def test_a_sync_order_has_one_item(caller: Caller) -> None:
    assert mistakes(caller, order(item(), item()), mode="sync") == [("body.items", "too_long")]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000, b"\xef\xbb\xbf{}", b"9" * 5000], ids=repr
)
def test_a_body_that_is_no_json_is_a_bad_request(caller: Caller, body: bytes) -> None:
    assert kind(caller.post(body)) == (400, "bad_request")


def test_limits_themselves_are_allowed(caller: Caller) -> None:
    metadata = {f"{n:040}": "v" * 200 for n in range(20)}
    assert caller.post(order(*[item()] * 200, description="x" * 128, metadata=metadata), mode="async").status == 202


def test_fields_that_are_not_in_the_schema_are_ignored(caller: Caller) -> None:
    made = parsed(caller.post(order({**item(), "colour": "red"}, wish="luck")))
    assert "colour" not in made["items"][0]


def test_amounts_never_pass_through_binary_floats(caller: Caller) -> None:
    body = json.dumps(order(item(0))).replace('"face_value": 0', '"face_value": 99.99').encode()
    assert parsed(caller.post(body))["total_price"] == "99.99"


def test_null_stands_for_no_description_and_no_metadata(caller: Caller) -> None:
    assert caller.post(order(description=None, metadata=None)).status == 200
