"""`batch export`: writes the results of a batch again, in any output format."""

from pathlib import Path

from runa_cli.app.batches import find
from runa_cli.app.confirm import confirm_account
from runa_cli.app.journal import note_links_read
from runa_cli.app.session import Session
from runa_cli.core.errors import Context, Money
from runa_cli.core.safe_text import printable
from runa_cli.core.states import UNFINISHED, State
from runa_cli.issuing.guard import check_not_pruned
from runa_cli.output import batch_formats, results_file


def export(session: Session, name: str, results: Path | None, *, yes: bool) -> None:
    """Write the recorded results of a batch, finished or not, and to the file `results` too.

    Raises InputError, GuardRefused, OutputFailed, and UsageMistake or ConfigurationError for a file that cannot be.
    """
    if results is not None:
        results_file.check_writable(results)
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
    if results is not None:
        results_file.write_results(
            results,
            batch_formats.result_rows(session.ledger, batch),
            batch.columns,
            batch.dialect,
            hint="Nothing of the batch has changed: name another file.",
            context=session.output.context,
            money=session.output.money,
        )
        session.console.say(f"Results: {printable(str(results))}")
    if not tally.any(*UNFINISHED):
        session.ledger.mark_shown(batch, session.clock.now())
