"""`batch approve`: prints the statement about a proposed batch, or records somebody's signature of it."""

import shlex
from pathlib import Path

from runa_cli.app.batches import find_active
from runa_cli.app.changes import show_changes
from runa_cli.app.propose import how_to_go_on, show_statement
from runa_cli.app.session import Session
from runa_cli.core.errors import Context, GuardRefused
from runa_cli.core.states import State
from runa_cli.issuing import ssh_signature
from runa_cli.issuing.approval import ApprovalGuard
from runa_cli.issuing.failures import busy
from runa_cli.issuing.statement import statement_digest, statement_of
from runa_cli.ledger.approvals import Approval, Proposal
from runa_cli.ledger.records import Batch


def approve(session: Session, name: str, signature: Path | None) -> None:
    """Print what must be signed, or record a signature of it. Nothing is sent.

    Raises InputError, BatchBusy, GuardRefused where nothing can be signed or the signature does not count, and
    ConfigurationError.
    """
    batch = find_active(session, name)
    guard = session.approval_guard()
    if signature is None:
        proposal = _to_be_signed(session, guard, batch)
        show_statement(session, batch, proposal, *guard.approved_by(batch, proposal))
        session.console.note(how_to_go_on(batch))
        return
    if not session.ledger.claim(batch):
        raise busy(
            session.ledger, batch, "Nothing was approved.", "Wait until it has ended, then run the same command again."
        )
    try:
        _record(session, guard, session.ledger.batch_by_id(batch.id), _read(signature, batch))
    finally:
        session.ledger.release(batch)


def _read(path: Path, batch: Batch) -> ssh_signature.Signature:
    try:
        return ssh_signature.read_signature(path)
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:
        reason = str(error)
    raise GuardRefused(
        f"The signature {path} cannot be read: {reason}. Nothing was approved.",
        "It is the file that `ssh-keygen -Y sign` writes, which ends with .sig.",
        Context(batch=batch.name),
        code="signature_unreadable",
    )


def _to_be_signed(session: Session, guard: ApprovalGuard, batch: Batch) -> Proposal:
    """Return the proposal of a batch that a signature can still approve. Raises GuardRefused."""
    if not session.ledger.tally(batch).any(State.PREPARED):
        raise GuardRefused(
            f"Nothing of batch {batch.name} is left to send, so there is nothing to approve.",
            f"`runa batch show {shlex.quote(batch.name)}` shows it.",
            Context(batch=batch.name),
            code="nothing_to_approve",
        )
    proposal = guard.current(batch)
    guard.check_not_expired(batch, proposal)
    return proposal


def _record(session: Session, guard: ApprovalGuard, batch: Batch, signature: ssh_signature.Signature) -> None:
    ledger, proposal = session.ledger, _to_be_signed(session, guard, batch)
    principal = guard.signer(batch, proposal, signature)
    if signature.key not in {approval.key for approval in ledger.approvals(proposal)}:
        now = ledger.shared_time(session.clock.now())
        approval = Approval(proposal.id, principal, signature.key, signature.text, now)
        ledger.approve(batch, approval, check=lambda: guard.current(batch))
    names, needed = guard.approved_by(batch, proposal)
    resume = f"`runa batch resume {shlex.quote(batch.name)}` sends it."
    document = {
        "batch": batch.name,
        "environment": batch.environment,
        "approved_by": principal,
        "digest": statement_digest(statement_of(proposal.facts)),
        "approvals": names,
        "approvals_needed": needed,
        "state": "approved" if len(names) >= needed else "proposed",
    }
    left = resume if len(names) >= needed else f"{needed - len(names)} more must approve it."
    sentence = f"Batch {batch.name} is approved by {principal} ({len(names)} of {needed}). Nothing was sent. {left}"
    show_changes(session, document, [sentence])
