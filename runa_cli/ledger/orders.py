"""Records what is done with orders, and what Runa answers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from runa_cli.core import exact_json
from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.states import State
from runa_cli.ledger import events, search_index, spending, spent
from runa_cli.ledger.claims import ClaimLost
from runa_cli.ledger.engine import Transaction, repeated
from runa_cli.ledger.insertion import insert_order, storable_or_none
from runa_cli.ledger.records import (
    UNMATCHED,
    Exchange,
    NewOrder,
    Order,
)
from runa_cli.ledger.rows import from_timestamp, read_order, to_timestamp
from runa_cli.ledger.spool import Answer
from runa_cli.ledger.writing import Check, LedgerWriter

_LONGEST_PAUSE = timedelta(hours=1)  # no 429 of Runa's asks for as much
# Which answers say less than what may be recorded already, as conditions on the row.
_UNLESS_KNOWN_BETTER = {
    State.FAILED: " AND state != 'completed'",
    State.REJECTED: " AND state IN ('prepared', 'sent')",
}


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


class Orders(LedgerWriter):
    """Writes about orders. Every method commits before it returns, and raises LedgerUnusable.

    What decides something (to send, renew or give up) needs the claim on the batch, and raises ClaimLost where that has
    ended. What only records an answer of Runa needs none.
    """

    @repeated
    def renew(self, rejected: Order, replacement: NewOrder, now: datetime, *, check: Check = list) -> Order:
        """Record the next generation of a rejected order, and move the order's gifts to it.

        `check` is called in the transaction; what it raises is raised, and nothing is recorded.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(rejected.batch_id)
            check()
            batch = self.batch_by_id(rejected.batch_id)
            new_id = insert_order(transaction, batch.id, batch.environment, replacement, now)
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
        check: Callable[[], int | None],
        now: datetime,
        turn: "Turn | None" = None,
        policy: Callable[[], str] = str,
    ) -> Order:
        """Record that the order may reach Runa from now on, and from which account and by whom it was sent first.

        Called before its first byte is sent; what is sent are the bytes of the order that is returned.

        `check` is called in the transaction; what it raises is raised, and nothing is recorded. It returns the id of
        the proposal by which a first sending is approved, None where none is needed. Raises BodyChanged likewise, where
        the body is not the one that was recorded. Where ClaimLost is raised the order may be recorded as sent, but must
        not be sent. With a `turn` it is counted, and TurnLater is raised where it must wait.
        `policy` returns the digest of the policies that `check` checks a first sending against.
        """
        with self._engine.transaction() as transaction:
            self._claims.check(order.batch_id)
            self._check_open(order, account)
            proposal_id = check()
            shared_now = self._engine.now(now)
            if turn is not None:
                self._take_turn(transaction, order.id, turn, shared_now)
            if order.first_sent_at is None:
                spending.move_to_now(transaction, order.id, policy(), shared_now)
            transaction.execute(
                "UPDATE purchase SET state = 'sent', account = CASE WHEN first_sent_at IS NULL THEN ? ELSE account END,"
                " sent_by = CASE WHEN first_sent_at IS NULL THEN ? ELSE sent_by END,"
                " proposal_id = CASE WHEN first_sent_at IS NULL THEN ? ELSE proposal_id END,"
                " first_sent_at = coalesce(first_sent_at, ?) WHERE id = ?",
                account,
                self._user,
                proposal_id,
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
                if order.state is State.COMPLETED:  # known already: only its commit was in doubt, or it was read back
                    path.unlink(missing_ok=True)  # of which the gifts may be in another order than in this answer
                    continue
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
                    (exact_json.dumps_read(item), order.id, slot)
                    for slot, item in enumerate(answer.issued)
                    if item is not None
                ),
            )
            if answer.state is State.COMPLETED:
                spending.correct_conversion(transaction, order, answer.reply)
            new_id = answer.order_id if answer.order_id != order.order_id else None
            unmatched_in = answer.reply if answer.exchange.error_type == UNMATCHED else None
            search_index.extend(transaction, order.id, new_id, answer.issued, unmatched_in)
            is_whole = len(answer.issued) == order.item_count and None not in answer.issued
            spent.write_anew(transaction, self._engine.select, order.id, answer.issued if is_whole else None)
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


def _exchange_columns(exchange: Exchange) -> tuple[str, int | None, str | None, str | None, str | None, int]:
    return (
        "http_status = ?, request_id = ?, error_type = ?, error_text = ?, same_errors = ?",
        exchange.http_status,
        storable_or_none(exchange.request_id),
        storable_or_none(exchange.error_type),
        storable_or_none(exchange.error_text),
        exchange.same_errors,
    )
