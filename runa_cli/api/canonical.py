"""The body of an order as bytes, the stamp in its metadata, and its idempotency key."""

import hashlib
import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import BaseModel

from runa_cli.api.field_rules import MOST_METADATA
from runa_cli.api.order_models import Item, OrderHead
from runa_cli.core import exact_json

STAMP = "runa_cli_key"  # the metadata that holds the idempotency key, so that the order can be found at Runa
BATCH_STAMP = "runa_cli_batch"  # the metadata that holds the batch's name, so that another ledger can find its orders
LABELS_STAMP = (
    "runa_cli_labels"  # the metadata that holds a digest of the labels of payout links, which Runa never gets
)
STAMPS = frozenset({STAMP, BATCH_STAMP, LABELS_STAMP})
STAMP_PAIRS = 2  # the pairs of metadata that a stamp takes in any case
# The namespace of this program's keys. It must never change: with another one the same order would get another key, and
# Runa would issue it again.
KEY_NAMESPACE = uuid.UUID("6f1f4a3e-2d53-5b0c-9a52-7e0f6c9d1b77")


class Stamp(NamedTuple):
    """What is added to an order so that it can be found at Runa. The key is not derived from it.

    `batch` is the name of the batch, which is also the description of an order of a `named` batch that has none.
    `labels` is a digest of the labels of the order's payout links: another ledger gives a link to a label only if they
    agree.
    """

    key: str
    batch: str | None = None
    named: bool = False
    labels: str | None = None

    def metadata(self, own: int) -> dict[str, str]:
        """Return the pairs to add to `own` others. The labels are left out where there is no room for them."""
        labels = self.labels if own + STAMP_PAIRS < MOST_METADATA else None
        pairs = {STAMP: self.key, BATCH_STAMP: self.batch, LABELS_STAMP: labels}
        return {name: value for name, value in pairs.items() if value is not None}

    @property
    def description(self) -> str | None:
        """The description of an order that has none of its own."""
        return self.batch if self.named else None


def order_body(head: OrderHead, items: Sequence[str], stamp: Stamp | None = None) -> bytes:
    """Return the body of an order, from its head and the JSON of its items.

    The JSON is compact, its fields are in a fixed order, absent fields are left out and amounts stay as written. The
    stamp is added to the metadata, and may give the description.
    """
    members = [f'"payment_method":{exact_json.dumps(plain(head.payment_method))}', f'"items":[{",".join(items)}]']
    description = stamp.description if head.description is None and stamp else head.description
    if description is not None:
        members.append(f'"description":{exact_json.dumps(description)}')
    own = head.metadata or {}
    metadata = {**own, **(stamp.metadata(len(own)) if stamp else {})}
    if metadata:
        members.append(f'"metadata":{exact_json.dumps(metadata)}')
    return f"{{{','.join(members)}}}".encode()


def item_json(item: Item) -> tuple[dict[str, Any], str]:
    """Return an item as a dictionary and as JSON, in the fixed order of its fields."""
    method = plain(item.distribution_method)
    products, products_json = _products(item.products)
    value = exact_json.dumps(item.face_value)
    members = f'"face_value":{value},"distribution_method":{exact_json.dumps(method)},"products":{products_json}'
    own: dict[str, Any] = {"face_value": item.face_value, "distribution_method": method, "products": products}
    return own, f"{{{members}}}"


def _products(products: BaseModel) -> tuple[dict[str, object], str]:
    own = plain(products)
    key = tuple(tuple(value) if isinstance(value, list) else value for value in own.values())
    return own, _products_json(tuple(own), key) if _is_flat(key) else exact_json.dumps(own)


def _is_flat(values: tuple[object, ...]) -> bool:
    return all(isinstance(value, str | tuple) for value in values)


@lru_cache(maxsize=1024)  # a list has few choices of products
def _products_json(names: tuple[str, ...], values: tuple[object, ...]) -> str:
    return exact_json.dumps(dict(zip(names, values, strict=True)))


def plain(model: BaseModel) -> dict[str, object]:
    """Return a model as a dictionary, without absent fields."""
    members = vars(model).items()  # the fields in their order; to iterate over the model takes twice as long
    return {
        name: plain(value) if isinstance(value, BaseModel) else value for name, value in members if value is not None
    }


def with_stamp(body: bytes, key: str) -> bytes:
    """Return the body with another idempotency key as its stamp. A body without a stamp is returned unchanged."""
    document = exact_json.loads(body)
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(metadata, dict) or STAMP not in metadata:
        return body
    return exact_json.dumps({**document, "metadata": {**metadata, STAMP: key}}).encode()


def stamped_labels(body: bytes) -> str | None:
    """Return the digest of labels that a body is stamped with; None where there is none."""
    if LABELS_STAMP.encode() not in body:
        return None
    document = exact_json.loads(body)
    metadata = document.get("metadata") if isinstance(document, dict) else None
    labels = metadata.get(LABELS_STAMP) if isinstance(metadata, dict) else None
    return labels if isinstance(labels, str) else None


def sha256_hex(body: bytes) -> str:
    """Return the SHA-256 of a body in hexadecimal. An order's is taken before the stamp is added."""
    return hashlib.sha256(body).hexdigest()


def derive_key(environment: str, batch: str, position: int, generation: int, body_sha256: str) -> str:
    """Return the idempotency key of an order: a UUIDv5 of everything that identifies the order.

    The same named batch on another machine therefore sends the same key, and Runa does not issue it twice
    (developer.runa.io: best-practices/idempotency).
    """
    return str(uuid.uuid5(KEY_NAMESPACE, exact_json.dumps([environment, batch, position, generation, body_sha256])))
