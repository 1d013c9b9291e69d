"""`--dry-run`: what would be sent, and what of it is already issued. Nothing is sent or recorded."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from runa_cli import jsontext, settings
from runa_cli.client import Endpoint
from runa_cli.issuing import Asked, check_total, made_up_name, new_orders
from runa_cli.ledger import HELD, Batch, Ledger, NewOrder, Tally
from runa_cli.plan import Plan
from runa_cli.runs import money
from runa_cli.session import Session
from runa_cli.settling import Tools
from runa_cli.tables import Summary, summary_parts

EMBEDDED_URL = "http://127.0.0.1/v2"  # the embedded emulator has a port only while it runs


def show(session: Session, plan: Plan, asked: Asked) -> None:
    """Show the plan; as JSON, the exact requests. Raises GuardRefused where a cap would refuse."""
    check_total(plan.sums, asked)
    batch, tally = _recorded(session, plan, asked)
    name = batch.name if batch else asked.name or made_up_name(Tools())
    out = session.output
    if out.format == "json":
        out.json_list(_requests(session, plan, asked, name))
    elif out.format == "jsonl":
        for request in _requests(session, plan, asked, name):
            out.json_line(request)
    else:
        out.parts(summary_parts(_summary(session, plan, batch, tally)))
    out.flush()


def _recorded(session: Session, plan: Plan, asked: Asked) -> tuple[Batch | None, Tally]:
    if not session.settings.ledger.value.exists():
        return None, Tally()
    ledger: Ledger = session.ledger
    if asked.name is not None:
        batch = ledger.batch(asked.environment, asked.name)
    else:
        batch = next(iter(ledger.batches_with(asked.environment, plan.fingerprint())), None)
    return batch, ledger.tally(batch) if batch else Tally()


def _summary(session: Session, plan: Plan, batch: Batch | None, tally: Tally) -> Summary:
    issued = sum(tally.items[state] for state in HELD)
    return Summary(
        "Dry run",
        "nothing was sent or recorded",
        "",
        [
            ("Environment", f"{session.environment}, account {session.settings.account or '(hidden)'}"),
            ("Orders", str(plan.order_count)),
            ("Items", str(plan.item_count)),
            ("Total", money(plan.sums)),
            ("Already issued", f"{issued} items, {money(tally.sums(HELD))} in batch {batch.name}" if batch else "none"),
        ],
    )


def _requests(session: Session, plan: Plan, asked: Asked, name: str) -> Iterator[dict[str, Any]]:
    url = settings.request_url(session.settings) or EMBEDDED_URL
    endpoint = session.endpoint(url)
    key = settings.ApiKey(endpoint.api_key)
    hidden: Endpoint = replace(endpoint, api_key=f"{key.prefix or 'hidden'}.***")
    for order in new_orders(plan, asked, name):
        yield {
            "method": "POST",
            "url": f"{url}/order",
            "headers": hidden.headers(idempotency_key=order.idempotency_key, mode=_mode(order)),
            "body": jsontext.loads(order.body),
        }


def _mode(order: NewOrder) -> Any:
    return order.mode
