"""What `batch show` says of approval: whether one counts for what is recorded now, and under which what was issued."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from runa_cli.app.session import Session
from runa_cli.core.errors import ConfigurationError
from runa_cli.core.money import format_gifts
from runa_cli.core.states import State
from runa_cli.issuing.approval import ApprovalGuard
from runa_cli.issuing.policy import Policy
from runa_cli.ledger.approvals import Proposal
from runa_cli.ledger.records import Batch


class _Issued(NamedTuple):
    """Gifts that were issued under one proposal, and who had signed it; under None where no approval is recorded."""

    proposal: Proposal | None
    names: Sequence[str]
    items: int


class BatchApproval(Struct, frozen=True):
    """How the latest proposal of a batch stands: `names` have signed it, and it is valid `until` a time.

    `counting` are those of them whose signatures still count.

    `state`: `proposed` (it can be approved and sent), `expired`, `changed` (it was about other content), or `closed`
    (nothing of the batch is left to send).
    """

    proposal: Proposal
    state: Literal["proposed", "expired", "changed", "closed"]
    names: Sequence[str]
    counting: Sequence[str]
    until: datetime
    issued: Sequence[_Issued]

    @property
    def _approvals(self) -> Sequence[str]:
        """Whose signatures let what is left be sent, or have let something of it be issued."""
        if self.state == "closed":
            return self.names if any(each.proposal == self.proposal for each in self.issued) else ()
        return self.counting if self.state == "proposed" else ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it. `approvals` are the names that count, `signed_by` all who have signed."""
        return {
            "proposed_by": self.proposal.proposer,
            "proposed_at": self.proposal.at.isoformat(),
            "approvals": list(self._approvals),
            "state": self.state,
            "signed_by": list(self.names),
            "valid_until": self.until.isoformat(),
            "issued_under": [
                {
                    "proposed_by": each.proposal.proposer if each.proposal else None,
                    "proposed_at": each.proposal.at.isoformat() if each.proposal else None,
                    "approvals": list(each.names),
                    "items": each.items,
                }
                for each in self.issued
            ],
        }

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield it as facts for people."""
        by, until = f"proposed by {self.proposal.proposer}", _time(self.until)
        signed = f"approved by {', '.join(self.names) or 'nobody'}"
        match self.state:
            case "proposed":
                signed = f"approved by {', '.join(self.counting) or 'nobody yet'}"
                if lost := [name for name in self.names if name not in self.counting]:
                    signed += f" (the signature of {', '.join(lost)} does not count any more)"
                yield "Approval", f"{by}, {signed}, valid until {until}"
            case "expired":
                yield "Approval", f"none any more: {by}, {signed}, expired on {until}"
            case "changed":
                yield "Approval", f"none for this content: other content was {by} and {signed}"
            case "closed":
                yield "Approval", f"{by}, {signed}; nothing of it is left to send"
        for each in self.issued:
            under = "no recorded approval"
            if each.proposal:
                at = _time(each.proposal.at)
                under = f"approval by {', '.join(each.names)}, proposed by {each.proposal.proposer} on {at}"
            yield "Issued under", f"{under}: {format_gifts(each.items)}"


def approval_of(session: Session, batch: Batch) -> BatchApproval | None:
    """Return how the latest proposal of a batch stands; None where nobody has proposed it."""
    ledger = session.ledger
    proposal = ledger.proposal(batch.id)
    if proposal is None:
        return None
    policies = _policies(session)
    guard = ApprovalGuard(ledger, "", session.clock, lambda: policies)
    until, has_expired = guard.valid_until(proposal)
    state: Literal["proposed", "expired", "changed", "closed"] = "expired" if has_expired else "proposed"
    # A pruned batch has settled, and is not to be compared any more.
    if batch.pruned_at is None and not guard.is_as_proposed(batch, proposal):
        state = "changed"
    elif not ledger.tally(batch).any(State.PREPARED):
        state = "closed"
    issued = [
        _Issued(under, ledger.signed_by(under) if under else [], items)
        for under, items in ledger.issued_under(batch.id)
    ]
    names = ledger.signed_by(proposal)
    return BatchApproval(proposal, state, names, _counting(guard, batch, proposal, names), until, issued)


def _counting(guard: ApprovalGuard, batch: Batch, proposal: Proposal, names: Sequence[str]) -> Sequence[str]:
    """Return whose signatures still count; all names where that cannot be told here."""
    try:
        return guard.counting(batch, proposal)
    except ConfigurationError:
        return names


def _policies(session: Session) -> Sequence[Policy]:
    """Return the policies in force, which may say that a proposal expires earlier; none that cannot be used."""
    try:
        return session.policy_guard().policies()
    except ConfigurationError:
        return ()


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
