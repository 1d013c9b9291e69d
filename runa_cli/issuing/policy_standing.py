"""How limits stand: what is used of each, what is asked for, what is left, and when it resets."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct, field

from runa_cli.issuing.policy import Amount, Limit, Policy
from runa_cli.issuing.policy_asked import Asked, chunks
from runa_cli.issuing.policy_windows import ALL_TIME, Window, window_at
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import AdoptedOrder, Batch
from runa_cli.ledger.spending import NOTHING_LEFT_OUT, RELEASED, Left, PayeeKind, Share

MOST_NAMED = 20  # recipients in a message
NEAR = 80  # per cent of a limit from which on it is said how near it is
PER = {
    "order": "an order",
    "batch": "a batch",
    "day": "a day",
    "week": "a week",
    "month": "a month",
    "year": "a year",
    "all": "in all",
}


class Standing(NamedTuple):
    """How one limit stands, or how it stands for one recipient. Amounts are in minor units of its currency."""

    policy: Policy
    limit: Limit
    used: int
    asked: int
    window: Window = ALL_TIME
    payee: str | None = None

    @property
    def left(self) -> int:
        """What may be spent before what is asked for."""
        return max(0, self.limit.max.minor - self.used)

    @property
    def after(self) -> int:
        """What is spent with what is asked for."""
        return self.used + self.asked

    @property
    def is_over(self) -> bool:
        """Whether what is asked for is more than what is left."""
        return self.asked > 0 and self.after > self.limit.max.minor

    @property
    def is_near(self) -> bool:
        """Whether little is left afterwards."""
        return self.after * 100 >= self.limit.max.minor * NEAR

    def money(self, minor: int) -> str:
        """Return an amount of the limit's currency as text."""
        return str(Amount(minor, self.limit.max.currency))

    @property
    def rule(self) -> str:
        """What the limit says."""
        return describe_limit(self.limit)

    @property
    def name(self) -> str:
        """Which limit it is."""
        return f"limit {self.policy.number_of(self.limit)} of the policy {self.policy.source}"

    @property
    def reset(self) -> str:
        """When the next window begins, as the rest of a sentence; empty where none does."""
        end = self.window.end
        zone = self.policy.rules.timezone
        return f"; it resets on {end.astimezone(zone):%Y-%m-%d at %H:%M} ({zone.key})" if end else ""


def describe_limit(limit: Limit) -> str:
    """Return what a limit says, as in `5,000.00 USD a month for each recipient, on VISA*`."""
    each = " for each recipient" if limit.each else ""
    products = f", on {', '.join(limit.products)}" if limit.products else ""
    return f"{limit.max} {PER[limit.per]}{each}{products}"


class Weighed(Struct):
    """One limit with what is asked for: how it stands at its nearest, and where it is not enough.

    `over` are the first standings that are over the limit, and `over_count` tells how many there are.
    """

    nearest: Standing | None = None
    over: list[Standing] = field(default_factory=list)
    over_count: int = 0

    def add(self, standing: Standing) -> None:
        """Take a standing into account."""
        if not standing.asked:
            return
        if self.nearest is None or standing.after > self.nearest.after:
            self.nearest = standing
        if standing.is_over:
            self.over_count += 1
            if len(self.over) < MOST_NAMED:
                self.over.append(standing)


class Scales(Struct, frozen=True):
    """Weighs what is asked for against the limits of a policy, as of one moment.

    `ledger` is None where nothing is recorded yet. `batch` is the one that is asked for, where it is recorded.
    `left_out` are recorded orders that do not count, because they are part of what is asked for, or are given back.
    `adopted` are orders that would be recorded before, by a run that records nothing.
    """

    ledger: Ledger | None
    environment: str
    now: datetime
    batch: Batch | None = None
    left_out: Left = NOTHING_LEFT_OUT
    adopted: Sequence[AdoptedOrder] = ()

    def weigh(self, policy: Policy, asked: Asked) -> list[Weighed]:
        """Return how each limit stands that is about what is asked for."""
        totals = asked.totals()
        found = []
        for limit in policy.rules.limit:
            if _sum(limit, totals):
                weighed = Weighed()
                for standing in self._standings(policy, limit, asked, totals):
                    weighed.add(standing)
                found.append(weighed)
        return found

    def _standings(self, policy: Policy, limit: Limit, asked: Asked, totals: Sequence[Share]) -> Iterator[Standing]:
        window = window_at(limit.per, self.now, policy.rules.timezone)
        kind = policy.rules.recipient
        if limit.each is None:
            if limit.per == "order":
                yield from (Standing(policy, limit, 0, _sum(limit, shares)) for shares in asked.orders())
                return
            used = _sum(limit, self._spent(limit, window))
            yield Standing(policy, limit, used, _sum(limit, totals), window)
            return
        payees = asked.payees_by_order(kind) if limit.per == "order" else asked.payees(kind)
        if limit.per == "order":
            yield from (Standing(policy, limit, 0, _sum(limit, shares), payee=payee) for payee, shares in payees)
            return
        for chunk in chunks(payees):
            spent = self._spent_for(limit, window, kind, list(chunk))
            for payee, shares in chunk.items():
                used = _sum(limit, spent.get(payee, ()))
                yield Standing(policy, limit, used, _sum(limit, shares), window, payee)

    def _spent(self, limit: Limit, window: Window) -> list[Share]:
        adopted = [share for _, share in self._adopted(window, limit, "email")]
        if self.ledger is None:
            return adopted
        if limit.per == "batch":
            return [*(self.ledger.spent_in_batch(self.batch.id, self.left_out) if self.batch else ()), *adopted]
        spent = self.ledger.spent(
            self.environment,
            limit.max.currency,
            window.start,
            self.left_out,
            by_products=bool(limit.products),
        )
        return [*spent, *adopted]

    def _spent_for(
        self, limit: Limit, window: Window, kind: PayeeKind, payees: Sequence[str]
    ) -> dict[str, list[Share]]:
        spent: dict[str, list[Share]] = {}
        if self.ledger is not None and (limit.per != "batch" or self.batch):
            batch_id = self.batch.id if limit.per == "batch" and self.batch else 0
            spent = self.ledger.spent_for(
                kind,
                payees,
                environment=self.environment,
                currency=limit.max.currency,
                since=window.start,
                left_out=self.left_out,
                batch_id=batch_id,
            )
        for payee, share in self._adopted(window, limit, kind):
            spent.setdefault(payee, []).append(share)
        return spent

    def _adopted(self, window: Window, limit: Limit, kind: PayeeKind) -> Iterator[tuple[str, Share]]:
        for order in self.adopted:
            in_time = limit.per == "batch" or window.start is None or order.created >= window.start
            if not in_time or order.state in RELEASED:
                continue
            for gift in order.gifts:
                payee = gift.payee.by_email if kind == "email" else gift.payee.by_reference
                yield payee, Share(order.balance or order.currency, gift.products, gift.cost or 0)


def _sum(limit: Limit, shares: Iterable[Share]) -> int:
    """Add up what a limit is about."""
    currency = limit.max.currency
    return sum(share.amount for share in shares if share.currency == currency and limit.may_concern(share.products))
