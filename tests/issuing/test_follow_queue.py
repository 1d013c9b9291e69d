"""Steps are run when they are due, the earliest first."""

import threading

from runa_cli.issuing.follow_queue import FollowQueue, Later, Step
from tests.support.shared_time import SharedTime


def put(queue: FollowQueue, seconds: float, name: str, ran: list[str]) -> None:
    queue.put(Later(seconds, lambda: ran.append(name)))


def test_steps_come_when_they_are_due_the_earliest_first_and_equal_ones_in_their_order() -> None:
    time, ran = SharedTime(frozen=True), list[str]()
    queue = FollowQueue(time.clock())
    for seconds, name in ((5, "c"), (1, "a"), (5, "d"), (2, "b")):
        put(queue, seconds, name, ran)
    times = []
    for _ in range(4):
        step = queue.take()
        assert step is not None
        step()
        times.append(time.slept())
    assert (["a", "b", "c", "d"], [1, 2, 5, 5]) == (ran, times)


def test_an_earlier_step_that_is_put_meanwhile_comes_first() -> None:
    ran = list[str]()
    queue = FollowQueue()
    put(queue, 3600, "late", ran)
    steps: list[Step | None] = []
    taker = threading.Thread(target=lambda: steps.append(queue.take()))
    taker.start()
    put(queue, 0, "early", ran)
    taker.join(10)
    (step,) = steps
    assert step is not None
    step()
    assert ["early"] == ran


def test_a_closed_queue_lets_everyone_go() -> None:
    queue = FollowQueue()
    put(queue, 3600, "late", [])
    takers = [threading.Thread(target=queue.take) for _ in range(3)]
    for taker in takers:
        taker.start()
    queue.close()
    for taker in takers:
        taker.join(10)
    assert [] == [taker for taker in takers if taker.is_alive()]
    assert queue.take() is None
