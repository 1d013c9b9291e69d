"""`ledger`: makes a ledger before it is used, backs it up, and copies it to another place or engine."""

import secrets
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runa_cli.app.changes import show_changes
from runa_cli.app.journal import note_backup
from runa_cli.app.session import Session
from runa_cli.config import settings as configuration
from runa_cli.config.ledger_address import ServerLedger, read_ledger
from runa_cli.core.errors import ConfigurationError, LedgerUnusable, UsageMistake
from runa_cli.core.money import counted, format_gifts, format_money, plain_amount

if TYPE_CHECKING:
    from runa_cli.ledger.copying import Content, Report
    from runa_cli.ledger.ledger import Ledger


def init(session: Session) -> None:
    """Make the ledger of the settings, or bring its tables up to date. Raises LedgerUnusable."""
    configuration.check_readable(session.settings)
    address = session.settings.ledger.value
    if isinstance(address, ServerLedger):
        from runa_cli.ledger.driver import require_driver

        require_driver()
        from runa_cli.ledger.postgres_init import initialise

        done = initialise(address)
        ledger = session.ledger  # opened as an order would, so that what is wrong is told now
        made, migrated = done.before == 0, done.before != done.now
    else:
        ledger = session.ledger
        made, migrated = ledger.is_new, False
    what = "made" if made else "brought up to date" if migrated else "there already"
    document = {"ledger": str(ledger.path), "made": made, "migrated": migrated and not made}
    # A new file is announced by whatever opens it.
    show_changes(session, document, [] if ledger.is_new else [f"The ledger is {what}: {ledger.path}"])


def back_up(session: Session, path: Path) -> None:
    """Write a copy of the ledger to a file that is complete under its name. Raises LedgerUnusable and UsageMistake."""
    ledger = _existing(session)
    if path.exists() or path.is_symlink():
        raise UsageMistake(f"{path} exists already. Choose another name: an older backup is not overwritten.")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        note_backup(session, path)
        copied = ledger.back_up(temporary, _progress(session))
        temporary.rename(path)
    except OSError as error:
        raise ConfigurationError(f"{path} could not be written: {error.strerror}.") from error
    finally:
        for left in (temporary, *(temporary.with_name(temporary.name + end) for end in ("-wal", "-shm"))):
            with suppress(OSError):
                left.unlink()
    _show(session, copied, f"The ledger {ledger.path} is copied to {path}", {"backup": str(path)})


def copy_from(session: Session, source: str) -> None:
    """Copy another ledger into the empty one of the settings, which takes its place.

    Raises BatchBusy where a batch of the other one is worked on, LedgerUnusable, and UsageMistake.
    """
    from runa_cli.issuing.failures import busy

    configuration.check_readable(session.settings)
    try:
        address = read_ledger(source)
    except ValueError as error:
        raise UsageMistake(f"--from {error}.") from error
    if isinstance(address, Path) and not address.is_file():
        raise UsageMistake(f"--from {address}: there is no such file.")
    if address == session.settings.ledger.value:
        raise UsageMistake("--from names the ledger that RUNA_LEDGER names.", "Set RUNA_LEDGER to the new one.")
    with ExitStack() as stack:
        other = stack.enter_context(session.open_ledger(address))
        for batch in other.all_unfinished():
            if not other.claim(batch):
                raise busy(other, batch, "Nothing was copied.", "Wait until it has ended.")
            stack.callback(other.release, batch)
        target = session.ledger
        copied = target.copy_from(other, _progress(session))
        chain, *_ = target.check_journal()
        if chain.broken:
            session.console.warn(f"The journal was broken before it was copied: {chain.broken} `runa audit --journal`.")
        sentence = (
            f"The ledger {other.path} is copied to {target.path}, which takes its place: nothing may be issued from the"
            " old one any more"
        )
        _show(session, copied, sentence, {"from": str(other.path), "ledger": str(target.path)})


def _existing(session: Session) -> "Ledger":
    """Return the ledger; a new one is not made only to be copied. Raises LedgerUnusable."""
    configuration.check_readable(session.settings)
    if not session.has_ledger:
        raise LedgerUnusable(f"There is no ledger {session.settings.ledger.value} yet, so there is nothing to copy.")
    return session.ledger


def _progress(session: Session) -> "Report":
    def report(table: str, rows: int) -> None:
        if rows and rows % _SAID_EACH == 0:
            session.console.note(f"{rows:,} rows of {table} copied.")

    return report


_SAID_EACH = 50_000


def _show(session: Session, copied: "Content", sentence: str, places: dict[str, object]) -> None:
    rows = copied.rows
    batches, orders = counted(rows["batch"], "batch", "batches"), counted(rows["purchase"], "order")
    counts = f"{batches}, {orders} and {format_gifts(rows['gift'])}"
    money = f", {format_money(copied.money)}" if copied.money else ""
    document = {
        **places,
        "batches": rows["batch"],
        "orders": rows["purchase"],
        "gifts": rows["gift"],
        "money": {currency: plain_amount(str(amount), currency) for currency, amount in sorted(copied.money.items())},
        "sha256": copied.digest,
    }
    show_changes(session, document, [f"{sentence}: {counts}{money}. Both hold the same."])
