"""Threads that work through a list of items, and stop cleanly on Ctrl-C and similar signals."""

import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from runa_cli.core.clock import SIGNAL_CHECK_SECONDS

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALS_TO_STOP_WAITING = 2
SIGNALS_TO_RAISE = 3


class WorkerPool:
    """Runs a task for each item with up to `size` threads. A pool runs once, from the main thread.

    After the first Ctrl-C, SIGTERM or SIGHUP no new item is started, and `run` waits for those in progress; after the
    second it returns without them. Signals are counted rather than raised: an exception in the middle of starting or
    counting threads would lose track of which are still active.
    """

    def __init__(self, size: int, say: Callable[[str], None]) -> None:
        self._size = size
        self._say = say
        self._lock = threading.Lock()
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

    def run(self, items: Iterable[int], task: Callable[[int], None]) -> None:
        """Run the task for each item, unless interrupted; `active` is then the number of threads still at work.

        Raises what a task raises, and KeyboardInterrupt for a third signal, or for one just before or after the run.
        """
        remaining = list(reversed(list(items)))
        with self._counting_signals():
            for _ in range(min(self._size, len(remaining))):
                with self._lock:
                    self.active += 1
                threading.Thread(target=self._worker, args=(remaining, task), daemon=True).start()
            self._wait_for_workers()
        if self._errors and not self.interrupted:
            raise self._errors[0]

    def _worker(self, remaining: list[int], task: Callable[[int], None]) -> None:
        try:
            while not self.stopping.is_set() and (item := _next(remaining)) is not None:
                task(item)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            self.stop()
            self._errors.append(error)
        finally:
            with self._lock:
                self.active -= 1
            self._wake_up.put(None)

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
