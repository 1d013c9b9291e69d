"""Reads who got how much from a sheet of another source: its headings and amounts are those of a list of gifts.

A report on recipients and a results file of this program are recognised by their headers.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path

from msgspec import Struct

from runa_cli.core.amounts import marks_in, read_amount
from runa_cli.core.identity import address_key, reference_key
from runa_cli.core.safe_text import undefused
from runa_cli.core.units import to_units
from runa_cli.input import fields
from runa_cli.input.csv_file import CsvTable
from runa_cli.input.headings import ColumnOptions, is_address, is_results_header, read_headings
from runa_cli.input.problems import Place, Problems
from runa_cli.input.table import ERROR_CELLS, Record, Table, split_header
from runa_cli.input.totals import total_label
from runa_cli.ledger.spent_queries import PERSON_FIELDS

_KEYS: Mapping[str, Callable[[str], str]] = {"email": address_key, "reference": reference_key}


class RecipientAmount(Struct, frozen=True):
    """What a source says that somebody got, in units. `key` is the digest of the address or reference in `name`."""

    key: str
    name: str
    currency: str
    amount: int
    unknown: int = 0


class SheetOptions(Struct, frozen=True):
    """What a person says about the sheets: of a workbook, the name of one, and which columns are which fields."""

    sheet: str | None = None
    columns: ColumnOptions = ColumnOptions()


def read_amounts(path: Path, by: str, options: SheetOptions) -> Iterator[RecipientAmount]:
    """Yield who got how much; `by` is `email` or `reference`. Raises InputError, with all mistakes at once."""
    problems = Problems()
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("rb"))
        except OSError as error:
            problems.stop(Place(flag="--also"), f"cannot read {path}: {error.strerror}")
        if path.suffix.lower() in {".xlsx", ".xlsm"}:
            from runa_cli.input.xlsx_file import XlsxTable  # imported late: it needs openpyxl

            table: Table = stack.enter_context(XlsxTable(stream, str(path), problems, options.sheet))
        else:
            table = CsvTable(stream, str(path), problems, options.columns)
        yield from _Sheet(table, by, options.columns, problems).amounts()
    problems.check()


class _Sheet:
    def __init__(self, table: Table, by: str, options: ColumnOptions, problems: Problems) -> None:
        self._table = table
        self._by = by
        self._problems = problems
        self._header, self._records = split_header(table, options, None, problems)
        names = [name.strip() for name in self._header.cells]
        self._is_report = tuple(names[1:]) == PERSON_FIELDS
        self._is_results = is_results_header(names)
        self._fields = dict(zip(names, range(len(names)), strict=True)) if self._is_report else self._known(options)
        self._marks = marks_in(self._name("face_value"))
        self._check_columns()

    def _known(self, options: ColumnOptions) -> dict[str, int]:
        headings = read_headings(self._header.cells, options, self._place_of_heading, self._problems)
        self._problems.check()
        known = {heading.field: index for index, heading in enumerate(headings) if heading.field is not None}
        if self._is_results:
            known["item_id"] = [name.strip() for name in self._header.cells].index("item_id")
        return known

    def _check_columns(self) -> None:
        where = self._table.place(self._header.line)
        needed = {self._by, "face_value"}
        if self._by == "reference" and "recipient" in self._fields:
            needed.discard("reference")
        for name in sorted(needed - self._fields.keys()):
            shown = ", ".join(cell.strip() or "(no name)" for cell in self._header.cells)
            self._problems.stop(
                where, f"there is no column {name}: name one with --column {name}=HEADING. The columns are: {shown}"
            )

    def amounts(self) -> Iterator[RecipientAmount]:
        """Yield the amounts of all rows that can be read, and add a problem for each one that cannot."""
        number = 0
        for record in self._records:
            if record.is_blank:
                continue
            number += 1
            found = self._amount(record, number)
            if found is not None:
                yield found

    def _amount(self, record: Record, number: int) -> RecipientAmount | None:
        where = self._table.place(record.line, row=number)
        cells = {name: record.cells[index].strip() for name, index in self._fields.items() if index < len(record.cells)}
        if (self._is_report or self._is_results) and self._table.is_defused:
            cells = {name: undefused(cell) for name, cell in cells.items()}
        if record.cells == self._header.cells:
            self._problems.add(where, "is the header again: delete it, and look whether the list is there twice")
            return None
        if not ERROR_CELLS.isdisjoint(cells.values()):
            self._problems.add(where, "holds an error, or a formula without a value")
            return None
        if self._is_results and not cells.get("item_id"):  # nothing was issued by this row
            return None
        name = self._who(cells)
        if label := "" if is_address(name) else total_label(list(cells.values())):
            self._problems.add(where, f"looks like a row of totals ({label}): delete it")
            return None
        key = _KEYS[self._by](name) or (cells.get("person", "") if self._is_report else "")
        if self._by == "email" and name and not is_address(name):
            self._problems.add(where, f"column {self._name('email')}: {name!r} is no address")
            return None
        if self._is_report:
            return self._reported(cells, key, name, where)
        return self._gift(cells, key, name, where)

    def _who(self, cells: Mapping[str, str]) -> str:
        return (cells.get("recipient", "") if self._by == "reference" else "") or cells.get(self._by, "")

    def _gift(self, cells: Mapping[str, str], key: str, name: str, where: Place) -> RecipientAmount | None:
        text = cells.get("face_value", "")
        amount = read_amount(text, decimal_comma=self._table.dialect.delimiter != ",")
        if amount is None:
            self._problems.add(where, f"column {self._name('face_value')}: {text!r} is no amount, or could be two")
            return None
        amount = amount.beside(self._marks)
        currency = cells.get("currency", "").upper() or next(filter(_is_code, amount.marks), "").upper()
        if not _is_code(currency):
            self._problems.add(where, "has no currency: add a column currency, or write it with the amount (25.00 USD)")
            return None
        if mark := amount.disagreement(currency):
            self._problems.add(where, f"has {mark} beside the amount, and {currency} as its currency")
            return None
        count = fields.quantity(cells.get("quantity") or None, where, self._problems)
        return self._made(key, name, currency, amount.value * count, Decimal(0), where)

    def _reported(self, cells: Mapping[str, str], key: str, name: str, where: Place) -> RecipientAmount | None:
        try:
            total, unknown = Decimal(cells["total"]), Decimal(cells["unknown_face_value"])
        except (InvalidOperation, KeyError):
            self._problems.add(where, "is not as this program wrote it: its amounts cannot be read")
            return None
        return self._made(key, name, cells["currency"], total, unknown, where)

    def _made(  # noqa: PLR0917 - each is another part of what is made
        self, key: str, name: str, currency: str, amount: Decimal, unknown: Decimal, where: Place
    ) -> RecipientAmount | None:
        units, unknown_units = to_units(amount), to_units(unknown)
        if units is None or unknown_units is None:
            self._problems.add(where, "holds an amount that is too large")
            return None
        return RecipientAmount(key, name, currency, units, unknown_units)

    def _name(self, field: str) -> str:
        index = self._fields.get(field)
        return field if index is None else self._header.cells[index]

    def _place_of_heading(self, index: int, name: str) -> Place:
        return self._table.place(self._header.line, index=index, column=name)


def _is_code(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isalpha()
