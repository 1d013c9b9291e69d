"""Checks what is about to be issued against the policies in force: that of the settings, and that of the ledger.

The check is made before any question, and again in the transaction that records an order or marks it as sent. Money is
reserved in that same transaction, so that processes that issue at the same time cannot spend the same money.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runa_cli.core.clock import Clock
from runa_cli.core.errors import Context, GuardRefused
from runa_cli.core.identity import GiftIdentity, normalized_address
from runa_cli.core.money import plain_minor
from runa_cli.input.plan import Plan
from runa_cli.issuing.failures import context
from runa_cli.issuing.policy import Allowed, Policy, matches
from runa_cli.issuing.policy_asked import Asked, AskedGift, PlanAsked, RecordedAsked, to_be_sent
from runa_cli.issuing.policy_file import read_policy
from runa_cli.issuing.policy_standing import Scales, Standing, Weighed
from runa_cli.issuing.policy_windows import window_at
from runa_cli.issuing.refusals import GiftsRefused
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import AdoptedOrder, Batch, Order
from runa_cli.ledger.spending import Left

STORED = "stored in the ledger"
_MOST_ROWS = 10  # rows in a message
_UNNAMED = "gifts that name nobody"
_HINT = (
    "Take gifts out, wait until it resets, or let whoever sets the policy change it. `runa policy show` shows how every"
    " limit stands."
)


@dataclass
class PolicyGuard:
    """Holds what is about to be issued to the policies in force. `own` is that of the settings, None for none.

    `ledger` is None where nothing is recorded yet.
    """

    ledger: Ledger | None
    environment: str
    clock: Clock
    own: Policy | None = None
    _stored: dict[str, Policy] = field(default_factory=dict)
    _in_force: list[Policy] | None = None

    def policies(self) -> list[Policy]:
        """Return the policies in force, that of the ledger read anew. Raises ConfigurationError for an unusable one."""
        found = [self.own] if self.own else []
        text = self.ledger.stored_policy() if self.ledger else None
        if text is not None:
            if text not in self._stored:
                self._stored[text] = read_policy(text, STORED)
            found.append(self._stored[text])
        self._in_force = found
        return found

    def digest(self) -> str:
        """Return the digest of the policies of the last check, by which the record names them; empty for none."""
        in_force = self.policies() if self._in_force is None else self._in_force
        return "+".join(policy.sha256 for policy in in_force)

    # --- checks --------------------------------------------------------------------------------------------------

    def check_plan(
        self, plan: Plan, batch: Batch | None = None, *, adds: bool = False, adopted: Sequence[AdoptedOrder] = ()
    ) -> "Weighing":
        """Check what is left of a plan. Raises GuardRefused.

        `batch` is the recorded one that it is issued in; its orders that nothing was made of are given back, unless the
        plan `adds` to them. `adopted` are orders that would be recorded before. Returns how the limits stand.
        """
        policies = self.policies()
        if not policies or not plan.count_left:
            return NOTHING_WEIGHED
        left_out = Left(batch=batch.id) if batch and not adds else Left()
        return self._check(PlanAsked(plan), self._scales(batch, left_out, adopted), policies, plan=plan)

    def check_unsent(self, batch: Batch, *, renewed: bool = False) -> "Weighing":
        """Check what was recorded of a batch and never sent; `renewed`: and what Runa rejected. Raises GuardRefused."""
        policies = self.policies()
        if not policies or self.ledger is None:
            return NOTHING_WEIGHED
        asked = to_be_sent(self.ledger, batch, renewed=renewed)
        return self._check(asked, self._scales(batch, Left(batch=batch.id)), policies, about=Context(batch=batch.name))

    def check_first_sending(self, batch: Batch, order: Order) -> None:
        """Check an order before it is sent for the first time. Raises GuardRefused.

        What was checked under the same policies when it was recorded is not checked again in the same windows.
        """
        policies = self.policies()
        if not policies or self.ledger is None:
            return
        reserved = self.ledger.reservation(order)
        if reserved.policy == self.digest() and self._is_in_same_windows(policies, reserved.time):
            return
        self.check_order(batch, order)

    def check_order(self, batch: Batch, order: Order) -> None:
        """Check a recorded order, as for one that Runa rejected and that is recorded once more. Raises GuardRefused."""
        policies = self.policies()
        if not policies or self.ledger is None:
            return
        asked = RecordedAsked(self.ledger, [order.id])
        self._check(asked, self._scales(batch, Left(order=order.id)), policies, about=context(batch, order))

    def _is_in_same_windows(self, policies: Iterable[Policy], reserved_at: str) -> bool:
        if not reserved_at:
            return False
        then, now = datetime.fromisoformat(reserved_at).astimezone(UTC), self._now()
        return all(
            window_at(limit.per, then, policy.rules.timezone) == window_at(limit.per, now, policy.rules.timezone)
            for policy in policies
            for limit in policy.rules.limit
        )

    def _now(self) -> datetime:
        own = self.clock.now()
        return self.ledger.shared_time(own) if self.ledger else own

    def _scales(self, batch: Batch | None, left_out: Left, adopted: Sequence[AdoptedOrder] = ()) -> Scales:
        return Scales(self.ledger, self.environment, self._now(), batch, left_out, adopted)

    def _check(
        self,
        asked: Asked,
        scales: Scales,
        policies: Sequence[Policy],
        *,
        plan: Plan | None = None,
        about: Context | None = None,
    ) -> "Weighing":
        for policy in policies:
            check_allowed(policy, asked, about or Context())
        weighed: list[Weighed] = []
        for policy in policies:
            _check_prices(policy, asked, about or Context())
            weighed += scales.weigh(policy, asked)
        if over := [each for each in weighed if each.over]:
            raise _over(over, asked, plan, about or Context())
        return Weighing(weighed, asked)


@dataclass(frozen=True)
class Weighing:
    """How the limits stand that are about what is asked for, all of which is within them."""

    limits: Sequence[Weighed] = ()
    asked: Asked | None = None

    @property
    def near(self) -> str:
        """Which limits come near, as text for people; empty where none does, or there is no policy."""
        found = (each.nearest for each in self.limits)
        return "; ".join(self._sentence(standing) for standing in found if standing and standing.is_near)

    @property
    def fact(self) -> str:
        """The same, and that it is within its limits where none comes near."""
        return self.near or ("within its limits" if self.limits else "")

    def _sentence(self, standing: Standing) -> str:
        whose = ""
        if standing.payee is not None and self.asked is not None:
            name = self.asked.recipient(standing.policy.rules.recipient, standing.payee).name
            whose = f" for {name or _UNNAMED}"
        left = standing.money(standing.limit.max.minor - standing.after)
        return f"{left} left{whose} of {standing.rule} ({standing.name})"


NOTHING_WEIGHED = Weighing()


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
            lines.append(_sentence(standing, whose.name or _UNNAMED if whose else None, whose.rows if whose else ()))
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
        "policy": standing.policy.source,
        "limit": standing.policy.number_of(limit),
        "per": limit.per,
        "each": limit.each,
        "products": list(limit.products) or None,
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
