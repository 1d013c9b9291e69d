"""What the same gift is: what is compared, and what makes no difference."""

from collections.abc import Mapping
from typing import Any

import pytest

from runa_cli.core.identity import (
    GiftIdentity,
    Payee,
    fingerprint,
    identify,
    labels_digest,
    name_key,
    normalized_address,
    normalized_text,
    payee,
    same_name,
)


def identity(
    value: str = "25",
    email: str | None = "ann@example.com",
    products: Any = "AMZ-US",
    *,
    currency: str = "USD",
    reference: str | None = None,
    carried: tuple[str, ...] = (),
    **method: str,
) -> GiftIdentity:
    kind = {"type": "PAYOUT_LINK"} if email is None else {"type": "EMAIL", "email_address": email}
    choice = (
        {"type": "SINGLE", "value": products}
        if isinstance(products, str)
        else products
        if isinstance(products, dict)
        else {"type": "MULTIPLE", "values": products}
    )
    item = {"face_value": value, "distribution_method": {**kind, **method}, "products": choice}
    return identify(item, currency, reference, carried)


@pytest.mark.parametrize(
    "other",
    [
        identity("25.00"),
        identity("25.0"),
        identity(email=" Ann@Example.COM "),
        identity(template_id="DT-01HPSF51G0ZWHJ3JTNWRH0WDYK"),
        identity(carried=("north",)),
        identity(products={"type": "SINGLE", "value": "AMZ-US", "usage_config": {"spend_rules_template_id": "PSR"}}),
    ],
)
def test_spelling_and_what_is_not_the_gift_make_no_difference(other: GiftIdentity) -> None:
    assert identity() == other


@pytest.mark.parametrize(
    "other",
    [
        identity("25.01"),
        identity(email="ben@example.com"),
        identity(email=None),
        identity(products="AIRBNB-US"),
        identity(products=["AMZ-US", "AIRBNB-US"]),
        identity(products={"type": "TEMPLATE", "template_id": "AMZ-US"}),
        identity(currency="EUR"),
        identity(type="RECIPIENT", recipient_reference="panel-7"),
    ],
)
def test_another_recipient_value_currency_or_choice_is_another_gift(other: GiftIdentity) -> None:
    assert identity().gift != other.gift
    assert not identity().may_be(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (identity(reference="007"), identity(reference="7")),
        (identity(reference="7"), identity(reference="7.0")),
        (identity(reference="000"), identity(reference="0")),
        (identity(reference="e001"), identity(reference="E001")),
        (identity(email=None, reference="007"), identity(email=None, reference="7")),
        (identity(email=None, carried=("007", "Ann")), identity(email=None, carried=("7", "ANN"))),
        (
            identity(type="RECIPIENT", recipient_reference="007"),
            identity(type="RECIPIENT", recipient_reference="7"),
        ),
    ],
)
def test_a_reference_that_a_spreadsheet_saved_otherwise_may_be_the_same_gift(
    one: GiftIdentity, other: GiftIdentity
) -> None:
    assert not one.may_be(other)
    assert one.is_respelled(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (identity(reference="7"), identity(reference="70")),
        (identity(reference="100"), identity(reference="1")),
        (identity(reference="E001"), identity(reference="E1")),
        (identity(reference="7.5"), identity(reference="7")),
        (identity(reference="007"), identity("26", reference="7")),
        (identity(reference="007"), identity(email="ben@example.com", reference="7")),
        (identity(email=None, reference="007"), identity(email=None, reference="8")),
        (identity(email=None, reference="cat"), identity(email=None, carried=("cat",))),
    ],
)
def test_another_reference_is_another_gift(one: GiftIdentity, other: GiftIdentity) -> None:
    assert not one.may_be(other)
    assert not one.is_respelled(other)


@pytest.mark.parametrize(
    ("one", "other"), [(identity(), identity("25.0")), (identity(reference="007"), identity(reference=" 007"))]
)
def test_what_is_the_same_is_not_called_respelled(one: GiftIdentity, other: GiftIdentity) -> None:
    assert one.may_be(other)
    assert not one.is_respelled(other)


def test_a_choice_is_a_set() -> None:
    assert identity(products=["AMZ-US", "AIRBNB-US"]) == identity(products=["AIRBNB-US", "AMZ-US"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@B\u00fccher.de", "ann@xn--bcher-kva.de"),
        ("\u00e9ve@example.com", "e\u0301ve@example.com"),
        ("ann@example.com\u200b", "ann@example.com"),
        ("\u00a0ann@example.com", "ANN@EXAMPLE.COM"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(one: str, other: str) -> None:
    assert normalized_address(one) == normalized_address(other)
    assert identity(email=one) == identity(email=other)


def test_two_references_make_two_gifts_and_none_may_be_any() -> None:
    first, second, none = (identity(reference=reference) for reference in ("E001", "E002", None))
    assert not first.may_be(second)
    assert first.may_be(none)
    assert none.may_be(second)
    assert first.may_be(identity(reference=" E001\u200b"))


def test_a_link_is_its_label_the_reference_or_else_all_carried_cells_in_any_order() -> None:
    ann = identity(email=None, reference="E001", carried=("Ann",))
    assert ann.gift != identity(email=None, reference="E002", carried=("Ann",)).gift
    assert ann.gift == identity(email=None, reference="E001", carried=("Anne",)).gift
    unnamed = identity(email=None, carried=("Ann", "north", ""))
    assert unnamed.gift == identity(email=None, carried=("north", " Ann")).gift
    assert unnamed.gift != identity(email=None, carried=("Ben", "north")).gift
    assert ann.gift != unnamed.gift


def test_names_of_batches_differ_in_more_than_blanks_and_invisible_characters() -> None:
    spelled = ("bonus 2026", " bonus  2026", "bonus\u00a02026", "bonus\u200b 2026")
    assert {"bonus 2026"} == set(map(normalized_text, spelled))
    assert same_name("\u00e9t\u00e9", "e\u0301te\u0301")
    assert not same_name("bonus", "Bonus")
    assert name_key("bonus") == name_key("Bonus")


@pytest.mark.parametrize(
    ("gift", "expected"),
    [
        (
            identity("25.00", " Ann@Example.COM ", reference="E-007", carried=("North",)),
            (
                "d19f6bcfba17a1a34540c59100a167a7",
                "475828493adfecff903faacfe6ccf767",
                "0b812606e3487c876caf356a290a764e",
            ),
        ),
        (
            identity("25", "zoë@bücher.example", ["B-US", "A-US"]),
            ("1de8a0713412ebd3d88b9bf4295aeff3", "", ""),
        ),
        (
            identity(
                "10", "a@b.test", {"type": "TEMPLATE", "template_id": "PT-1"}, currency="EUR", reference="x",
                type="RECIPIENT", recipient_reference="panel 7",
            ),
            (
                "eebc973c0919db136297b692df5154e5",
                "ba2df4903a2c14e86dc3bcca58911b44",
                "15d3423886b3c3eeb4a2196010815aae",
            ),
        ),
        (
            identity("10.50", None, carried=('Zoë "Q"\x7f', "007", "")),
            ("46ab8cbf092fa501e3762889e1fa962e", "", "2682e748416081822b3482addfd2c746"),
        ),
        (
            identity("10.50", None, reference="007", carried=("a",)),
            (
                "277379284e29d295426fc9af6dfb3b80",
                "82c4f652a2eaf8aaa4bcb2f37f7342e0",
                "87a158a48364c9922f912b5520802ab1",
            ),
        ),
    ],
)  # fmt: skip
def test_digests_stay_what_ledgers_hold(gift: GiftIdentity, expected: tuple[str, str, str]) -> None:
    """With another digest of the same gift, a ledger would not know that it was issued."""
    assert expected == (gift.gift, gift.reference, gift.alike)


def test_digests_of_lists_stay_what_ledgers_hold() -> None:
    assert "4d24ea62fd2fb47a0cbbc411ead65d59f6ee39e2c2010ed1c56b5d32b43bb6b9" == fingerprint([("a", "b"), ("c", "")])
    assert "5b8b023a8066301258d7506801c80968" == labels_digest(["x", [["team", "Zoë"]]])


EMAIL = {"type": "EMAIL", "email_address": "Fred@Example.com"}
LINK = {"type": "PAYOUT_LINK"}


def who(method: Mapping[str, str], reference: str | None = None, *carried: str) -> Payee:
    return payee({"distribution_method": method}, reference, carried)


def test_a_recipient_by_address_is_the_same_however_the_address_is_written() -> None:
    fred = who(EMAIL).by_email
    assert {fred} == {
        who({"type": "EMAIL", "email_address": "FRED@example.com "}).by_email,
        who(EMAIL, "E001").by_email,
        who(LINK, "fred@example.com").by_email,
        who(LINK, None, "Fred", "Fred@example.com", "north").by_email,
    }
    assert fred != who({"type": "EMAIL", "email_address": "ben@example.com"}).by_email


def test_a_recipient_by_reference_is_the_same_as_a_spreadsheet_may_write_it() -> None:
    assert who(EMAIL, "007").by_reference == who(LINK, "7").by_reference
    assert who(EMAIL, "E7").by_reference == who(LINK, " e7").by_reference
    assert who(EMAIL, "E7").by_reference != who(EMAIL, "E8").by_reference
    assert who(EMAIL).by_reference == who(LINK, "fred@example.com").by_reference
    known = {"type": "RECIPIENT", "recipient_reference": "E7", "email_address": "fred@example.com"}
    assert who(EMAIL, "E7").by_reference == who(known, "R1").by_reference


def test_a_link_that_names_nobody_is_for_no_recipient() -> None:
    assert Payee() == who(LINK, None, "", " ")
    assert Payee() != who(LINK, None, "Ann")
    assert who(LINK, None, "Ann", "north") == who(LINK, None, "north", "ann")
