"""Fills a ledger with copies of the one order in it: `large_ledger.py FILE ORDERS`, a process of its own.

A process that held a large ledger would pass its own peak of memory on to those that it starts and measures. What
makes an order what it is gets a value of its own; all other columns are copied, so that new ones are filled too.
"""

import hashlib
import random
import sqlite3
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

PER_BATCH = 10
OLD_BATCHES = 100  # that are old enough to be pruned
NEW_DAYS, OLD_DAYS = 60, 120

NOW = datetime.now(UTC)

Row = dict[str, object]
chance = random.Random(1)  # noqa: S311 - nothing secret


def hexadecimal(digits: int) -> str:
    """Return random digits."""
    return f"{chance.getrandbits(4 * digits):0{digits}x}"


def template(ledger: sqlite3.Connection, table: str, key: str = "id") -> Row:
    """Return the first row of a table."""
    cursor = ledger.execute(f"SELECT * FROM {table} ORDER BY {key} LIMIT 1")
    return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))


def insert(ledger: sqlite3.Connection, table: str, like: Row, rows: Iterable[Row]) -> None:
    """Insert copies of a row, with the values in which they differ."""
    names = ", ".join(f'"{name}"' for name in like)
    marks = ", ".join("?" * len(like))
    ledger.executemany(
        f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", ([*(like | row).values()] for row in rows)
    )


def moment(batch: int, batches: int) -> str:
    """Return when a batch was issued: the first ones long ago, the others up to now."""
    days = OLD_DAYS if batch < min(OLD_BATCHES, batches // 2) else NEW_DAYS * (1 - batch / batches)
    return (NOW - timedelta(days=days, hours=1)).isoformat(timespec="microseconds")


def batch_rows(batches: int) -> Iterator[Row]:
    """Yield what is different in each batch."""
    for number in range(batches):
        time, name = moment(number, batches), f"made-up-{number:07}"
        yield {
            "id": 1000 + number, "name": name, "name_key": name, "fingerprint": hexadecimal(64),
            "created_at": time, "shown_at": time, "pruned_at": None,
        }  # fmt: skip


def order_rows(like: Row, orders: int, address: bytes) -> Iterator[Row]:
    """Yield what is different in each order."""
    old_id = str(like["order_id"])
    for number in range(orders):
        time, new_id = moment(number // PER_BATCH, orders // PER_BATCH), f"O-{number:026}"
        body = bytes(like["body"]).replace(address, f"made-up{number}@example.com".encode())  # type: ignore[call-overload]
        reply = bytes(like["reply"]).replace(old_id.encode(), new_id.encode())  # type: ignore[call-overload]
        yield {
            "id": 1000 + number, "batch_id": 1000 + number // PER_BATCH, "position": number % PER_BATCH, "body": body,
            "idempotency_key": str(uuid.UUID(int=chance.getrandbits(128))), "body_sha256": hexadecimal(64),
            "sent_sha256": hashlib.sha256(body).hexdigest(), "order_id": new_id, "prepared_at": time,
            "first_sent_at": time, "settled_at": time, "reply": reply, "request_id": hexadecimal(32),
        }  # fmt: skip


def gift_rows(like: Row, orders: int, address: str) -> Iterator[Row]:
    """Yield what is different in each gift."""
    for number in range(orders):
        new = f"made-up{number}@example.com"
        yield {
            "id": 1000 + number, "purchase_id": 1000 + number, "row": number % PER_BATCH + 1,
            "identity": hexadecimal(64), "same_gift": hexadecimal(32), "item": str(like["item"]).replace(address, new),
            "issued": str(like["issued"]).replace(address, new).replace("links.example", f"links.example/{number}"),
        }  # fmt: skip


def search_rows(like: Row, old_id: str, orders: int, address: str) -> Iterator[Row]:
    """Yield what is different in each search text."""
    for number in range(orders):
        text = str(like["text"]).replace(old_id.lower(), f"o-{number:026}")
        text = text.replace("links.example", f"links.example/{number}")
        yield {"purchase_id": 1000 + number, "text": text.replace(address, f"made-up{number}@example.com")}


def spent_rows(orders: int) -> Iterator[Row]:
    """Yield what is different in what each gift cost. Somebody gets five of them."""
    for number in range(orders):
        made = datetime.fromisoformat(moment(number // PER_BATCH, orders // PER_BATCH))
        yield {
            "gift_id": 1000 + number, "batch_id": 1000 + number // PER_BATCH, "face": 10_000 * (1 + number % 100),
            "spent_at": round(made.timestamp() * 1_000_000), "email": 1000 + number % (orders // 5 + 1),
        }  # fmt: skip


def term_rows(orders: int) -> Iterator[Row]:
    """Yield the digest of each person's address."""
    for number in range(orders // 5 + 1):
        yield {"id": 1000 + number, "text": hexadecimal(32)}


def main(path: str, orders: int, address: str) -> None:
    """Fill the ledger, in one transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as ledger:
        for statement in ("PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000", "BEGIN IMMEDIATE"):
            ledger.execute(statement)
        batch, order, gift = (template(ledger, table) for table in ("batch", "purchase", "gift"))
        search = template(ledger, "purchase_search", "purchase_id")
        insert(ledger, "batch", batch, batch_rows(orders // PER_BATCH))
        insert(ledger, "purchase", order, order_rows(order, orders, address.encode()))
        insert(ledger, "gift", gift, gift_rows(gift, orders, address))
        insert(ledger, "purchase_search", search, search_rows(search, str(order["order_id"]), orders, address))
        spent, term = template(ledger, "spent", "gift_id"), template(ledger, "spent_term")
        insert(ledger, "spent_term", term, term_rows(orders))
        insert(ledger, "spent", spent, spent_rows(orders))
        ledger.execute("COMMIT")
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
