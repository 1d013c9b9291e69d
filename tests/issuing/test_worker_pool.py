"""A pool of workers stops cleanly whenever Ctrl-C is pressed."""

import itertools
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

import pytest

from runa_cli.issuing.follow_queue import Later
from runa_cli.issuing.worker_pool import STOP_SIGNALS, WorkerPool
from tests.support.system_faults import wait_until_main_thread_is_in

Handlers = dict[signal.Signals, Any]


def handlers() -> Handlers:
    return {number: signal.getsignal(number) for number in STOP_SIGNALS}


@pytest.fixture
def as_in_the_program() -> Iterator[Handlers]:
    """Let every signal that stops the program interrupt it; returns their handlers."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = handlers()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    yield handlers()
    for number, handler in before.items():
        signal.signal(number, handler)


class CtrlC:
    """Ctrl-C at an event of that number in a function of this thread: a call that it makes, or its return."""

    def __init__(self, number: int, function: str) -> None:
        self._left = number
        self._function = function

    @property
    def came(self) -> bool:
        """Whether there was such an event."""
        return self._left <= 0

    def __enter__(self) -> Self:
        sys.setprofile(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _watch(self, frame: FrameType, _event: str, _: Any) -> None:
        if frame.f_code.co_qualname == self._function:
            self._left -= 1
            if self._left == 0:
                signal.raise_signal(signal.SIGINT)


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


@pytest.mark.parametrize(
    ("function", "least"),
    [
        ("WorkerPool.run", 2),
        ("WorkerPool.widen", 5),
        ("WorkerPool._wait_for_workers", 2),
        ("WorkerPool._counting_signals", 5),
        ("Thread.start", 5),
        ("signal", 8),
    ],
)
def test_wherever_ctrl_c_comes_no_worker_is_left_active_and_what_was_started_is_finished(
    function: str, least: int, as_in_the_program: Handlers
) -> None:
    """An exception would lose the wake-up that was just received, or the thread that was just started."""
    for number in itertools.count(1):
        ctrl_c = CtrlC(number, function)
        begun, finished = work_through_four(ctrl_c)
        assert sorted(begun) == sorted(finished)
        assert as_in_the_program == handlers()
        if not ctrl_c.came:
            break
    assert number > least


def work_through_four(ctrl_c: CtrlC) -> tuple[list[int], list[int]]:
    """Return what was begun and what was finished when two threads work through four items and Ctrl-C comes."""
    begun: list[int] = []
    finished: list[int] = []

    def task(item: int) -> None:
        begun.append(item)
        finished.append(item)

    pool = WorkerPool(2, lambda _: None)
    told = False
    with no_longer_than(20), ctrl_c:
        try:
            pool.run(range(4), task)
        except KeyboardInterrupt:  # it came before the first or after the last
            told = True
            assert len(finished) in {0, 4}
    assert ctrl_c.came == (told or pool.interrupted)
    assert 0 == pool.active
    return begun, finished


def test_a_signal_that_the_system_hands_to_another_thread_is_noticed_at_once() -> None:
    finished: list[int] = []

    def task(item: int) -> None:
        wait_until_main_thread_is_in("_wait_for_workers")
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        assert pool.stopping.wait(10)
        finished.append(item)

    pool = WorkerPool(1, lambda _: None)
    with no_longer_than(20):
        pool.run(range(2), task)
    assert pool.interrupted
    assert [0] == finished


def test_the_second_ctrl_c_leaves_active_workers_and_counts_them() -> None:
    both, asked, over = threading.Barrier(2), threading.Event(), threading.Event()

    def task(item: int) -> None:
        both.wait(10)
        if item == 0:
            signal.raise_signal(signal.SIGINT)
            assert asked.wait(10)
            signal.raise_signal(signal.SIGINT)
        over.wait(10)

    pool = WorkerPool(2, lambda _: asked.set())
    with no_longer_than(20):
        pool.run(range(3), task)
    assert 2 == pool.active
    over.set()


def test_the_third_ctrl_c_ends_even_what_hangs_while_it_announces_the_first() -> None:
    over = threading.Event()

    def task(_: int) -> None:
        signal.raise_signal(signal.SIGINT)
        over.wait(10)

    def say(_: str) -> None:  # on a terminal that takes no text
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it goes on")

    with no_longer_than(20), pytest.raises(KeyboardInterrupt):
        WorkerPool(1, say).run(range(1), task)
    over.set()


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    finished = []

    def task(item: int) -> None:
        signal.raise_signal(signal.SIGHUP)
        finished.append(item)

    pool = WorkerPool(1, lambda _: None)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        pool.run(range(3), task)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not pool.interrupted
    assert [0, 1, 2] == finished


def test_what_a_task_raises_is_raised_once_the_others_are_done() -> None:
    finished = []

    def task(item: int) -> None:
        if item == 0:
            raise ValueError("no")
        finished.append(item)

    with pytest.raises(ValueError, match="no"):
        WorkerPool(1, lambda _: None).run(range(3), task)
    assert [] == finished


# --- what remains of a task ------------------------------------------------------------------------------------------


def test_a_task_that_remains_keeps_no_other_from_being_started() -> None:
    started: list[int] = []
    all_started = threading.Event()
    finished: list[int] = []

    def task(item: int) -> Later[None]:
        started.append(item)
        if len(started) == 3:
            all_started.set()
        return Later(0.0, lambda: remaining(item))

    def remaining(item: int) -> None:
        assert all_started.wait(10)
        finished.append(item)

    with no_longer_than(20):
        WorkerPool(1, lambda _: None).run(range(3), task)
    assert [0, 1, 2] == sorted(finished)


def test_a_task_may_remain_for_many_steps_and_is_waited_for() -> None:
    steps: list[int] = []

    def step(left: int) -> Later[None] | None:
        steps.append(left)
        return Later(0.0, lambda: step(left - 1)) if left else None

    with no_longer_than(20):
        WorkerPool(1, lambda _: None).run(range(1), lambda _: step(5))
    assert [5, 4, 3, 2, 1, 0] == steps


def test_no_more_tasks_are_started_than_may_remain() -> None:
    begun: list[int] = []
    remaining = [0]

    def task(item: int) -> Later[None]:
        begun.append(item)
        remaining[0] += 1
        assert remaining[0] == 1
        return Later(0.0, finish)

    def finish() -> None:
        remaining[0] -= 1

    with no_longer_than(20):
        WorkerPool(2, lambda _: None, most_followed=1).run(range(1), task)
        WorkerPool(1, lambda _: None, most_followed=1).run(range(5), task)
    assert [0, 0, 1, 2, 3, 4] == begun


def test_after_ctrl_c_what_remains_is_finished_and_nothing_new_is_started() -> None:
    finished: list[int] = []

    def task(item: int) -> Later[None]:
        signal.raise_signal(signal.SIGINT)
        assert pool.stopping.wait(10)
        return Later(0.0, lambda: finished.append(item))

    pool = WorkerPool(1, lambda _: None)
    with no_longer_than(20):
        pool.run(range(3), task)
    assert (True, 0, [0]) == (pool.interrupted, pool.active, finished)


def test_the_second_ctrl_c_leaves_what_remains_and_counts_it() -> None:
    asked = threading.Event()

    def task(_: int) -> Later[None]:
        signal.raise_signal(signal.SIGINT)
        assert asked.wait(10)
        signal.raise_signal(signal.SIGINT)
        return Later(3600.0, lambda: None)

    pool = WorkerPool(1, lambda _: asked.set())
    with no_longer_than(20):
        pool.run(range(2), task)
    assert 1 <= pool.active <= 2


def test_what_a_step_raises_is_raised_once_the_others_are_done() -> None:
    def fail() -> None:
        raise ValueError("no")

    with no_longer_than(20), pytest.raises(ValueError, match="no"):
        WorkerPool(1, lambda _: None).run(range(3), lambda _: Later(0.0, fail))


def test_a_pool_becomes_wider_while_it_works() -> None:
    both = threading.Barrier(2)

    def task(_: int) -> None:
        pool.widen(2)
        both.wait(10)

    pool = WorkerPool(1, lambda _: None)
    with no_longer_than(20):
        pool.run(range(4), task)


def test_a_pool_with_nothing_to_do_is_done() -> None:
    with no_longer_than(10):
        WorkerPool(3, lambda _: None).run([], lambda _: None)
