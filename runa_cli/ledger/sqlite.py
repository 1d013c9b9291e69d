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

BUSY_SECONDS = 30.0  # another process's longest transaction records a file of 100,000 rows

MIGRATIONS = (
    """
    CREATE TABLE batch (
        id INTEGER PRIMARY KEY,
        environment TEXT NOT NULL,
        name TEXT NOT NULL,
        named INTEGER NOT NULL,
        source TEXT NOT NULL,
        shape TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        account TEXT NOT NULL,
        columns TEXT NOT NULL,
        created_at TEXT NOT NULL,
        shown_at TEXT,
        pruned_at TEXT,
        UNIQUE (environment, name)
    );
    CREATE INDEX batch_by_content ON batch (environment, fingerprint);
    CREATE TABLE purchase (
        id INTEGER PRIMARY KEY,
        batch_id INTEGER NOT NULL REFERENCES batch (id),
        environment TEXT NOT NULL,
        position INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        idempotency_key TEXT NOT NULL,
        own_key INTEGER NOT NULL,
        body BLOB NOT NULL,
        body_sha256 TEXT NOT NULL,
        mode TEXT NOT NULL,
        currency TEXT NOT NULL,
        total TEXT NOT NULL,
        item_count INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('prepared', 'sent', 'accepted', 'completed', 'failed', 'rejected', 'abandoned')),
        prepared_at TEXT NOT NULL,
        first_sent_at TEXT,
        settled_at TEXT,
        order_id TEXT,
        http_status INTEGER,
        request_id TEXT,
        error_type TEXT,
        error_text TEXT,
        same_errors INTEGER NOT NULL DEFAULT 0,
        superseded INTEGER NOT NULL DEFAULT 0,
        reply BLOB,
        UNIQUE (batch_id, position, generation),
        UNIQUE (environment, idempotency_key)
    );
    CREATE INDEX purchase_by_state ON purchase (batch_id, state);
    CREATE INDEX purchase_by_order ON purchase (order_id);
    CREATE TABLE gift (
        id INTEGER PRIMARY KEY,
        purchase_id INTEGER NOT NULL REFERENCES purchase (id),
        slot INTEGER NOT NULL,
        row INTEGER NOT NULL,
        reference TEXT,
        carried TEXT NOT NULL,
        identity TEXT NOT NULL,
        item TEXT NOT NULL,
        issued TEXT,
        UNIQUE (purchase_id, slot)
    );
    CREATE INDEX gift_by_identity ON gift (identity);
    """,
)


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
            _migrate(connection, path)
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
        _check_ours(connection, path)
    except BaseException:
        if mode & 0o077:
            path.chmod(mode)
        raise


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Make sure that the file is empty, or a ledger this program knows."""
    # In this order: tables that are there were committed together with their version.
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise LedgerUnusable(
            f"The ledger {path} was written by a newer runa (its version is {version}, this program knows"
            f" {len(MIGRATIONS)}).",
            hint="Install the newer runa here too.",
        )
    if tables and not (version and tables >= {"batch", "purchase", "gift"}):
        raise LedgerUnusable(
            f"{path} is a database of another program.", hint="Name a file of its own for the ledger in RUNA_LEDGER."
        )


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


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        _check_ours(connection, path)  # another process may have migrated it since
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            for statement in script.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
