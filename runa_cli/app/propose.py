"""`order create --propose`: records a batch unsent, and prints the statement for somebody else to sign."""

import shlex
from collections.abc import Sequence

from runa_cli.app.session import Session
from runa_cli.core.errors import Context, GuardRefused, Money
from runa_cli.core.states import State
from runa_cli.core.system import host_name, system_user
from runa_cli.issuing.approval import ApprovalGuard
from runa_cli.issuing.statement import Proposer, facts_of, statement_digest, statement_of
from runa_cli.ledger.approvals import Proposal
from runa_cli.ledger.records import Batch


def propose(session: Session, guard: ApprovalGuard, batch: Batch) -> None:
    """Propose a claimed batch, and show the statement. One that is proposed as it is keeps its proposal and approvals.

    Raises GuardRefused where nothing of it is left to send, and ConfigurationError where nobody could approve it.
    """
    ledger, lifetime = session.ledger, guard.lifetime()
    if not ledger.tally(batch).any(State.PREPARED):
        raise GuardRefused(
            f"Nothing of batch {batch.name} is left to send, so there is nothing to propose.",
            f"`runa batch show {shlex.quote(batch.name)}` shows it.",
            Context(batch=batch.name),
            code="nothing_to_propose",
        )
    now = ledger.shared_time(session.clock.now())
    proposal = ledger.proposal(batch.id)
    if proposal is None or not guard.is_current(batch, proposal):
        proposer = Proposer(system_user(), host_name(), guard.account)
        now = now.replace(microsecond=0)  # of which the statement has none; so it expires a little earlier, never later
        facts = facts_of(ledger, batch, proposer, now, now + lifetime)
        proposal = ledger.propose(batch, facts, (proposer.user, proposer.host), now)
    names, needed = guard.approved_by(batch, proposal)
    show_statement(session, batch, proposal, names, needed)
    session.console.say(f"Batch {batch.name} is proposed and recorded. Nothing was sent. {how_to_go_on(batch)}")


def how_to_go_on(batch: Batch) -> str:
    """Say how a proposed batch is signed, approved and sent."""
    name = shlex.quote(batch.name)
    return (
        f"Somebody else prints the statement with `runa batch approve {name}` into a file, reads it, and signs it:"
        f" `ssh-keygen -Y sign -n runa -f KEY FILE`. `runa batch approve {name} --signature FILE.sig` records that, and"
        f" `runa batch resume {name}` sends."
    )


def show_statement(
    session: Session, batch: Batch, proposal: Proposal, names: Sequence[str], needed: int, *, approved: bool = False
) -> None:
    """Write the statement on standard output to the byte; in a JSON format, a document that holds it."""
    statement = statement_of(proposal.facts)
    document = {
        "batch": batch.name,
        "environment": batch.environment,
        "state": "approved" if approved else "proposed",
        "digest": statement_digest(statement),
        "proposed_by": proposal.facts["proposer"],
        "valid_until": proposal.facts["until"],
        "approvals": list(names),
        "approvals_needed": needed,
        "statement": statement.decode(),
    }
    session.output.context, session.output.money = Context(batch=batch.name), Money.NOT_ISSUED
    session.output.hint = (
        f"Nothing was sent. `runa batch approve {shlex.quote(batch.name)}` prints the statement again."
    )
    match session.output.format:
        case "json":
            session.output.json(document)
        case "jsonl" | "gifts":
            session.output.json_line(document)
        case _:
            session.output.binary(statement)
    session.output.flush()
    session.console.note(f"SHA-256 of the statement: {document['digest']}")
