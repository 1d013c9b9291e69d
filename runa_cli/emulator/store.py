"""The account's data: one SQLite file that several processes share."""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from runa_cli.emulator.money import OPENING_BALANCES, amount

_Row = tuple[Any, ...]

_BUSY_SECONDS = 30.0  # Orders of 200 items take milliseconds each, so only a stuck process lets this pass.


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as the API will show it from `ready_at` (UTC): JSON, `basic` in lists and `full` by its id."""

    order_id: str
    ready_at: datetime
    basic: bytes
    full: bytes
    listed: bool = True
    position: int = 0


@dataclass(frozen=True, slots=True)
class StoredGift:
    """The item of an order that a payout link is for, by its index. The link ends with the id of the gift."""

    gift_id: str
    number: int
    order: StoredOrder


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer to the first request with an idempotency key. From `answered_at` (UTC) it may be repeated."""

    key: str
    body_hash: bytes
    status: int
    headers: str
    body: bytes
    created_at: datetime
    answered_at: datetime


class InUse(Exception):
    """Another process uses the emulator's data."""


def reset(path: Path) -> None:
    """Delete the emulator's data at `path`, if there is any. Raises InUse while an emulator works with it."""
    in_use = _open_in_use(path)
    try:
        fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except BlockingIOError:
        raise InUse from None
    finally:
        os.close(in_use)


def _open_in_use(path: Path) -> int:
    """Open the file on which whoever works with the data holds a shared lock.

    It is a file of its own, which stays: SQLite loses its locks on a file that is opened a second time.
    """
    return os.open(path.with_name(f"{path.name}-in-use"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


class Store:
    """Orders, balances and answers, in a file that only its owner can read. Threads may share it.

    Raises sqlite3.Error if the file cannot be used, and ValueError if a newer version of the program wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._in_use = _open_in_use(path)
        try:
            fcntl.flock(self._in_use, fcntl.LOCK_SH)
            self._open(path)
        except BaseException:
            os.close(self._in_use)
            raise

    def _open(self, path: Path) -> None:
        _create_private(path)
        # The lock lets one thread at a time use the connection.
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _write_ahead(self._connection)
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file. May be called twice."""
        with self._lock:
            self._connection.close()
            if self._in_use >= 0:
                os.close(self._in_use)
                self._in_use = -1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock of the file. Everything in the block is committed together, or not at all."""
        with self._lock:
            # A deferred transaction could find, when it first writes, that another process wrote in between.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def answer_for(self, key: str) -> StoredAnswer | None:
        """Return the stored answer for an idempotency key."""
        row = self._one("SELECT * FROM answers WHERE key = ?", key)
        if row is None:
            return None
        key, body_hash, status, headers, body, created_at, answered_at = row
        moments = datetime.fromisoformat(created_at), datetime.fromisoformat(answered_at)
        return StoredAnswer(key, body_hash, status, headers, body, *moments)

    def keep_answer(self, answer: StoredAnswer) -> None:
        """Store an answer for its key, in place of one that expired."""
        moments = (answer.created_at.isoformat(), answer.answered_at.isoformat())
        self._run(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
            answer.key,
            answer.body_hash,
            answer.status,
            answer.headers,
            answer.body,
            *moments,
        )

    def add_order(self, order: StoredOrder, gift_ids: Sequence[str]) -> None:
        """Add an order as the newest one, with the ids of its gifts, one for each item."""
        self._run(
            "INSERT INTO orders (id, ready_at, basic, full, listed) VALUES (?, ?, ?, ?, ?)",
            order.order_id,
            order.ready_at.isoformat(),
            order.basic,
            order.full,
            order.listed,
        )
        for number, gift_id in enumerate(gift_ids):
            self._run("INSERT INTO gifts (id, order_id, number) VALUES (?, ?, ?)", gift_id, order.order_id, number)

    def order(self, order_id: str) -> StoredOrder | None:
        """Return one order."""
        row = self._one("SELECT * FROM orders WHERE id = ?", order_id)
        return None if row is None else _order(row)

    def orders(self, limit: int, *, before: int | None = None, after: int | None = None) -> list[StoredOrder]:
        """Return up to `limit` listed orders, newest first: those before or after a position, or the newest."""
        if before is not None:
            newer = "SELECT * FROM orders WHERE listed AND position > ? ORDER BY position LIMIT ?"
            return [_order(row) for row in reversed(self._all(newer, before, limit))]
        older = "SELECT * FROM orders WHERE listed AND position < ? ORDER BY position DESC LIMIT ?"
        return [_order(row) for row in self._all(older, _NEWEST if after is None else after, limit)]

    def gift(self, gift_id: str) -> StoredGift | None:
        """Return the gift of a payout link."""
        row = self._one(f"{_GIFTS} WHERE gifts.id = ?", gift_id)
        return None if row is None else _gift(row)

    def gifts(self, limit: int) -> list[StoredGift]:
        """Return up to `limit` gifts of listed orders, newest first."""
        newest = f"{_GIFTS} WHERE orders.listed ORDER BY gifts.position DESC LIMIT ?"
        return [_gift(row) for row in self._all(newest, limit)]

    def balance(self, currency: str) -> Decimal:
        """Return the balance in a currency; 0 where there is none."""
        row = self._one("SELECT balance FROM balances WHERE currency = ?", currency)
        return Decimal(0) if row is None else Decimal(row[0])

    def balances(self) -> dict[str, Decimal]:
        """Return every balance by its currency."""
        return {row[0]: Decimal(row[1]) for row in self._all("SELECT * FROM balances ORDER BY currency")}

    def set_balance(self, currency: str, balance: Decimal) -> None:
        """Replace a balance."""
        self._run("INSERT OR REPLACE INTO balances VALUES (?, ?)", currency, amount(balance))

    def pay(self, currency: str, total: Decimal, *, left: Decimal) -> None:
        """Replace a balance by what is left of it after a payment, and count the payment."""
        self.set_balance(currency, left)
        self._run("INSERT OR REPLACE INTO spent VALUES (?, ?)", currency, amount(self._spent_in(currency) + total))

    def spent(self) -> dict[str, Decimal]:
        """Return what all orders have cost, by currency."""
        return {row[0]: Decimal(row[1]) for row in self._all("SELECT * FROM spent ORDER BY currency")}

    def _spent_in(self, currency: str) -> Decimal:
        row = self._one("SELECT amount FROM spent WHERE currency = ?", currency)
        return Decimal(0) if row is None else Decimal(row[0])

    def _run(self, statement: str, *values: object) -> None:
        with self._lock:
            self._connection.execute(statement, values)

    def _one(self, statement: str, *values: object) -> _Row | None:
        rows = self._all(statement, *values)
        return rows[0] if rows else None

    def _all(self, statement: str, *values: object) -> list[_Row]:
        with self._lock, closing(self._connection.execute(statement, values)) as cursor:
            return cursor.fetchall()

    def _migrate(self) -> None:
        with self.transaction():
            [(version,)] = self._connection.execute("PRAGMA user_version").fetchall()
            if version > len(_MIGRATIONS):
                raise ValueError(f"version {version} of the emulator's data is newer than this program")
            for number, migration in enumerate(_MIGRATIONS[version:], start=version + 1):
                migration(self._connection)
                self._connection.execute(f"PRAGMA user_version = {number}")


_NEWEST = 2**63 - 1
_GIFTS = "SELECT gifts.id, gifts.number, orders.* FROM gifts JOIN orders ON orders.id = gifts.order_id"


def _order(row: _Row) -> StoredOrder:
    position, order_id, ready_at, basic, full, listed = row
    return StoredOrder(order_id, datetime.fromisoformat(ready_at), basic, full, bool(listed), position)


def _gift(row: _Row) -> StoredGift:
    gift_id, number, *order = row
    return StoredGift(gift_id, number, _order(tuple(order)))


def _create_private(path: Path) -> None:
    # SQLite would create it readable for everybody, and payout links are worth money.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _write_ahead(connection: sqlite3.Connection) -> None:
    # Unlike every other statement, a change of the journal mode does not wait for other processes by itself.
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _first_tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        """CREATE TABLE orders (
               position INTEGER PRIMARY KEY AUTOINCREMENT,
               id TEXT NOT NULL UNIQUE,
               ready_at TEXT NOT NULL,
               basic BLOB NOT NULL,
               full BLOB NOT NULL,
               listed INTEGER NOT NULL
           )"""
    )
    connection.execute(
        """CREATE TABLE answers (
               key TEXT PRIMARY KEY,
               body_hash BLOB NOT NULL,
               status INTEGER NOT NULL,
               headers TEXT NOT NULL,
               body BLOB NOT NULL,
               created_at TEXT NOT NULL,
               answered_at TEXT NOT NULL
           )"""
    )
    connection.execute("CREATE TABLE balances (currency TEXT PRIMARY KEY, balance TEXT NOT NULL)")
    connection.executemany("INSERT INTO balances VALUES (?, ?)", OPENING_BALANCES.items())


def _table_of_gifts(connection: sqlite3.Connection) -> None:
    # Payout links of older orders do not point to the emulator, so no gifts are added for them.
    connection.execute(
        """CREATE TABLE gifts (
               position INTEGER PRIMARY KEY AUTOINCREMENT,
               id TEXT NOT NULL UNIQUE,
               order_id TEXT NOT NULL,
               number INTEGER NOT NULL
           )"""
    )


def _counter_of_money(connection: sqlite3.Connection) -> None:
    # Until now nothing was topped up, so what is missing of the opening balances has been spent.
    connection.execute("CREATE TABLE spent (currency TEXT PRIMARY KEY, amount TEXT NOT NULL)")
    for currency, balance in connection.execute("SELECT * FROM balances").fetchall():
        spent = Decimal(OPENING_BALANCES.get(currency, 0)) - Decimal(balance)
        if spent > 0:
            connection.execute("INSERT INTO spent VALUES (?, ?)", (currency, amount(spent)))


_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first_tables, _table_of_gifts, _counter_of_money)
