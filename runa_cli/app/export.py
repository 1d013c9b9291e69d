"""`batch export`: writes the results of a batch again, in any output format."""

from runa_cli.app.batches import find
from runa_cli.app.confirm import confirm_account
from runa_cli.app.journal import note_links_read
from runa_cli.app.session import Session
from runa_cli.core.errors import Context, Money
from runa_cli.core.states import UNFINISHED, State
from runa_cli.issuing.guard import check_not_pruned
from runa_cli.output import batch_formats


def export(session: Session, name: str, *, yes: bool) -> None:
    """Write the recorded results of a batch, finished or not. Raises InputError, GuardRefused or OutputFailed."""
    batch = find(session, name)
    check_not_pruned(batch)
    confirm_account(session, batch, yes=yes)
    for order in batch_formats.unmatched_orders(session.ledger, batch):
        session.console.warn(f"Order {order.order_id}: {order.error_text}, shown at the end as rows of their own.")
    tally = session.ledger.tally(batch)
    session.output.context = Context(batch=name)
    session.output.money = Money.ISSUED if tally.any(State.COMPLETED) else Money.NOT_ISSUED
    note_links_read(session, "batch export", batch.environment, batch.name)
    batch_formats.show_batch(session.output, session.ledger, batch)
    if not tally.any(*UNFINISHED):
        session.ledger.mark_shown(batch, session.clock.now())
