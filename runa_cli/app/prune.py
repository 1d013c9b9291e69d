"""`batch prune`: deletes the payloads, addresses and links of old settled batches."""

from datetime import datetime, timedelta

from runa_cli.app.batches import environment_from_flag, find
from runa_cli.app.confirm import confirm
from runa_cli.app.session import Session
from runa_cli.core.states import UNFINISHED
from runa_cli.ledger.records import Tally


def prune(session: Session, name: str | None, *, older_than: int, yes: bool) -> None:
    """Delete the payloads, addresses and links of batches that settled more than `older_than` days ago.

    The ledger still knows that the gifts were issued, so they are not issued again. Raises InputError, or GuardRefused
    without a yes.
    """
    ledger = session.ledger
    limit = session.clock.now() - timedelta(days=older_than)
    candidates = [find(session, name)] if name is not None else ledger.batches(environment_from_flag(session))
    batches = [batch for batch in candidates if batch.pruned_at is None and _settled_before(ledger.tally(batch), limit)]
    if not batches:
        session.console.say(f"No settled batch is older than {older_than} days.")
        return
    question = f"Delete the links and addresses of {len(batches)} batch(es)? They cannot be shown again"
    confirm(session, question, yes=yes)
    for batch in batches:
        ledger.prune(batch, session.clock.now())
    session.console.say(f"{len(batches)} batch(es) pruned.")


def _settled_before(tally: Tally, limit: datetime) -> bool:
    return not tally.any(*UNFINISHED) and tally.settled_at is not None and tally.settled_at < limit
