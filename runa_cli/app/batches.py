"""What was issued from here: the batches of the ledger, listed, shown, exported, given up and pruned."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from runa_cli.app.session import Session
from runa_cli.core.errors import BatchBusy, Context, GuardRefused, InputError, Money, UsageMistake
from runa_cli.core.safe_text import defused
from runa_cli.issuing.outcome import money
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import UNFINISHED, Batch, Order, State, Tally
from runa_cli.ledger.results import csv_lines
from runa_cli.output import stdout
from runa_cli.output.tables import Column, Part, Summary, list_parts, summary_parts

_COLUMNS = (
    Column("Batch", least=21),  # made-up names are that long
    Column("In"),
    Column("Created", least=10),
    Column("Gifts", number=True),
    Column("Total", number=True, keep=True),
    Column("State", status=True),
)
_FIELDS = ("batch", "environment", "created_at", "orders", "items", "total", "state")
_ORDER_COLUMNS = (
    Column("#", number=True),
    Column("Order", keep=True),
    Column("Gifts", number=True),
    Column("Total", number=True, keep=True),
    Column("State", status=True),
    Column("Reason"),
)
_ORDER_FIELDS = ("position", "order_id", "items", "total", "state", "error", "idempotency_key")


def find(session: Session, name: str) -> Batch:
    """Return a batch by its name, in the asked environment or in whichever has it. Raises InputError."""
    wanted = session.settings.environment.value
    found = [batch for batch in session.ledger.batches(wanted) if batch.name == name]
    if not found and wanted is not None and session.settings.environment.origin != "flag":
        found = [batch for batch in session.ledger.batches() if batch.name == name]
    if not found:
        where = f" in {wanted}" if wanted else ""
        raise InputError(
            f"There is no batch {name}{where}.", "`runa batch list` shows those there are.", code="no_batch"
        )
    if len(found) > 1:
        raise UsageMistake(f"There is a batch {name} in several environments: say which with --env.")
    return found[0]


def show_list(session: Session) -> None:
    """Show every batch, newest first."""
    out, ledger = session.output, session.ledger
    wanted = _asked_environment(session)
    batches = ((batch, ledger.tally(batch)) for batch in ledger.batches(wanted))
    match out.format:
        case "json":
            out.json_list(_batch_object(batch, tally) for batch, tally in batches)
        case "jsonl":
            for batch, tally in batches:
                out.json_line(_batch_object(batch, tally))
        case "csv":
            for line in csv_lines(_FIELDS, ([defused(cell) for cell in _batch_cells(*pair)] for pair in batches)):
                out.text(line)
        case "links":
            for batch, _ in batches:
                stdout.show_batch(out, ledger, batch)
        case _:
            rows = [_batch_row(*pair) for pair in batches]
            out.parts(list_parts(_COLUMNS, rows, out.width) if rows else [Part("Nothing was issued from here yet.")])
    out.flush()


def show_batch(session: Session, name: str) -> None:
    """Show one batch, order by order; as JSON, the ledger's view of it."""
    out, ledger = session.output, session.ledger
    batch = find(session, name)
    tally = ledger.tally(batch)
    match out.format:
        case "json":
            out.json(
                {**_batch_object(batch, tally), "orders": [_order_object(order) for order in ledger.orders(batch)]}
            )
        case "jsonl":
            for order in ledger.orders(batch):
                out.json_line(_order_object(order))
        case "csv":
            rows = ([defused(cell) for cell in _order_cells(order)] for order in ledger.orders(batch))
            for line in csv_lines(_ORDER_FIELDS, rows):
                out.text(line)
        case "links":
            stdout.show_batch(out, ledger, batch)
        case _:
            out.parts(_batch_parts(ledger, batch, tally, out.width))
    out.flush()


def _batch_parts(ledger: Ledger, batch: Batch, tally: Tally, width: int | None) -> Iterator[Part]:
    facts = [
        ("Environment", f"{batch.environment}, key {batch.account}"),
        ("Created", f"{batch.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Gifts", str(sum(tally.items.values()))),
        ("Total", money(tally.sums())),
        ("Issued", money(tally.sums([State.COMPLETED]))),
    ]
    yield from summary_parts(Summary("Batch", batch.name, state_of(tally), facts))
    yield Part("")
    rows = [_order_cells(order)[:6] for order in ledger.orders(batch)]
    yield from list_parts(_ORDER_COLUMNS, rows, width)


def export(session: Session, name: str) -> None:
    """Write a batch's results again, in any format, however far it got."""
    batch = find(session, name)
    if batch.pruned_at is not None:
        session.talk.warn(f"Batch {name} was pruned on {batch.pruned_at:%Y-%m-%d}: its links are no longer recorded.")
    tally = session.ledger.tally(batch)
    session.output.context = Context(batch=name)
    session.output.money = Money.ISSUED if tally.any(State.COMPLETED) else Money.NOT_ISSUED
    stdout.show_batch(session.output, session.ledger, batch)
    if not tally.any(*UNFINISHED):
        session.ledger.mark_shown(batch, session.clock.now())


def abandon(session: Session, name: str, *, yes: bool) -> None:
    """Give up the orders of unknown outcome in a batch. Raises GuardRefused without a yes."""
    batch = find(session, name)
    if not session.ledger.claim(batch):
        raise BatchBusy(f"Another process works on batch {name} right now.", context=Context(batch=name))
    doubtful = list(session.ledger.orders(batch, [State.SENT, State.PREPARED]))
    if not doubtful:
        session.talk.say(f"Batch {name} has no order of unknown outcome; nothing to give up.")
        return
    gifts = sum(order.item_count for order in doubtful)
    question = (
        f"Give up {len(doubtful)} order(s) with {gifts} gift(s) of batch {name}? They may have been issued; their links"
        " will not be fetched any more"
    )
    _confirm(session, question, yes=yes, about=Context(batch=name))
    for order in doubtful:
        session.ledger.mark_abandoned(order, session.clock.now())
    session.talk.say(f"{len(doubtful)} order(s) of batch {name} are given up.")


def prune(session: Session, name: str | None, *, older_than: int, yes: bool) -> None:
    """Drop the payloads, addresses and links of settled batches. Raises GuardRefused without a yes.

    `older_than` is in days. That the batches were issued stays known, so nothing is issued again because of it.
    """
    ledger = session.ledger
    limit = session.clock.now() - timedelta(days=older_than)
    batches = [find(session, name)] if name is not None else list(ledger.batches(_asked_environment(session)))
    old = [batch for batch in batches if batch.pruned_at is None and _settled_before(ledger.tally(batch), limit)]
    if not old:
        session.talk.say(f"No settled batch is older than {older_than} days.")
        return
    question = f"Drop the links and addresses of {len(old)} batch(es)? They cannot be shown again"
    _confirm(session, question, yes=yes)
    for batch in old:
        ledger.prune(batch, session.clock.now())
    session.talk.say(f"{len(old)} batch(es) pruned.")


def _confirm(session: Session, question: str, *, yes: bool, about: Context | None = None) -> None:
    """Make sure that somebody means it. Raises GuardRefused."""
    if yes:
        return
    if session.ask is None:
        raise GuardRefused(f"{question}: that needs a yes.", "Add --yes.", about or Context(), code="not_confirmed")
    if not session.ask(question + "."):
        raise GuardRefused("Not confirmed. Nothing was changed.", None, about or Context(), code="not_confirmed")


def _settled_before(tally: Tally, limit: datetime) -> bool:
    return not tally.any(*UNFINISHED) and tally.settled_at is not None and tally.settled_at < limit


def _asked_environment(session: Session) -> str | None:
    return session.settings.environment.value if session.settings.environment.origin == "flag" else None


def state_of(tally: Tally) -> str:
    """Return the one word that tells how a batch stands."""
    states = [state for state in State if tally.orders[state]]
    if len(states) == 1:
        return str(states[0])
    return "unfinished" if tally.any(*UNFINISHED) else "partly completed" if states else "empty"


def _batch_object(batch: Batch, tally: Tally) -> dict[str, Any]:
    return {
        "batch": batch.name,
        "environment": batch.environment,
        "account": batch.account,
        "created_at": batch.created_at.isoformat(),
        "state": state_of(tally),
        "items": sum(tally.items.values()),
        "total": {currency: str(total) for currency, total in tally.sums().items()},
        "states": {str(state): count for state, count in sorted(tally.orders.items())},
    }


def _order_object(order: Order) -> dict[str, Any]:
    return {
        "position": order.position,
        "generation": order.generation,
        "state": str(order.state),
        "idempotency_key": order.idempotency_key,
        "order_id": order.order_id,
        "items": order.item_count,
        "total": order.total,
        "currency": order.currency,
        "mode": order.mode,
        "prepared_at": order.prepared_at.isoformat(),
        "first_sent_at": order.first_sent_at.isoformat() if order.first_sent_at else None,
        "settled_at": order.settled_at.isoformat() if order.settled_at else None,
        "http_status": order.http_status,
        "request_id": order.request_id,
        "error_type": order.error_type,
        "error": order.error_text,
    }


def _batch_cells(batch: Batch, tally: Tally) -> list[str]:
    return [
        batch.name,
        batch.environment,
        f"{batch.created_at.astimezone():%Y-%m-%d %H:%M}",
        str(sum(tally.orders.values())),
        str(sum(tally.items.values())),
        money(tally.sums()),
        state_of(tally),
    ]


def _batch_row(batch: Batch, tally: Tally) -> list[str]:
    name, environment, created, _, gifts, total, state = _batch_cells(batch, tally)
    return [name, environment, created, gifts, total, state]


def _order_cells(order: Order) -> list[str]:
    return [
        str(order.position),
        order.order_id or "",
        str(order.item_count),
        money({order.currency: Decimal(order.total)}),
        str(order.state),
        order.error_text or "",
        order.idempotency_key,
    ]
