"""When to send the same bytes again: one pure decision.

The rules come from developer.runa.io: best-practices/idempotency, handling-errors and rate-limits.
"""

import math
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What one `POST /order` came to, when it settled nothing."""

    NOT_CONNECTED = "not_connected"  # no byte reached Runa
    IN_PROGRESS = "in_progress"  # an earlier request with this key is still at work
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"  # a 5xx, perhaps stored and replayed for 30 days
    UNCLEAR = "unclear"  # no answer, a cut or unreadable one, or somebody else's order


@dataclass(frozen=True)
class Pace:
    """The waits of one environment, in seconds."""

    first: float = 1.0  # doubles with each attempt
    longest: float = 15.0
    in_progress: float = 2.0  # Runa advises "a few seconds"
    rate_limited: float = 5.0  # Runa asks for at least five seconds, then longer each time
    poll_first: float = 1.0  # the playground simulates one second
    poll_longest: float = 10.0


REMOTE = Pace()
LOCAL = Pace(first=0.1, longest=2.0, in_progress=0.2, rate_limited=5.0, poll_first=0.1, poll_longest=0.25)

SAME_SERVER_ERRORS = 5  # by then 15 s have passed and the answer is most likely a stored one


@dataclass(frozen=True)
class Wait:
    """Send the same bytes with the same key after this many seconds."""

    seconds: float


@dataclass(frozen=True)
class LookUp:
    """Do not send again: ask Runa whether the order exists."""


@dataclass(frozen=True)
class GiveUp:
    """The time is over; the state stays as recorded."""


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
    """Decide how an unsettled order goes on.

    `attempt` counts from 1, `elapsed` and `timeout` are seconds since the first attempt of this run, `jitter` lies in
    0..1, and `same_errors` is how often in a row the same 5xx was seen.
    """
    if outcome is Outcome.SERVER_ERROR and same_errors >= SAME_SERVER_ERRORS:
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
    """Return the seconds before poll number `poll` (from 1) of an accepted order."""
    return min(pace.poll_first * math.pow(1.5, min(poll - 1, 16)), pace.poll_longest)
