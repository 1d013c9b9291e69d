"""`order create --dry-run`: what would be sent, and what is issued already. Nothing is sent or recorded."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec.structs import replace

from runa_cli.app.dry_run_checks import Checks, PlannedRequest
from runa_cli.app.preview import CSV_HEADER, Found, Preview
from runa_cli.app.session import Session
from runa_cli.config import api_key, settings
from runa_cli.config.values import JSON_FORMATS
from runa_cli.core import exact_json
from runa_cli.core.errors import OutputFailed
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.issuer import Preflight
from runa_cli.ledger.results import carried_headings
from runa_cli.output import formats
from runa_cli.output.formats import View

EMBEDDED_URL = "http://127.0.0.1/v2"  # the embedded emulator has a port only while it runs


def show(session: Session, plan: Plan, request: CreateRequest, preflight: Preflight | None) -> None:
    """Show the plan; as JSON, the exact requests. Raises what a create would raise before it sends.

    Where a guard or the preflight refuses, the plan is shown with the rows that are refused, and the error follows.
    """
    if session.has_ledger:
        session.check_open()
    checks = Checks(session, plan, request, preflight)
    checks.run()
    as_json = session.output.format in JSON_FORMATS
    if checks.refusal and as_json:
        raise checks.refusal
    orders = 0 if as_json or checks.refusal else sum(1 for _ in checks.requests)
    preview = Preview(
        plan, request, checks.issued, orders, checks.refusal, lambda ids: _find(session, ids), checks.weighing.fact
    )
    view = View(
        entries=lambda: (_document(session, planned) for planned in checks.requests),
        table=lambda width: preview.parts(session, width),
        csv_header=(*CSV_HEADER, *carried_headings(plan.columns)),
        csv_cells=preview.csv_cells,
        dialect=plan.dialect,
    )
    try:
        formats.show(session.output, view)
    except OutputFailed as error:
        raise checks.refusal or error from error
    if checks.refusal:
        raise checks.refusal


def _find(session: Session, ids: Sequence[int]) -> Found:
    """Return state and order of recorded gifts by their ids."""
    return {gift_id: (found.state, found.order_id) for gift_id, found in session.ledger.results_of(ids).items()}


def _document(session: Session, planned: PlannedRequest) -> dict[str, Any]:
    url = settings.request_url(session.settings) or EMBEDDED_URL
    endpoint = session.endpoint(url)
    prefix = api_key.ApiKey(endpoint.api_key).prefix
    hidden = replace(endpoint, api_key=f"{prefix}.***" if prefix else "***")
    mode: Literal["sync", "async"] = "sync" if planned.mode == "sync" else "async"
    return {
        "method": "POST",
        "url": f"{endpoint.shown_url}/order",
        "headers": hidden.headers(idempotency_key=planned.idempotency_key, mode=mode),
        "body": exact_json.loads(planned.body),
    }
