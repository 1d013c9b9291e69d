"""Every problem of an input, with its place.

The same problem in many rows is one. The first fifty are listed, the rest is counted.
"""

from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from msgspec import Struct, field

from runa_cli.core.errors import InputError

MOST_LISTED = 50
MOST_RANGES = 8  # of lines, in a message


class Place(NamedTuple):
    """Where in the input: a flag or the setting in its place, or a file with its line, row and column, or its path.

    `line` is the row of a workbook's sheet, and `cell` the name of its cell.
    """

    flag: str | None = None
    setting: str | None = None  # with its origin, as in `RUNA_CURRENCY (.env)`
    file: str | None = None
    line: int | None = None
    row: int | None = None
    cell: str | None = None
    column: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        return self.text(Lines())

    def text(self, others: "Lines") -> str:
        """Return the place as text, with the lines of others where the same is wrong."""
        if self.flag or self.setting:
            return self.flag or self.setting or ""
        where = [self.file] if self.file else []
        if others.count > 1 and self.line is not None:
            where.append(f"lines {others} ({others.count:,} rows)")
        elif others.count > 1 and self.row is not None:
            where.append(f"rows {others} ({others.count:,} rows)")
        elif self.cell:
            where.append(f"cell {self.cell}")
        elif self.line is not None:
            where.append(f"line {self.line}" + (f" (row {self.row})" if self.row is not None else ""))
        elif self.row is not None:
            where.append(f"row {self.row}")
        if self.column:
            where.append(f"column {self.column}")
        if self.path:
            where.append(self.path)
        return ", ".join(where) or "input"

    def as_dict(self) -> dict[str, object]:
        """Return the parts that are known."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    @property
    def kind(self) -> "Place":
        """The place without what differs from row to row."""
        return self._replace(line=None, row=None, cell=None)


class Lines(Struct):
    """Numbers of lines that come in their order; consecutive ones become a range, and only the first are kept."""

    count: int = 0
    _ranges: list[list[int]] = field(default_factory=list)

    def add(self, line: int | None) -> None:
        """Add a line; a place in JSON has none."""
        self.count += 1
        if line is None:
            return
        if self._ranges and line <= self._ranges[-1][1] + 1:
            self._ranges[-1][1] = max(line, self._ranges[-1][1])
        elif len(self._ranges) <= MOST_RANGES:
            self._ranges.append([line, line])

    def __str__(self) -> str:
        shown = [str(first) if first == last else f"{first}-{last}" for first, last in self._ranges[:MOST_RANGES]]
        return ", ".join(shown) + (", …" if len(self._ranges) > MOST_RANGES else "")


class _Problem(Struct):
    place: Place  # the first
    sentence: str
    lines: Lines = field(default_factory=Lines)
    last: Place | None = None

    def add(self, place: Place) -> None:
        """Add a place; several gifts of one row, or all that a flag fills in, are in the same."""
        if place != self.last:
            self.lines.add(place.line if place.row is None or place.line is not None else place.row)
        self.last = place

    def as_dict(self) -> dict[str, object]:
        rows = {"lines": str(self.lines), "count": self.lines.count} if self.lines.count > 1 else {}
        return {**self.place.as_dict(), **rows, "message": f"{self.sentence}."}


class Problems(Struct):
    """Collects problems; the same one in many rows is one. `settings` names the settings in place of flags."""

    settings: Mapping[str, str] = field(default_factory=dict)
    count: int = 0
    _listed: dict[tuple[Place, str], _Problem] = field(default_factory=dict)
    _others: int = 0  # that are counted, but not listed

    def add(self, place: Place, sentence: str) -> None:
        """Add a problem; the sentence completes the place, as in `row 2, column email: is no address`."""
        if setting := self.settings.get(place.flag or ""):
            place = Place(setting=setting)
        self.count += 1
        key = (place.kind, sentence)
        if key not in self._listed:
            if len(self._listed) >= MOST_LISTED:
                self._others += 1
                return
            self._listed[key] = _Problem(place, sentence)
        self._listed[key].add(place)

    def stop(self, place: Place, sentence: str) -> NoReturn:
        """Add a problem after which the rest cannot be read. Raises InputError."""
        self.add(place, sentence)
        self.check()
        raise AssertionError("a problem was added, so check raises")

    def check(self) -> None:
        """Raise InputError if there is any problem."""
        if not self.count:
            return
        listed = sorted(self._listed.values(), key=lambda problem: problem.place.row or 0)
        lines = [f"{problem.place.text(problem.lines)}: {problem.sentence}." for problem in listed]
        if self._others:
            lines.append(f"… and {self._others:,} more.")
        if len(lines) == 1:
            message = lines[0]
        else:
            message = f"The input has {len(listed) + self._others:,} mistakes:\n" + "\n".join(
                f"  {line}" for line in lines
            )
        raise InputError(
            message,
            hint="Nothing was sent or recorded.",
            details=[problem.as_dict() for problem in listed],
        )
