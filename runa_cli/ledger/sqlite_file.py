"""The file of an SQLite ledger: readable for its owner only, checked before anything in it changes, migrated, open.

What is found in its place and is not a ledger is refused and left as it was. Functions raise LedgerUnusable where the
file is the wrong one, and OSError or sqlite3.Error where the system or SQLite fails.
"""

import errno
import os
import sqlite3
import stat
import time
from pathlib import Path

from runa_cli.core.errors import LedgerUnusable
from runa_cli.ledger.schema import MIGRATIONS, TABLES

BUSY_SECONDS = 30.0  # another process's longest transaction records a file of 100,000 rows


def real_path(path: Path) -> Path:
    """Return the file that a path leads to, so that two names of one ledger lead to one file of claims."""
    if path.is_symlink() and not path.exists():
        # A new ledger in its place would not know what was issued.
        raise LedgerUnusable(
            f"The ledger {path} is a link to a file that does not exist ({path.readlink()}).",
            hint="Restore that file. To start a new ledger, name its file itself in RUNA_LEDGER.",
        )
    return Path(os.path.realpath(path))


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection whose transactions are begun and ended explicitly, and whose rows are read by column name."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file, create it where there is none, and bring its tables up to date."""
    mode = _create_private(path)
    connection = connect(path)
    try:
        _check_as_found(connection, path, mode)
        _choose_journal_mode(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_private(path: Path) -> int:
    """Create the file for its owner only before SQLite opens it: SQLite would let the umask decide.

    Returns the permissions that the file had.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):  # changing the permissions of a device would change them for everybody
            raise OSError(errno.EINVAL, "it is not a regular file")
        if mode & 0o077:
            os.fchmod(handle, 0o600)
        return stat.S_IMODE(mode)
    finally:
        os.close(handle)


def _check_as_found(connection: sqlite3.Connection, path: Path, mode: int) -> None:
    """Check that the file is a ledger; restore the permissions of a file that is not."""
    try:
        _check_is_ledger(connection, path)
    except BaseException:
        if mode & 0o077:
            path.chmod(mode)
        raise


def _check_is_ledger(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is empty or a ledger whose version this program knows."""
    # The tables are read before the version: tables that exist were committed together with their version.
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise LedgerUnusable(
            f"The ledger {path} was written by a newer runa (its version is {version}, this program knows"
            f" {len(MIGRATIONS)}).",
            hint="Install the newer runa here too.",
        )
    if tables and not (version and tables >= TABLES):
        raise LedgerUnusable(
            f"{path} is a database of another program.", hint="Name a file of its own for the ledger in RUNA_LEDGER."
        )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _choose_journal_mode(connection: sqlite3.Connection) -> None:
    """Switch to WAL. Unlike every other statement, this one does not wait for other processes by itself."""
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


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Run the migrations that the file does not have yet, all in one transaction with their number."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _check_is_ledger(connection, path)  # another process may have migrated it since it was checked
        for number, migration in enumerate(MIGRATIONS[_version(connection) :], _version(connection) + 1):
            for statement in migration.script.split(";"):
                connection.execute(statement)
            if migration.fill is not None:
                migration.fill(connection)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
