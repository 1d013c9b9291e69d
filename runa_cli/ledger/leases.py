"""Claims on batches of a ledger that several machines share: leases with a fencing token, by the server's clock.

A lease ends by itself, so that a machine that is gone keeps no batch. A holder renews it over a connection of its own;
one that was stopped for longer than its lease is refused when it wakes up, because what decides something about a batch
checks the token in the transaction that records it.
"""

import os
import secrets
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.system import host_name, system_user
from runa_cli.ledger.claims import ClaimLost
from runa_cli.ledger.engine import repeated
from runa_cli.ledger.postgres_server import Connection, connect

if TYPE_CHECKING:
    from runa_cli.ledger.postgres import PostgresEngine

LEASE = 60.0  # seconds; how long others wait for a batch whose machine is gone
HEARTBEAT = 15.0  # seconds; three may be lost
MARGIN = 5.0  # seconds before its end, no order is started any more: the first byte needs some time to leave
_RETRY = 2.0  # seconds after a renewal that failed
_KEPT = "1 day"  # how long the ids of transactions are kept, far longer than anybody looks for one

_TAKE = (
    "INSERT INTO claim (batch_id, token, owner, holder, expires_at)"  # noqa: S608 - own text
    f" VALUES (?, 1, ?, ?, clock_timestamp() + interval '{LEASE} seconds')"
    " ON CONFLICT (batch_id) DO UPDATE SET token = claim.token + 1, owner = excluded.owner, holder = excluded.holder,"
    " expires_at = excluded.expires_at WHERE claim.expires_at <= clock_timestamp() OR claim.owner = excluded.owner"
    " RETURNING token"
)
_RENEW = (
    f"UPDATE claim SET expires_at = clock_timestamp() + interval '{LEASE} seconds'"  # noqa: S608 - own text
    " WHERE owner = %s AND expires_at > clock_timestamp() RETURNING batch_id, token"
)


def elapsed() -> float:
    """Return seconds from some fixed moment, those included in which this machine was asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class _Lease(Struct):
    """What is known here of a lease: its token, and when it certainly has not ended yet (by `elapsed`)."""

    token: int
    ends: float


class Leases:
    """The claims of this process. Implements the methods of `Claims`."""

    def __init__(self, engine: "PostgresEngine", address: ServerLedger) -> None:
        self._engine = engine
        self._address = address
        self._owner = secrets.token_hex(8)
        self._held: dict[int, _Lease] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._heartbeat: threading.Thread | None = None

    @repeated
    def take(self, batch_id: int) -> bool:
        """Claim a batch for this process. Returns False while another process has it. Raises LedgerUnusable."""
        with self._engine.transaction() as transaction:
            transaction.execute(
                f"DELETE FROM written WHERE written_at < clock_timestamp() - interval '{_KEPT}'"  # noqa: S608 - own text
            )
            asked = elapsed()  # before the server reads its clock, so that the lease ends here first
            rows = self._engine.select(_TAKE, batch_id, self._owner, _description())
        if not rows:
            return False
        with self._lock:
            self._held[batch_id] = _Lease(rows[0]["token"], asked + LEASE)
            if self._heartbeat is None:
                self._heartbeat = threading.Thread(target=self._beat, daemon=True)
                self._heartbeat.start()
        return True

    @repeated
    def _end(self, batch_id: int, token: int) -> None:
        with self._engine.transaction() as transaction:
            transaction.execute(
                "UPDATE claim SET expires_at = '-infinity' WHERE batch_id = ? AND token = ?", batch_id, token
            )

    def release(self, batch_id: int) -> None:
        """Release the claim on a batch. Where the server is not reached, it ends by itself."""
        with self._lock:
            lease = self._held.pop(batch_id, None)
        if lease is not None:
            with suppress(LedgerUnusable):
                self._end(batch_id, lease.token)

    def holder(self, batch_id: int) -> str:
        """Return who has a batch, and until when; empty where nobody has."""
        rows = self._engine.select(
            "SELECT holder, expires_at FROM claim WHERE batch_id = ? AND expires_at > clock_timestamp()", batch_id
        )
        if not rows:
            return ""
        ends: datetime = rows[0]["expires_at"]
        return f"{rows[0]['holder']}; its lease ends at {ends.astimezone(UTC):%H:%M:%S} UTC unless it is renewed"

    def check(self, batch_id: int) -> None:
        """Check, in a transaction that decides something about a batch, that it is claimed. Raises ClaimLost."""
        self.check_time(batch_id)
        token = self._token(batch_id)
        rows = self._engine.select(
            "SELECT token FROM claim WHERE batch_id = ? AND token = ? AND expires_at > clock_timestamp()",
            batch_id,
            token,
        )
        if not rows:
            raise self._lost(batch_id)

    def check_time(self, batch_id: int) -> None:
        """Check by this machine's clock that the lease lasts long enough to start something. Raises ClaimLost."""
        with self._lock:
            lease = self._held.get(batch_id)
        if lease is None or elapsed() > lease.ends - MARGIN:
            raise self._lost(batch_id)

    def _token(self, batch_id: int) -> int:
        with self._lock:
            lease = self._held.get(batch_id)
        return lease.token if lease else 0

    def _lost(self, batch_id: int) -> ClaimLost:
        rows = self._engine.select("SELECT name FROM batch WHERE id = ?", batch_id)
        name = rows[0]["name"] if rows else str(batch_id)
        holder = self.holder(batch_id)
        now = f" It is claimed now by {holder}." if holder and not self._holds(batch_id) else ""
        return ClaimLost(
            f"The lease of this process on batch {name} has ended, because it was stopped or could not reach the ledger"
            f" for too long.{now} It starts nothing more.",
            "Run the same command again: it goes on with what is recorded, and cannot pay twice.",
        )

    def _holds(self, batch_id: int) -> bool:
        rows = self._engine.select(
            "SELECT token FROM claim WHERE batch_id = ? AND owner = ? AND expires_at > clock_timestamp()",
            batch_id,
            self._owner,
        )
        return bool(rows)

    # --- renewing ------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Renew the leases until this is closed, over a connection that no transaction of the ledger keeps busy."""
        connection: Connection | None = None
        pause = HEARTBEAT
        while not self._closing.wait(pause):
            try:
                if connection is None or connection.closed:
                    connection = connect(self._address)
                self._renew(connection)
                pause = HEARTBEAT
            except Exception:  # noqa: BLE001 - whatever the reason, the leases end if nothing renews them
                pause = _RETRY
                with suppress(Exception):
                    if connection is not None:
                        connection.close()
                connection = None
        with suppress(Exception):
            if connection is not None:
                connection.close()

    def _renew(self, connection: Connection) -> None:
        asked = elapsed()
        renewed = {row["batch_id"]: row["token"] for row in connection.execute(_RENEW, (self._owner,))}
        with self._lock:
            for batch_id, lease in self._held.items():
                if renewed.get(batch_id) == lease.token:
                    lease.ends = max(lease.ends, asked + LEASE)

    def close(self) -> None:
        """Do nothing after the database was closed."""

    def before_close(self) -> None:
        """Release every claim of this process, while the database can still be written."""
        self._closing.set()
        for batch_id in list(self._held):
            self.release(batch_id)
        if self._heartbeat is not None:
            self._heartbeat.join(1.0)


def _description() -> str:
    """Return who this process is, for people on other machines."""
    return f"{system_user()} on {host_name()} (process {os.getpid()})"
