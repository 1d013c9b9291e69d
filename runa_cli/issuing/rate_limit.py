"""How many orders a minute all threads together may send."""

import threading
from collections import deque

from runa_cli.core.clock import REAL, Clock

WINDOW = 60.0  # seconds


class RateLimit:
    """Lets at most `per_minute` orders start in any minute (0: no limit), and none while Runa asks for quiet.

    The limit is used to the full: there is no even spacing, only the count of the last sixty seconds.
    """

    def __init__(self, per_minute: int = 0, clock: Clock = REAL) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._starts: deque[float] = deque(maxlen=per_minute or None)
        self._quiet_until = float("-inf")

    def acquire(self, unless: threading.Event) -> bool:
        """Wait until an order may start, and count it. Returns False, and counts nothing, if the event comes first."""
        while (seconds := self._try()) > 0:
            if self._clock.wait(unless, seconds):
                return False
        return True

    def hold(self, seconds: float) -> None:
        """Let nobody start for that long: a 429 to one thread is meant for all."""
        with self._lock:
            self._quiet_until = max(self._quiet_until, self._clock.seconds() + seconds)

    def _try(self) -> float:
        with self._lock:
            now = self._clock.seconds()
            wait = self._quiet_until - now
            if self._per_minute and len(self._starts) == self._per_minute:
                wait = max(wait, self._starts[0] + WINDOW - now)
            if wait <= 0 and self._per_minute:
                self._starts.append(now)
            return wait
