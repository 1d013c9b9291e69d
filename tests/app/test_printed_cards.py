"""Cards on paper, as a real browser prints them: each whole, in its place, its code beside its own recipient."""

from collections.abc import Sequence

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import rows_of, sheet
from tests.support.printing import Area, Paper, plain, printed
from tests.support.program import Program

pytestmark = pytest.mark.slow

ADDRESSES = [
    "ann@example.com",
    "maximiliana-alexandra.wolfeschlegelsteinhausenbergerdorff@international-subsidiary.example-corporation.co.uk",
    "zoë.ó-brien+rewards@example.ie",
    "j@example.de",
    "first.middle.last@mail.example.com",
    "a" * 64 + "@" + ".".join(["b" * 60] * 3) + ".com",  # as long as an address may be
    "bob@example.com",
    "carol@example.com",
    "dave@example.com",
    "erin@example.com",
]
PRODUCTS = ["AMZ-US", "AMZ-US|AIRBNB-US", "1800FL-US|AMC-US|AMZ-US|AIRBNB-US|800PET-US"]
A4 = [Area(12 + 93 * column, 10 + 69 * row, 93, 69) for row in range(4) for column in range(2)]
LETTER = [Area(11.43 + 96.52 * column, 10.16 + 64.516 * row, 96.52, 64.516) for row in range(4) for column in range(2)]
FOLD = [Area(0, 0, 210, 297)]


@pytest.fixture
def rows(program: Program, emulate: Emulate) -> list[dict[str, str]]:
    """Issue a batch of thirteen gifts of which three fail, and return its results."""
    emulate("failed@2")
    gifts = [
        {
            "face_value": "50",
            "email": ADDRESSES[number % 10] if number < 10 else f"late{number}@example.com",
            "product": PRODUCTS[number % 3],
            "description": "part 2" if number in {3, 7, 12} else "part 1",
        }
        for number in range(13)
    ]
    path = sheet(program.home / "gifts.csv", gifts)
    flags = ("--batch", "bonus", "--no-preflight", "--concurrency", "1")
    assert 8 == program("order", "create", "--file", str(path), *flags).code
    return rows_of(program("batch", "export", "bonus", "-o", "csv").out)


@pytest.mark.parametrize(("layout", "places"), [("a4", A4), ("letter", LETTER), ("fold", FOLD)])
def test_every_card_is_whole_in_its_place_and_its_code_is_that_of_its_recipient(
    program: Program, rows: list[dict[str, str]], layout: str, places: Sequence[Area]
) -> None:
    assert 8 == program("batch", "cards", "bonus", "--to", "cards.html", "--layout", layout).code
    paper = printed(program.home / "cards.html")
    spots = [(page, area) for page in paper for area in places]
    assert -(-len(rows) // len(places)) == len(paper)
    for row, (page, area) in zip(rows, spots, strict=False):
        check(page, area, row, upside_down=layout == "fold")
    for page, area in spots[len(rows) :]:
        assert ([], "") == (page.codes(area), page.text(area))


def check(page: Paper, area: Area, row: dict[str, str], *, upside_down: bool) -> None:
    """Check that the card of a gift, and nothing else, is in this place."""
    assert [row["payout_url"]] * bool(row["payout_url"]) == page.codes(area), row
    text = page.text(area)
    assert text.count(f"bonus·{row['row']}") == 1, text
    if upside_down:  # the inside of a folded sheet, whose text is extracted line by line from the other end
        return
    expected = ["50.00 USD", row["payout_url"]] if row["payout_url"] else ["This card is empty"]
    assert [] == [part for part in [row["email"], *expected] if plain(part) not in text], text
