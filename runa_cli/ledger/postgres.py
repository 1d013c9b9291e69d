"""A ledger in a PostgreSQL database, which several machines share.

One row of the table `ledger` is locked by each transaction before anything is read, so that transactions follow one
another as in SQLite: what a check in one of them reads stays true until it commits. Each writes a random id of its own
into `written`; where the connection is lost at COMMIT, that tells whether it was committed.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, LiteralString, TypeVar, cast

import psycopg
from psycopg import errors as sqlstates

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.core.errors import LedgerUnusable
from runa_cli.ledger import postgres_server
from runa_cli.ledger.copying import COLUMNS
from runa_cli.ledger.engine import (
    WAIT,
    WRONG_FILE,
    ConstraintViolated,
    NotCommitted,
    Row,
    Snapshot,
    Transaction,
    unusable,
)
from runa_cli.ledger.high_water import NO_MARKS, RESTORE_SERVER, Doubt, Mark, MarkFile
from runa_cli.ledger.leases import Leases
from runa_cli.ledger.postgres_schema import MIGRATIONS, RIGHTS
from runa_cli.ledger.postgres_server import ASK_ADMINISTRATOR, CHECK_CONNECTION, Connection, connect
from runa_cli.ledger.rows import MARK, events_at, read_mark

# Seconds. A process that was stopped in the middle of a transaction must not keep all others from writing.
_BUSY, _IDLE = 30, 20
# `SET LOCAL` only: behind PgBouncer, a setting that outlives its transaction would be somebody else's.
_BEGIN = f"BEGIN; SET LOCAL lock_timeout = '{_BUSY}s'; SET LOCAL idle_in_transaction_session_timeout = '{_IDLE}s'"
_ENTER = (
    "WITH entered AS (INSERT INTO written (id) VALUES (?)) UPDATE ledger SET changes = changes + 1"
    " RETURNING id, changes, version, current_setting('synchronous_commit') AS synchronous_commit"
)
_BATCH_OF_ROWS = 2000  # that a large result is fetched in
_BACK_OFF = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds between two attempts to connect

_T = TypeVar("_T")


class PostgresEngine:
    """The open database. Implements `Engine`.

    `path` names the database in messages. `mark` is the ledger's high-water mark; None where none is kept. `replaced`
    is how far another ledger had got that was used at this address before. `doubt` is why it may lack orders, where it
    was opened `to_check` that.
    """

    is_new = False  # it is made by `runa ledger init` alone

    def __init__(
        self, address: ServerLedger, marks: Path | None = None, *, patience: float = 0.0, to_check: bool = False
    ) -> None:
        """Open the ledger. `marks` is the directory of high-water marks; `patience` see `Engine`."""
        self._address = address
        self.patience = patience
        self._lock = threading.RLock()  # the threads that send orders share one connection
        self._connection: Connection | None = None
        self._in_transaction = False
        self._warnings: list[str] = []
        self._transaction = _PostgresTransaction(self)
        self._rights_checked = False
        self._unreachable = False  # patience is spent once on an outage, not by each of the writes that it affects
        self._changes = 0
        self.doubt: Doubt | None = None
        try:
            self._open(marks, to_check=to_check)
        except BaseException:
            self._drop()
            raise
        self.claims = Leases(self, address)

    def _open(self, marks: Path | None, *, to_check: bool) -> None:
        """Connect, and check that this is the ledger that was used before, and not an older copy of it."""
        with self._errors():
            self.path = postgres_server.display_name(self._connected(), self._address)
        self.mark = MarkFile(marks, self.path, RESTORE_SERVER) if marks else None
        known, damaged = NO_MARKS, None
        try:
            known = self.mark.read() if self.mark else NO_MARKS  # before the ledger, which may be written meanwhile
        except LedgerUnusable as error:
            if not to_check:
                raise
            damaged = error
        found = self._found()
        self._ledger_id, self._changes = found.ledger_id, found.changes
        journal = partial(events_at, self.select)
        self.doubt = self.mark.doubt(damaged or known, found, journal) if self.mark else None
        if self.doubt and not to_check:
            raise self.doubt.error
        is_another = known.own is not None and known.own.ledger_id != found.ledger_id
        self.replaced = known.own if is_another and not self.doubt else None
        if self.replaced and self.mark:
            with suppress(OSError):  # the next command tells it again
                self.mark.advance(found)

    def _found(self) -> Mark:
        """Return how far the ledger has got, if there is one of this version."""
        (there,) = self.select(
            "SELECT to_regclass('ledger') IS NOT NULL AS ledger, to_regclass('gift') IS NOT NULL AS gift"
        )
        if not there["ledger"]:
            if there["gift"]:
                raise unusable(self._address, "it is a database of another program", hint=WRONG_FILE)
            raise unusable(
                self._address,
                "there is none in this database yet",
                hint="Nothing is sent without it. If that is the right database, `runa ledger init` makes its tables.",
            )
        (row,) = self.select("SELECT version FROM ledger")
        check_version(self._address, row["version"])
        (row,) = self.select(MARK)
        return read_mark(row)

    # --- reading -------------------------------------------------------------------------------------------------

    def select(self, statement: str, *values: object) -> Sequence[Row]:
        """Return all rows of a query. Raises LedgerUnusable."""
        with self._lock:
            if self._in_transaction:
                return self._rows(statement, values)
            return self._persistently(lambda: self._rows(statement, values))

    def _rows(self, statement: str, values: Sequence[object]) -> Sequence[Row]:
        with self._errors():
            return self._connected().execute(translated(statement), values).fetchall()

    def stream(self, statement: str, *values: object) -> Iterator[Row]:
        """Yield rows in portions over a connection of their own, so that others can write meanwhile.

        Raises LedgerUnusable.
        """
        with self._errors(), closing(self._persistently(self._another)) as connection:
            connection.execute("BEGIN READ ONLY")
            with connection.cursor(name="rows") as cursor:
                cursor.itersize = _BATCH_OF_ROWS
                yield from cursor.execute(translated(statement), values)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Read everything as it is at one moment. Raises LedgerUnusable."""
        with self._errors(), closing(self._persistently(self._another)) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

            def rows(statement: str) -> Iterator[Row]:
                with connection.cursor(name="snapshot") as cursor:
                    cursor.itersize = _BATCH_OF_ROWS
                    yield from cursor.execute(translated(statement))

            yield rows

    def now(self, own: datetime) -> datetime:  # noqa: ARG002 - machines may disagree about the time
        """Return the server's time."""
        (row,) = self.select("SELECT clock_timestamp() AS now")
        return cast(datetime, row["now"]).astimezone(UTC)

    # --- writing -------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit what the block writes, or roll it back.

        Raises LedgerUnusable, ConstraintViolated and NotCommitted among them.
        """
        with self._lock:
            key = secrets.token_hex(16)
            changes = self._persistently(lambda: self._enter(key))
            self._in_transaction = True
            try:
                with self._errors():
                    yield self._transaction
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._in_transaction = False
            self._commit(key)
            self._changes = changes

    def _enter(self, key: str) -> int:
        """Begin a transaction, once those of others have ended. Returns the number of the change."""
        try:
            with self._errors():
                connection = self._connected()
                connection.execute(_BEGIN)
                row = connection.execute(translated(_ENTER), (key,)).fetchone()
            self._check(row)
        except BaseException:
            self._roll_back()
            raise
        return int(row["changes"]) if row else 0

    def _check(self, row: Row | None) -> None:
        """Check that this is the ledger that was opened, and has lost nothing since. Raises LedgerUnusable."""
        if row is None or row["id"] != self._ledger_id:
            raise unusable(self._address, "another ledger has taken its place", hint=WRONG_FILE)
        check_version(self._address, row["version"])
        if row["changes"] <= self._changes:
            raise LedgerUnusable(
                f"The ledger {self._address} went backwards while it was used: changes that the server had confirmed"
                " are gone. Nothing more is sent.",
                "The server may have been replaced by a standby, or restored from a backup. Restore the newer database;"
                " if it is lost for good, `runa ledger check` reads back from Runa what was issued since.",
                code="ledger_went_backwards",
            )
        if row["synchronous_commit"] == "off":  # PgBouncer may lead to a connection that was set otherwise
            raise postgres_server.unsafe_setting(self._address, "synchronous_commit")
        if not self._rights_checked:
            self._check_rights()
            self._rights_checked = True

    def _check_rights(self) -> None:
        """Check for all that will be written: a reply could not be recorded by a role that may only send."""
        asked = [(table, right) for table, rights in RIGHTS.items() for right in rights.split(", ")]
        marks = ", ".join(["(?, ?)"] * len(asked))
        rows = self._rows(
            f"SELECT name, kind FROM (VALUES {marks}) AS needed (name, kind)"  # noqa: S608 - only marks
            " WHERE NOT has_table_privilege(name, kind)",
            [text for pair in asked for text in pair],
        )
        if rows:
            raise missing_rights(self._address, f"{rows[0]['kind']} on the table {rows[0]['name']}")

    def _commit(self, key: str) -> None:
        """Commit, and where the connection is lost find out whether that was done. Raises LedgerUnusable."""
        self._warnings.clear()
        try:
            with self._errors():
                done = self._connected(again=False).execute("COMMIT").statusmessage == "COMMIT"
        except NotCommitted as lost:
            if self._persistently(lambda: self._was_committed(key), unknown=True):
                return
            raise lost from None
        except BaseException:
            self._drop()
            raise
        if not done:
            raise unusable(self._address, "the server rolled a transaction back instead of committing it", hint=WAIT)
        self._check_replicated()

    def _check_replicated(self) -> None:
        """Check that the server has not warned at a COMMIT. Raises LedgerUnusable."""
        if self._warnings:
            # The change is there, but a failover to the standby would lose it.
            raise unusable(
                self._address,
                f"the server has not replicated a change as it is set to ({self._warnings[0]})",
                hint=ASK_ADMINISTRATOR,
            )

    def _was_committed(self, key: str) -> bool:
        """Tell whether a transaction was committed; one that is still under way is waited for.

        A server that stopped while it waited for its standby has committed without it, and says nothing of it when it
        is back. So this is a change itself: it is confirmed once the standby has all that was committed before, too.
        """
        try:
            with self._errors():
                connection = self._connected()
                connection.execute(_BEGIN)
                connection.execute("UPDATE ledger SET id = id")
                row = connection.execute(translated("SELECT id FROM written WHERE id = ?"), (key,)).fetchone()
                self._warnings.clear()
                connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._check_replicated()
        return row is not None

    def _roll_back(self) -> None:
        """End a transaction that has failed; a connection over which that cannot be done is given up."""
        if self._connection is None:
            return
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._drop()

    # --- the connection ------------------------------------------------------------------------------------------

    def _connected(self, *, again: bool = True) -> Connection:
        """Return the connection, a new one where it was lost, unless that would be of no use."""
        if self._connection is not None and self._connection.closed:
            self._drop()
        if self._connection is None:
            if not again or self._in_transaction:
                raise psycopg.OperationalError("the connection was lost")
            self._connection = connect(self._address)
            self._connection.add_notice_handler(self._notice)
        return self._connection

    def _notice(self, diagnostic: Any) -> None:
        # Class 57: a server that is stopped says goodbye with a warning, perhaps after it has confirmed a COMMIT.
        if diagnostic.severity_nonlocalized == "WARNING" and not (diagnostic.sqlstate or "").startswith("57"):
            self._warnings.append(diagnostic.message_primary or "no reason")

    def _another(self) -> Connection:
        with self._errors():
            return connect(self._address)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _persistently(self, action: Callable[[], _T], *, unknown: bool = False) -> _T:
        """Do something that may be done again until it is done, as long as the engine's patience lasts.

        `unknown`: whether it is then unknown if the last transaction was committed.
        """
        started, attempt = time.monotonic(), 0
        while True:
            try:
                result = action()
            except NotCommitted as error:
                pause = _BACK_OFF[min(attempt, len(_BACK_OFF) - 1)]
                attempt += 1
                if not self._unreachable and time.monotonic() - started + pause < self.patience:
                    time.sleep(pause)
                    continue
                self._unreachable = True
                if unknown:
                    raise LedgerUnusable(
                        f"{error.message} Whether the last change was recorded is not known.", error.hint
                    ) from error
                raise LedgerUnusable(error.message, error.hint) from error
            self._unreachable = False
            return result

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of psycopg into LedgerUnusable, with the ledger's address."""
        try:
            yield
        except psycopg.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: psycopg.Error) -> LedgerUnusable:
        reason = (error.diag.message_primary or str(error)).strip().splitlines() or [type(error).__name__]
        text = reason[0].rstrip(".").removeprefix("connection failed: ")
        match error:
            case psycopg.IntegrityError():
                return unusable(self._address, text, hint=WAIT, kind=ConstraintViolated)
            case sqlstates.LockNotAvailable():
                return unusable(self._address, "another process is writing", hint=WAIT, kind=NotCommitted)
            case sqlstates.InsufficientPrivilege():
                return missing_rights(self._address, text)
            case sqlstates.ReadOnlySqlTransaction():
                return postgres_server.in_recovery(self._address)
            case sqlstates.UndefinedTable() | sqlstates.UndefinedColumn():
                return unusable(self._address, f"its tables are not those of a ledger ({text})", hint=WRONG_FILE)
            case psycopg.DataError():
                return unusable(
                    self._address,
                    f"it cannot hold a text as it is ({text})",
                    hint="Nothing was sent. Take that character out of the input.",
                )
        # psycopg counts an end for idleness as an internal error, not as one of operation.
        passing = isinstance(error, psycopg.OperationalError | sqlstates.IdleInTransactionSessionTimeout)
        if passing and _may_pass(error.sqlstate):
            return unusable(self._address, text, hint=CHECK_CONNECTION, kind=NotCommitted)
        return unusable(self._address, text, hint=ASK_ADMINISTRATOR)

    def defects(self) -> Iterator[str]:
        """Read every row. Raises LedgerUnusable where the server finds a page or a row damaged; it yields nothing."""
        for table, columns in COLUMNS.items():
            lengths = " + ".join(f'coalesce(length("{column}"::text), 0)' for column in columns)
            self.select(f"SELECT sum({lengths}) AS characters FROM {table}")  # noqa: S608 - own text
        yield from ()

    def erase_deleted(self) -> str:
        """Return where the deleted content still is: only the server can remove it."""
        return (
            "The server keeps what was deleted in its files until it has vacuumed the tables, and in its write-ahead"
            " log and its backups as long as it keeps those."
        )

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()


def _may_pass(sqlstate: str | None) -> bool:
    """Tell whether an error is the connection's or the moment's, so that a transaction that met it may be repeated."""
    # Without a code: no connection. Classes of codes: connection, transaction rollback, resources, operator. The last
    # is a transaction that was idle for too long.
    return sqlstate is None or sqlstate[:2] in {"08", "40", "53", "57"} or sqlstate == "25P03"


class _PostgresTransaction:
    is_alone = False

    def __init__(self, engine: PostgresEngine) -> None:
        self._engine = engine

    def execute(self, statement: str, *values: object) -> int:
        return self._engine._connected(again=False).execute(translated(statement), values).rowcount  # noqa: SLF001 - a part of it

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        with self._engine._connected(again=False).cursor() as cursor:  # noqa: SLF001 - a part of it
            cursor.executemany(translated(statement), rows)

    def insert(self, statement: str, *values: object) -> int:
        (row,) = self._engine.select(f"{statement} RETURNING id", *values)
        return int(row["id"])

    def insert_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        connection = self._engine._connected(again=False)  # noqa: SLF001 - a part of it
        names = ", ".join(f'"{column}"' for column in columns)
        statement = translated(f"COPY {table} ({names}) FROM STDIN")
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def continue_ids(self, table: str) -> None:
        self._engine.select(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) AS last FROM {table}"  # noqa: S608 - own text
        )


@lru_cache(maxsize=512)
def translated(statement: str) -> LiteralString:
    """Return a statement with psycopg's marks for its parameters in place of `?`. No statement has a `?` in a text."""
    return statement.replace("%", "%%").replace("?", "%s")


def check_version(address: ServerLedger, version: int) -> None:
    """Check that this program knows the tables. Raises LedgerUnusable."""
    if version > len(MIGRATIONS):
        raise LedgerUnusable(
            f"The ledger {address} was written by a newer runa (its version is {version}, this program knows"
            f" {len(MIGRATIONS)}).",
            hint="Install the newer runa here too.",
        )
    if version < len(MIGRATIONS):
        raise LedgerUnusable(
            f"The ledger {address} is of an older version ({version} of {len(MIGRATIONS)}).",
            hint="`runa ledger init`, run by the role that owns its tables, brings it up to date.",
        )


def missing_rights(address: ServerLedger, what: str) -> LedgerUnusable:
    """Return the error for a role that may not do what issuing needs."""
    return unusable(
        address,
        f"this role lacks a right: {what}",
        hint="Nothing is sent without it. Let the tables' owner run the GRANT statements of docs/postgres.md.",
    )
