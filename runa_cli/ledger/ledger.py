"""The ledger: every order is recorded here before it is sent, and every reply before it is shown.

No transaction is open while a request is under way. The API key is never recorded.
"""

import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from runa_cli.config.ledger_address import LedgerAddress, ServerLedger
from runa_cli.core import exact_json
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.identity import fingerprint, name_key
from runa_cli.core.states import State
from runa_cli.core.system import host_name, system_user
from runa_cli.ledger import events, search_index, spending, spent
from runa_cli.ledger.approvals import Approval, ApprovalQueries, Proposal
from runa_cli.ledger.audit_queries import AuditQueries
from runa_cli.ledger.claims import ClaimLost
from runa_cli.ledger.copying import Content, Report, copy
from runa_cli.ledger.driver import require_driver
from runa_cli.ledger.engine import ConstraintViolated, Transaction, repeated
from runa_cli.ledger.events import Contents, Subject
from runa_cli.ledger.journal import ALL as ALL_EVENTS
from runa_cli.ledger.journal import Chain, Event, Journal, check_chain
from runa_cli.ledger.journal_compare import Comparison
from runa_cli.ledger.queries import NOTHING_MADE
from runa_cli.ledger.records import (
    UNMATCHED,
    AdoptedOrder,
    Batch,
    Exchange,
    NewBatch,
    NewOrder,
    Order,
    Placed,
)
from runa_cli.ledger.restoration import ADOPTED, Missing, PassedOver, Restoration, note
from runa_cli.ledger.rows import MARK, from_timestamp, read_mark, read_order, storable, to_list, to_timestamp
from runa_cli.ledger.spending import SpendingQueries
from runa_cli.ledger.spent_queries import SpentQueries
from runa_cli.ledger.spool import Answer, Spool
from runa_cli.ledger.sqlite import SQLiteEngine

if TYPE_CHECKING:
    from runa_cli.ledger.postgres import PostgresEngine

_LONGEST_PAUSE = timedelta(hours=1)  # no 429 of Runa's asks for as much
# Which answers say less than what may be recorded already, as conditions on the row.
_UNLESS_KNOWN_BETTER = {
    State.FAILED: " AND state != 'completed'",
    State.REJECTED: " AND state IN ('prepared', 'sent')",
}

Check = Callable[[], object]  # decides inside of a transaction, and raises where something must not be recorded


class BodyChanged(LedgerUnusable):
    """The recorded body of an order is not the one that was recorded, so it must not be sent."""

    default_code = "ledger_damaged"


class Turn(NamedTuple):
    """How many orders may be sent within so many seconds, by all who share the ledger."""

    limit: int
    window: float


class ClosedMeanwhile(LedgerUnusable):
    """The ledger may lack orders of the account, so that nothing may be sent."""

    default_code = "ledger_went_backwards"


class TurnLater(Exception):
    """As many orders were sent as may be. `seconds` is how long to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = max(0.001, seconds)


class Ledger(Restoration, SpendingQueries, SpentQueries, AuditQueries, ApprovalQueries):
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
        patience: float = 0.0,
        spool: Path | None = None,
        clock: Clock = REAL,
        to_check: bool = False,
    ) -> None:
        """Open the ledger, or make a new one where it is a file.

        `marks` is the directory of the high-water marks (high_water.py); `warn` is told where one cannot be written.
        `patience`: how long a server that was lost is waited for (seconds). `spool` is the directory for answers that
        cannot be recorded; those that are there are recorded now. `clock` is that of the journal. `to_check` opens one
        too that may lack orders: `doubt` says why.
        """
        engine = _open(address, marks, patience, to_check=to_check)
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

    def _advance_mark(self) -> None:
        """Write how far the ledger has got. A mark that cannot be written changes nothing about the money."""
        with self._mark_lock:  # of several threads, the first one writes the mark for those that wait
            if self._mark_file is None:
                return
            (row,) = self._engine.select(MARK)
            mark = read_mark(row)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- journal -------------------------------------------------------------------------------------------------

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

    @repeated
    def add_read_back(self, batch: Batch | NewBatch, order: AdoptedOrder, now: datetime) -> bool:
        """Record an order as Runa shows it, in a batch that is new or claimed. Returns False if it is recorded already.

        It is marked as read back: of whom its payout links are is not known.
        """
        with self._engine.transaction() as transaction:
            environment = batch.environment
            if self.has_order(environment, order.order_id) or self.order_by_key(environment, order.idempotency_key):
                return False
            if isinstance(batch, Batch):
                self._claims.check(batch.id)
                batch_id = batch.id
            else:
                batch_id, _ = _insert_batch(transaction, batch, now)
            (last,) = self._engine.select(
                "SELECT coalesce(max(abs(row)), 0) AS row, coalesce(max(position), 0) AS position FROM purchase"
                " LEFT JOIN gift ON gift.purchase_id = purchase.id WHERE batch_id = ?",
                batch_id,
            )
            gifts = [gift._replace(row=last["row"] + gift.row) for gift in order.gifts]
            placed = replace(order, position=last["position"] + 1, generation=0, gifts=gifts)
            contents = Contents(self._subject(batch_id))
            _insert_orders(transaction, self._engine.select, batch_id, contents, [placed], now, now)
            self._add(transaction, contents.event(events.ADOPTED))
            transaction.execute(
                "UPDATE purchase SET read_back = 1 WHERE environment = ? AND idempotency_key = ?",
                environment,
                order.idempotency_key,
            )
            note(transaction, environment, order.account, PassedOver(order.order_id, ADOPTED))
            transaction.execute(
                "UPDATE batch SET fingerprint = ?, shown_at = NULL WHERE id = ?",
                self._fingerprint_of(batch_id),
                batch_id,
            )
        return True

    def _fingerprint_of(self, batch_id: int) -> str:
        rows = self._engine.select(
            "SELECT same_gift, reference_key FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            " WHERE batch_id = ? AND row > 0 AND same_gift IS NOT NULL ORDER BY same_gift, reference_key",
            batch_id,
        )
        return fingerprint((row["same_gift"], row["reference_key"]) for row in rows)

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

    # --- batches -------------------------------------------------------------------------------------------------

    @repeated
    def record(
        self, batch: NewBatch, orders: Iterable[NewOrder], *, known: Iterable[int], check: Check, now: datetime
    ) -> Batch | None:
        """Record a batch with its orders, all of them or none.

        `known` are the ids of the batches of the same content that the caller has taken into account. Returns None, and
        records nothing, when another process has recorded one since, or one of the same name or key: the caller must
        decide again. `check` is called in the transaction; what it raises is raised, and nothing is recorded.
        """
        try:
            return self._record(batch, orders, set(known), check, now)
        except ConstraintViolated:
            return None

    def _record(
        self, batch: NewBatch, orders: Iterable[NewOrder], known: set[int], check: Check, now: datetime
    ) -> Batch | None:
        with self._engine.transaction() as transaction:
            others = {other.id for other in self.batches_with(batch.environment, batch.fingerprint)} - known
            if others or self.batch(batch.environment, batch.name) is not None:
                return None
            check()
            self._add(transaction)  # begins the journal of an empty ledger
            batch_id, subject = _insert_batch(transaction, batch, now)
            contents = Contents(subject)
            _insert_orders(transaction, self._engine.select, batch_id, contents, orders, now, self._engine.now(now))
            kind = events.ADOPTED if contents.adopted else events.RECORDED
            self._add(transaction, contents.event(kind, account=batch.account, source=batch.source))
        return self.batch_by_id(batch_id)

    @repeated
    def amend(
        self,
        batch: Batch,
        content: NewBatch,
        orders: Iterable[NewOrder],
        placed: Iterable[Placed],
        *,
        check: Check,
        now: datetime,
    ) -> Batch:
        """Give a claimed batch other content, all of it or none.

        Orders that were never sent or were rejected are replaced by `orders`. The other orders stay; `placed` says
        where their gifts are in the new content. Gifts of those orders that are not placed are no longer part of the
        results. `check` is called in the transaction; what it raises is raised, and nothing is changed.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(batch.id)
            check()
            search_index.drop_unmade(transaction, batch.id)
            transaction.execute(
                "DELETE FROM gift WHERE purchase_id IN"  # noqa: S608 - this package's own text
                f" (SELECT id FROM purchase WHERE batch_id = ? AND {NOTHING_MADE})",
                batch.id,
            )
            transaction.execute(
                "DELETE FROM purchase WHERE batch_id = ? AND state = 'prepared' AND first_sent_at IS NULL", batch.id
            )
            transaction.execute(
                "UPDATE purchase SET superseded = 1 WHERE batch_id = ? AND state = 'rejected'", batch.id
            )
            transaction.execute(
                "UPDATE gift SET row = -abs(row) WHERE purchase_id IN (SELECT id FROM purchase WHERE batch_id = ?)",
                batch.id,
            )
            search_index.place(transaction, self._engine, batch.id, placed)
            contents = Contents(self._subject(batch.id))
            _insert_orders(transaction, self._engine.select, batch.id, contents, orders, now, self._engine.now(now))
            self._add(transaction, contents.event(events.EDITED))
            transaction.execute(
                "UPDATE batch SET fingerprint = ?, columns = ?, shape = ?, delimiter = ?, bom = ?, file = ?,"
                ' "system_user" = ?, host = ?, shown_at = NULL WHERE id = ?',
                content.fingerprint,
                to_list(content.columns),
                content.shape,
                content.dialect.delimiter,
                int(content.dialect.bom),
                _storable(content.file),
                content.user,
                content.host,
                batch.id,
            )
        return self.batch_by_id(batch.id)

    @repeated
    def adopt(self, batch: Batch, columns: Sequence[str], orders: Iterable[AdoptedOrder], now: datetime) -> Batch:
        """Add orders that were issued from another ledger to a claimed batch, all of them or none.

        An order with the same key that was not sent from here, or was read back, gives way. `columns` are the batch's
        headings of carried cells, and perhaps more after them.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(batch.id)
            (last,) = self._engine.select(
                "SELECT coalesce(max(abs(row)), 0) AS row FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
                " WHERE batch_id = ?",
                batch.id,
            )
            contents = Contents(self._subject(batch.id))
            for order in orders:
                unsent = (batch.id, order.idempotency_key)
                gives_way = (
                    "batch_id = ? AND idempotency_key = ?"
                    " AND (read_back = 1 OR (state = 'prepared' AND first_sent_at IS NULL))"
                )
                of_purchase = f"purchase_id IN (SELECT id FROM purchase WHERE {gives_way})"  # noqa: S608 - own text
                transaction.execute(
                    f"DELETE FROM spent WHERE gift_id IN (SELECT id FROM gift WHERE {of_purchase})",  # noqa: S608 - own text
                    *unsent,
                )
                transaction.execute(f"DELETE FROM gift WHERE {of_purchase}", *unsent)  # noqa: S608 - own text
                transaction.execute(f"DELETE FROM purchase WHERE {gives_way}", *unsent)  # noqa: S608 - own text
                gifts = [gift._replace(row=last["row"] + gift.row) for gift in order.gifts]
                placed = [replace(order, gifts=gifts)]
                _insert_orders(transaction, self._engine.select, batch.id, contents, placed, now, now)
            self._add(transaction, contents.event(events.ADOPTED))
            transaction.execute(
                "UPDATE batch SET columns = ?, fingerprint = ?, shown_at = NULL WHERE id = ?",
                to_list(columns),
                self._fingerprint_of(batch.id),
                batch.id,
            )
        return self.batch_by_id(batch.id)

    @repeated
    def append(
        self, batch: Batch, columns: Sequence[str], orders: Iterable[NewOrder], *, check: Check, now: datetime
    ) -> Batch:
        """Add orders to a claimed batch, all of them or none; what it holds stays as it is.

        A rejected gift whose reference comes again is no longer part of the results. `columns` are the batch's headings
        of carried cells, and perhaps more after them. `check` is called in the transaction; what it raises is raised,
        and nothing is changed.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(batch.id)
            check()
            contents = Contents(self._subject(batch.id))
            _insert_orders(transaction, self._engine.select, batch.id, contents, orders, now, self._engine.now(now))
            self._add(transaction, contents.event(events.EXTENDED))
            transaction.execute(
                "UPDATE gift SET row = -abs(row) WHERE reference_key != ''"
                " AND purchase_id IN (SELECT id FROM purchase WHERE batch_id = ? AND state = 'rejected')"
                " AND reference_key IN (SELECT reference_key FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
                " WHERE batch_id = ? AND state != 'rejected')",
                batch.id,
                batch.id,
            )
            transaction.execute(
                "UPDATE purchase SET superseded = 1 WHERE batch_id = ? AND state = 'rejected'"
                " AND NOT EXISTS (SELECT 1 FROM gift WHERE purchase_id = purchase.id AND row > 0)",
                batch.id,
            )
            transaction.execute(
                "UPDATE batch SET fingerprint = ?, columns = ?, shape = 'list', shown_at = NULL WHERE id = ?",
                self._fingerprint_of(batch.id),
                to_list(columns),
                batch.id,
            )
        return self.batch_by_id(batch.id)

    @repeated
    def relabel(self, batch: Batch, content: NewBatch, placed: Iterable[Placed]) -> Batch:
        """Record where gifts of a batch are in an input that holds the same gifts, its columns and its dialect."""
        placed = tuple(placed)
        with self._engine.transaction() as transaction:
            self._claims.check(batch.id)
            search_index.place(transaction, self._engine, batch.id, placed)
            if placed:
                self._add(transaction, self._subject(batch.id).about_batch(events.RELABELLED, gifts=len(placed)))
            transaction.execute(
                "UPDATE batch SET fingerprint = ?, columns = ?, shape = ?, delimiter = ?, bom = ? WHERE id = ?",
                content.fingerprint,
                to_list(content.columns),
                content.shape,
                content.dialect.delimiter,
                int(content.dialect.bom),
                batch.id,
            )
        return self.batch_by_id(batch.id)

    @repeated
    def prune(self, batch: Batch, *, check: Check, now: datetime) -> None:
        """Delete a claimed batch's bodies, replies, addresses and links. That it was issued stays recorded.

        docs/retention.md has what stays and what for. The text of an error may quote an address; its type stays.
        `check` is called in the transaction; what it raises is raised, and nothing is deleted.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(batch.id)
            check()
            transaction.execute(
                "UPDATE purchase SET body = ?, sent_sha256 = '', reply = NULL, error_text = NULL WHERE batch_id = ?",
                b"",
                batch.id,
            )
            transaction.execute(
                "UPDATE gift SET item = '{}', issued = NULL, reference = NULL, carried = '[]', identity = ''"
                " WHERE purchase_id IN (SELECT id FROM purchase WHERE batch_id = ?)",
                batch.id,
            )
            search_index.prune(transaction, batch.id)
            spent.prune(transaction, batch.id)
            transaction.execute("UPDATE batch SET pruned_at = ?, salt = NULL WHERE id = ?", to_timestamp(now), batch.id)
            self._add(transaction, self._subject(batch.id).about_batch(events.PRUNED))
        self._subjects.pop(batch.id, None)

    def erase_deleted(self) -> str:
        """Make sure that no file of the ledger still contains what was pruned.

        Returns a sentence about where it still is; empty where it is gone.
        """
        return self._engine.erase_deleted()

    @repeated
    def mark_shown(self, batch: Batch, now: datetime) -> None:
        """Record that the batch's result was written where the user wanted it.

        By a clock that was set back since it settled, that would be before.
        """
        with self._engine.transaction() as transaction:
            shown = max(now, self.tally(batch).settled_at or now)
            transaction.execute("UPDATE batch SET shown_at = ? WHERE id = ?", to_timestamp(shown), batch.id)
            self._add(transaction, self._subject(batch.id).about_batch(events.SHOWN))

    # --- approval ------------------------------------------------------------------------------------------------

    @repeated
    def propose(self, batch: Batch, facts: Mapping[str, str], by: tuple[str, str], now: datetime) -> Proposal:
        """Record that a claimed batch is proposed for approval; `by` is the user of the system and the host."""
        with self._engine.transaction() as transaction:
            self._claims.check(batch.id)
            text = exact_json.dumps(dict(facts))
            new_id = transaction.insert(
                'INSERT INTO proposal (batch_id, facts, proposed_at, "system_user", host) VALUES (?, ?, ?, ?, ?)',
                batch.id,
                text,
                to_timestamp(now),
                *by,
            )
            told = {name: facts[name] for name in ("proposal", "gifts", "total", "content")}
            self._add(transaction, self._subject(batch.id).about_batch(events.PROPOSED, **told))
        return Proposal(new_id, batch.id, facts, now, *by)

    @repeated
    def approve(self, batch: Batch, approval: Approval, *, check: Check) -> None:
        """Record a signature of the latest proposal of a claimed batch.

        `check` is called in the transaction; what it raises is raised, and nothing is recorded.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(batch.id)
            check()
            transaction.insert(
                "INSERT INTO approval (proposal_id, principal, signing_key, signature, approved_at)"
                " VALUES (?, ?, ?, ?, ?)",
                approval.proposal_id,
                approval.principal,
                approval.key,
                approval.signature,
                to_timestamp(approval.at),
            )
            facts = {"principal": approval.principal, "signing_key": approval.key}
            self._add(transaction, self._subject(batch.id).about_batch(events.APPROVED, **facts))

    @repeated
    def store_policy(self, text: str | None, by: str, now: datetime) -> None:
        """Store the text of a policy in the ledger, or with None remove it."""
        with self._engine.transaction() as transaction:
            transaction.execute("DELETE FROM policy WHERE id = 1")
            if text is not None:
                transaction.execute(
                    "INSERT INTO policy (id, text, stored_at, stored_by) VALUES (1, ?, ?, ?)",
                    text,
                    to_timestamp(now),
                    by,
                )
            self._add(transaction, events.policy_changed(text))

    # --- orders --------------------------------------------------------------------------------------------------

    @repeated
    def renew(self, rejected: Order, replacement: NewOrder, now: datetime, *, check: Check = list) -> Order:
        """Record the next generation of a rejected order, and move the order's gifts to it.

        `check` is called in the transaction; what it raises is raised, and nothing is recorded.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(rejected.batch_id)
            check()
            batch = self.batch_by_id(rejected.batch_id)
            new_id = _insert_order(transaction, batch.id, batch.environment, replacement, now)
            transaction.execute("UPDATE gift SET purchase_id = ? WHERE purchase_id = ?", new_id, rejected.id)
            search_index.move(transaction, rejected.id, new_id)
            spending.reserve_again(transaction, rejected.id, new_id, replacement.policy, self._engine.now(now))
            transaction.execute("UPDATE purchase SET superseded = 1 WHERE id = ?", rejected.id)
            self._add(transaction, self._subject(batch.id).about_order(events.RENEWED, replacement))
        return self.order(new_id)

    @repeated
    def mark_sent(
        self,
        order: Order,
        account: str,
        *,
        check: Check,
        now: datetime,
        turn: "Turn | None" = None,
        policy: Callable[[], str] = str,
    ) -> Order:
        """Record that the order may reach Runa from now on, and from which account and by whom it was sent first.

        Called before its first byte is sent; what is sent are the bytes of the order that is returned.

        `check` is called in the transaction; what it raises is raised, and nothing is recorded. Raises BodyChanged
        likewise, where the body is not the one that was recorded. Where ClaimLost is raised the order may be recorded
        as sent, but must not be sent. With a `turn` it is counted, and TurnLater is raised where it must wait.
        `policy` returns the digest of the policies that `check` checks a first sending against.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(order.batch_id)
            self._check_open(order, account)
            check()
            shared_now = self._engine.now(now)
            if turn is not None:
                self._take_turn(transaction, order.id, turn, shared_now)
            if order.first_sent_at is None:
                spending.move_to_now(transaction, order.id, policy(), shared_now)
            transaction.execute(
                "UPDATE purchase SET state = 'sent', account = CASE WHEN first_sent_at IS NULL THEN ? ELSE account END,"
                " sent_by = CASE WHEN first_sent_at IS NULL THEN ? ELSE sent_by END,"
                " first_sent_at = coalesce(first_sent_at, ?) WHERE id = ?",
                account,
                self._user,
                to_timestamp(now),
                order.id,
            )
            sent = self.order(order.id)
            if not sent.is_intact:
                raise BodyChanged(f"The body of order {sent.position} was changed since it was recorded.")
            if order.state is not State.SENT:
                self._add(transaction, self._subject(order.batch_id).sent(sent))
        self._advance_mark()  # so that a copy of the ledger from before this order is recognised
        self._claims.check_time(order.batch_id)  # the process may have been stopped since
        return sent

    def _check_open(self, order: Order, account: str) -> None:
        """Check that the ledger lacks no orders of the account. Raises ClosedMeanwhile."""
        if self._engine.select("SELECT id FROM closed LIMIT 1"):
            environment = self.batch_by_id(order.batch_id).environment
            if self.is_closed(environment, account):
                raise closed(self.path, environment)

    @repeated
    def pause(self, environment: str, seconds: float, now: datetime) -> None:
        """Let nobody who shares the ledger send for so many seconds, as Runa has asked one of them."""
        with self._engine.transaction() as transaction:
            now = self._engine.now(now)
            until, longest = (to_timestamp(now + each) for each in (timedelta(seconds=seconds), _LONGEST_PAUSE))
            transaction.execute(
                "INSERT INTO quiet (environment, quiet_until) VALUES (?, ?) ON CONFLICT (environment) DO UPDATE"
                " SET quiet_until = excluded.quiet_until"
                " WHERE quiet.quiet_until < excluded.quiet_until OR quiet.quiet_until > ?",
                environment,
                until,
                longest,
            )

    def _take_turn(self, transaction: Transaction, order_row: int, turn: "Turn", now: datetime) -> None:
        """Count an order of an environment. Raises TurnLater where as many were counted as may be, or all pause."""
        (row,) = self._engine.select(
            "SELECT purchase.environment, quiet_until FROM purchase"
            " LEFT JOIN quiet ON quiet.environment = purchase.environment WHERE purchase.id = ?",
            order_row,
        )
        environment, quiet_until = row["environment"], from_timestamp(row["quiet_until"])
        if quiet_until and timedelta(0) < quiet_until - now <= _LONGEST_PAUSE:  # else the clock was set back since
            raise TurnLater((quiet_until - now).total_seconds())
        window = timedelta(seconds=turn.window)
        # Times in the future are those of a clock that was set back since.
        transaction.execute(
            "DELETE FROM sending WHERE environment = ? AND (sent_at <= ? OR sent_at > ?)",
            environment,
            to_timestamp(now - window),
            to_timestamp(now + window),
        )
        rows = self._engine.select(
            "SELECT sent_at FROM sending WHERE environment = ? ORDER BY sent_at DESC LIMIT ?", environment, turn.limit
        )
        if len(rows) == turn.limit:
            raise TurnLater((datetime.fromisoformat(rows[-1]["sent_at"]) + window - now).total_seconds())
        transaction.insert("INSERT INTO sending (environment, sent_at) VALUES (?, ?)", environment, to_timestamp(now))

    def mark_unsent(self, order: Order, exchange: Exchange) -> Order:
        """Record that Runa has not processed the order, and why: nothing was issued.

        Where the claim has ended, another process may have sent it meanwhile, and it stays `sent`.
        """
        columns, *values = _exchange_columns(exchange)
        try:
            assignments = f"state = 'prepared', first_sent_at = NULL, {columns}"
            return self._update(order, assignments, *values, decides=True, kind=events.UNSENT)
        except ClaimLost:
            return self.note(order, exchange)

    def mark_doubted(self, order: Order) -> Order:
        """Record that the id under which an order was accepted is another order's: its outcome is unknown again."""
        assignments = "state = 'sent', order_id = NULL, reply = NULL"
        return self._update(order, assignments, decides=True, kind=events.DOUBTED)

    def note(self, order: Order, exchange: Exchange) -> Order:
        """Record the last answer without a change of state. What has settled since keeps its own."""
        return self._update(order, *_exchange_columns(exchange), unless="'completed', 'failed', 'rejected'")

    # Answers are recorded by whoever received them, though the claim may have ended and another process may have gone
    # on: an answer never takes the place of one that says more.

    def mark_accepted(self, order: Order, order_id: str, reply: bytes, exchange: Exchange) -> Order:
        """Record that Runa accepted the order, under which id."""
        # Its time only puts answers that could not be recorded in their order.
        answer = Answer(
            order.id, order.idempotency_key, State.ACCEPTED, order_id, reply, [], exchange, datetime.now(UTC)
        )
        return self._record_answer(order, answer)

    def mark_completed(
        self,
        order: Order,
        order_id: str,
        reply: bytes,
        issued: Sequence[Mapping[str, Any] | None],
        *,
        exchange: Exchange,
        now: datetime,
    ) -> Order:
        """Record the reply, and with each gift its own item of the reply, None where it has none.

        `issued` is in the order of the gifts.
        """
        key = order.idempotency_key
        answer = Answer(order.id, key, State.COMPLETED, order_id, reply, issued, exchange, now)
        return self._record_answer(order, answer)

    def mark_failed(self, order: Order, order_id: str, reply: bytes, exchange: Exchange, now: datetime) -> Order:
        """Record that Runa reports the order FAILED."""
        answer = Answer(order.id, order.idempotency_key, State.FAILED, order_id, reply, [], exchange, now)
        return self._record_answer(order, answer)

    def mark_rejected(self, order: Order, reply: bytes, exchange: Exchange, now: datetime) -> Order:
        """Record that Runa rejected the order for good: nothing was issued."""
        answer = Answer(order.id, order.idempotency_key, State.REJECTED, None, reply, [], exchange, now)
        return self._record_answer(order, answer)

    def _record_answer(self, order: Order, answer: Answer) -> Order:
        """Record an answer here. Where that raises LedgerUnusable, the answer is in a file for the next run."""
        try:
            return self._write_answer(order, answer)
        except LedgerUnusable as error:
            if path := self._spool.keep(self._id, answer):
                error.message += f" Runa's reply is kept in {path}, and the next command records it."
            raise

    def _record_spooled(self) -> None:
        """Record the answers that an earlier run could not record. What fails is left for the next run."""
        for path, answer in self._spool.pending(self._id):
            try:
                rows = self._engine.select(
                    "SELECT * FROM purchase WHERE id = ? AND idempotency_key = ?", answer.order_row, answer.key
                )
                if not rows:
                    self._warn(f"{path} is Runa's reply to an order that the ledger does not hold. It is left there.")
                    continue
                order = read_order(rows[0])
                if (order.state, order.reply) != (answer.state, answer.reply):  # else only its commit was in doubt
                    with self._engine.transaction() as transaction:  # what was shown of the batch lacked it
                        transaction.execute("UPDATE batch SET shown_at = NULL WHERE id = ?", order.batch_id)
                    self._write_answer(order, answer)
                path.unlink(missing_ok=True)
            except (LedgerUnusable, OSError):
                return
            self._warn(
                f"Runa's reply about order {answer.order_id or answer.key}, which could not be recorded before, is"
                " recorded now."
            )

    def _write_answer(self, order: Order, answer: Answer) -> Order:
        return self._accept(order, answer) if answer.state is State.ACCEPTED else self._settle(order, answer)

    @repeated
    def _accept(self, order: Order, answer: Answer) -> Order:
        columns, *values = _exchange_columns(answer.exchange)
        with self._engine.transaction() as transaction:
            changed = transaction.execute(
                f"UPDATE purchase SET state = 'accepted', order_id = ?, reply = ?, {columns}"  # noqa: S608 - as below
                " WHERE id = ? AND state != 'completed'",
                answer.order_id,
                answer.reply,
                *values,
                order.id,
            )
            if answer.order_id != order.order_id:  # it is recorded again each time that the order is polled
                search_index.extend(transaction, order.id, answer.order_id)
                spent.forget_unless_completed(transaction, order.id)
                if changed:
                    self._add(transaction, self._subject(order.batch_id).answered(order, answer))
        self._advance_mark()
        return self.order(order.id)

    @repeated
    def mark_abandoned(self, orders: Collection[Order], now: datetime) -> list[Order]:
        """Record that a person gave orders up. Returns those that were still prepared or sent, as they were before."""
        with self._engine.transaction() as transaction:
            for batch_id in {order.batch_id for order in orders}:
                self._claims.check(batch_id)
            found = [self.order(order.id) for order in orders]
            open_orders = [order for order in found if order.state in {State.PREPARED, State.SENT}]
            transaction.execute_many(
                "UPDATE purchase SET state = 'abandoned', settled_at = ? WHERE id = ?",
                ((to_timestamp(now), order.id) for order in open_orders),
            )
            for each in open_orders:
                spent.write_anew(transaction, self._engine.select, each.id)
            given_up = (self._subject(each.batch_id).abandoned(each) for each in open_orders)
            self._add(transaction, *given_up)
        return open_orders

    @repeated
    def _settle(self, order: Order, answer: Answer) -> Order:
        columns, *values = _exchange_columns(answer.exchange)
        with self._engine.transaction() as transaction:
            changed = transaction.execute(
                "UPDATE purchase SET state = ?, order_id = coalesce(?, order_id), reply = ?, settled_at = ?,"  # noqa: S608 - the columns are this module's own text
                f" {columns} WHERE id = ?{_UNLESS_KNOWN_BETTER.get(answer.state, '')}",
                str(answer.state),
                answer.order_id,
                answer.reply,
                to_timestamp(answer.time),
                *values,
                order.id,
            )
            transaction.execute_many(
                "UPDATE gift SET issued = ? WHERE purchase_id = ? AND slot = ?",
                (
                    (exact_json.dumps(dict(item)), order.id, slot)
                    for slot, item in enumerate(answer.issued)
                    if item is not None
                ),
            )
            if answer.state is State.COMPLETED:
                spending.correct_conversion(transaction, order, answer.reply)
            new_id = answer.order_id if answer.order_id != order.order_id else None
            unmatched_in = answer.reply if answer.exchange.error_type == UNMATCHED else None
            search_index.extend(transaction, order.id, new_id, answer.issued, unmatched_in)
            spent.write_anew(transaction, self._engine.select, order.id)
            if changed:
                self._add(transaction, self._subject(order.batch_id).answered(order, answer))
        self._advance_mark()
        return self.order(order.id)

    @repeated
    def _update(
        self, order: Order, assignments: str, *values: object, decides: bool = False, unless: str = "", kind: str = ""
    ) -> Order:
        """Change columns of an order. `unless`: not in these states; `decides`: only with the claim on its batch.

        `kind` is that of the event for the journal; none for what is not a change of the order's state.
        """
        condition = f" AND state NOT IN ({unless})" if unless else ""
        with self._engine.transaction() as transaction:
            if decides:
                self._claims.check(order.batch_id)
            transaction.execute(f"UPDATE purchase SET {assignments} WHERE id = ?{condition}", *values, order.id)  # noqa: S608 - as above
            if kind:
                self._add(transaction, self._subject(order.batch_id).about_order(kind, order))
        return self.order(order.id)


def closed(path: object, environment: str) -> ClosedMeanwhile:
    """Return the error for a ledger that is closed until its orders are read back."""
    return ClosedMeanwhile(
        f"The ledger {path} was restored, or another one took its place, and not everything that was issued since in"
        f" {environment} with this key's account is recorded in it yet. Nothing was sent.",
        f"`runa ledger check --env {environment}` reads it back from Runa, and goes on where an earlier one stopped."
        " Then run the same command again.",
    )


def _open(
    address: LedgerAddress, marks: Path | None, patience: float, *, to_check: bool
) -> "SQLiteEngine | PostgresEngine":
    """Open the database of a ledger."""
    if not isinstance(address, ServerLedger):
        return SQLiteEngine(address, marks, to_check=to_check)
    require_driver()
    from runa_cli.ledger.postgres import PostgresEngine  # psycopg takes longer to load than most commands take

    return PostgresEngine(address, marks, patience=patience, to_check=to_check)


def _insert_batch(transaction: Transaction, batch: NewBatch, now: datetime) -> tuple[int, Subject]:
    """Insert a batch, with a salt for the digests in events about it. Returns its id, and how events name it."""
    subject = Subject(batch.environment, batch.name, secrets.token_hex(16))
    batch_id = transaction.insert(
        "INSERT INTO batch (environment, name, name_key, named, source, shape, fingerprint, account, columns,"
        ' delimiter, bom, file, "system_user", host, created_at, salt)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        batch.environment,
        batch.name,
        name_key(batch.name),
        int(batch.named),
        batch.source,
        batch.shape,
        batch.fingerprint,
        batch.account,
        to_list(batch.columns),
        batch.dialect.delimiter,
        int(batch.dialect.bom),
        _storable(batch.file),
        batch.user,
        batch.host,
        to_timestamp(now),
        subject.salt,
    )
    return batch_id, subject


def _insert_orders(  # noqa: PLR0917 - two times: that of this machine, and that of all who share the ledger
    transaction: Transaction,
    select: spent.Select,
    batch_id: int,
    contents: Contents,
    orders: Iterable[NewOrder],
    now: datetime,
    reserved_at: datetime,
) -> None:
    """Insert orders with their gifts, and add them to what the journal will tell of the batch's contents."""
    for order in orders:
        order_id = _insert_order(transaction, batch_id, contents.subject.environment, order, now)
        contents.add(order)
        issued: Sequence[Mapping[str, Any] | None] = [None] * len(order.gifts)
        if isinstance(order, AdoptedOrder):
            issued = order.issued
            transaction.execute(
                "UPDATE purchase SET state = ?, order_id = ?, reply = ?, first_sent_at = ?, settled_at = ?"
                " WHERE id = ?",
                str(order.state),
                order.order_id,
                order.reply,
                to_timestamp(order.created),
                to_timestamp(order.settled),
                order_id,
            )
        transaction.insert_rows(
            "gift",
            _GIFT_COLUMNS,
            (
                (
                    *(order_id, slot, gift.row, gift.reference, to_list(gift.carried)),
                    *(gift.identity, gift.same_gift, gift.reference_key, gift.alike, gift.item),
                    None if item is None else exact_json.dumps(dict(item)),
                    *(gift.payee.by_email, gift.payee.by_reference, gift.products, gift.cost),
                    gift.recipient_key,
                )
                for slot, (gift, item) in enumerate(zip(order.gifts, issued, strict=True))
            ),
        )
        search_index.add(transaction, order_id, order)
        spending.reserve(transaction, order_id, contents.subject.environment, order, reserved_at)
        if isinstance(order, AdoptedOrder):
            spent.write_anew(transaction, select, order_id)


_GIFT_COLUMNS = (
    *("purchase_id", "slot", "row", "reference", "carried", "identity", "same_gift", "reference_key", "alike"),
    *("item", "issued", "payee", "payee_reference", "products", "cost", "recipient_key"),
)


def _insert_order(transaction: Transaction, batch_id: int, environment: str, order: NewOrder, now: datetime) -> int:
    return transaction.insert(
        "INSERT INTO purchase (batch_id, environment, position, generation, idempotency_key, own_key, body,"
        " body_sha256, sent_sha256, mode, currency, total, item_count, account, state, prepared_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'prepared', ?)",
        batch_id,
        environment,
        order.position,
        order.generation,
        order.idempotency_key,
        int(order.own_key),
        order.body,
        order.body_sha256,
        order.sent_sha256,
        order.mode,
        order.currency,
        order.total,
        order.item_count,
        order.account,
        to_timestamp(now),
    )


def _exchange_columns(exchange: Exchange) -> tuple[str, int | None, str | None, str | None, str | None, int]:
    return (
        "http_status = ?, request_id = ?, error_type = ?, error_text = ?, same_errors = ?",
        exchange.http_status,
        _storable(exchange.request_id),
        _storable(exchange.error_type),
        _storable(exchange.error_text),
        exchange.same_errors,
    )


def _storable(text: str | None) -> str | None:
    return None if text is None else storable(text)
