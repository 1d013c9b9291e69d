"""The file of an SQLite ledger: readable for its owner only, checked before anything in it changes, migrated, open.

What is found in its place and is not a ledger is refused and left as it was. Functions raise LedgerUnusable where the
file is the wrong one, and OSError or sqlite3.Error where the system or SQLite fails.
"""

import errno
import os
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

from runa_cli.core.errors import LedgerUnusable
from runa_cli.ledger.engine import RESTORE, WRONG_FILE
from runa_cli.ledger.high_water import NO_MARKS, Doubt, Mark, MarkFile, Marks
from runa_cli.ledger.rows import MARK, events_at, read_mark
from runa_cli.ledger.schema import MIGRATIONS, TABLES

_MAGIC = b"SQLite format 3\0"  # how every such file begins
MANY_ORDERS = 20_000  # that take long enough to be brought up to date to say so
_CACHE = 8_000  # KiB of pages in memory; with the default of 2,000 a large batch writes many of them more than once
BUSY_SECONDS = 30.0  # another process's longest transaction records a file of 100,000 rows


def real_path(path: Path) -> Path:
    """Return the file that a path leads to, so that two names of one ledger lead to one file of claims."""
    if path.is_symlink() and not path.exists():
        # A new ledger in its place would not know what was issued.
        raise LedgerUnusable(
            f"The ledger {path} is a link to a file that does not exist ({path.readlink()}).",
            hint="Nothing is sent without it. Restore that file.",
        )
    return Path(os.path.realpath(path))


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection whose transactions are begun and ended explicitly, and whose rows are read by column name."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA secure_delete = ON").fetchall()  # or else deleted links stay in free space of the file
    return connection


class Opened(NamedTuple):
    """An open ledger. `replaced` is the mark of one that was in a new one's place, and is gone.

    `doubt`: why it may lack orders; None where nothing tells that it does.
    """

    connection: sqlite3.Connection
    is_new: bool
    replaced: Mark | None
    doubt: Doubt | None = None


def open_file(
    path: Path,
    mark_file: MarkFile | None = None,
    *,
    to_check: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Opened:
    """Open the file, make it where there is none, and bring its tables up to date.

    A ledger that is behind its high-water mark is refused, unless it is opened `to_check` what it lacks. `say` is told
    before a large one is brought up to date, which takes minutes.
    """
    marks, damaged = NO_MARKS, None
    try:
        marks = mark_file.read() if mark_file else NO_MARKS  # before the ledger is read, which may be written meanwhile
    except LedgerUnusable as error:
        if not to_check:
            raise
        damaged = error
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_new = not path.exists() and _create(path)
    mode = _make_private(path, mark_file, marks)
    connection = connect(path)
    try:
        _check_as_found(connection, path, mode)
        journal = partial(_events_at, connection)
        doubt = mark_file.doubt(damaged or marks, _found(connection), journal) if mark_file else None
        if doubt and not to_check:
            raise doubt.error
        _choose_journal_mode(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE}")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path, say=say)
        found = _found(connection)
        if mark_file and not doubt and marks.own and marks.own.ledger_id != found.ledger_id:
            mark_file.advance(found)  # before anything is recorded in a ledger that replaces one that is gone
    except BaseException:
        connection.close()
        raise
    return Opened(connection, is_new, marks.own if is_new else None, doubt)


def _create(path: Path) -> bool:
    """Make a new ledger. Returns False where another process was faster.

    It gets its name when it is complete: an empty file under that name is never this program's.
    """
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and not path.exists():  # SQLite would take its content for changes of the new file
        raise LedgerUnusable(f"The ledger {path} is gone, but a part of it is there: {wal}.", hint=RESTORE)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # for its owner only
    os.close(handle)
    temporary = Path(name)
    try:
        with closing(connect(temporary)) as connection:
            connection.execute("PRAGMA journal_mode = MEMORY").fetchall()  # nobody else sees the file yet
            connection.execute("PRAGMA synchronous = FULL")
            _migrate(connection, path, is_new=True)
        return _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> bool:
    """Give a new file its name. Returns False where there is a file of that name."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        temporary.rename(path)
    return True


def _make_private(path: Path, mark_file: MarkFile | None, marks: Marks) -> int:
    """Let only its owner read the file. Returns the permissions that it had."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):  # changing the permissions of a device would change them for everybody
            raise OSError(errno.EINVAL, "it is not a regular file")
        if not found.st_size:
            _refuse_empty(path, mark_file, marks)
        if found.st_mode & 0o077:
            os.fchmod(handle, 0o600)
        return stat.S_IMODE(found.st_mode)
    finally:
        os.close(handle)


def _refuse_empty(path: Path, mark_file: MarkFile | None = None, marks: Marks = NO_MARKS) -> NoReturn:
    if mark_file:
        mark_file.refuse_empty(marks)
    raise LedgerUnusable(
        f"The ledger {path} is empty, which a ledger never is: its content is lost, or it never was one.",
        hint=f"{RESTORE} Only if nothing was ever issued from here (`runa order list` shows what Runa has), delete the"
        " empty file.",
    )


def _check_as_found(connection: sqlite3.Connection, path: Path, mode: int) -> None:
    """Check that the file is a ledger; restore the permissions of a file that is not."""
    try:
        _check_is_ledger(connection, path)
    except BaseException:
        if mode & 0o077:
            path.chmod(mode)
        raise


def _check_is_ledger(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is a ledger whose version this program knows."""
    # The tables are read before the version: tables that exist were committed together with their version.
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise LedgerUnusable(
            f"The ledger {path} was written by a newer runa (its version is {version}, this program knows"
            f" {len(MIGRATIONS)}).",
            hint="Install the newer runa here too.",
        )
    if not tables:
        _refuse_empty(path)
    if not (version and tables >= TABLES):
        raise LedgerUnusable(f"{path} is a database of another program.", hint=WRONG_FILE)


def _found(connection: sqlite3.Connection) -> Mark:
    """Return how far the ledger has got, of a version that does not count its changes too."""
    if not list(connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'ledger'")):
        (row,) = connection.execute(
            "SELECT (SELECT max(id) FROM purchase) AS orders, (SELECT max(id) FROM gift) AS gifts"
        )
        return Mark("", 0, row["orders"] or 0, row["gifts"] or 0)
    counts_checks = any(name == "checks" for _, name, *_ in connection.execute("PRAGMA table_info(ledger)"))
    mark = MARK if counts_checks else MARK.replace("checks", "0 AS checks", 1)
    mark = mark if _has_journal(connection) else mark.replace("(SELECT max(id) FROM event)", "0", 1)
    return read_mark(next(connection.execute(mark)))


def _events_at(connection: sqlite3.Connection, numbers: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return what `events_at` does, of a version without a journal nothing."""
    if not _has_journal(connection):
        return {}
    return events_at(lambda statement, *values: connection.execute(statement, values), numbers)


def _has_journal(connection: sqlite3.Connection) -> bool:
    return bool(list(connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'event'")))


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


def _migrate(
    connection: sqlite3.Connection, path: Path, *, is_new: bool = False, say: Callable[[str], None] = lambda _: None
) -> None:
    """Run the migrations that the file does not have yet, all in one transaction with their number."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not is_new:
            _check_is_ledger(connection, path)  # another process may have migrated it since it was checked
            if _version(connection) < len(MIGRATIONS) and (orders := _found(connection).orders) >= MANY_ORDERS:
                say(
                    f"The ledger {path} is brought up to date for this version of runa, once. With about {orders:,}"
                    " orders that may take some minutes. It can be interrupted: then nothing is changed."
                )
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


def is_broken(path: Path, marks: Path | None) -> bool:
    """Tell whether a file was a ledger and is none any more: empty, damaged, or gone but for a part of it.

    What does not even begin as a database counts only where there is a high-water mark for it: it may be any file.
    """
    try:
        if not path.exists():
            return path.with_name(path.name + "-wal").exists()
        if not path.is_file():
            return False
        if not path.stat().st_size:
            return True
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except OSError:
        return False
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        was_used = marks is not None and MarkFile(marks, Path(os.path.realpath(path))).path.exists()
        with path.open("rb") as file:
            is_database = file.read(len(_MAGIC)) == _MAGIC
        return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} and (is_database or was_used)
    return False
