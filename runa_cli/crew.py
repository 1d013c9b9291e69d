"""A few threads that work through a list, and stop in good order when a person says so."""

import threading
from collections.abc import Callable, Iterable


class Crew:
    """Works through items with up to `size` threads; a crew works once.

    The first Ctrl-C lets nobody begin another item and waits for those at work; the second ends the waiting at once.
    """

    def __init__(self, size: int, say: Callable[[str], None]) -> None:
        self._size = size
        self._say = say
        self._lock = threading.Lock()
        self._at_work = 0
        self._all_done = threading.Event()
        self._errors: list[BaseException] = []
        self.stopping = threading.Event()

    def stop(self) -> None:
        """Let nobody begin another item."""
        self.stopping.set()

    def work(self, items: Iterable[int], task: Callable[[int], None]) -> bool:
        """Do the task for each item. Returns whether a person interrupted it. Raises what a task raises."""
        waiting = list(reversed(list(items)))
        self._at_work = min(self._size, len(waiting))
        if not waiting:
            return False
        for _ in range(self._at_work):
            threading.Thread(target=self._member, args=(waiting, task), daemon=True).start()
        interrupted = self._watch()
        if self._errors and not interrupted:
            raise self._errors[0]
        return interrupted

    def _member(self, waiting: list[int], task: Callable[[int], None]) -> None:
        try:
            while not self.stopping.is_set() and (item := _next(waiting)) is not None:
                task(item)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the work was asked for
            self.stop()
            self._errors.append(error)
        finally:
            with self._lock:
                self._at_work -= 1
                if not self._at_work:
                    self._all_done.set()

    def _watch(self) -> bool:
        """Wait until all are done, and tell whether Ctrl-C came.

        What is waited for is a state and not a message: a Ctrl-C may come just when a message was taken, and lose it.
        """
        interrupted = False
        while True:
            try:
                self._all_done.wait()
            except KeyboardInterrupt:
                if interrupted:
                    return True
                interrupted = True
                self.stop()
                self._say("Stopping: no new orders; those in flight are finished. Ctrl-C again stops at once.")
            else:
                return interrupted


def _next(waiting: list[int]) -> int | None:
    try:
        return waiting.pop()
    except IndexError:  # another thread took the last one
        return None
