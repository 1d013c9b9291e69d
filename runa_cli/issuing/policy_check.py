"""Checks what is asked for against policies: what they allow at all, and their limits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from runa_cli.core.errors import Context, GuardRefused
from runa_cli.core.identity import GiftIdentity, normalized_address
from runa_cli.core.money import plain_minor
from runa_cli.input.plan import Plan
from runa_cli.issuing.policy import Allowed, Policy, matches
from runa_cli.issuing.policy_asked import Asked, AskedGift
from runa_cli.issuing.policy_standing import Scales, Standing, Weighed
from runa_cli.issuing.policy_windows import window_at
from runa_cli.issuing.refusals import GiftsRefused
from runa_cli.issuing.weighing import UNNAMED, Weighing

_MOST_ROWS = 10  # rows in a message
_HINT = (
    "Take gifts out, wait until it resets, or let whoever sets the policy change it. `runa policy show` shows how every"
    " limit stands."
)


def check(
    policies: Sequence[Policy], asked: Asked, scales: Scales, *, plan: Plan | None = None, about: Context | None = None
) -> Weighing:
    """Check what is asked for, and return how the limits stand. Raises GuardRefused.

    A `plan` is what is asked for of a create: the refusal then says which of its gifts are over a limit per recipient.
    """
    for policy in policies:
        check_allowed(policy, asked, about or Context())
    weighed: list[Weighed] = []
    for policy in policies:
        _check_prices(policy, asked, about or Context())
        weighed += scales.weigh(policy, asked)
    if over := [each for each in weighed if each.over]:
        raise _over(over, asked, plan, about or Context())
    return Weighing(weighed, asked)


def are_in_same_windows(policies: Iterable[Policy], then: datetime, now: datetime) -> bool:
    """Tell whether two times lie in the same windows of all limits, so that the same is left of each."""
    return all(
        window_at(limit.per, then, policy.rules.timezone) == window_at(limit.per, now, policy.rules.timezone)
        for policy in policies
        for limit in policy.rules.limit
    )


# --- limits ----------------------------------------------------------------------------------------------------------


def _check_prices(policy: Policy, asked: Asked, about: Context) -> None:
    """Check that it is known what a converted gift costs, where a limit counts it. Raises GuardRefused."""
    if not asked.has_unknown_prices:
        return
    currencies = {share.currency for share in asked.totals()}
    limited = sorted(currencies & {limit.max.currency for limit in policy.rules.limit})
    if limited:
        raise GuardRefused(
            f"The policy {policy.source} limits what is paid in {limited[0]}, and what Runa will charge for the"
            " conversion is not known: it could not be estimated. Nothing was sent.",
            "Pay from a balance in the currency of the products.",
            about,
            code="policy_price_unknown",
        )


def _over(over: Sequence[Weighed], asked: Asked, plan: Plan | None, about: Context) -> GuardRefused:
    lines, details, gifts = list[str](), list[Mapping[str, object]](), dict[GiftIdentity, str]()
    for weighed in over:
        for standing in weighed.over:
            kind = standing.policy.rules.recipient
            whose = asked.recipient(kind, standing.payee) if standing.payee is not None else None
            lines.append(_sentence(standing, whose.name or UNNAMED if whose else None, whose.rows if whose else ()))
            details.append(_detail(standing, whose.name or None if whose else None, whose.rows if whose else None))
            gifts |= dict.fromkeys(whose.gifts if whose else (), f"over {standing.name}")
        if (more := weighed.over_count - len(weighed.over)) > 0:
            lines.append(f"… and {more:,} more recipients are over {weighed.over[0].name}.")
    message = "\n".join([*lines, "Nothing was sent."] if len(lines) > 1 else [f"{lines[0]} Nothing was sent."])
    is_about_gifts = plan is not None and all(each.over[0].payee is not None for each in over)
    if is_about_gifts and sum(each.over_count for each in over) == len(details):
        return GiftsRefused(message, _HINT, about, details, code="policy_limit", gifts=gifts)
    return GuardRefused(message, _HINT, about, details, code="policy_limit")


def _sentence(standing: Standing, whose: str | None, rows: Sequence[int]) -> str:
    name, money = standing.name, standing.money
    where = f" ({_rows(rows)})" if rows else ""
    used = f"{money(standing.used)} used"
    return (
        f"{name[0].upper()}{name[1:]} is {standing.rule}: {f'for {whose}{where}, ' if whose else ''}{used},"
        f" {money(standing.asked)} asked for, {money(standing.left)} left{standing.reset}."
    )


def _rows(rows: Sequence[int]) -> str:
    shown = ", ".join(map(str, rows[:_MOST_ROWS])) + (", …" if len(rows) > _MOST_ROWS else "")
    return f"{'row' if len(rows) == 1 else 'rows'} {shown}"


def _detail(standing: Standing, whose: str | None, rows: Sequence[int] | None) -> Mapping[str, object]:
    limit, end = standing.limit, standing.window.end
    return {
        **standing.policy.facts_of(limit),
        "recipient": whose,
        "rows": list(rows) if rows else None,
        "currency": limit.max.currency,
        **{
            name: plain_minor(minor, limit.max.currency)
            for name, minor in (
                ("max", limit.max.minor),
                ("used", standing.used),
                ("asked", standing.asked),
                ("left", standing.left),
            )
        },
        "resets_at": end.isoformat().replace("+00:00", "Z") if end else None,
    }


# --- what is allowed -------------------------------------------------------------------------------------------------


def check_allowed(policy: Policy, asked: Asked, about: Context) -> None:
    """Check that all of it is allowed at all. Raises GuardRefused, which names the rows."""
    allowed = policy.rules.allow
    if allowed.is_empty:
        return
    found: dict[str, list[int]] = {}
    for gift in asked.gifts():
        for sentence in _not_allowed(allowed, gift):
            found.setdefault(sentence, []).append(gift.row)
    if not found:
        return
    lines = [f"{_rows(rows)}: {sentence}" for sentence, rows in found.items()]
    raise GuardRefused(
        "\n  ".join([f"The policy {policy.source} does not allow this. Nothing was sent.", *lines]),
        "Take these gifts out, or let whoever sets the policy change it.",
        about,
        [{"policy": policy.source, "rows": rows, "reason": sentence} for sentence, rows in found.items()],
        code="policy_not_allowed",
    )


def _not_allowed(allowed: Allowed, gift: AskedGift) -> Iterator[str]:
    """Yield what of a gift is not allowed."""
    if allowed.currencies and gift.currency not in allowed.currencies:
        yield f"the balance {gift.currency} may not pay (allowed: {', '.join(allowed.currencies)})"
    address = (gift.item.get("distribution_method") or {}).get("email_address")
    if address:
        domain = normalized_address(str(address)).rpartition("@")[2]
        if allowed.domains and domain not in allowed.domains:
            yield f"addresses at {domain} get nothing (allowed: {', '.join(allowed.domains)})"
    elif not allowed.allows_links:
        yield "payout links have no address at an allowed domain" if allowed.domains else "payout links may not be made"
    codes = gift.products.removeprefix("template:").split("|")
    if allowed.products and (others := [code for code in codes if not matches(code, allowed.products)]):
        yield f"{', '.join(others)} may not be issued (allowed: {', '.join(allowed.products)})"
