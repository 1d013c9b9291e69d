"""`report spend` and `report recipients`: what was spent from here, and on whom, to the cent."""

import csv
import json
import stat
from pathlib import Path

import pytest
from openpyxl import load_workbook

from tests.conftest import Emulate
from tests.support.csv_files import rows_of
from tests.support.program import GIFT, Program
from tests.support.ran import Ran

LIST = """face_value,email,product,reference,currency
10,ann@example.com,AMZ-US,E1,USD
25.50,bob@example.com,AMZ-US,E2,USD
20,Ann@Example.com,1800FL-US,E1,USD
5000,cho@example.jp,ASABR-JP,E3,JPY
"""
SPEND, RECIPIENTS = ("report", "spend"), ("report", "recipients")


@pytest.fixture
def issued(program: Program, emulate: Emulate) -> Program:
    """Return a program that has issued a list in two currencies."""
    emulate(processing_seconds=0)
    (path := program.home / "gifts.csv").write_text(LIST)
    assert 0 == program("order", "create", "--file", str(path), "--batch", "bonus").code
    return program


def written(path: Path, lines: list[str]) -> str:
    """Write a file line by line, and return its path."""
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def rows(ran: Ran) -> list[dict[str, str]]:
    assert 0 == ran.code, ran.err
    return rows_of(ran.out)


def sums(ran: Ran, key: str) -> list[tuple[str, str, str, str, str]]:
    """Return key, currency, gifts, face value and charge of each row."""
    return [(row[key], row["currency"], row["gifts"], row["face_value"], row["charged"]) for row in rows(ran)]


def totals(ran: Ran, key: str = "email") -> list[tuple[str, str, str]]:
    """Return who got how much, as a report on recipients says."""
    return [(row[key], row["currency"], row["total"]) for row in rows(ran)]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("product", [("1800FL-US", "USD", "1", "20.00", "20.00"), ("AMZ-US", "USD", "2", "35.50", "35.50"),
                     ("ASABR-JP", "JPY", "1", "5000", "5000")]),
        ("batch", [("bonus", "JPY", "1", "5000", "5000"), ("bonus", "USD", "3", "55.50", "55.50")]),
        ("currency", [("JPY", "JPY", "1", "5000", "5000"), ("USD", "USD", "3", "55.50", "55.50")]),
    ],
)  # fmt: skip
def test_what_was_spent_is_told_by_each_currency(
    issued: Program, by: str, expected: list[tuple[str, str, str, str, str]]
) -> None:
    assert expected == sums(issued(*SPEND, "--by", by, "-o", "csv"), by)


def test_every_report_has_table_json_jsonl_and_csv(issued: Program) -> None:
    for report in ((*SPEND, "--by", "month"), (*SPEND, "--by", "user"), RECIPIENTS):
        document = issued(*report, "--json").json
        lines = [json.loads(line) for line in issued(*report, "-o", "jsonl").out.splitlines()]
        cells = rows(issued(*report, "-o", "csv"))
        assert document == lines
        assert [{name: str(value) for name, value in entry.items()} for entry in document] == cells
        table = issued(*report)
        assert (0, True) == (table.code, "5,000 JPY" in table.out)
        assert 2 == issued(*report, "-o", "links").code


def test_an_empty_report_is_an_empty_list(program: Program, emulate: Emulate) -> None:
    emulate()
    for report in (SPEND, RECIPIENTS):
        assert (0, []) == ((ran := program(*report, "--json")).code, ran.json)
        assert 0 == program(*report).code


def test_days_are_those_of_the_time_zone_and_machines_are_told_them_in_utc(issued: Program) -> None:
    """A month of Kiritimati begins fourteen hours before that of UTC."""
    (first, *_) = rows(issued(*SPEND, "--by", "month", "-o", "csv", TZ="Pacific/Kiritimati"))
    assert ("T10:00:00+00:00", "T10:00:00+00:00") == (first["from"][10:], first["until"][10:])
    assert "UTC+1400" in issued(*SPEND, TZ="Pacific/Kiritimati").err


def test_a_day_that_is_not_in_the_report_adds_nothing(issued: Program) -> None:
    assert [] == issued(*SPEND, "--until", "2001-01-01", "--json").json
    assert [] == issued(*SPEND, "--since", "2999-01-01", "--json").json
    assert [] == issued(*RECIPIENTS, "--year", "2001", "--json").json
    assert 4 == len(issued(*SPEND, "--by", "product", "--since", "2001-01-01", "--json").json) + 1


def test_who_sent_an_order_is_told_with_the_machine(issued: Program) -> None:
    batch = issued("batch", "list", "--json").json[0]
    assert {(batch["user"], batch["host"])} == {
        (row["user"], row["host"]) for row in rows(issued(*SPEND, "--by", "user", "-o", "csv"))
    }


def test_an_order_of_unknown_outcome_has_columns_of_its_own(issued: Program) -> None:
    issued.killed_at("call:Client.create_order", *GIFT, "--batch", "lost")
    (_, dollars) = rows(issued(*SPEND, "--by", "month", "-o", "csv"))
    assert ("3", "55.50", "1", "10.00") == tuple(
        dollars[name] for name in ("gifts", "face_value", "unknown_gifts", "unknown_face_value")
    )
    person = rows(issued(*RECIPIENTS, "-o", "csv"))[-1]
    assert ("fred@example.com", "0", "10.00", "0.00") == tuple(
        person[name] for name in ("email", "gifts", "unknown_face_value", "total")
    )


def test_a_report_is_about_the_active_environment_alone(issued: Program) -> None:
    ran = issued(*SPEND, "--env", "playground", RUNA_API_KEY="xxtests.secret~part")
    assert (0, True) == (ran.code, "Nothing was spent from here." in ran.out)
    assert "Not listed: what was issued in local (--env)" in ran.err


def test_persons_are_told_by_their_address_however_it_is_written(issued: Program) -> None:
    expected = [
        ("cho@example.jp", "JPY", "5000"),
        ("Ann@Example.com", "USD", "30.00"),
        ("bob@example.com", "USD", "25.50"),
    ]
    assert expected == totals(issued(*RECIPIENTS, "-o", "csv"))


def test_persons_are_told_by_their_reference(issued: Program) -> None:
    expected = [("E3", "JPY", "5000"), ("E1", "USD", "30.00"), ("E2", "USD", "25.50")]
    assert expected == totals(issued(*RECIPIENTS, "--by", "reference", "-o", "csv"), "reference")


@pytest.mark.parametrize(
    ("threshold", "names"),
    [
        ("30", ["cho@example.jp", "Ann@Example.com"]),
        ("30.01", ["cho@example.jp"]),
        ("30 USD", ["Ann@Example.com"]),
        ("30usd", ["Ann@Example.com"]),
        ("5000 jpy", ["cho@example.jp"]),
    ],
)
def test_a_threshold_shows_who_got_that_much_or_more(issued: Program, threshold: str, names: list[str]) -> None:
    ran = issued(*RECIPIENTS, "--threshold", threshold, "-o", "csv")
    assert names == [name for name, _, _ in totals(ran)]


def test_links_without_an_address_count_for_nobody(issued: Program) -> None:
    gift = ("--face-value", "7", "--product", "AMZ-US", "--quantity", "2")
    assert 0 == issued("order", "create", *gift).code
    ran = issued(*RECIPIENTS, "-o", "csv")
    assert ("", "USD", "14.00") == totals(ran)[-1]
    assert "Gifts without an address count for nobody: 2 gifts." in ran.err
    assert ["cho@example.jp", "Ann@Example.com", "bob@example.com"] == [
        name for name, _, _ in totals(issued(*RECIPIENTS, "--threshold", "1", "-o", "csv"))
    ]


def test_another_source_is_added_by_the_same_person(issued: Program) -> None:
    """Its headings and amounts are read as those of a list of gifts."""
    lines = ["Work Email;Betrag", "BOB@example.com;2000,05 USD", "eve@example.com;1 USD"]
    other = written(issued.home / "payroll.csv", lines)
    ran = issued(*RECIPIENTS, "--also", other, "-o", "csv")
    expected = [
        ("BOB@example.com", "USD", "2025.55"),
        ("Ann@Example.com", "USD", "30.00"),
        ("eve@example.com", "USD", "1.00"),
    ]
    assert expected == totals(ran)[1:]
    assert ["BOB@example.com"] == [
        name for name, _, _ in totals(issued(*RECIPIENTS, "--also", other, "--threshold", "2000 USD", "-o", "csv"))
    ]
    assert "is counted twice" in ran.err


@pytest.mark.parametrize("name", ["earlier.csv", "earlier.xlsx"])
def test_an_earlier_report_is_another_source_even_for_who_was_pruned(issued: Program, name: str) -> None:
    assert 0 == issued(*RECIPIENTS, "--to", name).code
    expected = [("JPY", "10000"), ("USD", "60.00"), ("USD", "51.00")]
    assert expected == [row[1:] for row in totals(issued(*RECIPIENTS, "--also", name, "-o", "csv"))]
    assert 0 == issued("batch", "prune", "--older-than", "0", "--yes").code
    assert 0 == issued(*RECIPIENTS, "--to", "pruned.csv").code
    assert expected == [row[1:] for row in totals(issued(*RECIPIENTS, "--also", "pruned.csv", "-o", "csv"))]
    named = totals(issued(*RECIPIENTS, "--also", name, "-o", "csv"))
    assert ["cho@example.jp", "Ann@Example.com", "bob@example.com"] == [row[0] for row in named]


def test_rows_of_results_that_were_not_issued_add_nothing(issued: Program) -> None:
    results = issued("batch", "export", "bonus", "-o", "csv").out.splitlines()
    cells = next(csv.reader([results[2]]))
    cells[7:] = [""] * len(cells[7:])  # from its order id on
    (path := issued.home / "results.csv").write_text("\n".join([*results[:2], ",".join(cells)]) + "\n")
    assert [("ann@example.com", "USD", "40.00"), ("bob@example.com", "USD", "25.50")] == totals(
        issued(*RECIPIENTS, "--also", str(path), "-o", "csv")
    )[1:]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["email,amount,currency", "ann@example.com,1.500,USD"], "is no amount, or could be two"),
        (["email,amount", "ann@example.com,15"], "has no currency"),
        (["email,amount,currency", "ann@example.com,€15,USD"], "has € beside the amount"),
        (["email,amount,currency", "Total,15,USD"], "looks like a row of totals (Total)"),
        (["email,amount,currency", "ann,15,USD"], "'ann' is no address"),
        (["name,amount,currency", "Ann,15,USD"], "there is no column email"),
    ],
)
def test_what_cannot_be_understood_in_another_source_is_never_guessed(
    issued: Program, lines: list[str], said: str
) -> None:
    path = written(issued.home / "other.csv", lines)
    ran = issued(*RECIPIENTS, "--also", path, "--json")
    assert (3, "") == (ran.code, ran.out)
    assert said in ran.error["message"]


def test_a_report_in_a_workbook_has_numbers_that_add_up_and_is_private(issued: Program) -> None:
    path = issued.home / "spend.xlsx"
    ran = issued(*SPEND, "--by", "product", "--to", str(path), "--json")
    assert {"file": str(path), "rows": 3} == ran.json
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    header, *body = load_workbook(path).active.iter_rows(values_only=True)  # type: ignore[union-attr]
    face = header.index("face_value")
    assert [("1800FL-US", 20), ("AMZ-US", 35.5), ("ASABR-JP", 5000)] == [(row[0], row[face]) for row in body]


@pytest.mark.parametrize(("name", "code"), [("spend.pdf", 2), ("no/such/spend.csv", 2), (".", 2)])
def test_a_report_is_not_written_where_it_cannot_be(issued: Program, name: str, code: int) -> None:
    assert code == issued(*SPEND, "--to", name).code


@pytest.mark.parametrize(
    "arguments",
    [
        (*SPEND, "--by", "colour"), (*RECIPIENTS, "--by", "name"), (*RECIPIENTS, "--threshold", "much"),
        (*RECIPIENTS, "--threshold", "20 DOLLARS"), (*RECIPIENTS, "--year", "2026", "--since", "2026-01-01"),
        (*SPEND, "--since", "yesterday"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_asked_for_in_the_wrong_way_is_refused(
    program: Program, emulate: Emulate, arguments: tuple[str, ...]
) -> None:
    emulate()
    assert (2, "") == ((ran := program(*arguments)).code, ran.out)


def test_an_editor_of_a_batch_takes_nothing_of_what_another_has_sent(issued: Program) -> None:
    """Who issued a batch is whoever edited it last; who sent an order stays."""
    path = Path(issued.home / "gifts.csv")
    path.write_text(LIST + "1,dan@example.com,AMZ-US,E4,USD\n")
    before = rows(issued(*SPEND, "--by", "user", "-o", "csv"))
    assert 0 == issued("order", "create", "--file", str(path), "--batch", "bonus").code
    after = rows(issued(*SPEND, "--by", "user", "-o", "csv"))
    assert [("1", "3"), ("1", "4")] == [tuple(row["gifts"] for row in each) for each in (before, after)]
