"""Makes the tables of a ledger on a PostgreSQL server, or brings them up to date."""

from dataclasses import dataclass

import psycopg

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.ledger import journal
from runa_cli.ledger.engine import WRONG_FILE, unusable
from runa_cli.ledger.postgres_schema import MIGRATIONS, STARTS_JOURNAL
from runa_cli.ledger.postgres_server import ASK_ADMINISTRATOR, CHECK_CONNECTION, Connection, connect

_ONE_AT_A_TIME = 0x72756E61  # of the advisory lock that two such runs wait for; it ends with its transaction


@dataclass(frozen=True)
class Initialised:
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
            for number, migration in enumerate(MIGRATIONS[before:], before + 1):
                connection.execute(migration)
                if number == STARTS_JOURNAL:
                    _start_journal(connection)
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


def _start_journal(connection: Connection) -> None:
    """Begin the journal with the orders that are there; that of a ledger without any begins with its first batch."""
    row = connection.execute("SELECT id FROM ledger WHERE EXISTS (SELECT id FROM purchase)").fetchone()
    if row:
        first = journal.start(row["id"], connection.execute(journal.EARLIER))
        connection.execute(journal.INSERT.replace("?", "%s"), next(journal.Journal().chained([first])))


def _version(connection: Connection, address: ServerLedger) -> int:
    found = connection.execute("SELECT to_regclass('ledger') IS NOT NULL AS there").fetchone()
    if not (found and found["there"]):
        return 0
    row = connection.execute("SELECT version FROM ledger").fetchone()
    version = int(row["version"]) if row else 0
    if version > len(MIGRATIONS):
        raise unusable(address, "it was written by a newer runa", hint="Install the newer runa here too.")
    return version
