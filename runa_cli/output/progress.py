"""Progress of a batch on standard error: a bar on a terminal, a line now and then elsewhere, or nothing."""

import threading
import time
from decimal import Decimal

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from runa_cli.core.money import format_gifts, format_money
from runa_cli.core.safe_text import printable
from runa_cli.core.states import SETTLED, State
from runa_cli.ledger.records import Batch, Order, Tally
from runa_cli.output.console import Console

LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal
WORTH_SAYING_SECONDS = 3.0  # a shorter wait of a single order is not worth a line


class NoProgress:
    """Progress that is not shown."""

    def begin(self, batch: Batch, tally: Tally) -> None:
        """Hear what is ahead."""

    def settled(self, order: Order) -> None:
        """Hear of an order."""

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Hear of a wait."""

    def end(self, tally: Tally) -> None:
        """Hear the end."""


class ProgressLines(NoProgress):
    """Progress in sober lines, for a log."""

    def __init__(self, talk: Console) -> None:
        self._talk = talk
        self._lock = threading.Lock()
        self._tally = Tally()
        self._orders = self._items = 0
        self._last = time.monotonic()

    def begin(self, batch: Batch, tally: Tally) -> None:
        """Say what is ahead, if it is more than one order."""
        self._orders, self._items = sum(tally.orders.values()), sum(tally.items.values())
        self._last = time.monotonic()
        if self._orders > 1:
            self._talk.say(
                f"Batch {batch.name}: {self._orders} orders, {format_gifts(self._items)}, {format_money(tally.sums())}."
            )

    def settled(self, order: Order) -> None:
        """Count the order, and say so now and then."""
        with self._lock:
            count(self._tally, order)
            if self._orders > 1 and time.monotonic() - self._last >= LINE_SECONDS:
                self._say()

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Say why it takes long."""
        if seconds >= WORTH_SAYING_SECONDS or not seconds:
            self._talk.say(f"Order {order.position}: {reason}" + (f"; waiting {seconds:.0f} s." if seconds else "."))

    def end(self, tally: Tally) -> None:
        """Say where a batch of several orders ended."""
        if self._orders > 1:
            self._talk.say(summary(tally))

    def _say(self) -> None:
        self._last = time.monotonic()
        done = sum(self._tally.orders[state] for state in SETTLED)
        self._talk.say(f"{done} of {self._orders} orders, {format_money(self._tally.sums([State.COMPLETED]))} issued.")


class ProgressBar(NoProgress):
    """Progress as a bar on the terminal."""

    def __init__(self, talk: Console) -> None:
        self._talk = talk
        self._lock = threading.Lock()
        self._tally = Tally()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[said]}", markup=False),
            TimeRemainingColumn(),
            console=talk.console,
            transient=True,
        )
        self._task = TaskID(0)
        self._several = False
        self._orders = 0
        self._started = 0.0
        self._already = 0

    def begin(self, batch: Batch, tally: Tally) -> None:  # noqa: ARG002 - the interface of Progress
        """Draw the bar."""
        self._orders = sum(tally.orders.values())
        self._several = self._orders > 1
        self._already = sum(tally.orders[state] for state in SETTLED)
        self._started = time.monotonic()
        self._task = self._progress.add_task(self._described(), total=sum(tally.items.values()), said=self._said())
        self._progress.start()

    def settled(self, order: Order) -> None:
        """Move it on."""
        with self._lock:
            count(self._tally, order)
            settled = sum(self._tally.items[state] for state in SETTLED)
            self._progress.update(self._task, description=self._described(), completed=settled, said=self._said())

    def _described(self) -> str:
        done = sum(self._tally.orders[state] for state in SETTLED)
        return f"{done}/{self._orders} orders" if self._several else "Issuing"

    def _said(self) -> str:
        if not self._several:
            return ""
        return f"{format_money(self._tally.sums([State.COMPLETED]))} issued, {self._rate()}"

    def _rate(self) -> str:
        done = sum(self._tally.orders[state] for state in SETTLED) - self._already
        minutes = max(time.monotonic() - self._started, 1.0) / 60
        return f"{max(done, 0) / minutes:.0f} orders/min"

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Say why it takes long, beside the bar of a single order."""
        if not self._several:
            self._progress.update(self._task, said=printable(reason)[:60])
        elif seconds >= WORTH_SAYING_SECONDS:
            self._talk.say(f"Order {order.position}: {reason}; waiting {seconds:.0f} s.")

    def end(self, tally: Tally) -> None:
        """Take the bar away and say where a batch of several orders ended."""
        self._progress.stop()
        if self._several:
            self._talk.say(summary(tally))


def count(tally: Tally, order: Order) -> None:
    """Count one recorded order."""
    tally.count(order.state, Decimal(order.total), order.currency, order.item_count)


def summary(tally: Tally) -> str:
    """Say what a batch of several orders came to."""
    states = ", ".join(
        f"{tally.orders[state]} {state} ({format_gifts(tally.items[state])}, {format_money(tally.sums([state]))})"
        for state in State
        if tally.orders[state]
    )
    return f"Orders: {states}."
