"""`policy`: what the policies in force say, how their limits stand, and the policy that is stored in the ledger."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from runa_cli.app.changes import show_changes
from runa_cli.app.session import Session
from runa_cli.config import settings as configuration
from runa_cli.config.ledger_address import ServerLedger
from runa_cli.core.errors import ConfigurationError, UsageMistake
from runa_cli.core.money import format_amount, from_minor, plain_minor
from runa_cli.core.system import host_name, system_user
from runa_cli.issuing.policy import Amount, Limit, Policy
from runa_cli.issuing.policy_file import HOW_TO_CHECK, read_policy_file
from runa_cli.issuing.policy_standing import PER
from runa_cli.issuing.policy_windows import Window, window_at
from runa_cli.issuing.policy_words import in_words
from runa_cli.issuing.signers_file import check_each_line
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.rows import to_timestamp
from runa_cli.ledger.spending import Share
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.tables import Column, Part, list_parts

_NEAREST = 3  # recipients that are shown of a limit for each
_UNNAMED = "(nobody named)"
_PRUNED = "(pruned)"
FIELDS = (
    *("policy", "limit", "per", "each", "products", "recipient", "currency", "max", "used", "reserved", "left"),
    "resets_at",
)
_COLUMNS = (
    Column("Limit"),
    Column("Recipient", own_line=True),
    Column("Max", number=True, no_wrap=True),
    Column("Used", number=True, no_wrap=True),
    Column("Reserved", number=True, no_wrap=True),
    Column("Left", number=True, no_wrap=True),
    Column("Resets", no_wrap=True),
)


def check(session: Session, path: Path | None) -> None:
    """Say what a policy file says, or what the policies in force say. Raises ConfigurationError for an invalid one.

    A file of signers that nobody could approve with is one as well.
    """
    try:
        policies = [read_policy_file(path)] if path else _in_force(session)
    except ConfigurationError as error:
        error.hint = error.hint and error.hint.removesuffix(HOW_TO_CHECK).rstrip()  # that is being done
        raise
    for policy in policies:
        if policy.rules.approval:
            check_each_line(policy.rules.approval.signers)

    def table(_: int | None) -> Iterator[Part]:
        for number, policy in enumerate(policies):
            if number:
                yield Part("")
            yield Part(f"The policy {policy.source} is valid (SHA-256 {policy.sha256}).")
            yield from (Part(f"  {sentence}") for sentence in in_words(policy))

    documents = [_document(policy) for policy in policies]
    formats.show(session.output, View(entries=lambda: documents, table=table))


def _in_force(session: Session) -> list[Policy]:
    found = session.policy_guard().policies()
    if not found:
        raise ConfigurationError(
            "No policy is in force: RUNA_POLICY is not set, and none is stored in the ledger.",
            "`runa policy check FILE` checks a file.",
            code="no_policy",
        )
    return found


def _document(policy: Policy) -> Mapping[str, object]:
    return {"policy": policy.source, "sha256": policy.sha256, "says": [*in_words(policy)]}


# --- how limits stand ------------------------------------------------------------------------------------------------


class _Row(Struct, frozen=True):
    """How a limit stands, or how it stands for one recipient. Amounts in minor units; None where nothing adds up."""

    policy: Policy
    limit: Limit
    window: Window
    recipient: str = ""
    used: int | None = None
    reserved: int | None = None

    @property
    def left(self) -> int | None:
        """What may still be spent."""
        if self.used is None or self.reserved is None:
            return None
        return max(0, self.limit.max.minor - self.used - self.reserved)

    def document(self) -> dict[str, object]:
        """Return the row as machine formats have it."""
        limit, end, currency = self.limit, self.window.end, self.limit.max.currency
        amounts = {"max": limit.max.minor, "used": self.used, "reserved": self.reserved, "left": self.left}
        return {
            **self.policy.facts_of(limit),
            "recipient": self.recipient or None,
            "currency": currency,
            **{name: None if minor is None else plain_minor(minor, currency) for name, minor in amounts.items()},
            "resets_at": to_timestamp(end).partition(".")[0] + "Z" if end else None,
        }

    def cells(self) -> list[str]:
        """Return the row of the table."""
        limit, end, currency = self.limit, self.window.end, self.limit.max.currency
        what = f"{self.policy.number_of(limit)}: {PER[limit.per]}"
        if limit.products:
            what += f", {' '.join(limit.products)}"
        amounts = (self.used, self.reserved, self.left)
        return [
            what,
            self.recipient or ("each" if limit.each else ""),
            str(limit.max),
            *("-" if minor is None else format_amount(from_minor(minor, currency), currency) for minor in amounts),
            f"{end.astimezone(self.policy.rules.timezone):%Y-%m-%d %H:%M}" if end else "-",
        ]


def show(session: Session) -> None:
    """Show how each limit of the policies in force stands in the active environment. Raises ConfigurationError."""
    session.checked()
    policies = _in_force(session)
    rows = [row for policy in policies for row in _rows(session, policy)]

    def table(width: int | None) -> Iterator[Part]:
        for number, policy in enumerate(policies):
            own = [row.cells() for row in rows if row.policy is policy]
            if number:
                yield Part("")
            yield Part(f"Policy {policy.source}, {session.environment}, {policy.rules.timezone.key}")
            if own:
                yield from list_parts(_COLUMNS, own, width)
            else:
                yield Part("It has no limits.")

    view = View(
        entries=lambda: (row.document() for row in rows),
        table=table,
        csv_header=FIELDS,
        csv_cells=lambda: ([*map(_cell, row.document().values())] for row in rows),
    )
    formats.show(session.output, view)
    if any(limit.each for policy in policies for limit in policy.rules.limit):
        session.console.note(f"Of a limit for each recipient, the {_NEAREST} recipients who used most of it are shown.")
    _note_given_up(session, policies)


def _cell(value: object) -> str:
    return "|".join(value) if isinstance(value, list) else "" if value is None else str(value)


def _rows(session: Session, policy: Policy) -> Iterator[_Row]:
    ledger, own = session.existing_ledger, session.clock.now()
    now = ledger.shared_time(own) if ledger else own
    unsettled = ledger.unsettled(session.environment) if ledger else []
    for limit in policy.rules.limit:
        window = window_at(limit.per, now, policy.rules.timezone)
        if limit.per in {"order", "batch"}:
            yield _Row(policy, limit, window)
        elif limit.each:
            yield from _nearest(session, policy, limit, window)
        else:
            start = to_timestamp(window.start) if window.start else ""
            spent = _spent(session, ledger, limit, window) if ledger else []
            reserved = _sum(limit, [share for time, share in unsettled if time >= start])
            yield _Row(policy, limit, window, used=_sum(limit, spent) - reserved, reserved=reserved)


def _spent(session: Session, ledger: Ledger, limit: Limit, window: Window) -> list[Share]:
    environment, currency = session.environment, limit.max.currency
    return ledger.spent(environment, currency, window.start, by_products=bool(limit.products))


def _nearest(session: Session, policy: Policy, limit: Limit, window: Window) -> Iterator[_Row]:
    """Yield how a limit stands for the recipients who have most of it."""
    ledger = session.existing_ledger
    if ledger is None:
        yield _Row(policy, limit, window, used=0, reserved=0)
        return
    environment, currency, kind = session.environment, limit.max.currency, policy.rules.recipient
    products = None
    if limit.products:
        spent = ledger.spent(environment, currency, window.start)
        products = [share.products for share in spent if limit.may_concern(share.products)]
    found = ledger.highest(
        kind, environment=environment, currency=currency, since=window.start, products=products, most=_NEAREST
    )
    if not found:
        yield _Row(policy, limit, window, used=0, reserved=0)
        return
    results = ledger.results_of([gift for _, gift in found])
    payees = [payee for payee, _ in found]
    held, reserved = (
        ledger.spent_for(
            kind, payees, environment=environment, currency=currency, since=window.start, unfinished=unfinished
        )
        for unfinished in (False, True)
    )
    for payee, gift in found:
        kept = _sum(limit, reserved.get(payee, []))
        name = results[gift].recipient if payee else _UNNAMED
        yield _Row(policy, limit, window, name or _PRUNED, _sum(limit, held.get(payee, [])) - kept, kept)


def _sum(limit: Limit, shares: list[Share]) -> int:
    currency = limit.max.currency
    return sum(share.amount for share in shares if share.currency == currency and limit.may_concern(share.products))


def _note_given_up(session: Session, policies: list[Policy]) -> None:
    """Say what is not counted though it may have been issued."""
    ledger = session.existing_ledger
    for currency in sorted({limit.max.currency for policy in policies for limit in policy.rules.limit}):
        if ledger and (minor := ledger.given_up(session.environment, currency, None)):
            session.console.note(
                f"{Amount(minor, currency)} of abandoned orders were sent with unknown outcome: they may have been"
                " issued, and do not count."
            )


# --- the stored policy -----------------------------------------------------------------------------------------------


def store(session: Session, path: Path | None, *, remove: bool) -> None:
    """Store a policy in the ledger, or remove it there. Raises ConfigurationError, and UsageMistake."""
    if remove == (path is not None):
        raise UsageMistake("Name the policy file to store, or use --remove.")
    configuration.check_readable(session.settings)
    policy = read_policy_file(path) if path else None
    address, by = session.settings.ledger.value, f"{system_user()}@{host_name()}"
    replaced = False
    if isinstance(address, ServerLedger):
        from runa_cli.ledger.driver import require_driver

        require_driver()
        from runa_cli.ledger.postgres_policy import store_policy

        store_policy(address, policy.text if policy else None, by, session.clock.now())
    else:
        replaced = session.ledger.stored_policy() is not None
        session.ledger.store_policy(policy.text if policy else None, by, session.clock.now())
    document = {
        "ledger": str(address),
        "policy": str(path) if path else None,
        "sha256": policy.sha256 if policy else None,
    }
    sentence = (
        f"The policy {path} is stored in the ledger {address}: it is in force for whoever issues with that ledger."
        + (" It takes the place of the one that was stored there." if replaced else "")
        if policy
        else f"No policy is stored in the ledger {address} any more."
    )
    show_changes(session, document, [sentence])
