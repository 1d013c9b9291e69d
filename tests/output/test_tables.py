"""Tables on terminals of any width: what does not fit is never cut, and numbers stand below each other."""

import pytest

from runa_cli.output.tables import Column, list_parts
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
