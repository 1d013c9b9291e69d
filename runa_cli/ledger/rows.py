"""Reads records from rows of the ledger's tables, and converts the values that the tables hold as text."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime

from runa_cli.core import exact_json
from runa_cli.core.dialect import Dialect
from runa_cli.core.identity import GiftIdentity
from runa_cli.core.states import State
from runa_cli.ledger.engine import Row
from runa_cli.ledger.high_water import EventsAt, Mark, heads
from runa_cli.ledger.records import Batch, Order, Recorded, Result, SameGift

MARK = (  # the query that `read_mark` reads
    "SELECT id, changes, checks, (SELECT max(id) FROM purchase) AS orders, (SELECT max(id) FROM gift) AS gifts,"
    " (SELECT max(id) FROM event) AS events FROM ledger"
)


def to_timestamp(time: datetime) -> str:
    """Return a time as the ledger writes it (UTC, microseconds)."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def from_timestamp(text: str | None) -> datetime | None:
    """Read a time as the ledger wrote it; None stays None."""
    return None if text is None else datetime.fromisoformat(text)


def storable(text: str) -> str:
    """Return text that a database takes: a NUL or lone surrogate, of a reply or a file's name, becomes an escape."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def to_list(texts: Sequence[str]) -> str:
    """Return texts as the ledger writes a list of them."""
    return exact_json.dumps(list(texts)) if texts else "[]"


def from_list(text: str) -> tuple[str, ...]:
    """Read a list of texts as the ledger wrote it."""
    values = exact_json.loads(text) if text != "[]" else ()
    return tuple(str(value) for value in values) if isinstance(values, list) else ()


def read_batch(row: Row) -> Batch:
    """Return the batch of a row of `batch`."""
    return Batch(
        id=row["id"],
        environment=row["environment"],
        name=row["name"],
        named=bool(row["named"]),
        source=row["source"],
        shape=row["shape"],
        fingerprint=row["fingerprint"],
        account=row["account"],
        columns=from_list(row["columns"]),
        dialect=Dialect(row["delimiter"], bool(row["bom"])),
        created_at=datetime.fromisoformat(row["created_at"]),
        shown_at=from_timestamp(row["shown_at"]),
        pruned_at=from_timestamp(row["pruned_at"]),
        file=row["file"],
        user=row["system_user"],
        host=row["host"],
    )


def _to_bytes(value: bytes | str) -> bytes:
    """Return a body as bytes, also one that somebody has changed to text."""
    return value.encode() if isinstance(value, str) else value


def read_order(row: Row) -> Order:
    """Return the order of a row of `purchase`."""
    return Order(
        id=row["id"],
        batch_id=row["batch_id"],
        position=row["position"],
        generation=row["generation"],
        idempotency_key=row["idempotency_key"],
        own_key=bool(row["own_key"]),
        body=_to_bytes(row["body"]),
        body_sha256=row["body_sha256"],
        sent_sha256=row["sent_sha256"],
        mode=row["mode"],
        currency=row["currency"],
        total=row["total"],
        item_count=row["item_count"],
        account=row["account"],
        state=State(row["state"]),
        prepared_at=datetime.fromisoformat(row["prepared_at"]),
        first_sent_at=from_timestamp(row["first_sent_at"]),
        settled_at=from_timestamp(row["settled_at"]),
        order_id=row["order_id"],
        http_status=row["http_status"],
        request_id=row["request_id"],
        error_type=row["error_type"],
        error_text=row["error_text"],
        same_errors=row["same_errors"],
        reply=row["reply"],
    )


def read_result(row: Row) -> Result:
    """Return the result of a row of `gift`, joined with the order of the gift."""
    issued = exact_json.loads(row["issued"]) if row["issued"] else None
    return Result(
        row=row["row"],
        reference=row["reference"],
        carried=from_list(row["carried"]),
        item_json=row["item"],
        issued=issued if isinstance(issued, dict) else None,
        state=State(row["state"]),
        order_id=row["order_id"],
        currency=row["currency"],
        error_text=row["error_text"],
        position=row["position"],
        gift_id=row["id"],
        created_at=from_timestamp(row["created_at"]),
        is_sent=bool(row["is_sent"]),
    )


def read_recorded(row: Row) -> Recorded:
    """Return the recorded gift of a row of `gift`, joined with the order of the gift."""
    return Recorded(
        id=row["id"],
        row=row["row"],
        same_gift=row["same_gift"] or "",
        reference_key=row["reference_key"],
        reference=row["reference"],
        carried=row["carried"],
        item=row["item"],
        state=State(row["state"]),
        order_id=row["order_id"],
    )


def read_same_gift(row: Row) -> SameGift:
    """Return what one row says of the gifts of one identity in one batch and state."""
    return SameGift(
        identity=GiftIdentity(row["same_gift"], row["reference_key"], row["alike"]),
        reference=row["reference"],
        batch_id=row["batch_id"],
        batch=row["name"],
        state=State(row["state"]),
        item=row["item"],
        newest_id=row["newest_id"],
        settled_at=from_timestamp(row["settled_at"]),
    )


def read_mark(row: Row, events_at: EventsAt | None = None) -> Mark:
    """Return how far a ledger has got, from the row of the query `MARK`.

    `events_at` reads events of its journal, for the heads of the mark; None where they are not needed.
    """
    mark = Mark(row["id"], row["changes"], row["orders"] or 0, row["gifts"] or 0, row["checks"])
    return mark._replace(heads=heads(row["events"] or 0, events_at)) if events_at else mark


def events_at(select: Callable[..., Iterable[Row]], numbers: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return the hashes and times of events of the journal, by number; those that there are."""
    rows = select(
        f"SELECT id, hash, at FROM event WHERE id IN ({','.join('?' * len(numbers))})",  # noqa: S608 - only marks
        *numbers,
    )
    return {row["id"]: (row["hash"], row["at"]) for row in rows}
