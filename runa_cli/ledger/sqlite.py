"""A ledger in one SQLite file on this machine."""

import errno
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from runa_cli.ledger import sqlite_file
from runa_cli.ledger.claims import Claims
from runa_cli.ledger.engine import (
    MAKE_ROOM,
    RESTORE,
    WAIT,
    WRONG_FILE,
    ConstraintViolated,
    Row,
    Snapshot,
    Transaction,
    unusable,
)
from runa_cli.ledger.high_water import MarkFile

_HINTS = {
    sqlite3.SQLITE_BUSY: WAIT,
    sqlite3.SQLITE_LOCKED: WAIT,
    sqlite3.SQLITE_CORRUPT: RESTORE,
    sqlite3.SQLITE_NOTADB: RESTORE,
}
_MOST_DEFECTS = 20
_NO_FILE = {errno.EISDIR, errno.ENOTDIR, errno.EINVAL, errno.ELOOP}


class SQLiteEngine:
    """The open file: WAL mode with `synchronous=FULL`, so that a commit survives a crash of the machine.

    Implements `Engine`; a write that fails is not repeated. `path` is the file itself, with links followed; `is_new`
    tells whether it was made just now, and `replaced` how far the one had got that was in its place and is gone. `mark`
    is the ledger's high-water mark; None where none is kept. `doubt` is why it may lack orders, where it was opened
    `to_check` that.
    """

    patience = 0.0

    def __init__(
        self,
        path: Path,
        marks: Path | None = None,
        *,
        to_check: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Open the ledger, or make a new one. `marks` is the directory of high-water marks; `say`: see `open_file`."""
        with _errors_name(path):
            self.path = sqlite_file.real_path(path)
        self.mark = MarkFile(marks, self.path) if marks else None
        self._lock = threading.RLock()  # the threads that send orders share one connection
        with _errors_name(self.path):
            opened = sqlite_file.open_file(self.path, self.mark, to_check=to_check, say=say)
        self._connection, self.is_new, self.replaced, self.doubt = opened
        self._transaction = _SQLiteTransaction(self._connection)
        self.claims = Claims(self.path)

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
    def snapshot(self) -> Iterator[Snapshot]:
        """Read everything as it is at one moment. Raises LedgerUnusable."""
        with _errors_name(self.path), closing(sqlite_file.connect(self.path)) as connection:
            connection.execute("BEGIN")
            yield lambda statement: iter(connection.execute(statement))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit what the block writes, or roll it back. Raises LedgerUnusable, ConstraintViolated among them."""
        with self._lock, _errors_name(self.path):
            self._connection.execute("BEGIN IMMEDIATE")  # a deferred one collides only later, when it must write
            try:
                self._connection.execute("UPDATE ledger SET changes = changes + 1")  # first: a copy sets its own number
                yield self._transaction
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def now(self, own: datetime) -> datetime:
        """Return this machine's time, which all who use the file share."""
        return own

    def defects(self) -> Iterator[str]:
        """Yield what SQLite finds damaged. Raises LedgerUnusable."""
        for row in self.select(f"PRAGMA integrity_check({_MOST_DEFECTS})"):
            if row["integrity_check"] != "ok":
                yield " ".join(row["integrity_check"].split())

    def erase_deleted(self) -> str:
        """Move all changes from the `-wal` file into the main file, where `secure_delete` overwrites what is deleted.

        Returns a sentence where another process's reading prevents that, else nothing. Raises LedgerUnusable.
        """
        (row,) = self.select("PRAGMA wal_checkpoint(TRUNCATE)")
        if not row["busy"]:
            return ""
        return (
            f"Another process reads the ledger now, so the deleted links are still in {self.path}-wal. They are gone"
            " once every process that uses the ledger has ended."
        )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


class _SQLiteTransaction:
    is_alone = True

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, *values: object) -> int:
        return self._connection.execute(statement, values).rowcount

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(statement, rows)

    def insert(self, statement: str, *values: object) -> int:
        return int(self._connection.execute(statement, values).lastrowid or 0)

    def insert_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        marks = ", ".join("?" * len(columns))
        names = ", ".join(f'"{column}"' for column in columns)
        self._connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608 - own text

    def continue_ids(self, table: str) -> None:
        """SQLite gives each row an id after the greatest."""


@contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the system into LedgerUnusable, with the path of the ledger."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise unusable(path, str(error), kind=ConstraintViolated) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the details of an extended code
        raise unusable(path, str(error), hint=_HINTS.get(code, MAKE_ROOM)) from error
    except OSError as error:
        hint = WRONG_FILE if error.errno in _NO_FILE else MAKE_ROOM
        raise unusable(path, error.strerror or str(error), hint=hint) from error
