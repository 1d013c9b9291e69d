"""One recorded order on its way to where it settles: send, wait, poll, look up.

Intent is written before effect, and a crash is resumed from what was written: `sent` is committed before the first byte
of an order leaves, a reply before anything of it is shown. While the outcome of an order is unknown, the same bytes go
out under the same key, or nothing does.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from runa_cli.api import binding, responses
from runa_cli.api.classify import Answered, Refused, Uncertain, describe_error
from runa_cli.api.client import Client
from runa_cli.api.retry import SAME_SERVER_ERRORS, Decision, GiveUp, LookUp, Outcome, Wait, decide, poll_wait
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import LedgerUnusable, RunaError
from runa_cli.core.states import State
from runa_cli.issuing import failures
from runa_cli.issuing.lookup import Lookup
from runa_cli.issuing.rate_limit import RateLimit
from runa_cli.issuing.terms import FlowResult, Progress, Say, Terms
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import NOTHING, Batch, Exchange, Order

# Runa forgets a key after 30 days and would then buy again (developer.runa.io: best-practices/idempotency); the last
# day is left for clocks that disagree.
KEY_LIFETIME = timedelta(days=29)
CLOCK_SLIP = timedelta(days=1)  # a clock set back by less leaves the age of a key known well enough
# How far apart two honest clocks may be, the server's Date header being whole seconds; and what one clock needs.
CLOCKS_AGREE = timedelta(seconds=3)
ONE_CLOCK = timedelta(seconds=0.2)

NEVER = threading.Event()

log = logging.getLogger("runa")


@dataclass
class _Attempts:
    """What one run has seen of one order."""

    started: float
    last_server_error: str | None
    same_errors: int
    count: int = 0
    said: str = ""

    def see(self, uncertain: Uncertain) -> None:
        self.said = uncertain.reason
        if uncertain.outcome is not Outcome.SERVER_ERROR:
            self.same_errors, self.last_server_error = 0, None
            return
        self.same_errors = self.same_errors + 1 if uncertain.reason == self.last_server_error else 1
        self.last_server_error = uncertain.reason


@dataclass
class OrderFlow:
    """Takes recorded orders to where they settle."""

    ledger: Ledger
    client: Client
    batch: Batch
    terms: Terms
    progress: Progress
    say: Say
    governor: RateLimit
    stopping: threading.Event
    clock: Clock = REAL

    def settle(self, order: Order) -> FlowResult:
        """Send an order, or take it up where an earlier run left it, until it settles or its time is over.

        Never raises for what Runa, the network or the ledger do after the first byte left: that is in the result.
        """
        try:
            settled = self._advance(order)
        except LedgerUnusable as error:
            settled = FlowResult(order, failures.reply_not_recorded(self.batch, order, error))
        except Exception as error:  # noqa: BLE001 - a defect in one order must not take the others along
            log.info("order %d: %s", order.position, failures.calls_to(error))
            settled = FlowResult(order, failures.defect(self.batch, order, error))
        self.progress.settled(settled.order)
        return settled

    def _advance(self, order: Order) -> FlowResult:
        attempts = _Attempts(self.clock.seconds(), order.error_text, order.same_errors)
        if order.state is State.ACCEPTED:
            polled = self._poll(order, attempts, at_once=True)
            if isinstance(polled, FlowResult):
                return polled
            order = self.ledger.mark_doubted(order)
        if order.state in {State.PREPARED, State.SENT}:
            return self._known_to_runa(order) or self._send(order, attempts)
        return self._done(order)

    def _known_to_runa(self, order: Order) -> FlowResult | None:
        """Ask Runa for an order first, where sending it might pay twice or is of no use; None where it may be sent."""
        match order.state:
            case State.SENT if self._too_old(order.first_sent_at):
                return self._look_up(order, "its key is 29 days old, and Runa would take it for a new order")
            case State.SENT if order.same_errors >= SAME_SERVER_ERRORS:
                # An earlier run took the error for a stored one. Should it have been an outage after all, one more
                # sending under the same key ends it; a stored answer just comes back.
                found = self._look_up(order, order.error_text or "")
                return found if found.order.state is not State.SENT else None
            case State.PREPARED if self.batch.named and self._too_old(order.prepared_at):
                # Never sent from here; but where the same batch was issued elsewhere, Runa may have forgotten its key
                # by now, and would not see the duplicate any more.
                return self._found(order, "it was recorded 29 days ago, and may have been issued elsewhere")
            case _:
                return None

    # --- sending -------------------------------------------------------------------------------------------------

    def _send(self, order: Order, attempts: _Attempts) -> FlowResult:
        while True:
            tried = self._try(order, attempts)
            if isinstance(tried, FlowResult):
                return tried
            order, answer = tried
            match self._decide(answer, attempts):
                case Wait(seconds):
                    if answer.outcome is Outcome.RATE_LIMITED:
                        self.governor.hold(seconds)
                    self.progress.waiting(order, answer.reason, seconds)
                    self.clock.sleep(seconds)
                case LookUp():
                    return self._look_up(order, f"Runa answers the same error again and again ({answer.reason})")
                case GiveUp():
                    return FlowResult(
                        order,
                        failures.out_of_time(
                            self.batch,
                            order,
                            attempts=attempts.count,
                            said=attempts.said,
                            url=self.client.endpoint.base_url,
                            seconds=self.clock.seconds() - attempts.started,
                        ),
                    )

    def _try(self, order: Order, attempts: _Attempts) -> FlowResult | tuple[Order, Uncertain]:
        """Send the order's bytes once, and take the answer as far as it goes."""
        doubtful = order.state is State.SENT
        # What was sent stays in line even when a person wants to stop, for only an answer tells what became of it.
        if not self.governor.acquire(unless=NEVER if doubtful else self.stopping):
            return FlowResult(order)
        if not attempts.count:
            attempts.started = self.clock.seconds()  # standing in line for the rate is not Runa's time
        try:
            order = self.ledger.mark_sent(order, self.clock.now())
        except LedgerUnusable as error:
            # Nothing of this sending has left. What an earlier one came to is another question.
            return (
                FlowResult(order, failures.reply_not_recorded(self.batch, order, error))
                if doubtful
                else FlowResult(order, error)
            )
        attempts.count += 1
        log.info("order %d: attempt %d", order.position, attempts.count)
        mode: Literal["sync", "async"] = "sync" if order.mode == "sync" else "async"
        answer = self.client.create_order(order.body, order.idempotency_key, mode, seconds=self._left(attempts))
        match answer:
            case Refused() if answer.is_final or answer.before_order or not doubtful:
                return self._refused(order, answer, doubtful=doubtful)
            case Refused():
                # A no that is not Runa's own says nothing about what was sent before it.
                said = f"a no of unknown origin ({answer.error.type})"
                return self._unsettled(
                    order, Uncertain(Outcome.UNCLEAR, said, answer.reply), attempts, doubtful=doubtful
                )
            case Answered():
                settled = self._follow(order, answer, attempts)
                if isinstance(settled, FlowResult):
                    return settled
                return self._unsettled(*settled, attempts, doubtful=doubtful)
            case Uncertain():
                return self._unsettled(order, answer, attempts, doubtful=doubtful)

    def _follow(self, order: Order, answer: Answered, attempts: _Attempts) -> FlowResult | tuple[Order, Uncertain]:
        """Take an answer to where it settles the order, or say why it does not."""
        taken = self._take(order, answer)
        if isinstance(taken, Uncertain):
            return order, taken
        if taken.state is not State.ACCEPTED:
            return self._done(taken)
        polled = self._poll(taken, attempts)
        return polled if isinstance(polled, FlowResult) else (self.ledger.mark_doubted(taken), polled)

    def _decide(self, answer: Uncertain, attempts: _Attempts) -> Decision:
        return decide(
            answer.outcome,
            attempt=attempts.count,
            elapsed=self.clock.seconds() - attempts.started,
            timeout=self.terms.timeout,
            jitter=self.clock.jitter(),
            pace=self.terms.pace,
            retry_after=answer.retry_after,
            same_errors=attempts.same_errors,
        )

    def _unsettled(
        self, order: Order, answer: Uncertain, attempts: _Attempts, *, doubtful: bool
    ) -> tuple[Order, Uncertain]:
        """Record an answer that settles nothing."""
        attempts.see(answer)
        if answer.outcome is Outcome.NOT_CONNECTED and not doubtful:
            return self.ledger.mark_unsent(order, Exchange(error_text=answer.reason)), answer
        exchange = answer.reply.exchange if answer.reply else NOTHING
        noted = replace(exchange, error_text=answer.reason, same_errors=attempts.same_errors)
        return self.ledger.note(order, noted), answer

    def _left(self, attempts: _Attempts) -> float:
        return max(0.1, self.terms.timeout - (self.clock.seconds() - attempts.started))

    def _too_old(self, since: datetime | None) -> bool:
        """Tell whether Runa may have forgotten a key used since then. In the future, its age is anybody's guess."""
        age = self.clock.now() - since if since is not None else timedelta(0)
        return not -CLOCK_SLIP < age < KEY_LIFETIME

    # --- what an answer proves -----------------------------------------------------------------------------------

    def _take(self, order: Order, answer: Answered) -> Order | Uncertain:
        """Record an answer, unless it is about another order."""
        answered, reply = answer.order, answer.reply
        if answered.stamp not in {None, order.idempotency_key} or self.ledger.is_anothers(order, answered.id):
            return Uncertain(Outcome.UNCLEAR, f"the answer is about another order ({answered.id})", reply)
        if answered.status == "PROCESSING":
            return self.ledger.mark_accepted(order, answered.id, reply.body, reply.exchange)
        failed = answered.status == "FAILED"
        bound = binding.match_items(order.items, answered, with_links=not failed)
        if bound is None and not (failed and not answered.items):
            return Uncertain(Outcome.UNCLEAR, f"the answer's items are not the ones asked for ({answered.id})", reply)
        if failed:
            return self.ledger.mark_failed(order, answered.id, reply.body, reply.exchange, self.clock.now())
        items: Sequence[Any] = responses.read_object(reply.body)["items"]
        completed = self.ledger.mark_completed(
            order,
            answered.id,
            reply.body,
            [items[index] for index in bound or ()],
            exchange=reply.exchange,
            now=self.clock.now(),
        )
        self._notice_replay(order, answer)
        return completed

    def _notice_replay(self, order: Order, answer: Answered) -> None:
        """Say so when the order was made before this ledger first sent its key: another machine issued it."""
        created, first_sent = answer.order.created, order.first_sent_at
        if created is None or first_sent is None:
            return
        served, received = answer.reply.date, answer.reply.received
        skew = served - received if served and abs(served - received) > CLOCKS_AGREE else timedelta(0)
        tolerance = ONE_CLOCK if self.client.is_direct else CLOCKS_AGREE
        if created < first_sent + skew - tolerance:
            self.say(
                f"Order {answer.order.id} was issued elsewhere on {created:%Y-%m-%d %H:%M:%S} UTC, before"
                " this ledger first sent it. It is adopted; nothing was paid again."
            )

    def _refused(self, order: Order, refused: Refused, *, doubtful: bool) -> FlowResult:
        exchange = refused.reply.exchange
        if refused.error.type == "idempotency_validation_error":
            order = self.ledger.note(order, exchange)
            return FlowResult(order, failures.key_holds_other_order(self.batch, order))
        if not refused.before_order:
            return self._done(self.ledger.mark_rejected(order, refused.reply.body, exchange, self.clock.now()))
        # Runa refused the request before it looked at the order. Such an answer is not stored under the key, so the key
        # stays: were it given up, the same batch on another machine would still use it and pay again.
        if doubtful:
            return FlowResult(self.ledger.note(order, exchange), failures.key_refused_later(self.batch, order, refused))
        return FlowResult(
            self.ledger.mark_unsent(order, exchange), failures.order_not_let_in(self.batch, order, refused)
        )

    def _done(self, order: Order) -> FlowResult:
        return FlowResult(order, failures.recorded_failure(order, failures.context(self.batch, order)))

    # --- polling -------------------------------------------------------------------------------------------------

    def _poll(self, order: Order, attempts: _Attempts, *, at_once: bool = False) -> FlowResult | Uncertain:
        """Ask for an accepted order until it settles, or shows that it is another one. While it is ours, never post."""
        if not self.terms.wait and not at_once:
            return FlowResult(order)
        number, said = 0, "Runa is still processing it"
        while True:
            if number or not at_once:
                seconds = poll_wait(max(number, 1), self.terms.pace)
                if self.clock.seconds() - attempts.started + seconds >= self.terms.timeout:
                    return FlowResult(
                        order, failures.still_processing(self.batch, order, said=said, seconds=self.terms.timeout)
                    )
                self.progress.waiting(order, said, seconds)
                self.clock.sleep(seconds)
            number += 1
            answer = self.client.fetch_order(order.order_id or "", seconds=self._left(attempts))
            if isinstance(answer, Refused) and answer.reply.status in {401, 403}:
                return FlowResult(order, failures.key_refused_later(self.batch, order, answer))
            heard = self._hear(order, answer)
            if isinstance(heard, Uncertain):
                return heard
            if isinstance(heard, str):
                said = heard
            elif heard.state is not State.ACCEPTED:
                return self._done(heard)
            if not self.terms.wait:
                return FlowResult(order)

    def _hear(self, order: Order, answer: Answered | Refused | Uncertain) -> Order | str | Uncertain:
        """Record what a poll brought, or say why it brought nothing; uncertain is an order that is not ours."""
        match answer:
            case Refused():
                return f"Runa said {describe_error(answer.error)}"
            case Uncertain():
                return answer.reason
            case Answered() if answer.order.id != order.order_id:
                return f"Runa answered with another order ({answer.order.id})"
            case Answered():
                taken = self._take(order, answer)
                # Ours without its links yet is still ours: only an order that is another one is doubted.
                return taken.reason if isinstance(taken, Uncertain) and self._is_ours(order, answer.order) else taken

    def _is_ours(self, order: Order, answered: responses.Order) -> bool:
        return (
            answered.stamp in {None, order.idempotency_key}
            and not self.ledger.is_anothers(order, answered.id)
            and binding.match_items(order.items, answered, with_links=False) is not None
        )

    # --- at Runa's edge ------------------------------------------------------------------------------------------

    def _look_up(self, order: Order, reason: str) -> FlowResult:
        """Search Runa for an order whose fate its answers do not tell, and adopt it if it is there."""
        nowhere = failures.outcome_not_found(self.batch, order, reason, "No order at Runa bears its stamp.")
        return self._found(order, reason) or FlowResult(order, nowhere)

    def _found(self, order: Order, reason: str) -> FlowResult | None:
        """Search Runa for an order and adopt it; None where Runa has none with its stamp."""
        self.progress.waiting(order, "looking the order up at Runa", 0.0)
        lookup = Lookup(self.client, self.terms.timeout, named=self.batch.named, clock=self.clock)
        try:
            answer = lookup.find(order)
        except RunaError as error:
            return FlowResult(
                order,
                failures.outcome_not_found(self.batch, order, reason, f"It could not be looked up: {error.message}"),
            )
        if answer is None:
            return None
        taken = self._take(order, answer)
        if isinstance(taken, Uncertain):
            return FlowResult(
                order,
                failures.outcome_not_found(self.batch, order, reason, f"An order bears its stamp, but {taken.reason}."),
            )
        self.say(f"Order {answer.order.id} was found at Runa by its stamp and is adopted.")
        if taken.state is not State.ACCEPTED:
            return self._done(taken)
        polled = self._poll(taken, _Attempts(self.clock.seconds(), None, 0), at_once=True)
        return (
            polled
            if isinstance(polled, FlowResult)
            else FlowResult(
                taken, failures.still_processing(self.batch, taken, said=polled.reason, seconds=self.terms.timeout)
            )
        )
