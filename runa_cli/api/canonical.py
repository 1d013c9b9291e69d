"""The body of an order as bytes, the stamp in its metadata, and its idempotency key."""

import hashlib
import uuid
from collections.abc import Sequence

from pydantic import BaseModel

from runa_cli.api.order_models import OrderHead
from runa_cli.core import exact_json

STAMP = "runa_cli_key"  # the metadata that holds the idempotency key, so that the order can be found at Runa
# The namespace of this program's keys. It must never change: with another one the same order would get another key, and
# Runa would issue it again.
KEY_NAMESPACE = uuid.UUID("6f1f4a3e-2d53-5b0c-9a52-7e0f6c9d1b77")


def order_body(head: OrderHead, items: Sequence[str], stamp: str | None = None) -> bytes:
    """Return the body of an order, from its head and the JSON of its items.

    The JSON is compact, its fields are in a fixed order, absent fields are left out and amounts stay as written. A
    stamp, the idempotency key, is added to the metadata.
    """
    members = [f'"payment_method":{exact_json.dumps(plain(head.payment_method))}', f'"items":[{",".join(items)}]']
    if head.description is not None:
        members.append(f'"description":{exact_json.dumps(head.description)}')
    metadata = {**(head.metadata or {}), **({STAMP: stamp} if stamp else {})}
    if metadata:
        members.append(f'"metadata":{exact_json.dumps(metadata)}')
    return f"{{{','.join(members)}}}".encode()


def plain(model: BaseModel) -> dict[str, object]:
    """Return a model as a dictionary, without absent fields."""
    return {name: plain(value) if isinstance(value, BaseModel) else value for name, value in model if value is not None}


def with_stamp(body: bytes, key: str) -> bytes:
    """Return the body with another idempotency key as its stamp. A body without a stamp is returned unchanged."""
    document = exact_json.loads(body)
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(metadata, dict) or STAMP not in metadata:
        return body
    return exact_json.dumps({**document, "metadata": {**metadata, STAMP: key}}).encode()


def sha256_hex(body: bytes) -> str:
    """Return the SHA-256 of a body in hexadecimal. An order's is taken before the stamp is added."""
    return hashlib.sha256(body).hexdigest()


def derive_key(environment: str, batch: str, position: int, generation: int, body_sha256: str) -> str:
    """Return the idempotency key of an order: a UUIDv5 of everything that identifies the order.

    The same named batch on another machine therefore sends the same key, and Runa does not issue it twice
    (developer.runa.io: best-practices/idempotency).
    """
    return str(uuid.uuid5(KEY_NAMESPACE, exact_json.dumps([environment, batch, position, generation, body_sha256])))
