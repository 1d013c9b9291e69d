"""Compares what the journal tells of orders with the orders that the ledger holds.

The chain proves that the journal is as it was written. That the tables were not changed past it shows here, for what
moves money: an order that was sent is still there, with its money, and one that was completed is still completed.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from runa_cli.ledger import events
from runa_cli.ledger.engine import Engine, Row

_AT_A_TIME = 400  # orders
_SETTLING = {events.COMPLETED, "order.failed", "order.rejected", events.ABANDONED}
_KINDS = {events.SENT, events.UNSENT, *_SETTLING}

_Facts = dict[str, Any]


class Comparison:
    """Reads events as they pass, and keeps the first differences, and how many there are."""

    MOST = 20  # differences that are told one by one

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[tuple[str, str], _Facts] = {}  # orders that were sent and have not settled
        self._settled: list[_Facts] = []
        self.differences: list[str] = []
        self.count = 0

    def follow(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass events on, and compare the orders that they tell of."""
        for row in rows:
            if row["kind"] in _KINDS:
                self._take(row["id"], row["kind"], row["facts"])
            yield row
        self._compare([*self._settled, *self._open.values()])

    def _take(self, event: int, kind: str, text: str) -> None:
        try:
            facts: _Facts = json.loads(text)
            order = facts["environment"], facts["key"]
        except (ValueError, KeyError, TypeError):  # the chain is broken here
            return
        if kind == events.UNSENT:
            self._open.pop(order, None)
            return
        facts = self._open.pop(order, {}) | facts | {"event": event, "completed": kind == events.COMPLETED}
        if kind == events.SENT:
            self._open[order] = facts
            return
        self._settled.append(facts)
        if len(self._settled) == _AT_A_TIME:
            self._compare(self._settled)
            self._settled = []

    def _compare(self, told: list[_Facts]) -> None:
        for environment in sorted({facts["environment"] for facts in told}):
            own = [facts for facts in told if facts["environment"] == environment]
            for start in range(0, len(own), _AT_A_TIME):
                self._compare_some(environment, own[start : start + _AT_A_TIME])

    def _compare_some(self, environment: str, told: list[_Facts]) -> None:
        rows = self._engine.select(
            "SELECT idempotency_key, state, order_id, currency, total, item_count FROM purchase"  # noqa: S608 - only marks
            f" WHERE environment = ? AND idempotency_key IN ({','.join('?' * len(told))})",
            environment,
            *(facts["key"] for facts in told),
        )
        found = {row["idempotency_key"]: row for row in rows}
        for facts in told:
            for what in _differences(facts, found.get(facts["key"])):
                self.count += 1
                if self.count <= self.MOST:
                    place = f"Event {facts['event']}, order {facts['position']} of batch {facts['batch']}"
                    self.differences.append(f"{place}: {what}.")


def _differences(told: _Facts, row: Row | None) -> Iterator[str]:
    if row is None:
        yield "the ledger does not hold it any more"
        return
    if told["completed"] and row["state"] != "completed":
        yield f"it was completed, and the ledger has it as {row['state']}"
    pairs = [("currency", "currency"), ("total", "total"), ("items", "item_count")]
    if told["completed"]:
        pairs.append(("order_id", "order_id"))
    for name, column in pairs:
        if name in told and told[name] != row[column]:
            yield f"its {name} was {told[name]}, and is {row[column]} in the ledger"
