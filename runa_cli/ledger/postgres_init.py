"""Makes the tables of a ledger on a PostgreSQL server, or brings them up to date."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from msgspec import Struct

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.ledger.engine import WRONG_FILE, unusable
from runa_cli.ledger.postgres import translated
from runa_cli.ledger.postgres_schema import MIGRATIONS
from runa_cli.ledger.postgres_server import ASK_ADMINISTRATOR, CHECK_CONNECTION, Connection, connect

_ONE_AT_A_TIME = 0x72756E61  # of the advisory lock that two such runs wait for; it ends with its transaction


class Initialised(Struct, frozen=True):
    """The versions of the tables before and now; 0 where there were none."""

    before: int
    now: int


def initialise(address: ServerLedger) -> Initialised:
    """Make the tables, or run the migrations that they lack, all of them in one transaction.

    Raises LedgerUnusable; nothing is changed then.
    """
    try:
        with connect(address) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ONE_AT_A_TIME,))
            before = _version(connection, address)
            for migration in MIGRATIONS[before:]:
                connection.execute(migration.script)
                if migration.fill is not None:
                    migration.fill(_Filled(connection))
            connection.execute("UPDATE ledger SET version = %s", (len(MIGRATIONS),))
            connection.execute("COMMIT")
    except psycopg.errors.InsufficientPrivilege as error:
        reason = f"this role may not make its tables ({error.diag.message_primary})"
        raise unusable(address, reason, hint="Run `runa ledger init` as the role that owns the database.") from error
    except psycopg.errors.DuplicateTable as error:
        reason = f"it is a database of another program ({error.diag.message_primary})"
        raise unusable(address, reason, hint=WRONG_FILE) from error
    except psycopg.Error as error:
        hint = ASK_ADMINISTRATOR if error.sqlstate else CHECK_CONNECTION
        raise unusable(address, str(error).strip().splitlines()[0].rstrip("."), hint=hint) from error
    return Initialised(before, len(MIGRATIONS))


class _Row(dict[str, Any]):
    """A row that is read by the names of its columns, or as a sequence of its values, as rows of SQLite are."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


class _Filled:
    """The open transaction, as the functions take it that fill in what is recorded."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[object] = (), /) -> list[_Row]:
        cursor = self._connection.execute(translated(statement), values)
        return [_Row(row) for row in cursor.fetchall()] if cursor.description else []


def _version(connection: Connection, address: ServerLedger) -> int:
    found = connection.execute("SELECT to_regclass('ledger') IS NOT NULL AS there").fetchone()
    if not (found and found["there"]):
        return 0
    row = connection.execute("SELECT version FROM ledger").fetchone()
    version = int(row["version"]) if row else 0
    if version > len(MIGRATIONS):
        raise unusable(address, "it was written by a newer runa", hint="Install the newer runa here too.")
    return version
