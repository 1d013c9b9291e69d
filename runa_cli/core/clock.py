"""Clock, sleep and random numbers. Code that waits takes them as a parameter, so that tests can replace them."""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

# The system may deliver a signal to any thread, but Python runs the handler in the main thread, and nothing wakes that
# thread from a wait. Wherever the main thread waits for others, it therefore wakes up this often (seconds).
SIGNAL_CHECK_SECONDS = 0.1


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _wait(event: threading.Event, seconds: float) -> bool:
    return event.wait(seconds)


class Clock(NamedTuple):
    """Where the program gets the time from, how it waits, and the jitter of its retries.

    `seconds` is a monotonic clock and `now` the time of day (UTC). `sleep` waits that many seconds; `wait` waits for an
    event, at most that many seconds, and returns whether the event was set. `jitter` returns a random number in 0..1.
    """

    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wait: Callable[[threading.Event, float], bool] = _wait
    now: Callable[[], datetime] = _utc_now
    jitter: Callable[[], float] = random.random


REAL = Clock()
