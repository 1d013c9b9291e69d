"""Results as CSV: one row a gift, whoever reads it."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest

from runa_cli.core import exact_json
from runa_cli.core.exact_json import Number
from runa_cli.core.states import State
from runa_cli.ledger.records import Result
from runa_cli.ledger.results import COLUMNS, ResultRow, row_from_ledger, rows_from_order
from runa_cli.output.csv_format import csv_lines, results_csv

HEADER = "row,reference,email,face_value,currency,products,status,order_id,item_id,payout_url,expiry_date,price,error"
ASKED = {
    "face_value": Number("10.5"),
    "distribution_method": {"type": "EMAIL", "email_address": "ann@example.test"},
    "products": {"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]},
}
ISSUED = {
    **ASKED,
    "id": "E-1",
    "face_value": "10.50",
    "price": "10.40",
    "currency": "USD",
    "payout": {"status": "ACTIVE", "url": "https://spend.runa.io/1?a=b&c=,d", "expiry_date": "2027-01-01T00:00:00Z"},
}


def result(**changes: Any) -> Result:
    fields = {
        "row": 1, "reference": "ref-1", "carried": ("x",), "item": ASKED, "issued": ISSUED, "state": State.COMPLETED,
        "order_id": "O-1", "currency": "USD", "error_text": None,
    }  # fmt: skip
    given = {**fields, **changes}
    return Result(item_json=exact_json.dumps(given.pop("item")), **given)


def table(lines: Sequence[ResultRow], carried: Sequence[str] = ()) -> list[list[str]]:
    """Read the results as another program would."""
    return list(csv.reader(io.StringIO("".join(results_csv(lines, carried)), newline=""), strict=True))


def cells(line: ResultRow) -> dict[str, str]:
    return dict(zip(COLUMNS, line.cells(), strict=False))


def test_the_columns_are_those_that_other_programs_rely_on() -> None:
    assert [HEADER + "\n"] == list(results_csv([]))


def test_an_issued_gift_fills_its_row() -> None:
    expected = (
        "1,ref-1,ann@example.test,10.50,USD,AMZ-US|AMC-US,ACTIVE,O-1,E-1,"
        '"https://spend.runa.io/1?a=b&c=,d",2027-01-01T00:00:00Z,10.40,,x\n'
    )
    assert [HEADER + ",note\n", expected] == list(results_csv([row_from_ledger(result())], ["note"]))


@pytest.mark.parametrize("state", [State.PREPARED, State.SENT, State.ACCEPTED, State.REJECTED, State.ABANDONED])
def test_a_gift_without_a_link_shows_the_state_of_its_order_and_the_reason(state: State) -> None:
    line = cells(row_from_ledger(result(issued=None, state=state, order_id=None, error_text="no funds")))
    assert ("ann@example.test", "10.5", state, "", "", "", "no funds") == (
        line["email"], line["face_value"], line["status"], line["order_id"], line["item_id"], line["payout_url"],
        line["error"],
    )  # fmt: skip


def test_an_old_error_is_not_shown_beside_a_link() -> None:
    assert "" == cells(row_from_ledger(result(error_text="timed out")))["error"]


@pytest.mark.parametrize(
    ("products", "shown"),
    [
        ({"type": "SINGLE", "value": "AMZ-US"}, "AMZ-US"),
        ({"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]}, "AMZ-US|AMC-US"),
        ({"type": "TEMPLATE", "template_id": "PT-1", "values": ["AMZ-US", "AMC-US"]}, "PT-1"),
        ({"type": "UNKNOWN"}, ""),
    ],
)
def test_products_are_named_as_a_file_would_name_them(products: dict[str, Any], shown: str) -> None:
    assert shown == cells(row_from_ledger(result(issued={**ISSUED, "products": products})))["products"]


def test_a_cell_that_a_spreadsheet_would_run_is_defused_wherever_it_comes_from() -> None:
    line = row_from_ledger(
        result(
            reference="=1+1",
            carried=("@SUM(A1)", "-5"),
            issued={**ISSUED, "id": "+E", "payout": {**ISSUED["payout"], "url": "=HYPERLINK(1)"}},  # type: ignore[dict-item] # an object
        )
    )
    header, row = table([line], ["=note", "plain"])
    shown = dict(zip(header, row, strict=True))
    assert ("'=1+1", "'+E", "'=HYPERLINK(1)") == (shown["reference"], shown["item_id"], shown["payout_url"])
    assert {"'=note": "'@SUM(A1)", "plain": "-5"} == {name: shown[name] for name in header[-2:]}


@pytest.mark.parametrize(
    "cell",
    [
        "a,b", 'a "b" c', "a\nb", "a\r\nb", " a ", "日本", "a;b", '"',
        pytest.param(
            "a\rb"
        ),
    ],
)  # fmt: skip
def test_a_carried_cell_comes_back_untouched(cell: str) -> None:
    assert [[*HEADER.split(","), cell], [*row_from_ledger(result()).cells()[:-1], cell]] == table(
        [row_from_ledger(result(carried=(cell,)))], [cell]
    )


def test_rows_are_written_as_they_come() -> None:
    """A batch of 100,000 gifts is never held as one text."""
    taken: list[int] = []

    def endless() -> Any:
        for row in range(10**9):
            taken.append(row)
            yield [str(row)]

    lines = csv_lines(["row"], endless())
    assert ["row\n", "0\n", "1\n"] == [next(lines) for _ in range(3)]
    assert [0, 1] == taken


# --- orders as Runa shows them -----------------------------------------------------------------------------------


def test_an_order_of_runas_has_a_line_for_each_gift() -> None:
    order = {"id": "O-1", "status": "COMPLETED", "currency": "GBP", "items": [ISSUED, {**ISSUED, "currency": None}]}
    lines = rows_from_order(order)
    assert [(1, "ACTIVE", "O-1", "USD"), (2, "ACTIVE", "O-1", "GBP")] == [
        (line.row, line.status, line.order_id, line.currency) for line in lines
    ]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"id": "O-1", "status": "PROCESSING", "message": "wait"}, ("O-1", "PROCESSING", "wait")),
        ({"id": "O-1", "status": "FAILED"}, ("O-1", "FAILED", "")),
        ({"id": "O-1", "status": "FAILED", "items": []}, ("O-1", "FAILED", "")),
    ],
)
def test_an_order_that_shows_no_gifts_still_has_a_line(order: dict[str, Any], expected: tuple[str, str, str]) -> None:
    (line,) = rows_from_order(order)
    assert expected == (line.order_id, line.status, line.error)


def test_a_failed_order_with_gifts_says_failed_on_each() -> None:
    order = {"id": "O-1", "status": "FAILED", "items": [ASKED, ASKED]}
    assert ["FAILED", "FAILED"] == [line.status for line in rows_from_order(order)]


def test_amounts_are_shown_as_runa_wrote_them() -> None:
    (line,) = rows_from_order({"id": "O-1", "items": [{**ASKED, "face_value": Number("1E+2"), "price": "99.90"}]})
    assert ("1E+2", "99.90") == (line.face_value, line.price)


def test_an_order_of_a_strange_shape_is_shown_as_far_as_it_goes() -> None:
    order = {"id": "O-1", "items": [{"distribution_method": "x", "products": [], "payout": None}, "not an object"]}
    (line,) = rows_from_order(order)
    assert ("O-1", "", (), "") == (line.order_id, line.email, line.products, line.payout_url)
