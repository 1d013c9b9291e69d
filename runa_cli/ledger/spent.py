"""Keeps what each gift cost, and whom and what it was for, in rows that are short to read and that a prune leaves.

The reports are made of these rows. A gift has one once its order is completed, or was given up after it may have
reached Runa. Orders whose outcome may still be told have none: what they may have cost is read from themselves.
Texts that occur many times (products, currencies, digests of addresses) are kept once, in `spent_term`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, Protocol

from msgspec import Struct
from msgspec.json import Decoder
from msgspec.structs import asdict

from runa_cli.core.identity import address_key, products_key, reference_key
from runa_cli.core.states import State
from runa_cli.core.units import shares, smallest_share, to_units
from runa_cli.ledger.engine import Row
from runa_cli.ledger.rows import storable
from runa_cli.ledger.search_text import read_item

Select = Callable[..., Sequence[Row]]

_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_OF_ORDER = "gift_id IN (SELECT id FROM gift WHERE purchase_id = ?)"
_COLUMNS = (
    *("gift_id", "environment", "spent_at", "is_unknown", "batch_id", "is_named", "face", "charged"),
    *("sender", "currency", "charged_in", "product", "email", "reference"),
)
_INSERT = f"INSERT INTO spent ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - own text
_AT_A_TIME = 500  # orders, or texts


class Writer(Protocol):
    """What rows are written with: a transaction, or a migration."""

    def execute(self, statement: str, *values: object) -> object:
        """Run a statement that changes rows."""

    def execute_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of parameters."""


class GiftFacts(NamedTuple):
    """What a gift is, as its item was sent. `email` and `reference` are digests, empty where there is none."""

    face: int | None  # in units (core/units.py)
    product: str
    email: str
    reference: str


def to_moment(time: datetime) -> int:
    """Return a time as `spent_at` has it: microseconds since 1970 in UTC."""
    return (time - _EPOCH) // _MICROSECOND


def from_moment(moment: int) -> datetime:
    """Return the time of a `spent_at`."""
    return _EPOCH + moment * _MICROSECOND


def gift_facts(item: str, reference: str) -> GiftFacts:
    """Return what an item says of its gift. `reference` is the digest of its row's reference."""
    document = read_item(item)
    return GiftFacts(to_units(_decimal(document.get("face_value"))), *texts_of(document, reference))


def texts_of(item: Mapping[str, Any], reference: str) -> tuple[str, str, str]:
    """Return what is kept of a gift as texts: product, and the digests of address and reference."""
    method = _object(item.get("distribution_method"))
    own = reference_key(_text(method.get("recipient_reference")))
    return _product(_object(item.get("products"))), address_key(_text(method.get("email_address"))), own or reference


def note_texts(writer: Writer, texts: Iterable[str]) -> None:
    """Add texts to `spent_term` that orders will need once they are completed.

    Digests are spread over the whole index. Those of a batch, added together and sorted, change each page of it once;
    added when each order is completed, they would change almost as many pages as there are gifts.
    """
    writer.execute_many(
        "INSERT INTO spent_term (text) VALUES (?) ON CONFLICT (text) DO NOTHING", [(text,) for text in sorted(texts)]
    )


def write_anew(
    writer: Writer, select: Select, order_row: int, issued: Sequence[Mapping[str, Any] | None] | None = None
) -> None:
    """Write the rows of an order as it is now; none where it is neither completed nor given up after it was sent.

    `issued` is what is recorded with its gifts, in their order, where that is at hand.
    """
    writer.execute(f"DELETE FROM spent WHERE {_OF_ORDER}", order_row)  # noqa: S608 - own text
    (order,) = select(
        "SELECT batch_id, environment, state, first_sent_at, prepared_at, currency, total, sent_by, reply"
        " FROM purchase WHERE id = ?",
        order_row,
    )
    is_unknown = order["state"] == State.ABANDONED and order["first_sent_at"] is not None
    if order["state"] != State.COMPLETED and not is_unknown:
        return
    gifts = select("SELECT id, item, reference_key FROM gift WHERE purchase_id = ? ORDER BY slot", order_row)
    if issued is None:
        found = select("SELECT issued FROM gift WHERE purchase_id = ? ORDER BY slot", order_row)
        issued = [_read(row["issued"]) if row["issued"] else None for row in found]
    reply = {} if is_unknown else _read_reply(order["reply"])
    facts = _facts(order, gifts)
    paid_in = storable(_text(reply.get("currency"))) or order["currency"]
    charged = _charged(reply, paid_in, order["currency"], [*map(_price, issued)], [each.face for each in facts])
    made = _time(reply.get("created_at")) or datetime.fromisoformat(order["first_sent_at"] or order["prepared_at"])
    terms = {order["sent_by"], order["currency"], paid_in}
    terms.update(*((each.product, each.email, each.reference) for each in facts))
    ids = _term_ids(writer, select, sorted(terms))
    of_order = order["environment"], to_moment(made), int(is_unknown), order["batch_id"]
    currencies = ids[order["sent_by"]], ids[order["currency"]], ids[paid_in]
    writer.execute_many(
        _INSERT,
        [
            (
                *(gift["id"], *of_order, int(gift["item"] != _PRUNED), each.face, cost, *currencies),
                *(ids[each.product], ids[each.email], ids[each.reference]),
            )
            for gift, each, cost in zip(gifts, facts, charged, strict=True)
        ],
    )


def _term_ids(writer: Writer, select: Select, texts: Sequence[str]) -> dict[str, int]:
    """Return the ids of texts in `spent_term`; those that are not there are added."""
    ids = _known_ids(select, texts)
    if missing := [text for text in texts if text not in ids]:
        note_texts(writer, missing)
        ids |= _known_ids(select, missing)
    return ids


def _known_ids(select: Select, texts: Sequence[str]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for first in range(0, len(texts), _AT_A_TIME):
        some = texts[first : first + _AT_A_TIME]
        marks = ", ".join("?" * len(some))
        found = select(f"SELECT id, text FROM spent_term WHERE text IN ({marks})", *some)  # noqa: S608 - only marks
        ids |= {row["text"]: row["id"] for row in found}
    return ids


def forget_unless_completed(writer: Writer, order_row: int) -> None:
    """Delete the rows of an order that is not given up any more, because an answer about it came after all."""
    writer.execute(
        f"DELETE FROM spent WHERE {_OF_ORDER}"  # noqa: S608 - own text
        " AND NOT EXISTS (SELECT 1 FROM purchase WHERE id = ? AND state = 'completed')",
        order_row,
        order_row,
    )


def prune(writer: Writer, batch_id: int) -> None:
    """Note that the gifts of a batch do not say any more for whom they were; all else stays."""
    writer.execute(
        "UPDATE spent SET is_named = 0 WHERE gift_id IN (SELECT gift.id FROM gift"
        " JOIN purchase ON purchase.id = gift.purchase_id WHERE purchase.batch_id = ?)",
        batch_id,
    )


def fill(writer: Writer, select: Select) -> None:
    """Write the rows of a ledger of an older version. Of what was pruned, only time, batch and total are known."""
    last = 0
    while orders := select(
        f"SELECT id FROM purchase WHERE id > ? AND state IN ('completed', 'abandoned') ORDER BY id LIMIT {_AT_A_TIME}",  # noqa: S608 - own text
        last,
    ):
        for order in orders:
            write_anew(writer, select, order["id"])
        last = orders[-1]["id"]


_PRUNED = "{}"  # the item of a gift that is pruned
_NOTHING = GiftFacts(None, "", "", "")


def _facts(order: Row, gifts: Sequence[Row]) -> list[GiftFacts]:
    facts = [_NOTHING if gift["item"] == _PRUNED else gift_facts(gift["item"], gift["reference_key"]) for gift in gifts]
    if all(each is _NOTHING for each in facts) and (total := to_units(Decimal(order["total"]))):
        # So that the sums of an order that an older version pruned are right, if not those of its single gifts.
        equal = shares(total, [1] * len(facts), smallest_share(order["currency"]))
        return [GiftFacts(face, "", "", "") for face in equal]
    return facts


def _charged(
    reply: Mapping[str, Any],
    paid_in: str,
    currency: str,
    prices: Sequence[int | None],
    faces: Sequence[int | None],
) -> Sequence[int | None]:
    """Return what each gift cost: its part of the order's price, which has all fees in it; None where nothing tells."""
    total = to_units(_decimal(reply.get("total_price")))
    known = [price for price in prices if price is not None and price >= 0]
    is_each_known = len(known) == len(prices)
    if total is None or total < 0:
        return known if reply and is_each_known and paid_in == currency else [None] * len(prices)
    return shares(total, known if is_each_known else [face or 0 for face in faces], smallest_share(paid_in))


def _price(issued: Mapping[str, Any] | None) -> int | None:
    return to_units(_decimal(issued.get("price"))) if issued else None


def _product(products: Mapping[str, Any]) -> str:
    return "|".join(products_key(products)[1:]) if products else ""


class _Priced(Struct):
    currency: Any = None
    total_price: Any = None
    created_at: Any = None


_PRICED = Decoder(_Priced, float_hook=Decimal)


def _read_reply(reply: bytes | None) -> Mapping[str, Any]:
    """Return currency, price and time of an order from Runa's reply; its items are not read."""
    if not reply:
        return {}
    try:
        found = _PRICED.decode(reply)
    except ValueError:  # it has half of a character, or is no object
        return _read_whole(reply)
    return asdict(found)


def _read_whole(reply: bytes) -> Mapping[str, Any]:
    try:
        return _read(reply.decode("utf-8", "replace"))
    except ValueError:  # it was read when it came; what is wrong with it now must keep nothing from being recorded
        return {}


def _read(text: str) -> Mapping[str, Any]:
    return _object(_DECODER.decode(text))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _decimal(value: object) -> Decimal | None:
    try:
        return Decimal(value) if isinstance(value, (str, Decimal, int)) and not isinstance(value, bool) else None
    except InvalidOperation:
        return None


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(_text(value))
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
