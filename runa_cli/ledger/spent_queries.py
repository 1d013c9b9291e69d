"""Adds up what gifts cost, for the reports. The database adds integers (core/units.py), so every sum is exact.

What is completed or given up is read from the short rows of `spent`; orders whose outcome may still be told, of which
there are few at a time, from themselves. Both are read as they are at one moment.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import NamedTuple

from runa_cli.ledger.engine import Row, Snapshot
from runa_cli.ledger.queries import LedgerQueries
from runa_cli.ledger.spent import GiftFacts, gift_facts, to_moment

QUARTER = 900_000_000  # microseconds; days of every time zone begin at a quarter of an hour in UTC
_FIRST, _LAST = -(1 << 62), 1 << 62  # moments
_AT_A_TIME = 500  # groups whose texts are read at once

# What sums are made by, and the column that tells it: `time` is the number of a quarter of an hour since 1970.
KEYS: Mapping[str, str] = {
    "time": f"spent_at / {QUARTER}", "batch": "batch_id", "product": "product", "currency": "currency",
    "user": "sender",
}  # fmt: skip
_TERMS = {"product", "currency", "user"}  # keys that are texts
PERSONS = ("email", "reference")
PERSON_FIELDS = (  # of a report on recipients, after the first one, which is one of `PERSONS`
    *("person", "currency", "gifts", "face_value", "unknown_gifts", "unknown_face_value", "also", "total"),
)


class Scope(NamedTuple):
    """Which gifts are added up: those of one environment, from `since` until before `until`."""

    environment: str
    since: datetime | None = None
    until: datetime | None = None

    @property
    def condition(self) -> str:
        """The condition on rows of `spent`, with its values written out."""
        return f"environment = {_literal(self.environment)} AND spent_at >= {self.first} AND spent_at < {self.end}"

    @property
    def first(self) -> int:
        """The first moment."""
        return _FIRST if self.since is None else to_moment(self.since)

    @property
    def end(self) -> int:
        """The moment after the last one."""
        return _LAST if self.until is None else to_moment(self.until)


class SpentSum(NamedTuple):
    """What the gifts of one key cost that have the same currencies. Amounts are in units.

    `face` and `gifts` are those of issued gifts, `charged` what Runa charged for them, in `charged_in`. For
    `unpriced_gifts` of them that is not known. Of `unknown_gifts` it is not known whether they were issued.
    """

    key: int | str
    currency: str
    charged_in: str
    gifts: int = 0
    face: int = 0
    charged: int = 0
    unpriced_gifts: int = 0
    unpriced_face: int = 0
    unknown_gifts: int = 0
    unknown_face: int = 0


class PersonSum(NamedTuple):
    """What one person got in one currency, in units. `key` is the digest of the address or reference, if any.

    `item` and `reference` are those of one of the gifts; None where all of them are pruned.
    """

    key: str
    currency: str
    gifts: int = 0
    face: int = 0
    unknown_gifts: int = 0
    unknown_face: int = 0
    item: str | None = None
    reference: str | None = None


class SpentQueries(LedgerQueries):
    """Adds up what gifts cost. Every method raises LedgerUnusable."""

    def spent_sums(self, by: str, scope: Scope) -> Iterator[SpentSum]:
        """Yield what gifts cost by a key of `KEYS`, perhaps in several parts. Keys that are numbers are in order."""
        with self._engine.snapshot() as read:
            # First: a connection to a server reads one result at a time.
            live = [each.spent_sum(by) for each in _unsettled(read, scope)]
            groups = read(
                f"SELECT {KEYS[by]} AS own_key, currency, charged_in, count(*) AS gifts, sum(face) AS total_face,"  # noqa: S608 - own text
                " sum(charged) AS total_charged, count(charged) AS priced,"
                " sum(CASE WHEN charged IS NULL AND is_unknown = 0 THEN face ELSE 0 END) AS unpriced_face,"
                " sum(is_unknown) AS unknown_gifts, sum(CASE WHEN is_unknown = 1 THEN face ELSE 0 END) AS unknown_face"
                f" FROM spent WHERE {scope.condition} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            )
            settled = self._with_texts(groups, by)
            if by in _TERMS:
                yield from chain(settled, live)
            else:
                yield from heapq.merge(settled, sorted(live, key=_key), key=_key)

    def person_sums(self, by: str, scope: Scope, *, least: int = 0) -> Iterator[PersonSum]:
        """Yield what each person got of issued or given up gifts, by currency, the largest sum first.

        `by` is one of `PERSONS`. `least` is the least sum to yield, in units.
        """
        with self._engine.snapshot() as read:
            groups = read(
                f"SELECT {by} AS person, currency, count(*) AS gifts, coalesce(sum(face), 0) AS total_face,"  # noqa: S608 - own text
                " sum(is_unknown) AS unknown_gifts, sum(CASE WHEN is_unknown = 1 THEN face ELSE 0 END) AS unknown_face,"
                " max(CASE WHEN is_named = 1 THEN gift_id ELSE 0 END) AS named"
                f" FROM spent WHERE {scope.condition} GROUP BY person, currency"
                f" HAVING coalesce(sum(face), 0) >= {least}"
                " ORDER BY (SELECT text FROM spent_term WHERE id = currency), total_face DESC, person"
            )
            yield from self._persons(groups)

    def batch_files(self, ids: Iterable[int]) -> dict[int, tuple[str, str | None]]:
        """Return the names of batches, and the files that they were issued from, by the ids of their rows."""
        found = self._by_ids("SELECT id, name, file FROM batch", [*ids])
        return {row["id"]: (row["name"], row["file"]) for row in found}

    def unsettled_person_sums(self, by: str, scope: Scope) -> Iterator[PersonSum]:
        """Yield the gifts of orders whose outcome may still be told, each as a sum of its own."""
        with self._engine.snapshot() as read:
            for each in _unsettled(read, scope):
                yield each.person_sum(by)

    def _with_texts(self, groups: Iterator[Row], by: str) -> Iterator[SpentSum]:
        while rows := [*islice(groups, _AT_A_TIME)]:
            texts = self._texts(
                {row["currency"] for row in rows}
                | {row["charged_in"] for row in rows}
                | ({row["own_key"] for row in rows} if by in _TERMS else set())
            )
            for row in rows:
                gifts, unknown = int(row["gifts"]), int(row["unknown_gifts"] or 0)
                unknown_face = int(row["unknown_face"] or 0)
                yield SpentSum(
                    key=texts[row["own_key"]] if by in _TERMS else int(row["own_key"]),
                    currency=texts[row["currency"]],
                    charged_in=texts[row["charged_in"]],
                    gifts=gifts - unknown,
                    face=int(row["total_face"] or 0) - unknown_face,
                    charged=int(row["total_charged"] or 0),
                    unpriced_gifts=gifts - unknown - int(row["priced"]),
                    unpriced_face=int(row["unpriced_face"] or 0),
                    unknown_gifts=unknown,
                    unknown_face=unknown_face,
                )

    def _persons(self, groups: Iterator[Row]) -> Iterator[PersonSum]:
        while rows := [*islice(groups, _AT_A_TIME)]:
            texts = self._texts({row["person"] for row in rows} | {row["currency"] for row in rows})
            gifts = self._named_gifts([row["named"] for row in rows if row["named"]])
            for row in rows:
                unknown, unknown_face = int(row["unknown_gifts"]), int(row["unknown_face"] or 0)
                gift = gifts.get(row["named"])
                yield PersonSum(
                    key=texts[row["person"]],
                    currency=texts[row["currency"]],
                    gifts=int(row["gifts"]) - unknown,
                    face=int(row["total_face"]) - unknown_face,
                    unknown_gifts=unknown,
                    unknown_face=unknown_face,
                    item=gift["item"] if gift else None,
                    reference=gift["reference"] if gift else None,
                )

    def _texts(self, ids: Iterable[int]) -> dict[int, str]:
        return {row["id"]: row["text"] for row in self._by_ids("SELECT id, text FROM spent_term", [*ids])}

    def _named_gifts(self, ids: Sequence[int]) -> dict[int, Row]:
        found = self._by_ids("SELECT id, item, reference FROM gift", ids)
        return {row["id"]: row for row in found if row["item"] != "{}"}  # it may have been pruned just now

    def _by_ids(self, selected: str, ids: Sequence[int]) -> Sequence[Row]:
        return self._engine.select(f"{selected} WHERE id IN ({','.join('?' * len(ids))})", *ids) if ids else ()


class _Unsettled(NamedTuple):
    """A gift of an order that may have reached Runa, and whose outcome may still be told."""

    batch_id: int
    moment: int
    user: str
    currency: str
    facts: GiftFacts
    item: str
    reference: str | None

    def spent_sum(self, by: str) -> SpentSum:
        keys: Mapping[str, Callable[[], int | str]] = {
            "time": lambda: self.moment // QUARTER, "batch": lambda: self.batch_id, "user": lambda: self.user,
            "product": lambda: self.facts.product, "currency": lambda: self.currency,
        }  # fmt: skip
        face = self.facts.face or 0
        return SpentSum(keys[by](), self.currency, self.currency, unknown_gifts=1, unknown_face=face)

    def person_sum(self, by: str) -> PersonSum:
        key = self.facts.email if by == "email" else self.facts.reference
        return PersonSum(
            key, self.currency, unknown_gifts=1, unknown_face=self.facts.face or 0, item=self.item,
            reference=self.reference,
        )  # fmt: skip


def _unsettled(read: Snapshot, scope: Scope) -> Iterator[_Unsettled]:
    for row in read(
        "SELECT purchase.batch_id, purchase.first_sent_at, purchase.sent_by, purchase.currency, gift.item,"  # noqa: S608 - own text
        " gift.reference, gift.reference_key FROM purchase CROSS JOIN gift"
        # SQLite begins a cross join with its left side; written like this, with the index of unfinished orders.
        " WHERE gift.purchase_id = purchase.id AND purchase.state IN ('prepared', 'sent', 'accepted')"
        " AND purchase.first_sent_at IS NOT NULL"
        f" AND purchase.environment || '' = {_literal(scope.environment)}"
    ):
        moment = to_moment(datetime.fromisoformat(row["first_sent_at"]))
        if scope.first <= moment < scope.end:
            facts = gift_facts(row["item"], row["reference_key"])
            yield _Unsettled(
                row["batch_id"], moment, row["sent_by"], row["currency"], facts, row["item"], row["reference"]
            )


def _key(each: SpentSum) -> int:
    return int(each.key)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
