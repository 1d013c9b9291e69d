"""`batch prune`: drops the payloads, addresses and links of old settled batches."""

from datetime import datetime, timedelta

from runa_cli.app.batches import asked_environment, find
from runa_cli.app.confirm import confirm
from runa_cli.app.session import Session
from runa_cli.core.states import UNFINISHED
from runa_cli.ledger.records import Tally


def prune(session: Session, name: str | None, *, older_than: int, yes: bool) -> None:
    """Drop the payloads, addresses and links of settled batches. Raises GuardRefused without a yes.

    `older_than` is in days. That the batches were issued stays known, so nothing is issued again because of it.
    """
    ledger = session.ledger
    limit = session.clock.now() - timedelta(days=older_than)
    batches = [find(session, name)] if name is not None else list(ledger.batches(asked_environment(session)))
    old = [batch for batch in batches if batch.pruned_at is None and _settled_before(ledger.tally(batch), limit)]
    if not old:
        session.talk.say(f"No settled batch is older than {older_than} days.")
        return
    question = f"Drop the links and addresses of {len(old)} batch(es)? They cannot be shown again"
    confirm(session, question, yes=yes)
    for batch in old:
        ledger.prune(batch, session.clock.now())
    session.talk.say(f"{len(old)} batch(es) pruned.")


def _settled_before(tally: Tally, limit: datetime) -> bool:
    return not tally.any(*UNFINISHED) and tally.settled_at is not None and tally.settled_at < limit
