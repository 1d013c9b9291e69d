"""The limit on how many orders all threads together send in a minute."""

import threading
from collections import deque

from runa_cli.core.clock import REAL, Clock

WINDOW = 60.0  # seconds


class RateLimit:
    """Lets at most `per_minute` orders start in any 60 seconds (0: no limit), and none while the limit is paused.

    Orders are not spaced evenly: they start at once until the limit is reached, then wait for the window to move on.
    """

    def __init__(self, per_minute: int = 0, clock: Clock = REAL) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._starts: deque[float] = deque(maxlen=per_minute or None)
        self._paused_until = float("-inf")

    def acquire(self, cancel: threading.Event) -> bool:
        """Wait until an order may start, and count it. Returns False, and counts nothing, if `cancel` is set first."""
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
            now = self._clock.seconds()
            wait = self._paused_until - now
            if self._per_minute and len(self._starts) == self._per_minute:
                wait = max(wait, self._starts[0] + WINDOW - now)
            if wait <= 0 and self._per_minute:
                self._starts.append(now)
            return wait
