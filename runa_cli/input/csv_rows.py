"""From the rows of a CSV file to items of the plan. Flags fill in empty cells and missing columns."""

from collections.abc import Mapping
from typing import Any

from runa_cli.core.money import decimal_point
from runa_cli.input import fields
from runa_cli.input.csv_file import CsvFile, CsvRow
from runa_cli.input.fields import item_document
from runa_cli.input.places import RowPlace
from runa_cli.input.plan_builder import PlanBuilder
from runa_cli.input.problems import Place


def add_rows(builder: PlanBuilder, sheet: CsvFile) -> None:
    """Add the rows of a CSV file. Raises InputError where its header cannot be used."""
    builder.plan.columns = sheet.carried
    if "face_value" not in sheet.columns and builder.order_input.face_value is None:
        builder.problems.add(
            Place(file=sheet.name, line=1), "there is no column face_value, and no --face-value either"
        )
    builder.problems.check()
    defaults = builder.defaults()
    for row in sheet.rows():
        _add_row(builder, row, defaults, decimal_comma=sheet.delimiter != ",")


def _add_row(builder: PlanBuilder, row: CsvRow, defaults: Mapping[str, Any], *, decimal_comma: bool) -> None:
    own = {name: cell for name, cell in row.cells.items() if cell}
    if own.keys() & {"product", "product_template"}:
        defaults = {name: value for name, value in defaults.items() if name not in {"product", "product_template"}}
    cells = {**defaults, **own}
    place = RowPlace(row.place, frozenset({*defaults, "metadata"}.difference(own)))
    if "face_value" in own and decimal_comma:
        cells["face_value"] = decimal_point(own["face_value"])
    if isinstance(cells.get("product"), str):
        cells["product"] = [code.strip() for code in cells["product"].split("|")]
    if own.keys() >= {"product", "product_template"}:
        builder.problems.add(place(("products",)), "stands beside product_template: a gift has one choice of products")
        return
    builder.add_item(
        item_document(cells),
        place,
        row=row.row,
        currency=cells.get("currency"),
        description=cells.get("description"),
        reference=own.get("reference"),
        carried=row.carried,
        quantity=1
        if (quantity := cells.get("quantity")) is None
        else fields.quantity(quantity, place(("quantity",), alone=True), builder.problems),
    )
