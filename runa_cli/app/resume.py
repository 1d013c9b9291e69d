"""`batch resume`: what is unfinished in one batch or in all is settled, and the results are shown."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from runa_cli.app import show_outcome
from runa_cli.app.batches import find
from runa_cli.app.session import Session
from runa_cli.core.errors import (
    Context,
    GuardRefused,
    Interrupted,
    Money,
    OutcomeUnknown,
    PartlyDone,
    RunaError,
    UsageMistake,
)
from runa_cli.core.states import UNFINISHED, State
from runa_cli.issuing.issuer import Issuer
from runa_cli.issuing.outcome import BatchRun
from runa_cli.ledger.records import Batch


@dataclass(frozen=True)
class _Ending:
    """How taking up one of several batches ended; without a run where it was refused."""

    run: BatchRun | None
    trouble: RunaError | None

    @property
    def money(self) -> Money:
        return self.trouble.money if self.trouble else Money.ISSUED

    @property
    def interrupted(self) -> bool:
        return isinstance(self.trouble, Interrupted) or (self.run is not None and self.run.interrupted)


def resume(session: Session, name: str | None, *, every: bool, yes: bool) -> None:
    """Settle what is unfinished in one batch or in all, and show the results. Raises what the runs stand for."""
    if every == (name is not None):
        raise UsageMistake("Say which batch to resume, or --all.")
    session.checked()
    if name is None:
        _resume_all(session, yes=yes)
        return
    batch = find(session, name)
    if batch.environment != session.environment:
        raise GuardRefused(
            f"Batch {name} is in {batch.environment}, and this is {session.environment}.",
            f"Add --env {batch.environment} (with its key).",
            Context(batch=name),
            code="other_environment",
        )
    with _taken_up(session, session.issuer(), batch, yes=yes) as run:
        show_outcome.show(session, run)


@contextmanager
def _taken_up(session: Session, issuer: Issuer, batch: Batch, *, yes: bool) -> Iterator[BatchRun]:
    with issuer.claimed(batch):
        issuer.confirm_key(batch, session.settings.account, yes=yes)
        issuer.confirm_sending(batch, [State.PREPARED], session.settings.account, yes=yes)
        yield issuer.send(batch)


def _resume_all(session: Session, *, yes: bool) -> None:
    ledger, issuer = session.ledger, session.issuer()
    batches = [
        batch
        for batch in ledger.batches(session.environment, oldest_first=True)
        if ledger.tally(batch).any(*UNFINISHED)
    ]
    if not batches:
        session.talk.say("Nothing is unfinished.")
    endings: list[_Ending] = []
    for batch in batches:
        if endings and endings[-1].interrupted:
            endings.append(_Ending(None, BatchRun(batch, ledger.tally(batch), interrupted=True).verdict()))
        else:
            endings.append(_ending(session, issuer, batch, yes=yes))
    runs = [ending.run for ending in endings if ending.run]
    show_outcome.show_together(session, batches, runs, _verdict(endings))


def _ending(session: Session, issuer: Issuer, batch: Batch, *, yes: bool) -> _Ending:
    run = None
    try:
        with _taken_up(session, issuer, batch, yes=yes) as run:
            trouble = run.verdict()
    except RunaError as error:
        trouble = error
    if trouble is not None and batch.name not in trouble.message:
        trouble.message = f"Batch {batch.name}: {trouble.message}"
    return _Ending(run, trouble)


def _verdict(endings: Sequence[_Ending]) -> RunaError | None:
    """Return the one error that stands for the runs over several batches; None when all of them are finished."""
    troubles = [ending.trouble for ending in endings if ending.trouble]
    if any(isinstance(trouble, Interrupted) for trouble in troubles):
        return _interrupted(troubles, endings)
    if len(endings) == 1 or not troubles:
        return troubles[0] if troubles else None
    first, money = troubles[0], _together(endings)
    sentences = "\n".join(f"  {trouble.message}" for trouble in troubles)
    if len(troubles) == len(endings) and len({trouble.exit_code for trouble in troubles}) == 1:
        return type(first)(sentences.lstrip(), first.hint, code=first.code, money=money)
    kind = PartlyDone if money is Money.PARTIAL else OutcomeUnknown
    return kind(
        f"{len(troubles)} of {len(endings)} batches are not finished:\n{sentences}",
        "Run the same command again; what needs a yes takes --yes.",
        money=money,
    )


def _interrupted(troubles: Sequence[RunaError], endings: Sequence[_Ending]) -> RunaError:
    unknown = any(ending.money is Money.UNKNOWN for ending in endings)
    money = Money.UNKNOWN if unknown else _together(endings)
    if len(troubles) == 1:
        return replace(troubles[0], money=money)
    told = [f"  {trouble.message.removeprefix('Interrupted. ')}" for trouble in troubles]
    return Interrupted(
        "\n".join(["Interrupted.", *told]),
        "The state is saved. Run the same command again to finish them.",
        money=money,
    )


def _together(endings: Sequence[_Ending]) -> Money:
    """Return what became of the money of several batches."""
    each = {ending.money for ending in endings}
    if each & {Money.ISSUED, Money.PARTIAL}:
        return Money.ISSUED if each == {Money.ISSUED} else Money.PARTIAL
    return Money.UNKNOWN if Money.UNKNOWN in each else Money.NOT_ISSUED
