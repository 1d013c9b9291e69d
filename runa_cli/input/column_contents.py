"""What the cells of unused columns look like: one may hold the addresses of the list, or its amounts."""

import shlex
from collections.abc import Sequence

from msgspec import Struct, field

from runa_cli.core.amounts import is_currency, looks_like_amount
from runa_cli.input.columns import plain_heading
from runa_cli.input.headings import Heading, Kind, is_address
from runa_cli.input.problems import Place, Problems

_WORTH_A_LOOK = {"reference", "description", "recipient"}  # fields of free text
# Words of headings whose numbers are no money, in the languages of the known headings.
_NO_MONEY = (
    "id", "ids", "nr", "no", "num", "number", "nummer", "numero", "numéro", "número", "code", "year", "jahr", "année",
    "año", "month", "monat", "mois", "day", "tag", "date", "datum", "phone", "tel", "telefon", "mobile", "handy", "zip",
    "plz", "postcode", "age", "alter", "row", "zeile", "line", "level", "grade", "floor", "#",
)  # fmt: skip


class _Seen(Struct):
    """Counts of one column."""

    heading: Heading
    index: int
    cells: int = 0
    addresses: int = 0
    amounts: int = 0
    currencies: int = 0
    address: str = ""  # the first of its kind
    amount: str = ""
    currency: str = ""
    numbers: list[str] = field(default_factory=list)  # the first few, to tell a counter from amounts


class ColumnContents:
    """Counts what unused columns hold, row by row.

    Addresses are looked for where no column is the `email`, amounts where none is the `face_value`, and codes of
    currencies where none is the `currency`.
    """

    def __init__(self, headings: Sequence[Heading]) -> None:
        fields = {heading.field for heading in headings}
        self._addresses = "email" not in fields
        self._amounts = "face_value" not in fields
        self._currencies = "currency" not in fields
        self._columns = (
            [_Seen(heading, index) for index, heading in enumerate(headings) if _is_unused(heading)]
            if self._addresses or self._amounts or self._currencies
            else []
        )

    def see(self, cells: Sequence[str]) -> None:
        """Count the cells of a row."""
        for seen in self._columns:
            cell = cells[seen.index].strip()
            if not cell:
                continue
            seen.cells += 1
            if self._addresses and is_address(cell):
                seen.addresses += 1
                seen.address = seen.address or cell
            if self._amounts and seen.heading.kind is Kind.CARRIED and looks_like_amount(cell):
                seen.amounts += 1
                seen.amount = seen.amount or cell
                if len(seen.numbers) < _FEW:
                    seen.numbers.append(cell)
            elif self._currencies and len(cell) == _CODE and seen.heading.kind is Kind.CARRIED and is_currency(cell):
                seen.currencies += 1
                seen.currency = seen.currency or cell

    def check(self, place: Place, problems: Problems) -> None:
        """Add a problem for each column whose cells are mostly addresses or amounts; `place` is that of the header."""
        for seen in self._columns:
            where = Place(file=place.file, line=place.line, column=seen.heading.shown)
            if seen.addresses * 2 > seen.cells:
                problems.add(
                    where, f"holds e-mail addresses ({seen.address}), and no column is email: {_ways('email', seen)}"
                )
            elif seen.currencies * 2 > seen.cells:
                problems.add(where, f"holds currencies ({seen.currency}), and is not used: {_ways('currency', seen)}")
            elif _holds_amounts(seen):
                problems.add(
                    where,
                    f"holds amounts ({seen.amount}), and face_value comes from a flag: {_ways('face_value', seen)}",
                )

    def likely_values(self) -> list[str]:
        """Return the headings of the columns that look most like the values of the gifts."""
        return [
            seen.heading.shown for seen in self._columns if seen.amounts * 2 > seen.cells and not _is_no_money(seen)
        ]


_FEW = 3
_CODE = 3  # letters of the code of a currency


def _is_unused(heading: Heading) -> bool:
    return not heading.said and (heading.kind is Kind.CARRIED or heading.field in _WORTH_A_LOOK)


def _ways(name: str, seen: _Seen) -> str:
    heading = shlex.quote(seen.heading.shown)
    return f"add --column {name}={heading} if it is meant, or --carry {heading} if not"


def _holds_amounts(seen: _Seen) -> bool:
    return seen.amounts * 2 > seen.cells and not _is_no_money(seen)


def _is_no_money(seen: _Seen) -> bool:
    """Tell whether a column of numbers counts or names something: by a word of its heading, or 1, 2, 3."""
    words = set(seen.heading.name.casefold().replace(".", " ").replace("_", " ").replace("-", " ").split())
    counter = [str(number) for number in range(1, len(seen.numbers) + 1)]
    return bool(words & set(_NO_MONEY)) or plain_heading(seen.heading.name) in _NO_MONEY or seen.numbers == counter
