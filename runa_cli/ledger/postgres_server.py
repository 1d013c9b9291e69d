"""Connects to the server of a PostgreSQL ledger, if a ledger is safe there.

Refused is what could lose a commit that was confirmed (a server that does not write it to its disk, a standby), what
would change text, and a connection over which a password or a link could be read by others. This module is imported
only for a ledger on a server, after `require_driver`.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import conninfo, pq
from psycopg.rows import DictRow, dict_row

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.config.values import is_loopback
from runa_cli.core.errors import LedgerUnusable
from runa_cli.ledger.engine import unusable

Connection = psycopg.Connection[DictRow]

# What the address does not say. A peer that is gone is noticed within half a minute: the lease of a batch is a minute.
_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "gssencmode": "disable",  # it would take the place of TLS
    "fallback_application_name": "runa",
}
OLDEST_VERSION = 130000  # gen_random_uuid()
ASK_ADMINISTRATOR = "Nothing is sent without it. Ask the server's administrator, or name the right server."
CHECK_CONNECTION = "Nothing is sent without it. Check the address and the connection, then run the same command again."

_FOUND = (
    "SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,"
    " current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,"
    " current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS in_recovery"
)


def connect(address: ServerLedger) -> Connection:
    """Return a connection whose transactions are begun and ended explicitly.

    Raises LedgerUnusable where a ledger is not safe there, and psycopg's errors where there is no connection.
    """
    parameters = _parameters(address)
    _check_transport(address, parameters)
    # Nothing is prepared on the server: behind PgBouncer, the next transaction may be on another connection.
    connection: Connection = psycopg.connect(
        conninfo.make_conninfo(**parameters),
        autocommit=True,
        prepare_threshold=None,
        row_factory=dict_row,
    )
    try:
        if not _is_local(connection.info.host, connection.info.hostaddr) and not connection.pgconn.ssl_in_use:
            raise unusable(address, "the connection is not encrypted by TLS", hint=_USE_TLS)
        found = connection.execute(_FOUND).fetchone()
        check_server(address, found or {})
    except BaseException:
        connection.close()
        raise
    return connection


def _parameters(address: ServerLedger) -> dict[str, Any]:
    try:
        given = conninfo.conninfo_to_dict(address.connection)
    except psycopg.Error:  # its text may repeat a part of a password
        raise LedgerUnusable(
            f"RUNA_LEDGER ({address}) cannot be read as the address of a PostgreSQL database. Nothing was sent.",
            "Write it as postgresql://USER@HOST/DATABASE, with what is special in a URL percent-encoded; passwords are"
            " better kept in PGPASSFILE or PGSERVICEFILE.",
        ) from None
    return {**_DEFAULTS, **given, "client_encoding": "UTF8"}


_USE_TLS = (
    "Nothing is sent without it. Add sslmode=verify-full (and sslrootcert=FILE, if the server's certificate is signed"
    " by an authority of your own), so that nobody else can read the links."
)


def _check_transport(address: ServerLedger, parameters: Mapping[str, Any]) -> None:
    """Check, before a password is sent, that every host is this machine or must prove by TLS which one it is."""
    options = _effective(address, parameters)
    names = options.get("host", "").split(",")
    numbers = options.get("hostaddr", "").split(",")
    hosts = zip(names, numbers + [""] * len(names), strict=False) if any(names) else (("", each) for each in numbers)
    for host, number in hosts:
        if not _is_local(host, number) and options.get("sslmode") != "verify-full":
            # Before an @ there is a part of a password that should have been percent-encoded.
            name = (host or number).rpartition("@")[2]
            reason = f"{name} is another machine, and its certificate would not be verified"
            raise unusable(address, reason, hint=_USE_TLS)


def _effective(address: ServerLedger, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the options as libpq completes them from the PG… variables and the service file.

    It tells them only of a connection that was begun; nothing is sent over this one.
    """
    begun = pq.PGconn.connect_start(conninfo.make_conninfo(**parameters).encode())
    try:
        options = {option.keyword.decode(): (option.val or b"").decode() for option in begun.info}
        if not options.get("host") and not options.get("hostaddr") and begun.status == pq.ConnStatus.BAD:
            reason = begun.get_error_message().strip().splitlines()[0] if begun.get_error_message() else "no connection"
            raise unusable(address, reason, hint=CHECK_CONNECTION)
    finally:
        with suppress(psycopg.Error):
            begun.finish()
    return options


def _is_local(host: str, number: str) -> bool:
    """Tell whether a server is on this machine: a socket in a directory, or a loopback address."""
    if number:
        return is_loopback(number)
    return not host or host.startswith(("/", "@")) or is_loopback(host)


def check_server(address: ServerLedger, found: Mapping[str, Any]) -> None:
    """Check that a server keeps what it has confirmed. Raises LedgerUnusable."""
    if found["version"] < OLDEST_VERSION:
        raise unusable(address, "the server is older than PostgreSQL 13", hint=ASK_ADMINISTRATOR)
    if found["in_recovery"]:
        raise in_recovery(address)
    if found["encoding"] != "UTF8":
        raise unusable(
            address, f"the database is encoded in {found['encoding']} instead of UTF8", hint=ASK_ADMINISTRATOR
        )
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if found[name] == "off":
            raise unsafe_setting(address, name)


def in_recovery(address: ServerLedger) -> LedgerUnusable:
    """Return the error for a standby."""
    return unusable(address, "the server is in recovery: it is a standby and takes no changes", hint=ASK_ADMINISTRATOR)


def unsafe_setting(address: ServerLedger, name: str) -> LedgerUnusable:
    """Return the error for a server that may forget what it has confirmed."""
    return unusable(
        address,
        f"{name} is off there, so that a crash of the server could lose what it has confirmed",
        hint=ASK_ADMINISTRATOR,
    )


def display_name(connection: Connection, address: ServerLedger) -> str:
    """Return which database this is, without user and password, however it was addressed."""
    info = connection.info
    host = info.host if not info.host.startswith("/") else ""
    return f"postgresql://{host or 'localhost'}:{info.port}/{info.dbname}" if info.dbname else str(address)
