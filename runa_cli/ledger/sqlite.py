"""A ledger in one SQLite file on this machine."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from runa_cli.ledger import sqlite_file
from runa_cli.ledger.engine import ConstraintViolated, Row, Transaction, unusable


class SQLiteEngine:
    """The open file: WAL mode with `synchronous=FULL`, so that a commit survives a crash of the machine.

    Implements `Engine`. `path` is the file itself, with links followed.
    """

    def __init__(self, path: Path) -> None:
        with _errors_name(path):
            self.path = sqlite_file.real_path(path)
        self._lock = threading.RLock()  # the threads that send orders share one connection
        with _errors_name(self.path):
            self._connection = sqlite_file.open_file(self.path)
        self._transaction = _SQLiteTransaction(self._connection)

    def select(self, statement: str, *values: object) -> Sequence[Row]:
        """Return all rows of a query. Raises LedgerUnusable."""
        with self._lock, _errors_name(self.path):
            return self._connection.execute(statement, values).fetchall()

    def stream(self, statement: str, *values: object) -> Iterator[Row]:
        """Yield rows one at a time over a connection of their own, so that others can write meanwhile.

        Raises LedgerUnusable.
        """
        with _errors_name(self.path), closing(sqlite_file.connect(self.path)) as connection:
            yield from connection.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit what the block writes, or roll it back. Raises LedgerUnusable, ConstraintViolated among them."""
        with self._lock, _errors_name(self.path):
            self._connection.execute("BEGIN IMMEDIATE")  # a deferred one collides only later, when it must write
            try:
                yield self._transaction
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


class _SQLiteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, *values: object) -> None:
        self._connection.execute(statement, values)

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(statement, rows)

    def insert(self, statement: str, *values: object) -> int:
        return int(self._connection.execute(statement, values).lastrowid or 0)


@contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the system into LedgerUnusable, with the path of the ledger."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise unusable(path, str(error), kind=ConstraintViolated) from error
    except sqlite3.Error as error:
        raise unusable(path, str(error)) from error
    except OSError as error:
        raise unusable(path, error.strerror or str(error)) from error
