"""The ledger's tables, as numbered migrations. Each is committed together with its number."""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from runa_cli.core import exact_json
from runa_cli.core.identity import fingerprint, identify, name_key, recipient_key
from runa_cli.ledger import journal, spent
from runa_cli.ledger.engine import Row
from runa_cli.ledger.records import body_digest
from runa_cli.ledger.search_text import recorded_gift, search_text
from runa_cli.ledger.spending_fill import Database, fill_spending


class Migration(NamedTuple):
    """Statements, separated by semicolons, and what fills new columns from what is recorded."""

    script: str
    fill: Callable[[Database], None] | None = None


def _identify_gifts(database: Database) -> None:
    """Compute the identities of all recorded gifts, and with them the fingerprints of the batches.

    What was pruned has no item any more and stays without an identity.
    """
    for batch_id, name in list(database.execute("SELECT id, name FROM batch")):
        database.execute("UPDATE batch SET name_key = ? WHERE id = ?", (name_key(name), batch_id))
        gifts = database.execute(
            "SELECT gift.id, gift.item, gift.reference, gift.carried, purchase.currency FROM gift"
            " JOIN purchase ON purchase.id = gift.purchase_id WHERE purchase.batch_id = ? AND gift.item != '{}'",
            (batch_id,),
        )
        for gift_id, item, reference, carried, currency in list(gifts):
            document: Any = exact_json.loads(item)
            cells: Any = exact_json.loads(carried)
            identity = identify(document, currency, reference, cells)
            database.execute(
                "UPDATE gift SET same_gift = ?, reference_key = ? WHERE id = ?",
                (identity.gift, identity.reference, gift_id),
            )
        identities = database.execute(
            "SELECT same_gift, reference_key FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            " WHERE purchase.batch_id = ? AND gift.row > 0 AND same_gift IS NOT NULL ORDER BY same_gift, reference_key",
            (batch_id,),
        )
        if rows := list(identities):
            database.execute("UPDATE batch SET fingerprint = ? WHERE id = ?", (fingerprint(rows), batch_id))


def _find_alike(database: Database) -> None:
    """Compute by what gifts are alike whose references are spelled otherwise; what was pruned stays without it."""
    rows = database.execute(
        "SELECT gift.id, gift.item, gift.reference, gift.carried, purchase.currency FROM gift"
        " JOIN purchase ON purchase.id = gift.purchase_id WHERE gift.item != '{}'"
        " AND (gift.reference IS NOT NULL OR gift.item NOT LIKE '%\"EMAIL\"%')"
    )
    for gift_id, item, reference, carried, currency in list(rows):
        document: Any = exact_json.loads(item)
        cells: Any = exact_json.loads(carried)
        identity = identify(document, currency, reference, cells)
        database.execute("UPDATE gift SET alike = ? WHERE id = ?", (identity.alike, gift_id))


def find_recipients(database: Database) -> None:
    """Compute whose card each recorded gift loads."""
    for gift_id, item in list(database.execute("SELECT id, item FROM gift WHERE item LIKE '%\"RECIPIENT\"%'")):
        document: Any = exact_json.loads(item)
        database.execute("UPDATE gift SET recipient_key = ? WHERE id = ?", (recipient_key(document), gift_id))


def _write_search_texts(database: Database) -> None:
    """Write the search text of each order; of a pruned one that is its id.

    From now on every new order has a row there, whoever inserts it, so that none is left out of a search.
    """
    found = database.execute(
        "SELECT purchase.id, order_id, CASE WHEN error_type = 'unmatched_items' THEN reply END,"
        " item, reference, carried, issued FROM purchase JOIN gift ON gift.purchase_id = purchase.id"
        " ORDER BY purchase.id"
    )
    for order, gifts in groupby(map(tuple, found), key=itemgetter(0, 1, 2)):
        text = search_text((recorded_gift(*gift[3:]) for gift in gifts), *order[1:])
        database.execute(
            "INSERT INTO purchase_search (purchase_id, text, terms) VALUES (?, ?, ?)", (order[0], text.text, text.terms)
        )
    database.execute(
        "CREATE TRIGGER purchase_to_search AFTER INSERT ON purchase BEGIN"
        " INSERT INTO purchase_search (purchase_id) VALUES (new.id); END"
    )


def _digest_bodies(database: Database) -> None:
    for (order_id,) in list(database.execute("SELECT id FROM purchase WHERE length(body) > 0")):
        for (body,) in list(database.execute("SELECT CAST(body AS BLOB) FROM purchase WHERE id = ?", (order_id,))):
            database.execute("UPDATE purchase SET sent_sha256 = ? WHERE id = ?", (body_digest(body), order_id))


def _start_journal(database: Database) -> None:
    """Begin the journal with the orders that are there, and let nobody change or delete an event by a slip."""
    journal.begin(database)
    for name, change in (("changed", "UPDATE"), ("deleted", "DELETE")):
        database.execute(
            f"CREATE TRIGGER event_is_not_{name} BEFORE {change} ON event BEGIN"
            " SELECT RAISE(ABORT, 'the journal only grows: no event is ever changed or deleted'); END"
        )


def _reserve_recorded(database: Database) -> None:
    fill_spending(database)
    database.execute(
        "CREATE TRIGGER purchase_holds AFTER UPDATE OF state ON purchase"
        " WHEN (old.state IN ('rejected', 'failed', 'abandoned')) != (new.state IN ('rejected', 'failed', 'abandoned'))"
        " BEGIN UPDATE reserved SET held = (new.state NOT IN ('rejected', 'failed', 'abandoned'))"
        " WHERE purchase_id = new.id; END"
    )


class _Migrating:
    """Lets `spent` write while a migration runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def select(self, statement: str, *values: object) -> list[Row]:
        return [*self._database.execute(statement, values)]

    def execute(self, statement: str, *values: object) -> None:
        self._database.execute(statement, values)

    def execute_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        for row in rows:
            self._database.execute(statement, row)


def fill_spent(database: Database) -> None:
    """Write what the gifts of an older ledger cost, and who has sent them: whoever issued their batch."""
    database.execute(
        "UPDATE purchase SET sent_by = (SELECT \"system_user\" || '@' || host FROM batch"
        " WHERE batch.id = purchase.batch_id) WHERE first_sent_at IS NOT NULL"
        " AND batch_id IN (SELECT id FROM batch WHERE \"system_user\" != '')"
    )
    migrating = _Migrating(database)
    spent.fill(migrating, migrating.select)


MIGRATIONS = (
    Migration("""
    CREATE TABLE batch (
        id INTEGER PRIMARY KEY,
        environment TEXT NOT NULL,
        name TEXT NOT NULL,
        named INTEGER NOT NULL,
        source TEXT NOT NULL,
        shape TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        account TEXT NOT NULL,
        columns TEXT NOT NULL,
        created_at TEXT NOT NULL,
        shown_at TEXT,
        pruned_at TEXT,
        UNIQUE (environment, name)
    );
    CREATE INDEX batch_by_content ON batch (environment, fingerprint);
    CREATE TABLE purchase (
        id INTEGER PRIMARY KEY,
        batch_id INTEGER NOT NULL REFERENCES batch (id),
        environment TEXT NOT NULL,
        position INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        idempotency_key TEXT NOT NULL,
        own_key INTEGER NOT NULL,
        body BLOB NOT NULL,
        body_sha256 TEXT NOT NULL,
        mode TEXT NOT NULL,
        currency TEXT NOT NULL,
        total TEXT NOT NULL,
        item_count INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('prepared', 'sent', 'accepted', 'completed', 'failed', 'rejected', 'abandoned')),
        prepared_at TEXT NOT NULL,
        first_sent_at TEXT,
        settled_at TEXT,
        order_id TEXT,
        http_status INTEGER,
        request_id TEXT,
        error_type TEXT,
        error_text TEXT,
        same_errors INTEGER NOT NULL DEFAULT 0,
        superseded INTEGER NOT NULL DEFAULT 0,
        reply BLOB,
        UNIQUE (batch_id, position, generation),
        UNIQUE (environment, idempotency_key)
    );
    CREATE INDEX purchase_by_state ON purchase (batch_id, state);
    CREATE INDEX purchase_by_order ON purchase (order_id);
    CREATE TABLE gift (
        id INTEGER PRIMARY KEY,
        purchase_id INTEGER NOT NULL REFERENCES purchase (id),
        slot INTEGER NOT NULL,
        row INTEGER NOT NULL,
        reference TEXT,
        carried TEXT NOT NULL,
        identity TEXT NOT NULL,
        item TEXT NOT NULL,
        issued TEXT,
        UNIQUE (purchase_id, slot)
    );
    CREATE INDEX gift_by_identity ON gift (identity);
    """),
    Migration(
        """
    ALTER TABLE batch ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
    ALTER TABLE purchase ADD COLUMN account TEXT NOT NULL DEFAULT '';
    UPDATE purchase SET account = (SELECT account FROM batch WHERE batch.id = purchase.batch_id);
    ALTER TABLE gift ADD COLUMN same_gift TEXT;
    ALTER TABLE gift ADD COLUMN reference_key TEXT NOT NULL DEFAULT '';
    CREATE INDEX batch_by_name_key ON batch (environment, name_key);
    CREATE INDEX gift_by_same_gift ON gift (same_gift);
    """,
        _identify_gifts,
    ),
    # When orders were sent within the last minute, for the rate limit of all processes.
    Migration("""
    CREATE TABLE sending (id INTEGER PRIMARY KEY, environment TEXT NOT NULL, sent_at TEXT NOT NULL);
    CREATE INDEX sending_by_time ON sending (environment, sent_at);
    """),
    # The table tells this ledger from every other one and from an older copy of itself (high_water.py). The column
    # tells whether a body is still the one that was recorded; it is empty where the body was pruned.
    Migration(
        """
    CREATE TABLE ledger (id TEXT NOT NULL, changes INTEGER NOT NULL);
    INSERT INTO ledger (id, changes) VALUES (lower(hex(randomblob(16))), 0);
    ALTER TABLE purchase ADD COLUMN sent_sha256 TEXT NOT NULL DEFAULT '';
    """,
        _digest_bodies,
    ),
    # For `--by-reference`.
    Migration("CREATE INDEX gift_by_reference ON gift (reference_key);"),
    # For ledgers with many orders. Only the latest generation of an order is not superseded, so that nothing has to be
    # compared to find it. `purchase_counts` holds all that the counts of a batch are made of, because a row of
    # `purchase` is long; `purchase_unfinished` holds few orders, however many there are. Nothing reads
    # `gift_by_identity` any more.
    Migration("""
    UPDATE purchase SET superseded = 1 WHERE superseded = 0 AND EXISTS (SELECT 1 FROM purchase AS later
        WHERE later.batch_id = purchase.batch_id AND later.position = purchase.position
        AND later.generation > purchase.generation AND later.superseded = 0);
    DROP INDEX gift_by_identity;
    DROP INDEX purchase_by_state;
    CREATE INDEX purchase_counts ON purchase
        (batch_id, superseded, position, state, currency, total, item_count, settled_at);
    CREATE INDEX purchase_unfinished ON purchase (batch_id, state, superseded)
        WHERE state IN ('prepared', 'sent', 'accepted');
    CREATE INDEX batch_by_environment ON batch (environment, id);
    """),
    # How the input was written, for its results.
    Migration("""
    ALTER TABLE batch ADD COLUMN delimiter TEXT NOT NULL DEFAULT ',';
    ALTER TABLE batch ADD COLUMN bom INTEGER NOT NULL DEFAULT 0;
    """),
    # What is equal for gifts whose references differ only as a spreadsheet changes them.
    Migration(
        """
    ALTER TABLE gift ADD COLUMN alike TEXT NOT NULL DEFAULT '';
    CREATE INDEX gift_by_alike ON gift (alike);
    """,
        _find_alike,
    ),
    # For lists of gifts. A search reads `purchase_search` instead of the long rows of orders and gifts, and the rest of
    # what gifts are chosen by is in `purchase_listed`. Where a text is NULL, the gifts themselves are looked at.
    Migration(
        """
    CREATE TABLE purchase_search (
        purchase_id INTEGER PRIMARY KEY REFERENCES purchase (id) ON DELETE CASCADE,
        text TEXT,
        terms TEXT
    );
    CREATE INDEX purchase_listed ON purchase (environment, id, state, first_sent_at, prepared_at);
    """,
        _write_search_texts,
    ),
    # Who issued a batch, and from which file.
    Migration("""
    ALTER TABLE batch ADD COLUMN file TEXT;
    ALTER TABLE batch ADD COLUMN system_user TEXT NOT NULL DEFAULT '';
    ALTER TABLE batch ADD COLUMN host TEXT NOT NULL DEFAULT '';
    """),
    # Until when nobody sends after Runa has answered one process with a 429.
    Migration("CREATE TABLE quiet (environment TEXT PRIMARY KEY, quiet_until TEXT NOT NULL);"),
    # The journal (journal.py). With its salt, digests in events about a batch tell nothing once it is pruned.
    Migration(
        """
    ALTER TABLE batch ADD COLUMN salt TEXT;
    UPDATE batch SET salt = lower(hex(randomblob(16))) WHERE pruned_at IS NULL;
    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        system_user TEXT NOT NULL,
        host TEXT NOT NULL,
        facts TEXT NOT NULL,
        hash TEXT NOT NULL
    );
    """,
        _start_journal,
    ),
    # For `runa ledger check` (restoration.py). `checks` counts how often lost orders were read back; `read_back` marks
    # an order that was recorded as Runa shows it, and that no input has confirmed since. `closed` has the environments
    # in which orders may be missing, since when (NULL: ever) and the mark of made-up names that are this ledger's
    # (NULL: any may be); `opened` the accounts whose orders are all recorded again; `passed_over` the orders that an
    # unfinished check has read and did not record.
    Migration("""
    ALTER TABLE ledger ADD COLUMN checks INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE purchase ADD COLUMN read_back INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX purchase_read_back ON purchase (environment, batch_id) WHERE read_back = 1;
    CREATE TABLE closed (
        id INTEGER PRIMARY KEY,
        environment TEXT NOT NULL,
        since TEXT,
        own_names TEXT,
        UNIQUE (environment)
    );
    CREATE TABLE opened (
        id INTEGER PRIMARY KEY,
        environment TEXT NOT NULL,
        account TEXT NOT NULL,
        UNIQUE (environment, account)
    );
    CREATE TABLE passed_over (
        id INTEGER PRIMARY KEY,
        environment TEXT NOT NULL,
        account TEXT NOT NULL,
        order_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        gifts INTEGER NOT NULL,
        currency TEXT NOT NULL,
        total TEXT NOT NULL,
        UNIQUE (environment, order_id)
    );
    """),
    # For limits on what is spent (spending.py). `reserved_held` holds all that a sum over a window is made of. A policy
    # that is stored in the ledger itself is in force for everybody who uses it.
    Migration(
        """
    ALTER TABLE gift ADD COLUMN payee TEXT;
    ALTER TABLE gift ADD COLUMN payee_reference TEXT;
    ALTER TABLE gift ADD COLUMN products TEXT NOT NULL DEFAULT '';
    ALTER TABLE gift ADD COLUMN cost INTEGER;
    CREATE INDEX gift_by_payee ON gift (payee);
    CREATE INDEX gift_by_payee_reference ON gift (payee_reference);
    CREATE TABLE reserved (
        id INTEGER PRIMARY KEY,
        purchase_id INTEGER NOT NULL REFERENCES purchase (id) ON DELETE CASCADE,
        environment TEXT NOT NULL,
        currency TEXT NOT NULL,
        products TEXT NOT NULL,
        amount INTEGER NOT NULL,
        gifts INTEGER NOT NULL,
        reserved_at TEXT NOT NULL,
        held INTEGER NOT NULL,
        policy TEXT NOT NULL,
        UNIQUE (purchase_id, products)
    );
    CREATE INDEX reserved_held ON reserved (environment, currency, held, reserved_at, products, amount);
    CREATE TABLE policy (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        text TEXT NOT NULL,
        stored_at TEXT NOT NULL,
        stored_by TEXT NOT NULL
    );
    """,
        _reserve_recorded,
    ),
    # For reports (spent.py): who sent an order first, as `user@host`, and what each gift cost. Amounts are integers
    # (core/units.py), `spent_at` is in microseconds, and `sender` to `reference` are rows of `spent_term`. The rows are
    # in the order of their times, so that those of a year are read together.
    Migration(
        """
    ALTER TABLE purchase ADD COLUMN sent_by TEXT NOT NULL DEFAULT '';
    CREATE TABLE spent_term (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE spent (
        gift_id INTEGER NOT NULL UNIQUE REFERENCES gift (id),
        environment TEXT NOT NULL,
        spent_at INTEGER NOT NULL,
        is_unknown INTEGER NOT NULL,
        batch_id INTEGER NOT NULL,
        is_named INTEGER NOT NULL,
        face INTEGER,
        charged INTEGER,
        sender INTEGER NOT NULL,
        currency INTEGER NOT NULL,
        charged_in INTEGER NOT NULL,
        product INTEGER NOT NULL,
        email INTEGER NOT NULL,
        reference INTEGER NOT NULL,
        PRIMARY KEY (environment, spent_at, gift_id)
    ) WITHOUT ROWID;
    """,
        fill_spent,
    ),
    # Whose card a gift loads, to tell whether the address that comes with it has changed since.
    Migration(
        """
    ALTER TABLE gift ADD COLUMN recipient_key TEXT NOT NULL DEFAULT '';
    CREATE INDEX gift_by_recipient ON gift (recipient_key) WHERE recipient_key != '';
    """,
        find_recipients,
    ),
    # Batches that were proposed for approval, and who approved them (approvals.py).
    Migration("""
    CREATE TABLE proposal (
        id INTEGER PRIMARY KEY,
        batch_id INTEGER NOT NULL REFERENCES batch (id),
        facts TEXT NOT NULL,
        proposed_at TEXT NOT NULL,
        system_user TEXT NOT NULL,
        host TEXT NOT NULL
    );
    CREATE INDEX proposal_by_batch ON proposal (batch_id, id);
    CREATE TABLE approval (
        id INTEGER PRIMARY KEY,
        proposal_id INTEGER NOT NULL REFERENCES proposal (id),
        principal TEXT NOT NULL,
        signing_key TEXT NOT NULL,
        signature TEXT NOT NULL,
        approved_at TEXT NOT NULL,
        UNIQUE (proposal_id, signing_key)
    );
    """),
    # By which proposal an order was approved when it was first sent; empty where none was needed, or an older version
    # sent it.
    Migration("ALTER TABLE purchase ADD COLUMN proposal_id INTEGER;"),
)

TABLES = frozenset({"batch", "purchase", "gift"})  # those that a ledger of any version has
