"""How many orders are sent at a time: a fixed number, or as many as the rate limit and Runa's answers need."""

import math
import threading

from msgspec import Struct, field

LEAST, MOST = 4, 32
_SPARE = 1.5  # answers do not all take the same time
_WEIGHT_OF_LATEST = 0.2


class Concurrency(Struct):
    """The number of sending slots. `fixed` is None where it follows from `per_minute`, the rate limit (0: none)."""

    fixed: int | None = None
    per_minute: int = 0
    _seconds: float = 0.0  # how long answers take, the latest ones more than earlier ones
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def slots(self) -> int:
        """How many orders to send at a time, by what has been seen so far."""
        if self.fixed is not None:
            return self.fixed
        if not self.per_minute:
            return MOST
        return max(LEAST, min(MOST, math.ceil(self.per_minute / 60 * self._seconds * _SPARE)))

    def add(self, seconds: float) -> None:
        """Take into account how long Runa took for an answer."""
        with self._lock:
            self._seconds += (seconds - self._seconds) * (_WEIGHT_OF_LATEST if self._seconds else 1)
