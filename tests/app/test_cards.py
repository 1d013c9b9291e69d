"""`batch cards`: a card a gift, each with the link of its own recipient, and none for what is not issued."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from runa_cli.core import exact_json
from runa_cli.core.states import State
from runa_cli.ledger.records import Result
from runa_cli.output.card_page import LAYOUTS, card_page
from runa_cli.output.cards import Card, card_of
from tests.conftest import Emulate
from tests.support.broken_output import broken_output
from tests.support.csv_files import gifts, rows_of, sheet
from tests.support.program import GIFT, KEY, Program
from tests.support.qr_codes import codes_in
from tests.support.ran import Ran

HARM = "<script>alert('x')</script>\"& =1+1 \u202e\x1b[31m"


def issue(program: Program, count: int, *flags: str, orders: int = 1) -> Ran:
    path = sheet(program.home / "gifts.csv", gifts(count, orders=orders))
    return program("order", "create", "--file", str(path), "--batch", "bonus", "--no-preflight", *flags)


def cards(program: Program, *flags: str, **env: str) -> tuple[Ran, list[str]]:
    """Return what the command did, and the cards that it wrote."""
    ran = program("batch", "cards", "bonus", "--to", "cards.html", *flags, **env)
    path = program.home / "cards.html"
    return ran, articles(path.read_text(encoding="utf-8")) if path.exists() else []


def articles(page: str) -> list[str]:
    return re.findall(r"<article.*?</article>", page, re.DOTALL)


def text_of(card: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", card, flags=re.DOTALL)))


def results(program: Program) -> list[dict[str, str]]:
    return rows_of(program("batch", "export", "bonus", "-o", "csv").out)


# --- one card a gift -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_card_has_the_value_product_recipient_and_link_of_its_own_gift(
    program: Program, emulate: Emulate, layout: str
) -> None:
    emulate("shuffled@*")
    assert 0 == issue(program, 9).code
    ran, made = cards(program, "--layout", layout)
    assert (0, "9 cards: cards.html\n") == (ran.code, ran.err)
    for card, row in zip(made, results(program), strict=True):
        assert [row["payout_url"]] == codes_in(card)
        assert {row["payout_url"], row["email"], "AMZ-US"} <= set(text_of(card).split())
        assert f"{row['face_value']}  USD" in text_of(card)
        assert 1 == len(re.findall("/gift/", text_of(card)))


def test_the_page_is_for_the_owner_alone_and_needs_nothing_from_anywhere(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == issue(program, 3).code
    cards(program)
    path = program.home / "cards.html"
    assert 0o600 == path.stat().st_mode & 0o777
    page = path.read_text()
    assert [] == re.findall(r"<script|<link|<img|<iframe|@import|url\(|href=|src=|\son\w+=", page)
    assert "default-src 'none'" in page
    assert [] == [found for found in program.home.iterdir() if found.name.startswith(".cards")]


def test_names_of_products_are_those_of_the_catalogue_where_it_was_read_before(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    assert 0 == issue(program, 1).code
    assert "AMZ-US" in text_of(cards(program)[1][0])
    (name,) = [product["name"] for product in program("product", "list", "--json").json if product["code"] == "AMZ-US"]
    program.time.sleep(7 * 86_400)
    assert name in text_of(cards(program)[1][0])


def test_a_program_is_told_what_was_written(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == issue(program, 3).code
    ran, _ = cards(program, "--json")
    assert ({"batch": "bonus", "cards": 3, "empty": 0, "file": "cards.html"}, "") == (ran.json, ran.err)


# --- what is not issued ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "why"), [("failed@2", 8, "failed"), ("stored-5xx@2", 8, "of unknown outcome")]
)
def test_a_gift_that_is_not_issued_has_an_empty_card_and_the_exit_code_is_the_batchs(
    program: Program, emulate: Emulate, fault: str, code: int, why: str
) -> None:
    emulate(fault)
    assert code == issue(program, 6, "--concurrency", "1", "--timeout", "1", orders=2).code
    ran, made = cards(program)
    assert (code, "3 cards, and 3 empty: cards.html") == (ran.code, ran.err.splitlines()[0])
    for card, row in zip(made, results(program), strict=True):
        if row["payout_url"]:
            assert [row["payout_url"]] == codes_in(card)
        else:
            assert [] == codes_in(card)
            assert f"This card is empty: the gift of row {row['row']}, for {row['email']}, is {why}." in text_of(card)
            assert not {"AMZ-US", "USD", "/gift/"} & set(text_of(card).split())


def test_a_batch_of_which_nothing_is_sent_has_empty_cards_alone_and_says_that_no_money_moved(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    program.killed_at("call:Orders.mark_sent", *command(program, 2))
    ran, made = cards(program, "--json")
    assert (7, "not_issued") == (ran.code, ran.error["money"])
    assert [[], []] == [codes_in(card) for card in made]
    assert {"cards": 0, "empty": 2}.items() <= ran.json.items()


def command(program: Program, count: int) -> tuple[str, ...]:
    path = sheet(program.home / "gifts.csv", gifts(count))
    return ("order", "create", "--file", str(path), "--batch", "bonus", "--no-preflight")


@pytest.mark.parametrize("state", [state for state in State if state is not State.COMPLETED])
def test_only_a_completed_order_makes_a_card(state: State) -> None:
    """Whatever link may be recorded beside it."""
    assert "" == card_of(result(state=state), {}).link
    assert card_of(result(state=state), {}).why_empty


@pytest.mark.parametrize("status", ["CANCELLED", "EXPIRED"])
def test_a_link_that_is_worth_nothing_makes_no_card(status: str) -> None:
    card = card_of(result(payout=f'{{"status":"{status}","url":"https://x.test/1"}}'), {})
    assert ("", status.lower()) == (card.link, card.why_empty)


def test_a_gift_without_a_link_in_runas_answer_makes_no_card() -> None:
    assert card_of(result(payout="{}"), {}).why_empty


def result(
    *,
    state: State = State.COMPLETED,
    payout: str = '{"status":"ACTIVE","url":"https://x.test/1","expiry_date":"2027-12-31T00:00:00+00:00"}',
    products: str = '{"type":"SINGLE","value":"AMZ-US"}',
    reference: str | None = None,
    carried: tuple[str, ...] = (),
) -> Result:
    item = f'{{"face_value":25,"distribution_method":{{"type":"PAYOUT_LINK"}},"products":{products}}}'
    issued = exact_json.loads(f'{item[:-1]},"currency":"USD","payout":{payout}}}')
    assert isinstance(issued, dict)
    return Result(3, reference, carried, item, issued, state, "O-1", "USD", None)


def test_an_item_that_matches_no_row_is_on_nobodys_card(program: Program, emulate: Emulate) -> None:
    emulate("unmatched@1")
    assert 8 == issue(program, 3).code
    ran, made = cards(program)
    assert (8, True) == (ran.code, "match no row, which got no card" in ran.err)
    *own, stray = results(program)
    assert [[row["payout_url"]] if row["payout_url"] else [] for row in own] == [codes_in(card) for card in made]
    assert stray["payout_url"] not in (program.home / "cards.html").read_text()


# --- what a card says ------------------------------------------------------------------------------------------------


def test_a_card_says_until_when_in_words() -> None:
    assert "31 December 2027" == card_of(result(), {}).expiry
    assert "" == card_of(result(payout='{"url":"https://x.test/1","expiry_date":null}'), {}).expiry


@pytest.mark.parametrize(
    ("reference", "carried", "recipient"),
    [("E001", ("north",), "E001"), (None, ("Ann", "", "north"), "Ann · north"), (None, (), "")],
)
def test_the_recipient_of_a_payout_link_is_its_label(
    reference: str | None, carried: tuple[str, ...], recipient: str
) -> None:
    assert recipient == card_of(result(reference=reference, carried=carried), {}).recipient


@pytest.mark.parametrize(
    ("products", "said"),
    [
        ('{"type":"SINGLE","value":"A-US"}', "Anvils"),
        ('{"type":"SINGLE","value":"B-US"}', "B-US"),
        ('{"type":"MULTIPLE","values":["A-US","B-US"]}', "Your choice of Anvils, B-US"),
        ('{"type":"MULTIPLE","values":["A-US","B","C","D","E"]}', "Your choice of Anvils, B, C or 2 more"),
        ('{"type":"TEMPLATE","template_id":"PT-1"}', "A gift card of your choice"),
    ],
)
def test_products_are_said_by_their_names_as_far_as_they_are_known(products: str, said: str) -> None:
    assert said == card_of(result(products=products), {"A-US": "Anvils"}).products


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_text_is_escaped(layout: str) -> None:
    hostile = [
        Card(1, HARM, f"10 {HARM}", HARM, HARM, f"https://x.test/{HARM}"),
        Card(2, HARM, why_empty=HARM),
    ]
    page = "".join(card_page(hostile, HARM, layout))
    assert "<script" not in page
    assert not {"\u202e", "\x1b"} & set(page)
    assert "&lt;script&gt;" in page


def test_a_link_that_no_code_holds_is_there_as_text() -> None:
    link = "https://x.test/" + "a" * 3000
    page = "".join(card_page([Card(1, "ann", "1 USD", "A", "", link)], "bonus", "a4"))
    assert ([], True) == (codes_in(page), link in page)


def test_cards_are_written_as_they_come() -> None:
    """A batch of 10,000 gifts is never held as one text."""
    taken: list[int] = []

    def endless() -> Iterator[Card]:
        for row in range(1, 10**9):
            taken.append(row)
            yield Card(row, "ann", "1 USD", "A", "", f"https://x.test/{row}")

    pieces = card_page(endless(), "bonus", "a4")
    for _ in range(3):
        next(pieces)
    assert [1, 2, 3, 4] == taken


# --- who may see them ------------------------------------------------------------------------------------------------


def test_cards_of_another_account_need_a_yes(program: Program, emulate: Emulate) -> None:
    emulate()
    playground = {"RUNA_ENV": "playground"}
    assert 0 == program(*command(program, 2), **playground).code
    refused, made = cards(program, "--json", **playground, RUNA_API_KEY="xxother.key~secret")
    assert (6, "key_changed", []) == (refused.code, refused.error["code"], made)
    assert 0 == cards(program, "--yes", **playground, RUNA_API_KEY="xxother.key~secret")[0].code
    assert 2 == len(cards(program, **playground, RUNA_API_KEY=KEY)[1])


def test_cards_take_the_place_of_no_other_kind_of_file(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "bonus").code
    sheet = program.home / "payroll.csv"
    sheet.write_text("name\n")
    refused = program("batch", "cards", "bonus", "--to", "payroll.csv")
    assert (2, "name\n") == (refused.code, sheet.read_text())


def test_a_pruned_batch_has_no_cards(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == issue(program, 2).code
    assert 0 == program("batch", "prune", "bonus", "--older-than", "0", "--yes").code
    ran, made = cards(program)
    assert (6, []) == (ran.code, made)


def test_cards_count_as_shown(program: Program, emulate: Emulate) -> None:
    """Prune keeps links that were never shown."""
    emulate()
    assert 9 == issue_into_nothing(program).code
    assert 6 == program("batch", "prune", "bonus", "--older-than", "0", "--yes").code
    assert 0 == cards(program)[0].code
    assert 0 == program("batch", "prune", "bonus", "--older-than", "0", "--yes").code


def issue_into_nothing(program: Program) -> Ran:
    with broken_output("full") as stream:
        return program.fork(*command(program, 2), **stream)


@pytest.mark.parametrize("layout", ["A4", "a5", ""])
def test_another_layout_is_wrong_usage(program: Program, emulate: Emulate, layout: str) -> None:
    emulate()
    assert 0 == issue(program, 2).code
    assert (2, []) == ((made := cards(program, "--layout", layout))[0].code, made[1])


def test_a_name_that_is_none_of_a_page_is_told_whole(program: Program) -> None:
    name = f"{'long' * 20}.pdf"
    ran = program("batch", "cards", "bonus", "--to", name)
    assert (2, True) == (ran.code, f"found '{name}'" in ran.err)


@pytest.mark.parametrize("name", ["missing/cards.html", ".", "/dev/null"])
def test_a_page_that_cannot_be_written_leaves_the_links_unshown(program: Program, emulate: Emulate, name: str) -> None:
    emulate()
    assert 9 == issue_into_nothing(program).code
    ran = program("batch", "cards", "bonus", "--to", name, "--json")
    assert (9, "issued") == (ran.code, ran.error["money"])
    assert 6 == program("batch", "prune", "bonus", "--older-than", "0", "--yes").code


def test_no_such_batches_nothing(program: Program, emulate: Emulate) -> None:
    emulate()
    ran, made = cards(program)
    assert (3, []) == (ran.code, made)
    assert not Path(program.home / "cards.html").exists()
