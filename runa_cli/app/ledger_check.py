"""`ledger check`: whether the ledger is sound and whole. What it lost is read back from Runa, and then it is open."""

import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runa_cli.app.batches import active_environment
from runa_cli.app.changes import show_changes
from runa_cli.app.confirm import confirm
from runa_cli.app.ledger_check_report import (
    MOST_NAMED,
    found_document,
    money_of,
    sentences,
    still_closed,
)
from runa_cli.app.session import Session
from runa_cli.config import settings as configuration
from runa_cli.config.values import ENVIRONMENTS
from runa_cli.core.errors import GuardRefused, Interrupted, LedgerUnusable, RunaError, Unreachable, UsageMistake
from runa_cli.core.money import counted, format_gifts, format_money
from runa_cli.output.count_progress import counting

if TYPE_CHECKING:
    from runa_cli.issuing.reading_back import ReadBack
    from runa_cli.ledger.ledger import Ledger

ADOPT, LEAVE = "adopt", "leave"
_RESTORE = (
    "Put a backup in its place, without the -wal and -shm files of the damaged one, and run `runa ledger check` again:"
    " it reads back from Runa what was issued since."
)


def check(session: Session, *, read_back: bool, unstamped: str | None, yes: bool) -> None:
    """Check the ledger, read back what it lost, and tell what was found.

    `yes`: another ledger that has gone on from this one is lost for good.

    `read_back`: all orders, whatever the ledger knows about itself. `unstamped`: what becomes of orders of which it
    cannot be told whether they were issued from here. Raises LedgerUnusable; GuardRefused where a person has to decide;
    and the error of a request that Runa did not answer. Nothing is sent in any case.
    """
    if unstamped not in {None, ADOPT, LEAVE}:
        raise UsageMistake(f"--unstamped must be {ADOPT} or {LEAVE}, found {unstamped!r}.")
    configuration.check_readable(session.settings)
    if read_back:
        active_environment(session)  # before a ledger is made of which nothing would be read back
    if not (session.has_ledger or read_back or session.ledger_is_broken):
        raise LedgerUnusable(
            f"There is no ledger {session.settings.ledger.value} yet, so there is nothing to check.",
            "`runa ledger check --read-back` makes one, and reads back all that Runa has.",
        )
    ledger = _opened(session, read_back=read_back)
    orders, gifts = ledger.check_intact()
    document: dict[str, Any] = {
        "ledger": str(ledger.path),
        "intact": True,
        "orders": orders,
        "gifts": gifts,
        "environment": session.environment or None,
        "account": session.settings.account or None,
    }
    if _begin(session, ledger, read_back=read_back, yes=yes):
        _read_back(session, ledger, document, unstamped)
        return
    closed = ledger.closed_environments()
    is_open = not closed if not session.environment else session.environment not in closed
    document |= {"open": is_open, "closed": closed, "batches": [], "in_doubt": []}
    sentence = (
        f"The ledger {ledger.path} is sound: {counted(orders, 'order')} with {format_gifts(gifts)}, and no order's"
        " bytes have changed."
    )
    show_changes(session, document, [sentence, *still_closed(closed)])


def _opened(session: Session, *, read_back: bool) -> "Ledger":
    """Open the ledger. One that cannot be opened is set aside, where all is to be read back. Raises LedgerUnusable."""
    path = session.settings.ledger.value
    if isinstance(path, Path) and not session.has_ledger and not session.ledger_is_broken:
        _make_closed(session, path)
        return session.open_to_check()
    try:
        return session.open_to_check()
    except LedgerUnusable as error:
        if not isinstance(path, Path) or not session.ledger_is_broken:
            raise
        if not read_back:
            raise LedgerUnusable(
                error.message,
                f"{_RESTORE} If there is no backup, `runa ledger check --read-back` sets the file aside, makes an empty"
                " ledger and reads back all that Runa has: references and extra columns are not there.",
                code="ledger_damaged",
            ) from error
    kept = _make_closed(session, path)
    session.console.say(f"The damaged ledger is kept as {kept}.")
    return session.open_to_check()


def _make_closed(session: Session, path: Path) -> Path:
    """Make an empty ledger that is closed for every environment. Returns where what was in its place is kept.

    It gets its name once it is closed: nothing is ever issued from it before all is read back.
    """
    from runa_cli.ledger.ledger import Ledger
    from runa_cli.ledger.restoration import ANY_ORDER

    path = path.resolve()
    kept = path.with_name(f"{path.name}.damaged-{session.clock.now():%Y%m%d%H%M%S}-{secrets.token_hex(2)}")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with Ledger(temporary) as ledger:
            ledger.begin_check(dict.fromkeys(ENVIRONMENTS, ANY_ORDER))
        for end in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).replace(kept.with_name(kept.name + end))
        temporary.replace(path)
    except OSError as error:
        raise LedgerUnusable(f"The ledger {path} cannot be made: {error.strerror}.") from error
    session.console.note(f"New ledger: {path}")
    return kept


def _begin(session: Session, ledger: "Ledger", *, read_back: bool, yes: bool) -> bool:
    """Close the ledger for what it may lack, unless an earlier check has. Tells whether there is something to read."""
    from runa_cli.ledger.restoration import ANY_ORDER

    if ledger.doubt:
        from runa_cli.issuing.lost_orders import lost_since

        active_environment(session)
        _warn(session, ledger.doubt.error)
        if ledger.doubt.elsewhere is not None:
            question = (
                f"Go on with {ledger.path}, because {ledger.doubt.elsewhere} is lost for good? What is issued from both"
                " is paid twice"
            )
            confirm(session, question, yes=yes)
        doubt = None if read_back else ledger.doubt
        ledger.begin_check({name: lost_since(ledger, doubt, name) for name in ENVIRONMENTS})
        return True
    environment = session.environment
    is_closed = bool(environment) and ledger.is_closed(environment, session.settings.account)
    if read_back and not (is_closed and ledger.missing(environment) == ANY_ORDER):
        ledger.begin_check({environment: ANY_ORDER})
        return True
    return is_closed


def _warn(session: Session, error: RunaError) -> None:
    session.console.note(f"{error.message.removesuffix(' Nothing was sent.')} It stays closed until that is read back.")


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_back(session: Session, ledger: "Ledger", document: dict[str, Any], unstamped: str | None) -> None:
    from runa_cli.issuing.lost_orders import accounts_of_key
    from runa_cli.issuing.reading_back import ReadBack
    from runa_cli.ledger.restoration import ANY_ORDER

    environment, account, seconds = session.environment, session.settings.account, session.settings.timeout.value
    client = session.client
    missing = ledger.missing(environment) or ANY_ORDER
    what = f"what was issued since {missing.since:%Y-%m-%d %H:%M} UTC" if missing.since else "all that was ever issued"
    session.console.say(
        f"Reading back {what} in {environment}. This can be stopped: the next check goes on where it was."
    )
    with counting(session.console, "orders read") as progress:
        found = ReadBack(ledger, client, environment, account, missing, seconds, progress, session.clock)
        error = _run(found, unstamped)
    error = error or _undecided(found, unstamped)
    accounts: set[str] = set()
    if error is None:
        accounts = accounts_of_key(client, ledger, environment, account, seconds=seconds)
        ledger.open_to(environment, accounts)
    others = sorted(ledger.accounts_used(environment) - ledger.opened(environment) - {account}) if not error else []
    closed = [name for name in ledger.closed_environments() if name != environment or error is None]
    document |= found_document(found) | {
        "open": error is None,
        "since": missing.since.isoformat() if missing.since else None,
        "accounts": sorted(accounts),
        "other_accounts": others,
        "closed": closed if error is None else [*closed, environment],
    }
    said = sentences(found, leaves=unstamped == LEAVE)
    if error is None:
        said.append(f"The ledger {ledger.path} is open again for {environment}, key {account}.")
        if others:
            said.append(
                f"It is not open for {', '.join(others)}, of which this key shows no orders: `runa ledger check` with a"
                " key of that account reads them back."
            )
        said += still_closed(closed)
    show_changes(session, document, said)
    if error is not None:
        raise error


def _run(found: "ReadBack", unstamped: str | None) -> RunaError | None:
    """Read everything. Returns the error that it ends in."""
    try:
        found.run()
        if unstamped == ADOPT:
            found.adopt_in_doubt()
    except KeyboardInterrupt:
        return Interrupted(
            f"Interrupted. {counted(found.read, 'order')} had been read. Nothing was sent; the ledger stays closed.",
            "`runa ledger check` goes on where it was.",
        )
    except RunaError as error:
        error.message += (
            f" {counted(found.read, 'order')} had been read by then. Nothing was sent, and the ledger stays closed."
        )
        error.hint = f"{error.hint or ''} `runa ledger check` then goes on where it was.".strip()
        return error
    if found.unsettled:
        named = ", ".join(found.unsettled[:MOST_NAMED])
        return Unreachable(
            f"Runa does not show yet whose these orders are: {named}. Nothing was sent, and the ledger stays closed.",
            "Run `runa ledger check` again later: it goes on where it was.",
            code="still_processing",
        )
    return None


def _undecided(found: "ReadBack", unstamped: str | None) -> RunaError | None:
    """Return the error for orders about which a person has to decide; None where there are none any more."""
    from runa_cli.issuing.reading_back import UNREADABLE

    left = [order for order in found.in_doubt if unstamped is None or order.reason == UNREADABLE]
    if not left or unstamped == LEAVE:
        return None
    named = ", ".join(order.order_id for order in left[:MOST_NAMED]) + (", …" if len(left) > MOST_NAMED else "")
    gifts = format_gifts(sum(order.gifts for order in left))
    return GuardRefused(
        f"It cannot be told whether this ledger issued {counted(len(left), 'order')} at Runa ({gifts},"
        f" {format_money(money_of(left))}): {named}. They have no stamp, because they were made in Runa's portal,"
        " by another program or with --no-stamp, or cannot be read. Nothing was sent, and the ledger stays closed.",
        "Look at them (`runa order get ID`). If none was issued from this ledger, run `runa ledger check --unstamped"
        " leave`. If some were, or nobody knows, `--unstamped adopt` records them, so that their gifts are not issued"
        " again by accident.",
        details=[{"order_id": order.order_id, "reason": order.reason} for order in left],
        code="unstamped_orders",
    )
