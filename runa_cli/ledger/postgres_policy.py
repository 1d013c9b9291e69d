"""Stores a policy in a ledger on a server, over a connection that needs no other right than to write that table.

So a role that may set the policy need not be able to issue, and the other way round.
"""

from datetime import datetime

import psycopg

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.ledger.engine import WRONG_FILE, unusable
from runa_cli.ledger.postgres_server import ASK_ADMINISTRATOR, CHECK_CONNECTION, connect
from runa_cli.ledger.rows import to_timestamp


def store_policy(address: ServerLedger, text: str | None, by: str, now: datetime) -> None:
    """Store the text of a policy, or with None remove it. Raises LedgerUnusable."""
    try:
        with connect(address) as connection:
            if text is None:
                connection.execute("DELETE FROM policy")
            else:
                connection.execute(
                    "INSERT INTO policy (id, text, stored_at, stored_by) VALUES (1, %s, %s, session_user || ', ' || %s)"
                    " ON CONFLICT (id) DO UPDATE SET text = excluded.text, stored_at = excluded.stored_at,"
                    " stored_by = excluded.stored_by",
                    (text, to_timestamp(now), by),
                )
    except psycopg.errors.InsufficientPrivilege as error:
        reason = f"this role may not set the policy ({error.diag.message_primary})"
        raise unusable(address, reason, hint="Store it as a role that may write the table policy.") from error
    except psycopg.errors.UndefinedTable as error:
        raise unusable(address, "it has no table policy", hint=WRONG_FILE) from error
    except psycopg.Error as error:
        hint = ASK_ADMINISTRATOR if error.sqlstate else CHECK_CONNECTION
        raise unusable(address, str(error).strip().splitlines()[0].rstrip("."), hint=hint) from error
