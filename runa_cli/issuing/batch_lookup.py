"""Looks through Runa's orders for those of a batch whose name is new to the ledger.

Runa's list has no filters and no metadata, so every order that this ledger does not know is fetched for its stamp,
those with the batch's name as their description first (developer.runa.io: reference/2024-02-05/endpoint/orders/list).
What cannot be looked through is an error: nothing may be sent on the belief that nothing was issued.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct

from runa_cli.api import responses
from runa_cli.api.classify import Answered, Reply
from runa_cli.api.client import Client
from runa_cli.api.retry import poll_wait
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import Unreachable
from runa_cli.core.identity import name_key
from runa_cli.issuing.order_pages import order_pages, recent_pages
from runa_cli.issuing.parallel_reads import read_each
from runa_cli.issuing.terms import Say

MOST_NAMED = 3  # orders in a message
MANY = 50  # orders whose reading takes so long that it is said


class FoundOrder(NamedTuple):
    """A settled order at Runa. Its document is packed, because a batch may have hundreds of them."""

    id: str
    status: str
    stamp: str | None
    batch_stamp: str | None
    created: datetime
    settled: datetime
    packed: bytes

    @property
    def document(self) -> bytes:
        """The order as Runa shows it."""
        return zlib.decompress(self.packed)


class BatchLookup(Struct):
    """Looks through the orders of the last `days` days for those of the batch `name`, for at most `seconds`.

    `is_known` tells of an order id whether the ledger has it: such an order belongs to another batch.
    """

    client: Client
    name: str
    days: int
    seconds: float
    is_known: Callable[[str], bool]
    say: Say
    clock: Clock = REAL
    _deadline: float = 0  # by the clock; set when it is made

    def __post_init__(self) -> None:
        """Start the time limit."""
        self._deadline = self.clock.seconds() + self.seconds

    def find(self, matches: Callable[[responses.Order], bool]) -> list[FoundOrder]:
        """Return the orders of the batch, the oldest first. `matches` tells whether a settled order is one of them.

        Raises Unreachable, CredentialRefused or RequestRefused.
        """
        described, others = list[str](), list[str]()
        for entry in self._recent():
            order_id = str(entry["id"])
            if not self.is_known(order_id):
                (described if self._is_named(entry.get("description")) else others).append(order_id)
        unread = [*described, *others]
        if len(unread) > MANY:
            self.say(f"Looking through {len(unread):,} orders at Runa for batch {self.name}.")
        found, bare = list[FoundOrder](), list[str]()
        for answer in read_each(unread, self._read):
            if matches(answer.order):
                found.append(found_order(answer))
            elif is_bare(answer.order):
                bare.append(answer.order.id)
        if bare:
            self._say_what_cannot_be_told(bare)
        return sorted(found, key=lambda order: order.created)

    def _say_what_cannot_be_told(self, failed: Sequence[str]) -> None:
        """Name orders that may be the batch's. Nothing was issued by them, so they keep nothing from being sent."""
        ids = ", ".join(failed[:MOST_NAMED]) + (", …" if len(failed) > MOST_NAMED else "")
        self.say(
            f"Note: Runa reports {ids} as FAILED, and does not show whose they are. If one is of batch {self.name}, its"
            " gifts are issued anew."
        )

    def _is_named(self, text: object) -> bool:
        return isinstance(text, str) and name_key(text) == name_key(self.name)

    # --- the list ------------------------------------------------------------------------------------------------

    def _recent(self) -> Iterator[dict[str, Any]]:
        """Yield the entries of the list that are not certainly too old."""
        age = timedelta(days=self.days)
        pages = ((page, self._time(reply) - age) for page, reply in order_pages(self.client, self._seconds_left))
        for page in recent_pages(pages):
            yield from page

    def _time(self, reply: Reply) -> datetime:
        """Return the time: the earlier of Runa's clock and this machine's."""
        return min(self.clock.now(), reply.date or reply.received)

    # --- single orders -------------------------------------------------------------------------------------------

    def _read(self, order_id: str) -> Answered:
        """Return an order once it is settled, for until then Runa may not show whose it is."""
        poll = 0
        while True:
            answer = self.client.read_order(order_id, seconds=self._seconds_left())
            order = answer.order
            is_anothers = order.batch_stamp is not None and not self._is_named(order.batch_stamp)
            if is_anothers or order.status != "PROCESSING":
                return answer
            poll += 1
            pause = poll_wait(poll)
            if pause >= self._seconds_left():
                raise Unreachable(
                    f"Order {order_id} is still processing, and Runa does not show yet whose it is.",
                    code="still_processing",
                )
            self.clock.sleep(pause)

    def _seconds_left(self) -> float:
        left = self._deadline - self.clock.seconds()
        if left <= 0:
            raise Unreachable(
                f"The time limit of {self.seconds:g} s was reached before all of them were read.",
                "A longer --timeout, or fewer days in RUNA_LOOK_BACK, may help.",
                code="lookup_too_long",
            )
        return left


def is_bare(order: responses.Order) -> bool:
    """Tell whether a FAILED order shows nothing of what was ordered."""
    return order.status == "FAILED" and order.items is None and order.metadata is None


def found_order(answer: Answered) -> FoundOrder:
    """Return a settled order as it is kept until it is recorded."""
    order, reply = answer.order, answer.reply
    created = order.created or reply.received
    return FoundOrder(
        id=order.id,
        status=order.status,
        stamp=order.stamp,
        batch_stamp=order.batch_stamp,
        created=created,
        settled=min(order.completed or created, reply.received),  # on this machine's clock it has settled by now
        packed=zlib.compress(reply.body, 1),
    )
