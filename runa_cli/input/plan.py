"""The plan: validated gifts grouped into orders, kept in a temporary file so that a long input needs little memory."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from runa_cli.api.canonical import item_json, order_body, sha256_hex
from runa_cli.api.order_models import MOST_ITEMS, MOST_TEMPLATES, Item, OrderHead
from runa_cli.core import exact_json
from runa_cli.ledger.records import Gift, Recorded

_SCHEMA = """
    CREATE TABLE head (
        id INTEGER PRIMARY KEY, label TEXT NOT NULL, document TEXT NOT NULL, whole INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX head_by_label ON head (label);
    CREATE TABLE gift (
        id INTEGER PRIMARY KEY, head_id INTEGER NOT NULL, row INTEGER NOT NULL, reference TEXT, carried TEXT NOT NULL,
        identity TEXT NOT NULL, item TEXT NOT NULL, value TEXT NOT NULL, currency TEXT NOT NULL,
        templates TEXT NOT NULL, address TEXT
    );
    CREATE INDEX gift_by_head ON gift (head_id, id);
    CREATE TABLE issued (gift_id INTEGER PRIMARY KEY, recorded_id INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class PlannedOrder:
    """One order of the plan: everything but its idempotency key."""

    position: int
    head: OrderHead
    gifts: list[Gift]
    total: Decimal
    currency: str  # of the face values

    @property
    def body_sha256(self) -> str:
        """The SHA-256 of the body before it is stamped."""
        return sha256_hex(self.body(None))

    def body(self, stamp: str | None) -> bytes:
        """Return the bytes to send."""
        return order_body(self.head, [gift.item for gift in self.gifts], stamp)


class Plan:
    """The orders of one create. A context manager that frees the temporary file."""

    def __init__(
        self, *, source: str, file: str | None = None, shape: str = "list", most_items: int = MOST_ITEMS
    ) -> None:
        self.source = source
        self.file = file  # its name, where there is one
        self.shape = shape
        self.columns: tuple[str, ...] = ()
        self.most_items = most_items
        self.item_count = 0
        self._sums: dict[str, Decimal] = {}
        self._connection = sqlite3.connect(
            "", isolation_level=None
        )  # a temporary file without a name, deleted when closed
        self._connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        self._connection.execute("BEGIN")
        self._last_head: OrderHead | None = None
        self._last_document = ""
        self._head_id = lru_cache(maxsize=1024)(self._find_head)

    def close(self) -> None:
        """Delete the temporary file."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> "Plan":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(
        self,
        item: Item,
        head: OrderHead,
        *,
        row: int,
        currency: str,
        group: str = "",
        whole: bool = False,
        reference: str | None = None,
        carried: tuple[str, ...] = (),
    ) -> None:
        """Add one gift. Gifts with the same head and group share orders; a `whole` group stays one order.

        `currency` is that of the face value; it differs from the paying currency only with Embedded FX.
        """
        document = self._document(head)
        head_id = self._head_id(f"{group}\n{document}", document, whole)
        text = item_json(item)
        templates = [item.distribution_method.template_id or "", getattr(item.products, "template_id", "")]
        self._connection.execute(
            "INSERT INTO gift (head_id, row, reference, carried, identity, item, value, currency, templates, address)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                head_id,
                row,
                reference,
                exact_json.dumps(list(carried)),
                hashlib.sha256(f"{document}\n{text}".encode()).hexdigest(),
                text,
                str(item.face_value),
                currency,
                " ".join(filter(None, templates)),
                item.address.casefold() if item.address else None,
            ),
        )
        self.item_count += 1
        self._sums[currency] = self._sums.get(currency, Decimal(0)) + item.face_value

    def _document(self, head: OrderHead) -> str:
        """Return the head as JSON; consecutive rows mostly have the same one."""
        if self._last_head is not head:
            self._last_head = head
            self._last_document = exact_json.dumps(head.model_dump(exclude_none=True))
        return self._last_document

    def _find_head(self, label: str, document: str, whole: bool) -> int:
        found = self._connection.execute("SELECT id FROM head WHERE label = ?", (label,)).fetchone()
        if found is not None:
            return int(found[0])
        cursor = self._connection.execute(
            "INSERT INTO head (label, document, whole) VALUES (?, ?, ?)", (label, document, whole)
        )
        return int(cursor.lastrowid or 0)

    @property
    def sums(self) -> dict[str, Decimal]:
        """The total of the face values, by their currency."""
        return dict(self._sums)

    def orders(self) -> Iterator[PlannedOrder]:
        """Yield the orders: gifts by row, as many in an order as the API allows."""
        position = 0
        for head_id, document, whole in self._connection.execute("SELECT id, document, whole FROM head ORDER BY id"):
            head = OrderHead.model_validate(exact_json.loads(document))
            for gifts, total, currency in self._chunks(head_id, MOST_ITEMS if whole else self.most_items):
                position += 1
                yield PlannedOrder(position, head, gifts, total, currency)

    def _chunks(self, head_id: int, most: int) -> Iterator[tuple[list[Gift], Decimal, str]]:
        gifts: list[Gift] = []
        total = Decimal(0)
        templates: set[str] = set()
        currency = ""
        for row, reference, carried, identity, item, value, currency, own_templates in self._connection.execute(
            "SELECT row, reference, carried, identity, item, value, currency, templates FROM gift WHERE head_id = ?"
            " AND id NOT IN (SELECT gift_id FROM issued) ORDER BY id",
            (head_id,),
        ):
            more = templates | set(own_templates.split())
            if gifts and (len(gifts) == most or _too_many(more)):
                yield gifts, total, currency
                gifts, total, more = [], Decimal(0), set(own_templates.split())
            loaded = exact_json.loads(carried)
            gifts.append(Gift(row, reference, loaded if isinstance(loaded, list) else [], identity, item))
            total += Decimal(value)
            templates = more
        if gifts:
            yield gifts, total, currency

    def leave_out(self, recorded: Iterable[Recorded]) -> Iterator[Recorded]:
        """Leave out gifts that are recorded already, and yield recorded gifts that are not part of this plan.

        `recorded` must be sorted by identity. Both sides are read in step, so that neither needs to fit into memory.
        """
        planned = self._connection.execute("SELECT identity, id FROM gift ORDER BY identity, id")
        own = planned.fetchone()
        pairs = self._connection.cursor()
        for gift in recorded:
            while own is not None and own[0] < gift.identity:
                own = planned.fetchone()
            if own is not None and own[0] == gift.identity:
                pairs.execute("INSERT INTO issued (gift_id, recorded_id) VALUES (?, ?)", (own[1], gift.id))
                own = planned.fetchone()
            else:
                yield gift

    def labels(self) -> Iterator[tuple[str | None, str]]:
        """Yield the reference and the carried cells of each gift, in their order."""
        yield from self._connection.execute("SELECT reference, carried FROM gift ORDER BY id")

    def left_out(self) -> Iterator[tuple[int, int, str | None, str]]:
        """Yield for each gift left out: its recorded id, and its row, reference and carried cells in this plan."""
        yield from self._connection.execute(
            "SELECT recorded_id, row, reference, carried FROM issued JOIN gift ON gift.id = issued.gift_id ORDER BY row"
        )

    @property
    def left_out_count(self) -> int:
        """How many gifts are left out."""
        return int(self._connection.execute("SELECT count(*) FROM issued").fetchone()[0])

    def identities(self, most: int = 500) -> Iterator[list[str]]:
        """Yield the distinct identities of the gifts, at most `most` at a time."""
        found = self._connection.execute("SELECT DISTINCT identity FROM gift ORDER BY identity")
        while batch := found.fetchmany(most):
            yield [identity for (identity,) in batch]

    @property
    def count_left(self) -> int:
        """How many gifts are not left out."""
        return self.item_count - self.left_out_count

    @property
    def sums_left(self) -> dict[str, Decimal]:
        """The total of the face values that are not left out, by their currency."""
        sums: dict[str, Decimal] = {}
        for order in self.orders():
            sums[order.currency] = sums.get(order.currency, Decimal(0)) + order.total
        return sums

    @property
    def order_count(self) -> int:
        """How many orders are left to send."""
        return sum(1 for _ in self.orders())

    def fingerprint(self) -> str:
        """Return the SHA-256 over the identities of all gifts, however they are grouped into orders."""
        whole = hashlib.sha256()
        for (identity,) in self._connection.execute("SELECT identity FROM gift ORDER BY id"):
            whole.update(identity.encode())
        return whole.hexdigest()

    def repeated_addresses(self, most: int = 5) -> list[tuple[str, list[int]]]:
        """Return addresses that occur more than once, each with its rows."""
        repeated = self._connection.execute(
            "SELECT address, group_concat(row) FROM"
            " (SELECT address, row FROM gift WHERE address IS NOT NULL ORDER BY id)"
            " GROUP BY address HAVING count(*) > 1 ORDER BY min(row) LIMIT ?",
            (most,),
        )
        return [(address, [int(row) for row in rows.split(",")]) for address, rows in repeated]


def _too_many(templates: set[str]) -> bool:
    return any(sum(name.startswith(kind) for name in templates) > MOST_TEMPLATES for kind in ("DT-", "PT-"))
