"""Threads that work through a list of items, and stop cleanly on Ctrl-C and similar signals.

A task that has to wait for somebody else gives up its thread: it returns the step that remains, and when it is due.
"""

import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from runa_cli.core.clock import REAL, SIGNAL_CHECK_SECONDS, Clock
from runa_cli.issuing.follow_queue import FollowQueue, Later

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALS_TO_STOP_WAITING = 2
SIGNALS_TO_RAISE = 3
FOLLOWERS = 4  # threads that run what remains of tasks
MOST_FOLLOWED = 1000  # tasks that may remain at a time; each is kept in memory

Task = Callable[[int], Later[None] | None]


class WorkerPool:
    """Runs a task for each item with up to `size` threads. A pool runs once, from the main thread.

    What remains of a task is run by threads of its own, so that it keeps no item from being started. After the first
    Ctrl-C, SIGTERM or SIGHUP no new item is started, and `run` waits for those in progress; after the second it returns
    without them. Signals are counted rather than raised: an exception in the middle of starting or counting threads
    would lose track of which are still active. `active` counts the threads that work on items and the tasks that
    remain.
    """

    def __init__(
        self, size: int, say: Callable[[str], None], clock: Clock = REAL, *, most_followed: int = MOST_FOLLOWED
    ) -> None:
        self._size = size
        self._most_followed = most_followed
        self._say = say
        self._remaining: list[int] = []
        self._task: Task = lambda _: None
        self._workers = 0
        self._queue = FollowQueue(clock)
        self._followers = 0
        self._followed = 0
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._signals = 0
        self._wake_up: queue.SimpleQueue[None] = queue.SimpleQueue()  # its put() may be called by a signal handler
        self._errors: list[BaseException] = []
        self.active = 0
        self.stopping = threading.Event()

    @property
    def interrupted(self) -> bool:
        """Whether a signal asked the pool to stop."""
        return self._signals > 0

    def stop(self) -> None:
        """Start no new items."""
        self.stopping.set()

    def run(self, items: Iterable[int], task: Task) -> None:
        """Run the task for each item, unless interrupted; `active` is then what is still at work.

        Raises what a task raises, and KeyboardInterrupt for a third signal, or for one just before or after the run.
        """
        self._remaining, self._task = list(reversed(list(items))), task
        with self._counting_signals():
            try:
                self.widen(self._size)
                self._wait_for_workers()
            finally:
                self._queue.close()
        if self._errors and not self.interrupted:
            raise self._errors[0]

    def widen(self, size: int) -> None:
        """Work with so many threads from now on, if that is more than there are and items are left for them."""
        while True:
            with self._lock:
                if self._workers >= size or not self._remaining or self.stopping.is_set():
                    return
                self._workers += 1
                self.active += 1
            threading.Thread(target=self._worker, daemon=True).start()

    def _worker(self) -> None:
        try:
            while self._has_room() and (item := _next(self._remaining)) is not None:
                self._follow(self._task(item))
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            self._fail(error)
        finally:
            with self._lock:
                self.active -= 1
            self._wake_up.put(None)

    def _has_room(self) -> bool:
        """Wait until another task may remain. Returns False where the pool is stopping."""
        with self._room:
            while self._followed >= self._most_followed and not self.stopping.is_set():
                self._room.wait(SIGNAL_CHECK_SECONDS)
        return not self.stopping.is_set()

    def _follow(self, later: Later[None] | None) -> None:
        """Let a follower run what remains of a task."""
        if later is None:
            return
        with self._lock:
            self.active += 1
            self._followed += 1
            starts = self._followers < min(FOLLOWERS, self._followed)
            self._followers += starts
        self._queue.put(later)
        if starts:
            threading.Thread(target=self._follower, daemon=True).start()

    def _follower(self) -> None:
        while (run := self._queue.take()) is not None:
            later = None
            try:
                later = run()
            except BaseException as error:  # noqa: BLE001 - raised again by `run`
                self._fail(error)
            if later is not None:
                self._queue.put(later)
                continue
            with self._room:
                self.active -= 1
                self._followed -= 1
                self._room.notify()
            self._wake_up.put(None)

    def _fail(self, error: BaseException) -> None:
        self.stop()
        self._errors.append(error)

    def _wait_for_workers(self) -> None:
        """Wait until no worker is active, or the second signal."""
        announced = False
        while self.active and self._signals < SIGNALS_TO_STOP_WAITING:
            with suppress(queue.Empty):
                self._wake_up.get(timeout=SIGNAL_CHECK_SECONDS)
            if self.interrupted and self.active and not announced:
                announced = True
                self._say("Stopping: no new orders; those in flight are finished. Ctrl-C again stops at once.")

    @contextmanager
    def _counting_signals(self) -> Iterator[None]:
        """Count the stop signals instead of raising them. Ignored ones (as under nohup) stay ignored."""
        before = {number: handler for number in STOP_SIGNALS if callable(handler := signal.getsignal(number))}
        try:
            for number in before:
                signal.signal(number, self._on_signal)
            yield
        finally:
            # Blocked meanwhile: a signal that raised here would leave the other handlers in place.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, before)
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _on_signal(self, *_: object) -> None:
        self._signals += 1
        if self._signals == 1:
            self.stop()
        if self._signals >= SIGNALS_TO_RAISE:
            raise KeyboardInterrupt  # the main thread itself hangs, for instance in a write to a blocked terminal
        self._wake_up.put(None)


def _next(remaining: list[int]) -> int | None:
    try:
        return remaining.pop()
    except IndexError:  # another thread took the last one
        return None
