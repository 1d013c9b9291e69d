"""JSON and JSONL: orders as the API takes them, or items alone, in files of any length."""

import io
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from runa_cli.input.plan import Plan
from runa_cli.input.reader import Format, from_file
from runa_cli.input.request import OrderInput
from tests.support.plans import DT, ITEM, PT, SINGLE, bodies, gifts, items, mistakes, orders, read, refused

USD = '"payment_method":{"type":"ACCOUNT_BALANCE","currency":"USD"}'
ORDER = f'{{{USD},"items":[{ITEM}]}}'


def item(**fields: str) -> str:
    """Return an item whose fields are given as JSON text."""
    texts = {"face_value": "10", "products": '{"type":"SINGLE","value":"AMZ-US"}', **fields}
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"


def order(*members: str, rest: str = "") -> str:
    return f'{{{USD},"items":[{",".join(members or [ITEM])}]{rest}}}'


# --- shapes ------------------------------------------------------------------------------------------------------


def test_an_order_of_the_api_goes_out_with_all_it_says() -> None:
    text = f"""
    {{
      "description": "Q3 ☀", "metadata": {{"batch": "w2"}}, {USD},
      "items": [
        {{"face_value": 12.50, "distribution_method": {{"type": "EMAIL", "email_address": "ann@example.test",
          "template_id": "{DT.format("A")}"}}, "products": {{"type": "SINGLE", "value": "AMZ-US"}}}},
        {{"face_value": 20, "distribution_method": {{"type": "PAYOUT_LINK"}},
          "products": {{"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]}}}}
      ]
    }}"""
    expected = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [
            {
                "face_value": Decimal("12.50"),
                "distribution_method": {
                    "type": "EMAIL",
                    "email_address": "ann@example.test",
                    "template_id": DT.format("A"),
                },
                "products": {"type": "SINGLE", "value": "AMZ-US"},
            },
            {
                "face_value": Decimal(20),
                "distribution_method": {"type": "PAYOUT_LINK"},
                "products": {"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]},
            },
        ],
        "description": "Q3 ☀",
        "metadata": {"batch": "w2"},
    }
    assert [expected] == bodies(read(text))


@pytest.mark.parametrize(
    ("content", "file_format", "shape", "sizes"),
    [
        (ORDER, "json", "object", [1]),
        (f"[{ORDER}]", "json", "list", [1]),
        (f"[{ORDER},{order(ITEM, ITEM)}]", "json", "list", [1, 2]),
        (f"[{ITEM},{ITEM}]", "json", "list", [2]),
        (f"[{ITEM},{ORDER},{ITEM}]", "json", "list", [2, 1]),
        (f"{ORDER}\n{order(ITEM, ITEM)}\n", "jsonl", "list", [1, 2]),
        (f"{ITEM}\n\n  \r\n{ITEM}", "jsonl", "list", [2]),
        (ORDER, "jsonl", "list", [1]),
    ],
)
def test_orders_stay_orders_and_items_share_one(
    content: str, file_format: Format, shape: str, sizes: list[int]
) -> None:
    with read(content, file_format) as plan:
        assert (shape, sizes) == (plan.shape, [len(made.gifts) for made in plan.orders()])


def test_orders_that_say_the_same_stay_two_orders() -> None:
    assert 2 == len(orders(read(f"[{ORDER},{ORDER}]")))


def test_rows_are_counted_through_all_orders() -> None:
    assert [1, 2, 3] == [gift.row for gift in gifts(read(f"[{order(ITEM, ITEM)},{ORDER}]"))]


def test_items_without_a_delivery_are_payout_links() -> None:
    assert [{"type": "PAYOUT_LINK"}] == [made["distribution_method"] for made in items(read(f"[{ITEM}]"))]


def test_a_thousand_items_become_five_orders() -> None:
    assert [200] * 5 == [len(made.gifts) for made in orders(read("[" + ",".join([ITEM] * 1000) + "]"))]


@pytest.mark.parametrize("amount", ["10.50", "0.10", "10.00", "1000000"])
def test_an_amount_goes_out_as_it_stands_in_the_file(amount: str) -> None:
    (gift,) = gifts(read(f"[{item(face_value=amount)}]"))
    assert gift.item.startswith(f'{{"face_value":{amount},')


# --- flags and files ---------------------------------------------------------------------------------------------

FLAGS: dict[str, Any] = {
    "face_value": "5",
    "emails": ("flag@example.test",),
    "products": ("AMC-US",),
    "template_id": DT.format("F"),
    "description": "from the flag",
    "metadata": ("team=flag", "wave=1"),
}


@pytest.mark.parametrize("content", ["[{}]", '{"items":[{}]}'])
def test_flags_fill_in_what_a_file_leaves_out(content: str) -> None:
    (body,) = bodies(read(content, **FLAGS))
    method = {"type": "EMAIL", "email_address": "flag@example.test", "template_id": DT.format("F")}
    expected = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [
            {
                "face_value": Decimal(5),
                "distribution_method": method,
                "products": {"type": "SINGLE", "value": "AMC-US"},
            }
        ],
        "description": "from the flag",
        "metadata": {"team": "flag", "wave": "1"},
    }
    assert expected == body


def test_where_both_speak_the_file_wins() -> None:
    method = f'{{"type":"PAYOUT_LINK","template_id":"{DT.format("R")}"}}'
    text = order(
        item(face_value="7", distribution_method=method), rest=',"description":"own","metadata":{"team":"own"}'
    )
    (body,) = bodies(read(text, currency="GBP", **FLAGS))
    (made,) = body["items"]
    assert ("USD", "own", {"team": "own", "wave": "1"}) == (
        body["payment_method"]["currency"],
        body["description"],
        body["metadata"],
    )
    assert (Decimal(7), "AMZ-US", {"type": "PAYOUT_LINK", "template_id": DT.format("R")}) == (
        made["face_value"],
        made["products"]["value"],
        made["distribution_method"],
    )


def test_a_delivery_without_a_template_takes_the_flags_template() -> None:
    content = item(distribution_method='{"type":"PAYOUT_LINK"}')
    (made,) = items(read(f"[{content}]", template_id=DT.format("F")))
    assert {"type": "PAYOUT_LINK", "template_id": DT.format("F")} == made["distribution_method"]


def test_an_order_without_a_payment_method_pays_in_its_products_currency() -> None:
    (body,) = bodies(read(f'{{"items":[{ITEM}]}}'))
    assert {"type": "ACCOUNT_BALANCE", "currency": "USD"} == body["payment_method"]


# --- mistakes ----------------------------------------------------------------------------------------------------

BAD = item(face_value='"ten"')


@pytest.mark.parametrize(
    ("content", "file_format", "expected"),
    [
        (f"[{ITEM},{BAD}]", "json", 'stdin, [1].face_value: must be a number, found "ten".'),
        (order(*[ITEM] * 17, BAD), "json", 'stdin, items[17].face_value: must be a number, found "ten".'),
        (f"[{ORDER},{order(BAD)},{ITEM}]", "json", 'stdin, [1].items[0].face_value: must be a number, found "ten".'),
        (f"{ITEM}\n\n{BAD}\n", "jsonl", 'stdin, line 3, face_value: must be a number, found "ten".'),
        (f"{ITEM}\n{order(BAD)}\n", "jsonl", 'stdin, line 2, items[0].face_value: must be a number, found "ten".'),
        (f"[{ITEM},7]", "json", "stdin, [1]: must be an order or an item, found 7."),
        (f"[{ITEM},[]]", "json", "stdin, [1]: must be an order or an item, found a list."),
        (f"{ITEM}\nnull\n", "jsonl", "stdin, line 2: must be an order or an item, found null."),
    ],
)
def test_a_mistake_is_named_with_its_path(content: str, file_format: Format, expected: str) -> None:
    assert expected in mistakes(lambda: read(content, file_format))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (item(face_value="null"), "[1].face_value: must be a number, found null"),
        (item(amount="5"), "[1].amount: is not a field Runa knows"),
        (item(distribution_method='{"type":"EMAIL"}'), "[1].distribution_method.email_address: is missing"),
        (
            item(distribution_method='{"type":"EMAIL","email_address":"ann"}'),
            '[1].distribution_method.email_address: is not an e-mail address: "ann" (',
        ),
        (item(products='{"type":"SINGLE"}'), "[1].products.value: is missing"),
        (item(products='"AMZ-US"'), '[1].products: must be an object, found "AMZ-US"'),
        (
            item(products='{"type":"MULTIPLE","values":["AMZ-US","BAW-GB"]}'),
            "[1].products: must all be of one currency, found AMZ-US (USD), BAW-GB (GBP)",
        ),
        (order(rest=',"currency":"USD"'), "[1].currency: is not a field Runa knows"),
        (f"{{{USD}}}", "[1].items: is missing"),
        (f'{{{USD},"items":{{}}}}', "[1].items: must be a list"),
        (f'{{{USD},"items":[]}}', "[1].items: must hold 1 to 200 items, found 0"),
        (order(*[ITEM] * 201), "[1].items: must hold 1 to 200 items, found 201"),
        (order("[]"), "[1].items[0]: must be an object, found a list"),
        (
            order(ITEM, item(products='{"type":"SINGLE","value":"BAW-GB"}')),
            "[1].items: must all be of one currency, found AMZ-US (USD), BAW-GB (GBP)",
        ),
        (ORDER.replace('"USD"', '"usd"'), '[1].payment_method.currency: must be a currency code such as USD, found "u'),
        (ORDER.replace('"USD"', '"GBP"'), "[1].payment_method.currency: is GBP, but the products are in USD: Runa wo"),
        (ORDER.replace("ACCOUNT_BALANCE", "CARD"), "[1].payment_method.type: must be 'ACCOUNT_BALANCE', found \"CARD"),
        (order(rest=',"description":5'), "[1].description: must be text, found 5"),
        (order(rest=',"metadata":{"a":1}'), '[1].metadata: values must be text, found 1 for "a"'),
        (order(rest=',"metadata":["a"]'), "[1].metadata: must be an object of text values, found a list"),
        (
            order(rest=',"metadata":{"runa_cli_key":"x"}'),
            "[1].metadata: must not name runa_cli_key: this program stamps orders with it",
        ),
        (
            order(*(item(products=f'{{"type":"TEMPLATE","template_id":"{PT.format(n)}"}}') for n in "0123456789A")),
            "[1].items: must name at most 10 different product templates, found 11",
        ),
        (
            order(
                *(
                    item(distribution_method=f'{{"type":"PAYOUT_LINK","template_id":"{DT.format(n)}"}}')
                    for n in "0123456789A"
                )
            ),
            "[1].items: must name at most 10 different redemption templates, found 11",
        ),
    ],
)
def test_what_an_item_or_order_breaks_is_named(text: str, expected: str) -> None:
    """The good order before it shows that one bad one is found among others."""
    (found,) = mistakes(lambda: read(f"[{ORDER},{text}]", allow_links=True))
    assert f"stdin, {expected}" == found[: len(f"stdin, {expected}")]


def test_mistakes_of_all_orders_and_items_are_named_at_once() -> None:
    found = mistakes(lambda: read(f"[{BAD},{order(ITEM, BAD, item(products='5'))},{ITEM},{BAD}]"))
    places = ["[0].face_value", "[1].items[1].face_value", "[1].items[2].products", "[3].face_value"]
    assert [f"stdin, {place}" for place in places] == [line.partition(":")[0] for line in found]


def test_a_program_is_told_the_path() -> None:
    error = refused(lambda: read(order(ITEM, BAD)))
    expected = {"file": "stdin", "path": "items[1].face_value", "message": 'must be a number, found "ten".'}
    assert expected in (error.details or [])


def test_an_order_of_several_items_is_not_torn_apart_by_sync_mode() -> None:
    assert ["--mode: sync takes one item an order, found 2."] == mistakes(lambda: read(order(ITEM, ITEM), mode="sync"))


def test_a_quantity_from_the_flags_is_filled_in_as_it_is_in_a_table() -> None:
    assert 3 == len(items(read(f"[{ITEM}]", quantity="3")))


# --- text that is no JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "file_format", "expected"),
    [
        ("", "json", "stdin: is empty."),
        (" \n", "json", "stdin: is empty."),
        ("", "jsonl", "stdin: holds no items."),
        ("[]", "json", "stdin: holds no items."),
        (f"[{ITEM}", "json", "stdin, line 1: is not JSON: a list needs commas between its members and ] at its end."),
        (f"[{ITEM} {ITEM}]", "json", "stdin, line 1: is not JSON: a list needs commas between its members and ] at"),
        (f"[{ITEM},", "json", "stdin, [1]: is not JSON: it ends too early."),
        (f"[\n{ITEM},\n\n{{'a':1}}]", "json", "stdin, line 4, [1]: is not JSON: expecting property name enclosed in d"),
        ('{\n "items": [\n{"face_value": 1,}]}', "json", "stdin, line 3: is not JSON: "),
        (f"{ORDER}\n{ORDER}", "json", "stdin, line 2: has more than one document: one a line is --format jsonl."),
        (f"[{ITEM}]x", "json", "stdin, line 1: has more than one document: one a line is --format jsonl."),
        ('[{"face_value":NaN}]', "json", "stdin, [0]: is not JSON: NaN is not JSON."),
        ('[{"face_value":1,"face_value":2}]', "json", 'stdin, [0]: is not JSON: "face_value" is given twice in one'),
        ('[{"face_value":1e99999999999999999999}]', "json", "stdin, [0]: is not JSON: the number 1e999999999999999999"),
        ("[" * 100, "json", "stdin, line 1, [0]: is not JSON: expecting value at column "),
        ("[" * 100 + "]" * 100, "json", "stdin, [0]: is not JSON: the JSON is nested too deeply."),
        ("[" * 100_000 + "]" * 100_000, "json", "stdin, [0]: is not JSON: it is nested too deeply."),
        (b'[{"description":"caf\xe9"}]', "json", "stdin, line 1: is not UTF-8 (byte 0xe9): save it as UTF-8, or say"),
        (b'{"a":"caf\xe9"}', "jsonl", "stdin, line 1: is not UTF-8 (byte 0xe9): save it as UTF-8, or say"),
        (f"{ITEM}\n{{\n{ITEM}", "jsonl", "stdin, line 2: is not JSON: expecting property name enclosed in double quo"),
        (f"{ITEM}\n{ITEM}{ITEM}", "jsonl", "stdin, line 2: is not JSON: extra data."),
        (ITEM.encode("utf-16-le"), "json", "stdin: looks like UTF-16 without a byte order mark: add --encoding utf-16"),
        (ITEM.encode("utf-16")[:-1], "json", "stdin, line 1: is not UTF-16, which its byte order mark says: save it"),
        (f"[{ITEM},]", "json", "stdin, line 1: is not JSON: there is a comma too many before ]."),
    ],
)
def test_text_that_is_no_json_is_refused_with_its_place(
    content: str | bytes, file_format: Format, expected: str
) -> None:
    found = mistakes(lambda: read(content, file_format))
    assert expected == found[0][: len(expected)]


def test_every_line_that_is_no_json_is_named() -> None:
    found = mistakes(lambda: read(f"{{\n{ITEM}\nx\n", "jsonl"))
    assert ["stdin, line 1", "stdin, line 3"] == [line.partition(":")[0] for line in found]


def test_the_column_of_a_syntax_error_counts_from_the_start_of_its_line() -> None:
    text = f'[{ITEM}, {{"face_value" 10}}]'
    (found,) = mistakes(lambda: read(text))
    assert f"stdin, line 1, [1]: is not JSON: expecting ':' delimiter at column {text.index(' 10') + 2}." == found


# --- which format ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sizes"),
    [
        (ORDER, [1]),
        (f"\n  [{ITEM},\n{ITEM}]", [2]),
        (f"{ORDER}\n", [1]),
        (f"{ORDER}\n{ORDER}\n", [1, 1]),
        (f"\ufeff{ITEM}\n{ITEM}\n", [2]),
        (f"\ufeff[{ITEM}]", [1]),
        (f'{{\n"items":[\n{ITEM}\n,\n{ITEM}]}}', [2]),
        ("face_value,product\n10,AMZ-US\n", [1]),
    ],
)
def test_the_content_tells_the_format_where_nothing_else_does(content: str, sizes: list[int]) -> None:
    assert sizes == [len(made.gifts) for made in orders(read(content))]


@pytest.mark.parametrize("name", ["gifts.jsonl", "gifts.ndjson", "gifts.JSONL"])
def test_the_suffix_tells_the_format(tmp_path: Path, name: str) -> None:
    """One line alone could as well be a document, which is shown as an object and not as a list."""
    path = tmp_path / name
    path.write_text(ORDER)
    with from_file(OrderInput(file=str(path))) as plan:
        assert "list" == plan.shape


def test_a_format_that_is_said_goes_before_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "gifts.csv"
    path.write_text(ORDER)
    with from_file(OrderInput(file=str(path), file_format="json")) as plan:
        assert ("object", 1) == (plan.shape, plan.item_count)


class Pipe(io.RawIOBase):
    """A pipe whose writer takes its time: each read gets one piece."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give the next piece."""
        piece = next(self._pieces, b"")
        buffer[: len(piece)] = piece
        return len(piece)


def piped(*pieces: str | bytes) -> Plan:
    """Return the plan of a JSON document that comes in pieces, each cut wherever the writer stopped."""
    raw = Pipe(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
    return from_file(OrderInput(file_format="json"), cast("BinaryIO", raw))


def test_a_slow_writer_does_not_change_the_format() -> None:
    pipe = io.BufferedReader(Pipe([f"{ITEM}\n".encode()] * 2))
    assert bodies(read(f"{ITEM}\n{ITEM}\n")) == bodies(from_file(OrderInput(), pipe))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_file_that_comes_in_pieces_is_read_as_a_whole(size: int) -> None:
    """Pieces end inside of numbers, escapes and characters of several bytes."""
    described = order(rest=',"description":"日本 \\u0041\\n"')
    text = f"[{item(face_value='1234567.89')}, {described}]".encode()
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert bodies(read(text)) == bodies(piped(*pieces))


def test_a_number_that_comes_in_two_pieces_is_one_number() -> None:
    assert "stdin, [0]: must be an order or an item, found 1234." in mistakes(lambda: piped("[12", "34]"))


def test_a_long_document_is_read_value_by_value() -> None:
    """Values that stand across the borders of what is read at once come out whole."""
    text = "[" + ",".join(item(face_value=f"{number}.{number % 90 + 10}") for number in range(1, 3001)) + "]"
    made = gifts(read(text))
    assert [f'{{"face_value":{number}.{number % 90 + 10},' for number in range(1, 3001)] == [
        gift.item.partition(",")[0] + "," for gift in made
    ]
    assert SINGLE in made[-1].item


# --- references ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "kept"),
    [
        ('"E001"', "E001"),
        ('"  E 001  "', "E 001"),
        ("17", "17"),
        ("1.50", "1.50"),
        (f'"{"x" * 200}"', "x" * 200),
        ('"日本"', "日本"),
        ("null", None),
    ],
)
@pytest.mark.parametrize("whole", [False, True], ids=["an item", "an item of an order"])
def test_an_item_may_bear_a_reference_that_is_kept_and_not_sent(
    reference: str, kept: str | None, *, whole: bool
) -> None:
    own = item(reference=reference)
    text = order(own, ITEM) if whole else f"[{own},{ITEM}]"
    assert [kept, None] == [gift.reference for gift in gifts(read(text))]
    assert all("reference" not in sent for sent in items(read(text)))


@pytest.mark.parametrize(
    "reference",
    [
        '""', '"   "', '"a\\u0007b"', '"a\\nb"', '"\\u200b"', '"\\ud800"', f'"{"x" * 201}"',
        "true", "[]", "{}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("whole", [False, True], ids=["an item", "an item of an order"])
def test_a_reference_that_is_none_is_named_with_its_path(reference: str, *, whole: bool) -> None:
    own = item(reference=reference)
    (mistake,) = mistakes(lambda: read(order(ITEM, own) if whole else f"[{ITEM},{own}]"))
    assert ("items[1].reference" if whole else "[1].reference") in mistake


def test_two_references_make_two_gifts() -> None:
    with read(f"[{item(reference='1')}]") as one, read(f"[{item(reference='2')}]") as other:
        assert one.fingerprint() != other.fingerprint()


# --- lists that have addresses -----------------------------------------------------------------------------------

MAILED = f'{{"face_value":10,{SINGLE},"distribution_method":{{"type":"EMAIL","email_address":"ann@example.com"}}}}'
LINK = f'{{"face_value":10,{SINGLE},"distribution_method":{{"type":"PAYOUT_LINK"}}}}'


def test_an_item_that_does_not_say_how_it_is_delivered_is_a_mistake_where_others_are_mailed() -> None:
    content = f"[{ITEM},{MAILED},{LINK},{ITEM}]"
    missing = "has no address, so that nobody would be mailed: add it, or --allow-links for a payout link."
    assert [f"stdin, [0].distribution_method: {missing}", f"stdin, [3].distribution_method: {missing}"] == mistakes(
        lambda: read(content)
    )
    assert 4 == len(items(read(content, allow_links=True)))
    assert 4 == len(items(read(content, emails=("all@example.com",))))


def test_a_list_in_which_nobody_is_mailed_may_leave_it_out() -> None:
    assert 2 == len(items(read(f"[{ITEM},{LINK}]")))


@pytest.mark.parametrize("broken", [BAD, ""])
def test_an_order_without_a_usable_item_and_without_a_currency_is_a_named_mistake(broken: str) -> None:
    (found,) = mistakes(lambda: read(f'{{"items":[{broken}]}}', allow_links=True))
    assert found.startswith("stdin, items")
