"""The kinds of events in the journal, and what each of them says."""

import hashlib
from datetime import datetime
from decimal import Decimal

from msgspec import Struct, field

from runa_cli.core.states import State
from runa_cli.ledger.journal import Event
from runa_cli.ledger.records import AdoptedOrder, NewOrder, Order, body_digest
from runa_cli.ledger.rows import to_timestamp
from runa_cli.ledger.spool import Answer

# What happens to batches: recorded, added to, changed, shown, pruned.
RECORDED, ADOPTED, EDITED, EXTENDED = "batch.recorded", "batch.adopted", "batch.edited", "batch.extended"
RELABELLED, SHOWN, PRUNED = "batch.relabelled", "batch.shown", "batch.pruned"
# What happens to orders. Those of an answer are `order.` and the state that it leads to.
SENT, UNSENT, DOUBTED, RENEWED, ABANDONED = (
    "order.sent",
    "order.unsent",
    "order.doubted",
    "order.renewed",
    "order.abandoned",
)
COMPLETED, FAILED, REJECTED = (f"order.{state}" for state in (State.COMPLETED, State.FAILED, State.REJECTED))
PROPOSED, APPROVED = "batch.proposed", "batch.approved"
POLICY_STORED, POLICY_REMOVED = "policy.stored", "policy.removed"
LINKS_READ = "links.read"  # links are about to be shown or written by a command that issues nothing
BALANCE_NOTED = "balance.noted"  # what the account holds, before or after a run in live
BACKED_UP, COPIED = "ledger.backed_up", "ledger.copied"


class Subject(Struct, frozen=True):
    """A batch, as events name it. `salt` is in hexadecimal; empty once the batch is pruned."""

    environment: str
    name: str
    salt: str

    def about_batch(self, kind: str, **facts: object) -> Event:
        """Return an event about the batch."""
        return Event(kind, {"environment": self.environment, "batch": self.name, **facts})

    def about_order(self, kind: str, order: Order | NewOrder, **facts: object) -> Event:
        """Return an event about an order of the batch."""
        return self.about_batch(
            kind, position=order.position, generation=order.generation, key=order.idempotency_key, **facts
        )

    def sent(self, order: Order) -> Event:
        """Return the event that an order may reach Runa from now on."""
        return self.about_order(
            SENT,
            order,
            account=order.account,
            currency=order.currency,
            total=order.total,
            items=order.item_count,
            body=self.salted(order.sent_sha256),
        )

    def answered(self, order: Order, answer: Answer) -> Event:
        """Return the event that an answer of Runa was recorded."""
        reply = self.salted(body_digest(answer.reply))
        return self.about_order(f"order.{answer.state}", order, order_id=answer.order_id, reply=reply)

    def abandoned(self, order: Order) -> Event:
        """Return the event that a person gave an order up that was in this state until now."""
        return self.about_order(ABANDONED, order, was=str(order.state))

    def salted(self, digest: str) -> str | None:
        """Return a digest with the salt: nobody can tell what it is of once the salt is gone. None without a salt."""
        return hashlib.sha256((self.salt + digest).encode()).hexdigest() if self.salt else None


class Contents(Struct):
    """Counts the orders of a batch as they are recorded, and digests what is recorded of them and of their gifts."""

    subject: Subject
    orders: int = 0
    items: int = 0
    adopted: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, order: NewOrder) -> None:
        """Count an order."""
        self.orders += 1
        self.items += order.item_count
        self.totals[order.currency] = self.totals.get(order.currency, Decimal(0)) + Decimal(order.total)
        self.adopted += isinstance(order, AdoptedOrder)
        lines = [f"{order.position} {order.generation} {order.idempotency_key} {order.sent_sha256} {order.mode}"]
        lines += [f"{gift.row} {gift.same_gift} {gift.reference_key}" for gift in order.gifts]
        self._digest.update("\n".join(lines).encode())

    def event(self, kind: str, **facts: object) -> Event:
        """Return the event that these orders were recorded."""
        return self.subject.about_batch(
            kind,
            orders=self.orders,
            items=self.items,
            totals={currency: f"{amount:f}" for currency, amount in sorted(self.totals.items())},
            digest=self.subject.salted(self._digest.hexdigest()),
            **facts,
        )


def balance_noted(*, read_at: datetime, **facts: str | None) -> Event:
    """Return the event that a balance was noted, which was fetched at a time. An amount of None is not known."""
    return Event(BALANCE_NOTED, {**facts, "read_at": to_timestamp(read_at)})


def policy_changed(text: str | None) -> Event:
    """Return the event that a policy was stored in the ledger; None for one that was removed."""
    if text is None:
        return Event(POLICY_REMOVED, {})
    return Event(POLICY_STORED, {"sha256": body_digest(text.encode())})
