"""Questions that move no money: orders, products, balances, estimates, examples, the emulator as a server."""

import csv
import fcntl
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, KEY, Program, ask, links_at, posts
from tests.support.ran import LONGEST
from tests.support.scripted_server import Answer, ScriptedServer, as_json

LISTS = [
    ("order", "list"),
    ("product", "list"),
    ("product", "countries"),
    ("product", "categories"),
    ("balance",),
    ("batch", "list"),
    ("gift", "list"),
]


def make_orders(program: Program, count: int) -> None:
    """Issue orders with numbered descriptions."""
    rows = "".join(f"10,person{number}@example.com,AMZ-US,note {number}\n" for number in range(count))
    sheet = f"face_value,email,product,description\n{rows}"
    assert program("order", "create", "--file", "-", "--no-preflight", "--quiet", stdin=sheet).code in {0, 8}


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_every_list_has_table_json_jsonl_and_csv(program: Program, emulate: Emulate, command: tuple[str, ...]) -> None:
    emulate()
    assert 0 == program(*GIFT).code
    document = program(*command, "--json").json
    lines = [json.loads(line) for line in program(*command, "-o", "jsonl").out.splitlines()]
    rows = list(csv.reader(io.StringIO(program(*command, "-o", "csv").out)))
    assert document == lines
    assert len(document) == len(rows) - 1 > 0
    assert 0 == program(*command).code


def test_an_empty_list_is_an_empty_list_and_no_error(program: Program, emulate: Emulate) -> None:
    emulate()
    for command in (
        ("order", "list"),
        ("product", "list", "--search", "no such thing"),
        ("batch", "list"),
        ("gift", "list"),
    ):
        ran = program(*command, "--json")
        assert (0, []) == (ran.code, ran.json)
        assert (0, "") == (program(*command, "-o", "jsonl").code, program(*command, "-o", "jsonl").out)


def test_orders_are_listed_page_by_page_until_the_empty_one(program: Program, emulate: Emulate) -> None:
    emulate(processing_seconds=0)
    make_orders(program, 7)
    every = program("order", "list", "--all", "--json").json
    assert [f"note {number}" for number in reversed(range(7))] == sorted(
        (order["description"] for order in every), reverse=True
    )
    first = program("order", "list", "--limit", "3", "--json")
    cursor = json.loads(first.err)["next"]["after"]
    second = program("order", "list", "--limit", "3", "--after", cursor, "--json")
    assert [order["id"] for order in every[:6]] == [order["id"] for order in first.json + second.json]


def test_a_list_that_is_cut_after_its_first_page_tells_its_next_cursor_too(program: Program) -> None:
    """A page holds at most 500 orders."""
    sizes = []

    def page(_: str, path: str, *__: object) -> Answer:
        query = {name: value for name, (value,) in parse_qs(urlsplit(path).query).items()}
        begin, size = int(query.get("after", 0)), int(query["limit"])
        sizes.append(size)
        items = [{"id": f"O-{number}"} for number in range(begin, min(begin + size, 502))]
        return as_json(200, {"items": items, "pagination": {"cursors": {"after": str(begin + size)}}})

    with ScriptedServer(page) as fake:
        ran = program("order", "list", "--limit", "501", "--json", RUNA_ENV="local", RUNA_BASE_URL=fake.url)
    assert (501, {"next": {"after": "501"}}, [500, 1]) == (len(ran.json), json.loads(ran.err), sizes)


def test_a_list_that_nobody_reads_on_is_not_fetched_on(program: Program, emulate: Emulate) -> None:
    emulator = emulate(processing_seconds=0)
    make_orders(program, 150)
    before = len(emulator.requests)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # so small that the first page does not fit in
    running = program.start("order", "list", "--all", "-o", "jsonl", stdout=writer)
    os.close(writer)
    assert os.read(reader, 1)
    os.close(reader)
    _, err = running.communicate(timeout=LONGEST)
    assert (0, "") == (running.returncode, err)
    assert len(emulator.requests) - before < 3  # the whole list is two pages and the empty one


def test_what_runa_cannot_filter_is_sorted_out_here(program: Program, emulate: Emulate) -> None:
    emulate("failed@2", processing_seconds=0)
    make_orders(program, 4)
    (failed,) = program("order", "list", "--status", "failed", "--json").json
    assert "FAILED" == failed["status"]
    assert ["note 3"] == [
        order["description"] for order in program("order", "list", "--search", "NOTE 3", "--json").json
    ]
    today = time.strftime("%Y-%m-%d")
    assert 4 == len(program("order", "list", "--since", today, "--until", today, "--json").json)
    assert [] == program("order", "list", "--until", "2020-01-01", "--json").json
    assert 2 == program("order", "list", "--status", "LOST").code
    assert 2 == program("order", "list", "--since", "yesterday").code
    assert 2 == program("order", "list", "--after", "a", "--before", "b").code


def test_a_search_asks_runa_once_and_says_how_old_its_answer_is(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    found = program("product", "list", "--search", "pet", "--json")
    assert ["800PET-US"] == [product["code"] for product in found.json]
    asked = len(emulator.requests)
    again = program("product", "list", "--search", "PET supp", "--json", "-v")
    assert found.json == again.json
    assert asked == len(emulator.requests)
    assert "From the catalogue of less than a minute ago" in again.err
    program("product", "list", "--refresh", "--quiet")
    assert asked < len(emulator.requests)


def test_products_are_filtered_by_country_category_currency_and_orderability(
    program: Program, emulate: Emulate
) -> None:
    emulate()

    def codes(*flags: str) -> set[str]:
        return {product["code"] for product in program("product", "list", *flags, "--json").json}

    assert {"AMZ-MX", "AIRBB-MX"} == codes("--country", "mx")
    assert {"AMZ-MX"} == codes("--country", "MX", "--orderable")
    assert {"ASABR-JP", "CHCRIC-JP"} == codes("--currency", "JPY")
    assert "BENNET-IT" in codes("--category", "supermarkets")


def test_several_countries_are_those_of_any_of_them(program: Program, emulate: Emulate) -> None:
    emulate()
    listed = program("product", "list", "--country", "Japan", "--country", "HU", "--json").json
    assert {"ALINE-HU", "ASABR-JP", "CHCRIC-JP"} == {product["code"] for product in listed}


@pytest.mark.parametrize(
    "country", ["de", "DEU", "Germany", "germany ", "Deutschland", "ALLEMAGNE", "federal republic of germany"]
)
def test_a_country_may_be_named(program: Program, emulate: Emulate, country: str) -> None:
    emulate()
    expected = program("product", "list", "--country", "DE", "--json").json
    assert expected
    assert expected == program("product", "list", "--country", country, "--json").json


@pytest.mark.parametrize("country", ["UK", "United Kingdom", "england", "Großbritannien"])
def test_a_country_may_be_called_as_everybody_calls_it(program: Program, emulate: Emulate, country: str) -> None:
    emulate()
    (first, *_) = program("product", "list", "--country", "GB", "--json").json
    assert first == program("product", "list", "--country", country, "--json").json[0]


@pytest.mark.parametrize(
    ("country", "said"), [("Germny", "Did you mean Germany?"), ("Atlantis", "no country"), ("", "")]
)
def test_a_country_that_does_not_exist_is_not_an_empty_list(
    program: Program, emulate: Emulate, country: str, said: str
) -> None:
    emulate()
    ran = program("product", "list", "--country", country, "--json")
    assert (2, "") == (ran.code, ran.out)
    assert said in ran.error["message"]


def test_a_country_without_products_is_an_empty_list(program: Program, emulate: Emulate) -> None:
    emulate()
    assert [] == program("product", "list", "--country", "Iceland", "--json").json


def test_an_unknown_product_is_answered_with_the_nearest_code(program: Program, emulate: Emulate) -> None:
    emulate()
    assert "Did you mean AMZ-US?" in program("product", "get", "amz-us").err
    assert "Did you mean AMZ-US or AMZ-MX?" in program("product", "get", "amazon").err
    assert "Did you mean" not in program("product", "get", "XYZZY").err


def test_a_code_of_unknown_currency_is_answered_with_the_nearest_code(program: Program, emulate: Emulate) -> None:
    emulate()
    for flags, place in (("--product", "amz-us"), "--product"), ((), "RUNA_PRODUCTS (environment)"):
        ran = program("order", "create", "--face-value", "10", *flags, "--json", RUNA_PRODUCTS="amz-us")
        assert (3, f"{place}: amz-us is not in the catalogue (did you mean AMZ-US?).") == (
            ran.code,
            ran.error["message"],
        )


def test_the_preflight_suggests_a_code_of_the_country_of_the_others(program: Program, emulate: Emulate) -> None:
    emulate()
    codes = ("--product", "AMAZON", "--product", "AIRBB-MX")
    ran = program("order", "create", "--face-value", "50", *codes, "--preflight", "--dry-run", "--json")
    assert "AMAZON is not in the catalogue (did you mean AMZ-MX?)" in ran.error["message"]


def test_denominations_are_readable_at_a_glance(program: Program, emulate: Emulate) -> None:
    emulate()
    table = program("product", "list", "--search", "-gb").out
    assert "5, 10, 20, 30, 50, 100" in table
    assert "5 to 250" in table
    assert "not orderable" in program("product", "get", "AIRBB-MX").out
    unknown = program("product", "get", "NOPE-US", "--json")
    assert (3, "no_product", "not_issued") == (unknown.code, unknown.error["code"], unknown.error["money"])


def test_balances_are_shown_and_go_down(program: Program, emulate: Emulate) -> None:
    emulate()
    before = program("balance", "usd", "--json").json
    assert 0 == program(*GIFT).code
    after = program("balance", "USD", "--json").json
    assert ("1000000.00", "999990.00") == (before["balance"], after["balance"])
    assert {"USD", "GBP", "EUR"} <= {entry["currency"] for entry in program("balance", "--json").json}


def test_an_estimate_shows_price_and_discount_of_the_same_input_and_sends_no_order(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    command = ("--face-value", "10", "--quantity", "2", "--product", "1800FL-US")
    priced = program("order", "estimate", *command, "--json").json
    assert 2 == len(priced["items"])
    assert {"USD"} == {item["currency"] for item in priced["items"]}
    assert "Discount  0.26 USD" in program("order", "estimate", *command).out
    exchanged = program(
        "order", "estimate", "--face-value", "10", "--product", "1800FL-US", "--currency", "GBP", "--fx"
    )
    assert "GBPUSD 1.2, fee 0.16 GBP" in exchanged.out
    assert not any(target.endswith("/order") for method, target, _ in emulator.requests if method == "POST")


def test_the_playground_has_no_estimates_and_that_is_said(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = program("order", "estimate", "--face-value", "10", "--product", "AMZ-US", "--json", RUNA_ENV="playground")
    assert (5, "no_estimate") == (ran.code, ran.error["code"])
    assert 0 == len(emulator.requests)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_example_can_be_issued_as_it_is(program: Program, emulate: Emulate, kind: str) -> None:
    emulate()
    example = program("order", "example", kind).out
    ran = program("order", "create", "--file", "-", "--format", kind, "-o", "links", stdin=example)
    assert 0 == ran.code, ran.err
    assert {"csv": 3, "json": 2}[kind] == len(ran.out.split())


def test_an_example_workbook_can_be_issued_as_it_is(program: Program, emulate: Emulate) -> None:
    emulate()
    path = program.home / "gifts.xlsx"
    with path.open("wb") as stream:
        program.start("order", "example", "xlsx", stdout=stream).communicate()
    ran = program("order", "create", "--file", str(path), "-o", "links")
    assert 0 == ran.code, ran.err
    assert 3 == len(ran.out.split())


def test_reading_a_workbook_without_the_library_says_how_to_install_it(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    (program.home / "openpyxl.py").write_text("raise ImportError('not installed')\n")
    (program.home / "gifts.xlsx").write_bytes(b"PK\x03\x04")
    ran = program.execute(
        program.command("order", "create", "--file", "gifts.xlsx", "--json"),
        PYTHONPATH=f"{program.home}:{Path(__file__).parents[2]}",
    )
    assert (4, "no_xlsx", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert "pip install 'runa-cli[excel]'" in ran.error["hint"]
    assert 0 == len(emulator.requests)


def test_a_conversion_shows_both_currencies_its_rate_and_its_fee(program: Program, emulate: Emulate) -> None:
    emulate()
    command = ("order", "create", "--face-value", "10", "--product", "1800FL-US", "--currency", "GBP")
    refused = program(*command, "--json")
    assert 3 == refused.code
    assert "--fx" in refused.error["message"]
    shown = program(*command, "--fx").out
    assert "Face value   10.00 USD" in shown
    assert "Price        8.49 GBP" in shown
    assert "GBPUSD 1.2, fee 0.16 GBP" in shown


def test_a_known_recipient_is_paid_by_reference(program: Program, emulate: Emulate) -> None:
    emulate()
    command = ("order", "create", "--face-value", "10", "--email", "ann@example.com", "--recipient", "staff-7")
    paid = program(*command, "--product", "P2C-US", "--json").json
    assert {"type": "RECIPIENT", "recipient_reference": "staff-7", "email_address": "ann@example.com"} == paid["items"][
        0
    ]["distribution_method"]
    assert "product_validation_error" == program(*command, "--product", "AMZ-US", "--json").error["code"]


def test_spend_rules_of_a_prepaid_card_go_through_and_come_back(program: Program, emulate: Emulate) -> None:
    emulate()
    rules = {"spend_rules_template_id": "PSR-01HQ12PV4B8XMBRTK281JM54KK"}
    order = {
        "items": [
            {
                "face_value": 10,
                "distribution_method": {"type": "PAYOUT_LINK"},
                "products": {"type": "SINGLE", "value": "VISASL-3M-USD", "usage_config": rules},
            }
        ]
    }
    made = program("order", "create", "--file", "-", "--json", stdin=json.dumps(order)).json
    assert rules == made["items"][0]["products"]["usage_config"]


def test_a_code_that_does_not_tell_its_currency_is_looked_up_in_the_catalogue(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    plan = next(
        plan["subscription_plan_code"]
        for product in ask(emulator, "/product?limit=500")["catalog"]
        if product["payout_type"] == "subscription"
        for plan in product["subscription"]["subscription_plans"]
    )
    price = "29.97"
    ran = program("order", "create", "--face-value", price, "--product", plan, "--json")
    assert 0 == ran.code, ran.err
    assert "USD" == ran.json["currency"]


def test_ping_tells_what_works_and_what_does_not(program: Program, emulate: Emulate) -> None:
    emulate()
    assert program("ping").out.startswith("pong: local at http://127.0.0.1:")
    refused = program("ping", "--json", RUNA_ENV="playground", RUNA_API_KEY="xxtests.revoked")
    assert (4, "forbidden") == (refused.code, refused.error["code"])
    unreachable = program("ping", "--json", "--timeout", "1", RUNA_BASE_URL="http://127.0.0.1:9")
    assert (7, "unreachable", "not_issued") == (
        unreachable.code,
        unreachable.error["code"],
        unreachable.error["money"],
    )


def test_config_shows_each_value_with_its_origin_and_what_is_wrong(program: Program) -> None:
    (program.home / ".env").write_text("RUNA_TIMEOUT=30\nRUNA_CURRENCY=USD\n")
    ran = program("config", "--json", RUNA_TIMEOUT="45", RUNA_API_KEY=KEY)
    shown = {entry["setting"]: (entry["value"], entry["origin"]) for entry in ran.json}
    assert ("45", "environment") == shown["RUNA_TIMEOUT"]
    assert ("USD", ".env") == shown["RUNA_CURRENCY"]
    assert ("xxtests.…", "environment") == shown["RUNA_API_KEY"]
    assert ("playground", "the key's prefix") == shown["RUNA_ENV"]
    wrong = program("config", "--json", RUNA_RATE_LIMIT="many")
    assert (4, "configuration") == (wrong.code, wrong.error["code"])
    assert "RUNA_RATE_LIMIT (environment) must be a whole number" in wrong.error["message"]


def test_the_emulator_serves_other_programs_and_prints_where(program: Program, tmp_path: Path) -> None:
    serving = program.start("emulator", "serve", "--port", "0")
    assert serving.stdout is not None
    url = serving.stdout.readline().strip()
    env = {"RUNA_BASE_URL": url, "RUNA_API_KEY": KEY}
    assert 0 == program(*GIFT, **env).code
    refused = program("emulator", "reset", "--json")
    assert (4, "emulator_in_use", "") == (refused.code, refused.error["code"], refused.out)
    serving.send_signal(signal.SIGTERM)
    serving.communicate(timeout=10)
    assert 0 == serving.returncode
    assert program.home.joinpath(".local/share/runa/emulator.db").exists()
    assert 0 == program("emulator", "reset").code
    assert [] == program("order", "list", "--env", "local", "--json").json
    assert tmp_path.exists()


def test_what_the_embedded_emulator_made_is_there_for_the_next_run(program: Program) -> None:
    made = program(*GIFT, "--env", "local", "--json").json
    assert made == program("order", "get", made["id"], "--env", "local", "--json").json
    assert [made["id"]] == [order["id"] for order in program("order", "list", "--env", "local", "--json").json]


def test_a_broken_emulator_file_is_named(program: Program) -> None:
    path = program.home / ".local/share/runa/emulator.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 500)
    ran = program("ping", "--env", "local", "--json")
    assert (4, "configuration") == (ran.code, ran.error["code"])
    assert "runa emulator reset" in ran.error["hint"]


def test_an_order_of_nobody_is_not_found(program: Program, emulate: Emulate) -> None:
    emulate()
    ran = program("order", "get", "O-00000000000000000000000000", "--json")
    assert (5, "not_found", "O-00000000000000000000000000") == (ran.code, ran.error["code"], ran.error["order_id"])


def test_links_of_an_order_are_fetched_again_by_its_id(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    made = program(*GIFT, "--json").json
    assert links_at(emulator) == set(program("order", "get", made["id"], "-o", "links").out.split())
    assert 1 == posts(emulator)


def test_the_ledger_of_a_newer_program_is_left_alone(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    connection = sqlite3.connect(program.ledger)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    ran = program(*GIFT, "--again", "--json")
    assert (4, "ledger_unusable", 1) == (ran.code, ran.error["code"], posts(emulator))


def test_starting_the_program_for_its_version_loads_nothing_heavy(program: Program) -> None:
    imported = subprocess.run(
        [program.command()[0], "-X", "importtime", "-m", "runa_cli", "--version"],
        capture_output=True, text=True, check=True, env=program.environment(), cwd=program.home,
    ).stderr  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert set() == {"requests", "pydantic", "sqlite3", "rich", "http.server", "email_validator"} & loaded


def test_a_search_of_orders_says_where_it_looked(program: Program, emulate: Emulate) -> None:
    emulate(processing_seconds=0)
    make_orders(program, 3)
    ran = program("order", "list", "--search", "note 1", "-o", "csv")
    assert 2 == len(ran.out.splitlines())
    searched, gifts = ran.err.strip().split(". ")
    assert re.fullmatch(r"Searched the descriptions of 3 orders at Runa \(local\), back to \d{4}-\d\d-\d\d", searched)
    assert gifts.startswith("`runa gift list --search` finds addresses")
    assert "Searched the descriptions of 2 orders" in program("order", "list", "--search", "note", "--limit", "2").err
    assert "" == program("order", "list", "--search", "note", "--json").err
    assert "" == program("order", "list").err


def test_the_estimate_of_a_file_ends_with_a_grand_total(program: Program, emulate: Emulate) -> None:
    emulate()
    text = "face_value,email,product,description\n25,a@example.com,800PET-US,one\n1000,b@example.com,AMZ-US,two\n"
    total = "Total: 2 gifts, face value 1,025.00 USD, price 1,023.18 USD, discount 1.82 USD\n"
    estimate = ("order", "estimate", "--file", "-")
    shown = program(*estimate, stdin=text)
    assert (0, True) == (shown.code, shown.out.endswith(f"\n{total}"))
    as_csv = program(*estimate, "-o", "csv", stdin=text)
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [("25.00", "USD", "24.68", "USD"), ("1000.00", "USD", "998.50", "USD")] == [
        (row["face_value"], row["currency"], row["price"], row["price_currency"]) for row in rows
    ]
    assert total == as_csv.err
    assert 2 == len(program(*estimate, "--json", stdin=text).json)
    assert "Total" not in program("order", "estimate", "--face-value", "25", "--product", "800PET-US").out
