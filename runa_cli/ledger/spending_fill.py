"""Fills in what older versions did not record of the money: who each gift is for, what it costs, what is held.

An order counts from when it was first sent. What was pruned has neither products nor recipients any more: it counts as
any product, and for nobody.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from runa_cli.core import exact_json
from runa_cli.core.identity import payee, products_text
from runa_cli.core.money import to_minor
from runa_cli.ledger.spending import RELEASED, price_in

_PAGE = 500  # orders that are read at a time
_PAYING = re.compile(rb'"payment_method":\{[^{}]*"currency":"([A-Z]{3})"')
_HEAD = 200  # bytes of a body, of which the payment method is the first member


class Database(Protocol):
    """What a migration works with: an open transaction."""

    def execute(self, statement: str, values: Sequence[object] = (), /) -> Iterable[Any]:
        """Run a statement and return its rows."""


def fill_spending(database: Database) -> None:
    """Fill in the columns of all gifts, and a row in `reserved` for each choice of products of each order."""
    last = 0
    while True:
        orders = [
            tuple(row)
            for row in database.execute(
                f"SELECT id, environment, currency, state, total, coalesce(first_sent_at, prepared_at),"  # noqa: S608 - own text
                f" substr(body, 1, {_HEAD}) FROM purchase WHERE id > ? ORDER BY id LIMIT {_PAGE}",
                (last,),
            )
        ]
        if not orders:
            return
        for order in orders:
            _fill_order(database, *order)
        last = orders[-1][0]


def _fill_order(  # noqa: PLR0917 - the columns of a row
    database: Database, order: int, environment: str, currency: str, state: str, total: str, time: str, body: Any
) -> None:
    paying = _paying(body) or currency
    shares: dict[str, list[int]] = {}
    gifts = list(
        map(tuple, database.execute("SELECT id, item, reference, carried FROM gift WHERE purchase_id = ?", (order,)))
    )
    for gift, text, reference, carried in gifts:
        item: Any = exact_json.loads(text)
        if not item:
            continue
        cells: Any = exact_json.loads(carried)
        recipient, products = payee(item, reference, cells), products_text(item["products"])
        cost = to_minor(item["face_value"], currency) if paying == currency else _price(database, order, paying)
        database.execute(
            "UPDATE gift SET payee = ?, payee_reference = ?, products = ?, cost = ? WHERE id = ?",
            (recipient.by_email, recipient.by_reference, products, cost, gift),
        )
        share = shares.setdefault(products, [0, 0])
        share[0] += cost or 0
        share[1] += 1
    if not shares and paying == currency:
        shares[""] = [to_minor(exact_json.Number(total), currency), len(gifts)]
    for products, (amount, count) in shares.items():
        database.execute(
            "INSERT INTO reserved (purchase_id, environment, currency, products, amount, gifts, reserved_at, held,"
            " policy) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')",
            (order, environment, paying, products, amount, count, time, int(state not in RELEASED)),
        )


def _paying(body: Any) -> str | None:
    # Of the empty body of a pruned order, SQLite's substr makes NULL.
    found = _PAYING.search(body.encode() if isinstance(body, str) else bytes(body or b""))
    return found[1].decode() if found else None


def _price(database: Database, order: int, paying: str) -> int | None:
    for (reply,) in map(tuple, database.execute("SELECT reply FROM purchase WHERE id = ?", (order,))):
        return price_in(bytes(reply), paying) if reply else None
    return None
