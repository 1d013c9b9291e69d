"""What a run over a batch came to, and the one error that stands for it."""

import shlex
import threading
from dataclasses import dataclass, field

from runa_cli.core.errors import Context, Interrupted, Money, OrderRefused, OutcomeUnknown, PartlyDone, RunaError
from runa_cli.core.states import NOT_COMPLETED, OUTCOME_UNKNOWN, UNFINISHED, State
from runa_cli.ledger.records import Batch, Order, Tally

MOST_FAILURES = 50


@dataclass
class BatchRun:
    """Where a batch stands after a run, and the first troubles of its orders.

    `left_in_flight` threads were not waited for: what the ledger says of their orders may be old already.
    """

    batch: Batch
    tally: Tally = field(default_factory=Tally)
    troubles: list[tuple[Order, RunaError]] = field(default_factory=list)
    trouble_count: int = 0
    interrupted: bool = False
    left_in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, order: Order, trouble: RunaError | None) -> None:
        """Remember what keeps an order from being done."""
        if trouble is None:
            return
        with self._lock:
            self.trouble_count += 1
            if len(self.troubles) < MOST_FAILURES:
                self.troubles.append((order, trouble))

    @property
    def may_grow(self) -> bool:
        """Whether there may be more to show of the batch than was recorded when the run ended."""
        return self.left_in_flight > 0 or self.tally.any(State.PREPARED, State.SENT)

    def counts(self) -> str:
        """Say how many orders are in which state."""
        return ", ".join(f"{count} {state}" for state in State if (count := self.tally.orders[state]))

    def verdict(self) -> RunaError | None:
        """Return the one error that the run stands for; None when everything asked for is done."""
        if self.interrupted and (self.left_in_flight or self.tally.any(*UNFINISHED)):
            return self.stopped()
        if not self.troubles:
            return None
        if sum(self.tally.orders.values()) == 1:
            return self.troubles[0][1]
        return self._partly_done() if self.tally.any(State.COMPLETED) else self._nothing_done()

    def stopped(self) -> Interrupted:
        """Return the error that stands for a run that was interrupted."""
        return Interrupted(
            f"Interrupted. Batch {self.batch.name}: {self.counts()}.",
            f"The state is saved. Run the same command again, or `runa batch resume {shlex.quote(self.batch.name)}`, to"
            " finish it.",
            Context(batch=self.batch.name),
            money=self._money(),
        )

    def _money(self) -> Money:
        if self.tally.any(*OUTCOME_UNKNOWN) or (self.left_in_flight and self.tally.any(State.PREPARED)):
            return Money.UNKNOWN
        if not self.tally.any(State.COMPLETED):
            return Money.NOT_ISSUED
        return Money.PARTIAL if self.tally.any(*NOT_COMPLETED) else Money.ISSUED

    def _partly_done(self) -> RunaError:
        return PartlyDone(
            f"Batch {self.batch.name} is partly done: {self.counts()}.\n{self._sentences()}",
            "Run the same command again to finish it; what is issued stays issued."
            if self.tally.any(State.PREPARED, State.SENT, State.ACCEPTED, State.REJECTED)
            else "What FAILED or was given up is not issued again by itself: ask Runa about it first.",
            Context(batch=self.batch.name),
            self._details(),
            money=Money.PARTIAL,
        )

    def _nothing_done(self) -> RunaError:
        unknown = self.tally.any(*OUTCOME_UNKNOWN)
        first = self.troubles[0][1]
        alike = all(error.code == first.code for _, error in self.troubles) and not unknown
        kind = OutcomeUnknown if unknown else type(first) if alike else OrderRefused
        return kind(
            f"Batch {self.batch.name}: {self.counts()}.\n{self._sentences()}",
            first.hint if alike else "Run the same command again.",
            Context(batch=self.batch.name),
            self._details(),
            code=first.code if alike else "",
            money=Money.UNKNOWN if unknown else first.money,
        )

    def _sentences(self) -> str:
        shown = [f"  order {order.position}: {error.message}" for order, error in self.troubles[:5]]
        if self.trouble_count > len(shown):
            shown.append(f"  … and {self.trouble_count - len(shown)} more: `runa batch show {self.batch.name}`.")
        return "\n".join(shown)

    def _details(self) -> list[dict[str, object]]:
        return [
            {
                "position": order.position,
                "state": str(order.state),
                "code": error.code,
                "message": error.message,
                "idempotency_key": order.idempotency_key,
                "order_id": order.order_id,
            }
            for order, error in self.troubles
        ]
