"""A few threads that work through a list, and stop in good order when a person says so."""

import queue
import threading
from collections.abc import Callable, Iterable


class Crew:
    """Works through items with up to `size` threads.

    The first Ctrl-C lets nobody begin another item and waits for those at work; the second ends the waiting at once.
    """

    def __init__(self, size: int, say: Callable[[str], None]) -> None:
        self._size = size
        self._say = say
        self.stopping = threading.Event()

    def stop(self) -> None:
        """Let nobody begin another item."""
        self.stopping.set()

    def work(self, items: Iterable[int], task: Callable[[int], None]) -> bool:
        """Do the task for each item. Returns whether a person interrupted it. Raises what a task raises."""
        waiting = list(reversed(list(items)))
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        size = min(self._size, len(waiting))
        for _ in range(size):
            threading.Thread(target=self._member, args=(waiting, task, ended), daemon=True).start()
        return self._watch(ended, size)

    def _member(
        self, waiting: list[int], task: Callable[[int], None], ended: "queue.SimpleQueue[BaseException | None]"
    ) -> None:
        try:
            while not self.stopping.is_set() and (item := _next(waiting)) is not None:
                task(item)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the work was asked for
            self.stopping.set()
            ended.put(error)
        else:
            ended.put(None)

    def _watch(self, ended: "queue.SimpleQueue[BaseException | None]", members: int) -> bool:
        interrupted = False
        while members:
            try:
                error = ended.get()
            except KeyboardInterrupt:
                if interrupted:
                    return True
                interrupted = True
                self.stopping.set()
                self._say("Stopping: no new orders; those in flight are finished. Ctrl-C again stops at once.")
            else:
                members -= 1
                if error is not None:
                    raise error
        return interrupted


def _next(waiting: list[int]) -> int | None:
    try:
        return waiting.pop()
    except IndexError:  # another thread took the last one
        return None
