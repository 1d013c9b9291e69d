"""The bytes of an order, the stamp in its metadata, and its idempotency key."""

import hashlib
import uuid
from collections.abc import Sequence

from pydantic import BaseModel

from runa_cli.api.order_models import Item, OrderHead
from runa_cli.core import exact_json

STAMP = "runa_cli_key"

KEY_NAMESPACE = uuid.UUID(
    "6f1f4a3e-2d53-5b0c-9a52-7e0f6c9d1b77"
)  # ours alone, made once; a new one would forget every key


def order_body(head: OrderHead, items: Sequence[str], stamp: str | None = None) -> bytes:
    """Serialise an order from its head and its items' own JSON.

    Compact, in one fixed order of names, absent fields absent, amounts as written. With a stamp, the idempotency key
    stands in the metadata, so that the order can be found again at Runa.
    """
    members = [f'"payment_method":{exact_json.dumps(plain(head.payment_method))}', f'"items":[{",".join(items)}]']
    if head.description is not None:
        members.append(f'"description":{exact_json.dumps(head.description)}')
    metadata = {**(head.metadata or {}), **({STAMP: stamp} if stamp else {})}
    if metadata:
        members.append(f'"metadata":{exact_json.dumps(metadata)}')
    return f"{{{','.join(members)}}}".encode()


def item_json(item: Item) -> str:
    """Serialise one item as it stands in its order."""
    return exact_json.dumps(plain(item))


def plain(model: BaseModel) -> dict[str, object]:
    """Return a model as the object it stands for, without what is absent."""
    return {name: plain(value) if isinstance(value, BaseModel) else value for name, value in model if value is not None}


def with_stamp(body: bytes, key: str) -> bytes:
    """Return the body with another idempotency key as its stamp; a body without a stamp stays as it is."""
    document = exact_json.loads(body)
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(metadata, dict) or STAMP not in metadata:
        return body
    return exact_json.dumps({**document, "metadata": {**metadata, STAMP: key}}).encode()


def sha256_hex(body: bytes) -> str:
    """Return the SHA-256 of a body before it is stamped, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def derive_key(environment: str, batch: str, position: int, generation: int, body_sha256: str) -> str:
    """Return the idempotency key of an order: a UUIDv5 of all that makes it the same order.

    The same named batch on another machine therefore meets Runa's own duplicate check
    (developer.runa.io: best-practices/idempotency).
    """
    return str(uuid.uuid5(KEY_NAMESPACE, exact_json.dumps([environment, batch, position, generation, body_sha256])))
