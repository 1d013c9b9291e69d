"""`batch resume`: settles what is unfinished in one batch or in all, and shows the results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from msgspec import Struct

from runa_cli.app import show_outcome
from runa_cli.app.batches import find_active
from runa_cli.app.session import Session
from runa_cli.core.errors import (
    Interrupted,
    Money,
    OutcomeUnknown,
    PartlyDone,
    RunaError,
    UsageMistake,
)
from runa_cli.core.garbage import collect_often
from runa_cli.core.states import State
from runa_cli.issuing.guard import check_not_pruned
from runa_cli.issuing.issued_since import check_to_resume
from runa_cli.issuing.issuer import Issuer
from runa_cli.issuing.outcome import BatchRun
from runa_cli.ledger.records import Batch


def resume(session: Session, name: str | None, *, all_batches: bool, yes: bool) -> None:
    """Settle what is unfinished in one batch or in all, and show the results. Raises the error of the runs."""
    if all_batches == (name is not None):
        raise UsageMistake("Name the batch to resume, or use --all.")
    session.checked()
    collect_often()
    if name is None:
        _resume_all(session, yes=yes)
        return
    lines = show_outcome.lines_as_settled(session)
    issuer = session.issuer(progress=lines)
    with issuer.balances.after(), _resumed(session, issuer, find_active(session, name), yes=yes) as run:
        show_outcome.show(session, run, lines=lines)


@contextmanager
def _resumed(session: Session, issuer: Issuer, batch: Batch, *, yes: bool) -> Iterator[BatchRun]:
    """Resume a batch, and hold the claim on it until its result is shown."""
    with issuer.claimed(batch):
        check_not_pruned(session.ledger.batch_by_id(batch.id))
        issuer.check_cap(batch, session.settings.max_total.value)
        issuer.check_approved(batch)
        weighing = issuer.policy.check_unsent(batch)
        issuer.confirm_key(batch, yes=yes)
        check_to_resume(
            issuer.client,
            issuer.ledger,
            batch,
            session.settings.look_back.value,
            seconds=issuer.terms.timeout,
            say=issuer.say,
            clock=issuer.clock,
        )
        issuer.confirm_sending(batch, [State.PREPARED], weighing, yes=yes or batch.environment != "live")
        yield issuer.send(batch)


# --- all batches -----------------------------------------------------------------------------------------------------


class Result(Struct, frozen=True):
    """What became of one of several batches. It has no run where the batch was not worked on."""

    run: BatchRun | None
    error: RunaError | None

    @property
    def money(self) -> Money:
        """What became of the money."""
        return self.error.money if self.error else Money.ISSUED

    @property
    def interrupted(self) -> bool:
        """Whether no further batch may be started."""
        return isinstance(self.error, Interrupted) or (self.run is not None and self.run.interrupted)


def _resume_all(session: Session, *, yes: bool) -> None:
    lines = show_outcome.lines_as_settled(session)
    ledger, issuer = session.ledger, session.issuer(progress=lines)
    batches = ledger.unfinished_batches(session.environment)
    if not batches:
        session.console.say("Nothing is unfinished.")
    results: list[Result] = []
    for batch in batches:
        if results and results[-1].interrupted:
            results.append(Result(None, BatchRun(batch, ledger.tally(batch), interrupted=True).error()))
            continue
        try:
            results.append(_resume_one(session, issuer, batch, yes=yes))
        except KeyboardInterrupt:  # between two orders, when none is in flight
            run = BatchRun(batch, ledger.tally(batch), interrupted=True)
            results.append(Result(run, run.error()))
    runs = [result.run for result in results if result.run]
    with issuer.balances.after():
        show_outcome.show_together(session, batches, runs, combined_error(results), lines)


def _resume_one(session: Session, issuer: Issuer, batch: Batch, *, yes: bool) -> Result:
    run = None
    try:
        with _resumed(session, issuer, batch, yes=yes) as run:
            error = run.error()
    except RunaError as raised:
        error = raised
    return named_result(batch, run, error)


def named_result(batch: Batch, run: BatchRun | None, error: RunaError | None) -> Result:
    """Return the result of one of several batches; its error names the batch."""
    if error is not None and batch.name not in error.message:
        error.message = f"Batch {batch.name}: {error.message}"
    return Result(run, error)


def combined_error(results: Sequence[Result]) -> RunaError | None:
    """Return the one error of several batches; None when all of them are finished."""
    errors = [result.error for result in results if result.error]
    if any(isinstance(error, Interrupted) for error in errors):
        return _interrupted(errors, results)
    if len(results) == 1 or not errors:
        return errors[0] if errors else None
    first, money = errors[0], _combined_money(results)
    messages = "\n".join(f"  {error.message}" for error in errors)
    if len(errors) == len(results) and len({error.exit_code for error in errors}) == 1:
        return type(first)(messages.lstrip(), first.hint, code=first.code, money=money)
    error_type = PartlyDone if money is Money.PARTIAL else OutcomeUnknown
    return error_type(
        f"{len(errors)} of {len(results)} batches are not finished:\n{messages}",
        "Run the same command again; add --yes for those that need a confirmation.",
        money=money,
    )


def _interrupted(errors: Sequence[RunaError], results: Sequence[Result]) -> RunaError:
    unknown = any(result.money is Money.UNKNOWN for result in results)
    money = Money.UNKNOWN if unknown else _combined_money(results)
    if len(errors) == 1:
        return replace(errors[0], money=money)
    messages = [f"  {error.message.removeprefix('Interrupted. ')}" for error in errors]
    return Interrupted(
        "\n".join(["Interrupted.", *messages]),
        "The state is saved. Run the same command again to finish them.",
        money=money,
    )


def _combined_money(results: Sequence[Result]) -> Money:
    """Return what became of the money of several batches."""
    outcomes = {result.money for result in results}
    if outcomes & {Money.ISSUED, Money.PARTIAL}:
        return Money.ISSUED if outcomes == {Money.ISSUED} else Money.PARTIAL
    return Money.UNKNOWN if Money.UNKNOWN in outcomes else Money.NOT_ISSUED
