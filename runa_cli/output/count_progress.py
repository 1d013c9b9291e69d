"""Progress of something that is counted, on standard error: a bar on a terminal, else a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from runa_cli.output.console import Console
from runa_cli.output.progress import LINE_INTERVAL, text_column


class Counted(Protocol):
    """Is told how many of how many are done."""

    def __call__(self, done: int, total: int, /) -> None:
        """Receive the numbers."""


@contextmanager
def counting(console: Console, what: str) -> Iterator[Counted]:
    """Show progress as long as the block runs; `what` stands after the numbers, as in `120 of 300 orders read`."""
    if console.quiet:
        yield lambda *_: None
    elif console.is_terminal:
        with _bar(console, what) as show:
            yield show
    else:
        yield _Lines(console, what)


class _Lines:
    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what = console, what
        self._last = time.monotonic()

    def __call__(self, done: int, total: int, /) -> None:
        if time.monotonic() - self._last >= LINE_INTERVAL:
            self._last = time.monotonic()
            self._console.say(f"{done:,} of {total:,} {self._what}.")


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Counted]:
    from rich.progress import BarColumn, Progress, TimeRemainingColumn  # only on a terminal

    columns = (text_column(console, "{task.description}"), BarColumn(bar_width=None), TimeRemainingColumn())
    with Progress(*columns, console=console.rich, transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(done: int, total: int, /) -> None:
            progress.update(task, description=f"{done:,} of {total:,} {what}", completed=done, total=total)

        yield show
