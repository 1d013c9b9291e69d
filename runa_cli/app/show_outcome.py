"""Shows what runs came to: writes the results, records that they were shown, and raises the runs' error.

Where writing fails too, the run's own error is raised, because it says what became of the money.
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
    """Progress that writes each order as a line of JSON when it settles, and passes every call on to `progress`.

    A line that cannot be written does not stop the sending; `check` raises the error afterwards.
    """

    def __init__(self, progress: Progress, output: Output) -> None:
        self._progress = progress
        self._output = output
        self._lock = threading.Lock()
        self._failed = False
        self.begin, self.waiting, self.end = progress.begin, progress.waiting, progress.end

    def settled(self, order: Order) -> None:
        """Write the order, unless an earlier line could not be written."""
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
            raise self._output.failure("not every order could be written when it settled")


def show(session: Session, run: BatchRun, *, results: Path | None = None, lines: LinesAsSettled | None = None) -> None:
    """Write the result of a run, and to the file `results` too, and raise the run's error.

    `lines` has written the orders already, so only its own error is left to raise.
    """
    output, ledger, error = session.output, session.ledger, run.error()
    output.context = Context(batch=run.batch.name)
    _prepare_output(output, error, f"`runa batch export {run.batch.name}` shows it.")
    output_error = _catch_output_error(
        output, lines.check if lines else lambda: batch_formats.show_batch(output, ledger, run.batch)
    )
    if results is not None:
        file_error = _catch_output_error(
            output, lambda: results_file.write_results(results, ledger, run.batch, output.money)
        )
        output_error = output_error or file_error
    _finish(session, [run], error, output_error)


def show_together(
    session: Session, batches: Sequence[Batch], runs: Sequence[BatchRun], error: RunaError | None
) -> None:
    """Write the recorded results of several resumed batches, and raise the one error of their runs."""
    output = session.output
    _prepare_output(output, error, "`runa batch export NAME` shows it, batch by batch.")
    output_error = _catch_output_error(output, lambda: batch_formats.show_batches(output, session.ledger, batches))
    _finish(session, runs, error, output_error)


def _prepare_output(output: Output, error: RunaError | None, way_out: str) -> None:
    """Set what the output's error says about the money, should writing fail."""
    output.hint = f"What is issued is recorded: {way_out}"
    output.money = error.money if error else Money.ISSUED
    output.allow_broken_pipe = False


def _catch_output_error(output: Output, write: Callable[[], None]) -> OutputFailed | None:
    """Write, and return the error instead of raising it."""
    try:
        write()
    except OutputFailed as error:
        return error
    except LedgerUnusable as error:
        return OutputFailed(
            f"The results could not be read from the ledger: {error.message}",
            output.hint,
            output.context,
            money=output.money,
        )
    return None


def _finish(
    session: Session, runs: Sequence[BatchRun], error: RunaError | None, output_error: OutputFailed | None
) -> None:
    """Record which batches were shown, and raise the run's error or else the output's."""
    for run in runs:
        if output_error is None and not run.may_change:
            try:
                session.ledger.mark_shown(run.batch, session.clock.now())
            except LedgerUnusable as unusable:
                session.console.warn(f"{unusable.message} The result is recorded and was shown nevertheless.")
    if error is not None and output_error is not None:
        session.console.warn(output_error.message)
    if to_raise := error or output_error:
        raise to_raise
