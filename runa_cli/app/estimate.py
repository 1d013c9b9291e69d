"""`runa order estimate`: what the input of a create would cost. Nothing is sent that moves money, nothing recorded."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from runa_cli.api import responses
from runa_cli.api.client import Client
from runa_cli.app.create import read_plan
from runa_cli.app.session import Session
from runa_cli.core import exact_json
from runa_cli.core.errors import RequestRefused
from runa_cli.core.money import format_gifts, format_money
from runa_cli.input.plan import Plan, PlannedOrder
from runa_cli.input.request import OrderInput
from runa_cli.ledger.results import products_of
from runa_cli.output import formats, order_facts
from runa_cli.output.formats import View
from runa_cli.output.lists import cell_text
from runa_cli.output.tables import Column, Part, Summary, list_parts, summary_parts

LOCAL_LIVE_KEY = "wglocal.emulator"  # as at Runa, only a live key can ask for estimates
_FIELDS = (*("order", "item", "face_value", "currency", "products", "price", "price_currency", "discount_multiplier"),)


def estimate(session: Session, order_input: OrderInput) -> None:
    """Show the price of each item and of each order. Raises InputError or RequestRefused."""
    session.checked()
    if session.environment == "playground":
        raise RequestRefused(
            "Runa's playground has no estimates.",
            "Use a live key (it moves no money), or --env local.",
            code="no_estimate",
        )
    with read_plan(session, order_input) as plan:
        _show(session, plan, _estimates(session, plan))


def _estimates(session: Session, plan: Plan) -> Iterator[dict[str, Any]]:
    client = _client(session)
    for order in plan.orders():
        yield client.document("/order/estimate", seconds=session.settings.timeout.value, body=_request(order))


def estimate_of(session: Session, order: PlannedOrder) -> dict[str, Any]:
    """Return Runa's estimate of one order. Raises RequestRefused, and the error of a request that was not answered."""
    return _client(session).document("/order/estimate", seconds=session.settings.timeout.value, body=_request(order))


def _client(session: Session) -> Client:
    client = session.client
    if session.environment == "local":
        return Client(replace(client.endpoint, api_key=LOCAL_LIVE_KEY), session.clock)
    return client


def _request(order: PlannedOrder) -> bytes:
    """Return the body, which knows no delivery.

    developer.runa.io: reference/2024-02-05/endpoint/orders/estimate.
    """
    items = []
    for gift in order.gifts:
        item = exact_json.loads(gift.item)
        if isinstance(item, dict):
            if item["products"]["type"] == "TEMPLATE":
                raise RequestRefused(
                    "Runa estimates products, not selections: a product template has no price of its own.",
                    "Estimate the selection's products instead.",
                    code="no_estimate",
                )
            items.append({"products": item["products"], "face_value": item["face_value"]})
    return exact_json.dumps({"payment_method": order.head.payment_method.model_dump(), "items": items}).encode()


class _Total(Struct):
    """What all orders come to: gifts, and by currency their face values, prices and discounts."""

    items: int = 0
    face_values: dict[str, Decimal] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    discounts: dict[str, Decimal] = field(default_factory=dict)

    def count(self, document: Mapping[str, Any]) -> None:
        """Add the estimate of an order."""
        currency = cell_text(document.get("currency"))
        for item in document.get("items") or ():
            self.items += 1
            _add(self.face_values, cell_text(item.get("currency")) or currency, item.get("face_value"))
        _add(self.prices, currency, document.get("total_price"))
        _add(self.discounts, currency, document.get("total_discount"))

    def sentence(self) -> str:
        """Return the total as a line for people."""
        discount = f", discount {format_money(self.discounts)}" if any(self.discounts.values()) else ""
        return (
            f"Total: {format_gifts(self.items)}, face value {format_money(self.face_values)},"
            f" price {format_money(self.prices)}{discount}"
        )


def _add(sums: dict[str, Decimal], currency: str, amount: object) -> None:
    sums[currency] = sums.get(currency, Decimal(0)) + responses.as_decimal(amount)


def _counted(estimates: Iterable[dict[str, Any]], total: _Total) -> Iterator[dict[str, Any]]:
    for document in estimates:
        total.count(document)
        yield document


def _show(session: Session, plan: Plan, estimates: Iterator[dict[str, Any]]) -> None:
    total = _Total()
    estimates = _counted(estimates, total)
    view = View(
        entries=lambda: estimates,
        documents=(lambda: estimates) if plan.shape == "object" else None,
        table=lambda width: _table(estimates, total if plan.file else None, width),
        csv_header=_FIELDS,
        csv_cells=lambda: (row for number, one in enumerate(estimates, 1) for row in _rows(number, one)),
    )
    formats.show(session.output, view)
    if plan.file and session.output.format == "csv":  # a line of totals among the rows would be added up with them
        session.console.note(total.sentence())


def _table(estimates: Iterable[dict[str, Any]], total: _Total | None, width: int | None) -> Iterator[Part]:
    for number, one in enumerate(estimates, 1):
        if number > 1:
            yield Part("")
        yield from _parts(number, one, width)
    if total is not None:
        yield Part("")
        yield Part(total.sentence())


def _rows(number: int, document: Mapping[str, Any]) -> Iterator[list[str]]:
    for slot, item in enumerate(document.get("items") or (), 1):
        yield [
            str(number),
            str(slot),
            cell_text(item.get("face_value")),
            cell_text(item.get("currency")),
            "|".join(products_of(item)),
            cell_text(item.get("price")),
            cell_text(document.get("currency")),
            cell_text(item.get("discount_multiplier")),
        ]


def _parts(number: int, document: Mapping[str, Any], width: int | None) -> Iterator[Part]:
    currency = cell_text(document.get("currency"))
    facts = [
        ("Price", f"{cell_text(document.get('total_price'))} {currency}"),
        ("Discount", f"{cell_text(document.get('total_discount'))} {currency}"),
        ("Exchange", order_facts.exchange_rate(document.get("transaction_detail"))),
    ]
    yield from summary_parts(Summary("Estimate", f"of order {number}", "", facts), width)
    yield Part("")
    rows = [[*row[1:6], row[7]] for row in _rows(number, document)]
    columns = (
        Column("#", number=True),
        Column("Value", number=True, no_wrap=True),
        Column("Currency"),
        Column("Products"),
        Column("Price", number=True, no_wrap=True),
        Column("Discount", number=True),
    )
    yield from list_parts(columns, rows, width)
