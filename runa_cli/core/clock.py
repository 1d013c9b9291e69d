"""Time and chance, as parameters wherever money waits for them, so that a test can bring its own."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

# The system may hand a signal to any thread, but only the main one acts on it, and nothing wakes that one for it. Where
# the main thread waits for others, it looks up so often (seconds).
SIGNAL_CHECK_SECONDS = 0.1


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _wait(event: threading.Event, seconds: float) -> bool:
    return event.wait(seconds)


@dataclass(frozen=True)
class Clock:
    """A stopwatch, a calendar, and the dice that keep two waiting programs apart.

    `seconds` is the stopwatch; `sleep` lets that many of them pass, and `wait` so many unless the event comes first,
    which it tells. `now` is the calendar (UTC). `jitter` lies in 0..1.
    """

    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wait: Callable[[threading.Event, float], bool] = _wait
    now: Callable[[], datetime] = _utc_now
    jitter: Callable[[], float] = random.random


REAL = Clock()
