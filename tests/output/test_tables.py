"""Tables on terminals of any width: what does not fit is never cut, and numbers stand below each other."""

import pytest

from runa_cli.ledger.results import ResultRow
from runa_cli.output.tables import Column, Summary, list_parts, long_list_parts, order_parts
from tests.support.drawn import drawn

SPENT = (Column("Month"), Column("Gifts", number=True, no_wrap=True), Column("Charged", number=True, no_wrap=True))
MONTHS = (("2026-10", "7", "1,040.50 USD"), ("2026-11", "12", "40.00 USD"))


@pytest.mark.parametrize("width", [40, None])
def test_numbers_and_their_headings_are_aligned_to_the_right(width: int | None) -> None:
    heading, _, *rows = drawn(list_parts(SPENT, MONTHS, width), width)
    assert "Month     Gifts        Charged" == heading
    assert ["2026-10       7   1,040.50 USD", "2026-11      12      40.00 USD"] == rows


def test_they_are_where_the_last_cells_are_below_their_rows() -> None:
    columns = (*SPENT, Column("By", own_line=True))
    rows = [(*row, "somebody who needs a line") for row in MONTHS]
    heading, _, first, _, second, _ = drawn(list_parts(columns, rows, 40), 40)
    assert "Month    Gifts       Charged" == heading
    assert ["2026-10      7  1,040.50 USD", "2026-11     12     40.00 USD"] == [first, second]


LINK = "http://127.0.0.1:8642/gift/d419eefa-7963-496f-ae32-edaa782e4c80"
GIFT = ResultRow(
    row=1, reference="", recipient="benjamin@example.com", email="benjamin@example.com", face_value="1250.00",
    currency="USD", products=("AMZ-US", "AIRBNB-US"), status="ACTIVE", order_id="O-1", item_id="E-1", payout_url=LINK,
    expiry_date="", price="", error="", carried=(),
)  # fmt: skip
ORDER = Summary("Order", "O-1", "COMPLETED", [("Batch", "bonus")])


def order_on(width: int, *gifts: ResultRow) -> list[str]:
    return drawn(order_parts(ORDER, gifts, width), width)[3:]


@pytest.mark.parametrize("width", range(20, 140))
def test_nothing_of_a_gift_is_cut_and_no_rule_is_wider_than_the_terminal(width: int) -> None:
    lines = order_on(width, GIFT, GIFT._replace(row=2, expiry_date="2027-11-30T00:00:00Z"))
    for whole, times in ((LINK, 2), ("1250.00 USD", 2), (" ACTIVE", 2), ("2027-11-30", 1)):
        assert times == sum(whole in line for line in lines)
    assert [] == [line for line in lines if len(line) > width and "─" in line]


def test_on_a_narrow_terminal_gifts_are_blocks_with_an_empty_line_between() -> None:
    block = [
        "  Recipient    benjamin@example.com",
        "  Value        1250.00 USD",
        "  Products     AMZ-US, AIRBNB-US",
        "  Status       ACTIVE",
        f"  Payout link  {LINK}",
    ]
    assert ["#              1", *block, "", "#              2", *block] == order_on(40, GIFT, GIFT._replace(row=2))


@pytest.mark.parametrize("width", [40, 60, 80])
def test_why_a_gift_was_refused_is_never_shortened(width: int) -> None:
    error = "not available in the currency of the balance that pays"
    lines = order_on(width, GIFT._replace(status="REJECTED", payout_url="", error=error))
    assert error.split() == [word for line in lines for word in line.split() if word in error.split()]


def test_an_empty_line_is_between_the_tables_of_a_long_list_on_a_terminal_only() -> None:
    rows = [("2026-10", "7", "1.00 USD")] * 201
    on_terminal, in_pipe = (drawn(long_list_parts(SPENT, rows, width, empty_message=""), width) for width in (40, None))
    assert 1 == on_terminal.count("")
    assert 0 == in_pipe.count("")


STANDING = (
    Column("Limit"),
    Column("Recipient", own_line=True),
    Column("Left", number=True, no_wrap=True),
    Column("Resets", no_wrap=True),
)
LIMITS = (("1: a month, AMZ-US", "", "3,000.00", "2026-12-01 00:00"), ("2: in all", "ann@example.com", "5.00", "-"))


def test_where_words_would_break_some_cells_are_below_their_rows_and_then_each_has_a_line() -> None:
    heading, _, *rows = drawn(list_parts(STANDING, LIMITS, 50), 50)
    assert "Limit                   Left  Resets" == heading
    assert [
        "1: a month, AMZ-US  3,000.00  2026-12-01 00:00",
        "2: in all               5.00  -",
        "  ann@example.com",
    ] == rows
    assert "  Resets     2026-12-01 00:00" in drawn(list_parts(STANDING, LIMITS, 30), 30)


def test_cells_wrap_between_words_before_the_table_takes_another_shape() -> None:
    columns = (Column("Name"), Column("Values", number=True, no_wrap=True))
    heading, _, *rows = drawn(list_parts(columns, [("A card for anything", "5 to 10")], 24), 24)
    assert ["Name              Values", "A card for       5 to 10", "anything"] == [heading, *rows]
