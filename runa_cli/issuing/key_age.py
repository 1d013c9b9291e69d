"""Tells when Runa may have forgotten an idempotency key, so that the same order would be issued again."""

from datetime import datetime, timedelta

from runa_cli.issuing.origin import MAX_CLOCK_ERROR
from runa_cli.ledger.records import Order

# Runa forgets a key after 30 days (developer.runa.io: best-practices/idempotency). One day less, because clocks
# disagree.
KEY_LIFETIME = timedelta(days=29)


def may_be_forgotten(order: Order, now: datetime) -> bool:
    """Tell whether Runa may have forgotten the key of an order.

    Its age counts from when it was recorded, because from then on the same order may have been sent from elsewhere. A
    recorded time that lies in the future was written by a wrong clock: the age is unknown.
    """
    times = filter(None, (order.prepared_at, order.first_sent_at))
    return any(not -MAX_CLOCK_ERROR < now - time < KEY_LIFETIME for time in times)
