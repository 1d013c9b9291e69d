"""The statement that approves a batch: text that a person reads and signs, made of what was recorded when proposed."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from runa_cli.core import exact_json
from runa_cli.core.money import counted, format_gifts, format_money
from runa_cli.core.safe_text import printable
from runa_cli.core.states import State
from runa_cli.issuing.confirmation import issued_before
from runa_cli.issuing.contents import contents_of
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Tally

NAMESPACE = "runa"
_HEADING = "I approve that runa issues this batch as it is recorded."
_LINES = {  # the name of each fact in the statement
    "batch": "Batch",
    "environment": "Environment",
    "account": "Account",
    "gifts": "Gifts",
    "total": "Total",
    "new": "To be issued",
    "before": "Issued before",
    "given_up": "Given up",
    "delivery": "Delivery",
    "products": "Products",
    "source": "From",
    "proposer": "Proposed by",
    "at": "Proposed at",
    "until": "Valid until",
    "ledger": "Ledger",
    "proposal": "Proposal",
    "content": "Content (SHA-256)",
}
_ADDED = {"given_up"}  # facts that older proposals lack, whose statements must stay as they were signed


class Proposer(Struct, frozen=True):
    """Who proposes a batch: the user of the system and the machine, and the account that is to pay."""

    user: str
    host: str
    account: str


def facts_of(ledger: Ledger, batch: Batch, proposer: Proposer, now: datetime, until: datetime) -> dict[str, str]:
    """Return what the statement about a batch is made of. `until` is when its approvals expire.

    Both times are whole seconds.
    """
    tally, contents = ledger.tally(batch), contents_of(ledger.orders(batch, [State.PREPARED]))
    return {
        "batch": exact_json.dumps_for_display(batch.name),
        "environment": batch.environment,
        "account": proposer.account,
        "gifts": _gifts(sum(tally.items.values()), sum(tally.orders.values())),
        "total": format_money(tally.sums()),
        "new": f"{format_gifts(tally.items[State.PREPARED])}, {format_money(tally.sums([State.PREPARED]))}",
        "before": issued_before(tally),
        "given_up": _given_up(tally),
        "delivery": contents.delivery,
        "products": contents.product_list,
        "source": exact_json.dumps_for_display(batch.file) if batch.file else "flags",
        "proposer": f"{proposer.user} on {proposer.host}",
        "at": whole_seconds(now),
        "until": whole_seconds(until),
        "ledger": ledger.id,
        "proposal": secrets.token_hex(8),  # a second proposal of the same batch needs signatures of its own
        "content": ledger.content_digest(batch.id),
    }


def _gifts(items: int, orders: int) -> str:
    return f"{format_gifts(items)} in {counted(orders, 'order')}"


def _given_up(tally: Tally) -> str:
    """Say what is part of the total of a batch, and neither issued nor to be issued."""
    parts = [
        f"{format_gifts(gifts)}, {format_money(part.sums([state]))}{note}"
        for part, state, note in (
            (tally.never_sent or Tally(), State.ABANDONED, ""),
            (tally.of_unknown_outcome, State.ABANDONED, " of unknown outcome, perhaps issued"),
            (tally, State.REJECTED, " rejected by Runa"),
            (tally, State.FAILED, " that Runa reported as FAILED"),
        )
        if (gifts := part.items[state])
    ]
    return "; ".join(parts) or "none"


def whole_seconds(time: datetime) -> str:
    """Return a time as the statement has it. What is less than a second is left out, so that nothing counts longer."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def statement_of(facts: Mapping[str, str]) -> bytes:
    """Return the exact bytes that are signed. A fact is always one line, so that none can look like another."""
    lines = [_HEADING, ""]
    told = (fact for fact in _LINES if fact in facts or fact not in _ADDED)
    lines += [f"{_LINES[fact]}: {printable(facts.get(fact, ''))}" for fact in told]
    return ("\n".join(lines) + "\n").encode()


def statement_digest(statement: bytes) -> str:
    """Return the SHA-256 of a statement, in hexadecimal, by which people tell that they mean the same one."""
    return hashlib.sha256(statement).hexdigest()
