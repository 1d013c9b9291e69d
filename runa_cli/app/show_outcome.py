"""Shows what runs came to: writes the results, records that they were shown, and raises the runs' error.

Where writing fails too, the run's own error is raised, because it says what became of the money.
"""

import shlex
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct, field

from runa_cli.app.session import Session
from runa_cli.core.dialect import PLAIN, Dialect
from runa_cli.core.errors import Context, LedgerUnusable, Money, OutputFailed, RunaError
from runa_cli.core.safe_text import printable
from runa_cli.core.states import State
from runa_cli.issuing.outcome import BatchRun
from runa_cli.issuing.terms import Progress
from runa_cli.ledger.records import Batch, Order, Tally
from runa_cli.ledger.results import ResultRow
from runa_cli.output import batch_formats, results_file
from runa_cli.output.money_line import money_line
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

    def finish(self, orders: Iterable[Order], *, at_once: bool = False) -> None:
        """Write the orders that the run has not got to. Raises OutputFailed if a line could not be written.

        `at_once`: after a second Ctrl-C nothing more is written, and a thread that may still be in the middle of a
        write is not waited for, because nobody may be reading.
        """
        if not self._lock.acquire(timeout=LONGEST_WRITE):
            raise self._output.failure("a line is still being written")
        try:
            for order in () if at_once else orders:
                self._write_once(order)
        finally:
            self._lock.release()
        if self._failed:
            raise self._output.failure("not every order could be written when it settled")


def lines_as_settled(session: Session, write: Callable[[Order], None] | None = None) -> LinesAsSettled | None:
    """Return what writes orders as they settle; None where the output's format shows them all at the end.

    `write` writes the gifts of an order in place of all that it holds.
    """
    output = session.output
    default = batch_formats.order_writer(output, session.ledger)
    chosen = write if write and output.format == "gifts" else default
    return LinesAsSettled(session.progress(), output, chosen) if chosen else None


class Shown(Struct, frozen=True):
    """What a command shows of its runs: the batches that are shown whole and final, and how to write the results.

    `rows`, `columns` and `dialect` are for the file of `--results`. The hints say how to see the results where they
    could not be written. `before` and `tally` are the counts before and after the runs.
    """

    batches: Sequence[Batch]
    write: Callable[[], None]
    hint: str
    file_hint: str = ""
    rows: Callable[[], Iterable[ResultRow]] = list
    columns: Sequence[str] = ()
    dialect: Dialect = PLAIN
    context: Context = field(default_factory=Context)
    before: Tally = field(default_factory=Tally)
    tally: Callable[[], Tally] = Tally


def show(session: Session, run: BatchRun, *, results: Path | None = None, lines: LinesAsSettled | None = None) -> None:
    """Write the result of a run, and to the file `results` too, and raise the run's error.

    `lines` has written the orders that settled already.
    """
    output, ledger, batch = session.output, session.ledger, run.batch
    shown = Shown(
        batches=[] if run.may_change else [batch],
        write=lambda: (
            lines.finish(ledger.orders(batch), at_once=run.left_in_flight > 0)
            if lines
            else batch_formats.show_batch(output, ledger, batch, total=not says_total(session))
        ),
        hint=f"`runa batch export {shlex.quote(batch.name)}` shows it.",
        file_hint=f"`runa batch export {shlex.quote(batch.name)} -o csv` writes them again.",
        rows=lambda: batch_formats.result_rows(ledger, batch),
        columns=batch.columns,
        dialect=batch.dialect,
        context=Context(batch=batch.name),
        before=run.before,
        tally=lambda: run.tally,
    )
    write_and_raise(session, shown, run.error(), results)


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
    orders = (order for batch in batches for order in ledger.orders(batch))
    shown = Shown(
        batches=[run.batch for run in runs if not run.may_change],
        write=lambda: (
            lines.finish(orders, at_once=any(run.left_in_flight for run in runs))
            if lines
            else batch_formats.show_batches(output, ledger, batches)
        ),
        hint="`runa batch export NAME` shows it, batch by batch.",
        before=_added(run.before for run in runs),
        tally=lambda: _added(run.tally for run in runs),
    )
    write_and_raise(session, shown, error)


def write_and_raise(session: Session, shown: Shown, error: RunaError | None, results: Path | None = None) -> None:
    """Write results, and to the file `results` too, record that they were shown, and raise the error of the runs."""
    output = session.output
    output.context = shown.context
    _prepare_output(output, error, shown.hint)
    output_error = _catch_output_error(output, shown.write)
    written = None
    if results is not None:
        file_error = _catch_output_error(
            output,
            lambda: results_file.write_results(
                results,
                shown.rows(),
                shown.columns,
                shown.dialect,
                hint=shown.file_hint,
                context=shown.context,
                money=output.money,
            ),
        )
        written = None if file_error else results
        output_error = output_error or file_error
    _say_total(session, shown, error, written)
    _finish(session, shown.batches, error, output_error)


def says_total(session: Session) -> bool:
    """Tell whether what became of the money is said on standard error right after the output."""
    return session.output.is_terminal and session.console.is_terminal and not session.console.quiet


def _say_total(session: Session, shown: Shown, error: RunaError | None, results: Path | None) -> None:
    """Say what became of the money, and where the results are. An error alone says that nothing was issued."""
    try:
        tally = shown.tally()
    except LedgerUnusable:
        return  # the output could not be read from the ledger either, and that is reported
    if results is not None:
        session.console.say(f"{money_line(tally, shown.before)} Results: {printable(str(results))}")
    elif tally.any(*State) and (error is None or tally.any(State.COMPLETED)):
        session.console.say(money_line(tally, shown.before))


def _added(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


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
                session.console.warn(f"That batch {batch.name} was shown could not be recorded: {unusable.message}")
    if error is not None and output_error is not None:
        session.console.warn(output_error.message)
    if to_raise := error or output_error:
        raise to_raise
