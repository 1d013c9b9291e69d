"""`batch cards`: writes the gifts of a batch as cards for printing."""

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from runa_cli.app.batches import find
from runa_cli.app.catalogue import known_names
from runa_cli.app.changes import show_changes
from runa_cli.app.confirm import confirm_account
from runa_cli.app.journal import note_links_read
from runa_cli.app.session import Session
from runa_cli.core.errors import Context, Money, OutputFailed, UsageMistake
from runa_cli.core.money import counted
from runa_cli.core.safe_text import printable
from runa_cli.core.states import UNFINISHED, State
from runa_cli.issuing.guard import check_not_pruned
from runa_cli.issuing.outcome import BatchRun
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch
from runa_cli.output.batch_formats import unmatched_orders
from runa_cli.output.card_page import LAYOUTS, card_page
from runa_cli.output.cards import Card, card_of
from runa_cli.output.private_file import private_file, try_private_file


def cards(session: Session, name: str, to: Path, *, layout: str, yes: bool) -> None:
    """Write a card for each gift of a batch to a file, and raise the batch's error if it is not done.

    Raises InputError, UsageMistake, GuardRefused and OutputFailed, and leaves the file as it was.
    """
    if layout not in LAYOUTS:
        raise UsageMistake(f"--layout must be a4, letter or fold, found {layout!r}.")
    if to.name == "-" or to.suffix.lower() not in {"", ".html", ".htm"}:
        raise UsageMistake(f"--to writes an HTML page, found '{printable(to.name)}': name a file that ends with .html.")
    batch, ledger = find(session, name), session.ledger
    check_not_pruned(batch)
    confirm_account(session, batch, yes=yes)
    session.output.context = Context(batch=batch.name)
    session.output.money = Money.ISSUED if ledger.tally(batch).any(State.COMPLETED) else Money.NOT_ISSUED
    written = Counter[bool]()  # cards by whether they are empty
    note_links_read(session, "batch cards", batch.environment, batch.name)
    _write(session, batch, to, layout, _counted(_cards(session, ledger, batch), written))
    unmatched = [order.order_id for order in unmatched_orders(ledger, batch)]
    for order_id in unmatched:
        session.console.warn(
            f"Order {order_id} has gifts that match no row, which got no card:"
            f" `runa batch export {shlex.quote(batch.name)}` shows them."
        )
    run = BatchRun.recorded(ledger, batch)
    if not unmatched and not run.tally.any(*UNFINISHED):
        ledger.mark_shown(batch, session.clock.now())
    _tell(session, batch, to, written)
    if error := run.error():
        raise error


def _cards(session: Session, ledger: Ledger, batch: Batch) -> Iterator[Card]:
    names = known_names(session) if batch.environment == session.environment else {}
    return (card_of(result, names) for result in ledger.results(batch))


def _counted(made: Iterator[Card], written: Counter[bool]) -> Iterator[Card]:
    for card in made:
        written[bool(card.why_empty)] += 1
        yield card


def _write(session: Session, batch: Batch, to: Path, layout: str, made: Iterator[Card]) -> None:
    try:
        if wrong := try_private_file(to):
            raise _not_written(session, to, wrong)
        with private_file(to) as stream:
            stream.writelines(piece.encode("utf-8", "replace") for piece in card_page(made, batch.name, layout))
    except OSError as error:
        raise _not_written(session, to, str(error.strerror)) from error


def _not_written(session: Session, to: Path, reason: str) -> OutputFailed:
    return OutputFailed(
        f"The cards could not be written to {to}: {reason}.",
        "Name another file. Nothing of the batch has changed.",
        session.output.context,
        money=session.output.money,
    )


def _tell(session: Session, batch: Batch, to: Path, written: Counter[bool]) -> None:
    document = {"batch": batch.name, "cards": written[False], "empty": written[True], "file": str(to)}
    empty = f", and {written[True]:,} empty" if written[True] else ""
    show_changes(session, document, [f"{counted(written[False], 'card')}{empty}: {printable(str(to))}"])
