"""What a database must offer to hold a ledger. One module implements it for each kind of database."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from runa_cli.core.errors import LedgerUnusable


class ConstraintViolated(LedgerUnusable):
    """A row contradicts the rows that are there, for example by a second use of a batch's name or of a key."""


class NotCommitted(LedgerUnusable):
    """A transaction certainly wrote nothing, because its connection was lost or others kept it waiting too long.

    The same can be written once more. Raised only by a database on a server.
    """


class Row(Protocol):
    """One row of a result, read by the names of its columns."""

    def __getitem__(self, column: str, /) -> Any: ...

    def keys(self) -> Iterable[str]:
        """Return the names of the columns."""


class Transaction(Protocol):
    """An open transaction. Statements mark their parameters with `?`.

    `is_alone`: no other transaction can write until this one has ended. Where others can, two that insert the same
    unique text wait for each other.
    """

    is_alone: bool

    def execute(self, statement: str, *values: object) -> int:
        """Run a statement that changes rows, and return how many."""

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each row of parameters."""

    def insert(self, statement: str, *values: object) -> int:
        """Insert one row and return its id."""

    def insert_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Insert many rows, in the fastest way there is."""

    def continue_ids(self, table: str) -> None:
        """Give the next row of a table an id after those of all rows that were inserted with one."""


Snapshot = Callable[[str], Iterator[Row]]  # yields the rows of a query as they were at one moment


class Engine(Protocol):
    """An open database. Its threads share it. Every method raises LedgerUnusable, naming the ledger.

    `patience` is how long a write is repeated whose connection was lost (seconds).
    """

    patience: float

    def select(self, statement: str, *values: object) -> Sequence[Row]:
        """Return all rows of a query. Inside of this thread's transaction, the query sees what that has written."""

    def stream(self, statement: str, *values: object) -> Iterator[Row]:
        """Yield the rows of a query one at a time, so that a large result is never in memory as a whole."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Read everything as it is at one moment, while others write."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Commit what the block writes, or roll it back where the block raises.

        Nobody else writes meanwhile, so what the block reads stays true until it commits. Once the block is left, what
        it wrote survives a crash of the process and of the machine. Each transaction counts one change of the ledger.
        Raises ConstraintViolated, and NotCommitted.
        """

    def now(self, own: datetime) -> datetime:
        """Return the time for what everybody who shares the ledger counts together; `own` is that of this machine."""

    def close(self) -> None:
        """Close the database, after a transaction of another thread has ended."""

    def defects(self) -> Iterable[str]:
        """Read everything, and yield what the database itself finds damaged."""

    def erase_deleted(self) -> str:
        """Make sure that no file of the database still contains what was deleted.

        Returns a sentence about where it still is; empty where it is gone.
        """


_Item = TypeVar("_Item")


class Repeatable(Iterable[_Item]):
    """What a generator yields, as often as it is asked for: `make` starts it anew."""

    def __init__(self, make: Callable[[], Iterator[_Item]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[_Item]:
        return self._make()


class _HasEngine(Protocol):
    @property
    def _engine(self) -> Engine: ...


_Self = TypeVar("_Self", bound=_HasEngine)
_P = ParamSpec("_P")
_T = TypeVar("_T")
_PAUSE = 0.05  # seconds


def repeated(write: Callable[Concatenate[_Self, _P], _T]) -> Callable[Concatenate[_Self, _P], _T]:
    """Make a method run again, within the engine's patience, where its one transaction raises NotCommitted.

    It does not where an argument is an iterator, which can be used only once (see `Repeatable`).
    """

    @wraps(write)
    def run(self: _Self, /, *arguments: _P.args, **named: _P.kwargs) -> _T:
        if any(isinstance(argument, Iterator) for argument in (*arguments, *named.values())):
            return write(self, *arguments, **named)
        ends: float | None = None
        while True:
            try:
                return write(self, *arguments, **named)
            except NotCommitted:
                ends = time.monotonic() + self._engine.patience if ends is None else ends
                if time.monotonic() >= ends:
                    raise
                time.sleep(_PAUSE)

    return run


RESTORE = "Nothing is sent without it. Restore it from a backup, with its -wal file if there is one."
WRONG_FILE = (
    "Nothing is sent without it. RUNA_LEDGER must lead to the ledger that was used before: a new one does not know what"
    " was issued."
)
WAIT = "Nothing is sent without it. Wait until the other process has ended, then run the same command again."
MAKE_ROOM = "Nothing is sent without it. Make room or fix its permissions, then run the same command again."


def unusable(
    ledger: object, reason: str, *, hint: str = MAKE_ROOM, kind: type[LedgerUnusable] = LedgerUnusable
) -> LedgerUnusable:
    """Return the error for a ledger that the system or the database cannot use.

    No hint may advise another ledger: a new one does not know what was issued, and would pay again.
    """
    return kind(f"The ledger {ledger} cannot be used: {reason}.", hint=hint)
