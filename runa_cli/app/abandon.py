"""`batch abandon`: gives up the unfinished orders of a batch whose outcome is unknown."""

from runa_cli.app.batches import find
from runa_cli.app.confirm import confirm
from runa_cli.app.session import Session
from runa_cli.core.errors import BatchBusy, Context
from runa_cli.core.states import State


def abandon(session: Session, name: str, *, yes: bool) -> None:
    """Abandon the orders of unknown outcome in a batch. Raises InputError, BatchBusy, or GuardRefused without a yes."""
    batch = find(session, name)
    if not session.ledger.claim(batch):
        raise BatchBusy(f"Another process is working on batch {name}.", context=Context(batch=name))
    orders = list(session.ledger.orders(batch, [State.SENT, State.PREPARED]))
    if not orders:
        session.console.say(f"Batch {name} has no order of unknown outcome; there is nothing to abandon.")
        return
    gifts = sum(order.item_count for order in orders)
    question = (
        f"Abandon {len(orders)} order(s) with {gifts} gift(s) of batch {name}? They may have been issued; their links"
        " will not be fetched any more"
    )
    confirm(session, question, yes=yes, about=Context(batch=name))
    for order in orders:
        session.ledger.mark_abandoned(order, session.clock.now())
    session.console.say(f"{len(orders)} order(s) of batch {name} are abandoned.")
