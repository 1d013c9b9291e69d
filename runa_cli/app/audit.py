"""`audit`: compares the ledger with the orders at Runa, says what differs and what to do next, and changes nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain

from msgspec import Struct, field

from runa_cli.app import audit_rows
from runa_cli.app.audit_balances import balance_entries, balance_lines
from runa_cli.app.batches import active_environment
from runa_cli.app.report_output import Entry, Report, show_report
from runa_cli.app.session import Session
from runa_cli.core.errors import DifferencesFound, UsageMistake
from runa_cli.core.money import counted, plain_decimal
from runa_cli.issuing.audit import AGREEING, Audit, Category, Finding
from runa_cli.issuing.balances import LIVE

_Sums = dict[tuple[Category, str], list[Decimal]]  # how many orders, and their amounts here and at Runa
_LINE_INTERVAL = 10.0  # seconds between two lines of progress where there is no terminal


def audit(session: Session, since: datetime | None, until: datetime | None) -> None:
    """Compare the ledger with Runa's orders. Raises DifferencesFound once they are shown, and what a request raises.

    Without `since` it begins with the day (UTC) of the first order of the ledger, without `until` it ends now.
    """
    environment, now = active_environment(session), session.clock.now()
    until = min(until, now) if until is not None else now
    if since is None:
        first = session.ledger.first_sent(environment)
        since = _day_of(first) if first else now - timedelta(days=session.settings.look_back.value or 1)
    if since >= until:
        raise UsageMistake("--since must be before --until, and in the past.")
    client, settings = session.client, session.settings
    progress = _Progress(session)
    comparison = Audit(
        client, session.ledger, environment, settings.account, since, until, settings.timeout.value, progress.tell
    )
    found = _Found()
    with progress:
        for finding in comparison.findings():
            found.add(finding)
    spans = session.ledger.balance_spans(environment, since, until) if environment == LIVE else []
    report = Report(
        audit_rows.FIELDS,
        audit_rows.NUMBERS,
        audit_rows.COLUMNS,
        audit_rows.row,
        lambda: chain(found.lines(), balance_lines(spans)),
        "Nothing differs.",
    )
    entries = found.differing() if session.output.format == "table" else chain(found.entries(), balance_entries(spans))
    show_report(session, report, [*entries], None)
    session.console.note(
        f"Compared {environment}, orders from {_local(since)} until {_local(until)}. Nothing was changed."
    )
    if comparison.uncompared:
        session.console.note(
            f"The prices of {comparison.uncompared:,} matched orders could not be compared: they are not recorded."
        )
    if found.other_keys:
        keys = ", ".join(f"{key}.…" for key in sorted(found.other_keys))
        session.console.warn(
            f"Orders that were sent with another key ({keys}) and are not shown to this one were not compared: run the"
            " audit with that key, too."
        )
    if count := len(found.differences):
        orders = "1 order differs" if count == 1 else f"{count:,} orders differ"
        raise DifferencesFound(
            f"{orders} between the ledger and Runa.", "Nothing was changed. What to do is said beside each order."
        )


class _Found(Struct):
    """What was found: each difference, and of what agrees only the sums."""

    differences: list[Finding] = field(default_factory=list)
    agreeing: _Sums = field(default_factory=dict)
    other_keys: set[str] = field(default_factory=set)

    def add(self, finding: Finding) -> None:
        """Add what was found of one order."""
        if finding.category not in AGREEING:
            self.differences.append(finding)
            return
        if finding.category is Category.OTHER_KEY and finding.here is not None:
            self.other_keys.add(finding.here.account)
        _add(finding, self.agreeing)

    def entries(self) -> Iterator[Entry]:
        """Yield a row for each currency of what agrees, and one for each difference."""
        for (category, currency), (orders, here, at_runa) in sorted(self.agreeing.items()):
            yield {
                **dict.fromkeys(audit_rows.FIELDS),
                "category": str(category),
                "orders": int(orders),
                "currency": currency,
                "here": plain_decimal(here, currency),
                "at_runa": None if category is Category.OTHER_KEY else plain_decimal(at_runa, currency),
            }
        yield from self.differing()

    def differing(self) -> Iterator[Entry]:
        """Yield a row for each difference."""
        return map(audit_rows.entry, self.differences)

    def lines(self) -> Iterator[str]:
        """Yield a line for each category and currency with orders and money."""
        sums: _Sums = {key: [*value] for key, value in self.agreeing.items()}
        for finding in self.differences:
            _add(finding, sums)
        for (category, currency), (orders, here, at_runa) in sorted(sums.items(), key=lambda each: _rank(each[0])):
            money = f"{audit_rows.shown(here, currency)} here, {audit_rows.shown(at_runa, currency)} at Runa"
            yield f"{audit_rows.words(category)}: {counted(int(orders), 'order')}, {money}."


def _local(time: datetime) -> str:
    return time.astimezone().isoformat(" ", "seconds")


def _add(finding: Finding, sums: _Sums) -> None:
    """Add an order with its amounts to the sums of its category and currency."""
    own = sums.setdefault((finding.category, audit_rows.currency_of(finding)), [Decimal(0)] * 3)
    here, at_runa = audit_rows.amount_here(finding.here), audit_rows.amount_at_runa(finding.at_runa)
    for index, value in enumerate((Decimal(1), here, at_runa)):
        own[index] += value or 0


def _day_of(time: datetime) -> datetime:
    """Return when the day of a time began: clocks differ, and Runa may have made an order a little before it."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def _rank(key: tuple[Category, str]) -> tuple[int, str]:
    return [*Category].index(key[0]), key[1]


class _Progress:
    """Says on standard error how far a comparison is: beside a spinner on a terminal, else in a line now and then."""

    def __init__(self, session: Session) -> None:
        self._console, self._clock = session.console, session.clock
        self._last = self._clock.seconds()
        shows = session.console.is_terminal and not session.console.quiet
        self._status = session.console.rich.status("Comparing Runa's orders.") if shows else None

    def tell(self, sentence: str) -> None:
        """Say what is being done now."""
        if self._status is not None:
            self._status.update(sentence)
        elif self._clock.seconds() - self._last >= _LINE_INTERVAL:
            self._last = self._clock.seconds()
            self._console.note(sentence)

    def __enter__(self) -> "_Progress":
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
