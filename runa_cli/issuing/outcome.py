"""The outcome of sending: the result of one order, and of a run over a batch with the one error it ends in."""

import shlex
import threading
from typing import Self

from msgspec import Struct, field

from runa_cli.core.errors import Context, Interrupted, Money, OrderRefused, OutcomeUnknown, PartlyDone, RunaError
from runa_cli.core.states import NOT_COMPLETED, OUTCOME_UNKNOWN, UNFINISHED, State
from runa_cli.issuing.failures import context, not_settled, recorded_failure
from runa_cli.ledger.queries import LedgerQueries
from runa_cli.ledger.records import Batch, Order, Tally

MAX_FAILURES_KEPT = 50
MAX_FAILURES_IN_MESSAGE = 5


class FlowResult(Struct, frozen=True):
    """An order as this run leaves it, and the error that keeps it from being completed, if any.

    An order that was not sent because the run is stopping has no failure.
    """

    order: Order
    failure: RunaError | None = None


class BatchRun(Struct):
    """What a run over a batch came to: the batch's counts after and before it, and the first failures of its orders.

    `left_in_flight` is the number of threads that were not waited for; what the ledger says of their orders may change.
    """

    batch: Batch
    tally: Tally = field(default_factory=Tally)
    failures: list[tuple[Order, RunaError]] = field(default_factory=list)
    failure_count: int = 0
    interrupted: bool = False
    left_in_flight: int = 0
    before: Tally = field(default_factory=Tally)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_failure(self, order: Order, failure: RunaError | None) -> None:
        """Record what keeps an order from being completed; None is ignored."""
        if failure is None:
            return
        with self._lock:
            self.failure_count += 1
            if len(self.failures) < MAX_FAILURES_KEPT:
                self.failures.append((order, failure))

    @classmethod
    def recorded(cls, ledger: LedgerQueries, batch: Batch) -> Self:
        """Return what is recorded of a batch, as a run that sends nothing would leave it."""
        run = cls(batch, ledger.tally(batch))
        for order in ledger.orders(batch):
            unfinished = not_settled(batch, order) if order.state in UNFINISHED else None
            run.add_failure(order, unfinished or recorded_failure(order, context(batch, order)))
        return run

    @property
    def may_change(self) -> bool:
        """Whether orders of the batch may still settle, so that its recorded result is not final."""
        return self.left_in_flight > 0 or self.tally.any(State.PREPARED, State.SENT)

    def error(self) -> RunaError | None:
        """Return the one error that the run ends in; None when everything asked for is done."""
        if self.interrupted and (self.left_in_flight or self.tally.any(*UNFINISHED)):
            return self._interrupted_error()
        if not self.failures:
            return None
        if sum(self.tally.orders.values()) == 1:
            return self.failures[0][1]
        return self._partly_done() if self.tally.any(State.COMPLETED) else self._nothing_done()

    def _interrupted_error(self) -> Interrupted:
        return Interrupted(
            f"Interrupted. Batch {self.batch.name}: {self._counts()}.",
            f"The state is saved. Run the same command again, or `runa batch resume {shlex.quote(self.batch.name)}`, to"
            " finish it.",
            Context(batch=self.batch.name),
            money=self._money_when_interrupted(),
        )

    def _money_when_interrupted(self) -> Money:
        if self._is_unknown or (self.left_in_flight and self.tally.any(State.PREPARED)):
            return Money.UNKNOWN
        if not self.tally.any(State.COMPLETED):
            return Money.NOT_ISSUED
        return Money.PARTIAL if self.tally.any(*NOT_COMPLETED) else Money.ISSUED

    @property
    def _is_unknown(self) -> bool:
        return self.tally.of_unknown_outcome.any(*OUTCOME_UNKNOWN)

    def _partly_done(self) -> RunaError:
        if not self.tally.any(*NOT_COMPLETED):  # every order is issued, but some answers do not match their rows
            first = self.failures[0][1]
            message = f"Batch {self.batch.name} is issued, but not every row has a link.\n{self._failure_lines()}"
            return PartlyDone(
                message, first.hint, self._context(), self._details(), code=first.code, money=Money.ISSUED
            )
        return PartlyDone(
            f"Batch {self.batch.name} is partly done: {self._counts()}.\n{self._failure_lines()}",
            self._way_on(),
            self._context(),
            self._details(),
            money=Money.PARTIAL,
        )

    def _way_on(self) -> str:
        if self.tally.any(State.PREPARED, State.SENT, State.ACCEPTED, State.REJECTED):
            return "Run the same command again to finish it; what is issued stays issued."
        if self.tally.any(State.FAILED) or self._is_unknown:
            return "Failed and abandoned orders are not issued again automatically: ask Runa about them first."
        return "What was given up unsent is issued only with --again."

    def _nothing_done(self) -> RunaError:
        unknown = self._is_unknown
        first = self.failures[0][1]
        same_cause = all(error.code == first.code for _, error in self.failures) and not unknown
        error_type = OutcomeUnknown if unknown else type(first) if same_cause else OrderRefused
        return error_type(
            f"Batch {self.batch.name}: {self._counts()}.\n{self._failure_lines()}",
            first.hint if same_cause else "Run the same command again.",
            self._context(),
            self._details(),
            code=first.code if same_cause else "",
            money=Money.UNKNOWN if unknown else first.money,
        )

    def _context(self) -> Context:
        """Return the ids of the error: the request of the first failure, by which Runa's support finds the others."""
        return Context(batch=self.batch.name, request_id=self.failures[0][1].context.request_id)

    def _counts(self) -> str:
        return ", ".join(f"{count} {state}" for state in State if (count := self.tally.orders[state]))

    def _failure_lines(self) -> str:
        lines = [
            f"  order {order.position}: {error.message}" for order, error in self.failures[:MAX_FAILURES_IN_MESSAGE]
        ]
        if self.failure_count > len(lines):
            lines.append(
                f"  … and {self.failure_count - len(lines)} more: `runa batch show {shlex.quote(self.batch.name)}`."
            )
        return "\n".join(lines)

    def _details(self) -> list[dict[str, object]]:
        return [
            {
                "position": order.position,
                "state": str(order.state),
                "code": error.code,
                "message": error.message,
                "idempotency_key": order.idempotency_key,
                "order_id": order.order_id,
                "request_id": error.context.request_id,
            }
            for order, error in self.failures
        ]
