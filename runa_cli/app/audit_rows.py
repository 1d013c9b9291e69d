"""What an audit found as rows of its report: what is on each side, whose it is, and what to do next."""

import shlex
from collections.abc import Mapping
from decimal import Decimal

from runa_cli.app.report_output import Entry
from runa_cli.core.money import amount_text, plain_decimal
from runa_cli.core.states import State
from runa_cli.issuing.audit import Category, Finding, OrderAtRuna
from runa_cli.ledger.audit_queries import AuditedOrder
from runa_cli.output.tables import Column

FIELDS = (
    *("category", "orders", "currency", "here", "at_runa", "batch", "position", "order_id", "state_here"),
    *("state_at_runa", "created_at", "whose", "next"),
)
NUMBERS = frozenset({"orders", "here", "at_runa", "position"})
COLUMNS = (
    Column("Category", no_wrap=True),
    Column("Order", no_wrap=True),
    Column("Batch"),
    Column("Here", number=True, no_wrap=True),
    Column("At Runa", number=True, no_wrap=True),
    Column("What to do", own_line=True),
)
_SUPPORT = "ask ordersupport@runa.io with this order id"
_MAY_COST = {State.SENT, State.ACCEPTED, State.COMPLETED, State.ABANDONED}


def words(category: object) -> str:
    """Return a category for people."""
    return str(category).replace("_", " ")


def shown(amount: Decimal, currency: str) -> str:
    """Return an amount of money for people."""
    return amount_text(amount, currency).strip()


def currency_of(finding: Finding) -> str:
    """Return the currency of the amounts of a row: what Runa charged in, else that of the face values."""
    if finding.at_runa is not None and finding.at_runa.currency:
        return finding.at_runa.currency
    return finding.here.charged_in if finding.here is not None else ""


def amount_here(here: AuditedOrder | None) -> Decimal | None:
    """Return what an order cost or may cost as far as the ledger knows: the charge, or else the face value."""
    if here is None:
        return None
    if here.state not in _MAY_COST:
        return Decimal(0)
    return here.total if here.charged is None else here.charged


def amount_at_runa(order: OrderAtRuna | None) -> Decimal | None:
    """Return what an order cost as far as Runa shows it; one that FAILED nothing."""
    if order is None:
        return None
    return Decimal(0) if order.status == "FAILED" else order.price


def entry(finding: Finding) -> Entry:
    """Return the row of a difference."""
    here, order, currency = finding.here, finding.at_runa, currency_of(finding)
    time = (order.created if order else None) or (here.sent_at if here else None)
    return {
        "category": str(finding.category),
        "orders": 1,
        "currency": currency or None,
        "here": _plain(amount_here(here), here.charged_in if here else currency),
        "at_runa": _plain(amount_at_runa(order), currency),
        "batch": here.batch if here else None,
        "position": here.position if here else None,
        "order_id": order.id if order else here.order_id if here else None,
        "state_here": str(here.state) if here else None,
        "state_at_runa": order.status if order else None,
        "created_at": time.isoformat() if time else None,
        "whose": _whose(finding),
        "next": _next(finding),
    }


def _plain(amount: Decimal | None, currency: str) -> str | None:
    return None if amount is None else plain_decimal(amount, currency)


def _whose(finding: Finding) -> str | None:
    """Say whose an order is that the ledger does not know."""
    order = finding.at_runa
    if finding.here is not None or order is None:
        return None
    if finding.twin is not None:
        return f"the same stamp as order {finding.twin.order_id} of batch {finding.twin.batch}"
    if order.batch is not None:
        return f"another ledger, batch {order.batch}"
    if order.status == "PROCESSING":
        return "not known before it settles"
    return "another ledger" if order.stamp is not None else "no stamp: another program, the portal or --no-stamp"


def _next(finding: Finding) -> str:
    """Say what to do about a difference."""
    here, order = finding.here, finding.at_runa
    resume = f"`runa batch resume {shlex.quote(here.batch)}`" if here else ""
    look = f"`runa order get {order.id}`" if order else ""
    match finding.category:
        case Category.ONLY_HERE:
            return f"Runa does not show it: {_SUPPORT} before anything of it is issued again"
        case Category.ONLY_AT_RUNA if finding.twin is not None:
            return f"its gifts may have been issued twice: compare it with {look}"
        case Category.ONLY_AT_RUNA if order is not None and order.status == "PROCESSING":
            return "run the audit again when it has settled"
        case Category.ONLY_AT_RUNA:
            return f"find out who issued it: {look} shows it"
        case Category.AMOUNT_DIFFERS:
            return f"{look} shows what Runa charged; {_SUPPORT} if that is wrong"
        case Category.UNKNOWN_HERE if order is None and here is not None and here.state is State.ABANDONED:
            return "it was given up and cannot be found by a stamp: look for it in Runa's portal"
        case Category.UNKNOWN_HERE if order is None:
            return f"{resume} settles it"
    if here is not None and here.state in {State.SENT, State.ACCEPTED, State.FAILED, State.PREPARED}:
        return f"{resume} takes over what Runa says"
    return f"{look} shows it; {_SUPPORT}"


def row(entry: Mapping[str, object]) -> list[str]:
    """Return the cells of a row for people."""
    here, at_runa = (_cell(entry[name], entry) for name in ("here", "at_runa"))
    sides = (("Here", "state_here"), ("At Runa", "state_at_runa"))
    states = " ".join(f"{name}: {entry[key]}." for name, key in sides if entry[key])
    whose = f" Whose: {entry['whose']}." if entry["whose"] else ""
    return [
        words(entry["category"]),
        str(entry["order_id"] or "(no id)"),
        str(entry["batch"] or ""),
        here,
        at_runa,
        f"{states}{whose} {entry['next']}.",
    ]


def _cell(amount: object, entry: Mapping[str, object]) -> str:
    return "" if amount is None else shown(Decimal(str(amount)), str(entry["currency"] or ""))
