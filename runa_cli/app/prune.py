"""`batch prune`: deletes the payloads, addresses and links of old settled batches."""

import shlex
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import Struct

from runa_cli.app.batches import active_environment, find_active
from runa_cli.app.changes import show_changes
from runa_cli.app.confirm import confirm
from runa_cli.app.session import Session
from runa_cli.core.errors import BatchBusy, Context, GuardRefused, RunaError
from runa_cli.core.money import counted, format_gifts
from runa_cli.core.states import State
from runa_cli.issuing.failures import busy
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Settled

_T = TypeVar("_T")


class _Pruning(Struct, frozen=True):
    """Prunes batches that settled before a time."""

    ledger: Ledger
    before: datetime
    days: int

    def check(self, batch: Batch) -> None:
        """Check that a batch may be pruned. Raises GuardRefused."""
        batch, tally = self.ledger.batch_by_id(batch.id), self.ledger.tally(batch)
        if batch.pruned_at is not None:
            raise _kept(batch.name, f"was pruned already, on {batch.pruned_at:%Y-%m-%d}", code="pruned")
        if self.ledger.has_unfinished(batch):
            raise _kept(
                batch.name,
                "is unfinished",
                f"`runa batch resume {shlex.quote(batch.name)}` finishes it.",
                code="unfinished",
            )
        if tally.settled_at is None or tally.settled_at >= self.before:
            raise _kept(
                batch.name, f"settled less than {self.days} days ago", "See --older-than.", code="not_old_enough"
            )
        if tally.any(State.COMPLETED) and not tally.was_shown(batch):
            raise _not_shown(batch.name)

    def settled(self, environment: str, kept: list[RunaError]) -> Iterator[Settled]:
        """Yield the batches that may be pruned, and add to `kept` why old settled ones may not."""
        for batch in self.ledger.settled_before(environment, self.before):
            if batch.is_shown:
                yield batch
            else:
                kept.append(_not_shown(batch.name))

    def named(self, batch: Batch, kept: list[RunaError]) -> Iterator[Settled]:
        """Yield the batch if it may be pruned, or else add to `kept` why it may not."""
        if _may(self.check, batch, kept):
            items = sum(self.ledger.tally(batch).items.values())
            yield Settled(batch.id, batch.name, items, is_shown=True)

    def prune(self, batch_id: int, now: datetime) -> None:
        """Prune a batch under its claim. Raises BatchBusy, or GuardRefused where it may not be pruned any more."""
        batch = self.ledger.batch_by_id(batch_id)
        if not self.ledger.claim(batch):
            raise busy(
                self.ledger, batch, "It was not pruned.", "Wait until it has ended, then run the same command again."
            )
        try:
            self.ledger.prune(batch, check=lambda: self.check(batch), now=now)
        finally:
            self.ledger.release(batch)


def prune(session: Session, name: str | None, *, older_than: int, yes: bool) -> None:
    """Delete the payloads, addresses and links of batches that settled more than `older_than` days ago.

    Only batches of the active environment whose links were shown are pruned. The ledger still knows that the gifts were
    issued, so they are not issued again. Raises InputError, ConfigurationError, GuardRefused without a yes; for a batch
    that was named also GuardRefused and BatchBusy where it cannot be pruned.
    """
    environment = active_environment(session)
    ledger = session.ledger
    pruning = _Pruning(ledger, session.clock.now() - timedelta(days=older_than), older_than)
    named = find_active(session, name) if name is not None else None
    kept: list[RunaError] = []
    batches = [*pruning.settled(environment, kept)] if named is None else [*pruning.named(named, kept)]
    pruned: list[Settled] = []
    if batches:
        question = f"Delete the links and addresses of {counted(len(batches), 'batch', 'batches')} in {environment}?"
        confirm(session, f"{question} They cannot be shown again", yes=yes)
        pruned = [
            batch
            for batch in batches
            if _may(lambda batch_id: pruning.prune(batch_id, session.clock.now()), batch.batch_id, kept)
        ]
    if pruned and (still_there := ledger.erase_deleted()):
        session.console.warn(still_there)
    if named and kept and kept[0].code in _REFUSED_BY_NAME:
        raise kept[0]
    _show(session, environment, pruned, [error for error in kept if named or error.code in _WORTH_TELLING], older_than)


_WORTH_TELLING = {"not_shown", BatchBusy.default_code}  # the others are not what was asked for
_REFUSED_BY_NAME = {"not_shown", "unfinished", BatchBusy.default_code}


def _may(action: Callable[[_T], None], batch: _T, kept: list[RunaError]) -> bool:
    """Do something with a batch or its id. Returns False, and adds the error to `kept`, where that is refused."""
    try:
        action(batch)
    except (GuardRefused, BatchBusy) as error:
        kept.append(error)
        return False
    return True


def _kept(batch: str, reason: str, hint: str | None = None, *, code: str) -> GuardRefused:
    return GuardRefused(f"Batch {batch} was not pruned: it {reason}.", hint, Context(batch=batch), code=code)


def _not_shown(batch: str) -> GuardRefused:
    return _kept(
        batch,
        "has links that were never shown",
        f"`runa batch export {shlex.quote(batch)}` shows them; after that it can be pruned.",
        code="not_shown",
    )


def _show(session: Session, environment: str, pruned: list[Settled], kept: list[RunaError], days: int) -> None:
    sentences = [" ".join(filter(None, (error.message, error.hint))) for error in kept]
    if pruned:
        sentences.append(
            f"{counted(len(pruned), 'batch', 'batches')} pruned: {format_gifts(sum(batch.items for batch in pruned))}."
        )
    elif not kept:
        sentences.append(f"No settled batch is older than {days} days.")
    document = {
        "pruned": [{"batch": batch.name, "environment": environment, "items": batch.items} for batch in pruned],
        "kept": [{"batch": error.context.batch, "code": error.code, "reason": error.message} for error in kept],
    }
    show_changes(session, document, sentences)
