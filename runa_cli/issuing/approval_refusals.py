"""What is said where a batch may not be sent, or a signature does not count, because of an approval."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from runa_cli.core.errors import ConfigurationError, Context, GuardRefused
from runa_cli.core.money import format_money
from runa_cli.core.safe_text import printable
from runa_cli.issuing.policy import Approval, Policy
from runa_cli.ledger.approvals import Proposal
from runa_cli.ledger.records import Batch

_PROPOSE_AGAIN = "Propose it again: run the command that created it, with --propose."


class Rule(Struct, frozen=True):
    """What one policy asks for above an amount."""

    policy: Policy
    approval: Approval


class Standing(Struct, frozen=True):
    """How the proposal of a batch stands: who proposed it, who has signed that, and how many must."""

    by: str
    names: Sequence[str]
    needed: int


def needed(
    rule: Rule, sums: Mapping[str, Decimal], batch: str | None, *, is_recorded: bool, standing: Standing | None = None
) -> GuardRefused:
    """Return the error for a batch that nobody has proposed. `sums` is what is known of what it costs.

    `standing` is how the batch stands that would be edited.
    """
    what = f"Batch {batch}" if batch else "This"
    comes_to = f"{what} comes to {format_money(sums)}. " if sums else ""
    message = f"{comes_to}{_why(rule, sums)} Nothing was sent."
    hint = "Add --propose: it records the batch unsent, for somebody else to approve."
    if is_recorded:
        hint = "Run the command that created it, with --propose; then somebody else can approve it."
    if standing and batch:
        signed = f" and approved by {', '.join(standing.names)}" if standing.names else " and not approved yet"
        message += (
            f"\n  As it is recorded, it is proposed by {standing.by}{signed} ({len(standing.names)} of"
            f" {standing.needed}). That is for the recorded content alone: it does not count for this edit, and ends"
            " for good once the edit is proposed."
        )
        hint = "Add --propose: it records the edited batch unsent, for somebody else to approve."
        if len(standing.names) >= standing.needed:
            hint += f" `runa batch resume {shlex.quote(batch)}` sends what is recorded, without the edit."
    return GuardRefused(message, hint, Context(batch=batch), code="approval_needed")


def _why(rule: Rule, sums: Mapping[str, Decimal]) -> str:
    """Return the sentence that says why a batch needs approval."""
    above, count = rule.approval.above, rule.approval.count
    who = f"the approval of {'somebody else' if count == 1 else f'{count} others'}"
    if sums.get(above.currency, 0) > above.value:
        return f"Above {above}, the policy {rule.policy.source} asks for {who}."
    policy = f"The policy {rule.policy.source} asks for approval above {above}, and"
    others = sorted(currency for currency in sums if currency != above.currency)
    if others:
        return f"{policy} names no amount for {' and '.join(others)}: any amount from such a balance needs {who}."
    return f"{policy} what a conversion costs is not known here: it needs {who}."


def not_approved(
    batch: Batch, rule: Rule, proposal: Proposal, signed: Sequence[str], lost: Sequence[str]
) -> GuardRefused:
    """Return the error for a proposal that too few have signed. `lost` says which signatures do not count."""
    name, by = shlex.quote(batch.name), f" (by {', '.join(signed)})" if signed else ""
    message = (
        f"Batch {batch.name}, proposed by {proposal.proposer}, has {len(signed)} of"
        f" {rule.approval.count} approvals{by} that the policy {rule.policy.source} asks for. Nothing was sent."
    )
    return GuardRefused(
        "\n  ".join([message, *lost]),
        f"`runa batch approve {name}` prints the statement for somebody else to sign; `runa batch approve {name}"
        " --signature FILE` records the signature.",
        Context(batch=batch.name),
        code="not_approved",
    )


def not_proposed(batch: Batch) -> GuardRefused:
    """Return the error for a batch that cannot be approved, because nobody has proposed it."""
    return GuardRefused(
        f"Batch {batch.name} was not proposed for approval.",
        "`order create … --propose` proposes it.",
        Context(batch=batch.name),
        code="not_proposed",
    )


def changed(batch: Batch) -> GuardRefused:
    """Return the error for a batch that is not the one that was proposed."""
    return GuardRefused(
        f"Batch {batch.name} is not as it was proposed: it was changed since, and no signature of that proposal counts."
        " Nothing was sent.",
        _PROPOSE_AGAIN,
        Context(batch=batch.name),
        code="changed_since_proposed",
    )


def expired(batch: Batch, until: datetime) -> GuardRefused:
    """Return the error for a proposal that is too old."""
    return GuardRefused(
        f"The proposal of batch {batch.name} has expired, on {until:%Y-%m-%d at %H:%M} UTC, with all its approvals."
        " Nothing was sent.",
        _PROPOSE_AGAIN,
        Context(batch=batch.name),
        code="approval_expired",
    )


def other_account(batch: Batch, proposal: Proposal, account: str) -> GuardRefused:
    """Return the error for a batch that another account was to pay."""
    return GuardRefused(
        f"Batch {batch.name} was proposed to be paid by account {proposal.facts.get('account')}, and this is {account}."
        " Nothing was sent.",
        "Use the key that it was proposed with, or propose it again with this one.",
        Context(batch=batch.name),
        code="approval_for_other_account",
    )


def no_rules(batch: Batch) -> ConfigurationError:
    """Return the error for a proposed batch where nothing says who may approve it."""
    return ConfigurationError(
        f"Batch {batch.name} was proposed for approval, and no policy in force says who may approve it. Nothing was"
        " sent.",
        "Set RUNA_POLICY to the policy with that [approval].",
        Context(batch=batch.name),
        code="no_approval_rule",
    )


def nobody_could_approve() -> ConfigurationError:
    """Return the error for a proposal that nobody could approve."""
    return ConfigurationError(
        "No policy in force has an [approval], so that nobody could approve what is proposed. Nothing was recorded or"
        " sent.",
        "Set RUNA_POLICY to the policy that says who may approve, or leave out --propose.",
        code="no_approval_rule",
    )


def wrong_namespace(batch: Batch, found: str, wanted: str) -> GuardRefused:
    """Return the error for a signature that was made for another purpose."""
    return GuardRefused(
        f"The signature was made for {found!r}, and not for {wanted!r}: its signer meant something else by it.",
        f"Sign the statement with `ssh-keygen -Y sign -n {wanted}`.",
        Context(batch=batch.name),
        code="wrong_namespace",
    )


def unknown_signer(batch: Batch, key: str, signers: Path, reason: str, mistakes: Sequence[str] = ()) -> GuardRefused:
    """Return the error for the signature of a key that may not approve. `mistakes` are those in the file of signers."""
    path = printable(str(signers))
    if mistakes:
        message = f"In the file of allowed signers {path}, {'; '.join(mistakes)}. The key {key} is in no other line."
    else:
        message = f"The key {key} is not that of an allowed signer ({reason})."
    return GuardRefused(
        message, f"Only whoever is in {path} can approve.", Context(batch=batch.name), code="unknown_signer"
    )


def other_statement(batch: Batch, reason: str) -> GuardRefused:
    """Return the error for a signature of anything but the current statement."""
    return GuardRefused(
        f"The signature is not one of the statement about batch {batch.name} as it is proposed now ({reason}).",
        f"`runa batch approve {shlex.quote(batch.name)}` prints what must be signed, to the byte.",
        Context(batch=batch.name),
        code="signature_of_other_statement",
    )


def own_signature(batch: Batch, name: str) -> GuardRefused:
    """Return the error for the signature of whoever proposed."""
    return GuardRefused(
        f"{name} has proposed batch {batch.name} or recorded it, and cannot approve it too.",
        "Let somebody else sign it.",
        Context(batch=batch.name),
        code="own_signature",
    )
