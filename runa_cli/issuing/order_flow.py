"""Takes one recorded order to its settled state: send, retry, poll, look up.

Every step is recorded before it takes effect, so a crash is resumed from the record: `sent` is committed before the
first byte of an order is sent, and a reply before anything of it is shown. While the outcome of an order is unknown,
only the same bytes are sent again, under the same key.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from runa_cli.api.classify import Answered, Refused, Uncertain, describe_error
from runa_cli.api.client import Client
from runa_cli.api.retry import REPEATING, SAME_SERVER_ERRORS, Decision, GiveUp, LookUp, Outcome, Wait, decide, poll_wait
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import ConfigurationError, GuardRefused, LedgerUnusable, RunaError
from runa_cli.core.states import UNFINISHED, State
from runa_cli.issuing import failures
from runa_cli.issuing.answer_recorder import AnswerRecorder
from runa_cli.issuing.follow_queue import Later
from runa_cli.issuing.key_age import may_be_forgotten
from runa_cli.issuing.lookup import Lookup
from runa_cli.issuing.outcome import FlowResult
from runa_cli.issuing.rate_limit import RateLimit
from runa_cli.issuing.terms import Progress, Say, Terms
from runa_cli.ledger.claims import ClaimLost
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.orders import BodyChanged
from runa_cli.ledger.records import Batch, Order

NEVER = threading.Event()

log = logging.getLogger("runa")


class _Attempts(Struct):
    """The attempts of one run at one order. Times are in seconds of the clock.

    `sent_at`: when this run sent the order for the first time ever; None where an earlier run may have sent it.
    """

    started: float
    last_error: str | None
    same_errors: int
    count: int = 0
    last_answer: str = ""
    sent_at: float | None = None

    def add(self, answer: Uncertain) -> None:
        self.last_answer = answer.reason
        if answer.outcome not in REPEATING:
            self.same_errors, self.last_error = 0, None
            return
        self.same_errors = self.same_errors + 1 if answer.reason == self.last_error else 1
        self.last_error = answer.reason


class _Forgotten(Exception):
    """The key of an order has become too old to be sent while the order waited, perhaps on a machine that slept."""


FlowStep = FlowResult | Later[FlowResult]  # what became of an order, or the step that will tell
# Decides what to do with an order whose accepted id turned out to be another order's; it is `sent` again by then.
InDoubt = Callable[[Order, Uncertain, _Attempts], FlowStep]


@dataclass(eq=False, repr=False)
class OrderFlow:
    """Takes the recorded orders of one batch to their settled states."""

    ledger: Ledger
    client: Client
    batch: Batch
    account: str
    terms: Terms
    progress: Progress
    say: Say
    rate_limit: RateLimit
    stopping: threading.Event
    # Raises GuardRefused for an order that must not be sent for the first time; returns the id of its proposal, if any.
    check: Callable[[Order], int | None]
    policy: Callable[[], str]  # returns the digest of the policies that the check is made against
    answered: Callable[[float], None]  # is told how long each answer to a `POST /order` took (seconds)
    clock: Clock = REAL

    def __post_init__(self) -> None:
        """Prepare what records the answers."""
        self._recorder = AnswerRecorder(
            self.ledger, self.batch, self.say, same_clock=self.client.is_direct, clock=self.clock
        )

    def settle(self, order: Order) -> FlowStep:
        """Send an order, or resume it where an earlier run left it, until it settles or the time limit is reached.

        Where Runa has accepted it, the step that fetches it is returned. Errors of Runa, the network or the ledger
        after the first byte was sent are not raised; they are in the result.
        """
        return self._step(order, partial(self._advance, order))

    def _step(self, order: Order, run: Callable[[], FlowStep]) -> FlowStep:
        try:
            result = run()
        except LedgerUnusable as error:
            result = FlowResult(order, failures.reply_not_recorded(self.batch, order, error))
        except ClaimLost as lost:
            result = FlowResult(order, failures.claim_lost(self.batch, order, lost))
        except Exception as error:  # noqa: BLE001 - a defect in one order must not stop the others
            where = failures.call_chain(error)
            log.info("order %d: %s", order.position, where, extra={"facts": {"order": order.position, "error": where}})
            result = FlowResult(order, failures.defect(self.batch, order, error))
        if isinstance(result, Later):
            shown = replace(order, body=b"", reply=None)  # what an error tells of it: many orders may be followed
            return Later(result.seconds, partial(self._step, shown, result.run))
        self.progress.settled(result.order)
        return result

    def _advance(self, order: Order) -> FlowStep:
        if order.state in UNFINISHED and not order.is_intact:  # an answer could not be compared with it either
            return FlowResult(order, failures.body_changed(self.batch, order))
        attempts = _Attempts(self.clock.seconds(), order.error_text, order.same_errors)
        if order.state is State.FAILED:
            return self._ask_again(order, attempts)
        if order.state is State.ACCEPTED:
            return self._poll(order, attempts, self._send_doubted, at_once=True)
        if order.state in {State.PREPARED, State.SENT}:
            return self._look_up_if_repeated(order) or self._send(order, attempts)
        return self._recorder.result(order)

    def _send_doubted(self, order: Order, _: Uncertain, attempts: _Attempts) -> FlowStep:
        """Send an order that an earlier run took for accepted, under an id that is another order's."""
        return self._look_up_if_repeated(order) or self._send(order, attempts)

    def _ask_again(self, order: Order, attempts: _Attempts) -> FlowStep:
        """Fetch an order that Runa reported as FAILED: it may have settled otherwise since."""
        if not order.order_id or not order.is_intact:  # pruned, or changed in the ledger
            return self._recorder.result(order)
        answer = self.client.fetch_order(order.order_id, seconds=self._seconds_left(attempts))
        if not isinstance(answer, Answered) or answer.order.id != order.order_id or answer.order.status == "FAILED":
            return self._recorder.result(order)
        recorded = self._recorder.record(order, answer)
        if isinstance(recorded, Uncertain):
            return self._recorder.result(order)
        self.say(f"Runa reported order {order.order_id} as FAILED before, and now as {answer.order.status}.")
        return self._settled(recorded)

    def _look_up_if_repeated(self, order: Order) -> FlowStep | None:
        """Look an order up at Runa if an earlier run received the same error again and again.

        That run concluded that Runa repeats a stored error. It may have been an outage after all, so an order that is
        not found is sent once more under the same key (None), which is safe either way.
        """
        if order.state is not State.SENT or order.same_errors < SAME_SERVER_ERRORS:
            return None
        result = self._look_up(order, order.error_text or "")
        return result if isinstance(result, Later) or result.order.state is not State.SENT else None

    def _look_up_if_old(self, order: Order, attempts: _Attempts) -> FlowStep | None:
        """Look an order up at Runa if sending it might pay twice. None: it may be sent."""
        if not may_be_forgotten(order, self.clock.now()):
            return None
        if order.state is State.PREPARED and order.first_sent_at is None:
            # This ledger never sent it, but it may have been issued from elsewhere so long ago that Runa no longer
            # recognises the key and would issue a duplicate.
            reason = "it was recorded 29 days ago or its age is unknown, and it may have been issued elsewhere"
            return self._adopt_if_found(order, reason)
        return self._look_up(order, "its key is 29 days old, and Runa would take it for a new order", attempts)

    # --- sending -------------------------------------------------------------------------------------------------

    def _send(self, order: Order, attempts: _Attempts) -> FlowStep:
        """Send the order, and again as often as the retry rules allow."""
        while True:
            attempted = self._attempt(order, attempts)
            if not isinstance(attempted, tuple):
                return attempted
            order, answer = attempted
            if result := self._wait_to_send_again(order, answer, attempts):
                return result

    def _wait_to_send_again(self, order: Order, answer: Uncertain, attempts: _Attempts) -> FlowStep | None:
        """Wait as long as the retry rules say. Returns the result where the order is not sent again."""
        match self._decide(answer, attempts):
            case Wait(seconds):
                if answer.outcome is Outcome.RATE_LIMITED:
                    self.rate_limit.pause(seconds)
                self.progress.waiting(order, answer.reason, seconds)
                self.clock.sleep(seconds)
            case LookUp():
                return self._look_up(order, f"the same answer is repeated ({answer.reason})", attempts)
            case GiveUp():
                return FlowResult(order, self._timed_out(order, attempts))
        return None

    def _attempt(self, order: Order, attempts: _Attempts) -> FlowStep | tuple[Order, Uncertain]:
        """Send the order's bytes once. Returns the order and the answer where that leaves the outcome open."""
        sent_before = order.state is State.SENT
        was_old = may_be_forgotten(order, self.clock.now())
        if result := self._look_up_if_old(order, attempts):
            return result
        try:
            # An order that may have been sent keeps its turn even when the run is stopping: only an answer tells what
            # became of it.
            begin = partial(self._begin, order, was_old=was_old)
            begun = self.rate_limit.start(begin, cancel=NEVER if sent_before else self.stopping)
        except _Forgotten:
            return self._attempt(order, attempts)  # which looks it up first
        except (GuardRefused, ClaimLost, ConfigurationError) as error:  # a ledger or policy that cannot be used
            return FlowResult(order, self._not_sent(order, error))
        if begun is None:
            return FlowResult(order)
        order, sending_at = begun
        if not attempts.count:
            attempts.started = sending_at  # waiting for the rate limit does not count as Runa's time
        attempts.count += 1
        if order.first_sent_at is not None and not sent_before and attempts.sent_at is None:
            attempts.sent_at = sending_at
        facts = {"order": order.position, "attempt": attempts.count}
        log.info("order %d: attempt %d", order.position, attempts.count, extra={"facts": facts})
        mode: Literal["sync", "async"] = "sync" if order.mode == "sync" else "async"
        answer = self.client.create_order(order.body, order.idempotency_key, mode, seconds=self._seconds_left(attempts))
        self.answered(self.clock.seconds() - sending_at)
        followed = self._follow(order, answer, attempts, sent_before=sent_before)
        if not isinstance(followed, tuple):
            return followed
        order, uncertain = followed
        return self._record_uncertain(order, uncertain, attempts, sent_before=sent_before), uncertain

    def _begin(self, order: Order, *, was_old: bool) -> tuple[Order, float]:
        """Mark the order as sent. Returns it with the time by the clock's seconds. Raises TurnLater and _Forgotten."""
        now = self.clock.now()
        if not was_old and may_be_forgotten(order, now):
            raise _Forgotten
        sending_at = self.clock.seconds()
        check = partial(self._check_first_sending, order)
        sent = self.ledger.mark_sent(
            order, self.account, check=check, now=now, turn=self.rate_limit.turn, policy=self.policy
        )
        return sent, sending_at

    def _not_sent(self, order: Order, error: GuardRefused | ClaimLost | ConfigurationError) -> RunaError:
        """Return the error where nothing was sent in an attempt; an earlier one may still have reached Runa."""
        match error:
            case ClaimLost():
                return failures.claim_lost(self.batch, order, error)
            case BodyChanged():
                return failures.body_changed(self.batch, order)
            case LedgerUnusable() if order.state is State.SENT:
                return failures.reply_not_recorded(self.batch, order, error)
        return error

    def _record_uncertain(self, order: Order, uncertain: Uncertain, attempts: _Attempts, *, sent_before: bool) -> Order:
        attempts.add(uncertain)
        return self._recorder.record_uncertain(
            order, uncertain, same_errors=attempts.same_errors, sent_before=sent_before
        )

    def _check_first_sending(self, order: Order) -> int | None:
        """Check an order that Runa cannot know yet, and return the id of its proposal, if any. Raises GuardRefused.

        In a ledger that was restored, one that was sent may have been given up since, and its gifts issued otherwise.
        """
        is_first = order.state is State.PREPARED and order.first_sent_at is None
        if is_first or self.ledger.missing(self.batch.environment) is not None:
            return self.check(order)
        return None

    def _follow(
        self, order: Order, answer: Answered | Refused | Uncertain, attempts: _Attempts, *, sent_before: bool
    ) -> FlowStep | tuple[Order, Uncertain]:
        """Follow an answer to the order's result. Returns the order and an Uncertain where the outcome stays open."""
        match answer:
            case Uncertain():
                return order, answer
            case Refused():
                return self._recorder.record_refusal(order, answer, sent_before=sent_before)
            case Answered():
                recorded = self._recorder.record(order, answer, sent_for=self._sent_for(attempts))
        if isinstance(recorded, Uncertain):
            return order, recorded
        if recorded.state is not State.ACCEPTED:
            return self._recorder.result(recorded)
        return self._poll(recorded, attempts, self._send_again)

    def _send_again(self, order: Order, uncertain: Uncertain, attempts: _Attempts) -> FlowStep:
        """Send an order again that Runa accepted under an id that is another order's."""
        order = self._record_uncertain(order, uncertain, attempts, sent_before=True)
        return self._wait_to_send_again(order, uncertain, attempts) or self._send(order, attempts)

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

    def _sent_for(self, attempts: _Attempts) -> float | None:
        return None if attempts.sent_at is None else self.clock.seconds() - attempts.sent_at

    def _seconds_left(self, attempts: _Attempts) -> float:
        return max(0.1, self.terms.timeout - (self.clock.seconds() - attempts.started))

    def _timed_out(self, order: Order, attempts: _Attempts) -> RunaError:
        return failures.timed_out(
            self.batch,
            order,
            attempts=attempts.count,
            reason=attempts.last_answer,
            url=self.client.endpoint.shown_url,
            seconds=self.clock.seconds() - attempts.started,
        )

    # --- polling -------------------------------------------------------------------------------------------------

    def _poll(self, order: Order, attempts: _Attempts, in_doubt: InDoubt, *, at_once: bool = False) -> FlowStep:
        """Fetch an accepted order until it settles. It is never sent again meanwhile.

        `in_doubt` decides where the accepted id turns out to be another order's. `at_once` fetches before waiting.
        """
        if at_once:
            return self._poll_now(order.id, attempts, in_doubt, 1)
        if not self.terms.wait:
            return FlowResult(order)
        return self._poll_later(order, "Runa is still processing it", attempts, in_doubt, 1)

    def _poll_later(self, order: Order, reason: str, attempts: _Attempts, in_doubt: InDoubt, poll: int) -> FlowStep:
        seconds = poll_wait(max(poll - 1, 1), self.terms.pace)
        if self.clock.seconds() - attempts.started + seconds >= self.terms.timeout:
            return FlowResult(order, self._still_processing(order, reason))
        self.progress.waiting(order, reason, seconds)
        return Later(seconds, partial(self._poll_now, order.id, attempts, in_doubt, poll))

    def _poll_now(self, order_row: int, attempts: _Attempts, in_doubt: InDoubt, poll: int) -> FlowStep:
        order, reason = self.ledger.order(order_row), ""
        answer = self.client.fetch_order(order.order_id or "", seconds=self._seconds_left(attempts))
        if isinstance(answer, Refused) and answer.reply.status in {401, 403} and answer.before_order:
            return FlowResult(order, failures.access_refused_later(self.batch, order, answer))
        match self._record_poll(order, answer, attempts):
            case Uncertain() as uncertain:
                return in_doubt(self.ledger.mark_doubted(order), uncertain, attempts)
            case str() as reason:
                pass
            case Order() as polled if polled.state is not State.ACCEPTED:
                return self._recorder.result(polled)
        if not self.terms.wait:
            return FlowResult(order)
        return self._poll_later(order, reason or "Runa is still processing it", attempts, in_doubt, poll + 1)

    def _record_poll(
        self, order: Order, answer: Answered | Refused | Uncertain, attempts: _Attempts
    ) -> Order | str | Uncertain:
        """Record the answer to a poll. Returns a reason where it shows nothing, Uncertain where it is another order."""
        match answer:
            case Refused():
                return f"Runa answered: {describe_error(answer.error)}"
            case Uncertain():
                return answer.reason
            case Answered() if answer.order.id != order.order_id:
                return f"Runa answered with another order ({answer.order.id})"
            case Answered():
                recorded = self._recorder.record(order, answer, sent_for=self._sent_for(attempts))
        # An answer about this order whose links are still missing is no reason to doubt the accepted id.
        if isinstance(recorded, Uncertain) and self._recorder.is_about(order, answer.order):
            return recorded.reason
        return recorded

    def _still_processing(self, order: Order, reason: str) -> RunaError:
        return failures.still_processing(self.batch, order, reason=reason, seconds=self.terms.timeout)

    # --- looking up ----------------------------------------------------------------------------------------------

    def _look_up(self, order: Order, reason: str, attempts: _Attempts | None = None) -> FlowStep:
        """Search Runa for an order whose outcome its answers leave open, and adopt it if it is there."""
        not_found = failures.outcome_not_found(self.batch, order, reason, "No order at Runa has its stamp.")
        return self._adopt_if_found(order, reason, attempts) or FlowResult(order, not_found)

    def _adopt_if_found(self, order: Order, reason: str, attempts: _Attempts | None = None) -> FlowStep | None:
        """Search Runa for an order and adopt it; None where no order at Runa has its stamp."""
        self.progress.waiting(order, "looking the order up at Runa", 0.0)
        try:
            answer = Lookup(self.client, self.terms.timeout, clock=self.clock).find(order)
        except RunaError as error:
            found = f"It could not be looked up: {error.message}"
            return FlowResult(order, failures.outcome_not_found(self.batch, order, reason, found))
        if answer is None:
            return None
        sent_for = self._sent_for(attempts) if attempts else None
        recorded = self._recorder.record(order, answer, sent_for=sent_for)
        if isinstance(recorded, Uncertain):
            found = f"An order at Runa has its stamp, but {recorded.reason}."
            return FlowResult(order, failures.outcome_not_found(self.batch, order, reason, found))
        self.say(f"Order {answer.order.id} was found at Runa by its stamp and is recorded here now.")
        return self._settled(recorded)

    def _settled(self, order: Order) -> FlowStep:
        """Return the result of an order that Runa showed; one that is still processing is polled first."""
        if order.state is not State.ACCEPTED:
            return self._recorder.result(order)
        return self._poll(order, _Attempts(self.clock.seconds(), None, 0), self._leave_in_doubt, at_once=True)

    def _leave_in_doubt(self, order: Order, uncertain: Uncertain, _: _Attempts) -> FlowResult:
        return FlowResult(order, self._still_processing(order, uncertain.reason))
