"""Flags become one order, and every mistake in them is named with its flag."""

from decimal import Decimal
from typing import Any

import pytest

from runa_cli.input.plan import Plan
from runa_cli.input.reader import from_flags
from runa_cli.input.request import OrderInput
from tests.support.plans import DT, PT, bodies, gifts, mistakes, orders, refused, sums


def flags(**given: Any) -> Plan:
    return from_flags(OrderInput(**{"face_value": "10", "products": ("AMZ-US",), **given}))


def test_one_gift_makes_one_order_as_runa_takes_it() -> None:
    expected = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [
            {
                "face_value": Decimal("12.50"),
                "distribution_method": {"type": "EMAIL", "email_address": "ann@example.test"},
                "products": {"type": "SINGLE", "value": "AMZ-US"},
            }
        ],
    }
    assert [expected] == bodies(flags(face_value="12.50", emails=("ann@example.test",)))


def test_everything_that_flags_can_say_reaches_the_order() -> None:
    (body,) = bodies(
        flags(
            emails=("ann@example.test",), recipient="panel-7", template_id=DT.format("A"), description="Q3 = spring",
            metadata=("team=panel", "formula=a=b", "empty="), products=("AMZ-US", "AMC-US"),
        )
    )  # fmt: skip
    expected = {
        "type": "RECIPIENT", "recipient_reference": "panel-7", "email_address": "ann@example.test",
        "template_id": DT.format("A"),
    }  # fmt: skip
    assert expected == body["items"][0]["distribution_method"]
    assert {"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]} == body["items"][0]["products"]
    assert ("Q3 = spring", {"team": "panel", "formula": "a=b", "empty": ""}) == (body["description"], body["metadata"])


def test_each_address_makes_an_item_of_its_own_in_the_order_given() -> None:
    addresses = ("bob@example.test", "ann@example.test", "bob@example.test")
    (order,) = orders(flags(emails=addresses))
    assert [1, 2, 3] == [gift.row for gift in order.gifts]
    (body,) = bodies(flags(emails=addresses))
    assert list(addresses) == [item["distribution_method"]["email_address"] for item in body["items"]]


def test_without_an_address_the_quantity_makes_that_many_links() -> None:
    (body,) = bodies(flags(quantity="3"))
    assert [{"type": "PAYOUT_LINK"}] * 3 == [item["distribution_method"] for item in body["items"]]


def test_a_product_template_is_a_choice_that_needs_the_currency_said() -> None:
    template = PT.format("A")
    (body,) = bodies(flags(products=(), product_template=template, currency="GBP"))
    assert ("GBP", {"type": "TEMPLATE", "template_id": template}) == (
        body["payment_method"]["currency"],
        body["items"][0]["products"],
    )


@pytest.mark.parametrize(("code", "currency"), [("AMZ-US", "USD"), ("BAW-GB", "GBP"), ("ADAS-DE", "EUR")])
def test_the_products_currency_pays_where_none_is_said(code: str, currency: str) -> None:
    (body,) = bodies(flags(products=(code,)))
    assert currency == body["payment_method"]["currency"]


@pytest.mark.parametrize(
    ("given", "untold"),
    [
        ({"products": ("NOBODY-KNOWS",)}, "--product: no currency can be told from NOBODY-KNOWS: check the code, or"),
        (
            {"products": (), "product_template": PT.format("A")},
            "--product-template: no currency can be told from a saved selection:",
        ),
    ],
)
def test_a_currency_that_cannot_be_told_is_asked_for(given: dict[str, Any], untold: str) -> None:
    assert [f"{untold} say which balance pays with --currency."] == mistakes(lambda: flags(**given))


@pytest.mark.parametrize(
    ("typed", "sent"), [("10", "10"), ("10.50", "10.50"), ("0.10", "0.10"), ("007.50", "7.50"), ("0010", "10")]
)
def test_an_amount_goes_out_as_it_was_typed(typed: str, sent: str) -> None:
    """Zeros in front are no JSON; everything else stays."""
    (gift,) = gifts(flags(face_value=typed))
    assert gift.item.startswith(f'{{"face_value":{sent},')


def test_the_total_adds_up_to_the_cent() -> None:
    assert {"USD": Decimal("0.30")} == sums(flags(face_value="0.10", quantity="3"))


@pytest.mark.parametrize(
    "amount",
    [
        "ten",
        "",
        "1,50",
        "1.500",
        "1.",
        ".5",
        "+1",
        "1e2",
        "0x10",
        "1_000",
        "$10",
        "1 0",
        "\uff11\uff10",
        "1.5.0",
        "NaN",
    ],
)
def test_an_amount_in_other_than_plain_digits_is_refused_with_what_was_found(amount: str) -> None:
    (mistake,) = mistakes(lambda: flags(face_value=amount))
    assert mistake.startswith(f'--face-value: must be a number, found "{amount}"')


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"face_value": None}, "--face-value: is missing."),
        ({"face_value": "0"}, "--face-value: must be at least 0.01, found 0."),
        ({"face_value": "1.0005"}, "--face-value: must have at most 2 decimal places, found 1.0005."),
        ({"products": ()}, "--product: is missing."),
        ({"products": ("AMZ US",)}, '--product: must be a product code such as AMZ-US, found "AMZ US".'),
        ({"products": ("A-US", "A-US")}, "--product: must name different products, found A-US twice."),
        (
            {"products": ("AMZ-US", "BAW-GB")},
            "--product: must all be of one currency, found AMZ-US (USD), BAW-GB (GBP).",
        ),
        (
            {"products": ("ADAS-DE", "ABBON-IT")},
            "--product: must all be of one country, found ADAS-DE (DE), ABBON-IT (IT).",
        ),
        ({"recipient": "panel-7"}, "--email: is missing."),
        ({"currency": "usd"}, '--currency: must be a currency code such as USD, found "usd".'),
        ({"description": "x" * 129}, "--description: must have at most 128 characters, found 129."),
        ({"metadata": ("team",)}, '--metadata: must be KEY=VALUE, found "team".'),
        ({"metadata": ("=panel",)}, '--metadata: must be KEY=VALUE, found "=panel".'),
        ({"metadata": ("a=1", "a=2")}, '--metadata: names "a" twice.'),
        (
            {"metadata": ("k=" + "v" * 201,)},
            '--metadata: values must have at most 200 characters, found 201 for "k".',
        ),
        (
            {"metadata": ("runa_cli_key=mine",)},
            "--metadata: must not name runa_cli_key: this program stamps orders with it.",
        ),
        (
            {"metadata": ("runa_cli_batch=mine",)},
            "--metadata: must not name runa_cli_batch: this program stamps orders with it.",
        ),
        ({"quantity": "0"}, '--quantity: must be a whole number from 1 to 100000, found "0".'),
        ({"quantity": "2.5"}, '--quantity: must be a whole number from 1 to 100000, found "2.5".'),
        ({"quantity": "-1"}, '--quantity: must be a whole number from 1 to 100000, found "-1".'),
        ({"quantity": "9" * 5000}, f'--quantity: must be a whole number from 1 to 100000, found "{"9" * 56}....'),
    ],
)
def test_a_mistake_is_named_with_its_flag_and_what_was_found(given: dict[str, Any], expected: str) -> None:
    assert [expected] == mistakes(lambda: flags(**given))


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"emails": ("ann at home",)}, "--email: is not an e-mail address"),
        ({"emails": ("ann@example.test",), "recipient": "a b"}, "--recipient: must be 1 to 255 letters"),
        ({"template_id": "DT-1"}, "--template-id: takes a redemption template"),
        ({"products": (), "product_template": "PT-1", "currency": "USD"}, "--product-template: takes a product templ"),
        ({"products": ("PT-1",)}, '--product: must be a product code, found the template "PT-1"'),
        ({"face_value": "10.50", "products": ("A-US", "B-US")}, "--face-value: must be a whole number for a choice"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_flag(given: dict[str, Any], flag: str) -> None:
    (found,) = mistakes(lambda: flags(**given))
    assert flag == found[: len(flag)]


def test_every_mistake_is_named_at_once() -> None:
    found = mistakes(lambda: flags(face_value="ten", emails=("ann",), template_id="x", metadata=("team",)))
    assert {"--face-value", "--email", "--template-id", "--metadata"} == {line.partition(":")[0] for line in found}


def test_a_mistake_that_all_items_share_is_named_once() -> None:
    assert 1 == len(mistakes(lambda: flags(face_value="ten", quantity="200")))


def test_an_error_tells_programs_where_and_people_that_nothing_was_sent() -> None:
    error = refused(lambda: flags(face_value="ten"))
    assert [{"flag": "--face-value", "message": 'must be a number, found "ten".'}] == error.details
    assert (3, "invalid_input", "not_issued") == (error.exit_code, error.code, error.money)
    assert "Nothing was sent or recorded." == error.hint


# --- limits ------------------------------------------------------------------------------------------------------


def test_two_hundred_items_fit_into_one_order() -> None:
    (order,) = orders(flags(quantity="200"))
    assert 200 == len(order.gifts)


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"quantity": "201"}, "--quantity"),
        ({"emails": tuple(f"p{number}@example.test" for number in range(201))}, "--email"),
    ],
)
def test_more_than_one_order_from_flags_says_to_use_a_file(given: dict[str, Any], flag: str) -> None:
    expected = f"{flag}: makes 201 items, but one order holds at most 200: use --file, which makes several."
    assert [expected] == mistakes(lambda: flags(**given))


@pytest.mark.parametrize("mode", ["auto", "async"])
def test_several_items_go_in_one_order_unless_sync_is_asked_for(mode: str) -> None:
    (order,) = orders(flags(quantity="2", mode=mode))
    assert 2 == len(order.gifts)


def test_sync_takes_one_item() -> None:
    assert ["--mode: sync takes one item an order, found 2."] == mistakes(lambda: flags(quantity="2", mode="sync"))


@pytest.mark.parametrize(("count", "surplus"), [(19, "one"), (20, "two")])
def test_the_stamp_takes_two_of_the_twenty_pairs_of_metadata(count: int, surplus: str) -> None:
    pairs = tuple(f"k{number}=v" for number in range(count))
    expected = f"--metadata: has {count} pairs, and the stamp takes two more: leave {surplus} out, or use --no-stamp."
    assert [expected] == mistakes(lambda: flags(metadata=pairs))
    (body,) = bodies(flags(metadata=pairs, stamp=False))
    assert count == len(body["metadata"])
    (body,) = bodies(flags(metadata=pairs[:18]))
    assert 18 == len(body["metadata"])


# --- another currency --------------------------------------------------------------------------------------------


def test_paying_in_another_currency_is_refused_unless_it_is_meant() -> None:
    (found,) = mistakes(lambda: flags(currency="GBP"))
    assert found.startswith("--currency: is GBP, but the products are in USD: Runa would convert and charge a fee.")
    assert "--fx" in found


def test_paying_in_another_currency_is_done_when_it_is_meant() -> None:
    (order,) = orders(flags(currency="GBP", fx=True))
    assert ("GBP", "USD") == (order.head.payment_method.currency, order.currency)
    assert {"USD": Decimal(10)} == sums(flags(currency="GBP", fx=True))


def test_fx_with_the_products_own_currency_changes_nothing() -> None:
    assert bodies(flags()) == bodies(flags(currency="USD", fx=True))


@pytest.mark.parametrize(("given", "found"), [({"quantity": "2"}, "2 items in mode auto"), ({"mode": "async"}, "1 ")])
def test_only_a_single_sync_item_is_converted(given: dict[str, Any], found: str) -> None:
    (line,) = mistakes(lambda: flags(currency="GBP", fx=True, **given))
    rule, _, what = line.partition(", found ")
    assert "--currency: needs a conversion, which Runa makes only for a single item in sync mode" == rule
    assert found == what[: len(found)]
