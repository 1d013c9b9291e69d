"""How orders are sent, and the interfaces for progress, messages and questions."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from runa_cli.api.retry import REMOTE, Pace
from runa_cli.ledger.records import Batch, Order, Tally

Say = Callable[[str], None]  # shows a sentence
Ask = Callable[[str], bool]  # asks a yes/no question


class Terms(NamedTuple):
    """How orders are sent. `timeout` is in seconds, over all attempts of one order."""

    timeout: float = 120.0
    wait: bool = True  # until the order settles; else only until Runa accepts it
    pace: Pace = REMOTE


class Progress(Protocol):
    """Receives what happens to the orders of a batch, from several threads."""

    def begin(self, batch: Batch, tally: Tally) -> None:
        """Receive the counts of the batch before the run."""

    def settled(self, order: Order) -> None:
        """Receive an order that this run has finished with, settled or not."""

    def waiting(self, order: Order, reason: str, seconds: float) -> None:
        """Receive why an order waits, and for how many seconds (0: unknown)."""

    def end(self, tally: Tally) -> None:
        """Receive the counts of the batch after the run."""
