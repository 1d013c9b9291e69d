"""What was proposed for approval, and who has approved it."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from runa_cli.core import exact_json
from runa_cli.ledger.engine import Engine, Row

_ORDERS = (
    "SELECT position, generation, idempotency_key, sent_sha256, mode, currency, total, item_count FROM purchase"
    " WHERE batch_id = ? AND superseded = 0 ORDER BY position"
)
_GIFTS = (
    "SELECT purchase.position, slot, same_gift, reference_key FROM purchase JOIN gift ON gift.purchase_id = purchase.id"
    " WHERE purchase.batch_id = ? AND purchase.superseded = 0 ORDER BY purchase.position, slot"
)


class Proposal(Struct, frozen=True):
    """A batch that somebody proposed. `facts` are what the statement that is signed is made of, all of them text."""

    id: int
    batch_id: int
    facts: Mapping[str, str]
    at: datetime
    user: str
    host: str

    @property
    def proposer(self) -> str:
        """Who proposed it, as text for people."""
        return f"{self.user} on {self.host}"


class Approval(Struct, frozen=True):
    """A signature of a proposal. `principal` is the signer's name in the file of signers, `key` that of the key."""

    proposal_id: int
    principal: str
    key: str
    signature: str
    at: datetime


class ApprovalQueries:
    """Reads proposals and approvals. Every method raises LedgerUnusable."""

    _engine: Engine

    def proposal(self, batch_id: int) -> Proposal | None:
        """Return the latest proposal of a batch: a new one takes the place of those before it."""
        rows = self._engine.select("SELECT * FROM proposal WHERE batch_id = ? ORDER BY id DESC LIMIT 1", batch_id)
        return _proposal(rows[0]) if rows else None

    def approvals(self, proposal: Proposal) -> list[Approval]:
        """Return who has approved a proposal, in the order in which that was recorded."""
        rows = self._engine.select("SELECT * FROM approval WHERE proposal_id = ? ORDER BY id", proposal.id)
        return [_approval(row) for row in rows]

    def signed_by(self, proposal: Proposal) -> list[str]:
        """Return the names of those who have approved a proposal, each once."""
        return [*dict.fromkeys(approval.principal for approval in self.approvals(proposal))]

    def issued_under(self, batch_id: int) -> list[tuple[Proposal | None, int]]:
        """Return how many gifts of a batch were issued under which proposal; None for those that needed none.

        Those that were issued from another ledger, or by an older version, count as the latter.
        """
        rows = self._engine.select(
            "SELECT proposal_id, sum(item_count) AS items FROM purchase WHERE batch_id = ? AND superseded = 0"
            " AND state IN ('accepted', 'completed') GROUP BY proposal_id"
            " ORDER BY coalesce(proposal_id, 0)",
            batch_id,
        )
        return [(self._proposal_by_id(row["proposal_id"]), int(row["items"])) for row in rows]

    def _proposal_by_id(self, proposal_id: int | None) -> Proposal | None:
        rows = self._engine.select("SELECT * FROM proposal WHERE id = ?", proposal_id) if proposal_id else []
        return _proposal(rows[0]) if rows else None

    def content_digest(self, batch_id: int) -> str:
        """Return a digest of what a batch is to issue: each order with its exact bytes, and whom each gift is for.

        It is another one once anything of that is edited, renewed or added to, and the same whatever became of it.
        """
        digest = hashlib.sha256()
        for statement in (_ORDERS, _GIFTS):
            for row in self._engine.stream(statement, batch_id):
                digest.update(exact_json.dumps([str(value) for value in dict(row).values()]).encode())
            digest.update(b"\n")
        return digest.hexdigest()


def _proposal(row: Row) -> Proposal:
    facts: Any = exact_json.loads(row["facts"])
    at = datetime.fromisoformat(row["proposed_at"])
    return Proposal(row["id"], row["batch_id"], facts, at, row["system_user"], row["host"])


def _approval(row: Row) -> Approval:
    at = datetime.fromisoformat(row["approved_at"])
    return Approval(row["proposal_id"], row["principal"], row["signing_key"], row["signature"], at)
