"""What all that writes into the ledger works with: its claims, its journal, its high-water mark."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.identity import fingerprint
from runa_cli.ledger.approvals import ApprovalQueries
from runa_cli.ledger.balance_notes import BalanceQueries
from runa_cli.ledger.claims import Claims
from runa_cli.ledger.engine import Transaction
from runa_cli.ledger.events import Subject
from runa_cli.ledger.high_water import MarkFile
from runa_cli.ledger.journal import Event, Journal
from runa_cli.ledger.restoration import Restoration
from runa_cli.ledger.rows import MARK, events_at, read_mark
from runa_cli.ledger.spending import SpendingQueries
from runa_cli.ledger.spent_queries import SpentQueries
from runa_cli.ledger.spool import Spool

if TYPE_CHECKING:
    from runa_cli.ledger.leases import Leases

Check = Callable[[], object]  # decides inside of a transaction, and raises where something must not be recorded


class LedgerWriter(Restoration, SpendingQueries, SpentQueries, BalanceQueries, ApprovalQueries):
    """Reads the ledger, and has what a write needs. Every method raises LedgerUnusable."""

    path: Path | str
    _id: str
    _claims: "Claims | Leases"
    _journal: Journal
    _subjects: dict[int, Subject]
    _spool: Spool
    _user: str  # who works with it, as `user@host`
    _mark_file: MarkFile | None
    _mark_lock: threading.Lock
    _warn: Callable[[str], None]

    def _add(self, transaction: Transaction, *added: Event) -> None:
        """Add events to the journal, in the transaction of what they tell of."""
        self._journal.add(self._engine, transaction, added)

    def _subject(self, batch_id: int) -> Subject:
        """Return a batch as events name it."""
        subject = self._subjects.get(batch_id)
        if subject is None:
            (row,) = self._engine.select("SELECT environment, name, salt FROM batch WHERE id = ?", batch_id)
            subject = self._subjects[batch_id] = Subject(row["environment"], row["name"], row["salt"] or "")
        return subject

    def _fingerprint_of(self, batch_id: int) -> str:
        rows = self._engine.select(
            "SELECT same_gift, reference_key FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            " WHERE batch_id = ? AND row > 0 AND same_gift IS NOT NULL ORDER BY same_gift, reference_key",
            batch_id,
        )
        return fingerprint((row["same_gift"], row["reference_key"]) for row in rows)

    def _advance_mark(self) -> None:
        """Write how far the ledger has got. A mark that cannot be written changes nothing about the money."""
        with self._mark_lock:  # of several threads, the first one writes the mark for those that wait
            if self._mark_file is None:
                return
            (row,) = self._engine.select(MARK)
            mark = read_mark(row, partial(events_at, self._engine.select))
            if not mark.orders:  # an empty ledger knows nothing that could be lost
                return
            try:
                self._mark_file.advance(mark)
            except (OSError, LedgerUnusable) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                self._warn(
                    f"{self._mark_file.path} could not be written ({reason}): it will not be noticed if an older copy"
                    " of the ledger takes its place."
                )
                self._mark_file = None
