"""At most so many orders a minute, by all processes that share a ledger."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from runa_cli.ledger.ledger import Ledger
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.program import Program, orders_at

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_a_second_process_waits_for_what_the_first_has_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate(processing_seconds=0)
    waited = []
    for number in range(3):
        path = sheet(program.home / f"{number}.csv", gifts(3, orders=3, first=3 * number))
        before = program.time.seconds()
        ran = program("order", "create", "--file", str(path), "--no-preflight", "--rate-limit", "3", "-q")
        assert 0 == ran.code, ran.err
        waited.append(program.time.seconds() - before > 30)
    assert [False, True, True] == waited
    assert 9 == len(orders_at(emulator))


def test_turns_are_counted_over_all_who_have_the_ledger_open(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as first, Ledger(tmp_path / "ledger.db") as second:
        assert 0 == first.take_turn("live", 2, 60, NOW)
        assert 0 == second.take_turn("live", 2, 60, NOW + timedelta(seconds=20))
        assert 30 == first.take_turn("live", 2, 60, NOW + timedelta(seconds=30))
        assert 0 == first.take_turn("playground", 2, 60, NOW + timedelta(seconds=30))
        assert 0 == second.take_turn("live", 2, 60, NOW + timedelta(seconds=60))
        assert 20 == first.take_turn("live", 2, 60, NOW + timedelta(seconds=60))


def test_a_clock_that_was_set_back_does_not_stop_the_sending(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert 0 == ledger.take_turn("live", 1, 60, NOW + timedelta(days=1))
        assert 0 == ledger.take_turn("live", 1, 60, NOW)
