"""Progress of a batch on standard error: a bar on a terminal, else a line now and then, or nothing."""

import threading
import time
from decimal import Decimal

from runa_cli.core.money import format_gifts, format_money
from runa_cli.core.safe_text import printable
from runa_cli.core.states import SETTLED, State
from runa_cli.ledger.records import Batch, Order, Tally
from runa_cli.output.console import Console

LINE_INTERVAL = 10.0  # seconds between two lines of progress where there is no terminal
SHORTEST_WAIT_SHOWN = 3.0  # seconds


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
        self._order_count = 0
        self._last_line = time.monotonic()

    def begin(self, batch: Batch, tally: Tally) -> None:
        """Show the size of the batch, if it has several orders."""
        self._order_count = sum(tally.orders.values())
        self._last_line = time.monotonic()
        if self._order_count > 1:
            gifts, money = format_gifts(sum(tally.items.values())), format_money(tally.sums())
            self._console.say(f"Batch {batch.name}: {self._order_count} orders, {gifts}, {money}.")

    def settled(self, order: Order) -> None:
        """Count the order, and show the progress if the last line is old enough."""
        with self._lock:
            _count(self._tally, order)
            if self._order_count > 1 and time.monotonic() - self._last_line >= LINE_INTERVAL:
                self._last_line = time.monotonic()
                done, issued = _settled_orders(self._tally), _issued(self._tally)
                self._console.say(f"{done} of {self._order_count} orders, {issued} issued.")

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Show why an order takes long."""
        if seconds >= SHORTEST_WAIT_SHOWN:
            self._console.say(f"Order {order.position}: {reason}; waiting {seconds:.0f} s.")
        elif not seconds:
            self._console.say(f"Order {order.position}: {reason}.")

    def end(self, tally: Tally) -> None:
        """Show the final counts, if the batch has several orders."""
        if self._order_count > 1:
            self._console.say(_summary(tally))


class ProgressBar(NoProgress):
    """Shows progress as a bar on the terminal."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn  # only on a terminal

        self._console = console
        self._lock = threading.Lock()
        self._tally = Tally()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=console.rich,
            transient=True,
        )
        self._task = TaskID(0)
        self._order_count = 0
        self._settled_before = 0  # orders that earlier runs settled
        self._started = 0.0

    def begin(self, batch: Batch, tally: Tally) -> None:  # noqa: ARG002 - the interface of Progress
        """Draw the bar."""
        self._order_count = sum(tally.orders.values())
        self._settled_before = _settled_orders(tally)
        self._started = time.monotonic()
        total = sum(tally.items.values())
        self._task = self._bar.add_task(self._description(), total=total, note=self._note())
        self._bar.start()

    def settled(self, order: Order) -> None:
        """Count the order and advance the bar."""
        with self._lock:
            _count(self._tally, order)
            items = sum(self._tally.items[state] for state in SETTLED)
            self._bar.update(self._task, description=self._description(), completed=items, note=self._note())

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Show why an order takes long: beside the bar of a single order, else as a line."""
        if self._order_count <= 1:
            self._bar.update(self._task, note=printable(reason)[:60])
        elif seconds >= SHORTEST_WAIT_SHOWN:
            self._console.say(f"Order {order.position}: {reason}; waiting {seconds:.0f} s.")

    def end(self, tally: Tally) -> None:
        """Remove the bar, and show the final counts if the batch has several orders."""
        self._bar.stop()
        if self._order_count > 1:
            self._console.say(_summary(tally))

    def _description(self) -> str:
        return f"{_settled_orders(self._tally)}/{self._order_count} orders" if self._order_count > 1 else "Issuing"

    def _note(self) -> str:
        return f"{_issued(self._tally)} issued, {self._rate()}" if self._order_count > 1 else ""

    def _rate(self) -> str:
        settled = max(_settled_orders(self._tally) - self._settled_before, 0)
        minutes = max(time.monotonic() - self._started, 1.0) / 60
        return f"{settled / minutes:.0f} orders/min"


def _count(tally: Tally, order: Order) -> None:
    """Add one recorded order to the counts."""
    tally.count(order.state, Decimal(order.total), order.currency, order.item_count)


def _summary(tally: Tally) -> str:
    """Return one sentence with the orders, gifts and money in each state."""
    states = ", ".join(
        f"{tally.orders[state]} {state} ({format_gifts(tally.items[state])}, {format_money(tally.sums([state]))})"
        for state in State
        if tally.orders[state]
    )
    return f"Orders: {states}."


def _settled_orders(tally: Tally) -> int:
    return sum(tally.orders[state] for state in SETTLED)


def _issued(tally: Tally) -> str:
    return format_money(tally.sums([State.COMPLETED]))
