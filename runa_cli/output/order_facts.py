"""The facts of an order that a table shows above its gifts.

What reads Runa's replies is imported late: it loads pydantic, and lists of batches do without.
"""

from collections.abc import Mapping
from typing import Any

from runa_cli.core.money import format_amount, format_money
from runa_cli.ledger.records import Batch, Order
from runa_cli.output.tables import Summary


def order_summary(order: Order, batch: Batch) -> Summary:
    """Return the facts of a recorded order."""
    from runa_cli.api import responses

    document = reply_document(order)
    facts = [
        ("Batch", batch.name),
        ("Environment", batch.environment),
        ("Items", str(order.item_count)),
        *_runa_facts(document, format_money({order.currency: responses.as_decimal(order.total)})),
    ]
    return Summary("Order", order.order_id or "", str(document.get("status") or order.state), facts)


def api_summary(document: Mapping[str, Any]) -> Summary:
    """Return the facts of an order as Runa's reply shows it."""
    return Summary(
        "Order", str(document.get("id", "")), str(document.get("status", "")), _runa_facts(document, face_value="")
    )


def reply_document(order: Order) -> dict[str, Any]:
    """Return Runa's recorded reply for an order as a JSON object; empty where there is none."""
    from runa_cli.api import responses

    return responses.read_object(order.reply or b"{}")


def exchange_rate(detail: object) -> str:
    """Return the rate and fee of a currency conversion as text; empty where there is none."""
    for entry in detail.values() if isinstance(detail, dict) else ():
        rate = entry.get("fx") if isinstance(entry, dict) else None
        if isinstance(rate, dict):
            fee = rate.get("fee")
            fee_text = f", fee {fee.get('value')} {fee.get('currency')}" if isinstance(fee, dict) else ""
            return f"{rate.get('rate_symbol')} {rate.get('rate')}{fee_text}"
    return ""


def _runa_facts(document: Mapping[str, Any], face_value: str) -> list[tuple[str, str]]:
    from runa_cli.api import responses

    total, currency = responses.maybe_decimal(document.get("total_price")), str(document.get("currency") or "")
    price = f"{document.get('total_price', '') if total is None else format_amount(total, currency)} {currency}".strip()
    discount = responses.as_decimal(document.get("total_discount"))
    return [
        ("Face value", face_value),
        ("Price", price + (f", discount {discount}" if discount else "")),
        ("Exchange", exchange_rate(document.get("transaction_detail"))),
        ("Description", str(document.get("description") or "")),
        ("Created", _time(document.get("created_at"))),
        ("Completed", _time(document.get("completed_at"))),
        ("Message", str(document.get("message") or "")),
    ]


def _time(value: object) -> str:
    from runa_cli.api import responses

    moment = responses.parse_time(str(value)) if value else None
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
