"""From a row of the ledger's tables to a record."""

import sqlite3
from datetime import UTC, datetime

from runa_cli.core import exact_json
from runa_cli.core.states import State
from runa_cli.ledger.records import Batch, Order, Result


def text_of(moment: datetime) -> str:
    """Return a time as the ledger writes it (UTC)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment_of(text: str | None) -> datetime | None:
    """Read a time as the ledger wrote it."""
    return None if text is None else datetime.fromisoformat(text)


def batch_of(row: sqlite3.Row) -> Batch:
    """Return the batch of a row."""
    columns = exact_json.loads(row["columns"])
    return Batch(
        id=row["id"],
        environment=row["environment"],
        name=row["name"],
        named=bool(row["named"]),
        source=row["source"],
        shape=row["shape"],
        fingerprint=row["fingerprint"],
        account=row["account"],
        columns=tuple(str(column) for column in columns) if isinstance(columns, list) else (),
        created_at=datetime.fromisoformat(row["created_at"]),
        shown_at=moment_of(row["shown_at"]),
        pruned_at=moment_of(row["pruned_at"]),
    )


def order_of(row: sqlite3.Row) -> Order:
    """Return the order of a row."""
    return Order(
        id=row["id"],
        batch_id=row["batch_id"],
        position=row["position"],
        generation=row["generation"],
        idempotency_key=row["idempotency_key"],
        own_key=bool(row["own_key"]),
        body=row["body"],
        body_sha256=row["body_sha256"],
        mode=row["mode"],
        currency=row["currency"],
        total=row["total"],
        item_count=row["item_count"],
        state=State(row["state"]),
        prepared_at=datetime.fromisoformat(row["prepared_at"]),
        first_sent_at=moment_of(row["first_sent_at"]),
        settled_at=moment_of(row["settled_at"]),
        order_id=row["order_id"],
        http_status=row["http_status"],
        request_id=row["request_id"],
        error_type=row["error_type"],
        error_text=row["error_text"],
        same_errors=row["same_errors"],
        reply=row["reply"],
    )


def result_of(row: sqlite3.Row) -> Result:
    """Return the result of a row."""
    carried = exact_json.loads(row["carried"])
    item = exact_json.loads(row["item"])
    issued = exact_json.loads(row["issued"]) if row["issued"] else None
    return Result(
        row=row["row"],
        reference=row["reference"],
        carried=tuple(str(value) for value in carried) if isinstance(carried, list) else (),
        item=item if isinstance(item, dict) else {},
        issued=issued if isinstance(issued, dict) else None,
        state=State(row["state"]),
        order_id=row["order_id"],
        currency=row["currency"],
        error_text=row["error_text"],
    )
