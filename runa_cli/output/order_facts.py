"""The facts of an order, as a table shows them above its gifts."""

from typing import Any

from runa_cli.api import responses
from runa_cli.core.money import format_money
from runa_cli.ledger.records import Batch, Order
from runa_cli.output.tables import Summary


def runa_object(order: Order) -> dict[str, Any]:
    """Return Runa's own object for a recorded order."""
    return responses.read_object(order.reply or b"{}")


def order_summary(order: Order, batch: Batch) -> Summary:
    """Return the facts of a recorded order."""
    answered = runa_object(order)
    facts = [
        ("Batch", batch.name),
        ("Environment", batch.environment),
        ("Items", str(order.item_count)),
        *_api_facts(answered, format_money({order.currency: responses.as_decimal(order.total)})),
    ]
    return Summary("Order", order.order_id or "", str(answered.get("status") or order.state), facts)


def runa_object(order: Order) -> dict[str, Any]:
    """Return Runa's own object for a recorded order."""
    return responses.read_object(order.reply or b"{}")


def api_summary(order: dict[str, Any]) -> Summary:
    """Return the facts of an order as Runa shows it."""
    return Summary("Order", str(order.get("id", "")), str(order.get("status", "")), [*_api_facts(order, ""), ("", "")])


def _api_facts(order: dict[str, Any], total: str) -> list[tuple[str, str]]:
    price = f"{order.get('total_price', '')} {order.get('currency', '')}".strip()
    discount = responses.as_decimal(order.get("total_discount"))
    return [
        ("Face value", total),
        ("Price", price + (f", discount {discount}" if discount else "")),
        ("Exchange", exchange_rate(order.get("transaction_detail"))),
        ("Description", str(order.get("description") or "")),
        ("Created", _time(order.get("created_at"))),
        ("Completed", _time(order.get("completed_at"))),
        ("Message", str(order.get("message") or "")),
    ]


def exchange_rate(detail: object) -> str:
    """Say at what rate and fee Runa converts, where it does."""
    for entry in detail.values() if isinstance(detail, dict) else ():
        rate = entry.get("fx") if isinstance(entry, dict) else None
        if isinstance(rate, dict):
            fee = rate.get("fee")
            taken = f", fee {fee.get('value')} {fee.get('currency')}" if isinstance(fee, dict) else ""
            return f"{rate.get('rate_symbol')} {rate.get('rate')}{taken}"
    return ""


def _time(value: object) -> str:
    moment = responses.parse_time(str(value)) if value else None
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
