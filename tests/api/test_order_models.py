"""What goes to Runa: the bytes, the idempotency key, and every rule that can be checked without asking."""

import csv
import hashlib
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

import runa_cli
from runa_cli.api import canonical, countries, field_rules, order_models
from runa_cli.api.canonical import Stamp, item_json, order_body, plain
from runa_cli.api.order_models import Item, OrderHead
from runa_cli.core.exact_json import Number, dumps, loads
from tests.support.plans import DT, PT

PSR = "PSR-01HPSF51G0ZWHJ3JTNWRH0WDYZ"
EMAIL = {"type": "EMAIL", "email_address": "ann@example.test"}
LINK = {"type": "PAYOUT_LINK"}
SINGLE = {"type": "SINGLE", "value": "AMZ-US"}
CHOICE = {"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]}
TEMPLATE = {"type": "TEMPLATE", "template_id": PT.format("A")}


def gift(face_value: object = Number("10"), method: object = EMAIL, products: object = SINGLE) -> dict[str, Any]:
    return {"face_value": face_value, "distribution_method": method, "products": products}


def delivered(**changes: object) -> dict[str, Any]:
    return gift(method={**EMAIL, **changes})


def to_recipient(**changes: object) -> dict[str, Any]:
    recipient = {"type": "RECIPIENT", "recipient_reference": "panel-7_a.b@c", "email_address": "ann@example.test"}
    return gift(method={name: value for name, value in {**recipient, **changes}.items() if value is not None})


def head(**changes: object) -> dict[str, Any]:
    return {"payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"}, **changes}


def complaints(model: type[Item | OrderHead], document: object) -> list[str]:
    """Return what is wrong with a document, as `path: sentence`."""
    try:
        item = model.model_validate(document)
    except ValidationError as error:
        found = list(order_models.violations(error))
    else:
        found = list(order_models.item_violations(item)) if isinstance(item, Item) else []
    return [f"{'.'.join(map(str, loc))}: {sentence}" for loc, sentence in found]


# --- the bytes ---------------------------------------------------------------------------------------------------


def body(head_document: dict[str, Any], *documents: dict[str, Any], stamp: Stamp | None = None) -> bytes:
    texts = [item_json(Item.model_validate(document))[1] for document in documents]
    return order_body(OrderHead.model_validate(head_document), texts, stamp)


@pytest.mark.parametrize(
    "products", [SINGLE, CHOICE, TEMPLATE, {**SINGLE, "usage_config": {"spend_rules_template_id": PSR}}]
)
@pytest.mark.parametrize("method", [EMAIL, LINK, {**EMAIL, "email_address": "zoë@example.test"}])
def test_an_item_has_the_bytes_of_its_fields(method: object, products: object) -> None:
    """Products are written once for all rows that have them."""
    item = Item.model_validate(gift(Number("20"), method, products))
    for _ in range(2):
        assert (plain(item), dumps(plain(item))) == item_json(item)


_LOCAL = "ab.Z0!#$%&'*+/=?^_`{|}~-\"(), "
_DOMAINS = [
    "e.com",
    "example.test",
    "-a.com",
    "localhost",
    "a..b",
    "",
    "1.2",
    "b@e.com",
    "xn--a.com",
    "a-b.c-d",
    "e.c0",
]


@given(st.text(_LOCAL, max_size=66), st.sampled_from(_DOMAINS) | st.text("aZ0.-", max_size=66))
@example("a" * 65, "e.com")
@example("a" * 64, "e.com")
@example("a", f"{'b' * 62}.{'c' * 62}.{'d' * 62}.{'e' * 60}.com")
@example("a", f"{'b' * 63}.{'c' * 63}")
@example("a", f"{'b' * 64}.com")
@example("a", f"b.{'c' * 64}")
def test_an_address_that_is_not_looked_at_closely_is_one_that_would_pass(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    if field_rules._is_plain_address(address):
        field_rules._email_validator().validate_email(address, check_deliverability=False)


@pytest.mark.parametrize("domain", sorted(field_rules._email_validator().SPECIAL_USE_DOMAIN_NAMES))
def test_a_domain_in_which_nobody_has_an_address_is_refused(domain: str) -> None:
    """Those that the library knows: a later version of it may know more."""
    assert not field_rules._is_plain_address(f"ann@mail.{domain}")
    assert not field_rules._is_plain_address(f"ann@mail.{domain.upper()}")


def test_common_addresses_are_not_looked_at_closely() -> None:
    assert field_rules._is_plain_address("Ann.O'Neil+gifts@mail.example.test")
    assert not any(
        map(field_rules._is_plain_address, ["", "@", "a@", "@e.com", "a@é.com", "a@localhost", '"a b"@e.com'])
    )


def test_an_order_has_one_canonical_form() -> None:
    """A changed byte changes every derived key, and a retry after an update would pay again."""
    expected = (
        b'{"payment_method":{"type":"ACCOUNT_BALANCE","currency":"USD"},"items":[{"face_value":12.50,'
        b'"distribution_method":{"type":"EMAIL","email_address":"ann@example.test","template_id":"DT-01HPSF51G0ZWHJ3'
        b'JTNWRH0WDYA"},"products":{"type":"SINGLE","value":"AMZ-US"}},{"face_value":20,"distribution_method":'
        b'{"type":"PAYOUT_LINK"},"products":{"type":"MULTIPLE","values":["AMZ-US","AMC-US"]}}],'
        b'"description":"Q3 \xe2\x98\x80","metadata":{"batch":"w2","runa_cli_key":"key-1","runa_cli_batch":"Q3 bonus"}}'
    )
    order = head(description="Q3 ☀", metadata={"batch": "w2"})
    mailed = gift(Number("12.50"), {**EMAIL, "template_id": DT.format("A")})
    assert expected == body(order, mailed, gift(Number("20"), LINK, CHOICE), stamp=Stamp("key-1", "Q3 bonus"))


def test_the_order_of_the_fields_in_the_input_does_not_matter() -> None:
    turned = {name: gift()[name] for name in ("products", "face_value", "distribution_method")}
    assert body(head(), gift()) == body(head(), turned)


def test_what_is_absent_stays_absent() -> None:
    expected = {"payment_method", "items"}
    assert expected == loads(body(head(description=None, metadata={}), gift())).keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize("amount", ["0.01", "10", "10.5", "10.50", "1000.00", "123456789.34"])
def test_an_amount_goes_out_exactly_as_written(amount: str) -> None:
    assert f'"face_value":{amount},'.encode() in body(head(), gift(Number(amount)))


def test_a_spend_rules_template_is_sent() -> None:
    products = {**SINGLE, "usage_config": {"spend_rules_template_id": PSR}}
    assert f'"usage_config":{{"spend_rules_template_id":"{PSR}"}}'.encode() in body(head(), gift(products=products))


def test_the_stamp_is_all_that_another_key_changes_in_a_body() -> None:
    """A second attempt after a refusal sends the same order under another key."""
    order = head(description="\u200bhidden", metadata={"a": "b"})
    assert body(order, gift(Number("1.50")), stamp=Stamp("new", "bonus", named=True)) == canonical.with_stamp(
        body(order, gift(Number("1.50")), stamp=Stamp("old", "bonus", named=True)), "new"
    )


@pytest.mark.parametrize(
    ("own", "stamp", "expected"),
    [
        (None, Stamp("k", "Q3 bonus", named=True), "Q3 bonus"),
        ("mine", Stamp("k", "Q3 bonus", named=True), "mine"),
        (None, Stamp("k", "2026-11-25-0a1b"), None),
        (None, None, None),
    ],
)
def test_an_order_of_a_named_batch_has_the_name_as_its_description_unless_it_has_one(
    own: str | None, stamp: Stamp | None, expected: str | None
) -> None:
    document: Any = loads(body(head(description=own), gift(), stamp=stamp))
    assert expected == document.get("description")


@pytest.mark.parametrize(("own", "fits"), [(0, True), (17, True), (18, False)])
def test_the_digest_of_labels_is_left_out_where_the_metadata_is_full(own: int, fits: bool) -> None:
    order = head(metadata={f"k{number}": "v" for number in range(own)} or None)
    document: Any = loads(body(order, gift(), stamp=Stamp("k", "bonus", labels="digest")))
    expected = {"runa_cli_key": "k", "runa_cli_batch": "bonus", **({"runa_cli_labels": "digest"} if fits else {})}
    assert expected == {name: document["metadata"][name] for name in document["metadata"] if "runa" in name}


@pytest.mark.parametrize("text", [b'{"items" : [ ]}', b'{"metadata":{"a":"b"} }', b'{"metadata":null}', b"[1.50]"])
def test_a_body_without_a_stamp_is_never_rewritten(text: bytes) -> None:
    assert text == canonical.with_stamp(text, "new")


# --- the key -----------------------------------------------------------------------------------------------------

PARTS: tuple[Any, ...] = ("playground", "july", 1, 0, "ab" * 32)


def test_the_key_of_an_order_never_changes() -> None:
    """Another derivation would forget every key that was ever sent, and pay again."""
    assert "3125b2c6-807e-5ee2-b33a-7bcc2a05a1c9" == canonical.derive_key(*PARTS)
    assert "9d66f8e9-9d6f-51c1-a991-91be2c13c8ee" == canonical.derive_key("live", "Juli ☀", 2, 1, "00" * 32)


def test_a_key_is_a_uuid_of_version_5() -> None:
    assert 5 == uuid.UUID(canonical.derive_key(*PARTS)).version


@pytest.mark.parametrize(("index", "other"), list(enumerate(["live", "july ", 2, 1, "ab" * 31 + "ac"])))
def test_each_part_of_an_orders_identity_changes_the_key(index: int, other: object) -> None:
    changed: list[Any] = [*PARTS]
    changed[index] = other
    assert canonical.derive_key(*changed) != canonical.derive_key(*PARTS)


def test_parts_that_read_the_same_in_a_row_make_different_keys() -> None:
    assert canonical.derive_key("live", "a", 11, 1, "x") != canonical.derive_key("live", "a", 1, 11, "x")
    assert canonical.derive_key("live", 'a",1', 1, 1, "x") != canonical.derive_key("live", "a", 1, 1, "x")


def test_the_digest_is_the_sha_256_of_the_bytes() -> None:
    assert hashlib.sha256(b"{}").hexdigest() == canonical.sha256_hex(b"{}")


# --- the rules of an item ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        gift(),
        gift(method=LINK),
        gift(method={**LINK, "template_id": DT.format("A")}),
        to_recipient(),
        to_recipient(recipient_reference="r" * 255, template_id=DT.format("A")),
        gift(products=CHOICE),
        gift(products=TEMPLATE),
        gift(Number("10.00"), products=CHOICE),
        gift(Number("10.000")),
        gift(Number("0.01")),
        gift(products={**SINGLE, "value": "VISASL-3M-USD"}),
        gift(products={**SINGLE, "usage_config": {}}),
    ],
)
def test_an_item_that_runa_takes_is_taken(document: dict[str, Any]) -> None:
    assert [] == complaints(Item, document)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (Number("0"), "must be at least 0.01, found 0"),
        (Number("0.001"), "must be at least 0.01, found 0.001"),
        (Number("-5"), "must be at least 0.01, found -5"),
        (Number("10.001"), "must have at most 2 decimal places, found 10.001"),
        (Number("1e-1000"), "must be at least 0.01, found 1e-1000"),
        (Decimal("NaN"), "must be at least 0.01, found NaN"),
        ("10", 'must be a number, found "10"'),
        (True, "must be a number, found true"),
        (None, "must be a number, found null"),
        ([], "must be a number, found a list"),
        ({}, "must be a number, found an object"),
    ],
)
def test_a_face_value_that_runa_refuses_is_refused_here(value: object, sentence: str) -> None:
    assert [f"face_value: {sentence}"] == complaints(Item, gift(value))


def test_decimal_places_count_however_far_out_they_stand() -> None:
    value = Number("10.0000000000000000000000000001")
    assert ["face_value: must have at most 2 decimal places, found " + value.text] == complaints(Item, gift(value))


def test_a_face_value_without_measure_is_refused_with_a_sentence() -> None:
    assert 1 == len(complaints(Item, gift(Number("1e1000000"))))


@pytest.mark.parametrize("products", [CHOICE, TEMPLATE])
def test_a_choice_of_products_takes_whole_numbers_only(products: dict[str, Any]) -> None:
    expected = ["face_value: must be a whole number for a choice of products, found 10.50"]
    assert expected == complaints(Item, gift(Number("10.50"), products=products))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, ["face_value: is missing", "distribution_method: is missing", "products: is missing"]),
        ({**gift(), "currency": "USD"}, ["currency: is not a field Runa knows"]),
        (gift(method="EMAIL"), ['distribution_method: must be an object, found "EMAIL"']),
        (gift(method={}), ["distribution_method: needs a type"]),
        (
            gift(method={"type": "PIGEON"}),
            ["distribution_method: must have a type of 'EMAIL', 'PAYOUT_LINK', 'RECIPIENT', found \"PIGEON\""],
        ),
        (gift(method={"type": "EMAIL"}), ["distribution_method.email_address: is missing"]),
        (
            gift(method={**LINK, "email_address": "ann@example.test"}),
            ["distribution_method.email_address: is not a field Runa knows"],
        ),
        (delivered(email_address=5), ["distribution_method.email_address: must be text, found 5"]),
        (to_recipient(email_address=None), ["distribution_method.email_address: is missing"]),
        (to_recipient(recipient_reference=None), ["distribution_method.recipient_reference: is missing"]),
        (gift(products={**SINGLE, "values": ["A-US"]}), ["products.values: is not a field Runa knows"]),
        (gift(products={"type": "SINGLE"}), ["products.value: is missing"]),
        (gift(products={"type": "MULTIPLE"}), ["products.values: is missing"]),
        (gift(products={"type": "TEMPLATE"}), ["products.template_id: is missing"]),
        (
            gift(products={**SINGLE, "usage_config": {"spend_rules_template_id": "PSR-1"}}),
            ['products.usage_config.spend_rules_template_id: must be PSR- and 26 letters and digits, found "PSR-1"'],
        ),
    ],
)
def test_a_field_that_breaks_the_shape_is_named(document: dict[str, Any], expected: list[str]) -> None:
    found = complaints(Item, document)
    assert expected == found


@pytest.mark.parametrize(
    "address", ["ann@example.com", "a.b+panel@sub.example.co.uk", "x@y.test", "x@y.invalid", "zoë@bücher.example"]
)
def test_an_address_that_can_be_one_is_taken_as_it_is(address: str) -> None:
    """The reserved test domains are how the playground is tried without mailing anybody."""
    assert address == Item.model_validate(delivered(email_address=address)).address


@pytest.mark.parametrize(
    "address",
    [
        "", "ann", "ann@", "@example.com", "ann@@example.com", "ann@example", "ann@example.com.", "a b@example.com",
        "ann@example.com, bob@example.com", "Ann <ann@example.com>", "ann@example..com", "ann@localhost", " a@b.test",
        "a\n@b.test", "a@b.test\nBcc: x@y.test",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_one_is_refused(address: str) -> None:
    (found,) = complaints(Item, delivered(email_address=address))
    assert found.startswith(
        f"distribution_method.email_address: is not an e-mail address: {field_rules.quoted(address)} ("
    )


@pytest.mark.parametrize("reference", ["", "a b", "a/b", "ä", "r" * 256, "a\n"])
def test_a_recipient_reference_takes_only_the_characters_runa_allows(reference: str) -> None:
    (found,) = complaints(Item, to_recipient(recipient_reference=reference))
    assert found == (
        "distribution_method.recipient_reference: must be 1 to 255 letters, digits, dashes, underscores, dots and"
        f" at-signs, found {field_rules.quoted(reference)}"
    )


@pytest.mark.parametrize("template", ["", "DT-", "dt-01HPSF51G0ZWHJ3JTNWRH0WDYA", DT.format("I"), DT.format("AA")])
def test_a_redemption_template_must_look_like_one(template: str) -> None:
    (found,) = complaints(Item, delivered(template_id=template))
    assert found.startswith("distribution_method.template_id: takes a redemption template (DT- and 26 letters and")
    assert found.endswith(f"found {field_rules.quoted(template)}")


def test_templates_that_are_swapped_are_recognised() -> None:
    (redemption,) = complaints(Item, delivered(template_id=PT.format("A")))
    (product,) = complaints(Item, gift(products={**TEMPLATE, "template_id": DT.format("A")}))
    assert redemption == (
        f'distribution_method.template_id: takes a redemption template (DT-…), found "{PT.format("A")}":'
        " DT- and PT- are swapped"
    )
    assert product == (
        f'products.template_id: takes a product template (PT-…), found "{DT.format("A")}": PT- and DT- are swapped'
    )


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        ("AMZ-US", 'must be a list of product codes, found "AMZ-US"'),
        ([], "must name at least 2 products for a choice, found 0"),
        (["AMZ-US"], "must name at least 2 products for a choice, found 1"),
        (["AMZ-US", "AMC-US", "AMZ-US"], "must name different products, found AMZ-US twice"),
        (["AMZ-US", ""], 'must be a product code such as AMZ-US, found ""'),
        (["AMZ-US", 7], "must be text, found 7"),
    ],
)
def test_a_choice_names_different_products(codes: object, sentence: str) -> None:
    assert [f"products.values: {sentence}"] == complaints(Item, gift(products={"type": "MULTIPLE", "values": codes}))


@pytest.mark.parametrize("code", ["", "AMZ US", "AMZ-US|AMC-US", "ÄMZ-US", "A" * 101, "AMZ-US\n"])
def test_a_product_code_is_one_plain_word(code: str) -> None:
    expected = f"products.value: must be a product code such as AMZ-US, found {field_rules.quoted(code)}"
    assert [expected] == complaints(Item, gift(products={**SINGLE, "value": code}))


@pytest.mark.parametrize("code", [PT.format("A"), DT.format("A"), "pt-x"])
def test_a_template_is_no_product(code: str) -> None:
    (found,) = complaints(Item, gift(products={**SINGLE, "value": code}))
    assert found.startswith(f'products.value: must be a product code, found the template "{code}"')


# --- the rules of an order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"payment_method": None}, "payment_method: must be an object, found null"),
        ({"payment_method": {"currency": "USD"}}, "payment_method.type: is missing"),
        (
            {"payment_method": {"type": "CARD", "currency": "USD"}},
            "payment_method.type: must be 'ACCOUNT_BALANCE', found \"CARD\"",
        ),
        (
            {"payment_method": {"type": "ACCOUNT_BALANCE", "currency": "usd"}},
            'payment_method.currency: must be a currency code such as USD, found "usd"',
        ),
        ({"description": "x" * 129}, "description: must have at most 128 characters, found 129"),
        ({"description": 5}, "description: must be text, found 5"),
        (
            {"description": "\ud800"},
            "description: contains an invalid character (a lone surrogate)",
        ),
        ({"metadata": []}, "metadata: must be an object of text values, found a list"),
        ({"metadata": {str(n): "" for n in range(21)}}, "metadata: must have at most 20 pairs, found 21"),
        ({"metadata": {"k" * 41: ""}}, f'metadata: keys must have at most 40 characters, found "{"k" * 41}"'),
        ({"metadata": {"k": "v" * 201}}, 'metadata: values must have at most 200 characters, found 201 for "k"'),
        ({"metadata": {"k": Number("5")}}, 'metadata: values must be text, found 5 for "k"'),
        ({"metadata": {"k": None}}, 'metadata: values must be text, found null for "k"'),
    ],
)
def test_a_part_of_an_order_that_breaks_a_rule_is_named(changes: dict[str, Any], expected: str) -> None:
    assert [expected] == complaints(OrderHead, head(**changes))


def test_an_order_may_be_as_large_as_runa_allows() -> None:
    metadata = {f"{n:02}" + "k" * 38: "v" * 200 for n in range(20)}
    assert [] == complaints(OrderHead, head(description="ü" * 128, metadata=metadata))


# --- what a code tells -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "currency", "country"),
    [
        ("AMZ-US", "USD", "US"),
        ("ADAS-DE", "EUR", "DE"),
        ("X-Y-BG", "EUR", "BG"),
        ("ASABR-JP", "JPY", "JP"),
        ("VISARL-USD", "USD", None),
        ("VISASL-3M-EUR", "EUR", None),
        ("AMZ-XX", None, None),
        ("AMZ-us", None, None),
        ("NOSUFFIX", None, None),
    ],
)
def test_a_product_code_tells_its_currency_and_country(code: str, currency: str | None, country: str | None) -> None:
    assert (currency, country) == (countries.code_currency(code), countries.code_country(code))


@pytest.mark.parametrize(
    "country", ["AT", "BE", "BG", "DE", "ES", "FI", "FR", "GR", "IE", "IT", "LU", "NL", "PT", "SI"]
)
def test_a_country_of_the_euro_pays_in_euro(country: str) -> None:
    assert "EUR" == countries.code_currency(f"SHOP-{country}")


def test_every_code_of_a_real_catalogue_tells_the_currency_that_the_catalogue_says() -> None:
    with (Path(runa_cli.__file__).parent / "emulator/products.csv").open(encoding="utf-8", newline="") as stream:
        products = list(csv.DictReader(stream))
    assert products
    assert [(row["code"], row["currency"]) for row in products] == [
        (row["code"], countries.code_currency(row["code"])) for row in products
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", '"a"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        (Number("1.50"), "1.50"),
        (None, "null"),
        ([1], "a list"),
        ({}, "an object"),
        ("x" * 80, '"' + "x" * 56 + "..."),
    ],
)
def test_what_was_found_fits_into_a_sentence(value: object, shown: str) -> None:
    assert shown == field_rules.quoted(value)
