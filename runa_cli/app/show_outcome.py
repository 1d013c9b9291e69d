"""Shows what runs came to: writes the results, records that they were shown, and raises the runs' error.

Where writing fails too, the run's own error is raised, because it says what became of the money.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from runa_cli.app.session import Session
from runa_cli.core.errors import Context, LedgerUnusable, Money, OutputFailed, RunaError
from runa_cli.issuing.outcome import BatchRun
from runa_cli.issuing.terms import Progress
from runa_cli.ledger.records import Batch, Order
from runa_cli.output import batch_formats, results_file
from runa_cli.output.stdout import Output

LONGEST_WRITE = 2.0  # seconds; a write that takes longer waits for a reader, perhaps forever


class LinesAsSettled:
    """Progress that writes each order with `write` when it settles, and passes every call on to `progress`.

    A line that cannot be written does not stop the sending; `finish` raises the error afterwards. No order is written
    twice.
    """

    def __init__(self, progress: Progress, output: Output, write: Callable[[Order], None]) -> None:
        self._progress = progress
        self._output = output
        self._write = write
        self._written: set[int] = set()
        self._lock = threading.Lock()
        self._failed = False
        self.begin, self.waiting, self.end = progress.begin, progress.waiting, progress.end

    def settled(self, order: Order) -> None:
        """Write the order, unless an earlier line could not be written."""
        with self._lock:
            self._write_once(order)
        self._progress.settled(order)

    def _write_once(self, order: Order) -> None:
        if self._failed or order.id in self._written:
            return
        self._written.add(order.id)
        try:
            self._write(order)
        except (OutputFailed, LedgerUnusable):
            self._failed = True

    def finish(self, orders: Iterable[Order]) -> None:
        """Write the orders that the run has not got to. Raises OutputFailed if a line could not be written.

        After a second Ctrl-C a thread may still be in the middle of a write that nobody reads: it is not waited for.
        """
        if not self._lock.acquire(timeout=LONGEST_WRITE):
            raise self._output.failure("a line is still being written")
        try:
            for order in orders:
                self._write_once(order)
        finally:
            self._lock.release()
        if self._failed:
            raise self._output.failure("not every order could be written when it settled")


def lines_as_settled(session: Session) -> LinesAsSettled | None:
    """Return what writes orders as they settle; None where the output's format shows them all at the end."""
    write = batch_formats.order_writer(session.output, session.ledger)
    return LinesAsSettled(session.progress(), session.output, write) if write else None


def show(session: Session, run: BatchRun, *, results: Path | None = None, lines: LinesAsSettled | None = None) -> None:
    """Write the result of a run, and to the file `results` too, and raise the run's error.

    `lines` has written the orders that settled already.
    """
    output, ledger, error = session.output, session.ledger, run.error()
    output.context = Context(batch=run.batch.name)
    _prepare_output(output, error, f"`runa batch export {run.batch.name}` shows it.")
    output_error = _catch_output_error(
        output,
        lambda: (
            lines.finish(ledger.orders(run.batch)) if lines else batch_formats.show_batch(output, ledger, run.batch)
        ),
    )
    if results is not None:
        file_error = _catch_output_error(
            output,
            lambda: results_file.write_results(
                results,
                batch_formats.result_rows(ledger, run.batch),
                run.batch.columns,
                hint=f"`runa batch export {run.batch.name} -o csv` writes them again.",
                context=output.context,
                money=output.money,
            ),
        )
        output_error = output_error or file_error
    _finish(session, [] if run.may_change else [run.batch], error, output_error)


def show_together(
    session: Session,
    batches: Sequence[Batch],
    runs: Sequence[BatchRun],
    error: RunaError | None,
    lines: LinesAsSettled | None,
) -> None:
    """Write the recorded results of several resumed batches, and raise the one error of their runs.

    `lines` has written the orders that settled already.
    """
    output, ledger = session.output, session.ledger
    _prepare_output(output, error, "`runa batch export NAME` shows it, batch by batch.")
    output_error = _catch_output_error(
        output,
        lambda: (
            lines.finish(order for batch in batches for order in ledger.orders(batch))
            if lines
            else batch_formats.show_batches(output, ledger, batches)
        ),
    )
    _finish(session, [run.batch for run in runs if not run.may_change], error, output_error)


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
    session: Session, shown: Sequence[Batch], error: RunaError | None, output_error: OutputFailed | None
) -> None:
    """Record which batches were shown, and raise the run's error or else the output's."""
    for batch in shown:
        if output_error is None:
            try:
                session.ledger.mark_shown(batch, session.clock.now())
            except LedgerUnusable as unusable:
                session.console.warn(f"{unusable.message} The result is recorded and was shown nevertheless.")
    if error is not None and output_error is not None:
        session.console.warn(output_error.message)
    if to_raise := error or output_error:
        raise to_raise
