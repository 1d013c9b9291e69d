"""The limit on how many orders are sent in a minute, counted over all processes that share the ledger."""

import threading
from collections.abc import Callable

from runa_cli.core.clock import REAL, Clock

# Seconds. Runa counts the orders of a minute when they arrive, and one may take a second longer to arrive than another.
WINDOW = 61.0

TakeTurn = Callable[[], float]


def _no_limit() -> float:
    return 0.0


class RateLimit:
    """Lets orders start as `take_turn` allows, and none while the limit is paused.

    `take_turn` counts an order and returns 0, or returns the seconds to wait and counts nothing. Orders are not spaced
    evenly: they start at once until the limit is reached, then wait for the window to move on.
    """

    def __init__(self, take_turn: TakeTurn = _no_limit, clock: Clock = REAL) -> None:
        self._take_turn = take_turn
        self._clock = clock
        self._lock = threading.Lock()
        self._paused_until = float("-inf")

    def acquire(self, cancel: threading.Event) -> bool:
        """Wait until an order may start, and count it. Returns False, and counts nothing, if `cancel` is set first.

        Raises LedgerUnusable.
        """
        while (seconds := self._try_acquire()) > 0:
            if self._clock.wait(cancel, seconds):
                return False
        return True

    def pause(self, seconds: float) -> None:
        """Start no order for this many seconds: a 429 to one thread applies to all."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.seconds() + seconds)

    def _try_acquire(self) -> float:
        """Return the seconds to wait; where there are none, the order is counted."""
        with self._lock:
            pause = self._paused_until - self._clock.seconds()
            return pause if pause > 0 else self._take_turn()
