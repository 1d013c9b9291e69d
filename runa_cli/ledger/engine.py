"""What a database must offer to hold a ledger. One module implements it for each kind of database."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from runa_cli.core.errors import LedgerUnusable


class ConstraintViolated(LedgerUnusable):
    """A row contradicts the rows that are there, for example by a second use of a batch's name or of a key."""


class Row(Protocol):
    """One row of a result, read by the names of its columns."""

    def __getitem__(self, column: str, /) -> Any: ...

    def keys(self) -> Iterable[str]:
        """Return the names of the columns."""


class Transaction(Protocol):
    """An open transaction. Statements mark their parameters with `?`."""

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement that changes rows."""

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each row of parameters."""

    def insert(self, statement: str, *values: object) -> int:
        """Insert one row and return its id."""


class Engine(Protocol):
    """An open database. Its threads share it. Every method raises LedgerUnusable, naming the ledger."""

    def select(self, statement: str, *values: object) -> Sequence[Row]:
        """Return all rows of a query. Inside of this thread's transaction, the query sees what that has written."""

    def stream(self, statement: str, *values: object) -> Iterator[Row]:
        """Yield the rows of a query one at a time, so that a large result is never in memory as a whole."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Commit what the block writes, or roll it back where the block raises.

        Nobody else writes meanwhile, so what the block reads stays true until it commits. Once the block is left, what
        it wrote survives a crash of the process and of the machine. Each transaction counts one change of the ledger.
        Raises ConstraintViolated.
        """

    def close(self) -> None:
        """Close the database, after a transaction of another thread has ended."""

    def erase_deleted(self) -> bool:
        """Make sure that no file of the database still contains what was deleted.

        Returns False where another process's reading prevents that for now.
        """


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
