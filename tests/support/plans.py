"""Inputs as people write them, and what is made of them: plans, bodies, and the mistakes that are named."""

import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from runa_cli.core import exact_json
from runa_cli.core.errors import InputError
from runa_cli.input.plan import Plan, PlannedOrder
from runa_cli.input.reader import Format, from_file
from runa_cli.input.request import OrderInput
from runa_cli.ledger.records import Gift

SINGLE = '"products":{"type":"SINGLE","value":"AMZ-US"}'
ITEM = f'{{"face_value":10,{SINGLE}}}'
DT = "DT-01HPSF51G0ZWHJ3JTNWRH0WDY{}"
PT = "PT-01HPSF51G0ZWHJ3JTNWRH0WDY{}"


def read(content: str | bytes, file_format: Format | None = None, **given: Any) -> Plan:
    """Return the plan of an input read from standard input."""
    raw = content.encode() if isinstance(content, str) else content
    return from_file(OrderInput(file_format=file_format, **given), io.BufferedReader(io.BytesIO(raw)))


def read_csv(content: str | bytes, **given: Any) -> Plan:
    """Return the plan of a CSV file."""
    return read(content, "csv", **given)


def orders(plan: Plan) -> list[PlannedOrder]:
    """Return the orders of a plan, and close it."""
    with plan:
        return list(plan.orders())


def bodies(plan: Plan) -> list[dict[str, Any]]:
    """Return what would be sent, order by order."""
    return [exact_json.loads(order.body(None)) for order in orders(plan)]  # type: ignore[misc] # an order is an object


def items(plan: Plan) -> list[dict[str, Any]]:
    """Return all items that would be sent."""
    return [item for body in bodies(plan) for item in body["items"]]


def gifts(plan: Plan) -> list[Gift]:
    """Return all gifts, in the order they are sent in."""
    return [gift for order in orders(plan) for gift in order.gifts]


def sums(plan: Plan) -> dict[str, Decimal]:
    """Return the totals of a plan, and close it."""
    with plan:
        return plan.sums


def refused(make: Callable[[], Plan]) -> InputError:
    """Return the error that an input ends in."""
    with pytest.raises(InputError) as caught:
        make().close()
    return caught.value


def mistakes(make: Callable[[], Plan]) -> list[str]:
    """Return the mistakes that are named, one a line."""
    first, *rest = refused(make).message.split("\n")
    return [line.strip() for line in rest] or [first]
