"""Records what an answer from Runa proves about one order.

An answer is recorded only if it is about this order: its id and stamp must not be another order's, and either its items
match or its stamp is this order's. Anything else proves nothing, and the outcome of the order stays unknown.
"""

from collections.abc import Sequence

from msgspec import Struct

from runa_cli.api import binding, responses
from runa_cli.api.classify import Answered, Refused, Uncertain
from runa_cli.api.retry import Outcome
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.money import counted
from runa_cli.issuing import failures
from runa_cli.issuing.origin import was_issued_elsewhere
from runa_cli.issuing.outcome import FlowResult
from runa_cli.issuing.terms import Say
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import NOTHING, UNMATCHED, Batch, Exchange, Order


class AnswerRecorder(Struct, frozen=True):
    """Records answers about the orders of one batch. `same_clock`: Runa's end runs on this machine (the emulator)."""

    ledger: Ledger
    batch: Batch
    say: Say
    same_clock: bool
    clock: Clock = REAL

    def record(self, order: Order, answer: Answered, *, sent_for: float | None = None) -> Order | Uncertain:
        """Record an answer that shows an order; Uncertain where it shows another order than this one.

        `sent_for`: the seconds since this run sent the order for the first time ever; None where an earlier one may
        have sent it.
        """
        answered, reply = answer.order, answer.reply
        if not self._has_matching_ids(order, answered):
            return Uncertain(Outcome.UNCLEAR, f"the answer is about another order ({answered.id})", reply)
        if answered.status == "PROCESSING":
            return self.ledger.mark_accepted(order, answered.id, reply.body, reply.exchange)
        bound = binding.bind_items(order.items, answered)
        is_ours = _is_stamped(order, answered) or (None not in bound and len(bound) == len(answered.items or ()))
        if answered.status == "FAILED":
            if is_ours or not answered.items:
                return self.ledger.mark_failed(order, answered.id, reply.body, reply.exchange, self.clock.now())
            return _other_items(answer)
        if not is_ours:
            return _other_items(answer)
        if not binding.has_links(answered):
            return Uncertain(Outcome.UNCLEAR, f"the answer's items have no links yet ({answered.id})", reply)
        completed = self._record_links(order, answer, bound)
        self._report_origin(order, answer, sent_for)
        return completed

    def is_about(self, order: Order, answered: responses.Order) -> bool:
        """Tell whether an answer shows this order, even if its links are still missing."""
        return self._has_matching_ids(order, answered) and (
            _is_stamped(order, answered) or binding.match_items(order.items, answered, with_links=False) is not None
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
        """Record an answer that leaves the outcome open. `same_errors`: how often in a row this one was received."""
        if answer.outcome is Outcome.NOT_CONNECTED and not sent_before:
            return self.ledger.mark_unsent(order, Exchange(error_text=answer.reason))
        exchange = answer.reply.exchange if answer.reply else NOTHING
        return self.ledger.note(order, exchange._replace(error_text=answer.reason, same_errors=same_errors))

    def result(self, order: Order) -> FlowResult:
        """Return the result of an order from its recorded state."""
        return FlowResult(order, failures.recorded_failure(order, failures.context(self.batch, order)))

    def _has_matching_ids(self, order: Order, answered: responses.Order) -> bool:
        return answered.stamp in {None, order.idempotency_key} and not self.ledger.is_anothers(order, answered.id)

    def _record_links(self, order: Order, answer: Answered, bound: Sequence[int | None]) -> Order:
        """Record the reply, and with each gift its own item of it. Items that match no gift stay in the reply."""
        reply = answer.reply
        items = reply.document["items"]
        exchange, unmatched = reply.exchange, set(range(len(items))) - set(bound)
        if unmatched or None in bound:
            text = (
                f"Runa's answer has no matching item for {bound.count(None)} of its {counted(len(bound), 'row')}, and"
                f" {counted(len(unmatched), 'item')} that {'matches' if len(unmatched) == 1 else 'match'} no row"
            )
            exchange = exchange._replace(error_type=UNMATCHED, error_text=text)
        return self.ledger.mark_completed(
            order,
            answer.order.id,
            reply.body,
            [None if index is None else items[index] for index in bound],
            exchange=exchange,
            now=self.clock.now(),
        )

    def _report_origin(self, order: Order, answer: Answered, sent_for: float | None) -> None:
        created = answer.order.created
        if created is not None and was_issued_elsewhere(
            created, order, answer.reply, sent_for=sent_for, same_clock=self.same_clock
        ):
            self.say(
                f"Order {answer.order.id} was issued elsewhere on {created:%Y-%m-%d %H:%M:%S} UTC, before it was"
                " recorded in this ledger. Its links are recorded here now."
            )


def _is_stamped(order: Order, answered: responses.Order) -> bool:
    return answered.stamp == order.idempotency_key


def _other_items(answer: Answered) -> Uncertain:
    reason = f"the answer's items are not those of the order ({answer.order.id})"
    return Uncertain(Outcome.UNCLEAR, reason, answer.reply)
