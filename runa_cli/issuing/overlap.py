"""Gifts of a plan that the ledger holds already, and how a refusal names them."""

from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from runa_cli.core.errors import Context, GuardRefused
from runa_cli.core.identity import GiftIdentity
from runa_cli.core.states import State
from runa_cli.input.plan import Plan
from runa_cli.issuing.refusals import GiftsRefused
from runa_cli.ledger import results
from runa_cli.ledger.records import SameGift

MOST_NAMED = 5  # rows in a message; its details hold more


class Overlap(Struct, frozen=True, dict=True):
    """Gifts of a plan, each with a gift of the ledger that is the same."""

    plan: Plan
    gifts: Sequence[tuple[GiftIdentity, SameGift]]

    def only(self, states: Container[State]) -> "Overlap":
        """Return those whose gifts in the ledger are in one of these states."""
        return replace(self, gifts=[pair for pair in self.gifts if pair[1].state in states])

    def in_batch(self, batch_id: int) -> "Overlap":
        """Return those whose gifts in the ledger are in one batch."""
        return replace(self, gifts=[pair for pair in self.gifts if pair[1].batch_id == batch_id])

    @property
    def respelled(self) -> Sequence[tuple[GiftIdentity, SameGift]]:
        """Those whose references or labels the ledger has in another spelling."""
        return [(own, found) for own, found in self.gifts if own.is_respelled(found.identity)]

    def issued(self, since: datetime | None) -> "Overlap":
        """Return the settled ones; with `since`, only those that settled after it."""
        settled = [
            (identity, found)
            for identity, found in self.gifts
            if since is None or (found.settled_at is not None and found.settled_at > since)
        ]
        return replace(self, gifts=settled)

    @cached_property
    def rows(self) -> list[tuple[int, str]]:
        """The first rows of the plan that are concerned, each with what it is."""
        return [(row, describe_item(item, reference)) for row, item, reference in self.plan.rows_left(self._concerned)]

    @cached_property
    def count(self) -> int:
        """How many gifts of the plan are concerned."""
        return self.plan.count_left_of(self._concerned)

    def counted(self, one: str, several: str) -> str:
        """Return how many gifts of the plan are concerned, with a verb in its number."""
        return f"{self.count:,} of the gifts {one if self.count == 1 else several}"

    @property
    def newest(self) -> str:
        """The newest batch that holds one of them."""
        return max((found for _, found in self.gifts), key=lambda found: found.batch_id).batch

    @property
    def batch_with_all(self) -> str | None:
        """The newest batch that holds every one of them; None where no single batch does."""
        held: dict[int, tuple[str, set[GiftIdentity]]] = {}
        for own, found in self.gifts:
            held.setdefault(found.batch_id, (found.batch, set()))[1].add(own)
        return next((name for _, (name, own) in sorted(held.items(), reverse=True) if own == self._concerned), None)

    @cached_property
    def _concerned(self) -> set[GiftIdentity]:
        return {own for own, _ in self.gifts}

    def refused(self, message: str, hint: str) -> GuardRefused:
        """Return the error that names the rows concerned after the message, and how references are spelled."""
        details = [{"row": row, "message": f"{described}."} for row, described in self.rows]
        listed = [f"  row {row}: {described}" for row, described in self.rows[:MOST_NAMED]]
        if self.count > len(listed):
            listed.append(f"  … and {self.count - len(listed)} more.")
        if self.respelled:
            listed += [
                "References that differ only in leading zeros, case or a .0 are taken for the same, because"
                " spreadsheets change these:",
                *self._spellings(),
            ]
        return GiftsRefused(
            "\n".join([message, *listed]),
            hint,
            Context(batch=self.newest),
            details,
            code="duplicate",
            gifts={own: f"{found.state} in batch {found.batch}" for own, found in self.gifts},
        )

    def _spellings(self) -> Iterator[str]:
        for own, found in self.respelled[:MOST_NAMED]:
            for row, _, label in self.plan.rows_left({own}, 1):
                yield f"  row {row}: {label}" + (f", recorded as {found.reference}" if found.reference else "")


def describe_item(item: str, label: str | None = None, *, with_label: bool = False) -> str:
    """Describe a gift by its value and its recipient; `with_label`: that of a mailed gift, too."""
    row = results.row_from_item(item)
    beside = f", {label}" if with_label and label and row.recipient else ""
    return f"{row.face_value} to {row.recipient or label or 'a payout link'}{beside}"
