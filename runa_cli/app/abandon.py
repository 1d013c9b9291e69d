"""`batch abandon`: gives up the orders of unknown outcome in a batch."""

from runa_cli.app.batches import find
from runa_cli.app.confirm import confirm
from runa_cli.app.session import Session
from runa_cli.core.errors import BatchBusy, Context
from runa_cli.core.states import State


def abandon(session: Session, name: str, *, yes: bool) -> None:
    """Give up the orders of unknown outcome in a batch. Raises GuardRefused without a yes."""
    batch = find(session, name)
    if not session.ledger.claim(batch):
        raise BatchBusy(f"Another process works on batch {name} right now.", context=Context(batch=name))
    doubtful = list(session.ledger.orders(batch, [State.SENT, State.PREPARED]))
    if not doubtful:
        session.talk.say(f"Batch {name} has no order of unknown outcome; nothing to give up.")
        return
    gifts = sum(order.item_count for order in doubtful)
    question = (
        f"Give up {len(doubtful)} order(s) with {gifts} gift(s) of batch {name}? They may have been issued; their links"
        " will not be fetched any more"
    )
    confirm(session, question, yes=yes, about=Context(batch=name))
    for order in doubtful:
        session.ledger.mark_abandoned(order, session.clock.now())
    session.talk.say(f"{len(doubtful)} order(s) of batch {name} are given up.")
