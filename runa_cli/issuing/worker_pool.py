"""A few threads that work through a list, and stop in good order when a person says so."""

import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from runa_cli.core.clock import SIGNAL_CHECK_SECONDS

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENOUGH_TO_LEAVE, ENOUGH_TO_BREAK = 2, 3  # signals


class WorkerPool:
    """Works through items with up to `size` threads; a crew works once, and for the main thread.

    The first Ctrl-C, SIGTERM or SIGHUP lets nobody begin another item and waits for those at work; the second ends the
    waiting at once. They are noted and not raised, for an exception in the middle of the bookkeeping would leave
    nobody who knows who is at work.
    """

    def __init__(self, size: int, say: Callable[[str], None]) -> None:
        self._size = size
        self._say = say
        self._lock = threading.Lock()
        self._signals = 0
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._errors: list[BaseException] = []
        self.at_work = 0
        self.stopping = threading.Event()

    @property
    def interrupted(self) -> bool:
        """Whether a person or the system asked it to stop."""
        return self._signals > 0

    def stop(self) -> None:
        """Let nobody begin another item."""
        self.stopping.set()

    def work(self, items: Iterable[int], task: Callable[[int], None]) -> None:
        """Do the task for each item, unless interrupted; `at_work` then tells how many were not waited for.

        Raises what a task raises, and KeyboardInterrupt for a third signal, or one just before or after the work.
        """
        waiting = list(reversed(list(items)))
        with self._noting_signals():
            for _ in range(min(self._size, len(waiting))):
                with self._lock:
                    self.at_work += 1
                threading.Thread(target=self._member, args=(waiting, task), daemon=True).start()
            self._watch()
        if self._errors and not self.interrupted:
            raise self._errors[0]

    def _member(self, waiting: list[int], task: Callable[[int], None]) -> None:
        try:
            while not self.stopping.is_set() and (item := _next(waiting)) is not None:
                task(item)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the work was asked for
            self.stop()
            self._errors.append(error)
        finally:
            with self._lock:
                self.at_work -= 1
            self._bell.put(None)

    def _watch(self) -> None:
        said = False
        while self.at_work and self._signals < ENOUGH_TO_LEAVE:
            with suppress(queue.Empty):
                self._bell.get(timeout=SIGNAL_CHECK_SECONDS)
            if self.interrupted and self.at_work and not said:
                said = True
                self._say("Stopping: no new orders; those in flight are finished. Ctrl-C again stops at once.")

    @contextmanager
    def _noting_signals(self) -> Iterator[None]:
        """Have signals noted, but for those that are ignored, as under nohup."""
        before = {number: handler for number in STOP_SIGNALS if callable(handler := signal.getsignal(number))}
        try:
            for number in before:
                signal.signal(number, self._note_signal)
            yield
        finally:
            held = signal.pthread_sigmask(signal.SIG_BLOCK, before)  # one that raises now would leave the rest noted
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def _note_signal(self, *_: object) -> None:
        self._signals += 1
        if self._signals == 1:
            self.stop()
        if self._signals >= ENOUGH_TO_BREAK:
            raise KeyboardInterrupt  # something else than the members hangs, as a terminal that takes no text
        self._bell.put(None)


def _next(waiting: list[int]) -> int | None:
    try:
        return waiting.pop()
    except IndexError:  # another thread took the last one
        return None
