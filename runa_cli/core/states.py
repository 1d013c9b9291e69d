"""The states of an order in the ledger, and the groups of states that decisions depend on."""

from enum import StrEnum


class State(StrEnum):
    """The state of an order. Each is recorded once it is true."""

    PREPARED = "prepared"  # recorded, not sent
    SENT = "sent"  # may have reached Runa, outcome unknown
    ACCEPTED = "accepted"  # Runa gave it an id and is processing it
    COMPLETED = "completed"  # issued; the links are recorded
    FAILED = "failed"  # Runa reports it as FAILED
    REJECTED = "rejected"  # Runa rejected it for good: nothing was issued
    ABANDONED = "abandoned"  # a person gave it up


SETTLED = frozenset({State.COMPLETED, State.FAILED, State.REJECTED, State.ABANDONED})  # nothing more happens by itself
UNFINISHED = frozenset(State) - SETTLED  # a resume continues with these
UNSENT = (State.PREPARED, State.REJECTED)  # nothing is issued, so they may be sent or changed
OUTCOME_UNKNOWN = (State.SENT, State.ACCEPTED, State.ABANDONED)  # money may have moved
NOT_COMPLETED = frozenset(State) - {State.COMPLETED}  # no link is recorded
GIVEN_UP = frozenset({State.FAILED, State.ABANDONED})  # not issued again unless a person asks for it
COSTING = frozenset(State) - {State.REJECTED, State.FAILED}  # paid, or may be yet
