"""Progress of a batch on standard error: a bar on a terminal, else a line now and then, or nothing."""

import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from runa_cli.core.money import amount_text, format_amount, format_gifts, format_money
from runa_cli.core.safe_text import printable
from runa_cli.core.states import SETTLED, State
from runa_cli.ledger.records import Batch, Order, Tally
from runa_cli.output.console import Console

if TYPE_CHECKING:
    from rich.progress import TextColumn

LINE_INTERVAL = 10.0  # seconds between two lines of progress where there is no terminal
SHORTEST_WAIT_SHOWN = 3.0  # seconds
_WIDE = 80  # columns, in which the texts beside a bar have room
ALL_WELL, SOME_FAILED = "green", "red"  # the bar


class NoProgress:
    """Shows nothing."""

    def begin(self, batch: Batch, tally: Tally) -> None:
        """Ignore the counts before the run."""

    def settled(self, order: Order) -> None:
        """Ignore the order."""

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Ignore the wait."""

    def end(self, tally: Tally) -> None:
        """Ignore the counts after the run."""


class ProgressLines(NoProgress):
    """Shows progress as lines of text, suited to a log file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._tally = Tally()
        self._whole = Tally()
        self._last_line = time.monotonic()

    def begin(self, batch: Batch, tally: Tally) -> None:
        """Show the size of the batch, if it has several orders."""
        self._tally, self._whole = Tally(), tally
        self._last_line = time.monotonic()
        if _has_several_orders(tally):
            gifts, money = format_gifts(sum(tally.items.values())), format_money(tally.sums())
            self._console.say(f"Batch {batch.name}: {sum(tally.orders.values())} orders, {gifts}, {money}.")

    def settled(self, order: Order) -> None:
        """Count the order, and show the progress if the last line is old enough."""
        with self._lock:
            _count(self._tally, order)
            if _has_several_orders(self._whole) and time.monotonic() - self._last_line >= LINE_INTERVAL:
                self._last_line = time.monotonic()
                self._console.say(f"{_gifts(self._tally, self._whole)}: {_money(self._tally, self._whole)}.")

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Show why an order takes long."""
        if seconds >= SHORTEST_WAIT_SHOWN:
            self._console.say(f"Order {order.position}: {reason}; waiting {seconds:.0f} s.")
        elif not seconds:
            self._console.say(f"Order {order.position}: {reason}.")


class ProgressBar(NoProgress):
    """Shows progress as a bar on the terminal."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TaskID, TimeRemainingColumn  # only on a terminal

        self._console = console
        self._lock = threading.Lock()
        self._tally = Tally()
        self._whole = Tally()
        # Rich draws bars in red by default, which says that something is wrong.
        self._column = BarColumn(bar_width=None, complete_style=ALL_WELL, finished_style=ALL_WELL, pulse_style=ALL_WELL)
        self._bar = Progress(
            text_column(console, "{task.description}"),
            self._column,
            text_column(console, "{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console.rich,
            transient=True,
        )
        self._task = TaskID(0)

    def begin(self, batch: Batch, tally: Tally) -> None:  # noqa: ARG002 - the interface of Progress
        """Draw the bar."""
        self._tally, self._whole = Tally(), tally
        total = sum(tally.items.values())
        self._task = self._bar.add_task(self._description(), total=total, note=self._note())
        self._bar.start()

    def settled(self, order: Order) -> None:
        """Count the order and advance the bar."""
        with self._lock:
            _count(self._tally, order)
            if order.state in SETTLED - {State.COMPLETED}:
                self._column.complete_style = self._column.finished_style = SOME_FAILED
            items = sum(self._tally.items[state] for state in SETTLED)
            self._bar.update(self._task, description=self._description(), completed=items, note=self._note())

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Show why an order takes long: beside the bar of a single order, else as a line."""
        if not _has_several_orders(self._whole):
            self._bar.update(self._task, note=printable(reason)[:60])
        elif seconds >= SHORTEST_WAIT_SHOWN:
            self._console.say(f"Order {order.position}: {reason}; waiting {seconds:.0f} s.")

    def end(self, tally: Tally) -> None:  # noqa: ARG002 - the interface of Progress
        """Remove the bar; what became of the money is said when the results are shown."""
        self._bar.stop()
        self._bar.remove_task(self._task)

    def _description(self) -> str:
        return _gifts(self._tally, self._whole) if _has_several_orders(self._whole) else "Issuing"

    def _note(self) -> str:
        return _money(self._tally, self._whole)


def text_column(console: Console, template: str) -> "TextColumn":
    """Return a column for a text beside a bar: on a narrow terminal it wraps, where Rich would cut it."""
    from rich.progress import TextColumn
    from rich.table import Column

    return TextColumn(template, markup=False, table_column=Column(no_wrap=console.rich.width >= _WIDE))


def _has_several_orders(tally: Tally) -> bool:
    return sum(tally.orders.values()) > 1


def _count(tally: Tally, order: Order) -> None:
    """Add one recorded order to the counts."""
    tally.count(order.state, Decimal(order.total), order.currency, order.item_count)


def _gifts(tally: Tally, whole: Tally) -> str:
    """Return how many gifts have settled, for example `120 of 300 gifts`."""
    return f"{sum(tally.items[state] for state in SETTLED):,} of {format_gifts(sum(whole.items.values()))}"


def _money(tally: Tally, whole: Tally) -> str:
    """Return how much is issued, for example `3,000.00 of 7,500.00 USD issued`, and how many gifts never will be."""
    issued, asked = tally.sums([State.COMPLETED]), whole.sums()
    if len(asked) == 1:
        ((currency, amount),) = asked.items()
        text = f"{format_amount(issued.get(currency, Decimal(0)), currency)} of {amount_text(amount, currency)} issued"
    else:
        text = f"{format_money(issued)} issued"
    lost = sum(tally.items[state] for state in SETTLED - {State.COMPLETED})
    return f"{text}, {format_gifts(lost)} not" if lost else text
