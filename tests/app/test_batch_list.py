"""`batch list`: the newest batches, and how to see the others."""

import json
import os
import pwd
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from msgspec.structs import replace

from runa_cli.core.states import State
from runa_cli.ledger import queries
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Exchange
from tests.conftest import Emulate
from tests.support.csv_files import gifts, rows_of, sheet
from tests.support.ledgers import make_older, new_batch, order
from tests.support.program import GIFT, Program

NOW = datetime(2026, 11, 1, tzinfo=UTC)
STDIN = "face_value,email,product\n10,eve@example.com,AMZ-US\n"


def fill(ledger: Ledger, *numbers: int, orders: int = 1) -> list[Batch]:
    """Record batches with orders of two gifts each, `batch 1` first."""
    made = []
    for number in numbers:
        new = (order(number, position) for position in range(1, orders + 1))
        batch = ledger.record(new_batch(number), new, known=[], check=lambda: None, now=NOW + timedelta(days=number))
        assert batch is not None
        made.append(batch)
    return made


@pytest.fixture
def filled(program: Program) -> Callable[..., list[Batch]]:
    def record(*numbers: int, **options: int) -> list[Batch]:
        with Ledger(program.ledger) as ledger:
            return fill(ledger, *numbers, **options)

    return record


def names(out: str) -> list[str]:
    return [json.loads(line)["batch"] for line in out.splitlines()]


def test_the_newest_twenty_are_listed_and_how_many_more_there_are(
    program: Program, filled: Callable[..., list[Batch]]
) -> None:
    filled(*range(1, 24))
    ran = program("batch", "list")
    assert [f"batch {number}" for number in range(23, 3, -1)] == [
        " ".join(line.split()[:2]) for line in ran.out.splitlines() if line.startswith("batch")
    ]
    assert "3 more batches: `runa batch list --all` shows all of them.\n" == ran.err
    assert "" == program("batch", "list", "--quiet").err


@pytest.mark.parametrize("output_format", ["json", "jsonl", "gifts"])
def test_for_programs_the_cursor_is_one_line_of_json(
    program: Program, filled: Callable[..., list[Batch]], output_format: str
) -> None:
    filled(*range(1, 22))
    ran = program("batch", "list", "-o", output_format)
    assert {"next": {"after": "batch 2"}} == json.loads(ran.err)
    rest = program("batch", "list", "-o", output_format, "--after", "batch 2")
    assert ("batch 1" in rest.out, "batch 2" in rest.out, "") == (True, False, rest.err)


def test_what_is_not_cut_has_no_cursor(program: Program, filled: Callable[..., list[Batch]]) -> None:
    filled(*range(1, 21))
    for arguments in ([], ["--json"], ["--all"], ["--all", "--json"]):
        assert "" == program("batch", "list", *arguments).err
    assert 1 == len(filled(21))
    assert "1 more batch: `runa batch list --all` shows all of them.\n" == program("batch", "list").err


@pytest.mark.parametrize("arguments", [["--all"], ["--all", "--env", "local"]])
def test_all_of_them_are_listed_once_however_many(
    program: Program, filled: Callable[..., list[Batch]], arguments: list[str]
) -> None:
    filled(*range(1, 24))
    listed = names(program("batch", "list", "-o", "jsonl", *arguments).out)
    assert [f"batch {number}" for number in range(23, 0, -1)] == listed
    table = program("batch", "list", *arguments).out
    assert 23 == sum(line.startswith("batch") for line in table.splitlines())


def test_only_batches_of_the_environment_count(program: Program, filled: Callable[..., list[Batch]]) -> None:
    filled(*range(1, 22))
    ran = program("batch", "list", "--json", "--env", "playground")
    assert ([], "") == (ran.json, ran.err)


def test_a_cursor_that_is_no_batch_is_an_error(program: Program, filled: Callable[..., list[Batch]]) -> None:
    filled(1)
    ran = program("batch", "list", "--after", "batch 7", "--json")
    assert (3, "no_batch") == (ran.code, ran.error["code"])


def test_counts_and_totals_are_those_of_the_latest_orders(program: Program) -> None:
    """An order that was rejected and recorded anew counts once."""
    with Ledger(program.ledger) as ledger:
        other, batch = fill(ledger, 1, orders=5) + fill(ledger, 2)
        (first,) = ledger.orders(batch)
        ledger.renew(ledger.mark_rejected(first, b"{}", Exchange(), NOW), order(2, generation=1), NOW)
        ledger.mark_completed(next(ledger.orders(other)), "O-1", b"{}", [{}, {}], exchange=Exchange(), now=NOW)
    renewed, several = program("batch", "list", "--json").json
    assert ({"prepared": 1}, 2, {"USD": "10.00"}) == (renewed["states"], renewed["items"], renewed["total"])
    assert ({"completed": 1, "prepared": 4}, 10, {"USD": "50.00"}) == (
        several["states"], several["items"], several["total"],
    )  # fmt: skip
    assert [1] == [shown["generation"] for shown in program("batch", "show", "batch 2", "--json").json["orders"]]


def test_a_ledger_of_an_older_version_lists_a_renewed_order_once(program: Program) -> None:
    """An older version did not mark the generation that another one followed."""
    with Ledger(program.ledger) as ledger:
        (batch,) = fill(ledger, 1)
        (first,) = ledger.orders(batch)
        rejected = ledger.mark_rejected(first, b"{}", Exchange(), NOW)
        ledger.renew(rejected, order(1, generation=1), NOW)
    make_older(program.ledger, 5)
    (listed,) = program("batch", "list", "--json").json
    assert ({"prepared": 1}, 2) == (listed["states"], listed["items"])


def test_only_unfinished_batches_are_found_unfinished(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, second, third = fill(ledger, 1, 2, 3, orders=2)
        for each in ledger.orders(second):
            ledger.mark_completed(each, f"O-{each.position}", b"{}", [{}, {}], exchange=Exchange(), now=NOW)
        found = next(ledger.orders(third))
        ledger.mark_completed(found, "O-9", b"{}", [{}, {}], exchange=Exchange(), now=NOW)
        assert [first.id, third.id] == [batch.id for batch in ledger.unfinished_batches("local")]
        assert [] == ledger.unfinished_batches("live")
        assert [False, True] == [ledger.tally(batch).any(State.PREPARED) for batch in (second, third)]


def test_only_settled_batches_are_found_to_prune(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        open_one, never_shown, shown, late, empty = fill(ledger, 1, 2, 3, 4, 5)
        for batch in (never_shown, shown, late):
            (own,) = ledger.orders(batch)
            settled = NOW + timedelta(days=40 if batch is late else 10)
            ledger.mark_completed(own, f"O-{batch.id}", b"{}", [{}, {}], exchange=Exchange(), now=settled)
        ledger.mark_shown(shown, NOW + timedelta(days=9))  # by a clock that was set back since it settled
        (rejected,) = ledger.orders(empty)
        ledger.mark_rejected(rejected, b"{}", Exchange(), NOW)
        found = {batch.name: batch.is_shown for batch in ledger.settled_before("local", NOW + timedelta(days=30))}
        assert {never_shown.name: False, shown.name: True, empty.name: True} == found
        assert open_one.name not in found


def test_a_long_list_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        fill(ledger, *range(1, 6 * queries._PAGE))
        peaks = []
        for count in (queries._PAGE, 5 * queries._PAGE):
            tracemalloc.start()
            assert count == sum(1 for _ in islice(ledger.tallied_batches("local"), count))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 2.5


def test_a_batch_names_its_file_and_who_issued_it(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(1))
    for arguments in (["--file", str(path)], GIFT[2:], ["--file", "-"]):
        assert 0 == program("order", "create", *arguments, "-q", stdin=STDIN).code
    who = {"user": pwd.getpwuid(os.geteuid()).pw_name, "host": os.uname().nodename}
    listed = program("batch", "list", "--json").json
    assert ["stdin", None, str(path)] == [batch["file"] for batch in listed]
    assert [who] * 3 == [{name: batch[name] for name in who} for batch in listed]
    rows = rows_of(program("batch", "list", "-o", "csv").out)
    assert [("stdin", *who.values()), ("", *who.values()), (str(path), *who.values())] == [
        (row["file"], row["user"], row["host"]) for row in rows
    ]
    table = program("batch", "list").out
    assert f"gifts.csv, by {who['user']} on {who['host']}\n" in table
    assert f"flags, by {who['user']} on {who['host']}\n" in table
    assert f"Issued from  {path}, by {who['user']}" in program("batch", "show", listed[2]["batch"]).out


def test_an_edited_batch_names_the_file_that_it_was_edited_to(program: Program, emulate: Emulate) -> None:
    emulate()
    for count, name in ((1, "old.csv"), (2, "new.csv")):
        path = sheet(program.home / name, gifts(count))
        assert 0 == program("order", "create", "--file", str(path), "--batch", "bonus", "-q").code
    assert str(path) == program("batch", "list", "--json").json[0]["file"]


def test_a_batch_of_an_older_version_does_not_know_who_issued_it(
    program: Program, filled: Callable[..., list[Batch]]
) -> None:
    filled(1)
    make_older(program.ledger, 9)
    (batch,) = program("batch", "list", "--json").json
    assert (None, None, None) == (batch["file"], batch["user"], batch["host"])
    assert "Issued from" not in program("batch", "list").out


def test_totals_in_csv_are_numbers_with_their_currency(program: Program, emulate: Emulate) -> None:
    """A batch of several currencies has a line for each, so that nothing is added up across them."""
    emulate()
    sheet_text = "face_value,email,product,currency\n1250,a@example.com,AMZ-US,USD\n10,b@example.com,AMZ-GB,GBP\n"
    program("order", "create", "--file", "-", "-q", "--no-preflight", stdin=sheet_text)
    rows = rows_of(program("batch", "list", "-o", "csv").out)
    assert [("10.00", "GBP", "1", "1"), ("1250.00", "USD", "1", "1")] == [
        (row["total"], row["currency"], row["orders"], row["items"]) for row in rows
    ]
    (shown, _) = rows_of(program("batch", "show", rows[0]["batch"], "-o", "csv").out)
    assert ("1250.00", "USD") == (shown["total"], shown["currency"])
    assert "10.00 GBP + 1,250.00 USD" in program("batch", "list").out


def test_live_and_local_are_not_mixed(program: Program) -> None:
    """Where no environment is chosen, those of one come after those of the other, and each row says which it is."""
    with Ledger(program.ledger) as ledger:
        for number, environment in enumerate(["local", "live", "local", "live"]):
            new = replace(new_batch(number), environment=environment)
            ledger.record(new, [order(number)], known=[], check=lambda: None, now=NOW)
    every = program("batch", "list", "-o", "jsonl")
    assert ["batch 3", "batch 1", "batch 2", "batch 0"] == names(every.out)
    assert ["batch 2", "batch 0"] == names(program("batch", "list", "-o", "jsonl", "--after", "batch 1").out)
    local = program("batch", "list", RUNA_ENV="local")
    assert ["batch 2", "batch 0"] == [line[:7] for line in local.out.splitlines() if line.startswith("batch")]
    assert "Not listed: what was issued in live (--env).\n" == local.err
    ran = program("batch", "list", "--after", "batch 1", "--json", RUNA_ENV="local")
    assert (2, "usage") == (ran.code, ran.error["code"])


def test_a_file_in_a_directory_whose_name_is_no_text_is_issued_and_named(program: Program, emulate: Emulate) -> None:
    emulate()
    script = (
        'mkdir "$1" && cd "$1" && printf "face_value,email\\n25,ann@example.com\\n" > gifts.csv'
        ' && "$2" -m runa_cli order create --product AMZ-US --file gifts.csv'
    )
    ran = program.execute(["sh", "-c", script, "sh", os.fsdecode(b"odd \xff"), sys.executable])
    assert 0 == ran.code, ran.err
    (listed,) = program("batch", "list", "--json").json
    assert f"{program.home}/odd \\udcff/gifts.csv" == listed["file"]
