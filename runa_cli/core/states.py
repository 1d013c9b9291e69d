"""The states of an order in the ledger, and the groups of them that decisions are made by."""

from enum import StrEnum


class State(StrEnum):
    """What is already true of an order."""

    PREPARED = "prepared"  # recorded, not sent
    SENT = "sent"  # may have reached Runa, outcome unknown
    ACCEPTED = "accepted"  # Runa gave an id, still processing
    COMPLETED = "completed"
    FAILED = "failed"  # Runa says FAILED
    REJECTED = "rejected"  # Runa's final answer was no
    ABANDONED = "abandoned"  # a person gave it up


SETTLED = frozenset({State.COMPLETED, State.FAILED, State.REJECTED, State.ABANDONED})
UNFINISHED = frozenset(State) - SETTLED
UNSENT = (State.PREPARED, State.REJECTED)
OUTCOME_UNKNOWN = (State.SENT, State.ACCEPTED, State.ABANDONED)
NOT_COMPLETED = frozenset(State) - {State.COMPLETED}
