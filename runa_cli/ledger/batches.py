"""Records batches, and what becomes of them as a whole."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from runa_cli.core import exact_json
from runa_cli.ledger import events, search_index, spent
from runa_cli.ledger.approvals import Approval, Proposal
from runa_cli.ledger.engine import ConstraintViolated, repeated
from runa_cli.ledger.events import Contents
from runa_cli.ledger.insertion import insert_batch, insert_orders, storable_or_none
from runa_cli.ledger.queries import NOTHING_MADE
from runa_cli.ledger.records import (
    AdoptedOrder,
    Batch,
    NewBatch,
    NewOrder,
    Placed,
)
from runa_cli.ledger.restoration import ADOPTED, PassedOver, note
from runa_cli.ledger.rows import to_list, to_timestamp
from runa_cli.ledger.writing import Check, LedgerWriter


class Batches(LedgerWriter):
    """Writes about batches. Every method commits before it returns, and raises LedgerUnusable.

    What changes a recorded batch needs the claim on it, and raises ClaimLost where that has ended.
    """

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
            batch_id, subject = insert_batch(transaction, batch, now)
            contents = Contents(subject)
            insert_orders(transaction, self._engine.select, batch_id, contents, orders, now, self._engine.now(now))
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
            insert_orders(transaction, self._engine.select, batch.id, contents, orders, now, self._engine.now(now))
            self._add(transaction, contents.event(events.EDITED))
            transaction.execute(
                "UPDATE batch SET fingerprint = ?, columns = ?, shape = ?, delimiter = ?, bom = ?, file = ?,"
                ' "system_user" = ?, host = ?, shown_at = NULL WHERE id = ?',
                content.fingerprint,
                to_list(content.columns),
                content.shape,
                content.dialect.delimiter,
                int(content.dialect.bom),
                storable_or_none(content.file),
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
                insert_orders(transaction, self._engine.select, batch.id, contents, placed, now, now)
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
            insert_orders(transaction, self._engine.select, batch.id, contents, orders, now, self._engine.now(now))
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
                batch_id, _ = insert_batch(transaction, batch, now)
            (last,) = self._engine.select(
                "SELECT coalesce(max(abs(row)), 0) AS row, coalesce(max(position), 0) AS position FROM purchase"
                " LEFT JOIN gift ON gift.purchase_id = purchase.id WHERE batch_id = ?",
                batch_id,
            )
            gifts = [gift._replace(row=last["row"] + gift.row) for gift in order.gifts]
            placed = replace(order, position=last["position"] + 1, generation=0, gifts=gifts)
            contents = Contents(self._subject(batch_id))
            insert_orders(transaction, self._engine.select, batch_id, contents, [placed], now, now)
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
