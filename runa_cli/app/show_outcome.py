"""What runs came to: the results written where they were asked for, noted as shown, and the errors raised.

Where the output breaks too, the run's own error is raised, for it tells what became of the money.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from runa_cli.app.session import Session
from runa_cli.core.errors import Context, LedgerUnusable, Money, OutputFailed, RunaError
from runa_cli.issuing.outcome import BatchRun
from runa_cli.issuing.terms import Progress
from runa_cli.ledger.records import Batch, Order
from runa_cli.output import batch_formats, results_file
from runa_cli.output.stdout import Output


class LinesAsSettled:
    """Writes every order as a line of JSON when it settles, and passes the news on.

    Where a line cannot be written, the sending goes on undisturbed; what failed is raised with the result.
    """

    def __init__(self, progress: Progress, output_: Output) -> None:
        self._output = output_
        self._progress = progress
        self._lock = threading.Lock()
        self._failed = False
        self.begin, self.waiting, self.end = progress.begin, progress.waiting, progress.end

    def settled(self, order: Order) -> None:
        """Write the order."""
        with self._lock:
            if not self._failed:
                try:
                    batch_formats.show_order_line(self._output, order)
                except OutputFailed:
                    self._failed = True
        self._progress.settled(order)

    def check(self) -> None:
        """Raise OutputFailed if a line could not be written."""
        if self._failed:
            raise self._output.failed("not every order could be written when it settled")


def show(session: Session, run: BatchRun, *, results: Path | None = None, lines: LinesAsSettled | None = None) -> None:
    """Write the result of a run, note that it was written, and raise what the run stands for."""
    out, ledger, verdict = session.output, session.ledger, run.verdict()
    out.context = Context(batch=run.batch.name)
    _stand_for(out, verdict, f"`runa batch export {run.batch.name}` shows it.")
    broken = _tried(out, lines.check if lines else lambda: batch_formats.show_batch(out, ledger, run.batch))
    if results is not None:
        unwritten = _tried(out, lambda: results_file.write_results(results, ledger, run.batch, out.money))
        broken = broken or unwritten
    _end(session, [run], verdict, broken)


def show_together(
    session: Session, batches: Sequence[Batch], runs: Sequence[BatchRun], verdict: RunaError | None
) -> None:
    """Write the recorded results of batches that were taken up in runs, and raise what all of these stand for."""
    out = session.output
    _stand_for(out, verdict, "`runa batch export NAME` shows it, batch by batch.")
    _end(session, runs, verdict, _tried(out, lambda: batch_formats.show_batches(out, session.ledger, batches)))


def _stand_for(out: Output, verdict: RunaError | None, where: str) -> None:
    """Let the output say what became of the money where it fails."""
    out.hint = f"What is issued is recorded: {where}"
    out.money = verdict.money if verdict else Money.ISSUED
    out.asks = False


def _tried(out: Output, write: Callable[[], None]) -> OutputFailed | None:
    """Write, and return what failed."""
    try:
        write()
    except OutputFailed as error:
        return error
    except LedgerUnusable as error:
        return OutputFailed(
            f"The results could not be read again: {error.message}", out.hint, out.context, money=out.money
        )
    return None


def _end(session: Session, runs: Sequence[BatchRun], verdict: RunaError | None, broken: OutputFailed | None) -> None:
    for run in runs:
        if broken is None and not run.may_grow:
            try:
                session.ledger.mark_shown(run.batch, session.clock.now())
            except LedgerUnusable as error:
                session.talk.warn(f"{error.message} The result is shown and recorded all the same.")
    if verdict is not None and broken is not None:
        session.talk.warn(broken.message)
    if verdict is not None or broken is not None:
        raise verdict or broken or AssertionError
