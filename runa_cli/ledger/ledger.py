"""The ledger: every order is recorded here before it is sent, and every reply before it is shown.

No transaction is open while a request is under way. The API key is never recorded.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runa_cli.config.ledger_address import LedgerAddress, ServerLedger
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.system import host_name, system_user
from runa_cli.ledger import events
from runa_cli.ledger.batches import Batches
from runa_cli.ledger.copying import Content, Report, copy
from runa_cli.ledger.driver import require_driver
from runa_cli.ledger.engine import Transaction, repeated
from runa_cli.ledger.events import Subject
from runa_cli.ledger.journal import ALL as ALL_EVENTS
from runa_cli.ledger.journal import Chain, Event, Journal, check_chain
from runa_cli.ledger.journal_compare import Comparison
from runa_cli.ledger.orders import Orders
from runa_cli.ledger.records import (
    Batch,
)
from runa_cli.ledger.restoration import Missing
from runa_cli.ledger.spool import Spool
from runa_cli.ledger.sqlite import SQLiteEngine

if TYPE_CHECKING:
    from runa_cli.ledger.postgres import PostgresEngine


class Ledger(Batches, Orders):
    """The open ledger. Every method that writes commits before it returns. Every method raises LedgerUnusable.

    What decides something about a batch (to send, renew, change, prune or give up orders) needs the claim on it, and
    raises ClaimLost where that has ended. What only records an answer of Runa needs none.
    """

    def __init__(
        self,
        address: LedgerAddress,
        *,
        marks: Path | None = None,
        warn: Callable[[str], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
        patience: float = 0.0,
        spool: Path | None = None,
        clock: Clock = REAL,
        to_check: bool = False,
    ) -> None:
        """Open the ledger, or make a new one where it is a file.

        `marks` is the directory of the high-water marks (high_water.py); `warn` is told where one cannot be written,
        `say` that a large file is brought up to date.
        `patience`: how long a server that was lost is waited for (seconds). `spool` is the directory for answers that
        cannot be recorded; those that are there are recorded now. `clock` is that of the journal. `to_check` opens one
        too that may lack orders: `doubt` says why.
        """
        engine = _open(address, marks, patience, to_check=to_check, say=say)
        super().__init__(engine)
        self.path = engine.path
        self.is_new, self.replaced = engine.is_new, engine.replaced
        self.doubt = engine.doubt
        self._mark_file = None if engine.doubt else engine.mark  # the mark tells what is missing until a check begins
        self._kept_mark_file = engine.mark
        self._warn = warn
        self._mark_lock = threading.Lock()
        self._claims = engine.claims
        self._user = f"{system_user()}@{host_name()}"
        (row,) = engine.select("SELECT id FROM ledger")
        self._id: str = row["id"]
        self._journal = Journal(clock)
        self._subjects: dict[int, Subject] = {}
        self._spool = Spool(spool)
        if not self.doubt:  # else each change would take the ledger nearer to its mark, without what it lacks
            self._record_spooled()

    def copy_from(self, other: "Ledger", report: Report) -> Content:
        """Copy everything from another ledger into this one, which must be empty. Returns what was copied."""
        source = other._engine  # noqa: SLF001 - of the same class

        def report_and_hold(table: str, rows: int) -> None:
            source.select("SELECT changes FROM ledger")  # a server ends a transaction that is idle for long
            report(table, rows)

        def note(transaction: Transaction, content: Content) -> None:
            if content.rows["purchase"]:
                self._add(transaction, Event(events.COPIED, {"from": str(other.path), "sha256": content.digest}))

        with source.transaction(), source.snapshot() as snapshot:  # nobody else writes meanwhile
            copied = copy(snapshot, self._engine, report_and_hold, changes_on=2, finish=note)  # one is that of this
        self._advance_mark()
        return copied

    def back_up(self, path: Path, report: Report) -> Content:
        """Write a copy of the ledger to a new file, while it is in use."""
        engine = SQLiteEngine(path)
        try:
            with self._engine.snapshot() as snapshot:
                return copy(snapshot, engine, report, changes_on=0, finish=lambda *_: None)
        finally:
            engine.close()

    def close(self) -> None:
        """Close the database, then release every claim: nobody else may work on a batch while this process writes."""
        try:
            with suppress(LedgerUnusable):  # the command has reported it already
                self._advance_mark()
            self._claims.before_close()
            self._engine.close()
        finally:
            self._claims.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- journal -------------------------------------------------------------------------------------------------

    def check_journal(self, *heads: str) -> tuple[Chain, list[str], int]:
        """Follow the journal from its first event to its last, and look for events with these hashes.

        Returns what the chain is like, the first differences between journal and orders, and how many there are.
        """
        comparison = Comparison(self._engine)
        chain = check_chain(comparison.follow(self._engine.stream(ALL_EVENTS)), *heads)
        if not chain.events and self._has_orders():
            chain = chain._replace(broken="The journal is empty, and the ledger is not.")
        return chain, comparison.differences, comparison.count

    @repeated
    def add_event(self, event: Event) -> None:
        """Record something that changes no batch, unless there is nothing that it could be about."""
        if self._has_orders():
            with self._engine.transaction() as transaction:
                self._add(transaction, event)

    def _has_orders(self) -> bool:
        """Tell whether anything was recorded: the journal of an empty ledger stays empty."""
        return bool(self._engine.select("SELECT id FROM purchase LIMIT 1"))

    # --- a ledger that lost orders -------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The random id of this ledger and of its copies."""
        return self._id

    def begin_check(self, missing: Mapping[str, Missing]) -> None:
        """Close environments until what they may lack is read back. What is behind this moment is refused."""
        self.close_to(missing, self.doubt)
        if self.doubt and self._kept_mark_file:
            with suppress(OSError, LedgerUnusable):
                try:
                    self._kept_mark_file.read()
                except LedgerUnusable:
                    self._kept_mark_file.set_aside()
        self.doubt, self._mark_file = None, self._kept_mark_file
        self._advance_mark()
        self._record_spooled()

    # --- claims --------------------------------------------------------------------------------------------------

    def claim(self, batch: Batch) -> bool:
        """Claim a batch for this process. Returns False while another process has it."""
        return self._claims.take(batch.id)

    def holder(self, batch: Batch) -> str:
        """Return which process has claimed a batch, and until when, as far as that is known; else nothing."""
        return self._claims.holder(batch.id)

    def release(self, batch: Batch) -> None:
        """Release the claim on a batch."""
        self._claims.release(batch.id)


def _open(
    address: LedgerAddress, marks: Path | None, patience: float, *, to_check: bool, say: Callable[[str], None]
) -> "SQLiteEngine | PostgresEngine":
    """Open the database of a ledger."""
    if not isinstance(address, ServerLedger):
        return SQLiteEngine(address, marks, to_check=to_check, say=say)
    require_driver()
    from runa_cli.ledger.postgres import PostgresEngine  # psycopg takes longer to load than most commands take

    return PostgresEngine(address, marks, patience=patience, to_check=to_check)
