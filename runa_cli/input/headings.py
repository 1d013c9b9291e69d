"""What each column of a sheet is: a field, carried to the results, or added by this program to its own results."""

import re
import shlex
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from msgspec import Struct, field

from runa_cli.core.amounts import looks_like_amount
from runa_cli.input.columns import field_of, is_day_of_delivery, is_vendor_code, may_mean, plain_heading, typo_of
from runa_cli.input.problems import Place, Problems
from runa_cli.ledger import results

_ADDRESS = re.compile(r"[^\s@,;]+@[^\s@,;]+\.[^\s@.,;]+")
_MOST_NAMED = 20  # columns in a message


class Kind(Enum):
    """What becomes of a column."""

    FIELD = "field"
    CARRIED = "carried"  # to the results
    ADDED = "added"  # by this program, to its results


class Heading(NamedTuple):
    """A column: its name as the sheet has it, and the field that it fills in. `said` where a person said what it is."""

    name: str
    kind: Kind
    field: str | None = None
    said: bool = False

    @property
    def shown(self) -> str:
        """The name for a message."""
        return self.name.strip() or "(no name)"


class ColumnOptions(Struct, frozen=True):
    """What a person says about columns: `fields` by heading, and headings that are carried, in plain form."""

    fields: dict[str, str] = field(default_factory=dict)
    carried: frozenset[str] = frozenset()
    given: dict[str, tuple[str, str]] = field(default_factory=dict)  # the flag and the name as they were typed

    @classmethod
    def of(cls, columns: Sequence[tuple[str, str]], carry: Sequence[str]) -> "ColumnOptions":
        """Return the options of `--column FIELD=HEADER` and `--carry HEADER`."""
        given = {plain_heading(name): ("--carry", name) for name in carry}
        given |= {plain_heading(name): ("--column", name) for _, name in columns}
        return cls({plain_heading(name): field for field, name in columns}, frozenset(map(plain_heading, carry)), given)

    def means_field(self, name: str) -> bool:
        """Tell whether a heading is that of a field."""
        plain = plain_heading(name)
        return plain in self.fields or (plain not in self.carried and field_of(name) is not None)


class PlaceOfHeading(Protocol):
    """Names the place of a heading, given its index and its text."""

    def __call__(self, index: int, name: str) -> Place:
        """Return the place."""


def read_headings(
    names: Sequence[str], options: ColumnOptions, place: PlaceOfHeading, problems: Problems
) -> list[Heading]:
    """Return what each column is. Adds a problem for each heading that is not clear."""
    is_results = is_results_header(names)
    headings = [
        _heading(name, options, is_added=is_results and index < len(results.COLUMNS))
        for index, name in enumerate(names)
    ]
    seen: dict[str, str] = {}
    for index, heading in enumerate(headings):
        where = place(index, heading.shown)
        if heading.field is not None:
            if heading.field in seen:
                first = seen[heading.field]
                same = plain_heading(first) == plain_heading(heading.name)
                advice = "rename one of them" if same else "say with --carry which of them is only kept"
                problems.add(where, f"is a second column for {heading.field}, beside {first}: {advice}")
            seen.setdefault(heading.field, heading.shown)
        elif heading.kind is Kind.CARRIED and not heading.said:
            _check_unknown(heading, where, problems)
    _check_options(headings, options, problems)
    return headings


def _heading(name: str, options: ColumnOptions, *, is_added: bool) -> Heading:
    plain = plain_heading(name)
    if plain in options.fields:
        return Heading(name, Kind.FIELD, options.fields[plain], said=True)
    if plain in options.carried and plain:
        return Heading(name, Kind.CARRIED, said=True)
    if known := field_of(name):
        return Heading(name, Kind.FIELD, known)
    return Heading(name, Kind.ADDED if is_added else Kind.CARRIED)


def _check_unknown(heading: Heading, place: Place, problems: Problems) -> None:
    carry = f"--carry {shlex.quote(heading.shown)}"
    if is_vendor_code(heading.name):
        problems.add(
            place, f"is for another vendor's product codes: say with --product what can be bought, and add {carry}"
        )
    elif is_day_of_delivery(heading.name):
        problems.add(place, f"is not observed, because gifts are issued at once: add {carry} if that is meant")
    elif field := may_mean(heading.name):
        column = f"--column {field}={shlex.quote(heading.shown)}"
        problems.add(place, f"may be the {field}: add {column} if it is, or {carry} if it is not")
    elif near := typo_of(heading.name):
        problems.add(
            place,
            f"is one typo away from {near}: rename it, or add --column {near}={shlex.quote(heading.shown)}, or {carry}",
        )


def _check_options(headings: Sequence[Heading], options: ColumnOptions, problems: Problems) -> None:
    names = [plain_heading(heading.name) for heading in headings]
    for plain, (flag, given) in options.given.items():
        if not plain or plain not in names:
            problems.add(Place(flag=flag), f"there is no column {given!r}. {columns_found(headings)}")
        elif names.count(plain) > 1:
            problems.add(Place(flag=flag), f"there are {names.count(plain)} columns {given!r}: rename one of them")


def columns_found(headings: Sequence[Heading]) -> str:
    """Say which columns a sheet has."""
    names = [heading.shown for heading in headings]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"The columns are: {', '.join(names[:_MOST_NAMED])}{more}"


def is_results_header(names: Sequence[str]) -> bool:
    """Tell whether a header is that of results which this program wrote."""
    return tuple(name.strip() for name in names[: len(results.COLUMNS)]) == results.COLUMNS


def is_address(cell: str) -> bool:
    """Tell whether a cell looks like an e-mail address."""
    return _ADDRESS.fullmatch(cell.strip()) is not None


def data_in_header(names: Sequence[str], *, has_field: bool) -> str | None:
    """Return the cell of a header that can only be data; None where there is none.

    An amount may be a heading beside those of fields: a year, for example.
    """
    cells = [name.strip() for name in names if name.strip()]
    found = next((cell for cell in cells if is_address(cell)), None)
    if found is None and not has_field:
        found = next((cell for cell in cells if looks_like_amount(cell)), None)
    return found
