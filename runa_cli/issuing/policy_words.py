"""Says in words what a policy says, so that whoever wrote it sees what was understood."""

from collections.abc import Iterator

from runa_cli.issuing.policy import Allowed, Approval, Policy
from runa_cli.issuing.policy_standing import describe_limit

_RECIPIENTS = {
    "email": "an e-mail address; a payout link counts for its reference or label",
    "reference": "a reference; a gift without one counts for its e-mail address or label",
}


def in_words(policy: Policy) -> Iterator[str]:
    """Yield what a policy says, a sentence each."""
    rules = policy.rules
    if rules.limit:
        yield f"Days, weeks, months and years are those of the calendar in {rules.timezone.key}."
    if any(limit.each for limit in rules.limit):
        yield f"A recipient is {_RECIPIENTS[rules.recipient]}."
    for number, limit in enumerate(rules.limit, 1):
        yield f"Limit {number}: at most {describe_limit(limit)}."
    if note := _not_limited(policy):
        yield note
    yield from _allowed(rules.allow)
    if rules.approval:
        yield _approval(rules.approval)


def _not_limited(policy: Policy) -> str | None:
    """Return what no limit is about, for that is easily overlooked."""
    limited = {limit.max.currency for limit in policy.rules.limit}
    allowed = set(policy.rules.allow.currencies)
    if not limited or (allowed and allowed <= limited):
        return None
    free = (
        f"{', '.join(sorted(allowed - limited))} balances pay"
        if allowed
        else f"balances other than {_list(limited)} pay"
    )
    return f"Note: no limit is about what {free}."


def _allowed(allowed: Allowed) -> Iterator[str]:
    if allowed.currencies:
        yield f"Only {_list(allowed.currencies)} balances may pay."
    if allowed.domains:
        yield f"Only addresses at {_list(allowed.domains)} may get gifts."
    if not allowed.allows_links:
        yield "Payout links may not be made."
    elif allowed.domains:
        yield "Payout links may be made, though they have no address."
    if allowed.products:
        yield f"Only products whose codes match {_list(allowed.products)} may be issued."


def _approval(approval: Approval) -> str:
    signatures = "a signature" if approval.count == 1 else f"{approval.count} signatures"
    hours = approval.expires.total_seconds() / 3600
    return (
        f"A batch above {approval.above}, or of any amount from a balance other than {approval.above.currency}, needs"
        f" {signatures} of those in {approval.signers}, which counts for {hours:g} hours."
    )


def _list(names: set[str] | tuple[str, ...]) -> str:
    *others, last = sorted(names)
    return f"{', '.join(others)} and {last}" if others else last
