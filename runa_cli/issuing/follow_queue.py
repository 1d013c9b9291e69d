"""Work that is due later: what remains of orders that Runa has accepted, until a few threads get to it."""

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

from runa_cli.core.clock import REAL, Clock

Result = TypeVar("Result")


class Later(Struct, Generic[Result], frozen=True):
    """A step to run in that many seconds. It returns the result of the work, or the step after it."""

    seconds: float
    run: Callable[[], "Result | Later[Result]"]


Step = Callable[[], "Later[None] | None"]


class _Due(NamedTuple):
    time: float
    number: int  # no other has the same, so steps are never compared
    run: Step


class FollowQueue:
    """Steps by the time at which they are due. Several threads may take them; one of them waits at a time."""

    def __init__(self, clock: Clock = REAL) -> None:
        self._clock = clock
        self._heap: list[_Due] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting = threading.Lock()
        self._changed = threading.Event()
        self._closed = False

    def put(self, later: Later[None]) -> None:
        """Add a step."""
        with self._lock:
            time = self._clock.seconds() + later.seconds
            heapq.heappush(self._heap, _Due(time, next(self._numbers), later.run))
        self._changed.set()

    def take(self) -> Step | None:
        """Wait until a step is due, and return it; None once the queue is closed."""
        with self._waiting:  # for one thread wakes up for all
            while not self._closed:
                self._changed.clear()
                with self._lock:
                    seconds = self._heap[0].time - self._clock.seconds() if self._heap else None
                    if seconds is not None and seconds <= 0:
                        return heapq.heappop(self._heap).run
                if seconds is None:
                    self._changed.wait()
                else:
                    self._clock.wait(self._changed, seconds)
        return None

    def close(self) -> None:
        """Let every thread that waits for a step end. What is left in the queue is not run."""
        self._closed = True
        self._changed.set()
