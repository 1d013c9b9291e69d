"""`batch abandon`: gives up the unfinished orders of a batch whose outcome is unknown."""

from runa_cli.app.batches import find_active
from runa_cli.app.changes import show_changes
from runa_cli.app.confirm import confirm
from runa_cli.app.session import Session
from runa_cli.core.errors import Context
from runa_cli.core.money import counted, format_gifts, plain_amount
from runa_cli.core.states import State
from runa_cli.issuing.failures import busy
from runa_cli.ledger.records import Batch, Order

_MAY_BE_ABANDONED = (State.SENT, State.PREPARED)


def abandon(session: Session, name: str, *, yes: bool) -> None:
    """Abandon the orders of unknown outcome, and those not sent yet, in a batch of the active environment.

    Raises InputError, ConfigurationError, BatchBusy, or GuardRefused without a yes.
    """
    batch = find_active(session, name)
    ledger = session.ledger
    if not ledger.claim(batch):
        raise busy(ledger, batch, "Nothing was abandoned.", "Wait until it has ended.")
    orders = list(ledger.orders(batch, _MAY_BE_ABANDONED))
    if orders:
        gifts = format_gifts(sum(order.item_count for order in orders))
        question = (
            f"Abandon {counted(len(orders), 'order')} with {gifts} of batch {batch.name} in {batch.environment}? "
            + (
                "They may have been issued; their links will not be fetched any more"
                if any(order.first_sent_at for order in orders)
                else "They were never sent"
            )
        )
        confirm(session, question, yes=yes, about=Context(batch=batch.name))
        orders = ledger.mark_abandoned(orders, session.clock.now())
    _show(session, batch, orders)


def _show(session: Session, batch: Batch, orders: list[Order]) -> None:
    document = {
        "batch": batch.name,
        "environment": batch.environment,
        "abandoned": [
            {
                "position": order.position,
                "idempotency_key": order.idempotency_key,
                "items": order.item_count,
                "total": plain_amount(order.total, order.currency),
                "currency": order.currency,
                "sent": order.first_sent_at is not None,
            }
            for order in orders
        ],
    }
    gifts = format_gifts(sum(order.item_count for order in orders))
    verb = "is" if len(orders) == 1 else "are"
    sentence = (
        f"Of batch {batch.name}, {counted(len(orders), 'order')} {verb} abandoned: {gifts}."
        if orders
        else f"Batch {batch.name} has no order that is unsent or of unknown outcome; there is nothing to abandon."
    )
    show_changes(session, document, [sentence])
