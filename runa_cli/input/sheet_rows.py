"""From the rows of a sheet to items of the plan. Flags fill in empty cells and missing columns."""

import shlex
from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from msgspec import Struct

from runa_cli.core.amounts import WrittenAmount, marks_in, read_amount
from runa_cli.core.safe_text import undefused
from runa_cli.input import fields
from runa_cli.input.column_contents import ColumnContents
from runa_cli.input.columns import plain_heading
from runa_cli.input.fields import item_document
from runa_cli.input.headings import ColumnOptions, Heading, Kind, columns_found, is_results_header, read_headings
from runa_cli.input.places import RowPlace
from runa_cli.input.plan import ColumnUse
from runa_cli.input.plan_builder import PlanBuilder
from runa_cli.input.problems import Place
from runa_cli.input.table import ERROR_CELLS, NO_VALUE, Record, Table, split_header
from runa_cli.input.totals import Totals, total_label

_NO_VALUE = "a formula whose value is not in the file: open the workbook in its program and save it"
_LOOKED_AT = 50  # rows, to tell which column may be the value


def add_rows(builder: PlanBuilder, table: Table, options: ColumnOptions, header_row: int | None = None) -> None:
    """Add the rows of a sheet. Raises InputError where its header cannot be used."""
    _Sheet(builder, table, options, header_row).add_rows()


class _Row(Struct):
    """A row: where it is, the cells of known columns by their field, and those that are carried."""

    line: int
    row: int
    cells: dict[str, str]
    carried: tuple[str, ...]


class _Sheet:
    def __init__(self, builder: PlanBuilder, table: Table, options: ColumnOptions, header_row: int | None) -> None:
        self._builder = builder
        self._problems = builder.problems
        self._table = table
        self._header, self._records = split_header(table, options, header_row, builder.problems)
        self._headings = read_headings(self._header.cells, options, self._place_of_heading, builder.problems)
        self._is_results = is_results_header(self._header.cells)
        self._fields = {
            heading.field: index for index, heading in enumerate(self._headings) if heading.field is not None
        }
        self._carried = [index for index, heading in enumerate(self._headings) if heading.kind is Kind.CARRIED]
        self._marks = next((marks_in(heading.name) for heading in self._headings if heading.field == "face_value"), ())
        self._names = {heading.field: _shown_name(heading) for heading in self._headings if heading.field is not None}
        self._contents = ColumnContents(self._headings)
        self._totals = Totals()
        self._addresses = builder.addresses
        if "email" in self._fields and not self._is_results:  # which have the column even where all are payout links
            self._addresses.expect()
        self._defaults = builder.defaults()
        self._filled_in = lru_cache(maxsize=64)(self._find_filled_in)

    def add_rows(self) -> None:
        """Add the gifts of all rows."""
        self._builder.plan.columns = tuple(self._headings[index].name for index in self._carried)
        self._builder.plan.dialect = self._table.dialect
        self._builder.plan.column_uses = tuple(
            ColumnUse(heading.shown, heading.field, heading.kind is Kind.ADDED) for heading in self._headings
        )
        self._check_columns()
        self._check_hidden()
        self._problems.check()
        number = 0
        for record in self._records:
            if record.is_blank:
                continue
            number += 1
            if record.cells == self._header.cells:
                where = self._table.place(record.line, row=number)
                self._problems.add(where, "is the header again: delete it, and look whether the list is there twice")
                continue
            if len(record.cells) > len(self._headings) and record.width > len(self._headings):
                self._problems.add(
                    self._table.place(record.line, row=number),
                    f"has {record.width} cells, but the header names {len(self._headings)}",
                )
                continue
            self._add(self._row(record, number))
        if (last := self._totals.last_is_sum) is not None:
            self._problems.add(
                self._table.place(last[0], row=last[1]),
                "looks like a row of totals, because its value is the sum of those above: delete it,"
                " or move it up if it is a gift",
            )
        self._contents.check(self._table.place(self._header.line), self._problems)

    def _row(self, record: Record, number: int) -> _Row:
        cells = record.cells[: len(self._headings)]
        cells += [""] * (len(self._headings) - len(cells))
        if self._is_results and self._table.is_defused:
            cells = [undefused(cell) for cell in cells]
        self._contents.see(cells)
        return _Row(
            record.line,
            number,
            {name: text for name, index in self._fields.items() if (text := cells[index].strip())},
            tuple([cells[index] for index in self._carried]),
        )

    def _add(self, row: _Row) -> None:
        own = row.cells
        defaults, filled = self._filled_in(tuple(own))
        place = RowPlace(partial(self._place_of_cell, row.line, row.row), filled)
        amount = self._amount(own.get("face_value"))
        if self._has_mistake(row, own, defaults, place):
            return
        cells: dict[str, Any] = {**defaults, **own}
        if amount is not None:
            cells["face_value"] = amount.number
        if isinstance(cells.get("product"), str):
            cells["product"] = [code.strip() for code in cells["product"].split("|")]
        quantity = self._quantity(cells.get("quantity"), place)
        if amount is not None:
            self._totals.add(amount.value, quantity, (row.line, row.row), has_address="email" in own)
        self._builder.add_item(
            item_document(cells),
            place,
            row=row.row,
            currency=cells.get("currency"),
            description=cells.get("description"),
            reference=own.get("reference"),
            carried=row.carried,
            quantity=quantity,
            amount=amount,
        )

    def _find_filled_in(self, own: Collection[str]) -> tuple[dict[str, Any], frozenset[str]]:
        """Return what flags fill in beside the fields that a row has of its own: values, and names."""
        products = {"product", "product_template"}
        defaults = self._defaults
        if not products.isdisjoint(own):
            defaults = {name: value for name, value in defaults.items() if name not in products}
        return defaults, frozenset({*defaults, "metadata"}.difference(own))

    def _amount(self, cell: str | None) -> WrittenAmount | None:
        if cell is None:
            return None
        amount = read_amount(cell, decimal_comma=self._table.dialect.delimiter != ",")
        return amount.beside(self._marks) if amount and self._marks else amount

    def _quantity(self, text: str | None, place: RowPlace) -> int:
        if text is None:
            return 1
        return fields.quantity(text, place(("quantity",), alone=True), self._problems)

    # --- mistakes ------------------------------------------------------------------------------------------------

    def _has_mistake(
        self,
        row: _Row,
        own: Mapping[str, str],
        defaults: Mapping[str, Any],
        place: RowPlace,
    ) -> bool:
        """Add the problems of a row as a whole, and tell whether there were any."""
        if not ERROR_CELLS.isdisjoint(own.values()):
            name, cell = next(found for found in own.items() if found[1] in ERROR_CELLS)
            found = _NO_VALUE if cell == NO_VALUE else f"an error, {cell}"
            self._problems.add(place.locate(name), f"holds {found}")
            return True
        if own.keys() >= {"product", "product_template"}:
            self._problems.add(
                place(("products",)), "stands beside product_template: a gift has one choice of products"
            )
            return True
        if "email" in own:
            self._addresses.expect()
            return False
        if label := total_label([*own.values(), *row.carried]):
            self._problems.add(
                self._table.place(row.line, row=row.row), f"looks like a row of totals ({label}): delete it"
            )
            return True
        return self._lacks_address(defaults, place)

    def _lacks_address(self, defaults: Mapping[str, Any], place: RowPlace) -> bool:
        if "email" not in self._fields or "email" in defaults:
            return False
        return self._addresses.is_missing(place.locate("email"))

    def _check_columns(self) -> None:
        if self._header.is_blank:
            self._problems.stop(Place(file=self._table.name), "is empty")
        where = self._table.place(self._header.line)
        if "face_value" not in self._fields and self._builder.order_input.face_value is None:
            self._problems.add(
                where,
                "there is no column face_value, the value of each gift, and no --face-value either."
                f" {columns_found(self._headings)}. {self._likely_value()}",
            )
        if not {"product", "product_template"} & {*self._fields, *self._defaults}:
            self._problems.add(
                where, "there is no column product, and no --product either: `runa product list` shows the codes"
            )

    def _likely_value(self) -> str:
        """Say which column may be the value of the gifts, as far as the first rows tell."""
        for record in islice(self._records, _LOOKED_AT):
            self._contents.see([*record.cells, *[""] * len(self._headings)])
        for name in self._contents.likely_values():
            return f"Perhaps it is --column face_value={shlex.quote(name)}"
        return "Another column is used with --column face_value=HEADING"

    def _check_hidden(self) -> None:
        for index, heading in enumerate(self._headings):
            if index in self._table.hidden_columns and heading.kind is Kind.FIELD and not heading.said:
                column = f"--column {heading.field}={shlex.quote(heading.shown)}"
                self._problems.add(
                    self._place_of_heading(index, heading.shown),
                    f"is hidden in the sheet, and would be used: show it, or add {column} if it is meant",
                )

    # --- places --------------------------------------------------------------------------------------------------

    def _place_of_heading(self, index: int, name: str) -> Place:
        return self._table.place(self._header.line, index=index, column=name)

    def _place_of_cell(self, line: int, row: int, name: str) -> Place:
        return self._table.place(line, row=row, index=self._fields.get(name), column=self._names.get(name, name))


def _shown_name(heading: Heading) -> str:
    """Return the name of a field's column as the sheet has it, where that is another one."""
    known = heading.field or ""
    return known if plain_heading(heading.name) == plain_heading(known) else heading.shown
