"""`batch list`: the newest batches, and how to see the others."""

import json
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from runa_cli.core.states import State
from runa_cli.ledger import queries
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Exchange
from tests.support.ledgers import new_batch, order
from tests.support.program import Program

NOW = datetime(2026, 11, 1, tzinfo=UTC)


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
    with closing(sqlite3.connect(program.ledger)) as database:
        database.executescript(
            "UPDATE purchase SET superseded = 0; DROP INDEX purchase_counts; DROP INDEX purchase_unfinished;"
            " DROP INDEX batch_by_environment; DROP INDEX purchase_listed; DROP TRIGGER purchase_to_search;"
            " DROP TABLE purchase_search; CREATE INDEX purchase_by_state ON purchase (batch_id, state);"
            " CREATE INDEX gift_by_identity ON gift (identity); ALTER TABLE batch DROP COLUMN delimiter;"
            " ALTER TABLE batch DROP COLUMN bom; DROP INDEX gift_by_alike; ALTER TABLE gift DROP COLUMN alike;"
            " PRAGMA user_version = 5;"
        )
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
