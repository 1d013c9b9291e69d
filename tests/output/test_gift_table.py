"""The table of gifts fits the terminal, and never cuts a link."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from runa_cli.ledger.records import Batch
from runa_cli.ledger.results import ResultRow
from runa_cli.output.gift_table import Listed, gift_table
from tests.support.drawn import drawn

LINK = "https://spend.runa.io/" + "a" * 36
ROW = ResultRow(
    row=12, reference="E001", recipient="annemarie.longname@example.com", email="annemarie.longname@example.com",
    face_value="1250.00", currency="USD", products=("AMZ-US", "800PET-US"), status="ACTIVE", order_id="O-1",
    item_id="E-1", payout_url=LINK, expiry_date="", price="", error="", carried=("Zoë Müller", "north"),
)  # fmt: skip
NOW = datetime(2026, 11, 1, tzinfo=UTC)
BATCH = Batch(
    id=1, environment="local", name="2026-11-30-c42f9c6e04", named=False, source="file", shape="list", fingerprint="",
    account="x", columns=["name", "team"], created_at=NOW, shown_at=None, pruned_at=None,
)  # fmt: skip


def listed(gifts: Sequence[Listed], width: int | None) -> list[str]:
    return drawn(gift_table(gifts, width, empty_message="none"), width)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_where_it_is_too_wide_each_link_has_a_line_of_its_own(width: int) -> None:
    lines = listed([Listed(ROW, BATCH, NOW.isoformat())] * 2, width)
    assert 2 == sum(LINK in line for line in lines)
    assert [] == [line for line in lines if len(line) > width and LINK not in line]


@pytest.mark.parametrize("width", range(50, 200, 7))
def test_no_word_is_broken_wherever_it_fits(width: int) -> None:
    text = "\n".join(listed([Listed(ROW, BATCH, NOW.isoformat(), ["Zoë Müller"])], width))
    words = (BATCH.name, "annemarie.longname@example.com", "1250.00 USD", "800PET-US", "ACTIVE", "2026-11-01", LINK)
    assert [] == [word for word in words if word not in text]


def test_a_made_up_batch_name_is_below_its_row_where_it_leaves_no_room() -> None:
    row = ROW._replace(recipient="annemarie@example.com", reference="")
    _, _, first, *below = listed([Listed(row, BATCH, NOW.isoformat())], 80)
    assert "12  annemarie@example.com  1250.00 USD  AMZ-US, 800PET-US  ACTIVE  2026-11-01" == first
    assert [f"    Batch {BATCH.name}", f"    {LINK}"] == below


def test_a_link_below_its_row_is_not_wrapped() -> None:
    assert f"    {LINK}" in listed([Listed(ROW, BATCH, NOW.isoformat())], 80)


def test_on_a_very_narrow_terminal_each_cell_has_a_line() -> None:
    lines = listed([Listed(ROW, BATCH, NOW.isoformat())], 40)
    assert f"  Payout link  {LINK}" in lines
    assert lines[0].endswith(BATCH.name)


def test_where_it_fits_a_gift_is_one_line() -> None:
    lines = listed([Listed(ROW, BATCH, NOW.isoformat(), ["Zoë Müller"])], 200)
    assert 3 == len(lines)
    assert lines[2].endswith(LINK)
    assert "annemarie.longname@example.com, E001, Zoë Müller" in lines[2]


def test_without_links_there_is_no_column_for_them() -> None:
    lines = listed([Listed(ROW._replace(payout_url="", status="sent"), BATCH, NOW.isoformat())], None)
    assert "Payout link" not in lines[0]


def test_a_payout_link_is_shown_by_its_label() -> None:
    row = ROW._replace(recipient="", email="", reference="")
    assert "Zoë Müller, north" in listed([Listed(row, BATCH, NOW.isoformat(), ["north"])], None)[2]


def test_a_long_list_is_several_tables() -> None:
    lines = listed([Listed(ROW, BATCH, NOW.isoformat())] * 201, None)
    assert 2 == sum(line.startswith("Batch") for line in lines)
    assert 201 == sum(LINK in line for line in lines)
