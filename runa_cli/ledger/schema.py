"""The ledger's tables, as numbered migrations. Each is committed together with its number."""

MIGRATIONS = (
    """
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
    """,
)

TABLES = frozenset({"batch", "purchase", "gift"})
