"""What is to be issued: rows become orders, always the same ones, and a long file needs no more memory than a short."""

import io
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runa_cli.api.canonical import Stamp, order_body, sha256_hex
from runa_cli.api.order_models import Item, OrderHead
from runa_cli.core.exact_json import Number
from runa_cli.input.plan import Plan
from runa_cli.input.reader import from_file
from runa_cli.input.request import OrderInput
from tests.support.plans import DT, PT, bodies, gifts, orders, read_csv


def head(currency: str = "USD", **fields: Any) -> OrderHead:
    return OrderHead.model_validate({"payment_method": {"type": "ACCOUNT_BALANCE", "currency": currency}, **fields})


def gift(
    value: str = "10", *, email: str | None = None, template: str | None = None, selection: str | None = None
) -> Item:
    method = {"type": "EMAIL", "email_address": email} if email else {"type": "PAYOUT_LINK"}
    products = {"type": "TEMPLATE", "template_id": selection} if selection else {"type": "SINGLE", "value": "AMZ-US"}
    return Item.model_validate(
        {
            "face_value": Number(value),
            "distribution_method": {**method, **({"template_id": template} if template else {})},
            "products": products,
        }
    )


def planned(*members: Item, order_head: OrderHead | None = None, **options: Any) -> Plan:
    plan = Plan(source="file", **options)
    for row, item in enumerate(members, 1):
        plan.add(item, order_head or head(), row=row, currency="USD")
    return plan


def fingerprint(plan: Plan) -> str:
    with plan:
        return plan.fingerprint()


# --- orders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (200, [200]), (201, [200, 1]), (600, [200] * 3)])
def test_as_many_rows_share_an_order_as_runa_takes(count: int, sizes: list[int]) -> None:
    assert sizes == [len(order.gifts) for order in orders(planned(*[gift()] * count))]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["10", "12.50"]), st.integers(0, 14)), max_size=40),
    st.integers(1, 200), st.booleans(),
)  # fmt: skip
def test_what_is_counted_and_summed_is_what_the_orders_hold(
    rows: list[tuple[int, str, int]], most: int, selections: bool
) -> None:
    with Plan(source="file", most_items=most) as plan:
        for row, (description, value, number) in enumerate(rows, 1):
            template = "0123456789ABCDE"[number]
            options = {"selection": PT.format(template)} if selections else {"template": DT.format(template)}
            whole_value = value if not selections else "10"
            plan.add(gift(whole_value, **options), head(description=f"{description}"), row=row, currency="USD")
        orders_held = list(plan.orders())
        total = sum((order.total for order in orders_held), Decimal(0))
        sums = {"USD": total} if rows else {}
        assert (len(orders_held), sums, sums) == (plan.order_count, plan.balances_needed, plan.sums)
        plan.leave_out_known([])
        plan._connection.execute("INSERT INTO issued (gift_id, recorded_id) SELECT id, id FROM gift WHERE id % 2 = 0")
        left = list(plan.orders())
        assert len(left) == plan.order_count
        assert sum((order.total for order in left), Decimal(0)) == plan.sums_left.get("USD", 0)


def test_an_empty_plan_has_no_orders() -> None:
    with planned() as plan:
        assert ([], 0, 0, {}) == (list(plan.orders()), plan.order_count, plan.item_count, plan.sums)


def test_the_counts_are_those_of_the_orders() -> None:
    with planned(*[gift()] * 401) as plan:
        assert (3, 401) == (plan.order_count, plan.item_count)


def test_orders_are_numbered_and_totalled_one_by_one() -> None:
    made = orders(planned(gift("0.10"), gift("0.20"), gift("5"), most_items=2))
    assert [(1, Decimal("0.30"), "USD"), (2, Decimal(5), "USD")] == [
        (order.position, order.total, order.currency) for order in made
    ]


def test_rows_of_one_group_stay_in_their_order_though_others_stand_between() -> None:
    with Plan(source="file") as plan:
        for row, group in enumerate(("US", "CA", "US", "CA"), 1):
            plan.add(gift(), head(), row=row, currency="USD", group=group)
        assert [[1, 3], [2, 4]] == [[gift.row for gift in order.gifts] for order in plan.orders()]


@pytest.mark.parametrize("kind", ["template", "selection"])
def test_an_order_names_at_most_ten_different_templates(kind: str) -> None:
    form = DT if kind == "template" else PT
    members = [gift(**{kind: form.format(last)}) for last in "0123456789A"]
    assert [10, 1] == [len(order.gifts) for order in orders(planned(*members))]
    assert [20, 1] == [len(order.gifts) for order in orders(planned(*members[:10] * 2, members[10]))]


def test_ten_templates_of_each_kind_fit_into_one_order() -> None:
    members = [gift(template=DT.format(last), selection=PT.format(last)) for last in "0123456789"]
    (order,) = orders(planned(*members))
    assert 10 == len(order.gifts)


def test_what_a_row_carries_comes_back_with_its_gift() -> None:
    with Plan(source="file") as plan:
        plan.add(gift(), head(), row=7, currency="USD", reference="ref=1", carried=("a", "", "日本\r\n"))
        (order,) = plan.orders()
    (made,) = order.gifts
    assert (7, "ref=1", ["a", "", "日本\r\n"]) == (made.row, made.reference, list(made.carried))


def test_the_body_is_made_of_the_head_and_the_items() -> None:
    order_head = head(description="Q3", metadata={"a": "b"})
    (order,) = orders(planned(gift("1.50"), gift("2"), order_head=order_head))
    assert order_body(order_head, [made.item for made in order.gifts], Stamp("key", "bonus", named=True)) == order.body(
        Stamp("key", "bonus", named=True)
    )


# --- identity ----------------------------------------------------------------------------------------------------


def test_the_digest_of_an_order_does_not_depend_on_its_stamp() -> None:
    (order,) = orders(planned(gift()))
    assert sha256_hex(order.body(None)) == order.body_sha256
    assert order.body(None) != order.body(Stamp("key", "bonus", named=True))


def test_the_same_content_has_the_same_fingerprint() -> None:
    assert fingerprint(planned(gift(), gift("5"))) == fingerprint(planned(gift(), gift("5")))


@pytest.mark.parametrize(
    "other",
    [
        [gift()],
        [gift(), gift("5"), gift()],
        [gift(), gift("5.01")],
        [gift(), gift("5", email="ann@example.test")],
    ],
)
def test_other_gifts_have_another_fingerprint(other: list[Item]) -> None:
    assert fingerprint(planned(gift(), gift("5"))) != fingerprint(planned(*other))


@pytest.mark.parametrize(
    "same", [[gift("5"), gift()], [gift(), gift("5.00")], [gift(), gift("5", template=DT.format("A"))]]
)
def test_the_same_gifts_in_another_order_or_spelling_have_the_same_fingerprint(same: list[Item]) -> None:
    assert fingerprint(planned(gift(), gift("5"))) == fingerprint(planned(*same))


def test_description_metadata_and_the_balance_that_pays_are_no_part_of_the_fingerprint() -> None:
    prints = {
        fingerprint(planned(gift(), order_head=order_head))
        for order_head in (head(), head(description="Q3"), head(metadata={"a": "b"}), head("GBP"))
    }
    assert 1 == len(prints)


def test_what_is_carried_beside_a_reference_is_no_part_of_the_identity() -> None:
    """A note in a spreadsheet may change without a gift becoming another gift."""
    header = "face_value,product,note,reference\n"
    first, second = (read_csv(header + f"10,AMZ-US,{note},E1\n") for note in ("a", "b"))
    assert fingerprint(first) == fingerprint(second)


def test_a_link_without_a_reference_is_told_apart_by_all_it_carries() -> None:
    header = "face_value,product,name,desk\n"
    ann, ben, moved = (read_csv(header + f"10,AMZ-US,{cells}\n") for cells in ("Ann,7", "Ben,7", "Ann,8"))
    assert 3 == len({fingerprint(plan) for plan in (ann, ben, moved)})


def test_a_gift_is_recognised_wherever_it_stands() -> None:
    """An edited file is compared gift by gift, for its rows move between orders."""
    first = gifts(planned(gift("1"), gift("2"), gift("3"), most_items=2))
    second = gifts(planned(gift("3"), gift("1"), most_items=1))
    assert [first[2].same_gift, first[0].same_gift] == [made.same_gift for made in second]


# --- addresses ---------------------------------------------------------------------------------------------------


def test_addresses_that_are_given_twice_are_found_with_their_rows() -> None:
    addresses = ("bob@example.test", "ann@example.test", "ANN@Example.test", "eve@example.test", "bob@example.test")
    with planned(*(gift(email=address) for address in addresses), gift(), gift()) as plan:
        assert ([("bob@example.test", [1, 5]), ("ann@example.test", [2, 3])], 2) == plan.repeated_addresses()


def test_only_the_first_few_repeated_addresses_are_named() -> None:
    members = [gift(email=f"p{number % 9}@example.test") for number in range(18)]
    with planned(*members) as plan:
        first, count = plan.repeated_addresses()
        assert [f"p{number}@example.test" for number in range(5)] == [name for name, _ in first]
        assert 9 == count


# --- memory ------------------------------------------------------------------------------------------------------


class Table(io.RawIOBase):
    """A CSV file of any length that never stands in memory itself."""

    def __init__(self, rows: int) -> None:
        self._lines = (f"10,AMZ-US,{row},{row:0100}\n".encode() for row in range(rows))
        self._rest = b"face_value,product,reference,note\n"

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give as many bytes as are asked for."""
        while len(self._rest) < len(buffer) and (line := next(self._lines, b"")):
            self._rest += line
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def peak(rows: int) -> int:
    """Return the most bytes that planning a table and going through its orders held at once."""
    tracemalloc.start()
    try:
        with from_file(OrderInput(file_format="csv"), io.BufferedReader(Table(rows))) as plan:
            plan.fingerprint()
            assert rows == plan.item_count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_four_times_the_rows_do_not_need_more_memory() -> None:
    """A row that stayed behind would cost half a kilobyte, and 1500 of them far more than the margin."""
    peak(50)  # what is imported and cached on first use
    few, many = peak(500), peak(2000)
    assert many < few * 1.3 + 50_000


def test_what_is_planned_is_what_the_rows_say_from_end_to_end() -> None:
    (body,) = bodies(read_csv("face_value,product,description\n10.10,AMZ-US,Q3\n0.90,AMZ-US,Q3\n"))
    assert ("Q3", Decimal("11.00")) == (body["description"], sum(item["face_value"] for item in body["items"]))
