"""What of an order can be searched for."""

import json

import pytest

from runa_cli.core.identity import search_key
from runa_cli.ledger.search_text import RecordedGift, SearchText, issued_text, read_item, search_text

ITEM = {
    "face_value": 10,
    "distribution_method": {"type": "EMAIL", "email_address": "Ann@Example.com"},
    "products": {"type": "MULTIPLE", "values": ["AMZ-US", "AIRBNB-US"]},
}
ISSUED = {"id": "E-1", "payout": {"url": "https://links.example/A1", "status": "ACTIVE"}}


def gift(item: object = ITEM, issued: object = None, *carried: str, reference: str | None = None) -> RecordedGift:
    return RecordedGift(read_item(json.dumps(item)), reference, carried, json.dumps(issued) if issued else None)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Zoë  MÜLLER ", "zoë müller"),
        ("Zoe\u0308", "zoë"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("a\u200bb", "ab"),
        ("ǰ", "ǰ"),
    ],
)
def test_text_is_compared_without_case_blanks_and_composition(text: str, key: str) -> None:
    assert key == search_key(text)


def test_every_field_is_a_line_and_every_term_stands_between_bars() -> None:
    found = search_text([gift(ITEM, ISSUED, "Ann Lee", "north", reference="R 1")], "O-7")
    expected = "o-7\nann@example.com\nr 1\nann lee\nnorth\ne-1\nhttps://links.example/a1"
    assert SearchText(expected, "|amz-us||airbnb-us||active|") == found


def test_what_several_gifts_share_is_kept_once() -> None:
    assert "ann@example.com\nnorth" == search_text([gift(ITEM, None, "north"), gift(ITEM, None, "North")], None).text


def test_items_of_the_answer_that_match_no_row_can_be_found_too() -> None:
    other = {**ISSUED, "id": "E-2", "products": {"type": "SINGLE", "value": "X-US"}}
    found = issued_text([ISSUED, None], "O-7", json.dumps({"items": [other]}).encode())
    assert SearchText("o-7\ne-1\nhttps://links.example/a1\ne-2", "|active||x-us|") == found


def test_a_pruned_gift_leaves_the_id_of_its_order() -> None:
    assert SearchText("o-7", "") == search_text([RecordedGift({}, None, [], None)], "O-7")


def test_text_that_no_database_takes_is_replaced() -> None:
    """A reply may hold half of a surrogate pair, or a NUL, which PostgreSQL does not take."""
    assert "ab?" == search_text([gift(ITEM | {"distribution_method": {}}, None, "a\0b\ud800")], None).text


def test_an_answer_that_cannot_be_read_has_nothing_to_find_and_can_be_recorded() -> None:
    assert SearchText("o-7", "") == issued_text([None], "O-7", b"\0\xff")
