"""What is said to a person, on standard error: notes, errors, log lines, progress, questions.

Talk is never worth money: where standard error is closed or full, it is lost without a word.
"""

import io
import logging
import sys
import threading
import time
from contextlib import suppress
from decimal import Decimal
from typing import IO, Any, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from runa_cli.core import exact_json
from runa_cli.core.errors import RunaError
from runa_cli.core.safe_text import printable, printable_lines
from runa_cli.issuing.outcome import gifts, money
from runa_cli.ledger.records import SETTLED, Batch, Order, State, Tally

LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal
WORTH_SAYING_SECONDS = 3.0  # a shorter wait of a single order is not worth a line


class Unbreakable(io.TextIOBase):
    """A text stream that swallows what cannot be written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError, AttributeError):
            return int(self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        with suppress(OSError, ValueError, AttributeError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether a person reads along."""
        with suppress(OSError, ValueError, AttributeError):
            return bool(self._stream.isatty())
        return False

    @property
    def encoding(self) -> str:  # type: ignore[override] # the base class has an attribute here
        """The encoding of the stream beneath."""
        return getattr(self._stream, "encoding", None) or "utf-8"


class Talk:
    """Standard error, as loud as it was asked to be."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False, no_color: bool = False) -> None:
        self.quiet = quiet
        self._as_json = as_json
        self._stream = Unbreakable(sys.stderr)
        self.console = Console(
            file=cast("IO[str]", self._stream),
            color_system=None if no_color else "auto",
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along."""
        return self._stream.isatty()

    def say(self, sentence: str) -> None:
        """Say what should be known, unless asked to be quiet."""
        if not self.quiet:
            self._print(Text(printable_lines(sentence)))

    def warn(self, sentence: str) -> None:
        """Say what should be minded, even when asked to be quiet."""
        self._print(Text.assemble(("Warning: ", "yellow"), printable_lines(sentence)))

    def error(self, error: RunaError) -> None:
        """Say what went wrong: one paragraph, or one line of JSON."""
        if self._as_json:
            self._stream.write(exact_json.shown(error.as_dict()) + "\n")
            self._stream.flush()
            return
        self._print(Text.assemble(("Error: ", "bold red"), printable_lines(error.message)))
        for hint in filter(None, [error.hint, _names(error)]):
            self._print(Text(printable_lines(hint), style="" if hint is error.hint else "dim"))

    def ask(self, question: str) -> bool:
        """Ask for a yes on the terminal."""
        self._stream.write(f"{printable_lines(question)} [y/N] ")
        self._stream.flush()
        try:
            return sys.stdin.readline().strip().lower() in {"y", "yes"}
        except KeyboardInterrupt:
            self._stream.write("\n")  # what is said next begins a line of its own
            raise

    def log(self) -> None:
        """Let the log lines through."""
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(_Harmless("%(asctime)s %(message)s", "%H:%M:%S"))
        logger = logging.getLogger("runa")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)


class _Harmless(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _names(error: RunaError) -> str:
    context = error.context
    known = (
        ("batch", context.batch),
        ("order", context.order_id),
        ("key", context.idempotency_key),
        ("request", context.request_id),
    )
    named = ", ".join(f"{name} {value}" for name, value in known if value)
    return f"[{named}]" if named else ""


class Silent:
    """Progress that is not shown."""

    def begin(self, batch: Batch, tally: Tally) -> None:
        """Hear what is ahead."""

    def settled(self, order: Order) -> None:
        """Hear of an order."""

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Hear of a wait."""

    def end(self, tally: Tally) -> None:
        """Hear the end."""


class Lines(Silent):
    """Progress in sober lines, for a log."""

    def __init__(self, talk: Talk) -> None:
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
            self._talk.say(f"Batch {batch.name}: {self._orders} orders, {gifts(self._items)}, {money(tally.sums())}.")

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
        self._talk.say(f"{done} of {self._orders} orders, {money(self._tally.sums([State.COMPLETED]))} issued.")


class Bar(Silent):
    """Progress as a bar on the terminal."""

    def __init__(self, talk: Talk) -> None:
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
        return f"{money(self._tally.sums([State.COMPLETED]))} issued, {self._rate()}"

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
        f"{tally.orders[state]} {state} ({gifts(tally.items[state])}, {money(tally.sums([state]))})"
        for state in State
        if tally.orders[state]
    )
    return f"Orders: {states}."
