"""`batch list` and `batch show`: the batches of this ledger and their orders."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runa_cli.app.completion_names import keep_batches
from runa_cli.app.journal import note_links_read
from runa_cli.app.session import Session
from runa_cli.app.similar_names import similar_batch
from runa_cli.config.settings import check_readable
from runa_cli.config.values import ENVIRONMENTS
from runa_cli.core.errors import ConfigurationError, Context, GuardRefused, InputError, UsageMistake
from runa_cli.core.money import counted, format_money, plain_amount
from runa_cli.core.states import UNFINISHED, State
from runa_cli.ledger.records import Batch, Order, Tally
from runa_cli.output import batch_formats, formats
from runa_cli.output.formats import View
from runa_cli.output.tables import Column, Part, Summary, list_parts, long_list_parts, summary_parts

if TYPE_CHECKING:
    from runa_cli.app.batch_approval import BatchApproval

LISTED = 20  # batches, enough for a screen
_NO_BOUND: Mapping[str, int] = {}
_BATCH_COLUMNS = (
    Column("Batch"),
    Column("In"),
    Column("Created"),
    Column("Gifts", number=True),
    Column("Total", number=True, no_wrap=True),
    Column("State", status=True),
    Column("Issued from", style="dim", no_wrap=True, own_line=True),
)
_BATCH_FIELDS = (
    *("batch", "environment", "created_at", "orders", "items", "total", "currency", "state"),
    *("file", "user", "host"),
)
_ORDER_COLUMNS = (
    Column("#", number=True),
    Column("Order", no_wrap=True),
    Column("Gifts", number=True),
    Column("Total", number=True, no_wrap=True),
    Column("State", status=True),
    Column("Reason"),
)
_ORDER_FIELDS = ("position", "order_id", "items", "total", "currency", "state", "error", "idempotency_key")


def find(session: Session, name: str, *, suggest: bool = True) -> Batch:
    """Return a batch by its name, from the configured environment, or from another unless `--env` was given.

    `suggest` names a similar one where there is none; a command that cannot be undone must suggest nothing.
    Raises InputError, and UsageMistake where several environments have a batch of this name.
    """
    environment = session.settings.environment.value
    environments = [environment] if environment else list(ENVIRONMENTS)
    found = [batch for each in environments if (batch := session.ledger.batch(each, name))]
    if not found and environment is not None and session.settings.environment.origin != "flag":
        found = [batch for each in ENVIRONMENTS if (batch := session.ledger.batch(each, name))]
    if not found:
        where = f" in {environment}" if environment else ""
        meant = similar_batch(session, name, environments) if suggest else ""
        raise InputError(
            f"There is no batch {name}{where}.{meant}", "`runa batch list` shows all batches.", code="no_batch"
        )
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
    """Return a batch of the active environment by its name, for a command that cannot be undone.

    Raises InputError, ConfigurationError, and GuardRefused where only another environment has it.
    """
    environment, batch = active_environment(session), find(session, name, suggest=False)
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
    """Show the batches of the active environment, newest first; where none is known, those of one after the other.

    `after`: only those that follow this batch; at most `limit`, None for all. Where there are more, that is said on
    standard error. Raises what `find` raises, and UsageMistake where `after` is in another environment.
    """
    ledger, environments = session.ledger, listed_environments(session)
    scopes: list[tuple[str, Mapping[str, int]]] = [(environment, _NO_BOUND) for environment in environments]
    if after is not None:
        last = find(session, after)
        if last.environment not in environments:
            raise UsageMistake(f"--after {after} is a batch of {last.environment}: add --env {last.environment}.")
        position = environments.index(last.environment)
        scopes = [(last.environment, {"before": last.id}), *scopes[position + 1 :]]
    first_page = {} if limit is None else {"first_page": limit}
    every = (pair for name, before in scopes for pair in ledger.tallied_batches(name, **before, **first_page))
    shown: list[Batch] = []  # the last one
    batches = _remembering(islice(every, limit), shown)

    def table(width: int | None) -> Iterator[Part]:
        rows = (_batch_row(*pair) for pair in batches)
        none = "Nothing was issued from here yet." if after is None else f"No batch is older than {after}."
        return long_list_parts(_BATCH_COLUMNS, rows, width, empty_message=none)

    if session.output.format == "links":
        for environment in environments:
            note_links_read(session, "batch list", environment)
    view = View(
        entries=lambda: (_batch_object(*pair) for pair in batches),
        table=table,
        csv_header=_BATCH_FIELDS,
        csv_cells=lambda: (cells for pair in batches for cells in _batch_cells(*pair)),
        links=lambda: (link for batch, _ in batches for link in batch_formats.links(ledger, batch)),
    )
    formats.show(session.output, view)
    if limit is not None and shown:
        more = sum(ledger.count_batches(name, **before) for name, before in scopes) - limit
        if more > 0:
            what = counted(more, "more batch", "more batches")
            session.console.next_page(shown[0].name, f"{what}: `runa batch list --all` shows all of them.")
    tell_of_other_environments(session, environments)
    keep_batches(session)


def _remembering(pairs: Iterable[tuple[Batch, Tally]], last: list[Batch]) -> Iterator[tuple[Batch, Tally]]:
    """Yield pairs, and keep the batch of the latest one in a list."""
    for pair in pairs:
        last[:] = [pair[0]]
        yield pair


def show_batch(session: Session, name: str) -> None:
    """Show one batch, order by order; as JSON, the ledger's view of it. Raises InputError or GuardRefused."""
    ledger, batch = session.ledger, find(session, name)
    tally = ledger.tally(batch)

    def orders() -> Iterator[dict[str, Any]]:
        return map(_order_object, ledger.orders(batch))

    def links() -> Iterator[str]:
        from runa_cli.issuing.guard import check_not_pruned  # imported late: it loads pydantic

        check_not_pruned(batch)
        note_links_read(session, "batch show", batch.environment, batch.name)
        return batch_formats.links(ledger, batch)

    view = View(
        entries=orders,
        documents=lambda: [
            {**_batch_object(batch, tally), "approval": _approval_object(session, batch), "orders": list(orders())}
        ],
        table=lambda width: _batch_parts(session, batch, tally, width),
        csv_header=_ORDER_FIELDS,
        csv_cells=lambda: map(_order_cells, ledger.orders(batch)),
        links=links,
    )
    formats.show(session.output, view)


def _batch_parts(session: Session, batch: Batch, tally: Tally, width: int | None) -> Iterator[Part]:
    facts = [
        ("Environment", f"{batch.environment}, key {batch.account}"),
        ("Created", f"{batch.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Issued from", _issued_from(batch, batch.file)),
        ("Gifts", str(sum(tally.items.values()))),
        ("Total", format_money(tally.sums())),
        ("Issued", format_money(tally.sums([State.COMPLETED]))),
    ]
    if unknown := tally.of_unknown_outcome.sums():
        facts.append(("Unknown", f"{format_money(unknown)}, which may have been issued"))
    if (approval := _approval_of(session, batch)) is not None:
        facts += approval.facts()
    if batch.pruned_at is not None:
        facts.append(("Pruned", f"{batch.pruned_at:%Y-%m-%d %H:%M:%S} UTC: its links are no longer recorded"))
    yield from summary_parts(Summary("Batch", batch.name, state_of(tally), facts), width)
    yield Part("")
    rows = [_order_row(order) for order in session.ledger.orders(batch)]
    yield from list_parts(_ORDER_COLUMNS, rows, width)


def _approval_of(session: Session, batch: Batch) -> "BatchApproval | None":
    if session.ledger.proposal(batch.id) is None:
        return None
    from runa_cli.app.batch_approval import approval_of  # few batches have one, and it reads the policies

    return approval_of(session, batch)


def _approval_object(session: Session, batch: Batch) -> dict[str, Any] | None:
    approval = _approval_of(session, batch)
    return approval.as_dict() if approval else None


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
        "total": {currency: plain_amount(str(total), currency) for currency, total in tally.sums().items()},
        "states": {str(state): count for state, count in sorted(tally.orders.items())},
        "file": batch.file,
        "user": batch.user or None,
        "host": batch.host or None,
    }


def _order_object(order: Order) -> dict[str, Any]:
    return {
        "position": order.position,
        "generation": order.generation,
        "state": str(order.state),
        "idempotency_key": order.idempotency_key,
        "order_id": order.order_id,
        "items": order.item_count,
        "total": plain_amount(order.total, order.currency),
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


def _batch_cells(batch: Batch, tally: Tally) -> Iterator[list[str]]:
    """Yield the cells of a batch for each of its currencies, so that the column of totals can be added up."""
    for currency, total in sorted(tally.sums().items()) or [("", Decimal(0))]:
        orders, items = tally.by_currency.get(currency, (0, 0))
        yield [
            batch.name,
            batch.environment,
            batch.created_at.isoformat(),
            str(orders),
            str(items),
            plain_amount(str(total), currency) or "",
            currency,
            state_of(tally),
            *(batch.file or "", batch.user, batch.host),
        ]


def _batch_row(batch: Batch, tally: Tally) -> list[str]:
    return [
        batch.name,
        batch.environment,
        f"{batch.created_at.astimezone():%Y-%m-%d %H:%M}",
        str(sum(tally.items.values())),
        format_money(tally.sums()),
        state_of(tally),
        _issued_from(batch, Path(batch.file).name if batch.file else None),
    ]


def _issued_from(batch: Batch, file: str | None) -> str:
    """Return the file of a batch and who issued it; empty where an older version did, which did not record them."""
    if not batch.user:
        return ""
    return f"{file or 'flags'}, by {batch.user} on {batch.host}"


def _order_cells(order: Order) -> list[str]:
    return [
        str(order.position),
        order.order_id or "",
        str(order.item_count),
        plain_amount(order.total, order.currency) or "",
        order.currency,
        str(order.state),
        order.error_text or "",
        order.idempotency_key,
    ]


def _order_row(order: Order) -> list[str]:
    position, order_id, items, _, _, state, error, _ = _order_cells(order)
    return [position, order_id, items, format_money({order.currency: Decimal(order.total)}), state, error]
