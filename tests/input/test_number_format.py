"""What a spreadsheet shows of a cell, by its number format."""

from datetime import datetime, time

import pytest

from runa_cli.input.number_format import shown_date, shown_number


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (25, "General", "25"),
        (25.5, "General", "25.5"),
        (0.1 + 0.2, "General", "0.3"),
        (19.99, "0.00", "19.99"),
        (25.505, "0.00", "25.51"),
        (2.675, "0.00", "2.68"),
        (1234567.5, "#,##0.00", "1234567.50"),
        (25, '"€" #,##0.00', "€ 25.00"),
        (25, "#,##0.00\\ [$€-407]", "25.00 €"),
        (25, "[$$-409]#,##0.00", "$25.00"),
        (25, '_($* #,##0.00_);_($* (#,##0.00);_($* "-"??_);_(@_)', "$ 25.00"),
        (-25, '_-* #,##0.00\\ "€"_-;-* #,##0.00\\ "€"_-', "- 25.00 €"),
        (25, '#,##0" USD"', "25 USD"),
        (7, "000", "007"),
        (0.25, "0%", "25%"),
        (0.125, "0.00%", "12.50%"),
        (-5, "#,##0;[Red](#,##0)", "(5)"),
        (0, '0;-0;"none"', "none"),
        (0.5, "#.##", "0.5"),
        (12, "@", "12"),
        (1234567890123456, "General", "1234567890123456"),
    ],
)
def test_a_number_is_shown_as_in_its_cell_without_separators_of_thousands(
    value: float, number_format: str, shown: str
) -> None:
    assert shown == shown_number(value, number_format)


@pytest.mark.parametrize("number_format", ["# ?/?", "0.00E+00", "0,", "0.0,", "[>100]0;0.0", "[h]:mm", "Standard"])
def test_a_format_that_changes_a_number_in_other_ways_is_not_guessed_at(number_format: str) -> None:
    assert shown_number(25, number_format) is None


@pytest.mark.parametrize(
    ("number_format", "shown"),
    [
        ("dd.mm.yyyy", "30.11.2026"),
        ("d/m/yy h:mm", "30/11/26 14:05"),
        ("yyyy\\-mm\\-dd", "2026-11-30"),
        ("[$-407]d. mmmm yyyy", "30. November 2026"),
        ("mmm-yy", "Nov-26"),
        ("ddd h:mm AM/PM", "Mon 2:05 PM"),
        ("mm:ss", "05:00"),
        ("mm-dd-yy", "2026-11-30 14:05:00"),
    ],
)
def test_a_date_is_shown_as_in_its_cell(number_format: str, shown: str) -> None:
    assert shown == shown_date(datetime(2026, 11, 30, 14, 5), number_format)  # noqa: DTZ001 - a sheet knows no time zone


def test_a_date_whose_format_depends_on_the_reader_is_shown_in_iso_8601() -> None:
    assert "2026-11-30" == shown_date(datetime(2026, 11, 30), "mm-dd-yy")  # noqa: DTZ001
    assert "14:05:00" == shown_date(time(14, 5), "h:mm")
