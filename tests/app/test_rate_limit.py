"""At most so many orders a minute, by all processes that share a ledger."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from runa_cli.core.states import State
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.orders import Turn, TurnLater
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.ledgers import new_batch, order
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


def wait_of(ledger: Ledger, number: int, limit: int, now: datetime) -> float:
    """Return how many seconds the order of a batch has to wait at a time; 0 if it is sent then."""
    batch = ledger.batch(new_batch(number).environment, new_batch(number).name) or ledger.record(
        new_batch(number), [order(number)], known=[], check=lambda: None, now=now
    )
    assert batch is not None
    (recorded,) = ledger.orders(batch)
    try:
        ledger.mark_sent(recorded, "xxtests", check=lambda: None, now=now, turn=Turn(limit, 60))
    except TurnLater as later:
        assert [State.PREPARED] == [order.state for order in ledger.orders(batch)]
        return later.seconds
    return 0.0


def after(**time: float) -> datetime:
    return NOW + timedelta(**time)


def test_turns_are_counted_over_all_who_have_the_ledger_open(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as first, Ledger(tmp_path / "ledger.db") as second:
        assert 0 == wait_of(first, 1, 2, NOW)
        assert 0 == wait_of(second, 2, 2, after(seconds=20))
        assert 30 == wait_of(first, 3, 2, after(seconds=30))
        assert 0 == wait_of(second, 3, 2, after(seconds=60))
        assert 20 == wait_of(first, 4, 2, after(seconds=60))


def test_a_clock_that_was_set_back_does_not_stop_the_sending(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert 0 == wait_of(ledger, 1, 1, after(days=1))
        assert 0 == wait_of(ledger, 2, 1, NOW)


def test_all_who_have_the_ledger_open_pause_when_runa_asks_one_of_them_to(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as first, Ledger(tmp_path / "ledger.db") as second:
        first.pause("local", 25, NOW)
        first.pause("local", 5, NOW)
        assert 15 == wait_of(second, 1, 100, after(seconds=10))
        assert 0 == wait_of(second, 1, 100, after(seconds=25))


def test_a_pause_of_a_clock_that_was_set_back_does_not_stop_the_sending(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.pause("local", 5, after(days=1))
        assert 0 == wait_of(ledger, 1, 100, NOW)
