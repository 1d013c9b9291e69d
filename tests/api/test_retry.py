"""When the same bytes are sent again: the whole decision as a table."""

from typing import Any

import pytest

from runa_cli.api.retry import LOCAL, REMOTE, Decision, GiveUp, LookUp, Outcome, Wait, decide, poll_wait


def decided(outcome: Outcome, **known: Any) -> Decision:
    return decide(outcome, **{"attempt": 1, "elapsed": 0.0, "timeout": 1e9, "jitter": 0.0, **known})


@pytest.mark.parametrize(
    ("outcome", "waits"),
    [
        (Outcome.NOT_CONNECTED, [1, 2, 4, 8, 15, 15]),
        (Outcome.SERVER_ERROR, [1, 2, 4, 8, 15, 15]),
        (Outcome.FOREIGN_REFUSAL, [1, 2, 4, 8, 15, 15]),
        (Outcome.UNCLEAR, [1, 2, 4, 8, 15, 15]),
        (Outcome.IN_PROGRESS, [2, 3, 4.5, 6.75, 10.125, 15, 15]),
        (Outcome.RATE_LIMITED, [5, 10, 20, 40, 60, 60]),
    ],
)
def test_waits_grow_up_to_a_limit(outcome: Outcome, waits: list[float]) -> None:
    assert [Wait(seconds) for seconds in waits] == [decided(outcome, attempt=n) for n in range(1, len(waits) + 1)]


@pytest.mark.parametrize(
    ("outcome", "known", "expected"),
    [
        # Jitter only ever adds, so that Runa's "at least" stays one.
        (Outcome.RATE_LIMITED, {"jitter": 1.0}, Wait(6.25)),
        (Outcome.IN_PROGRESS, {"jitter": 1.0}, Wait(2.5)),
        (Outcome.NOT_CONNECTED, {"jitter": 0.5}, Wait(1.125)),
        # Retry-After goes before our own idea, in both directions.
        (Outcome.RATE_LIMITED, {"retry_after": 1.0}, Wait(1.0)),
        (Outcome.RATE_LIMITED, {"retry_after": 90.0, "attempt": 3}, Wait(90.0)),
        (Outcome.RATE_LIMITED, {"retry_after": 1.0, "jitter": 1.0}, Wait(1.5)),
        # An answer that keeps coming is a stored one: sending again brings nothing but a risk after 30 days.
        (Outcome.SERVER_ERROR, {"same_errors": 4}, Wait(1.0)),
        (Outcome.SERVER_ERROR, {"same_errors": 5}, LookUp()),
        (Outcome.SERVER_ERROR, {"same_errors": 9, "elapsed": 120.0, "timeout": 120.0}, LookUp()),
        (Outcome.FOREIGN_REFUSAL, {"same_errors": 4}, Wait(1.0)),
        (Outcome.FOREIGN_REFUSAL, {"same_errors": 5}, LookUp()),
        (Outcome.UNCLEAR, {"same_errors": 9}, Wait(1.0)),
        # The time is over as soon as the next attempt would not start within it.
        (Outcome.UNCLEAR, {"elapsed": 118.9, "timeout": 120.0}, Wait(1.0)),
        (Outcome.UNCLEAR, {"elapsed": 119.0, "timeout": 120.0}, GiveUp()),
        (Outcome.UNCLEAR, {"elapsed": 500.0, "timeout": 120.0}, GiveUp()),
        (Outcome.SERVER_ERROR, {"elapsed": 119.5, "timeout": 120.0}, GiveUp()),
        (Outcome.NOT_CONNECTED, {"elapsed": 119.5, "timeout": 120.0}, GiveUp()),
        (Outcome.IN_PROGRESS, {"elapsed": 119.0, "timeout": 120.0}, GiveUp()),
        (Outcome.RATE_LIMITED, {"timeout": 5.0}, GiveUp()),
        (Outcome.RATE_LIMITED, {"retry_after": 120.0, "timeout": 120.0}, GiveUp()),
    ],
)
def test_a_decision_follows_from_what_is_known(outcome: Outcome, known: dict[str, Any], expected: Decision) -> None:
    assert expected == decided(outcome, **known)


@pytest.mark.parametrize("outcome", Outcome)
def test_however_often_it_was_tried_there_is_a_decision(outcome: Outcome) -> None:
    decision = decided(outcome, attempt=100_000)
    assert isinstance(decision, Wait)
    assert 0 < decision.seconds <= 60


def test_the_emulator_is_asked_again_sooner() -> None:
    waits = [decide(Outcome.UNCLEAR, attempt=n, elapsed=0, timeout=99, jitter=0, pace=LOCAL) for n in (1, 2, 9)]
    assert [Wait(0.1), Wait(0.2), Wait(2.0)] == waits


def test_polls_start_after_a_second_and_come_ever_more_slowly() -> None:
    assert [1.0, 1.5, 2.25, 3.375, 5.0625, 7.59375, 10.0, 10.0] == [poll_wait(poll) for poll in range(1, 9)]
    assert (REMOTE.poll_longest, LOCAL.poll_longest) == (poll_wait(100_000, REMOTE), poll_wait(100_000, LOCAL))
    assert LOCAL.poll_first == poll_wait(1, LOCAL)
