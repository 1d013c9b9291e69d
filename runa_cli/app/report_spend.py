"""`report spend`: what was spent, by month, week, day, batch, product, currency or user."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby, islice
from pathlib import Path

from msgspec import Struct, field

from runa_cli.app import report_scope
from runa_cli.app.batches import tell_of_other_environments
from runa_cli.app.report_output import Entry, Report, show_report
from runa_cli.app.report_scope import PERIODS, Days, Period
from runa_cli.app.session import Session
from runa_cli.core.errors import UsageMistake
from runa_cli.core.money import amount_text, format_gifts
from runa_cli.core.units import units_text
from runa_cli.ledger.spent import to_moment
from runa_cli.ledger.spent_queries import QUARTER, Scope, SpentSum
from runa_cli.output.tables import Column

KINDS = (*PERIODS[::-1], "batch", "product", "currency", "user")
_BESIDE: Mapping[str, tuple[str, ...]] = {  # the fields after the first one
    **dict.fromkeys(PERIODS, ("from", "until")), "batch": ("file",), "user": ("host",),
}  # fmt: skip
_MONEY = (
    *("currency", "gifts", "face_value", "charged_currency", "charged", "unknown_gifts", "unknown_face_value"),
    *("unpriced_gifts", "unpriced_face_value"),
)
_AT_A_TIME = 500  # rows
_NUMBERS = frozenset(_MONEY) - {"currency", "charged_currency"}


def show(session: Session, by: str, days: Days, to: Path | None) -> None:
    """Show what was spent. Raises UsageMistake, ConfigurationError and OutputFailed."""
    if by not in KINDS:
        raise UsageMistake(f"--by must be one of {', '.join(KINDS)}, found {by!r}.")
    about = report_scope.scope(session, days)
    totals = _Totals()
    fields = tuple(dict.fromkeys((by, *_BESIDE.get(by, ()), *_MONEY)))
    report = Report(
        fields, _NUMBERS, _columns(by), lambda entry: _row(by, entry), totals.lines, "Nothing was spent from here."
    )
    show_report(session, report, _entries(session, by, about, totals), to)
    session.console.note(report_scope.describe(session, about))
    if totals.unpriced:
        session.console.note(
            f"What Runa charged is not known for {format_gifts(totals.unpriced)}: see unpriced_gifts. An older version"
            " pruned them, or Runa's reply did not say."
        )
    tell_of_other_environments(session, [session.environment])


def _entries(session: Session, by: str, about: Scope, totals: "_Totals") -> Iterator[Entry]:
    rows = _by_key(session, by, about)
    while some := [*islice(rows, _AT_A_TIME)]:
        label = _labels(session, by, about, [key for key, _ in some])
        for key, sums in some:
            first = label(key)
            for each in sums:
                _add(each, totals.sums)
                yield {**first, **_amounts(each)}


def _by_key(session: Session, by: str, about: Scope) -> Iterator[tuple[int | str, list[SpentSum]]]:
    """Yield the key of each row of the report with its sums, one for each pair of currencies."""
    sums: Iterable[SpentSum] = session.ledger.spent_sums("time" if by in PERIODS else by, about)
    if by in PERIODS:
        period = report_scope.period_of(by)
        starts = (each._replace(key=to_moment(period(int(each.key)).begins) // QUARTER) for each in sums)
        keyed: Iterable[SpentSum] = starts
    else:
        keyed = sums if by == "batch" else sorted(sums, key=lambda each: str(each.key))
    for key, same in groupby(keyed, key=lambda each: each.key):
        yield key, _added(same)


def _labels(
    session: Session, by: str, about: Scope, keys: Sequence[int | str]
) -> Callable[[int | str], dict[str, object]]:
    """Return what makes the first fields of a row from its key, which is one of these."""
    if by in PERIODS:
        period = report_scope.period_of(by)
        return lambda quarter: _period_fields(by, period(int(quarter)), about)
    if by == "batch":
        files = session.ledger.batch_files(map(int, keys))
        return lambda batch_id: dict(zip(("batch", "file"), files[int(batch_id)], strict=True))
    if by == "user":
        return lambda text: _user_fields(str(text))
    return lambda text: {by: str(text) or None}


def _period_fields(by: str, period: Period, about: Scope) -> dict[str, object]:
    """Return the name of a period, and from when until when the gifts of its row were issued."""
    begins = max(period.begins, about.since or period.begins)
    ends = min(period.ends, about.until or period.ends)
    return {by: period.name, "from": begins.isoformat(), "until": ends.isoformat()}


def _user_fields(sender: str) -> dict[str, object]:
    user, _, host = sender.rpartition("@")
    return {"user": user or None, "host": host or None}


def _amounts(each: SpentSum) -> dict[str, object]:
    currency = each.currency
    return {
        "currency": currency,
        "gifts": each.gifts,
        "face_value": units_text(each.face, currency),
        "charged_currency": each.charged_in,
        "charged": units_text(each.charged, each.charged_in),
        "unknown_gifts": each.unknown_gifts,
        "unknown_face_value": units_text(each.unknown_face, currency),
        "unpriced_gifts": each.unpriced_gifts,
        "unpriced_face_value": units_text(each.unpriced_face, currency),
    }


def _added(sums: Iterable[SpentSum]) -> list[SpentSum]:
    """Add up what has the same currencies."""
    added: dict[tuple[str, str], SpentSum] = {}
    for each in sums:
        _add(each, added)
    return [added[pair] for pair in sorted(added)]


def _add(each: SpentSum, sums: dict[tuple[str, str], SpentSum]) -> None:
    """Add a sum to that of the same currencies."""
    pair = each.currency, each.charged_in
    sums[pair] = _plus(sums[pair], each) if pair in sums else each


def _plus(one: SpentSum, other: SpentSum) -> SpentSum:
    return SpentSum(
        one.key,
        one.currency,
        one.charged_in,
        one.gifts + other.gifts,
        one.face + other.face,
        one.charged + other.charged,
        one.unpriced_gifts + other.unpriced_gifts,
        one.unpriced_face + other.unpriced_face,
        one.unknown_gifts + other.unknown_gifts,
        one.unknown_face + other.unknown_face,
    )


# --- for people ------------------------------------------------------------------------------------------------------


def _columns(by: str) -> tuple[Column, ...]:
    return (
        Column(by.capitalize()),
        Column("Gifts", number=True, no_wrap=True),
        Column("Face value", number=True, no_wrap=True),
        Column("Charged", number=True, no_wrap=True),
        Column("Unknown", number=True, no_wrap=True),
    )


def _row(by: str, entry: Entry) -> list[str]:
    name = str(entry[by] or _UNNAMED.get(by, ""))
    if by == "user" and entry["host"]:
        name += f" on {entry['host']}"
    unknown = _money(entry["unknown_face_value"], entry["currency"]) if entry["unknown_gifts"] else ""
    return [
        name,
        f"{entry['gifts']:,}",
        _money(entry["face_value"], entry["currency"]),
        _money(entry["charged"], entry["charged_currency"]),
        unknown,
    ]


_UNNAMED = {"product": "(pruned)", "user": "(not recorded)"}


def _money(amount: object, currency: object) -> str:
    return amount_text(Decimal(str(amount)), str(currency))


class _Totals(Struct):
    """What the rows of the report that have passed add up to, by their currencies."""

    sums: dict[tuple[str, str], SpentSum] = field(default_factory=dict)

    @property
    def unpriced(self) -> int:
        """The gifts of which it is not known what Runa charged."""
        return sum(each.unpriced_gifts for each in self.sums.values())

    def lines(self) -> Iterator[str]:
        """Yield the totals, a line for each pair of currencies: they are never added up."""
        for _, each in sorted(self.sums.items()):
            entry = _amounts(each)
            line = f"{format_gifts(each.gifts)}, {_money(entry['face_value'], each.currency)}"
            line += f", charged {_money(entry['charged'], each.charged_in)}"
            if each.unknown_gifts:
                unknown = _money(entry["unknown_face_value"], each.currency)
                line += f"; outcome unknown: {format_gifts(each.unknown_gifts)}, {unknown}"
            yield f"{line}."
