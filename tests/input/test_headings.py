"""Headings as people write them, and columns that hold what the list is about under another name."""

import shlex
from decimal import Decimal
from typing import Any

import pytest

from runa_cli.input.columns import FIELDS, field_of
from runa_cli.input.plan import Plan
from tests.support.plans import gifts, items, mistakes, read_csv

MAIL = "ann@example.test"


def rows(*lines: str, **given: Any) -> Plan:
    return read_csv("\n".join([*lines, ""]), **{"products": ("AMZ-US",), **given})


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("email", ["email", "E-Mail", "recipient email", "Email Address", "e-mail address", "Work Email", "mail",
                   "E-Mail-Adresse", "EMAIL.ADDRESS", "\u200bemail\u200b", "\ufeffemail", " work\u00a0e-mail ",
                   "Work\nEmail"]),
        ("face_value", ["Face Value", "amount", "value", "Reward Amount", "gift amount", "Betrag", "Montant",
                        "IMPORTE"]),
        ("reference", ["External Reference ID", "external id", "Employee ID", "personnel number", "Personal-Nr."]),
        ("currency", ["Currency Code"]),
        ("product", ["Product Code", "products"]),
        ("quantity", ["Qty"]),
    ],
)  # fmt: skip
def test_a_field_is_known_by_the_names_that_other_systems_give_it(field: str, names: list[str]) -> None:
    assert dict.fromkeys(names, field) == {name: field_of(name) for name in names}


@pytest.mark.parametrize("field", FIELDS)
def test_case_blanks_and_marks_make_no_difference(field: str) -> None:
    spellings = [field.upper(), field.replace("_", " "), field.replace("_", "-"), field.replace("_", ""), f" {field}."]
    assert [field] * len(spellings) == [field_of(name) for name in spellings]


def test_column_maps_any_heading_to_a_field() -> None:
    plan = rows(
        "Arbeits-Mail,Bonus,Name", f"{MAIL},25,Ann", columns=(("email", "arbeits mail"), ("face_value", "Bonus"))
    )
    assert ("Name",) == plan.columns
    (item,) = items(plan)
    assert (MAIL, Decimal(25)) == (item["distribution_method"]["email_address"], item["face_value"])


def test_carry_keeps_a_column_out_of_the_gift() -> None:
    with rows("email,amount,face_value", f"{MAIL},99,25", carry=("Amount",)) as plan:
        assert ("amount",) == plan.columns
        assert [Decimal(25)] == [item["face_value"] for item in items(plan)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"columns": (("email", "Mail address"),)},
            "--column: there is no column 'Mail address'. The columns are: Name, Team, face_value.",
        ),
        ({"carry": ("Floor",)}, "--carry: there is no column 'Floor'. The columns are: Name, Team, face_value."),
    ],
)
def test_a_name_that_is_not_there_is_named_with_the_columns_that_are(options: Any, expected: str) -> None:
    assert [expected] == mistakes(lambda: rows("Name,Team,face_value", "Ann,A,25", **options))


def test_a_name_that_two_columns_have_is_refused() -> None:
    found = mistakes(lambda: rows("Note,note,face_value", "a,b,25", carry=("note",)))
    assert ["--carry: there are 2 columns 'note': rename one of them."] == found


@pytest.mark.parametrize("name", ["UTID", "etid"])
def test_product_codes_of_another_vendor_are_not_passed_over(name: str) -> None:
    (found,) = mistakes(lambda: rows(f"email,amount,{name}", f"{MAIL},25,U123456"))
    assert f"stdin, line 1, column {name}: is for another vendor's product codes" in found
    with rows(f"email,amount,{name}", f"{MAIL},25,U123456", carry=(name,)) as plan:
        assert (name,) == plan.columns


# --- columns that look like a field ------------------------------------------------------------------------------


def test_addresses_under_an_unknown_heading_are_not_passed_over() -> None:
    lines = ("Arbeitsadresse,face_value", f"{MAIL},25", "ben@example.test,25", ",25")
    assert [
        f"stdin, line 1, column Arbeitsadresse: holds e-mail addresses ({MAIL}), and no column is email:"
        " add --column email=Arbeitsadresse if it is meant, or --carry Arbeitsadresse if not."
    ] == mistakes(lambda: rows(*lines))
    with rows(*lines, carry=("Arbeitsadresse",)) as plan:
        assert 3 == plan.item_count


@pytest.mark.parametrize("heading", ["reference", "description"])
def test_addresses_in_a_field_of_free_text_are_not_passed_over(heading: str) -> None:
    lines = (f"{heading},face_value", f"{MAIL},25", "ben@example.test,25")
    (found,) = mistakes(lambda: rows(*lines))
    assert f"column {heading}: holds e-mail addresses" in found
    with rows(*lines, columns=((heading, heading),)) as plan:
        assert 2 == plan.item_count


def test_a_few_addresses_are_no_column_of_addresses() -> None:
    with rows("note,face_value", f"{MAIL},25", "b,25", "c,25", "d,25") as plan:
        assert 4 == plan.item_count


@pytest.mark.parametrize("cell", ["50", "50.00", "$50", "50 USD", "1.500,00"])
def test_amounts_beside_a_flag_that_gives_the_value_are_not_passed_over(cell: str) -> None:
    lines = ("email;Amount (USD)", f"{MAIL};{cell}")
    (found,) = mistakes(lambda: rows(*lines, face_value="10"))
    assert (
        f"stdin, line 1, column Amount (USD): holds amounts ({cell}), and face_value comes from a flag:"
        " add --column face_value='Amount (USD)' if it is meant, or --carry 'Amount (USD)' if not."
    ) == found
    with rows(*lines, face_value="10", carry=("Amount (USD)",)) as plan:
        assert 1 == plan.item_count


@pytest.mark.parametrize(
    ("heading", "cells"),
    [("Row", ["1", "2"]), ("#", ["7", "8"]), ("Cost center no", ["100", "200"]), ("Jahr", ["2025", "2025"]),
     ("counter", ["1", "2"]), ("PLZ", ["80331", "10115"]), ("badge", ["007", "0012"])],
)  # fmt: skip
def test_numbers_that_name_something_may_stand_beside_a_flag(heading: str, cells: list[str]) -> None:
    lines = [f"p{number}@example.test,{cell}" for number, cell in enumerate(cells)]
    with rows(f"email,{heading}", *lines, face_value="10") as plan:
        assert (heading,) == plan.columns


def test_amounts_beside_a_column_of_face_values_are_carried() -> None:
    with rows("email,face_value,salary", f"{MAIL},25,3000.00") as plan:
        assert ("salary",) == plan.columns


def test_currencies_under_an_unknown_heading_are_not_passed_over() -> None:
    lines = ("email,amount,Wrg", f"{MAIL},25,CHF", "ben@example.test,25,EUR")
    (found,) = mistakes(lambda: rows(*lines))
    assert "stdin, line 1, column Wrg: holds currencies (CHF), and is not used: add --column currency=Wrg" in found
    (found,) = mistakes(lambda: rows("email,amount,code", f"{MAIL},25,GBP", columns=(("currency", "code"),)))
    assert "is GBP, but the products are in USD" in found


def test_a_currency_in_the_heading_of_the_amounts_is_that_of_the_gifts() -> None:
    lines = ("email,Amount (EUR)", f"{MAIL},25")
    given: dict[str, Any] = {"columns": (("face_value", "Amount (EUR)"),)}
    (found,) = mistakes(lambda: rows(*lines, **given))
    assert "stdin, line 2 (row 1), column Amount (EUR): is in EUR, but the gift is in USD." == found
    with rows(*lines, **given, products=("ADAS-DE",)) as plan:
        assert {"EUR": Decimal(25)} == plan.sums


@pytest.mark.parametrize(
    ("heading", "field"),
    [("Anzahl", "quantity"), ("Menge", "quantity"), ("Währung", "currency"), ("Valor", "face_value")],
)
def test_what_may_be_a_field_in_another_language_is_asked_about(heading: str, field: str) -> None:
    lines = (f"email,amount,{heading}", f"{MAIL},25,3")
    (found,) = mistakes(lambda: rows(*lines))
    assert f"column {heading}: may be the {field}: add --column {field}={shlex.quote(heading)} if it is" in found
    with rows(*lines, carry=(heading,)) as plan:
        assert (heading,) == plan.columns


def test_days_of_delivery_are_not_observed_and_that_is_said() -> None:
    (found,) = mistakes(lambda: rows("email,amount,Delivery Date", f"{MAIL},25,2026-12-24"))
    assert "column Delivery Date: is not observed, because gifts are issued at once: add --carry" in found


def test_the_likely_column_of_the_values_is_named_where_there_is_none() -> None:
    found = mistakes(lambda: rows("email,Montant TTC (€),PLZ", f"{MAIL},25,80331"))
    assert [
        "stdin, line 1: there is no column face_value, the value of each gift, and no --face-value either."
        " The columns are: email, Montant TTC (€), PLZ."
        " Perhaps it is --column face_value='Montant TTC (€)'."
    ] == found


def test_a_list_without_products_says_how_to_give_them() -> None:
    (found,) = mistakes(lambda: rows("email,amount", f"{MAIL},25", products=()))
    assert "stdin, line 1: there is no column product, and no --product either: `runa product list` shows" in found


def test_a_header_in_the_middle_of_a_list_is_named_for_what_it_is() -> None:
    found = mistakes(lambda: rows("email,amount", f"{MAIL},25", "email,amount", "ben@example.test,25"))
    assert ["stdin, line 3 (row 2): is the header again: delete it, and look whether the list is there twice."] == found


# --- where the header is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [MAIL, f"{MAIL},25", "Ann,25", "E1,25.00 USD"])
def test_a_sheet_without_a_header_is_refused(line: str) -> None:
    (found,) = mistakes(lambda: rows(line, *["ben@example.test,25"] * 2, face_value="10"))
    assert found.startswith("stdin, line 1: holds data (")


TITLED = ("Bonus list November,,", ",,", "Name,email,amount", f"Ann,{MAIL},25", "Ben,ben@example.test,x")


def test_a_title_above_the_header_is_named_with_the_row_of_the_header() -> None:
    found = mistakes(lambda: rows(*TITLED))
    expected = "is no header, and row 3 looks like one: add --header-row 3, or delete the rows above it."
    assert [f"stdin, line 1: {expected}"] == found
    assert ['stdin, line 5 (row 2), column amount: must be a number, found "x".'] == mistakes(
        lambda: rows(*TITLED, header_row=3)
    )


@pytest.mark.parametrize(("row", "file"), [(2, TITLED), (9, TITLED)])
def test_a_header_row_that_is_blank_or_below_the_sheet_is_refused(row: int, file: tuple[str, ...]) -> None:
    assert [f"--header-row: there is no header in row {row} of stdin."] == mistakes(lambda: rows(*file, header_row=row))


def test_the_separator_is_told_from_the_header_below_a_title() -> None:
    plan = rows("A, B and C", "Name;E-Mail-Adresse;Betrag", f"Ann;{MAIL};25,50", header_row=2)
    assert [Decimal("25.50")] == [item["face_value"] for item in items(plan)]


def test_a_heading_may_be_of_several_lines() -> None:
    plan = read_csv(f'"Work\nEmail","Reward\nAmount",team\n{MAIL},25,A\n', products=("AMZ-US",))
    assert ["A"] == [gift.carried[0] for gift in gifts(plan)]


# --- rows of totals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label", ["TOTAL", "Total:", "Grand total", "Subtotal", "Sum", "Summe", "Gesamt", "Gesamtsumme", "Zwischensumme",
              "Somme", "Total général", "Montant total", "Suma", "Totals"],
)  # fmt: skip
def test_a_row_of_totals_is_told_by_its_label(label: str) -> None:
    found = mistakes(lambda: rows("name,email,amount", f"Ann,{MAIL},10", f"{label},,20"))
    assert [f"stdin, line 3 (row 2): looks like a row of totals ({label}): delete it."] == found
    (links,) = mistakes(lambda: rows("name,amount", "Ann,10", f"{label},20", allow_links=True))
    assert f"looks like a row of totals ({label})" in links


def test_somebody_with_an_address_may_be_called_total() -> None:
    with rows("company,email,amount", f"Total,{MAIL},10") as plan:
        assert 1 == plan.item_count


def test_a_last_value_that_is_the_sum_of_those_above_is_a_total() -> None:
    (found,) = mistakes(lambda: rows("name,amount", "Ann,10", "Ben,20", "Razom,30"))
    assert found.startswith("stdin, line 4 (row 3): looks like a row of totals, because its value is the sum")
    (found,) = mistakes(lambda: rows("name,amount,qty", "Ann,10,2", "Ben,20,1", "Razom,40,"))
    assert found.startswith("stdin, line 4 (row 3): looks like a row of totals")


@pytest.mark.parametrize(
    "lines", [("Razom,30", "Ann,10", "Ben,20"), ("Ann,10", "Ben,20", "Cleo,30", "Dan,5"), ("Ann,10", "Ben,10")]
)
def test_a_gift_that_happens_to_be_such_a_sum_is_no_total(lines: tuple[str, ...]) -> None:
    with rows("name,amount", *lines) as plan:
        assert len(lines) == plan.item_count


# --- cells -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["email", "reference", "product", "amount"])
@pytest.mark.parametrize("cell", ["#N/A", "#REF!"])
def test_an_error_of_a_spreadsheet_is_no_value(field: str, cell: str) -> None:
    cells = {"email": MAIL, "reference": "E1", "product": "AMZ-US", "amount": "10"} | {field: cell}
    (found,) = mistakes(lambda: rows(",".join(cells), ",".join(cells.values())))
    assert f"stdin, line 2 (row 1), column {field}: holds an error, {cell}." == found


def test_an_amount_in_another_currency_than_its_gift_is_refused() -> None:
    (found,) = mistakes(lambda: rows("email,amount", f"{MAIL},€ 25.00"))
    assert "stdin, line 2 (row 1), column amount: is in €, but the gift is in USD." == found
    with rows("email,amount", f"{MAIL},€ 25.00", products=("ADAS-DE",)) as plan:
        assert {"EUR": Decimal("25.00")} == plan.sums


def test_more_decimals_than_the_currency_has_are_refused() -> None:
    found = mistakes(lambda: rows("email,amount,currency,product", f"{MAIL},25.50,JPY,X", products=()))
    assert ["stdin, line 2 (row 1), column amount: has more decimals than JPY has, found 25.50."] == found
