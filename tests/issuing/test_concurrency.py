"""As many orders are sent at a time as the rate limit and Runa's answers need."""

import pytest

from runa_cli.issuing.concurrency import Concurrency


@pytest.mark.parametrize(
    ("fixed", "per_minute", "answers", "slots"),
    [
        (7, 300, [60.0], 7),
        (None, 300, [], 4),
        (None, 300, [0.3], 4),
        (None, 300, [1.0], 8),
        (None, 300, [2.0, 2.0], 15),
        (None, 300, [60.0], 32),
        (None, 60, [2.0], 4),
        (None, 0, [0.1], 32),
    ],
)
def test_slots_follow_from_the_limit_and_the_answers(
    fixed: int | None, per_minute: int, answers: list[float], slots: int
) -> None:
    concurrency = Concurrency(fixed, per_minute)
    for seconds in answers:
        concurrency.add(seconds)
    assert slots == concurrency.slots


def test_later_answers_count_more_than_earlier_ones() -> None:
    concurrency = Concurrency(None, 300)
    for seconds in [4.0, *[0.2] * 30]:
        concurrency.add(seconds)
    assert 4 == concurrency.slots
