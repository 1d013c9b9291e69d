"""The limit on how many orders are sent in a minute, counted over all processes that share the ledger."""

import threading
from collections.abc import Callable
from typing import TypeVar

from runa_cli.core.clock import REAL, Clock
from runa_cli.ledger.orders import Turn, TurnLater

# Seconds. Runa counts the orders of a minute when they arrive, and one may take a second longer to arrive than another.
WINDOW = 61.0

SharePause = Callable[[float], None]
_T = TypeVar("_T")


def _alone(_: float) -> None:
    """Tell nobody."""


class RateLimit:
    """Lets orders start as the ledger allows, and none while the limit is paused.

    `turn` is the limit, None for none; the ledger counts an order in the transaction that marks it as sent.
    `share_pause` lets the other processes pause too. Orders are not spaced evenly: they start at once until the limit
    is reached, then wait for the window to move on.
    """

    def __init__(self, turn: Turn | None = None, clock: Clock = REAL, *, share_pause: SharePause = _alone) -> None:
        self.turn = turn
        self._clock = clock
        self._share_pause = share_pause
        self._lock = threading.Lock()
        self._paused_until = float("-inf")

    def start(self, begin: Callable[[], _T], cancel: threading.Event) -> _T | None:
        """Wait until an order may start, and begin it. Returns None, and begins nothing, if `cancel` is set first.

        `begin` raises TurnLater where the limit is reached. Raises what it raises otherwise.
        """
        while True:
            seconds = self._paused_for()
            if seconds <= 0:
                try:
                    return begin()
                except TurnLater as later:
                    seconds = later.seconds
            if self._clock.wait(cancel, seconds):
                return None

    def pause(self, seconds: float) -> None:
        """Start no order for this many seconds: a 429 to one thread applies to all. Raises LedgerUnusable."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.seconds() + seconds)
        if self.turn is not None:
            self._share_pause(seconds)

    def _paused_for(self) -> float:
        with self._lock:
            return self._paused_until - self._clock.seconds()
