"""Batches: many gifts from a file, once, resumable, each link beside its row."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runa_cli.emulator.server import Emulator
from tests.conftest import Emulate
from tests.support.csv_files import gifts, links_by_address, rows_of, sheet
from tests.support.program import Program, orders_at, posts, wait_for, wait_for_stopping
from tests.support.ran import LONGEST, Ran

LIVE = {"RUNA_ENV": "live", "RUNA_API_KEY": "wgtests.secret"}
BEYOND_THE_BALANCE = [{**row, "face_value": "2000"} for row in gifts(510)]


def issue(program: Program, path: Path, *more: str, **env: str) -> Ran:
    return program("order", "create", "--file", str(path), "--batch", "bonus", *more, **env)


def assert_each_once(emulator: Emulator, results: list[dict[str, str]], count: int) -> None:
    """Every row has the one link that Runa made for its address, and nobody got more than one."""
    links = links_by_address(emulator)
    assert count == len(results) == len(links)
    assert {address: [row["payout_url"]] for row in results for address in [row["email"]]} == links


def test_a_file_becomes_as_few_orders_as_the_rules_allow_and_every_link_lands_beside_its_row(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate("shuffled@2")
    path = sheet(program.home / "gifts.csv", gifts(450))
    for row in (rows := gifts(450)):
        row["description"] = ""
    sheet(path, rows)
    ran = issue(program, path, "--results", "results.csv", "-o", "csv")
    assert 0 == ran.code, ran.err
    results = rows_of((program.home / "results.csv").read_text())
    assert [200, 200, 50] == sorted((len(order["items"]) for order in orders_at(emulator)), reverse=True)
    assert [str(number) for number in range(1, 451)] == [row["row"] for row in results]
    assert [(row["email"], row["reference"], row["team"]) for row in rows] == [
        (row["email"], row["reference"], row["team"]) for row in results
    ]
    assert_each_once(emulator, results, 450)
    assert rows_of(ran.out) == results


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_and_started_again_it_issues_each_gift_once(
    program: Program, emulate: Emulate, seed: int
) -> None:
    emulator = emulate(processing_seconds=0.05)
    path = sheet(program.home / "gifts.csv", gifts(120, orders=12))
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(8):
        running = program.start("order", "create", "--file", str(path), "--batch", "bonus", "--concurrency", "2")
        killer = threading.Timer(0.3 + chance.random() * 1.2, running.kill)
        killer.start()
        running.communicate()
        killer.cancel()
        if running.returncode == 0:
            break
        assert -9 == running.returncode
    ran = issue(program, path, "-o", "csv")
    assert 0 == ran.code, ran.err
    assert_each_once(emulator, rows_of(ran.out), 120)
    assert 12 == len(orders_at(emulator))
    assert ran.out == program("batch", "export", "bonus", "-o", "csv").out


def test_two_processes_started_together_issue_a_batch_once(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(40, orders=4))
    both = [program.start("order", "create", "--file", str(path), *name) for name in (["--batch", "bonus"],) * 2]
    codes = sorted(running.wait(timeout=60) for running in both)
    for running in both:
        running.communicate()
    assert codes in ([0, 75], [0, 0])
    assert 4 == len(orders_at(emulator))
    assert 0 == issue(program, path).code
    assert 4 == len(orders_at(emulator))


@pytest.mark.parametrize("name", [("--batch", "bonus"), ()])
def test_what_another_process_records_just_before_the_check_is_resumed_and_no_duplicate(
    program: Program, emulate: Emulate, name: tuple[str, ...]
) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(40, orders=4))
    command = ("order", "create", "--file", str(path), *name)
    running = program.paused_at("call:Guard.check_new", *command)
    assert running.pauses()
    program.killed_at("return:Client.create_order", *command)
    running.go_on()
    assert 0 == running.end().code
    assert_each_once(emulator, rows_of(program("batch", "export", listed_name(program), "-o", "csv").out), 40)


def listed_name(program: Program) -> str:
    (listed,) = program("batch", "list", "--json").json
    return str(listed["batch"])


def test_two_processes_started_together_without_a_name_issue_the_file_once(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(40, orders=4))
    both = [program.start("order", "create", "--file", str(path)) for _ in range(2)]
    codes = sorted(running.wait(timeout=60) for running in both)
    for running in both:
        running.communicate()
    assert codes in ([0, 75], [0, 6], [0, 0])
    assert 4 == len(orders_at(emulator))


def test_rows_that_were_added_are_issued_and_the_others_stay(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    rows = gifts(5)
    path = sheet(program.home / "gifts.csv", rows)
    before = rows_of(issue(program, path, "-o", "csv").out)
    added = {**rows[0], "email": "new@example.com"}
    ran = issue(program, sheet(path, [added, *rows]), "-o", "csv")
    assert 0 == ran.code, ran.err
    after = rows_of(ran.out)
    assert [[5], [1]] == [[len(order["items"])] for order in reversed(orders_at(emulator))]
    assert ["new@example.com", *(row["email"] for row in rows)] == [row["email"] for row in after]
    assert [row["payout_url"] for row in before] == [row["payout_url"] for row in after[1:]]
    assert_each_once(emulator, after, 6)


@pytest.mark.parametrize("edit", ["changed", "missing"])
def test_an_issued_row_that_was_changed_or_removed_stops_everything_and_is_named(
    program: Program, emulate: Emulate, edit: str
) -> None:
    emulator = emulate()
    rows = gifts(5)
    path = sheet(program.home / "gifts.csv", rows)
    assert 0 == issue(program, path).code
    edited = [*rows[:2], *([{**rows[2], "face_value": "11.5"}] if edit == "changed" else []), *rows[3:]]
    refused = issue(program, sheet(path, [*edited, {**rows[0], "email": "new@example.com"}]), "--json")
    assert (6, "batch_changed") == (refused.code, refused.error["code"])
    assert "row 3: 12 to person2@example.com" in refused.error["message"]
    assert 1 == posts(emulator)
    assert 0 == issue(program, sheet(path, rows)).code


def test_what_a_row_carries_may_change_for_the_gift_is_the_same(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    rows = gifts(3)
    path = sheet(program.home / "gifts.csv", rows)
    assert 0 == issue(program, path).code
    moved = [{**row, "team": "moved"} for row in reversed(rows)]
    after = rows_of(issue(program, sheet(path, [*moved, {**rows[0], "email": "d@example.com"}]), "-o", "csv").out)
    assert ["moved"] * 3 + ["team 0"] == [row["team"] for row in after]
    assert_each_once(emulator, after, 4)


def test_new_references_and_carried_columns_alone_are_taken_over_without_sending_anything(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    rows = gifts(3)
    path = sheet(program.home / "gifts.csv", [{**row, "reference": ""} for row in rows])
    before = rows_of(issue(program, path, "-o", "csv").out)
    labelled = [{**row, "reference": f"new {number}", "desk": str(number)} for number, row in enumerate(rows)]
    after = rows_of(issue(program, sheet(path, labelled), "-o", "csv").out)
    assert ["new 0", "new 1", "new 2"] == [row["reference"] for row in after]
    assert ["0", "1", "2"] == [row["desk"] for row in after]
    assert [row["payout_url"] for row in before] == [row["payout_url"] for row in after]
    assert 1 == posts(emulator)


def test_a_rejected_order_does_not_stop_the_others_and_its_mended_row_is_issued(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    rows = gifts(6, orders=2)
    rows[3]["product"] = "800PET-US"  # takes 25 or 50, not 13: the whole of part 1 is rejected
    path = sheet(program.home / "gifts.csv", rows)
    partly = issue(program, path, "--no-preflight", "-o", "csv")
    assert 8 == partly.code
    results = rows_of(partly.out)
    assert [True, False] * 3 == [bool(row["payout_url"]) for row in results]
    assert [False, True] * 3 == [bool(row["error"]) for row in results]
    assert {"ACTIVE", "rejected"} == {row["status"] for row in results}
    rows[3]["face_value"] = "25"
    mended = issue(program, sheet(path, rows), "--no-preflight", "-o", "csv")
    assert 0 == mended.code, mended.err
    assert_each_once(emulator, rows_of(mended.out), 6)
    assert 2 == len(orders_at(emulator))


def test_a_partly_done_batch_says_so_in_json(program: Program, emulate: Emulate) -> None:
    emulate()
    rows = gifts(4, orders=2)
    rows[1]["product"] = "800PET-US"
    ran = issue(program, sheet(program.home / "gifts.csv", rows), "--no-preflight", "--json")
    assert (8, "partly_done", "partial") == (ran.code, ran.error["code"], ran.error["money"])
    assert [(2, "rejected")] == [(detail["position"], detail["state"]) for detail in ran.error["details"]]
    assert ["COMPLETED"] == [order["status"] for order in ran.json]


def test_a_refused_key_stops_the_batch_at_once(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    env = {"RUNA_ENV": "playground", "RUNA_API_KEY": "xxtests.revoked"}
    path = sheet(program.home / "gifts.csv", gifts(30, orders=30))
    ran = issue(program, path, "--no-lookup", "--no-preflight", "--concurrency", "2", "--json", **env)
    assert (4, "not_issued") == (ran.code, ran.error["money"])
    assert posts(emulator) <= 3
    assert {"prepared"} == set(program.states())


def test_many_mistakes_are_counted_and_the_first_fifty_listed(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    rows = [
        {**row, "email": f"nobody{number}" if number % 2 else row["email"]} for number, row in enumerate(gifts(140))
    ]
    ran = issue(program, sheet(program.home / "gifts.csv", rows), "--json")
    assert (3, "not_issued") == (ran.code, ran.error["money"])
    assert "The input has 70 mistakes" in ran.error["message"]
    assert 50 == len(ran.error["details"])
    assert {"row": 2, "line": 3, "column": "email"}.items() <= ran.error["details"][0].items()
    assert "and 20 more" in ran.error["message"]
    assert 0 == len(emulator.requests)
    assert not program.ledger.exists()


def test_the_preflight_names_what_runa_would_refuse(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    rows = gifts(4, orders=2)
    rows[0]["product"], rows[1]["product"], rows[2]["product"] = "NOPE-US", "800PET-US", "AMZ-US|NOPE-US"
    ran = issue(program, sheet(program.home / "gifts.csv", rows), "--json")
    assert (3, "invalid_input") == (ran.code, ran.error["code"])
    assert ["rows 1, 3, column product", "rows 2, column face_value"] == [
        f"rows {detail.get('lines', detail['row'])}, column {detail['column']}" for detail in ran.error["details"]
    ]
    assert f"{program.home / 'gifts.csv'}, rows 1, 3 (2 rows), column product: NOPE-US is not" in ran.error["message"]
    assert "800PET-US takes 25, 50" in ran.error["message"]
    assert 0 == posts(emulator)


def test_the_preflight_refuses_a_batch_that_the_balance_does_not_cover(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = issue(program, sheet(program.home / "gifts.csv", BEYOND_THE_BALANCE), "--json", "--yes", **LIVE)
    assert (6, "insufficient_funds") == (ran.code, ran.error["code"])
    assert "needs 1,020,000.00 USD, and the balance is 1,000,000.00 USD" in ran.error["message"]
    assert 0 == posts(emulator)


def test_the_preflight_lets_any_batch_pass_where_no_balance_is_a_limit(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == issue(program, sheet(program.home / "gifts.csv", BEYOND_THE_BALANCE), "-q").code
    assert {"USD": 1_020_000} == emulator.spent


def test_what_the_preflight_cannot_fetch_it_says_and_goes_on(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(4, orders=2))
    ran = issue(program, path, "--no-lookup", "--preflight", "--timeout", "1", RUNA_BASE_URL="http://127.0.0.1:9/v2")
    assert 7 == ran.code
    assert "catalogue could not be fetched" in ran.err
    assert ["prepared", "prepared"] == program.states()


def test_a_dry_run_shows_what_is_issued_and_what_would_be_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    rows = gifts(4)
    path = sheet(program.home / "gifts.csv", rows)
    assert 0 == issue(program, path).code
    assert [] == issue(program, path, "--dry-run", "--json").json
    sheet(path, [*rows, {**rows[0], "email": "new@example.com"}])
    (request,) = issue(program, path, "--dry-run", "--json").json
    assert ["new@example.com"] == [item["distribution_method"]["email_address"] for item in request["body"]["items"]]
    shown = issue(program, path, "--dry-run").out
    assert "4 gifts, 46.00 USD, in batch bonus" in shown
    assert 1 == posts(emulator)
    assert 0 == issue(program, path).code
    assert request["headers"]["X-Idempotency-Key"] in [key for method, _, key in emulator.requests if method == "POST"]


def test_jsonl_has_a_line_for_each_order(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = issue(program, sheet(program.home / "gifts.csv", gifts(9, orders=3)), "-o", "jsonl")
    orders = [json.loads(line) for line in ran.out.splitlines()]
    assert {order["id"] for order in orders_at(emulator)} == {order["id"] for order in orders}


def test_an_address_that_stands_twice_is_pointed_out(program: Program, emulate: Emulate) -> None:
    emulate()
    rows = gifts(3)
    rows[2]["email"] = "PERSON0@example.com"
    ran = issue(program, sheet(program.home / "gifts.csv", rows), "-o", "csv")
    assert 0 == ran.code
    assert "person0@example.com gets 2 gifts (rows 1, 3)" in ran.err
    assert 3 == len({row["payout_url"] for row in rows_of(ran.out)})


def test_quantity_makes_that_many_gifts_of_a_row(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", [{"face_value": "10", "product": "AMZ-US", "quantity": "3"}] * 2)
    results = rows_of(issue(program, path, "-o", "csv").out)
    assert ["1", "1", "1", "2", "2", "2"] == [row["row"] for row in results]
    assert 6 == len({row["payout_url"] for row in results})


def test_an_interrupted_batch_says_what_is_left_and_resume_finishes_it(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@4", processing_seconds=0.05)
    path = sheet(program.home / "gifts.csv", gifts(200, orders=100))
    running = program.start(
        "order", "create", "--file", str(path), "--batch", "bonus", "--concurrency", "1", "--no-preflight", "--json",
        "-v",
    )  # fmt: skip
    wait_for(lambda: posts(emulator) == 4, running)
    running.send_signal(signal.SIGINT)
    wait_for_stopping(running)
    emulator.hurry()
    _, err = running.communicate(timeout=LONGEST)
    assert 130 == running.returncode
    error = json.loads(err.splitlines()[-1])["error"]
    assert ("interrupted", "partial") == (error["code"], error["money"])
    assert {"completed", "prepared"} == set(program.states())
    half_way = rows_of(program("batch", "export", "bonus", "-o", "csv").out)
    assert 200 == len(half_way)
    resumed = program("batch", "resume", "bonus", "-o", "csv")
    assert 0 == resumed.code, resumed.err
    assert_each_once(emulator, rows_of(resumed.out), 200)


def test_ctrl_c_sends_nothing_that_still_stands_in_line_for_the_rate(program: Program, emulate: Emulate) -> None:
    emulator = emulate(processing_seconds=0)
    path = sheet(program.home / "gifts.csv", gifts(3, orders=3))
    running = program.start(
        "order", "create", "--file", str(path), "--batch", "bonus", "--rate-limit", "1", "--no-preflight", "--json"
    )
    wait_for(lambda: posts(emulator) == 1, running)
    wait_for(lambda: "completed" in program.states(), running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)  # the line is a minute long
    assert (130, 1) == (running.returncode, posts(emulator))
    assert "partial" == json.loads(err.splitlines()[-1])["error"]["money"]
    assert ["completed", "prepared", "prepared"] == sorted(program.states())
    assert 0 == program("batch", "resume", "bonus").code
    assert 3 == len(orders_at(emulator))


def test_a_429_to_one_order_slows_all(program: Program, emulate: Emulate) -> None:
    """The second of two orders in flight does not start while Runa asks the first for quiet."""
    emulator = emulate("429-retry-after@1", processing_seconds=0)
    path = sheet(program.home / "gifts.csv", gifts(4, orders=2))
    ran = issue(program, path, "--concurrency", "1", "--no-preflight")
    assert 0 == ran.code
    assert 3 == posts(emulator)


def test_only_abandon_gives_up_an_order_of_unknown_outcome(program: Program, emulate: Emulate) -> None:
    emulator = emulate("stored-5xx@1")
    path = sheet(program.home / "gifts.csv", gifts(1))
    assert 7 == issue(program, path).code
    assert 6 == program("batch", "abandon", "bonus").code
    assert ["sent"] == program.states()
    assert 0 == program("batch", "abandon", "bonus", "--yes").code
    assert ["abandoned"] == program.states()
    sent = posts(emulator)
    assert 7 == issue(program, path).code
    assert sent == posts(emulator)
    assert 6 == program("order", "create", "--file", str(path), "--batch", "another").code
    assert 0 == program("order", "create", "--file", str(path), "--batch", "another", "--again").code


def test_prune_drops_links_and_addresses_but_not_the_knowledge_that_it_was_issued(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    (link, *_) = rows_of(issue(program, path, "-o", "csv").out)
    assert 6 == program("batch", "prune", "--older-than", "0").code
    assert 0 == program("batch", "prune", "--older-than", "0", "--yes").code
    for command in ("export", "-o", "csv"), ("show", "-o", "links"), ("resume", "-o", "csv"):
        shown = program("batch", command[0], "bonus", *command[1:])
        assert (6, "") == (shown.code, shown.out)
        assert "was pruned on" in shown.err
    assert "completed" in program("batch", "show", "bonus", "-o", "csv").out
    with closing(sqlite3.connect(program.ledger)) as ledger:
        kept = "\n".join(ledger.iterdump())
    assert "person0@example.com" not in kept
    assert link["payout_url"] not in kept
    again = issue(program, path, "--json")
    assert (6, "pruned") == (again.code, again.error["code"])
    assert 6 == program("order", "create", "--file", str(path)).code
    assert 1 == posts(emulator)


def test_batch_list_and_show_tell_how_far_each_batch_got(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(1))
    program.killed_at("return:Client.create_order", "order", "create", "--file", str(path), "--batch", "bonus")
    (listed,) = program("batch", "list", "--json").json
    assert ("bonus", "local", "sent", 1) == tuple(listed[name] for name in ("batch", "environment", "state", "items"))
    shown = program("batch", "show", "bonus", "--json").json
    assert ["sent"] == [order["state"] for order in shown["orders"]]
    assert 0 == program("batch", "resume", "bonus").code
    assert "completed" in program("batch", "show", "bonus").out


def test_an_empty_ledger_lists_as_nothing(program: Program) -> None:
    assert [] == program("batch", "list", "--json").json
    assert (0, "") == (program("batch", "list", "-o", "jsonl").code, program("batch", "list", "-o", "jsonl").out)


@pytest.mark.slow
def test_a_long_file_needs_hardly_more_memory_than_a_short_one(program: Program, emulate: Emulate) -> None:
    """The peak of the whole process; a dry run reads, checks and groups every row as a real one does."""
    emulate()
    peaks = []
    for count in (2_000, 20_000):
        path = sheet(program.home / f"{count}.csv", gifts(count))
        started = subprocess.Popen(
            program.command("order", "create", "--file", str(path), "--dry-run"),
            stdout=subprocess.DEVNULL, cwd=program.home, env=program.environment(),
        )  # fmt: skip
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = status
        assert 0 == status
        peaks.append(usage.ru_maxrss)
    assert peaks[1] <= peaks[0] * 1.3


def test_gifts_of_different_currencies_and_countries_go_into_different_orders(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    rows: list[dict[str, Any]] = [
        {"face_value": "20", "product": product} for product in ("AMZ-US", "ADAS-GB", "ADAS-DE", "ADAS-FR", "AMZ-US")
    ]
    ran = issue(program, sheet(program.home / "gifts.csv", rows), "-o", "csv")
    assert 0 == ran.code, ran.err
    assert ["USD", "GBP", "EUR", "EUR", "USD"] == [row["currency"] for row in rows_of(ran.out)]
    assert Counter({2: 1, 1: 3}) == Counter(len(order["items"]) for order in orders_at(emulator))


def test_a_file_without_a_name_that_grew_is_refused_and_the_name_of_its_batch_issues_what_is_new(
    program: Program, emulate: Emulate
) -> None:
    """Only a name makes a growing file one thing; without it, the old rows would be paid again."""
    emulator = emulate()
    rows = gifts(3)
    path = sheet(program.home / "gifts.csv", rows)
    command = ("order", "create", "--file", str(path))
    assert 0 == program(*command).code
    grown = [*rows, {**rows[0], "email": "new@example.com"}]
    sheet(path, grown)
    refused = program(*command, "--json")
    assert (6, "duplicate", "not_issued") == (refused.code, refused.error["code"], refused.error["money"])
    assert "3 of the 4 gifts in this file were issued before" in refused.error["message"]
    assert 1 == posts(emulator)
    ran = program(*command, "--batch", refused.error["batch"], "-o", "csv")
    assert 0 == ran.code, ran.err
    assert_each_once(emulator, rows_of(ran.out), 4)


def test_again_or_a_name_says_that_a_file_that_grew_is_meant_whole(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    rows = gifts(2)
    path = sheet(program.home / "gifts.csv", rows)
    assert 0 == program("order", "create", "--file", str(path)).code
    sheet(path, [*rows, {**rows[0], "email": "new@example.com"}])
    assert 0 == program("order", "create", "--file", str(path), "--again").code
    named = program("order", "create", "--file", str(path), "--batch", "december")
    assert 0 == named.code
    assert "Warning: 3 of the 3 gifts in this file were issued before" in named.err
    assert [2, 3, 3] == sorted(len(order["items"]) for order in orders_at(emulator))


def test_the_results_may_not_replace_the_input(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    assert 2 == issue(program, path, "--results", "gifts.csv").code
    assert 0 == posts(emulator)


def test_a_named_batch_that_is_shown_again_says_that_nothing_is_sent(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    assert "nothing is sent" not in issue(program, path).err
    assert "Batch bonus is issued already: nothing is sent" in issue(program, path, "--again").err
