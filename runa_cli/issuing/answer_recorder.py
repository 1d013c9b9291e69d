"""Records what an answer from Runa proves about one order.

An answer is recorded only if it is about this order: its stamp, its id and its items must match. Anything else proves
nothing, and the outcome of the order stays unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from runa_cli.api import binding, responses
from runa_cli.api.classify import Answered, Refused, Uncertain
from runa_cli.api.retry import Outcome
from runa_cli.core.clock import REAL, Clock
from runa_cli.issuing import failures
from runa_cli.issuing.outcome import FlowResult
from runa_cli.issuing.terms import Say
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import NOTHING, Batch, Exchange, Order

# How far two readings of the time may differ before they count as different: between two machines, where Runa's Date
# header has whole seconds, and on one machine.
CLOCK_TOLERANCE = timedelta(seconds=3)
SAME_CLOCK_TOLERANCE = timedelta(seconds=0.2)


@dataclass(frozen=True)
class AnswerRecorder:
    """Records answers about the orders of one batch. `same_clock`: Runa's end runs on this machine (the emulator)."""

    ledger: Ledger
    batch: Batch
    say: Say
    same_clock: bool
    clock: Clock = REAL

    def record(self, order: Order, answer: Answered) -> Order | Uncertain:
        """Record an answer that shows an order; Uncertain where it shows another order than this one."""
        answered, reply = answer.order, answer.reply
        if not self._has_matching_ids(order, answered):
            return Uncertain(Outcome.UNCLEAR, f"the answer is about another order ({answered.id})", reply)
        if answered.status == "PROCESSING":
            return self.ledger.mark_accepted(order, answered.id, reply.body, reply.exchange)
        failed = answered.status == "FAILED"
        matches = binding.match_items(order.items, answered, with_links=not failed)
        if matches is None and not (failed and not answered.items):
            return Uncertain(Outcome.UNCLEAR, f"the answer's items are not those of the order ({answered.id})", reply)
        if failed:
            return self.ledger.mark_failed(order, answered.id, reply.body, reply.exchange, self.clock.now())
        items: Sequence[Any] = responses.read_object(reply.body)["items"]
        completed = self.ledger.mark_completed(
            order,
            answered.id,
            reply.body,
            [items[index] for index in matches or ()],
            exchange=reply.exchange,
            now=self.clock.now(),
        )
        self._report_replay(order, answer)
        return completed

    def is_about(self, order: Order, answered: responses.Order) -> bool:
        """Tell whether an answer shows this order, even if its links are still missing."""
        return (
            self._has_matching_ids(order, answered)
            and binding.match_items(order.items, answered, with_links=False) is not None
        )

    def record_refusal(self, order: Order, refused: Refused, *, sent_before: bool) -> FlowResult:
        """Record a refusal. `sent_before`: an earlier attempt may have reached Runa."""
        exchange = refused.reply.exchange
        if refused.error.type == "idempotency_validation_error":
            order = self.ledger.note(order, exchange)
            return FlowResult(order, failures.key_used_for_other_order(self.batch, order))
        if not refused.before_order:
            return self.result(self.ledger.mark_rejected(order, refused.reply.body, exchange, self.clock.now()))
        # Refused before Runa looked at the order (credentials, version, address). Runa does not store such an answer
        # under the key, so the order keeps its key: under a new one, the same batch on another machine, which would
        # still use the old key, would pay a second time.
        if sent_before:
            order = self.ledger.note(order, exchange)
            return FlowResult(order, failures.access_refused_later(self.batch, order, refused))
        order = self.ledger.mark_unsent(order, exchange)
        return FlowResult(order, failures.access_refused(self.batch, order, refused))

    def record_uncertain(self, order: Order, answer: Uncertain, *, same_errors: int, sent_before: bool) -> Order:
        """Record an answer that leaves the outcome open. `same_errors`: how often in a row this 5xx was received."""
        if answer.outcome is Outcome.NOT_CONNECTED and not sent_before:
            return self.ledger.mark_unsent(order, Exchange(error_text=answer.reason))
        exchange = answer.reply.exchange if answer.reply else NOTHING
        return self.ledger.note(order, replace(exchange, error_text=answer.reason, same_errors=same_errors))

    def result(self, order: Order) -> FlowResult:
        """Return the result of an order from its recorded state."""
        return FlowResult(order, failures.recorded_failure(order, failures.context(self.batch, order)))

    def _has_matching_ids(self, order: Order, answered: responses.Order) -> bool:
        return answered.stamp in {None, order.idempotency_key} and not self.ledger.is_anothers(order, answered.id)

    def _report_replay(self, order: Order, answer: Answered) -> None:
        """Report an order that was created before this ledger first sent its key: another machine issued it."""
        created, first_sent = answer.order.created, order.first_sent_at
        if created is None or first_sent is None:
            return
        served, received = answer.reply.date, answer.reply.received
        skew = served - received if served and abs(served - received) > CLOCK_TOLERANCE else timedelta(0)
        tolerance = SAME_CLOCK_TOLERANCE if self.same_clock else CLOCK_TOLERANCE
        if created < first_sent + skew - tolerance:
            self.say(
                f"Order {answer.order.id} was issued elsewhere on {created:%Y-%m-%d %H:%M:%S} UTC, before"
                " this ledger first sent it. It is recorded here now; nothing was paid again."
            )
