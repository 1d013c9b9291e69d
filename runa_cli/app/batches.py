"""`batch list` and `batch show`: the batches of this ledger and their orders."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from runa_cli.app.session import Session
from runa_cli.config.settings import check_readable
from runa_cli.config.values import ENVIRONMENTS
from runa_cli.core.errors import ConfigurationError, Context, GuardRefused, InputError, UsageMistake
from runa_cli.core.money import format_money
from runa_cli.core.states import UNFINISHED, State
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order, Tally
from runa_cli.output import batch_formats, formats
from runa_cli.output.formats import View
from runa_cli.output.tables import Column, Part, Summary, list_parts, summary_parts

LISTED = 20  # batches, enough for a screen
_TABLE_ROWS = 200  # of one table: a longer list is several tables, so that it is never in memory as a whole
_BATCH_COLUMNS = (
    Column("Batch", min_width=21),  # the length of a generated name
    Column("In"),
    Column("Created", min_width=10),
    Column("Gifts", number=True),
    Column("Total", number=True, no_wrap=True),
    Column("State", status=True),
)
_BATCH_FIELDS = ("batch", "environment", "created_at", "orders", "items", "total", "state")
_ORDER_COLUMNS = (
    Column("#", number=True),
    Column("Order", no_wrap=True),
    Column("Gifts", number=True),
    Column("Total", number=True, no_wrap=True),
    Column("State", status=True),
    Column("Reason"),
)
_ORDER_FIELDS = ("position", "order_id", "items", "total", "state", "error", "idempotency_key")


def find(session: Session, name: str) -> Batch:
    """Return a batch by its name, from the configured environment, or from another unless `--env` was given.

    Raises InputError, and UsageMistake where several environments have a batch of this name.
    """
    environment = session.settings.environment.value
    environments = [environment] if environment else list(ENVIRONMENTS)
    found = [batch for each in environments if (batch := session.ledger.batch(each, name))]
    if not found and environment is not None and session.settings.environment.origin != "flag":
        found = [batch for each in ENVIRONMENTS if (batch := session.ledger.batch(each, name))]
    if not found:
        where = f" in {environment}" if environment else ""
        raise InputError(f"There is no batch {name}{where}.", "`runa batch list` shows all batches.", code="no_batch")
    if len(found) > 1:
        raise UsageMistake(f"There is a batch {name} in several environments: choose one with --env.")
    return found[0]


def active_environment(session: Session) -> str:
    """Return the environment that a flag, a setting or the key names. Raises ConfigurationError where none does."""
    check_readable(session.settings)
    if not session.environment:
        raise ConfigurationError(
            "It is not known which environment is meant.",
            "Name it with --env, or set its API key.",
            code="no_environment",
        )
    return session.environment


def find_active(session: Session, name: str) -> Batch:
    """Return a batch of the active environment by its name.

    Raises InputError, ConfigurationError, and GuardRefused where only another environment has it.
    """
    environment, batch = active_environment(session), find(session, name)
    if batch.environment != environment:
        raise GuardRefused(
            f"Batch {name} is in {batch.environment}, and this is {environment}.",
            f"Add --env {batch.environment} (with its key).",
            Context(batch=name),
            code="other_environment",
        )
    return batch


def listed_environments(session: Session) -> list[str]:
    """Return the environments that a list is about: the active one, or all of them where none is known."""
    check_readable(session.settings)
    return [session.environment] if session.environment else list(ENVIRONMENTS)


def tell_of_other_environments(session: Session, environments: Sequence[str]) -> None:
    """Say where else something was issued from here, so that nobody takes a list for all there is."""
    others = [name for name in ENVIRONMENTS if name not in environments and session.ledger.count_batches(name)]
    if others:
        session.console.note(f"Not listed: what was issued in {' and '.join(others)} (--env).")


def show_list(session: Session, *, limit: int | None = LISTED, after: str | None = None) -> None:
    """Show batches, newest first; those that are older than the batch `after`, at most `limit`, None for all.

    Where there are more, that is said on standard error. Raises what `find` raises.
    """
    ledger, environment = session.ledger, environment_from_flag(session)
    before = {} if after is None else {"before": find(session, after).id}
    first_page = {} if limit is None else {"first_page": limit}
    batches = islice(ledger.tallied_batches(environment, **before, **first_page), limit)

    def table(width: int | None) -> Iterator[Part]:
        rows = (_batch_row(*pair) for pair in batches)
        chunk = [*islice(rows, _TABLE_ROWS)]
        if not chunk:
            yield Part("Nothing was issued from here yet." if after is None else f"No batch is older than {after}.")
        while chunk:
            yield from list_parts(_BATCH_COLUMNS, chunk, width)
            chunk = [*islice(rows, _TABLE_ROWS)]

    view = View(
        entries=lambda: (_batch_object(*pair) for pair in batches),
        table=table,
        csv_header=_BATCH_FIELDS,
        csv_cells=lambda: (_batch_cells(*pair) for pair in batches),
        links=lambda: (link for batch, _ in batches for link in batch_formats.links(ledger, batch)),
    )
    formats.show(session.output, view)
    if limit is not None:
        _tell_of_more(session, environment, limit, before)


def _tell_of_more(session: Session, environment: str | None, limit: int, before: dict[str, int]) -> None:
    ledger = session.ledger
    more = ledger.count_batches(environment, **before) - limit
    if more <= 0:
        return
    (last,) = islice(ledger.batches(environment, **before), limit - 1, limit)
    batches = "1 more batch" if more == 1 else f"{more:,} more batches"
    session.console.next_page(last.name, f"{batches}: `runa batch list --all` shows all of them.")


def show_batch(session: Session, name: str) -> None:
    """Show one batch, order by order; as JSON, the ledger's view of it. Raises InputError or GuardRefused."""
    ledger, batch = session.ledger, find(session, name)
    tally = ledger.tally(batch)

    def orders() -> Iterator[dict[str, Any]]:
        return map(_order_object, ledger.orders(batch))

    def links() -> Iterator[str]:
        from runa_cli.issuing.guard import check_not_pruned  # imported late: it loads pydantic

        check_not_pruned(batch)
        return batch_formats.links(ledger, batch)

    view = View(
        entries=orders,
        documents=lambda: [{**_batch_object(batch, tally), "orders": list(orders())}],
        table=lambda width: _batch_parts(ledger, batch, tally, width),
        csv_header=_ORDER_FIELDS,
        csv_cells=lambda: map(_order_cells, ledger.orders(batch)),
        links=links,
    )
    formats.show(session.output, view)


def _batch_parts(ledger: Ledger, batch: Batch, tally: Tally, width: int | None) -> Iterator[Part]:
    facts = [
        ("Environment", f"{batch.environment}, key {batch.account}"),
        ("Created", f"{batch.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Gifts", str(sum(tally.items.values()))),
        ("Total", format_money(tally.sums())),
        ("Issued", format_money(tally.sums([State.COMPLETED]))),
    ]
    if batch.pruned_at is not None:
        facts.append(("Pruned", f"{batch.pruned_at:%Y-%m-%d %H:%M:%S} UTC: its links are no longer recorded"))
    yield from summary_parts(Summary("Batch", batch.name, state_of(tally), facts))
    yield Part("")
    rows = [_order_cells(order)[:6] for order in ledger.orders(batch)]
    yield from list_parts(_ORDER_COLUMNS, rows, width)


def environment_from_flag(session: Session) -> str | None:
    """Return the environment of the flag `--env`; None where it was set elsewhere."""
    return session.settings.environment.value if session.settings.environment.origin == "flag" else None


def state_of(tally: Tally) -> str:
    """Return the state of a batch in one or two words."""
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
        format_money(tally.sums()),
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
        format_money({order.currency: Decimal(order.total)}),
        str(order.state),
        order.error_text or "",
        order.idempotency_key,
    ]
