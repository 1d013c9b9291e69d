"""A ledger that lost orders: which accounts it is closed for until these are read back from Runa.

The high-water mark (high_water.py) tells that orders are missing, but not which. From the moment when a check begins,
the ledger itself says so: to every machine that shares it, and in every copy of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from runa_cli.core.errors import LedgerUnusable
from runa_cli.core.states import State
from runa_cli.ledger.engine import Row, Transaction, repeated
from runa_cli.ledger.gift_search import GiftSearch
from runa_cli.ledger.high_water import Doubt
from runa_cli.ledger.records import Batch, Order, body_digest
from runa_cli.ledger.rows import from_timestamp, read_batch, read_order, to_timestamp

_MOST_NAMED = 5  # defects of a ledger in a message
_AT_A_TIME = 400  # orders of one statement


class Missing(NamedTuple):
    """Which orders of an environment a ledger may lack: those since a time, or any (None).

    `own_names`: the mark that made-up names of its batches bear; None where they may bear any.
    """

    since: datetime | None = None
    own_names: str | None = None


ANY_ORDER = Missing()


class PassedOver(NamedTuple):
    """An order at Runa that a check has read and did not record, and why."""

    order_id: str
    reason: str
    gifts: int = 0
    currency: str = ""
    total: Decimal = Decimal(0)


ADOPTED, SETTLED = "adopted", "settled"  # in place of a reason, for an order that a check has recorded
_RECORDED = f"('{ADOPTED}', '{SETTLED}')"


def note(transaction: Transaction, environment: str, account: str, order: PassedOver) -> None:
    """Note an order that a check need not read again, or that it has recorded."""
    transaction.execute(
        "INSERT INTO passed_over (environment, account, order_id, reason, gifts, currency, total)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        *(environment, account, order.order_id, order.reason, order.gifts, order.currency, str(order.total)),
    )


class Restoration(GiftSearch):
    """Reads and writes for which accounts the ledger is closed. Every method raises LedgerUnusable."""

    def is_closed(self, environment: str, account: str) -> bool:
        """Tell whether orders of an account may be missing here."""
        return bool(
            self._engine.select(
                "SELECT id FROM closed WHERE environment = ? AND NOT EXISTS (SELECT 1 FROM opened"
                " WHERE opened.environment = closed.environment AND account = ?)",
                environment,
                account,
            )
        )

    def missing(self, environment: str) -> Missing | None:
        """Return which orders of an environment may be missing, whatever the account; None where none are."""
        rows = self._engine.select("SELECT since, own_names FROM closed WHERE environment = ?", environment)
        return Missing(from_timestamp(rows[0]["since"]), rows[0]["own_names"]) if rows else None

    def unread(self, environment: str) -> Missing | None:
        """Return what `missing` does; None where it is all read back, for every account that this ledger has seen."""
        opened = self.opened(environment)
        return None if opened and opened >= self.accounts_used(environment) else self.missing(environment)

    def opened(self, environment: str) -> set[str]:
        """Return the accounts of an environment whose orders are all recorded again."""
        rows = self._engine.select("SELECT account FROM opened WHERE environment = ?", environment)
        return {row["account"] for row in rows}

    def closed_environments(self) -> list[str]:
        """Return the environments that are closed for some account, and open for none."""
        rows = self._engine.select(
            "SELECT environment FROM closed WHERE NOT EXISTS (SELECT 1 FROM opened"
            " WHERE opened.environment = closed.environment) ORDER BY environment"
        )
        return [row["environment"] for row in rows]

    @repeated
    def close_to(self, missing: Mapping[str, Missing], doubt: Doubt | None) -> None:
        """Close environments for all accounts. From now on, what has more changes than this ledger is behind it."""
        checks = doubt.checks if doubt else 0
        with self._engine.transaction() as transaction:
            for environment, lost in missing.items():
                for table in ("opened", "closed", "passed_over"):
                    transaction.execute(f"DELETE FROM {table} WHERE environment = ?", environment)  # noqa: S608 - own text
                transaction.insert(
                    "INSERT INTO closed (environment, since, own_names) VALUES (?, ?, ?)",
                    environment,
                    None if lost.since is None else to_timestamp(lost.since),
                    lost.own_names,
                )
            transaction.execute(
                "UPDATE ledger SET checks = 1 + CASE WHEN checks > ? THEN checks ELSE ? END", checks, checks
            )

    @repeated
    def open_to(self, environment: str, accounts: Iterable[str]) -> None:
        """Open an environment again for accounts whose orders are all recorded."""
        with self._engine.transaction() as transaction:
            for account in accounts:
                transaction.execute(
                    "INSERT INTO opened (environment, account) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    environment,
                    account,
                )
            transaction.execute("DELETE FROM passed_over WHERE environment = ?", environment)

    @repeated
    def pass_over(self, environment: str, account: str, orders: Sequence[PassedOver]) -> None:
        """Note orders that need not be read again by this check."""
        with self._engine.transaction() as transaction:
            for order in orders:
                note(transaction, environment, account, order)

    def passed_over(self, environment: str, account: str) -> dict[str, PassedOver]:
        """Return the orders that an unfinished check of an account has passed over, by their ids."""
        rows = self._engine.select(
            "SELECT order_id, reason, gifts, currency, total FROM passed_over"  # noqa: S608 - own text
            f" WHERE environment = ? AND account = ? AND reason NOT IN {_RECORDED} ORDER BY id",
            environment,
            account,
        )
        return {
            row["order_id"]: PassedOver(
                row["order_id"], row["reason"], row["gifts"], row["currency"], Decimal(row["total"])
            )
            for row in rows
        }

    def recorded_by_check(self, environment: str, account: str) -> list[tuple[str, Order, Batch]]:
        """Return the orders that an unfinished check of an account has recorded, with their batches.

        The text is `ADOPTED` for those that the ledger did not know before, and else `SETTLED`.
        """
        rows = self._engine.select(
            "SELECT passed_over.reason, purchase.id FROM passed_over"  # noqa: S608 - own text
            " JOIN purchase ON purchase.order_id = passed_over.order_id"
            " AND purchase.environment || '' = passed_over.environment"
            f" WHERE passed_over.environment = ? AND passed_over.account = ? AND reason IN {_RECORDED}"
            " ORDER BY passed_over.id",
            environment,
            account,
        )
        orders = [(row["reason"], self.order(row["id"])) for row in rows]
        return [(reason, order, self.batch_by_id(order.batch_id)) for reason, order in orders]

    # --- what was read back --------------------------------------------------------------------------------------

    def has_read_back(self, environment: str) -> bool:
        """Tell whether an order of an environment was read back, and no input has confirmed it since."""
        return bool(
            self._engine.select("SELECT id FROM purchase WHERE environment = ? AND read_back = 1 LIMIT 1", environment)
        )

    def read_back_batches(self, environment: str) -> list[Batch]:
        """Return the batches with such orders, oldest first."""
        rows = self._engine.select(
            "SELECT batch.* FROM"
            " (SELECT DISTINCT batch_id FROM purchase WHERE environment = ? AND read_back = 1) AS found"
            " CROSS JOIN batch WHERE batch.id = found.batch_id ORDER BY batch.id",
            environment,
        )
        return [read_batch(row) for row in rows]

    def read_back_orders(self, batch: Batch) -> list[Order]:
        """Return such orders of a batch, by position."""
        rows = self._engine.select(
            "SELECT * FROM purchase WHERE environment = ? AND batch_id = ? AND read_back = 1 ORDER BY position, id",
            batch.environment,
            batch.id,
        )
        return [read_order(row) for row in rows]

    def read_back_links(self, environment: str) -> Iterator[tuple[str, int, Batch]]:
        """Yield the payout links that were read back: their identity without a label, the newest id, and the batch.

        One entry is about all equal ones of a batch, or of a part of it.
        """
        orders = self._engine.select(
            "SELECT id, batch_id, state FROM purchase WHERE environment = ? AND read_back = 1 ORDER BY batch_id",
            environment,
        )
        by_batch: dict[int, list[int]] = {}
        for row in orders:
            if row["state"] != State.FAILED:
                by_batch.setdefault(row["batch_id"], []).append(row["id"])
        for batch_id, ids in by_batch.items():
            batch = self.batch_by_id(batch_id)
            for first in range(0, len(ids), _AT_A_TIME):
                some = ids[first : first + _AT_A_TIME]
                for row in self._engine.select(
                    "SELECT same_gift, max(id) AS newest_id FROM gift"  # noqa: S608 - only marks
                    f" WHERE purchase_id IN ({','.join('?' * len(some))}) AND same_gift IS NOT NULL"
                    # Of a link, or pruned: then its identity tells, which that of a mailed gift never equals.
                    " AND (item LIKE '%\"PAYOUT_LINK\"%' OR item = '{}') GROUP BY same_gift",
                    *some,
                ):
                    yield row["same_gift"], row["newest_id"], batch

    def newest_of_account(self, environment: str, account: str, most: int) -> list[str]:
        """Return Runa's ids of the newest orders that were issued from an account."""
        rows = self._engine.select(
            "SELECT order_id FROM purchase WHERE environment = ? AND account = ? AND order_id IS NOT NULL"
            " ORDER BY id DESC LIMIT ?",
            environment,
            account,
            most,
        )
        return [row["order_id"] for row in rows]

    def accounts_used(self, environment: str) -> set[str]:
        """Return the accounts that any order of an environment was recorded for."""
        rows = self._engine.select("SELECT DISTINCT account FROM purchase WHERE environment = ?", environment)
        return {row["account"] for row in rows}

    def newest_replies(self, environment: str, until: datetime, most: int) -> list[bytes]:
        """Return the replies about the newest orders of an environment that were sent until a time and have settled."""
        rows = self._engine.select(
            "SELECT reply FROM purchase WHERE environment = ? AND order_id IS NOT NULL AND reply IS NOT NULL"
            " AND first_sent_at <= ? ORDER BY id DESC LIMIT ?",
            environment,
            to_timestamp(until),
            most,
        )
        return [bytes(row["reply"]) for row in rows]

    # --- is it sound? --------------------------------------------------------------------------------------------

    def check_intact(self) -> tuple[int, int]:
        """Check the database itself, and that each body is the one that was recorded. Returns the orders and gifts.

        Both are counts. Raises LedgerUnusable, naming what is damaged.
        """
        defects = [*self._engine.defects()]
        orders = 0
        for row in self._engine.stream(
            "SELECT purchase.id, position, body, sent_sha256, name FROM purchase JOIN batch ON batch.id = batch_id"
        ):
            orders += 1
            if not _is_intact(row):
                defects.append(f"the body of order {row['position']} of batch {row['name']} was changed")
        (gifts,) = self._engine.select("SELECT count(*) AS number FROM gift")
        for statement, what in _ORPHANS.items():
            (found,) = self._engine.select(statement)
            if found["number"]:
                defects.append(f"{found['number']} {what}")
        if defects:
            named = "; ".join(defects[:_MOST_NAMED]) + ("; …" if len(defects) > _MOST_NAMED else "")
            raise LedgerUnusable(f"The ledger is damaged: {named}.", code="ledger_damaged")
        return orders, int(gifts["number"])


_ORPHANS = {
    "SELECT count(*) AS number FROM purchase WHERE NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = batch_id)": (
        "order(s) without their batch"
    ),
    "SELECT count(*) AS number FROM gift WHERE NOT EXISTS (SELECT 1 FROM purchase WHERE purchase.id = purchase_id)": (
        "gift(s) without their order"
    ),
    "SELECT count(*) AS number FROM purchase JOIN batch ON batch.id = batch_id WHERE state = 'completed'"
    " AND reply IS NULL AND pruned_at IS NULL": "issued order(s) without their reply",
    "SELECT count(*) AS number FROM purchase WHERE superseded = 0 AND state != 'rejected'"
    " AND item_count != (SELECT count(*) FROM gift WHERE purchase_id = purchase.id)": (
        "order(s) with another number of gifts than they were recorded with"
    ),
}


def _is_intact(row: Row) -> bool:
    if not row["sent_sha256"]:  # pruned
        return not row["body"]
    body = row["body"]
    digest = body_digest(body.encode() if isinstance(body, str) else bytes(body))
    return digest == str(row["sent_sha256"])
