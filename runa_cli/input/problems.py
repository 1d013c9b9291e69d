"""Every problem of an input, with its place: the first fifty are listed, the rest is counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from runa_cli.core.errors import InputError

MOST_LISTED = 50


@dataclass(frozen=True)
class Place:
    """Where in the input: a flag or the setting in its place, or a file with its line, row and column, or its path."""

    flag: str | None = None
    setting: str | None = None  # with its origin, as in `RUNA_CURRENCY (.env)`
    file: str | None = None
    line: int | None = None
    row: int | None = None
    column: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        if self.flag or self.setting:
            return self.flag or self.setting or ""
        where = [self.file] if self.file else []
        if self.line is not None:
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
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass
class Problems:
    """Collects problems; the same one is counted once. `settings` names the settings in place of flags."""

    settings: Mapping[str, str] = field(default_factory=dict)
    listed: dict[tuple[Place, str], None] = field(default_factory=dict)
    count: int = 0

    def add(self, place: Place, sentence: str) -> None:
        """Add a problem; the sentence completes the place, as in `row 2, column email: is no address`."""
        if setting := self.settings.get(place.flag or ""):
            place = Place(setting=setting)
        if (place, sentence) in self.listed:
            return
        self.count += 1
        if len(self.listed) < MOST_LISTED:
            self.listed[place, sentence] = None

    def stop(self, place: Place, sentence: str) -> NoReturn:
        """Add a problem after which the rest cannot be read. Raises InputError."""
        self.add(place, sentence)
        self.check()
        raise AssertionError("a problem was added, so check raises")

    def check(self) -> None:
        """Raise InputError if there is any problem."""
        if not self.count:
            return
        self.listed = dict.fromkeys(sorted(self.listed, key=lambda problem: problem[0].row or 0))
        lines = [f"{place}: {sentence}." for place, sentence in self.listed]
        if self.count > len(lines):
            lines.append(f"… and {self.count - len(lines)} more.")
        if self.count == 1:
            message = lines[0]
        else:
            message = f"The input has {self.count} mistakes:\n" + "\n".join(f"  {line}" for line in lines)
        raise InputError(
            message,
            hint="Nothing was sent or recorded.",
            details=[{**place.as_dict(), "message": f"{sentence}."} for place, sentence in self.listed],
        )
