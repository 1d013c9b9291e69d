"""Tells an order that was issued elsewhere, under the same key, from one that this run has just created.

Clocks differ and are changed, so this compares durations rather than times where it can: how old the order is by Runa's
clock, and how long ago this run first sent it.
"""

from datetime import datetime, timedelta

from runa_cli.api.classify import Reply
from runa_cli.ledger.records import Order

# How far two readings of the time may differ before they count as different: between two machines, where Runa's Date
# header has whole seconds, and on one machine.
CLOCK_TOLERANCE = timedelta(seconds=3)
SAME_CLOCK_TOLERANCE = timedelta(seconds=0.2)
# A recorded time that is further from the true one than this was written by a wrong clock.
MAX_CLOCK_ERROR = timedelta(days=1)


def was_issued_elsewhere(
    created: datetime, order: Order, reply: Reply, *, sent_for: float | None, same_clock: bool
) -> bool:
    """Tell whether an order certainly existed before this ledger recorded it.

    `created` is when Runa created it. `sent_for`: the seconds since this run sent it for the first time ever, on a
    clock that is never set; None where an earlier run may have sent it. `same_clock`: Runa's end runs on this machine.
    """
    if sent_for is None:  # the times of an earlier run are from a clock that may have been set since
        return created < order.prepared_at - MAX_CLOCK_ERROR and order.prepared_at <= reply.received
    served = reply.date
    clocks_agree = served is None or abs(served - reply.received) <= CLOCK_TOLERANCE
    if served is None and not same_clock:
        return False
    age = (reply.received if clocks_agree and same_clock else served or reply.received) - created
    tolerance = SAME_CLOCK_TOLERANCE if clocks_agree and same_clock else CLOCK_TOLERANCE
    return age > _longest_since_sent(order, reply, sent_for) + tolerance


def _longest_since_sent(order: Order, reply: Reply, sent_for: float) -> timedelta:
    """Return how long ago the order was first sent, at most: a monotonic clock stands still while a machine sleeps."""
    by_calendar = reply.received - order.first_sent_at if order.first_sent_at else timedelta(0)
    return max(timedelta(seconds=sent_for), by_calendar)
