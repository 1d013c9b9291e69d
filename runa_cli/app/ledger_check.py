"""`ledger check`: whether the ledger is sound and whole. What it lost is read back from Runa, and then it is open."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runa_cli.app.batches import active_environment
from runa_cli.app.changes import show_changes
from runa_cli.app.session import Session
from runa_cli.config import settings as configuration
from runa_cli.config.values import ENVIRONMENTS
from runa_cli.core.errors import GuardRefused, Interrupted, LedgerUnusable, RunaError, Unreachable, UsageMistake
from runa_cli.core.money import format_gifts, format_money, plain_amount
from runa_cli.output.count_progress import counted

if TYPE_CHECKING:
    from runa_cli.issuing.reading_back import FoundBatch, ReadBack
    from runa_cli.ledger.ledger import Ledger
    from runa_cli.ledger.restoration import PassedOver

ADOPT, LEAVE = "adopt", "leave"
_MOST_NAMED = 10  # orders or batches in a message; the JSON has all
_RESTORE = (
    "Put a backup in its place, without the -wal and -shm files of the damaged one, and run `runa ledger check` again:"
    " it reads back from Runa what was issued since."
)


def check(session: Session, *, read_back: bool, unstamped: str | None) -> None:
    """Check the ledger, read back what it lost, and tell what was found.

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
    if _begin(session, ledger, read_back=read_back):
        _read_back(session, ledger, document, unstamped)
        return
    closed = ledger.closed_environments()
    document |= {"open": not closed, "closed": closed, "batches": [], "in_doubt": []}
    sentence = (
        f"The ledger {ledger.path} is sound: {_orders(orders)} with {format_gifts(gifts)}, each as it was recorded."
    )
    show_changes(session, document, [sentence, *_still_closed(closed)])


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


def _begin(session: Session, ledger: "Ledger", *, read_back: bool) -> bool:
    """Close the ledger for what it may lack, unless an earlier check has. Tells whether there is something to read."""
    from runa_cli.ledger.restoration import ANY_ORDER

    if ledger.doubt:
        from runa_cli.issuing.reading_back import lost_since

        active_environment(session)
        _warn(session, ledger.doubt.error)
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
    from runa_cli.issuing.reading_back import ReadBack, accounts_of_key
    from runa_cli.ledger.restoration import ANY_ORDER

    environment, account, seconds = session.environment, session.settings.account, session.settings.timeout.value
    client = session.client
    missing = ledger.missing(environment) or ANY_ORDER
    what = f"what was issued since {missing.since:%Y-%m-%d %H:%M} UTC" if missing.since else "all that was ever issued"
    session.console.say(
        f"Reading back {what} in {environment}. This can be stopped: the next check goes on where it was."
    )
    with counted(session.console, "orders read") as progress:
        found = ReadBack(ledger, client, environment, account, missing, seconds, progress, session.clock)
        error = _run(found, unstamped)
    error = error or _undecided(found, unstamped)
    accounts: set[str] = set()
    if error is None:
        accounts = accounts_of_key(client, ledger, environment, account, seconds=seconds)
        ledger.open_to(environment, accounts)
    others = sorted(ledger.accounts_used(environment) - ledger.opened(environment) - {account}) if not error else []
    closed = [name for name in ledger.closed_environments() if name != environment or error is None]
    document |= _found_document(found) | {
        "open": error is None,
        "since": missing.since.isoformat() if missing.since else None,
        "accounts": sorted(accounts),
        "other_accounts": others,
        "closed": closed if error is None else [*closed, environment],
    }
    sentences = _sentences(found, unstamped)
    if error is None:
        sentences.append(f"The ledger {ledger.path} is open again for {environment}, key {account}.")
        if others:
            sentences.append(
                f"It is not open for {', '.join(others)}, of which this key shows no orders: `runa ledger check` with a"
                " key of that account reads them back."
            )
        sentences += _still_closed(closed)
    show_changes(session, document, sentences)
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
            f"Interrupted. {_orders(found.read)} were read. Nothing was sent, and the ledger stays closed.",
            "`runa ledger check` goes on where it was.",
        )
    except RunaError as error:
        error.message += f" {_orders(found.read)} were read by then. Nothing was sent, and the ledger stays closed."
        error.hint = f"{error.hint or ''} `runa ledger check` then goes on where it was.".strip()
        return error
    if found.unsettled:
        named = ", ".join(found.unsettled[:_MOST_NAMED])
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
    named = ", ".join(order.order_id for order in left[:_MOST_NAMED]) + (", …" if len(left) > _MOST_NAMED else "")
    gifts = format_gifts(sum(order.gifts for order in left))
    return GuardRefused(
        f"Whether {_orders(len(left))} at Runa ({gifts}, {format_money(_money(left))}) were issued from this ledger"
        f" cannot be told: {named}. They bear no stamp, because they were made in Runa's portal, by another program or"
        " with --no-stamp, or they cannot be read. Nothing was sent, and the ledger stays closed.",
        "Look at them (`runa order get ID`). If none of them was issued from this ledger, run `runa ledger check"
        " --unstamped leave`. If some were, or nobody knows, `--unstamped adopt` records them, so that their gifts are"
        " not issued again by accident.",
        details=[{"order_id": order.order_id, "reason": order.reason} for order in left],
        code="unstamped_orders",
    )


# --- telling ---------------------------------------------------------------------------------------------------------


def _sentences(found: "ReadBack", unstamped: str | None) -> list[str]:
    from runa_cli.issuing.reading_back import IN_DOUBT, NOTHING_ISSUED, OTHERS

    batches = sorted(found.batches.values(), key=lambda batch: batch.name)
    said = [_batch_sentence(batch) for batch in batches[:_MOST_NAMED]]
    if len(batches) > _MOST_NAMED:
        said.append(f"… and {len(batches) - _MOST_NAMED} more batches (`runa batch list`).")
    said = said or [f"Nothing was missing among the {_orders(found.read)} that were read."]
    by_reason: dict[str, int] = {}
    for order in found.passed.values():
        by_reason[order.reason] = by_reason.get(order.reason, 0) + 1
    if others := by_reason.get(OTHERS):
        said.append(
            f"{_orders(others)} were issued from another ledger, without a batch name: they are not recorded here."
        )
    if failed := by_reason.get(NOTHING_ISSUED):
        said.append(f"{_orders(failed)} FAILED, and do not show whose they are: nothing was issued by them.")
    if unstamped == LEAVE and (left := sum(by_reason.get(reason, 0) for reason in IN_DOUBT)):
        said.append(f"{_orders(left)} without a stamp are not recorded here.")
    if found.repeated:
        said.append(
            f"Warning: {', '.join(found.repeated[:_MOST_NAMED])} bear the key of another order: their gifts were issued"
            " twice, after Runa had forgotten the key. They are recorded beside it."
        )
    return said


def _batch_sentence(batch: "FoundBatch") -> str:
    how = [f"{batch.adopted} not known before"] if batch.adopted else []
    how += [f"{batch.settled} whose outcome was not"] if batch.settled else []
    how += [f"{batch.failed} of them FAILED"] if batch.failed else []
    orders = _orders(batch.adopted + batch.settled)
    return f"Batch {batch.name}: {orders} ({', '.join(how)}), {format_gifts(batch.gifts)}, {format_money(batch.money)}."


def _found_document(found: "ReadBack") -> dict[str, Any]:
    return {
        "read": found.read,
        "batches": [
            {
                "batch": batch.name,
                "named": batch.named,
                "orders": batch.adopted + batch.settled,
                "adopted": batch.adopted,
                "settled": batch.settled,
                "failed": batch.failed,
                "gifts": batch.gifts,
                "money": _plain(batch.money),
                "order_ids": batch.order_ids,
            }
            for batch in sorted(found.batches.values(), key=lambda batch: batch.name)
        ],
        "in_doubt": [
            {
                "order_id": order.order_id,
                "reason": order.reason,
                "gifts": order.gifts,
                "money": _plain({order.currency: order.total} if order.currency else {}),
            }
            for order in found.in_doubt
        ],
        "not_recorded": [
            {"order_id": order.order_id, "reason": order.reason}
            for order in found.passed.values()
            if order not in found.in_doubt
        ],
        "issued_twice": found.repeated,
        "unsettled": found.unsettled,
    }


def _still_closed(environments: Sequence[str]) -> list[str]:
    if not environments:
        return []
    return [
        f"It is still closed for {' and '.join(environments)}: `runa ledger check --env {environments[0]}` reads back"
        " what was issued there, if anything was."
    ]


def _orders(count: int) -> str:
    return f"{count:,} {'order' if count == 1 else 'orders'}"


def _money(orders: "Sequence[PassedOver]") -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for order in orders:
        if order.currency:
            sums[order.currency] = sums.get(order.currency, Decimal(0)) + order.total
    return sums


def _plain(sums: dict[str, Decimal]) -> dict[str, str | None]:
    return {currency: plain_amount(str(amount), currency) for currency, amount in sorted(sums.items())}
