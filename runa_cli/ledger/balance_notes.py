"""Reads the balances that were noted in the journal, and what was charged between each and the next.

The journal is one sequence for all who share a ledger, whatever their clocks say: what was charged between two notes
are the orders whose answers lie between the two events. An order that was under way at one of them may have been
charged on either side of it.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct, field

from runa_cli.ledger import events
from runa_cli.ledger.audit_queries import AuditQueries
from runa_cli.ledger.engine import Row
from runa_cli.ledger.records import Batch
from runa_cli.ledger.rows import to_timestamp

_AT_A_TIME = 400  # orders
_SETTLING = (events.UNSENT, events.COMPLETED, events.FAILED, events.REJECTED, events.ABANDONED)
_KINDS = (events.BALANCE_NOTED, events.SENT, *_SETTLING)
_MAY_HAVE_PAID = {events.COMPLETED, events.FAILED}  # FAILED: what it had cost may have been given back


class BalanceNote(Struct, frozen=True):
    """A balance that was noted. `amount` is None where it could not be fetched; `moment` is `before` or `after`."""

    at: datetime
    account: str
    currency: str
    amount: Decimal | None
    batch: str
    moment: str
    run: str


class BalanceSpan(Struct):
    """What happened between two notes of one balance, as far as this ledger knows.

    `first` is None where there is no known balance before `last`. `orders` were sent and completed within the span, and
    `charged` is what Runa charged for them, but for `unpriced` ones. Of `under_way` it is not known whether they were
    charged within the span.
    """

    first: BalanceNote | None
    last: BalanceNote
    orders: int = 0
    charged: Decimal = Decimal(0)
    unpriced: int = 0
    under_way: int = 0

    @property
    def is_run(self) -> bool:
        """Whether it is from before one run until after it."""
        first = self.first
        return first is not None and first.run == self.last.run and (first.moment, self.last.moment) == _WHOLE_RUN

    @property
    def spent(self) -> Decimal | None:
        """By how much the balance fell; None where it is not known on both sides."""
        if self.first is None or self.first.amount is None or self.last.amount is None:
            return None
        return self.first.amount - self.last.amount


_WHOLE_RUN = ("before", "after")


class BalanceQueries(AuditQueries):
    """Reads what was noted of balances. Every method raises LedgerUnusable."""

    def paid_from(self, batch: Batch) -> set[str]:
        """Return the currencies of the balances that pay for what may still be sent of a batch."""
        rows = self._engine.select(
            "SELECT DISTINCT reserved.currency FROM purchase JOIN reserved ON reserved.purchase_id = purchase.id"
            " WHERE batch_id = ? AND superseded = 0 AND state IN ('prepared', 'sent')",
            batch.id,
        )
        return {row["currency"] for row in rows}

    def balance_spans(self, environment: str, since: datetime, until: datetime) -> list[BalanceSpan]:
        """Return the spans between the balances that were noted within a time, by when each ends."""
        (row,) = self._engine.select(
            "SELECT min(id) AS first FROM event WHERE kind = ? AND at >= ?", events.BALANCE_NOTED, to_timestamp(since)
        )
        if row["first"] is None:
            return []
        walk = _Walk(environment, until)
        walk.take(
            self._engine.stream(
                f"SELECT at, kind, facts FROM event WHERE id >= ? AND kind IN ({','.join('?' * len(_KINDS))})"  # noqa: S608 - only marks
                " ORDER BY id",
                row["first"],
                *_KINDS,
            )
        )
        return [self._with_charges(environment, span, keys) for span, keys in walk.spans]

    def _with_charges(self, environment: str, span: BalanceSpan, keys: list[str]) -> BalanceSpan:
        for start in range(0, len(keys), _AT_A_TIME):
            some = keys[start : start + _AT_A_TIME]
            rows = self._engine.select(
                f"SELECT id FROM purchase WHERE environment = ? AND idempotency_key IN ({','.join('?' * len(some))})",  # noqa: S608 - only marks
                environment,
                *some,
            )
            charges = self._charges([row["id"] for row in rows])
            span.unpriced += len(some) - len(charges)
            for charged, charged_in in charges.values():
                if charged_in == span.last.currency:
                    span.orders += 1
                    span.charged += charged or 0
                    span.unpriced += charged is None
        return span


class _Open(Struct):
    """What has happened since a note of one balance. Orders are named by their keys."""

    note: BalanceNote | None = None
    sent: set[str] = field(default_factory=set)
    completed: list[str] = field(default_factory=list)
    under_way: int = 0


class _Walk:
    """Follows events in their order, and collects the spans with the keys of the orders that were completed in each."""

    def __init__(self, environment: str, until: datetime) -> None:
        self._environment, self._until = environment, until
        self._open: dict[tuple[str, str], _Open] = {}  # by account and currency
        self._accounts: dict[str, str] = {}  # of the orders that are under way, as far as they were sent in the walk
        self.spans: list[tuple[BalanceSpan, list[str]]] = []

    def take(self, rows: Iterable[Row]) -> None:
        """Follow all events."""
        for row in rows:
            try:
                facts: dict[str, Any] = json.loads(row["facts"])
                if facts["environment"] != self._environment:
                    continue
                if row["kind"] == events.BALANCE_NOTED:
                    self._note(_note(row, facts))
                elif row["kind"] == events.SENT:
                    self._sent(facts["key"], facts["account"])
                else:
                    self._settled(facts["key"], row["kind"])
            except (ValueError, KeyError, TypeError):  # the chain is broken here, which `--journal` tells
                continue

    def _note(self, note: BalanceNote) -> None:
        if note.at >= self._until:
            return
        held = self._open.setdefault((note.account, note.currency), _Open())
        span = BalanceSpan(held.note, note)
        if note.amount is None:  # the next one that is known is compared with the last one that was
            self.spans.append((span, []))
            return
        if held.note is not None or note.moment == "after":
            span.under_way = held.under_way + sum(account == note.account for account in self._accounts.values())
            self.spans.append((span, held.completed))
        self._open[note.account, note.currency] = _Open(note)

    def _sent(self, key: str, account: str) -> None:
        self._accounts[key] = account
        for held in self._of(account):
            held.sent.add(key)

    def _settled(self, key: str, kind: str) -> None:
        for held in self._of(self._accounts.pop(key, None)):
            if key in held.sent:
                if kind == events.COMPLETED:
                    held.completed.append(key)
                held.under_way += kind == events.ABANDONED  # whether it was charged is not known
            else:
                held.under_way += kind in _MAY_HAVE_PAID

    def _of(self, account: str | None) -> Iterator[_Open]:
        """Yield the balances of an account; where it is not known, those of all."""
        return (held for (own, _), held in self._open.items() if account in {own, None})


def _note(row: Row, facts: dict[str, Any]) -> BalanceNote:
    """Read a note. Raises KeyError, TypeError and ValueError."""
    try:
        amount = None if facts["amount"] is None else Decimal(facts["amount"])
    except InvalidOperation as error:
        raise ValueError(facts["amount"]) from error
    return BalanceNote(
        datetime.fromisoformat(row["at"]), facts["account"], facts["currency"], amount, facts["batch"],
        facts["moment"], facts["run"],
    )  # fmt: skip
