"""A crew ends in good order wherever Ctrl-C finds it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from runa_cli.crew import Crew


@contextmanager
def ctrl_c_at(number: int, function: str, watching: threading.Event) -> Iterator[None]:
    """Let Ctrl-C come at an event of that number in a function of this thread: a call that it makes, or its return.

    `watching` is set when the crew begins to wait.
    """
    seen = 0

    def watch(frame: FrameType, _event: str, _: Any) -> None:
        nonlocal seen
        name = frame.f_code.co_qualname
        if name == "Crew._watch":
            watching.set()
        if name == function and watching.is_set():
            seen += 1
            if seen == number:
                raise KeyboardInterrupt

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """Fail what hangs."""

    def over(*_: object) -> None:
        raise AssertionError("it waits for ever")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("function", ["Crew._watch", "Event.wait", "Condition.wait"])
@pytest.mark.parametrize("number", range(1, 7))
def test_wherever_in_its_waiting_ctrl_c_comes_what_was_begun_is_finished_and_the_crew_ends(
    function: str, number: int
) -> None:
    """A message that was taken from a queue just then would be lost, and waited for for ever."""
    begun: list[int] = []
    finished: list[int] = []
    watching = threading.Event()

    def task(item: int) -> None:
        begun.append(item)
        assert watching.wait(10)
        finished.append(item)

    crew = Crew(2, lambda _: None)
    interrupted = True
    with no_longer_than(20), ctrl_c_at(number, function, watching):
        try:
            interrupted = crew.work(range(4), task)
        except KeyboardInterrupt:  # it came just before the waiting or after it
            assert crew._all_done.wait(10)
    assert sorted(begun) == sorted(finished)
    assert interrupted or len(finished) == 4


def test_what_a_task_raises_is_raised_once_the_others_are_done() -> None:
    finished = []

    def task(item: int) -> None:
        if item == 0:
            raise ValueError("no")
        finished.append(item)

    with pytest.raises(ValueError, match="no"):
        Crew(1, lambda _: None).work(range(3), task)
    assert [] == finished


def test_a_crew_with_nothing_to_do_is_done() -> None:
    with no_longer_than(10):
        assert not Crew(3, lambda _: None).work([], lambda _: None)
