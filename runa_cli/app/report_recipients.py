"""`report recipients`: what each person got, added up over all batches and perhaps other sources."""

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from msgspec import Struct, field

from runa_cli.app import report_scope
from runa_cli.app.batches import tell_of_other_environments
from runa_cli.app.report_output import Entry, Report, show_report
from runa_cli.app.report_scope import Days
from runa_cli.app.session import Session
from runa_cli.core.errors import UsageMistake
from runa_cli.core.money import amount_text, counted, format_gifts, parse_amount
from runa_cli.core.units import to_units, units_text
from runa_cli.ledger.search_text import read_item
from runa_cli.ledger.spent_queries import PERSON_FIELDS, PERSONS, PersonSum, Scope
from runa_cli.output.tables import Column

_NUMBERS = frozenset(PERSON_FIELDS) - {"person", "currency"}
_NO_ADVICE = "These are totals of what was issued, and no tax advice."
_Key = tuple[str, str]  # of the person, and the currency


class Threshold(Struct, frozen=True):
    """The least sum of a person that is shown, in one currency or in each."""

    units: int = 0
    currency: str | None = None

    @classmethod
    def of(cls, text: str | None) -> "Threshold":
        """Read `2000`, `2000 USD` or `2000USD`. Raises UsageMistake."""
        found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]{3})?\s*", text or "0", re.ASCII)
        try:
            units = to_units(parse_amount(found[1])) if found else None
        except ValueError as error:
            raise UsageMistake(f"--threshold {error}.") from error
        if found is None or units is None:
            raise UsageMistake(f"--threshold must be an amount such as 2000 or '2000 USD', found {text!r}.")
        return cls(units, found[2].upper() if found[2] else None)

    def is_met(self, person: "_Person") -> bool:
        """Tell whether a person is shown: what may have been issued counts as if it was."""
        return person.whole >= self.units and self.currency in {None, person.currency}


class Wanted(Struct, frozen=True):
    """What the report is to show: persons by `email` or `reference`, and sheets of other sources."""

    by: str
    days: Days
    threshold: str | None = None
    also: Sequence[Path] = ()
    sheet: str | None = None
    columns: Sequence[tuple[str, str]] = ()


class _Person(Struct):
    """What one person got in one currency, in units. `key` is empty for gifts without an address or reference."""

    key: str
    currency: str
    name: str = ""
    gifts: int = 0
    face: int = 0
    unknown_gifts: int = 0
    unknown: int = 0
    also: int = 0

    @property
    def whole(self) -> int:
        """All that the person got or may have got."""
        return self.face + self.unknown + self.also

    def add(self, other: "_Person") -> None:
        """Add another sum of the same person."""
        self.name = self.name or other.name
        self.gifts += other.gifts
        self.face += other.face
        self.unknown_gifts += other.unknown_gifts
        self.unknown += other.unknown
        self.also += other.also


def show(session: Session, wanted: Wanted, to: Path | None) -> None:
    """Show what each person got. Raises UsageMistake, InputError, ConfigurationError and OutputFailed."""
    if wanted.by not in PERSONS:
        raise UsageMistake(f"--by must be {' or '.join(PERSONS)}, found {wanted.by!r}.")
    threshold = Threshold.of(wanted.threshold)
    about = report_scope.scope(session, wanted.days)
    others = _others(session, wanted, about)
    totals = _Totals(wanted.by, len(wanted.also))
    persons = _persons(session, wanted.by, about, others, threshold)
    entries = (_entry(wanted.by, person) for person in totals.counted(persons, with_threshold=bool(threshold.units)))
    columns = _columns(wanted.by, with_also=bool(wanted.also))
    report = Report(
        (wanted.by, *PERSON_FIELDS),
        _NUMBERS,
        columns,
        lambda entry: _row(wanted.by, entry, len(columns)),
        totals.lines,
        "Nobody got that much." if threshold.units else "Nothing was issued from here.",
    )
    show_report(session, report, entries, to)
    session.console.note(report_scope.describe(session, about))
    if to is not None or session.output.format != "table":  # which ends with it
        session.console.note(_NO_ADVICE)
    if wanted.also:
        session.console.note("A gift that is in a file of --also and in this ledger is counted twice.")
    if totals.nobody:
        session.console.note(f"Gifts without {_a(wanted.by)} count for nobody: {format_gifts(totals.nobody)}.")
    tell_of_other_environments(session, [session.environment])


def _others(session: Session, wanted: Wanted, about: Scope) -> dict[_Key, _Person]:
    """Return what is not in the sums of the ledger: unsettled gifts, and what other sources say."""
    others: dict[_Key, _Person] = {}
    for path in wanted.also:
        for person in _also(path, wanted):
            _add(others, person)
    for each in session.ledger.unsettled_person_sums(wanted.by, about):
        _add(others, _person(wanted.by, each))
    return others


def _also(path: Path, wanted: Wanted) -> Iterator[_Person]:
    from runa_cli.input.headings import ColumnOptions  # imported late: these load pydantic
    from runa_cli.input.recipient_amounts import SheetOptions, read_amounts

    options = SheetOptions(wanted.sheet, ColumnOptions.of(wanted.columns, ()))
    for each in read_amounts(path, wanted.by, options):
        yield _Person(each.key, each.currency, each.name, also=each.amount, unknown=each.unknown)


def _persons(
    session: Session, by: str, about: Scope, others: Mapping[_Key, _Person], threshold: Threshold
) -> Iterator[_Person]:
    """Yield persons by currency, the largest sums first.

    The ledger's sums are read twice where there are others: once to add to those, and once for all the rest. So neither
    is in memory.
    """
    if others:
        for each in session.ledger.person_sums(by, about):
            if known := others.get((each.key, each.currency)):
                known.add(_person(by, each))
    sums = session.ledger.person_sums(by, about, least=threshold.units)
    every: Iterable[_Person] = (_person(by, each) for each in sums if (each.key, each.currency) not in others)
    if others:
        every = heapq.merge(every, sorted(others.values(), key=_order), key=_order)
    return (person for person in every if threshold.is_met(person))


def _order(person: _Person) -> tuple[str, int]:
    return person.currency, -person.whole


def _add(persons: dict[_Key, _Person], person: _Person) -> None:
    known = persons.setdefault((person.key, person.currency), _Person(person.key, person.currency))
    known.add(person)


def _person(by: str, each: PersonSum) -> _Person:
    return _Person(
        each.key, each.currency, _name(by, each), each.gifts, each.face, each.unknown_gifts, each.unknown_face
    )


def _name(by: str, each: PersonSum) -> str:
    """Return the address or reference of a person as one of its gifts has it; empty where all are pruned."""
    method = read_item(each.item).get("distribution_method") if each.item else None
    method = method if isinstance(method, dict) else {}
    if by == "email":
        return str(method.get("email_address") or "")
    return str(method.get("recipient_reference") or each.reference or "")


def _entry(by: str, person: _Person) -> Entry:
    currency = person.currency
    return {
        by: person.name or None,
        "person": person.key or None,
        "currency": currency,
        "gifts": person.gifts,
        "face_value": units_text(person.face, currency),
        "unknown_gifts": person.unknown_gifts,
        "unknown_face_value": units_text(person.unknown, currency),
        "also": units_text(person.also, currency),
        "total": units_text(person.face + person.also, currency),
    }


# --- for people ------------------------------------------------------------------------------------------------------


def _columns(by: str, *, with_also: bool) -> tuple[Column, ...]:
    also = (Column("Elsewhere", number=True, no_wrap=True),) if with_also else ()
    return (
        Column(by.capitalize()),
        Column("Gifts", number=True, no_wrap=True),
        Column("Issued", number=True, no_wrap=True),
        *also,
        Column("Total", number=True, no_wrap=True),
        Column("Unknown", number=True, no_wrap=True),
    )


_COLUMNS_WITH_ALSO = 6


def _row(by: str, entry: Entry, columns: int) -> list[str]:
    pruned = f"(pruned, {str(entry['person'])[:12]})"
    name = entry[by] or (pruned if entry["person"] else f"(without {_a(by)})")
    unknown = _money(entry["unknown_face_value"], entry) if entry["unknown_face_value"] != _zero(entry) else ""
    also = [_money(entry["also"], entry)] if columns == _COLUMNS_WITH_ALSO else []
    issued, total = _money(entry["face_value"], entry), _money(entry["total"], entry)
    return [str(name), f"{entry['gifts']:,}", issued, *also, total, unknown]


def _zero(entry: Entry) -> str:
    return units_text(0, str(entry["currency"]))


def _money(amount: object, entry: Entry) -> str:
    return amount_text(Decimal(str(amount)), str(entry["currency"]))


def _a(by: str) -> str:
    return "an address" if by == "email" else "a reference"


class _Totals(Struct):
    """Counts what passes, for the line at the end. `nobody`: gifts that count for no person."""

    by: str
    sources: int
    nobody: int = 0
    persons: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)

    def counted(self, persons: Iterable[_Person], *, with_threshold: bool) -> Iterator[_Person]:
        """Yield persons as they are counted. With a threshold, what counts for nobody is left out."""
        for person in persons:
            if not person.key:
                self.nobody += person.gifts + person.unknown_gifts
                if with_threshold:
                    continue
            else:
                self.persons[person.currency] = self.persons.get(person.currency, 0) + 1
            self.units[person.currency] = self.units.get(person.currency, 0) + person.face + person.also
            yield person

    def lines(self) -> Iterator[str]:
        """Yield a line for each currency: currencies are never added up."""
        for currency, units in sorted(self.units.items()):
            persons = counted(self.persons.get(currency, 0), "person")
            yield f"{persons}, {amount_text(Decimal(units_text(units, currency)), currency)}."
        if self.units:
            yield _NO_ADVICE
