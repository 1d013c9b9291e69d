"""Copies a whole ledger into an empty one, of whichever engine, and proves that the copy holds the same.

The copy is the same ledger: its id goes along. One that takes the place of what it was copied from is some changes
further, so that the marks of this machine refuse the old one (high_water.py), which does not know everything from now
on; a backup is not.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.money import counted
from runa_cli.ledger import journal
from runa_cli.ledger.engine import Engine, Snapshot, Transaction

COLUMNS: Mapping[str, tuple[str, ...]] = {  # the first one of each table is its key
    "batch": (
        *("id", "environment", "name", "name_key", "named", "source", "shape", "fingerprint", "account", "columns"),
        *("delimiter", "bom", "created_at", "shown_at", "pruned_at", "file", "system_user", "host", "salt"),
    ),
    "purchase": (
        *("id", "batch_id", "environment", "position", "generation", "idempotency_key", "own_key", "body"),
        *("body_sha256", "sent_sha256", "mode", "currency", "total", "item_count", "account", "state", "prepared_at"),
        *("first_sent_at", "settled_at", "order_id", "http_status", "request_id", "error_type", "error_text"),
        *("same_errors", "superseded", "reply", "read_back", "sent_by", "proposal_id"),
    ),
    "gift": (
        *("id", "purchase_id", "slot", "row", "reference", "carried", "identity", "same_gift", "reference_key"),
        *("alike", "item", "issued", "payee", "payee_reference", "products", "cost", "recipient_key"),
    ),
    "purchase_search": ("purchase_id", "text", "terms"),
    "event": journal.COLUMNS,
    "closed": ("id", "environment", "since", "own_names"),  # a copy lacks the same orders
    "opened": ("id", "environment", "account"),
    "reserved": (
        *("id", "purchase_id", "environment", "currency", "products", "amount", "gifts", "reserved_at", "held"),
        "policy",
    ),
    "policy": ("id", "text", "stored_at", "stored_by"),
    "spent_term": ("id", "text"),
    "spent": (
        *("gift_id", "environment", "spent_at", "is_unknown", "batch_id", "is_named", "face", "charged", "sender"),
        *("currency", "charged_in", "product", "email", "reference"),
    ),
    "proposal": ("id", "batch_id", "facts", "proposed_at", "system_user", "host"),
    "approval": ("id", "proposal_id", "principal", "signing_key", "signature", "approved_at"),
}
_AT_A_TIME = 2000  # rows

Finish = Callable[[Transaction, "Content"], None]  # is given the open transaction and what was copied
Report = Callable[[str, int], None]  # is told the table and how many of its rows are copied


class Content(NamedTuple):
    """What a ledger holds: rows of each table, the money of its orders by currency, and a digest of everything."""

    rows: Mapping[str, int]
    money: Mapping[str, Decimal]
    digest: str


class _Counter:
    """Counts rows as they pass."""

    def __init__(self) -> None:
        self._rows = dict.fromkeys(COLUMNS, 0)
        self._money: dict[str, Decimal] = {}
        self._digest = hashlib.sha256()

    def add(self, table: str, values: tuple[Any, ...]) -> None:
        self._rows[table] += 1
        self._digest.update(repr((table, values)).encode("utf-8", "surrogatepass"))
        if table == "purchase":
            row = dict(zip(COLUMNS[table], values, strict=True))
            self._money[row["currency"]] = self._money.get(row["currency"], Decimal(0)) + Decimal(row["total"])

    @property
    def content(self) -> Content:
        return Content(self._rows, self._money, self._digest.hexdigest())


def copy(source: Snapshot, target: Engine, report: Report, *, changes_on: int, finish: Finish) -> Content:
    """Copy everything, or nothing. Returns what was copied.

    `changes_on` is how many changes further the copy is than the source. `finish` writes what the copy is to hold
    beside that. Raises LedgerUnusable, where the target is not empty or holds something else afterwards too.
    """
    counter = _Counter()
    with target.transaction() as transaction:
        (held,) = target.select("SELECT count(*) AS number FROM batch")
        if held["number"]:
            raise LedgerUnusable(
                f"The ledger to copy to holds {counted(held['number'], 'batch', 'batches')} already. Nothing was"
                " copied.",
                "RUNA_LEDGER must name a new one.",
            )
        for table, columns in COLUMNS.items():
            if table == "purchase_search":  # which has got a row with each order, from a trigger
                transaction.execute("DELETE FROM purchase_search")
            transaction.insert_rows(table, columns, _counted(source, table, counter, report))
            if "id" in columns and table != "event":  # whose numbers are its own
                transaction.continue_ids(table)
        (row,) = source("SELECT id, changes, checks FROM ledger")
        transaction.execute(
            "UPDATE ledger SET id = ?, changes = ?, checks = ?", row["id"], row["changes"] + changes_on, row["checks"]
        )
        found = _content(target)
        if found != counter.content:
            raise LedgerUnusable(
                f"The copy holds something else than the ledger it was made of ({dict(found.rows)} rows instead of"
                f" {dict(counter.content.rows)}). Nothing was copied.",
                "Report this, please: it must not happen.",
            )
        finish(transaction, found)
    return found


def _counted(source: Snapshot, table: str, counter: _Counter, report: Report) -> Iterator[tuple[Any, ...]]:
    columns, number = COLUMNS[table], 0
    for number, row in enumerate(source(f"{_selected(table)} ORDER BY {columns[0]}"), 1):
        values = tuple(row[column] for column in columns)
        counter.add(table, values)
        if number % _AT_A_TIME == 0:
            report(table, number)
        yield values
    report(table, number)


def _selected(table: str) -> str:
    names = ", ".join(f'{table}."{column}"' for column in COLUMNS[table])
    return f"SELECT {names} FROM {table}"  # noqa: S608 - own text


def _content(target: Engine) -> Content:
    """Return what the target holds, read in the transaction that wrote it: page by page, not to be in memory whole."""
    counter = _Counter()
    for table, columns in COLUMNS.items():
        last = -1
        while rows := target.select(
            f"{_selected(table)} WHERE {columns[0]} > ? ORDER BY {columns[0]} LIMIT {_AT_A_TIME}",
            last,
        ):
            for row in rows:
                counter.add(table, tuple(row[column] for column in columns))
            last = rows[-1][columns[0]]
    return counter.content
