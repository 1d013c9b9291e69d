"""Validates items and orders one by one, and adds them to the plan.

Flags fill in what a file leaves out; where both speak, the file's row wins.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from runa_cli.api import canonical, countries, field_rules, order_models
from runa_cli.api.order_models import Item, Loc, OrderHead
from runa_cli.core.money import decimal_point
from runa_cli.input import fields, json_file
from runa_cli.input.csv_file import CsvFile, CsvRow
from runa_cli.input.fields import item_document
from runa_cli.input.places import JsonPlace, RowPlace, Where
from runa_cli.input.plan import Plan
from runa_cli.input.problems import Place, Problems
from runa_cli.input.request import Given


class PlanBuilder:
    """Validates items and orders and adds them to the plan."""

    def __init__(self, given: Given, mistakes: Problems, plan: Plan) -> None:
        self._given = given
        self._metadata = fields.metadata(given.metadata, mistakes)
        self._mistakes = mistakes
        self._plan = plan
        self._heads: dict[tuple[str | None, str | None], OrderHead | None] = {}
        self._foreign: list[Place] = []
        self._row = 0

    def finish(self) -> Plan:
        """Return the plan, or raise InputError with every mistake there was."""
        self._check_exchange()
        self._check_sync()
        try:
            self._mistakes.check()
        except BaseException:
            self._plan.close()
            raise
        return self._plan

    # --- items ---------------------------------------------------------------------------------------------------

    def add_item(
        self,
        document: object,
        where: Where,
        *,
        row: int,
        currency: str | None = None,
        description: str | None = None,
        reference: str | None = None,
        carried: tuple[str, ...] = (),
        quantity: int = 1,
    ) -> None:
        """Validate one item that stands alone and add it, as often as its quantity says."""
        item = self._item(document, where)
        if item is None:
            return
        paying = currency or self._given.currency
        own = self._own_currency([item], where, ())
        head = self._head(paying or own, description, where, item.codes)
        if head is None or not self._agree(own, head.payment_method.currency, where, ("payment_method", "currency")):
            return
        for _ in range(quantity):
            self._plan.add(
                item,
                head,
                row=row,
                currency=own or head.payment_method.currency,
                group=_country(item),
                reference=reference,
                carried=carried,
            )

    def add_sheet(self, sheet: CsvFile) -> None:
        """Add the rows of a CSV file."""
        self._plan.columns = sheet.carried
        place = Place(file=sheet.name, line=1)
        if "face_value" not in sheet.columns and self._given.face_value is None:
            self._mistakes.add(place, "there is no column face_value, and no --face-value either")
        self._mistakes.check()
        given = self._filling()
        for row in sheet.rows():
            self._add_row(row, given, decimal_comma=sheet.delimiter != ",")

    def _add_row(self, row: CsvRow, given: Mapping[str, Any], *, decimal_comma: bool) -> None:
        own = {name: cell for name, cell in row.cells.items() if cell}
        if own.keys() & {"product", "product_template"}:
            given = {name: value for name, value in given.items() if name not in {"product", "product_template"}}
        cells = {**given, **own}
        where = RowPlace(row.place, frozenset({*given, "metadata"} - own.keys()))
        if "face_value" in own and decimal_comma:
            cells["face_value"] = decimal_point(own["face_value"])
        if isinstance(cells.get("product"), str):
            cells["product"] = [code.strip() for code in cells["product"].split("|")]
        if own.keys() >= {"product", "product_template"}:
            self._mistakes.add(
                where(("products",)), "stands beside product_template: a gift has one choice of products"
            )
            return
        self.add_item(
            item_document(cells),
            where,
            row=row.row,
            currency=cells.get("currency"),
            description=cells.get("description"),
            reference=own.get("reference"),
            carried=row.carried,
            quantity=fields.quantity(cells.get("quantity"), where(("quantity",), alone=True), self._mistakes),
        )

    def _filling(self) -> dict[str, Any]:
        """Return the flat fields that flags fill in wherever the file leaves them out."""
        email = self._single_email()
        return self._given.fields() | ({} if email is None else {"email": email})

    # --- JSON ----------------------------------------------------------------------------------------------------

    def add_values(self, values: Iterator[json_file.Value]) -> None:
        """Add the orders and items of a JSON or JSONL file."""
        given = self._filling()
        for value in values:
            where = JsonPlace(value.place)
            if not isinstance(value.value, dict):
                self._mistakes.add(value.place, f"must be an order or an item, found {field_rules.quoted(value.value)}")
            elif {"items", "payment_method"} & value.value.keys():
                if value.alone:
                    self._plan.shape = "object"
                self._add_order(value.value, where, given)
            else:
                self._row += 1
                quantity = fields.quantity(self._given.quantity, Place(flag="--quantity"), self._mistakes)
                item = self._filled(value.value, given)
                self.add_item(item, where.item((), value.value, given), row=self._row, quantity=quantity)

    def _add_order(self, document: dict[str, Any], where: JsonPlace, given: Mapping[str, Any]) -> None:
        items = document.get("items")
        if self._given.quantity is not None:
            self._mistakes.add(Place(flag="--quantity"), "counts gifts, and an order of a file has its own")
        for name in document.keys() - {"payment_method", "items", "description", "metadata"}:
            self._mistakes.add(where((name,)), "is not a field Runa knows")
        if not isinstance(items, list):
            self._mistakes.add(where(("items",)), "is missing" if items is None else "must be a list")
            return
        if not 1 <= len(items) <= order_models.MOST_ITEMS:
            self._mistakes.add(where(("items",)), f"must hold 1 to {order_models.MOST_ITEMS} items, found {len(items)}")
            items = items[: order_models.MOST_ITEMS]
        valid = [
            self._item(self._filled(item, given), where.item(("items", index), item, given))
            for index, item in enumerate(items)
        ]
        present = [item for item in valid if item is not None]
        own = self._own_currency(present, where, ("items",))
        self._check_templates(present, where)
        head = self._order_head(document, own, where, [code for item in present for code in item.codes])
        if head is None or len(present) < len(valid):
            self._row += len(items)
            return
        if not self._agree(own, head.payment_method.currency, where, ("payment_method", "currency")):
            return
        group = f"order {self._row}"
        for item in present:
            self._row += 1
            self._plan.add(
                item, head, row=self._row, currency=own or head.payment_method.currency, group=group, whole=True
            )

    def _filled(self, document: object, given: Mapping[str, Any]) -> object:
        """Return an item as JSON gave it, with what it leaves out filled in from the flags."""
        if not isinstance(document, dict):
            return document
        filled = {**item_document(given), **document}
        method = filled.get("distribution_method")
        if isinstance(method, dict) and self._given.template_id and "template_id" not in method:
            filled["distribution_method"] = {**method, "template_id": self._given.template_id}
        return filled

    def _order_head(
        self, document: Mapping[str, Any], own: str | None, where: Where, codes: list[str]
    ) -> OrderHead | None:
        method = document.get("payment_method")
        currency = self._given.currency or own
        if method is None and currency is None:
            self._mistakes.add(where(("payment_method",)), _untold_currency(codes))
            return None
        head = {
            "payment_method": {"type": "ACCOUNT_BALANCE", "currency": currency} if method is None else method,
            "description": document.get("description", self._given.description),
            "metadata": self._merged_metadata(document.get("metadata")),
        }
        return self._validated_head(head, where)

    def _merged_metadata(self, own: object) -> object:
        if own is None or isinstance(own, dict):
            return {**self._metadata, **(own or {})} or None
        return own

    # --- rules ---------------------------------------------------------------------------------------------------

    def _item(self, document: object, where: Where) -> Item | None:
        try:
            item = Item.model_validate(document)
        except ValidationError as error:
            for loc, sentence in order_models.violations(error):
                self._mistakes.add(where(loc, alone=True), sentence)
            return None
        broken = list(order_models.item_violations(item))
        for loc, sentence in broken:
            self._mistakes.add(where(loc), sentence)
        return None if broken else item

    def _head(self, currency: str | None, description: str | None, where: Where, codes: list[str]) -> OrderHead | None:
        key = (currency, description or self._given.description)
        if key in self._heads:
            return self._heads[key]
        if currency is None:
            self._mistakes.add(where(("payment_method", "currency")), _untold_currency(codes))
            return None
        head = self._validated_head(
            {
                "payment_method": {"type": "ACCOUNT_BALANCE", "currency": currency},
                "description": key[1],
                "metadata": dict(self._metadata) or None,
            },
            where,
        )
        if head is not None and len(self._heads) < 1024:
            self._heads[key] = head
        return head

    def _validated_head(self, document: Mapping[str, Any], where: Where) -> OrderHead | None:
        try:
            head = OrderHead.model_validate(document)
        except ValidationError as error:
            for loc, sentence in order_models.violations(error):
                self._mistakes.add(where(loc, alone=True), sentence)
            return None
        metadata = head.metadata or {}
        if canonical.STAMP in metadata:
            self._mistakes.add(
                where(("metadata",), alone=True),
                f"must not name {canonical.STAMP}: this program stamps orders with it",
            )
            return None
        if self._given.stamp and len(metadata) == field_rules.MOST_METADATA:
            self._mistakes.add(
                where(("metadata",), alone=True),
                f"has {len(metadata)} pairs; one more is taken by the stamp: leave one out, or use --no-stamp",
            )
            return None
        return head

    def _own_currency(self, items: list[Item], where: Where, base: Loc) -> str | None:
        """Return the one currency of the items' products; None where their codes do not tell."""
        seen: dict[str, str] = {}
        by_country: dict[str, str] = {}
        for item in items:
            for code in item.codes:
                if currency := self._given.currency_of(code):
                    seen.setdefault(currency, code)
                if country := countries.code_country(code):
                    by_country.setdefault(country, code)
        for kind, found in (("currency", seen), ("country", by_country)):
            if len(found) > 1:
                listed = ", ".join(f"{code} ({name})" for name, code in found.items())
                loc = base or ("products",)
                self._mistakes.add(where(loc), f"must all be of one {kind}, found {listed}")
                break
        return next(iter(seen), None)

    def _agree(self, own: str | None, paying: str, where: Where, loc: Loc) -> bool:
        if own is None or own == paying:
            return True
        if not self._given.fx:
            self._mistakes.add(
                where(loc),
                f"is {paying}, but the products are in {own}: Runa would convert and charge a fee. Pay in {own},"
                " or say --fx if that is meant",
            )
            return False
        self._foreign.append(where(loc))
        return True

    def _check_templates(self, items: list[Item], where: Where) -> None:
        for name, found in (
            ("product templates", {getattr(item.products, "template_id", None) for item in items}),
            ("redemption templates", {item.distribution_method.template_id for item in items}),
        ):
            if len(found - {None}) > order_models.MOST_TEMPLATES:
                self._mistakes.add(
                    where(("items",)),
                    f"must name at most {order_models.MOST_TEMPLATES} different {name}, found {len(found - {None})}",
                )

    def _check_exchange(self) -> None:
        if self._foreign and (self._plan.item_count > 1 or self._given.mode == "async"):
            self._mistakes.add(
                self._foreign[0],
                "needs a conversion, which Runa makes only for a single item in sync mode,"
                f" found {self._plan.item_count} item(s) in mode {self._given.mode}",
            )

    def _check_sync(self) -> None:
        if self._given.mode != "sync":
            return
        for order in self._plan.orders():
            if len(order.gifts) > 1:
                self._mistakes.add(Place(flag="--mode"), f"sync takes one item an order, found {len(order.gifts)}")
                return

    def _single_email(self) -> str | None:
        if len(self._given.emails) > 1:
            self._mistakes.stop(
                Place(flag="--email"), f"fills in one address beside --file, found {len(self._given.emails)}"
            )
        return self._given.emails[0] if self._given.emails else None


def _untold_currency(codes: list[str]) -> str:
    named = ", ".join(sorted(set(codes))[:5]) or "a saved selection"
    return f"cannot be told from {named}: check the code, or say which balance pays with --currency"


def _country(item: Item) -> str:
    """Return what keeps items of different countries apart, for Runa takes one country an order."""
    return next(filter(None, map(countries.code_country, item.codes)), "")
