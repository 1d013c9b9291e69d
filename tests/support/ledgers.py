"""Records for ledgers that no program has written."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

from runa_cli.core.identity import Payee
from runa_cli.ledger import postgres_schema
from runa_cli.ledger.records import Gift, NewBatch, NewOrder
from runa_cli.ledger.schema import MIGRATIONS


def gift(row: int, batch: int) -> Gift:
    """Return the gift of a row; no other row or batch has the same one."""
    return Gift(
        row, f"R{row}", [], f"i{batch}-{row}", f"s{batch}-{row}", f"r{batch}-{row}", "{}", f"a{batch}-{row}",
        Payee(f"p{batch}-{row}", f"q{batch}-{row}"), "AMZ-US", 500,
    )  # fmt: skip


def order(batch: int, position: int = 1, generation: int = 0, gifts: int = 2) -> NewOrder:
    """Return an order of a batch."""
    return NewOrder(
        position=position, generation=generation, idempotency_key=f"key {batch} {position} {generation}", own_key=False,
        body=b"{}", body_sha256="", mode="async", currency="USD", total="10.00", item_count=gifts, account="xxtests",
        gifts=[gift(row, batch) for row in range(1, gifts + 1)],
    )  # fmt: skip


def new_batch(number: int) -> NewBatch:
    """Return a batch by its number."""
    return NewBatch(
        environment="local", name=f"batch {number}", named=True, source="file", shape="list", fingerprint=f"f{number}",
        account="xxtests", columns=[],
    )  # fmt: skip


def allow() -> None:
    """Refuse nothing: a check to record or send with."""


_UNDONE = {  # what a migration made, by its number
    18: "ALTER TABLE purchase DROP COLUMN proposal_id;",
    17: "DROP TABLE approval; DROP TABLE proposal;",
    16: "DROP INDEX gift_by_recipient; ALTER TABLE gift DROP COLUMN recipient_key;",
    15: "DROP TABLE spent; DROP TABLE spent_term; ALTER TABLE purchase DROP COLUMN sent_by;",
    14: "DROP TRIGGER purchase_holds; DROP TABLE reserved; DROP TABLE policy; DROP INDEX gift_by_payee;"
    " DROP INDEX gift_by_payee_reference; ALTER TABLE gift DROP COLUMN payee; ALTER TABLE gift DROP COLUMN cost;"
    " ALTER TABLE gift DROP COLUMN payee_reference; ALTER TABLE gift DROP COLUMN products;",
    13: "DROP TABLE closed; DROP TABLE opened; DROP TABLE passed_over; DROP INDEX purchase_read_back;"
    " ALTER TABLE ledger DROP COLUMN checks; ALTER TABLE purchase DROP COLUMN read_back;",
    12: "DROP TABLE event; ALTER TABLE batch DROP COLUMN salt;",
    11: "DROP TABLE quiet;",
    10: "ALTER TABLE batch DROP COLUMN file; ALTER TABLE batch DROP COLUMN system_user;"
    " ALTER TABLE batch DROP COLUMN host;",
    9: "DROP TRIGGER purchase_to_search; DROP TABLE purchase_search; DROP INDEX purchase_listed;",
    8: "DROP INDEX gift_by_alike; ALTER TABLE gift DROP COLUMN alike;",
    7: "ALTER TABLE batch DROP COLUMN delimiter; ALTER TABLE batch DROP COLUMN bom;",
    6: "UPDATE purchase SET superseded = 0; DROP INDEX purchase_counts; DROP INDEX purchase_unfinished;"
    " DROP INDEX batch_by_environment; CREATE INDEX purchase_by_state ON purchase (batch_id, state);"
    " CREATE INDEX gift_by_identity ON gift (identity);",
}


_UNDONE_ON_A_SERVER = {
    8: _UNDONE[18],
    7: _UNDONE[17],
    6: _UNDONE[16],
    5: _UNDONE[15],
    4: "DROP FUNCTION purchase_holds CASCADE; DROP TABLE reserved; DROP TABLE policy;"
    " ALTER TABLE gift DROP COLUMN payee, DROP COLUMN payee_reference, DROP COLUMN products, DROP COLUMN cost;",
    3: _UNDONE[13],
    2: _UNDONE[12] + "DROP FUNCTION event_only_grows;",
}


def make_older(path: Path, version: int, mark: Path | None = None) -> None:
    """Make a ledger what it would be if an older version had written it, one that knew that many migrations.

    `mark` is its high-water mark, which would name no events of a journal.
    """
    if mark is not None:
        content = json.loads(mark.read_text())
        del content["heads"]
        mark.write_text(json.dumps(content))
    with closing(sqlite3.connect(path)) as database:
        for number in range(len(MIGRATIONS), version, -1):
            database.executescript(_UNDONE[number])
        database.execute(f"PRAGMA user_version = {version}")


def make_server_older(url: str, version: int) -> None:
    """Make a ledger in a database what it would be if an older version had made it."""
    with psycopg.connect(url) as connection:
        for number in range(len(postgres_schema.MIGRATIONS), version, -1):
            connection.execute(_UNDONE_ON_A_SERVER[number])
        connection.execute("UPDATE ledger SET version = %s", (version,))
