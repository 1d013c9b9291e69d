"""CSV: a header and one item a row, however spreadsheets write it."""

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runa_cli.input.plan import Plan
from runa_cli.input.reader import from_file
from runa_cli.input.request import OrderInput
from tests.support.plans import DT, PT, bodies, gifts, items, mistakes, orders, read, read_csv, refused, sums

HEADER = "face_value,currency,email,recipient,product,product_template,template_id,description,reference,quantity"


def rows(*lines: str, header: str = "face_value,product", **given: Any) -> Plan:
    return read_csv("\n".join([header, *lines, ""]), **given)


def addresses(plan: Plan) -> list[str]:
    return [item["distribution_method"]["email_address"] for item in items(plan)]


# --- what a row says ---------------------------------------------------------------------------------------------


def test_every_column_reaches_the_order() -> None:
    row = f"12.50,USD,ann@example.test,panel-7,AMZ-US,,{DT.format('A')},Q3,ref-1,"
    (body,) = bodies(rows(row, header=HEADER))
    expected = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [
            {
                "face_value": Decimal("12.50"),
                "distribution_method": {
                    "type": "RECIPIENT",
                    "recipient_reference": "panel-7",
                    "email_address": "ann@example.test",
                    "template_id": DT.format("A"),
                },
                "products": {"type": "SINGLE", "value": "AMZ-US"},
            }
        ],
        "description": "Q3",
    }
    assert expected == body
    assert ["ref-1"] == [gift.reference for gift in gifts(rows(row, header=HEADER))]


def test_rows_keep_their_order_and_their_numbers() -> None:
    plan = rows("3,AMZ-US", "1,AMZ-US", "2,AMZ-US")
    assert [Decimal(3), Decimal(1), Decimal(2)] == [item["face_value"] for item in items(plan)]
    assert [1, 2, 3] == [gift.row for gift in gifts(rows("3,AMZ-US", "1,AMZ-US", "2,AMZ-US"))]


def test_an_amount_goes_out_as_it_stands_in_the_cell() -> None:
    assert ['{"face_value":10.10,'] == [gift.item[:20] for gift in gifts(rows(" 10.10 ,AMZ-US"))]


def test_several_products_in_one_cell_are_a_choice() -> None:
    (item,) = items(rows("10,AMZ-US | AMC-US"))
    assert {"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]} == item["products"]


def test_a_product_template_is_a_choice_too() -> None:
    (item,) = items(rows(f"10,{PT.format('A')},USD", header="face_value,product_template,currency"))
    assert {"type": "TEMPLATE", "template_id": PT.format("A")} == item["products"]


def test_rows_of_a_list_without_addresses_make_payout_links() -> None:
    made = items(rows("10,AMZ-US", "10,AMZ-US", header="face_value,product"))
    assert ["PAYOUT_LINK", "PAYOUT_LINK"] == [item["distribution_method"]["type"] for item in made]


def test_a_row_without_an_address_in_a_list_that_has_them_is_a_mistake_unless_links_are_meant() -> None:
    lines = ("10,AMZ-US,", "10,AMZ-US,ann@example.test", "15,AMZ-US,")
    (found,) = mistakes(lambda: rows(*lines, header="face_value,product,email"))
    assert (
        "stdin, lines 2, 4 (2 rows), column email: has no address, so that nobody would be mailed:"
        " add it, or --allow-links for a payout link."
    ) == found
    made = items(rows(*lines, header="face_value,product,email", allow_links=True))
    assert ["PAYOUT_LINK", "EMAIL", "PAYOUT_LINK"] == [item["distribution_method"]["type"] for item in made]


def test_an_address_of_a_flag_fills_in_the_rows_without_one() -> None:
    plan = rows("10,AMZ-US,", header="face_value,product,email", emails=("all@example.test",))
    assert ["all@example.test"] == addresses(plan)


def test_a_quantity_makes_that_many_items_of_one_row() -> None:
    plan = rows("10,AMZ-US,3,a", "20,AMZ-US,,b", header="face_value,product,quantity,reference")
    assert [(1, "a")] * 3 + [(2, "b")] == [(gift.row, gift.reference) for gift in gifts(plan)]


# --- flags and rows ----------------------------------------------------------------------------------------------

FLAGS: dict[str, Any] = {
    "face_value": "5",
    "emails": ("flag@example.test",),
    "products": ("AMC-US",),
    "template_id": DT.format("F"),
    "description": "from the flag",
}


def test_flags_fill_in_what_the_columns_leave_out() -> None:
    (body,) = bodies(rows("1", header="row_id", **FLAGS))
    expected = {
        "face_value": Decimal(5),
        "distribution_method": {
            "type": "EMAIL",
            "email_address": "flag@example.test",
            "template_id": DT.format("F"),
        },
        "products": {"type": "SINGLE", "value": "AMC-US"},
    }
    assert ([expected], "from the flag") == (body["items"], body["description"])


def test_flags_fill_in_blank_cells() -> None:
    header = "face_value,email,product,template_id,description,note"
    assert bodies(rows("1", header="note", **FLAGS)) == bodies(rows(", ,,,,x", header=header, **FLAGS))


def test_where_both_speak_the_row_wins() -> None:
    row = f"7,row@example.test,AMZ-US,{DT.format('R')},from the row"
    (body,) = bodies(rows(row, header="face_value,email,product,template_id,description", **FLAGS))
    (item,) = body["items"]
    assert ("from the row", Decimal(7), "AMZ-US") == (
        body["description"],
        item["face_value"],
        item["products"]["value"],
    )
    assert ("row@example.test", DT.format("R")) == (
        item["distribution_method"]["email_address"],
        item["distribution_method"]["template_id"],
    )


def test_the_rows_choice_of_products_replaces_the_flags_choice() -> None:
    """A product in the row and a template in the flags are no contradiction."""
    template, code = PT.format("A"), ("AMC-US",)
    (own_code,) = items(rows("10,AMZ-US", product_template=template))
    (own_template,) = items(rows(f"10,{template},USD", header="face_value,product_template,currency", products=code))
    assert {"type": "SINGLE", "value": "AMZ-US"} == own_code["products"]
    assert {"type": "TEMPLATE", "template_id": template} == own_template["products"]


def test_metadata_from_flags_stands_in_every_order() -> None:
    made = bodies(rows("10,AMZ-US", "10,BAW-GB", metadata=("team=panel",)))
    assert [{"team": "panel"}] * 2 == [body["metadata"] for body in made]


def test_only_one_address_can_be_filled_in() -> None:
    found = mistakes(lambda: rows("10,AMZ-US", emails=("a@example.test", "b@example.test")))
    assert ["--email: fills in one address beside --file, found 2."] == found


# --- the header --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["face_value,products,email_address", " Face Value ,PRODUCT,E_mail Address"])
def test_a_column_is_known_by_its_other_names_too(header: str) -> None:
    header = header.replace("E_mail Address", "Email-Address")
    assert ["ann@example.test"] == addresses(rows("10,AMZ-US,ann@example.test", header=header))


def test_columns_may_stand_in_any_order() -> None:
    plan = rows("ann@example.test,AMZ-US,10", header="email,product,face_value")
    assert ["ann@example.test"] == addresses(plan)


def test_a_column_with_another_name_is_carried_untouched() -> None:
    cell = '" =1+1 , ""x""\r\n"'
    plan = read_csv(f"face_value,Team Name,product,row_id\r\n10,{cell},AMZ-US,007\r\n")
    assert ("Team Name", "row_id") == plan.columns
    assert [[' =1+1 , "x"\r\n', "007"]] == [list(gift.carried) for gift in gifts(plan)]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("face_valu", "face_value"),
        ("curency", "currency"),
        ("emial", "email"),
        ("emails", "email"),
        ("recipent", "recipient"),
        ("prodcut", "product"),
        ("productz", "product"),
        ("quantitty", "quantity"),
        ("templateids", "template_id"),
        ("referance", "reference"),
        ("Descripton", "description"),
    ],
)
def test_a_column_one_typo_away_from_a_known_name_is_no_carried_column(name: str, meant: str) -> None:
    """Otherwise a row would be paid out without its address or with another amount."""
    found = mistakes(lambda: rows("10,AMZ-US,x", header=f"face_value,product,{name}", face_value="1"))
    assert [
        f"stdin, line 1, column {name}: is one typo away from {meant}:"
        f" rename it, or add --column {meant}={name}, or --carry {name}."
    ] == found


@pytest.mark.parametrize("name", ["city", "e_mail_private", "team", "ref", "product name", "face"])
def test_a_column_two_typos_away_is_carried(name: str) -> None:
    with rows("10,AMZ-US,x", header=f"face_value,product,{name}") as plan:
        assert (name,) == plan.columns


@pytest.mark.parametrize(
    ("second", "advice"),
    [
        ("email", "rename one of them"),
        ("Email", "rename one of them"),
        ("email_address", "say with --carry which of them is only kept"),
    ],
)
def test_a_second_column_for_the_same_thing_is_refused(second: str, advice: str) -> None:
    found = mistakes(lambda: rows("10,a@b.test,c@d.test", header=f"face_value,email,{second}", products=("AMZ-US",)))
    assert [f"stdin, line 1, column {second}: is a second column for email, beside email: {advice}."] == found


def test_a_file_without_face_values_needs_one_from_a_flag() -> None:
    found = mistakes(lambda: rows("AMZ-US", header="product"))
    assert [
        "stdin, line 1: there is no column face_value, the value of each gift, and no --face-value either."
        " The columns are: product. Another column is used with --column face_value=HEADING."
    ] == found
    assert [Decimal(10)] == [item["face_value"] for item in items(rows("AMZ-US", header="product", face_value="10"))]


# --- how spreadsheets write --------------------------------------------------------------------------------------

PLAIN = "face_value,product,email\n10,AMZ-US,ann@example.test\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.rstrip("\n").encode(),
        PLAIN.replace(",", '","').replace("\n", '"\n').replace("face", '"face').replace("\n10", '\n"10').encode(),
        PLAIN.replace("\n10", "\n\n , ,\n10").encode(),
        PLAIN.replace("test\n", "test,\n").replace("email\n", "email,\n").encode(),
    ],
    ids=[
        "plain",
        "bom",
        "utf-16",
        "crlf",
        "cr",
        "semicolon",
        "tab",
        "no-last-newline",
        "quoted",
        "blank-rows",
        "last-empty",
    ],
)
def test_the_same_table_is_read_however_it_is_saved(content: bytes) -> None:
    assert bodies(read_csv(PLAIN)) == bodies(read_csv(content))


def test_a_one_column_file_is_read_too() -> None:
    assert ["ann@example.test"] == addresses(rows("ann@example.test", header="email", **{**FLAGS, "emails": ()}))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_the_header_tells_what_separates_though_cells_hold_commas(mark: str) -> None:
    (body,) = bodies(read_csv(f"face_value{mark}product{mark}description\n10{mark}AMZ-US{mark}a, b, c\n"))
    assert "a, b, c" == body["description"]


def test_a_comma_in_the_name_of_a_carried_column_does_not_mislead() -> None:
    plan = read_csv('face_value;product;"name, first, middle, last"\n10;AMZ-US;x\n')
    with plan:
        assert ("name, first, middle, last",) == plan.columns


def test_a_quoted_cell_may_hold_line_breaks() -> None:
    (body,) = bodies(rows('10,AMZ-US,"two\nlines"', header="face_value,product,description"))
    assert "two\nlines" == body["description"]


def test_short_rows_are_filled_up_with_blank_cells() -> None:
    with rows("10,AMZ-US", header="face_value,product,team,floor") as plan:
        assert [["", ""]] == [list(gift.carried) for gift in gifts(plan)]


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("face_value,product", "12.5O,AMZ-US", 'column face_value: must be a number, found "12.5O"'),
        ("face_value,product", '"12,50",AMZ-US', 'column face_value: must be a number, found "12,50"'),
        ("face_value,product", "0,AMZ-US", "column face_value: must be at least 0.01, found 0"),
        ("face_value,product", ",AMZ-US", "column face_value: is missing"),
        ("face_value,product", "10,", "column product: is missing"),
        ("face_value,product", "10,AMZ-US|", 'column product: must be a product code such as AMZ-US, found ""'),
        ("face_value,product", "1.50,A-US|B-US", "column face_value: must be a whole number for a choice of products,"),
        (
            "face_value,product",
            "10,AMZ-US|BAW-GB",
            "column product: must all be of one currency, found AMZ-US (USD), BAW-GB (GBP)",
        ),
        ("face_value,product,email", "10,AMZ-US,ann@", 'column email: is not an e-mail address: "ann@" ('),
        ("face_value,product,recipient", "10,AMZ-US,panel-7", "column email: is missing"),
        ("face_value,product,recipient,email", "10,A-US,a b,x@y.test", "column recipient: must be 1 to 255 letters"),
        ("face_value,product,template_id", "10,AMZ-US,PT-1", "column template_id: takes a redemption template (DT-…)"),
        ("face_value,product_template,currency", "10,DT-1,USD", "column product_template: takes a product template"),
        ("face_value,product,currency", "10,AMZ-US,usd", "column currency: must be a currency code such as USD, found"),
        ("face_value,product,currency", "10,AMZ-US,GBP", "column currency: is GBP, but the products are in USD: Runa"),
        (
            "face_value,product",
            "10,FOO",
            "column product: no currency can be told from FOO: check the code, or say which balance pays",
        ),
        ("face_value,product,quantity", "10,AMZ-US,1.5", "column quantity: must be a whole number from 1 to 100000,"),
        ("face_value,product,description", f"10,AMZ-US,{'x' * 129}", "column description: must have at most 128 ch"),
        (
            "face_value,product,product_template",
            f"10,AMZ-US,{PT.format('A')}",
            "column product: stands beside product_template: a gift has one choice of products",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_row_and_column(header: str, row: str, expected: str) -> None:
    """The good row before it shows that the numbers count, and that one bad row is not all that is looked at."""
    good = {"face_value": "10", "product": "AMZ-US", "quantity": "1", "currency": "USD", "email": "a@b.test"}
    if "product_template" in header and "product," not in header:
        good = {"face_value": "10", "product_template": PT.format("A"), "currency": "USD"}
    first = ",".join(good.get(name, "") for name in header.split(","))
    (found,) = mistakes(lambda: rows(first, "", row, header=header))
    place = "stdin, line 4 (row 2), "
    assert place + expected == found[: len(place + expected)]


def test_a_row_with_too_many_cells_is_not_guessed_at() -> None:
    found = mistakes(lambda: rows("10,AMZ-US", "1,000,AMZ-US"))
    assert ["stdin, line 3 (row 2): has 3 cells, but the header names 2."] == found


def test_mistakes_are_named_for_the_whole_file_at_once() -> None:
    found = mistakes(lambda: rows("x,AMZ-US", "10,AMZ-US", "10,", "y,AMZ-US"))
    assert [
        'stdin, line 2 (row 1), column face_value: must be a number, found "x".',
        "stdin, line 4 (row 3), column product: is missing.",
        'stdin, line 5 (row 4), column face_value: must be a number, found "y".',
    ] == found


def test_the_first_fifty_mistakes_are_listed_and_the_rest_is_counted() -> None:
    error = refused(lambda: rows("10,AMZ-US", *[f"x{number},AMZ-US" for number in range(120)]))
    lines = error.message.split("\n")
    assert "The input has 120 mistakes:" == lines[0]
    assert "  … and 70 more." == lines[-1]
    assert 52 == len(lines)
    assert 50 == len(error.details or [])


def test_the_same_mistake_in_many_rows_is_one_with_its_lines_and_their_count() -> None:
    error = refused(lambda: rows("10,AMZ-US", *["x,AMZ-US"] * 300, "10,AMZ-US", "x,AMZ-US", "y,AMZ-US"))
    assert [
        "The input has 2 mistakes:",
        '  stdin, lines 3-302, 304 (301 rows), column face_value: must be a number, found "x".',
        '  stdin, line 305 (row 304), column face_value: must be a number, found "y".',
    ] == error.message.split("\n")
    assert [(301, "3-302, 304"), (None, None)] == [
        (detail.get("count"), detail.get("lines")) for detail in error.details or []
    ]


def test_a_program_is_told_the_place_in_parts() -> None:
    error = refused(lambda: rows("10,AMZ-US", "x,AMZ-US"))
    place = {"file": "stdin", "line": 3, "row": 2, "column": "face_value"}
    assert [{**place, "message": 'must be a number, found "x".'}] == error.details


def test_a_file_with_one_bad_row_has_one_mistake() -> None:
    assert ['stdin, line 2 (row 1), column face_value: must be a number, found "x".'] == mistakes(
        lambda: rows("x,AMZ-US")
    )


def test_a_row_of_several_lines_is_named_by_its_first() -> None:
    (found,) = mistakes(lambda: rows('10,AMZ-US,"a\nb"', 'x,AMZ-US,"a\nb\nc"', header="face_value,product,note"))
    assert found.startswith("stdin, line 4 (row 2), column face_value:")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PLAIN.encode("utf-16-be"), "stdin: looks like UTF-16 without a byte order mark: add --encoding utf-16-be."),
        (
            "face_value,product,note\n10,AMZ-US,caf\xe9\n".encode("latin-1"),
            "stdin, line 2: is not UTF-8 (byte 0xe9): save it as UTF-8, or say what it is with --encoding,"
            " for Western Europe often --encoding cp1252.",
        ),
        (b'face_value,product\n10,"AMZ-US\n', "stdin, line 2: is not CSV: unexpected end of data."),
        (b'face_value,product\n10,"AMZ"-US\n', "stdin, line 2: is not CSV: ',' expected after '\"'."),
        (b"face_value,product\n", "stdin: holds no items."),
        (b"face_value,product\n,\n", "stdin: holds no items."),
        (b"", "stdin: is empty."),
        (b"\n\n", "stdin: is empty."),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_its_reason(content: bytes, expected: str) -> None:
    assert [expected] == mistakes(lambda: read_csv(content))


def test_an_unclosed_quote_in_a_long_file_is_found_before_memory_runs_out() -> None:
    content = b'face_value,product\n10,"AMZ-US\n' + b"10,AMZ-US\n" * 200_000
    (found,) = mistakes(lambda: read_csv(content))
    assert found.endswith("is not CSV: field larger than field limit (1048576).")


# --- rows that go into different orders --------------------------------------------------------------------------


def test_rows_that_differ_in_currency_or_description_go_into_different_orders() -> None:
    made = orders(
        rows(
            "1,AMZ-US,a", "2,BAW-GB,a", "3,AMZ-US,b", "4,AMC-US,a", "5,BAW-GB,a",
            header="face_value,product,description",
        )
    )  # fmt: skip
    expected = [("USD", "a", [1, 4]), ("GBP", "a", [2, 5]), ("USD", "b", [3])]
    assert expected == [
        (order.head.payment_method.currency, order.head.description, [gift.row for gift in order.gifts])
        for order in made
    ]
    assert [1, 2, 3] == [order.position for order in made]


def test_rows_of_different_countries_go_into_different_orders() -> None:
    """Runa takes products of one country an order, though all of them are paid in euro."""
    made = orders(rows("20,ADAS-DE", "20,ABBON-IT", "30,ADAS-DE"))
    assert [[1, 3], [2]] == [[gift.row for gift in order.gifts] for order in made]


def test_a_long_file_becomes_several_orders_of_two_hundred() -> None:
    made = orders(rows(*["10,AMZ-US"] * 401))
    assert [200, 200, 1] == [len(order.gifts) for order in made]
    assert [*range(1, 402)] == [gift.row for order in made for gift in order.gifts]


def test_in_sync_mode_every_row_is_an_order_of_its_own() -> None:
    assert [1, 1, 1] == [len(order.gifts) for order in orders(rows("10,AMZ-US", "20,AMZ-US", "5,AMZ-US", mode="sync"))]


def test_the_totals_are_kept_by_currency() -> None:
    assert {"USD": Decimal("10.30"), "GBP": Decimal(5)} == sums(rows("10.10,AMZ-US", "5,BAW-GB", "0.20,AMC-US"))


def test_a_row_may_pay_in_another_currency_only_alone() -> None:
    (alone,) = bodies(rows("10,AMZ-US,GBP", header="face_value,product,currency", fx=True))
    assert "GBP" == alone["payment_method"]["currency"]
    (found,) = mistakes(lambda: rows("10,AMZ-US,USD", "10,AMZ-US,GBP", header="face_value,product,currency", fx=True))
    assert found.startswith("stdin, line 3 (row 2), column currency: needs a conversion, which Runa makes only for a")


# --- where a file comes from -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gifts.csv", "gifts.CSV", "gifts.tsv", "gifts", "gifts.txt"])
def test_a_table_is_known_by_its_suffix_or_its_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(PLAIN)
    with from_file(OrderInput(file=str(path))) as plan:
        assert (1, "file", "list") == (plan.item_count, plan.source, plan.shape)


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gifts.csv"
    path.write_text("face_value,product\n10,AMZ-US\nx,AMZ-US\n")
    expected = f'{path}, line 3 (row 2), column face_value: must be a number, found "x".'
    assert [expected] == mistakes(lambda: from_file(OrderInput(file=str(path))))


@pytest.mark.parametrize(("name", "reason"), [("nowhere.csv", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    path = str(tmp_path / name)
    assert [f"--file: cannot read {path}: {reason}."] == mistakes(lambda: from_file(OrderInput(file=path)))


def test_a_pipe_may_start_with_a_byte_order_mark() -> None:
    assert bodies(read_csv(PLAIN)) == bodies(read(PLAIN.encode("utf-8-sig")))


def test_a_stream_that_cannot_be_peeked_into_is_read_as_a_table() -> None:
    plan = from_file(OrderInput(), io.BytesIO(PLAIN.encode()))
    assert bodies(read_csv(PLAIN)) == bodies(plan)


def test_a_flags_mistake_is_named_once_and_by_its_flag() -> None:
    content = "email\na@example.com\nb@example.com\n"
    given = {"face_value": "0", "products": ("AMZ-US",), "description": "x" * 129}
    assert ["--face-value: must be at least 0.01, found 0."] == mistakes(lambda: read_csv(content, **given))
    given["face_value"] = "10"
    assert ["--description: must have at most 128 characters, found 129."] == mistakes(
        lambda: read_csv(content, **given)
    )


def test_a_mistake_of_a_row_is_named_by_its_column_even_where_a_flag_could_fill_it_in() -> None:
    content = "face_value,email\n0,a@example.com\n,b@example.com\n"
    assert ["stdin, line 2 (row 1), column face_value: must be at least 0.01, found 0."] == mistakes(
        lambda: read_csv(content, face_value="10", products=("AMZ-US",))
    )


@pytest.mark.parametrize(("cell", "value"), [("12,50", "12.50"), ("7,5", "7.5"), ("12.50", "12.50")])
def test_a_decimal_comma_is_a_point_where_a_comma_separates_nothing(cell: str, value: str) -> None:
    (item,) = items(read_csv(f"face_value;email;product\n{cell};a@example.com;AMZ-US\n"))
    assert value == item["face_value"].text


@pytest.mark.parametrize("cell", ["1.500", "1,500", "1.234,50", "1'500", "12,50 %"])
def test_what_may_be_a_thousand_is_not_guessed_at(cell: str) -> None:
    (mistake,) = mistakes(lambda: read_csv(f"face_value;email;product\n{cell};a@example.com;AMZ-US\n"))
    assert f'must be a number, found "{cell}": write 12.50 or 1500' in mistake


def test_a_workbook_is_known_for_what_it_is() -> None:
    (mistake,) = mistakes(lambda: read_csv(b"PK\x03\x04" + b"\x14\x00\x06\x00[Content_Types].xml"))
    assert "stdin: is an Excel workbook: add --format xlsx." == mistake


def test_excels_own_line_about_the_separator_is_heeded_and_counted() -> None:
    content = "sep=;\r\nface_value;email;product\r\n10;a@example.com;AMZ-US\r\n0;b@example.com;AMZ-US\r\n"
    (mistake,) = mistakes(lambda: read_csv(content))
    assert mistake.startswith("stdin, line 4 (row 2), column face_value")


def test_a_currency_that_cannot_be_told_names_the_code() -> None:
    (mistake,) = mistakes(lambda: read_csv("face_value,product\n10,AMAZON\n"))
    assert "no currency can be told from AMAZON: check the code" in mistake
