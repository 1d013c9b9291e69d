"""The plan: validated gifts grouped into orders, kept in a temporary file so that a long input needs little memory."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache, partial
from itertools import islice, zip_longest
from math import ceil
from typing import Literal, NamedTuple

from runa_cli.api.canonical import Stamp, item_json, order_body, sha256_hex
from runa_cli.api.order_models import MOST_ITEMS, MOST_TEMPLATES, Item, OrderHead
from runa_cli.core import exact_json
from runa_cli.core.dialect import PLAIN
from runa_cli.core.identity import (
    GiftIdentity,
    Payee,
    fingerprint,
    full_label,
    identify,
    label_text,
    labels_digest,
    name_key,
    normalized_text,
    payee,
    products_text,
)
from runa_cli.core.money import to_minor
from runa_cli.core.states import GIVEN_UP, State
from runa_cli.ledger.records import Gift, Placed, Recorded
from runa_cli.ledger.rows import from_list, to_list

_SCHEMA = """
    CREATE TABLE head (
        id INTEGER PRIMARY KEY, label TEXT NOT NULL, document TEXT NOT NULL, whole INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX head_by_label ON head (label);
    CREATE TABLE gift (
        id INTEGER PRIMARY KEY, head_id INTEGER NOT NULL, row INTEGER NOT NULL, reference TEXT, carried TEXT NOT NULL,
        identity TEXT NOT NULL, same_gift TEXT NOT NULL, reference_key TEXT NOT NULL, alike TEXT NOT NULL,
        item TEXT NOT NULL, value TEXT NOT NULL, currency TEXT NOT NULL, templates TEXT NOT NULL, address TEXT,
        filled TEXT NOT NULL,
        payee TEXT NOT NULL, payee_reference TEXT NOT NULL, products TEXT NOT NULL, cost INTEGER,
        cells TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE held (
        id INTEGER PRIMARY KEY, row INTEGER NOT NULL, same_gift TEXT NOT NULL, reference_key TEXT NOT NULL,
        reference TEXT, carried TEXT NOT NULL, item TEXT NOT NULL, state TEXT NOT NULL, order_id TEXT,
        cells TEXT NOT NULL
    );
    CREATE TABLE issued (gift_id INTEGER PRIMARY KEY, recorded_id INTEGER NOT NULL UNIQUE);
"""

STDIN = "stdin"  # the name of standard input in place of a file's
_AT_ONCE = 200  # gifts that are written together
_LINK = '"type":"PAYOUT_LINK"'  # in the JSON of an item
_PAYEES = {"email": "payee", "reference": "payee_reference"}
_CARDS = '%"type":"RECIPIENT"%'  # a pattern for such items
_PRODUCTS = '"products":'  # from there on, the JSON of an item is its choice of products

# Made when all gifts are there, which is faster than to keep them up to date row by row.
_INDEXES = (
    "CREATE INDEX gift_by_head ON gift (head_id, id)",
    "CREATE INDEX gift_by_identity ON gift (same_gift, reference_key, alike)",
)

# Recorded gifts are matched to planned ones in stages, equal ones in their order: what is the same in everything, then
# the same gift with the same reference, then the same gift where one side has no reference. The label of a payout link
# is part of what the same gift is, and so are its `cells` as they are arranged, so a link never moves to another label.
_STAGES = (
    ("same_gift, cells, reference_key, carried", "TRUE", "TRUE"),
    ("same_gift, cells, reference_key", "TRUE", "TRUE"),
    ("same_gift, cells", "TRUE", "reference_key = ''"),
    ("same_gift, cells", "reference_key = ''", "TRUE"),
)
_GIVEN_UP = f"({', '.join(repr(str(state)) for state in sorted(GIVEN_UP))})"


class ColumnUse(NamedTuple):
    """What a column of a sheet was taken for: a field of the gift, or without one to be carried to the results.

    `added`: this program wrote it to its results, and it is left out.
    """

    heading: str
    field: str | None
    added: bool = False


class PlannedRow(NamedTuple):
    """One gift of the plan as it stands in the input, and where it is left out, the recorded gift it stands for.

    `item` is JSON. `filled` are the fields that flags filled in, of those that `add` was told. `state` and `order_id`
    are None where only the id of the recorded gift is known.
    """

    row: int
    item: str
    currency: str
    reference: str | None
    carried: Sequence[str]
    identity: GiftIdentity
    filled: frozenset[str]
    recorded_id: int | None
    state: State | None
    order_id: str | None


class PlannedOrder(NamedTuple):
    """One order of the plan: everything but its idempotency key."""

    position: int
    head: OrderHead
    gifts: list[Gift]
    total: Decimal
    currency: str  # of the face values
    columns: Sequence[str] = ()  # the headings of the carried cells

    @property
    def body_sha256(self) -> str:
        """The SHA-256 of the body before it is stamped."""
        return sha256_hex(self.body(None))

    @property
    def labels(self) -> str | None:
        """The digest of the labels of its payout links; None where no link has one."""
        return labels_digest(
            [full_label(gift.reference, gift.carried, self.columns) for gift in self.gifts if is_link(gift)]
        )

    def body(self, stamp: Stamp | None) -> bytes:
        """Return the bytes to send."""
        return order_body(self.head, [gift.item for gift in self.gifts], stamp)


class PlannedGift(NamedTuple):
    """A gift of the plan with its face value and its templates, separated by blanks."""

    gift: Gift
    value: Decimal
    currency: str
    templates: str


def planned_order(position: int, head: OrderHead, gifts: Sequence[PlannedGift], columns: Sequence[str]) -> PlannedOrder:
    """Return an order of these gifts."""
    total = sum((gift.value for gift in gifts), Decimal(0))
    return PlannedOrder(position, head, [each.gift for each in gifts], total, gifts[0].currency, columns)


class Plan:
    """The orders of one create. A context manager that frees the temporary file."""

    def __init__(
        self, *, source: str, file: str | None = None, shape: str = "list", most_items: int = MOST_ITEMS
    ) -> None:
        self.source = source
        self.file = file  # its name, where there is one
        self.shape = shape
        self.columns: tuple[str, ...] = ()
        self.dialect = PLAIN  # of a CSV input
        self.column_uses: tuple[ColumnUse, ...] = ()  # of a sheet
        self.most_items = most_items
        self.item_count = 0
        self.loads_cards = False  # whether there is a RECIPIENT gift
        self._sums: dict[str, Decimal] = {}
        self._whole: tuple[int, str] | None = None  # the fingerprint of all gifts, and of how many
        # An empty name makes SQLite use a temporary file without a name, which is deleted when it is closed.
        # Threads that show gifts as they settle ask where these are in the plan, one thread at a time.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        self._database.execute("BEGIN")
        self._pending: list[tuple[object, ...]] = []  # gifts that are not in the file yet
        self._last_head: OrderHead | None = None
        self._last_document = ""
        self._head_id = lru_cache(maxsize=1024)(self._find_head)

    def complete(self) -> None:
        """Prepare to be read, once all gifts are there."""
        for statement in _INDEXES:
            self._connection.execute(statement)

    def close(self) -> None:
        """Delete the temporary file."""
        with suppress(sqlite3.Error):
            self._database.close()

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
        filled: str = "",
    ) -> None:
        """Add one gift. Gifts with the same head and group share orders; a `whole` group stays one order.

        `currency` is that of the face value; it differs from the paying currency only with Embedded FX. `filled` names
        the fields that flags filled in, with blanks between them.
        """
        document = self._document(head)
        head_id = self._head_id(f"{group}\n{document}", document, whole)
        own, text = item_json(item)
        templates = [own["distribution_method"].get("template_id"), own["products"].get("template_id")]
        identity = identify(own, currency, reference, carried)
        recipient = payee(own, reference, carried)
        self.loads_cards = self.loads_cards or own["distribution_method"]["type"] == "RECIPIENT"
        self._pending.append(
            (
                head_id,
                row,
                reference,
                to_list(carried),
                hashlib.sha256(f"{document}\n{text}".encode()).hexdigest(),
                identity.gift,
                identity.reference,
                identity.alike,
                text,
                str(item.face_value),
                currency,
                " ".join(filter(None, templates)),
                item.address.casefold() if item.address else None,
                filled,
                recipient.by_email,
                recipient.by_reference,
                products_text(own["products"]),
                to_minor(item.face_value, currency) if currency == head.payment_method.currency else None,
            ),
        )
        if len(self._pending) == _AT_ONCE:
            self._insert_pending()
        self.item_count += 1
        self._sums[currency] = self._sums.get(currency, Decimal(0)) + item.face_value

    def _insert_pending(self) -> None:
        gifts, self._pending = self._pending, []
        self._database.executemany(
            "INSERT INTO gift (head_id, row, reference, carried, identity, same_gift, reference_key, alike, item,"
            " value, currency, templates, address, filled, payee, payee_reference, products, cost)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            gifts,
        )

    @property
    def _connection(self) -> sqlite3.Connection:
        """The temporary file with all gifts that were added."""
        if self._pending:
            self._insert_pending()
        return self._database

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
            for gifts in self._chunks(head_id, whole):
                position += 1
                yield planned_order(position, head, gifts, self.columns)

    def _most(self, whole: int) -> int:
        return MOST_ITEMS if whole else self.most_items

    def heads(self) -> Iterator[tuple[OrderHead, Iterator[PlannedGift]]]:
        """Yield what orders have in common, each with its gifts by row."""
        for head_id, document in self._connection.execute("SELECT id, document FROM head ORDER BY id"):
            yield OrderHead.model_validate(exact_json.loads(document)), self._gifts(head_id)

    def _gifts(self, head_id: int) -> Iterator[PlannedGift]:
        for values in self._connection.execute(
            "SELECT row, reference, carried, identity, same_gift, reference_key, item, alike, payee, payee_reference,"
            " products, cost, value, currency, templates FROM gift"
            " WHERE head_id = ? AND id NOT IN (SELECT gift_id FROM issued) ORDER BY id",
            (head_id,),
        ):
            row, reference, carried, *identified, by_email, by_reference, products, cost = values[:-3]
            value, currency, templates = values[-3:]
            recipient = Payee(by_email, by_reference)
            gift = Gift._make((row, reference, from_list(carried), *identified, recipient, products, cost))
            yield PlannedGift(gift, Decimal(value), currency, templates)

    def _chunks(self, head_id: int, whole: int) -> Iterator[list[PlannedGift]]:
        most = self._most(whole)
        gifts: list[PlannedGift] = []
        templates: set[str] = set()
        for gift in self._gifts(head_id):
            more = templates.union(gift.templates.split()) if gift.templates else templates
            if gifts and (len(gifts) == most or (more is not templates and _too_many(more))):
                yield gifts
                gifts, more = [], set(gift.templates.split())
            gifts.append(gift)
            templates = more
        if gifts:
            yield gifts

    # --- what is recorded already --------------------------------------------------------------------------------

    def leave_nothing_out(self) -> None:
        """Forget which gifts are recorded already."""
        self._connection.executescript("DELETE FROM issued; DELETE FROM held;")
        self._connection.execute("BEGIN")

    def leave_out(self, recorded: Iterable[Recorded], columns: Sequence[str]) -> Iterator[Recorded]:
        """Leave out gifts that are recorded already, and yield recorded gifts that are not part of this plan.

        `columns` are the headings of the recorded carried cells.
        """
        self.leave_nothing_out()
        common = _common_headings(columns, self.columns)
        self._connection.create_function("cells_of", 1, partial(_cells, self.columns, common))
        self._connection.execute(
            "UPDATE gift SET cells = cells_of(carried) WHERE carried != '[]' AND coalesce(reference, '') = ''"
            " AND instr(item, ?)",
            (_LINK,),
        )
        self._connection.executemany(
            "INSERT INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(gift.id, gift.row, gift.same_gift, gift.reference_key, gift.reference),
                    *(gift.carried, gift.item, str(gift.state), gift.order_id),
                    ""
                    if gift.reference or _LINK not in gift.item or gift.carried == "[]"
                    else _cells(columns, common, gift.carried),
                )
                for gift in recorded
            ),
        )
        if min(len(columns), len(self.columns)) - len(common) > 1:
            self._keep_apart_what_may_have_changed_columns()
        for stage in _STAGES:
            self._match(*stage)
        for values in self._connection.execute(
            "SELECT id, row, same_gift, reference_key, reference, carried, item, state, order_id FROM held"
            " WHERE id NOT IN (SELECT recorded_id FROM issued) ORDER BY row"
        ):
            recorded_id, row, same_gift, reference_key, reference, carried, item, state, order_id = values
            yield Recorded(recorded_id, row, same_gift, reference_key, reference, carried, item, State(state), order_id)

    def _keep_apart_what_may_have_changed_columns(self) -> None:
        """Match no payout links that differ only in the columns of their cells: several headings are others now."""
        several = "SELECT same_gift FROM {} WHERE cells != '' GROUP BY same_gift HAVING count(DISTINCT cells) > 1"
        self._connection.execute(
            f"UPDATE held SET cells = cells || '?' WHERE same_gift IN ({several.format('held')})"  # noqa: S608 - own text
            f" OR (cells != '' AND same_gift IN ({several.format('gift')}))"
        )

    def _match(self, columns: str, planned: str, held: str) -> None:
        """Match planned to recorded gifts that are equal in these columns, the first to the first and so on.

        What FAILED or was abandoned comes last: it may be missing in the input, what was issued may not.
        """
        numbered = f"id, {columns}, row_number() OVER (PARTITION BY {columns} ORDER BY {{}}) AS number"
        own, other = numbered.format("id"), numbered.format(f"state IN {_GIVEN_UP}, id")
        equal = " AND ".join(f"own.{column} = other.{column}" for column in columns.split(", "))
        self._connection.execute(
            "INSERT INTO issued (gift_id, recorded_id) SELECT own.id, other.id FROM"  # noqa: S608 - this module's text
            f" (SELECT {own} FROM gift WHERE {planned} AND id NOT IN (SELECT gift_id FROM issued)) AS own"
            f" JOIN (SELECT {other} FROM held WHERE {held} AND id NOT IN (SELECT recorded_id FROM issued)) AS other"
            f" ON {equal} AND own.number = other.number"
        )

    def leave_out_known(self, known: Iterable[tuple[str, str, int]]) -> None:
        """Leave out exactly the gifts that are known by their references: reference key, identity and recorded id."""
        self._connection.execute("DELETE FROM issued")
        self._connection.executemany(
            "INSERT INTO issued (recorded_id, gift_id)"
            " SELECT ?3, id FROM gift WHERE reference_key = ?1 AND same_gift = ?2",
            known,
        )

    def left_out(self) -> Iterator[Placed]:
        """Yield for each gift left out where its recorded gift is in this plan."""
        for values in self._connection.execute(
            "SELECT recorded_id, row, reference, carried, same_gift, reference_key, alike"
            " FROM issued JOIN gift ON gift.id = issued.gift_id ORDER BY row"
        ):
            yield Placed(*values)

    def left_out_amounts(self, most: int = 400) -> Iterator[list[tuple[int, str, Decimal]]]:
        """Yield recorded id, currency and face value of the gifts left out, at most `most` at a time."""
        found = self._connection.execute(
            "SELECT recorded_id, currency, value FROM issued JOIN gift ON gift.id = issued.gift_id"
        )
        while chunk := found.fetchmany(most):
            yield [(recorded, currency, Decimal(value)) for recorded, currency, value in chunk]

    def placed(self, recorded: Sequence[int]) -> dict[int, Placed]:
        """Return where recorded gifts are in this plan, by their ids; those that are not left out of it are missing."""
        found = self._connection.execute(
            "SELECT recorded_id, row, reference, carried, same_gift, reference_key, alike FROM issued"  # noqa: S608 - only marks
            f" JOIN gift ON gift.id = issued.gift_id WHERE recorded_id IN ({','.join('?' * len(recorded))})",
            tuple(recorded),
        )
        return {values[0]: Placed(*values) for values in found}

    def moved(self) -> Iterator[Placed]:
        """Yield for each gift left out that has another row, reference or carried cells now."""
        for values in self._connection.execute(
            "SELECT recorded_id, gift.row, gift.reference, gift.carried, gift.same_gift, gift.reference_key,"
            " gift.alike FROM issued JOIN gift ON gift.id = issued.gift_id JOIN held ON held.id = issued.recorded_id"
            " WHERE held.row != gift.row OR held.reference IS NOT gift.reference OR held.carried != gift.carried"
        ):
            yield Placed(*values)

    def changed_cells_of_links(self) -> Iterator[tuple[int, str, list[str], list[str]]]:
        """Yield row and reference of each link left out that has other carried cells now, with those that differ.

        What is yielded last are the cells as they were and as they are. The columns must be the recorded ones.
        """
        for row, reference, before, now in self._connection.execute(
            "SELECT gift.row, gift.reference, held.carried, gift.carried FROM issued"
            " JOIN gift ON gift.id = issued.gift_id JOIN held ON held.id = issued.recorded_id"
            " WHERE coalesce(gift.reference, '') != '' AND held.carried != gift.carried AND instr(gift.item, ?)"
            " ORDER BY gift.row",
            (_LINK,),
        ):
            pairs = [pair for pair in zip(from_list(before), from_list(now), strict=True) if pair[0] != pair[1]]
            yield row, reference, [old for old, _ in pairs], [new for _, new in pairs]

    @property
    def missing_count(self) -> int:
        """How many recorded gifts are not part of this plan."""
        found = self._connection.execute(
            "SELECT count(*) FROM held WHERE id NOT IN (SELECT recorded_id FROM issued)"
        ).fetchone()
        return int(found[0])

    @property
    def left_out_count(self) -> int:
        """How many gifts are left out."""
        return int(self._connection.execute("SELECT count(*) FROM issued").fetchone()[0])

    def identities_left(self, most: int = 400) -> Iterator[list[GiftIdentity]]:
        """Yield the distinct identities of the gifts that are not left out, at most `most` at a time."""
        found = self._connection.execute(
            "SELECT DISTINCT same_gift, reference_key, alike FROM gift WHERE id NOT IN (SELECT gift_id FROM issued)"
            " ORDER BY same_gift, reference_key"
        )
        while batch := found.fetchmany(most):
            yield [GiftIdentity(*values) for values in batch]

    def rows_left(
        self, identities: Collection[GiftIdentity] | None = None, most: int = 50
    ) -> list[tuple[int, str, str]]:
        """Return row, item and label of the first gifts that are not left out; only those of some identities."""
        found = (
            (row, item, label_text(reference, from_list(carried)))
            for row, item, reference, carried, *identity in self._left()
            if identities is None or GiftIdentity(*identity) in identities
        )
        return [*islice(found, most)]

    def count_left_of(self, identities: Collection[GiftIdentity]) -> int:
        """Count the gifts that have one of these identities and are not left out."""
        return sum(1 for _, _, _, _, *identity in self._left() if GiftIdentity(*identity) in identities)

    def _left(self) -> sqlite3.Cursor:
        return self._connection.execute(
            "SELECT row, item, reference, carried, same_gift, reference_key, alike FROM gift"
            " WHERE id NOT IN (SELECT gift_id FROM issued) ORDER BY id"
        )

    def rows(self, *, left: bool = False) -> Iterator[PlannedRow]:
        """Yield every gift in the order of the input; `left`: only those that are not left out."""
        for values in self._connection.execute(
            "SELECT gift.row, gift.item, gift.currency, gift.reference, gift.carried, gift.same_gift,"
            " gift.reference_key, gift.filled, issued.recorded_id, held.state, held.order_id FROM gift"
            " LEFT JOIN issued ON issued.gift_id = gift.id LEFT JOIN held ON held.id = issued.recorded_id"
            " WHERE NOT ? OR issued.gift_id IS NULL ORDER BY gift.id",
            (left,),
        ):
            row, item, currency, reference, carried, same_gift, key, filled, recorded_id, state, order_id = values
            yield PlannedRow(
                *(row, item, currency, reference, from_list(carried), GiftIdentity(same_gift, key)),
                *(frozenset(filled.split()), recorded_id, State(state) if state else None, order_id),
            )

    def kinds_left(self) -> Iterator[tuple[str, int]]:
        """Yield for each delivery and choice of products that is not left out one item, and how many there are."""
        yield from self._connection.execute(
            "SELECT min(item), count(*) FROM gift WHERE id NOT IN (SELECT gift_id FROM issued)"
            " GROUP BY instr(item, ?) > 0, substr(item, instr(item, ?)) ORDER BY count(*) DESC, min(id)",
            (_LINK, _PRODUCTS),
        )

    @property
    def people_left(self) -> int:
        """How many different addresses the gifts have that are not left out."""
        found = self._connection.execute(
            "SELECT count(DISTINCT address) FROM gift WHERE id NOT IN (SELECT gift_id FROM issued)"
        ).fetchone()
        return int(found[0])

    @property
    def count_left(self) -> int:
        """How many gifts are not left out."""
        return self.item_count - self.left_out_count

    @property
    def sums_left(self) -> dict[str, Decimal]:
        """The total of the face values that are not left out, by their currency."""
        if not self.left_out_count:
            return self.sums
        sums: dict[str, Decimal] = {}
        for _, currency, amount in self._amounts_left():
            sums[currency] = sums.get(currency, Decimal(0)) + amount
        return sums

    @property
    def balances_needed(self) -> dict[str, Decimal]:
        """The total of the face values that are not left out, by the currency of the balance that pays.

        What is paid from a balance of another currency is not part of it.
        """
        paying = self._paying()
        sums: dict[str, Decimal] = {}
        for head_id, currency, amount in self._amounts_left():
            if currency == paying[head_id]:
                sums[currency] = sums.get(currency, Decimal(0)) + amount
        return sums

    def _amounts_left(self) -> Iterator[tuple[int, str, Decimal]]:
        """Yield amounts that are not left out with head and currency, equal ones together."""
        for head_id, currency, value, count in self._connection.execute(
            "SELECT head_id, currency, value, count(*) FROM gift WHERE id NOT IN (SELECT gift_id FROM issued)"
            " GROUP BY head_id, currency, value ORDER BY min(id)"
        ):
            yield head_id, currency, Decimal(value) * count

    # --- what limits look at -------------------------------------------------------------------------------------

    def costs_left(self) -> Iterator[tuple[str, str, int]]:
        """Yield paying currency, products and cost (minor units) of what is not left out, equal products together."""
        paying, sums = self._paying(), dict[tuple[str, str], int]()
        for head_id, products, cost in self._connection.execute(
            "SELECT head_id, products, sum(cost) FROM gift WHERE id NOT IN (SELECT gift_id FROM issued)"
            " GROUP BY head_id, products ORDER BY min(id)"
        ):
            sums[paying[head_id], products] = sums.get((paying[head_id], products), 0) + (cost or 0)
        yield from ((*key, cost) for key, cost in sums.items())

    def payees_left(self, kind: Literal["email", "reference"]) -> Iterator[tuple[str, str, str, int]]:
        """Yield payee, paying currency, products and cost of what is not left out, sorted by payee."""
        paying, column = self._paying(), _PAYEES[kind]
        for payee_key, head_id, products, cost in self._connection.execute(
            f"SELECT {column}, head_id, products, sum(cost) FROM gift"  # noqa: S608 - own text
            f" WHERE id NOT IN (SELECT gift_id FROM issued) GROUP BY {column}, head_id, products"
            f" ORDER BY {column}, head_id, products"
        ):
            yield payee_key, paying[head_id], products, cost or 0

    def gifts_for(self, kind: Literal["email", "reference"], payee_key: str, most: int = 50) -> list[PlannedRow]:
        """Return the first gifts of one recipient that are not left out."""
        rows = (
            PlannedRow(
                *(row, item, currency, reference, from_list(carried), GiftIdentity(same_gift, key)),
                *(frozenset(), None, None, None),
            )
            for row, item, currency, reference, carried, same_gift, key in self._connection.execute(
                "SELECT row, item, currency, reference, carried, same_gift, reference_key FROM gift"  # noqa: S608 - own text
                f" WHERE {_PAYEES[kind]} = ? AND id NOT IN (SELECT gift_id FROM issued) ORDER BY id",
                (payee_key,),
            )
        )
        return [*islice(rows, most)]

    @property
    def has_unknown_costs(self) -> bool:
        """Whether a gift that is not left out is converted, and its price is not known."""
        return bool(
            self._connection.execute(
                "SELECT id FROM gift WHERE cost IS NULL AND id NOT IN (SELECT gift_id FROM issued) LIMIT 1"
            ).fetchone()
        )

    def set_cost(self, cost: int) -> None:
        """Set the price of the gift that is converted, of which a plan has at most one."""
        self._connection.execute("UPDATE gift SET cost = ? WHERE cost IS NULL", (cost,))

    def _paying(self) -> dict[int, str]:
        """Return the currency of the balance that pays, by head."""
        return {
            head_id: OrderHead.model_validate(exact_json.loads(document)).payment_method.currency
            for head_id, document in self._connection.execute("SELECT id, document FROM head ORDER BY id")
        }

    @property
    def order_count(self) -> int:
        """How many orders are left to send."""
        heads = self._connection.execute(
            "SELECT head_id, whole, count(*), count(DISTINCT templates) FROM gift JOIN head ON head.id = head_id"
            " WHERE gift.id NOT IN (SELECT gift_id FROM issued) GROUP BY head_id, whole"
        ).fetchall()
        return sum(
            # Only more than ten different templates divide orders that are not full.
            ceil(gifts / self._most(whole))
            if templates <= MOST_TEMPLATES
            else sum(1 for _ in self._chunks(head, whole))
            for head, whole, gifts, templates in heads
        )

    def fingerprint(self, *, left: bool = False) -> str:
        """Return the digest of the identities of all gifts: equal for the same gifts, however they are written.

        `left`: only of those that are not left out.
        """
        if left:
            return self._digest(left=True)
        if self._whole is None or self._whole[0] != self.item_count:
            self._whole = self.item_count, self._digest(left=False)
        return self._whole[1]

    def _digest(self, *, left: bool) -> str:
        return fingerprint(
            self._connection.execute(
                "SELECT same_gift, reference_key FROM gift WHERE NOT ? OR id NOT IN (SELECT gift_id FROM issued)"
                " ORDER BY same_gift, reference_key",
                (left,),
            )
        )

    def references(self, most: int = 400, *, left: bool = False) -> Iterator[list[tuple[str, str]]]:
        """Yield reference key and identity of each gift, at most `most` at a time; `left`: that is not left out."""
        found = self._connection.execute(
            "SELECT reference_key, same_gift FROM gift WHERE NOT ? OR id NOT IN (SELECT gift_id FROM issued)"
            " ORDER BY id",
            (left,),
        )
        while chunk := found.fetchmany(most):
            yield chunk

    def rows_referenced(self, keys: Collection[str]) -> list[tuple[int, str, str, str]]:
        """Return row, item, reference and reference key of the gifts that have one of these keys."""
        return self._connection.execute(
            "SELECT row, item, reference, reference_key FROM gift"  # noqa: S608 - only marks
            f" WHERE reference_key IN ({','.join('?' * len(keys))}) ORDER BY id",
            tuple(keys),
        ).fetchall()

    def repeated_references(self) -> Iterator[tuple[int, int, str]]:
        """Yield for each further row of a reference the first row that has it, the row, and the reference there."""
        yield from self._connection.execute(
            "SELECT first.row, gift.row, gift.reference FROM gift JOIN (SELECT reference_key, min(id) AS id, row FROM"
            " gift WHERE reference_key != '' GROUP BY reference_key HAVING count(*) > 1) AS first"
            " ON gift.reference_key = first.reference_key AND gift.id != first.id ORDER BY gift.id"
        )

    def row_with_cell_over(self, characters: int) -> int | None:
        """Return the first row that carries a cell of more than so many characters (of UTF-16); None without one."""
        found = self._connection.execute(
            "SELECT row, carried FROM gift WHERE 2 * length(carried) > ? ORDER BY id", (characters,)
        )
        longer = (row for row, carried in found if any(_utf16(cell) > characters for cell in from_list(carried)))
        return next(longer, None)

    def recipients(self) -> Iterator[tuple[int, str]]:
        """Yield row and item (JSON) of each RECIPIENT gift."""
        if self.loads_cards:
            yield from self._connection.execute("SELECT row, item FROM gift WHERE item LIKE ? ORDER BY id", (_CARDS,))

    def repeated_addresses(self, most: int = 5) -> tuple[list[tuple[str, list[int]]], int]:
        """Return the first addresses that occur more than once, each with its rows; and how many there are."""
        repeated = self._connection.execute(
            "SELECT address, group_concat(row), count(*) OVER () FROM"
            " (SELECT address, row FROM gift WHERE address IS NOT NULL ORDER BY id)"
            " GROUP BY address HAVING count(*) > 1 ORDER BY min(row) LIMIT ?",
            (most,),
        ).fetchall()
        first = [(address, [int(row) for row in rows.split(",")]) for address, rows, _ in repeated]
        return first, repeated[0][2] if repeated else 0


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_link(gift: Gift) -> bool:
    """Tell whether a gift is a payout link, which Runa mails to nobody."""
    return is_link_item(gift.item)


def is_link_item(item: str) -> bool:
    """Tell whether the JSON of an item is that of a payout link."""
    return _LINK in item


def _common_headings(recorded: Sequence[str], own: Sequence[str]) -> set[str]:
    """Return the headings by which cells can be compared: those that occur once on both sides."""
    counts = [Counter(map(name_key, columns)) for columns in (recorded, own)]
    return {heading for heading in counts[0] if [count[heading] for count in counts] == [1, 1]}


def _cells(columns: Sequence[str], common: Container[str], carried: str) -> str:
    """Return carried cells as text: by their headings where those are common to both sides, else in their order."""
    cells = [normalized_text(cell) for cell in from_list(carried)]
    pairs = [*zip_longest(map(name_key, columns), cells, fillvalue="")]
    named = sorted(pair for pair in pairs if pair[0] in common and pair[1])
    others = [cell for heading, cell in pairs if heading not in common]
    while others and not others[-1]:
        others.pop()
    return exact_json.dumps([named, others])


def _too_many(templates: set[str]) -> bool:
    return any(sum(name.startswith(kind) for name in templates) > MOST_TEMPLATES for kind in ("DT-", "PT-"))
