"""Decides whether and when an order is sent again, as a pure function.

The rules come from developer.runa.io: best-practices/idempotency, handling-errors and rate-limits.
"""

import math
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct


class Outcome(StrEnum):
    """The outcome of a `POST /order` that did not settle the order."""

    NOT_CONNECTED = "not_connected"  # no byte reached Runa
    IN_PROGRESS = "in_progress"  # Runa is still processing an earlier request with this key
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"  # a 5xx; Runa may have stored it, and then repeats it for 30 days
    FOREIGN_REFUSAL = "foreign_refusal"  # a 4xx that may come from a proxy, which may have passed the order on
    UNCLEAR = "unclear"  # no answer, an incomplete or unreadable one, or another order


class Pace(NamedTuple):
    """How long to wait before retries and polls in one environment (seconds)."""

    first: float = 1.0  # doubles with each attempt
    longest: float = 15.0
    in_progress: float = 2.0  # Runa advises "a few seconds"
    rate_limited: float = 5.0  # Runa asks for at least five seconds, and longer each time
    poll_first: float = 1.0  # the playground simulates one second
    poll_longest: float = 10.0


REMOTE = Pace()
LOCAL = Pace(first=0.1, longest=2.0, in_progress=0.2, rate_limited=5.0, poll_first=0.1, poll_longest=0.25)

# An answer with one of these outcomes may repeat for ever: a stored 5xx, or a proxy that refuses what Runa answers.
REPEATING = frozenset({Outcome.SERVER_ERROR, Outcome.FOREIGN_REFUSAL})
SAME_SERVER_ERRORS = 5  # after so many in a row, about 15 s, Runa has most likely stored the answer and repeats it


class Wait(Struct, frozen=True):
    """Wait this many seconds, then send the same bytes with the same key."""

    seconds: float


class LookUp(Struct, frozen=True):
    """Do not send again; look the order up at Runa."""


class GiveUp(Struct, frozen=True):
    """Stop: the time limit is reached. The order stays as it is recorded."""


Decision = Wait | LookUp | GiveUp


def decide(
    outcome: Outcome,
    *,
    attempt: int,
    elapsed: float,
    timeout: float,
    jitter: float,
    pace: Pace = REMOTE,
    retry_after: float | None = None,
    same_errors: int = 0,
) -> Decision:
    """Decide what to do next with an order that is not settled.

    `attempt` is the number of attempts so far. `elapsed` and `timeout` are seconds since the first attempt of this run.
    `jitter` is a random number in 0..1. `same_errors` is how often in a row the same answer of a kind that
    may repeat for ever was received.
    """
    if outcome in REPEATING and same_errors >= SAME_SERVER_ERRORS:
        return LookUp()
    seconds = _wait(outcome, attempt, jitter, pace, retry_after)
    return Wait(seconds) if elapsed + seconds < timeout else GiveUp()


def _wait(outcome: Outcome, attempt: int, jitter: float, pace: Pace, retry_after: float | None) -> float:
    doubled = math.ldexp(1.0, min(attempt - 1, 16))
    match outcome:
        case Outcome.RATE_LIMITED if retry_after is not None:
            return retry_after + jitter * 0.5
        case Outcome.RATE_LIMITED:
            return min(pace.rate_limited * doubled, 60.0) * (1 + jitter * 0.25)
        case Outcome.IN_PROGRESS:
            return min(pace.in_progress * math.pow(1.5, min(attempt - 1, 8)), pace.longest) * (1 + jitter * 0.25)
        case _:
            return min(pace.first * doubled, pace.longest) * (1 + jitter * 0.25)


def poll_wait(poll: int, pace: Pace = REMOTE) -> float:
    """Return the seconds to wait before poll number `poll` (from 1) of an accepted order."""
    return min(pace.poll_first * math.pow(1.5, min(poll - 1, 16)), pace.poll_longest)
