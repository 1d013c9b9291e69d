"""`order get`: one order as it is at Runa now."""

from urllib.parse import quote

from runa_cli.api.retry import poll_wait
from runa_cli.app.session import Session
from runa_cli.core.errors import Context, OrderFailed, RequestRefused, Unreachable
from runa_cli.ledger import results
from runa_cli.output import formats, order_facts
from runa_cli.output.formats import View
from runa_cli.output.gift_lines import runa_gifts
from runa_cli.output.tables import order_parts


def show_order(session: Session, order_id: str, *, wait: bool) -> None:
    """Show one order; with `wait`, as soon as it is settled.

    Raises OrderFailed after showing an order that FAILED, Unreachable where it does not settle within the time limit,
    and what Client.document raises.
    """
    timeout = session.settings.timeout.value
    deadline = session.clock.seconds() + timeout
    poll = 0
    while True:
        order = _fetch(session, order_id, max(0.1, deadline - session.clock.seconds()))
        if not wait or order.get("status") != "PROCESSING":
            break
        poll += 1
        pause = poll_wait(poll)
        if session.clock.seconds() + pause >= deadline:
            raise Unreachable(
                f"Order {order_id} is still processing after {timeout:g} s.",
                "Run the same command again, with a longer --timeout.",
                Context(order_id=order_id),
                code="still_processing",
            )
        session.clock.sleep(pause)
    _show(session, order)
    if order.get("status") == "FAILED":
        raise OrderFailed(
            f"Runa reports order {order_id} as FAILED, without a reason.",
            "Ask ordersupport@runa.io with this order id.",
            Context(order_id=order_id),
        )


def _fetch(session: Session, order_id: str, seconds: float) -> dict[str, object]:
    try:
        order = session.client.document(f"/order/{quote(order_id, safe='')}", seconds=seconds)
    except RequestRefused as error:
        if error.code == "not_found":
            error.message = f"There is no order {order_id} in this account ({session.environment})."
            error.hint = "Check the id and the environment; `runa config` shows which one is used."
        error.context = Context(order_id=order_id, request_id=error.context.request_id)
        raise
    if order.get("id") != order_id:
        raise Unreachable(f"Runa answered with another order than {order_id}.", context=Context(order_id=order_id))
    return order


def _show(session: Session, order: dict[str, object]) -> None:
    rows = results.rows_from_order(order)
    gifts = rows if isinstance(order.get("items"), list) else []
    view = View(
        entries=lambda: [order],
        documents=lambda: [order],
        table=lambda width: order_parts(order_facts.api_summary(order), gifts, width),
        csv_header=results.COLUMNS,
        csv_cells=lambda: (row.cells() for row in rows),
        links=lambda: (row.payout_url for row in rows if row.payout_url),
        gifts=lambda: runa_gifts(order),
    )
    formats.show(session.output, view)
