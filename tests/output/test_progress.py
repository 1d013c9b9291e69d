"""Progress and the last line: gifts and money, in the colour of what happened."""

import io
from decimal import Decimal
from typing import Any, cast

import pytest
from rich.console import Console as RichConsole

from runa_cli.core.states import State
from runa_cli.ledger.records import Batch, Order, Tally
from runa_cli.output.console import Console
from runa_cli.output.money_line import money_line
from runa_cli.output.progress import ProgressBar, ProgressLines
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.program import Program
from tests.support.terminal import on_a_terminal

GREEN, RED = "\x1b[32m", "\x1b[31m"


class Seen:
    """The part of a console that progress uses, and what it was told to show."""

    def __init__(self, width: int = 100) -> None:
        self.said: list[str] = []
        self.drawn = io.StringIO()
        self.rich = RichConsole(file=self.drawn, force_terminal=True, color_system="standard", width=width)

    def say(self, sentence: str) -> None:
        """Remember a sentence."""
        self.said.append(sentence)


class Settled:
    """What progress reads of an order: 100 gifts of 10 each."""

    def __init__(self, state: State = State.COMPLETED, currency: str = "USD") -> None:
        self.state, self.currency, self.total, self.item_count = state, currency, "1000", 100


def tally(**orders: int) -> Tally:
    """Return the counts of orders of 100 gifts, 1,000 USD each, by their states."""
    counts = Tally()
    for state, count in orders.items():
        counts.count(State(state), Decimal(1000), "USD", 100 * count, orders=count)
    return counts


def shown(progress_type: Any, whole: Tally, *settled: Settled, width: int = 100) -> Seen:
    """Return what progress shows of a run."""
    seen = Seen(width)
    progress = progress_type(cast(Console, seen))
    batch = cast(Batch, type("Named", (), {"name": "bonus"}))
    progress.begin(batch, whole)
    for order in settled:
        progress._last_line = float("-inf")  # as long ago as any
        progress.settled(cast(Order, order))
    if progress_type is ProgressBar:
        progress._bar.refresh()
    progress.end(whole)
    return seen


def test_lines_count_gifts_and_money() -> None:
    seen = shown(ProgressLines, tally(prepared=3), Settled(), Settled())
    assert [
        "Batch bonus: 3 orders, 300 gifts, 3,000.00 USD.",
        "100 of 300 gifts: 1,000.00 of 3,000.00 USD issued.",
        "200 of 300 gifts: 2,000.00 of 3,000.00 USD issued.",
    ] == seen.said


def test_lines_tell_what_is_not_issued() -> None:
    seen = shown(ProgressLines, tally(prepared=3), Settled(), Settled(State.REJECTED))
    assert "200 of 300 gifts: 1,000.00 of 3,000.00 USD issued, 100 gifts not." == seen.said[-1]


def test_several_currencies_are_never_added_up() -> None:
    whole = tally(prepared=1)
    whole.count(State.PREPARED, Decimal(1000), "EUR", 100)
    seen = shown(ProgressLines, whole, Settled(), Settled(currency="EUR"))
    assert "200 of 200 gifts: 1,000.00 EUR + 1,000.00 USD issued." == seen.said[-1]


def test_a_single_order_is_no_long_work_for_a_log() -> None:
    assert [] == shown(ProgressLines, tally(prepared=1), Settled()).said


@pytest.mark.parametrize("width", [80, 200])
def test_the_bar_counts_gifts_and_money_and_is_not_red_while_all_is_well(width: int) -> None:
    drawn = shown(ProgressBar, tally(prepared=3), Settled(), width=width).drawn.getvalue()
    assert "100 of 300 gifts" in drawn
    assert "1,000.00 of 3,000.00 USD issued" in drawn
    assert (True, False) == (GREEN in drawn, RED in drawn)


def test_beside_the_bar_nothing_is_cut_on_a_narrow_terminal() -> None:
    drawn = shown(ProgressBar, tally(prepared=3), Settled(), width=40).drawn.getvalue()
    assert "issued" in drawn
    assert "…" not in drawn


def test_the_bar_is_red_once_an_order_failed() -> None:
    drawn = shown(ProgressBar, tally(prepared=3), Settled(), Settled(State.FAILED)).drawn.getvalue()
    assert RED in drawn
    assert "100 gifts not" in drawn


@pytest.mark.parametrize(
    ("after", "before", "sentence"),
    [
        (tally(completed=3), None, "300 gifts issued, 3,000.00 USD."),
        (tally(completed=3), tally(prepared=3), "300 gifts issued, 3,000.00 USD."),
        (tally(completed=3), tally(completed=3), "300 gifts issued, 3,000.00 USD, all before this run."),
        (
            tally(completed=3),
            tally(completed=1, prepared=2),
            "300 gifts issued, 3,000.00 USD (100 of them before this run, 1,000.00 USD).",
        ),
        (
            tally(completed=1, sent=1, rejected=1),
            tally(prepared=3),
            "100 gifts issued, 1,000.00 USD; 100 gifts of unknown outcome, 1,000.00 USD; 100 gifts rejected,"
            " 1,000.00 USD.",
        ),
    ],
)
def test_the_last_line_says_what_became_of_the_money(after: Tally, before: Tally | None, sentence: str) -> None:
    assert sentence == money_line(after, before)


def test_the_last_line_tells_apart_what_was_given_up_before_it_was_sent() -> None:
    after = tally(completed=1, abandoned=3)
    after.count_never_sent().add(tally(abandoned=2))
    assert (
        "100 gifts issued, 1,000.00 USD; 100 gifts given up, of unknown outcome, 1,000.00 USD; 200 gifts given up"
        " unsent, 2,000.00 USD."
    ) == money_line(after)
    whole = Tally()
    whole.add(after)
    whole.add(after)
    assert {"USD": Decimal(2000)} == whole.of_unknown_outcome.sums()


# --- the program -----------------------------------------------------------------------------------------------------


def issue(program: Program, *flags: str, count: int = 12) -> tuple[str, ...]:
    path = sheet(program.home / "gifts.csv", gifts(count, orders=2, face_value="10"))
    return ("order", "create", "--file", str(path), "--batch", "bonus", "--no-preflight", *flags)


@pytest.mark.parametrize("name", ["r.csv", "r.xlsx"])
def test_the_last_line_says_how_many_how_much_and_where(program: Program, emulate: Emulate, name: str) -> None:
    emulate()
    first = program(*issue(program, "--results", name, "-o", "links"))
    assert f"12 gifts issued, 120.00 USD. Results: {name}" == first.err.splitlines()[-1]
    again = program(*issue(program, "--results", name, "-o", "links"))
    assert f"12 gifts issued, 120.00 USD, all before this run. Results: {name}" == again.err.splitlines()[-1]
    more = program(*issue(program, "-o", "links", count=14))
    assert "14 gifts issued, 140.00 USD (12 of them before this run, 120.00 USD)." == more.err.splitlines()[-1]


def test_by_reference_counts_the_gifts_of_the_input_and_not_those_of_their_orders(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    assert 0 == program(*issue(program, "--by-reference")).code
    path = sheet(program.home / "gifts.csv", gifts(2, face_value="10"))
    ran = program("order", "create", "--file", str(path), "--by-reference", "--results", "r.csv", "-o", "links")
    assert "2 gifts issued, 20.00 USD, all before this run. Results: r.csv" == ran.err.splitlines()[-1]


def test_what_is_not_issued_is_counted_beside_what_is_and_the_error_comes_last(
    program: Program, emulate: Emulate
) -> None:
    emulate("failed@2")
    ran = program(*issue(program, "--results", "r.csv", "-o", "links"))
    line, error = ran.err[: ran.err.index("Error: ")].splitlines()[-1], ran.err[ran.err.index("Error: ") :]
    assert "6 gifts issued, 60.00 USD; 6 gifts failed, 60.00 USD. Results: r.csv" == line
    assert (8, True) == (ran.code, "partly done" in error)


def test_quiet_and_json_say_nothing_of_it(program: Program, emulate: Emulate) -> None:
    emulate()
    assert "" == program(*issue(program, "--quiet", "--results", "r.csv")).err
    assert "" == program(*issue(program, "--json", "--results", "r.csv")).err


def test_a_long_table_ends_with_the_money(program: Program, emulate: Emulate) -> None:
    """Six hundred links scroll away what was above them."""
    emulate()
    assert "12 gifts issued, 120.00 USD." == program(*issue(program)).out.splitlines()[-1]
    assert "12 gifts issued, 120.00 USD." == program("batch", "export", "bonus").out.splitlines()[-1]
    assert "gifts issued" not in program("batch", "export", "bonus", "-o", "csv").out


def test_on_a_terminal_the_money_is_said_once_after_the_table(program: Program, emulate: Emulate) -> None:
    emulate()
    lines = on_a_terminal(program, *issue(program, "--results", "r.csv"), columns=100, env={"NO_COLOR": "1"})
    assert 1 == lines.count("12 gifts issued, 120.00 USD")
    assert lines.rstrip().endswith("12 gifts issued, 120.00 USD. Results: r.csv")
