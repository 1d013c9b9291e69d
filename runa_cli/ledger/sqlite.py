"""The ledger's file: for its owner alone, this program's own, brought up to date, and open.

Whatever else is found in its place is refused and left as it was.
"""

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runa_cli.core.errors import LedgerUnusable
from runa_cli.ledger.schema import check_is_ledger, migrate

BUSY_SECONDS = 30.0  # another process's longest transaction records a file of 100,000 rows


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Name the ledger in whatever goes wrong with it. Raises LedgerUnusable."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LedgerUnusable(
            f"The ledger {path} cannot be used: {reason}.",
            hint="Nothing is sent without it. Make room or mend its permissions, or name another file in RUNA_LEDGER.",
        ) from error


def real_path(path: Path) -> Path:
    """Return the file that a path leads to. Raises LedgerUnusable."""
    with explained(path):
        _check_link(path)
        return Path(os.path.realpath(path))


def opened(path: Path) -> sqlite3.Connection:
    """Open the file, make it where there is none, and bring its tables up to date. Raises LedgerUnusable."""
    with explained(path):
        mode = _create_private(path)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            _check_as_found(connection, path, mode)
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _check_link(path: Path) -> None:
    """Make sure that a link leads to a ledger: a new one in its place would know nothing of what was issued."""
    if path.is_symlink() and not path.exists():
        raise LedgerUnusable(
            f"The ledger {path} is a link that leads nowhere ({path.readlink()}).",
            hint="Bring back what it led to. To begin a new ledger, name its file itself in RUNA_LEDGER.",
        )


def _create_private(path: Path) -> int:
    """Make the file for its owner alone before SQLite opens it: SQLite itself would leave it open to the umask.

    Returns the mode that it had.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):  # a device would lose its permissions for everybody
            raise OSError(errno.EINVAL, "It is no file")
        if mode & 0o077:
            os.fchmod(handle, 0o600)
        return stat.S_IMODE(mode)
    finally:
        os.close(handle)


def _check_as_found(connection: sqlite3.Connection, path: Path, mode: int) -> None:
    """Check whose file it is before anything in it changes, and give another program's file its mode back."""
    try:
        check_is_ledger(connection, path)
    except BaseException:
        if mode & 0o077:
            path.chmod(mode)
        raise


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Choose the journal mode; unlike every other statement, this one does not wait for other processes by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
