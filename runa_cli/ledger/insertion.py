"""Inserts new batches, orders and gifts, with all that is kept about them in other tables."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from runa_cli.core import exact_json
from runa_cli.core.identity import name_key
from runa_cli.ledger import search_index, spending, spent
from runa_cli.ledger.engine import Transaction
from runa_cli.ledger.events import Contents, Subject
from runa_cli.ledger.records import AdoptedOrder, NewBatch, NewOrder
from runa_cli.ledger.rows import storable, to_list, to_timestamp
from runa_cli.ledger.search_text import read_item


def insert_batch(transaction: Transaction, batch: NewBatch, now: datetime) -> tuple[int, Subject]:
    """Insert a batch, with a salt for the digests in events about it. Returns its id, and how events name it."""
    subject = Subject(batch.environment, batch.name, secrets.token_hex(16))
    batch_id = transaction.insert(
        "INSERT INTO batch (environment, name, name_key, named, source, shape, fingerprint, account, columns,"
        ' delimiter, bom, file, "system_user", host, created_at, salt)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        batch.environment,
        batch.name,
        name_key(batch.name),
        int(batch.named),
        batch.source,
        batch.shape,
        batch.fingerprint,
        batch.account,
        to_list(batch.columns),
        batch.dialect.delimiter,
        int(batch.dialect.bom),
        storable_or_none(batch.file),
        batch.user,
        batch.host,
        to_timestamp(now),
        subject.salt,
    )
    return batch_id, subject


def insert_orders(  # noqa: PLR0917 - two times: that of this machine, and that of all who share the ledger
    transaction: Transaction,
    select: spent.Select,
    batch_id: int,
    contents: Contents,
    orders: Iterable[NewOrder],
    now: datetime,
    reserved_at: datetime,
) -> None:
    """Insert orders with their gifts, and add them to what the journal will tell of the batch's contents."""
    texts = set[str]()
    for order in orders:
        order_id = insert_order(transaction, batch_id, contents.subject.environment, order, now)
        contents.add(order)
        issued: Sequence[Mapping[str, Any] | None] = [None] * len(order.gifts)
        if isinstance(order, AdoptedOrder):
            issued = order.issued
            transaction.execute(
                "UPDATE purchase SET state = ?, order_id = ?, reply = ?, first_sent_at = ?, settled_at = ?"
                " WHERE id = ?",
                str(order.state),
                order.order_id,
                order.reply,
                to_timestamp(order.created),
                to_timestamp(order.settled),
                order_id,
            )
        transaction.insert_rows(
            "gift",
            _GIFT_COLUMNS,
            (
                (
                    *(order_id, slot, gift.row, gift.reference, to_list(gift.carried)),
                    *(gift.identity, gift.same_gift, gift.reference_key, gift.alike, gift.item),
                    None if item is None else exact_json.dumps_read(item),
                    *(gift.payee.by_email, gift.payee.by_reference, gift.products, gift.cost),
                    gift.recipient_key,
                )
                for slot, (gift, item) in enumerate(zip(order.gifts, issued, strict=True))
            ),
        )
        items = [read_item(gift.item) for gift in order.gifts]
        search_index.add(transaction, order_id, order, items)
        if transaction.is_alone:
            for gift, item in zip(order.gifts, items, strict=True):
                texts.update(spent.texts_of(item, gift.reference_key))
            if len(texts) > _MOST_TEXTS:
                spent.note_texts(transaction, texts)
                texts.clear()
        spending.reserve(transaction, order_id, contents.subject.environment, order, reserved_at)
        if isinstance(order, AdoptedOrder):
            spent.write_anew(transaction, select, order_id)
    spent.note_texts(transaction, texts)


_MOST_TEXTS = 10_000  # in memory; the more are noted together, the fewer pages of their index are written twice
_GIFT_COLUMNS = (
    *("purchase_id", "slot", "row", "reference", "carried", "identity", "same_gift", "reference_key", "alike"),
    *("item", "issued", "payee", "payee_reference", "products", "cost", "recipient_key"),
)


def insert_order(transaction: Transaction, batch_id: int, environment: str, order: NewOrder, now: datetime) -> int:
    """Insert an order without its gifts, and return its id."""
    return transaction.insert(
        "INSERT INTO purchase (batch_id, environment, position, generation, idempotency_key, own_key, body,"
        " body_sha256, sent_sha256, mode, currency, total, item_count, account, state, prepared_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'prepared', ?)",
        batch_id,
        environment,
        order.position,
        order.generation,
        order.idempotency_key,
        int(order.own_key),
        order.body,
        order.body_sha256,
        order.sent_sha256,
        order.mode,
        order.currency,
        order.total,
        order.item_count,
        order.account,
        to_timestamp(now),
    )


def storable_or_none(text: str | None) -> str | None:
    """Return a text as a database takes it (rows.storable); None where there is none."""
    return None if text is None else storable(text)
