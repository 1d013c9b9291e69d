"""How orders are sent, and who is told of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from runa_cli.api.retry import REMOTE, Pace
from runa_cli.core.errors import RunaError
from runa_cli.ledger.records import Batch, Order, Tally

Say = Callable[[str], None]


class Progress(Protocol):
    """Is told what happens to the orders of a batch; by several threads."""

    def begin(self, batch: Batch, tally: Tally) -> None:
        """Hear what is ahead."""

    def end(self, tally: Tally) -> None:
        """Hear where the batch stands now."""

    def settled(self, order: Order) -> None:
        """Hear that an order is as far as this run takes it."""

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Hear that an order waits before it goes on."""


@dataclass(frozen=True)
class Terms:
    """How orders are sent. `timeout` is in seconds, over all attempts of one order."""

    timeout: float = 120.0
    wait: bool = True
    pace: Pace = REMOTE


@dataclass(frozen=True)
class FlowResult:
    """How far an order got in this run, and what keeps it from going further."""

    order: Order
    trouble: RunaError | None = None


Ask = Callable[[str], bool]
