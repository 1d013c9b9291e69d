"""Validates items and orders one by one and adds them to the plan; every problem is collected with its place.

Flags fill in what a file leaves out; where both say something, the file's row wins.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from runa_cli.api.canonical import STAMP_PAIRS, STAMPS
from runa_cli.api.field_rules import MOST_METADATA, quoted
from runa_cli.api.order_models import Item, OrderHead, item_violations, violations
from runa_cli.core.amounts import WrittenAmount
from runa_cli.core.identity import reference_key
from runa_cli.core.money import counted
from runa_cli.input import order_rules
from runa_cli.input.addresses import Addresses
from runa_cli.input.fields import metadata_pairs
from runa_cli.input.order_rules import CodeLookup
from runa_cli.input.places import PlaceOf, filled_in
from runa_cli.input.plan import Plan
from runa_cli.input.problems import Place, Problems
from runa_cli.input.request import OrderInput

_MOST_CACHED_HEADS = 1024


class LocatedItem(NamedTuple):
    """An item of an order in a file: its document, its place, and the reference that is not sent."""

    document: object
    place: PlaceOf
    reference: str | None = None


class PlanBuilder:
    """Collects the validated gifts of one input in a plan, and its problems in `problems`."""

    def __init__(self, order_input: OrderInput, problems: Problems, plan: Plan, lookup: CodeLookup) -> None:
        self.order_input = order_input
        self.problems = problems
        self.plan = plan
        self._lookup = lookup
        self.addresses = Addresses(problems, allow_links=order_input.allow_links)
        self._metadata = metadata_pairs(order_input.metadata, problems)
        self._heads: dict[tuple[str, str | None], OrderHead | None] = {}
        self._converted: list[Place] = []  # where the paying currency is not the products' own

    def defaults(self) -> dict[str, Any]:
        """Return the flat fields that flags fill in wherever the file leaves them out. Raises InputError."""
        emails = self.order_input.emails
        if len(emails) > 1:
            self.problems.stop(Place(flag="--email"), f"fills in one address beside --file, found {len(emails)}")
        return self.order_input.fields() | ({"email": emails[0]} if emails else {})

    def finish(self) -> Plan:
        """Return the plan. Raises InputError with every problem there was."""
        self.plan.complete()
        self._check_conversion()
        self._check_repeated_references()
        self._check_sync()
        try:
            self.problems.check()
        except BaseException:
            self.plan.close()
            raise
        return self.plan

    # --- adding --------------------------------------------------------------------------------------------------

    def add_item(
        self,
        document: object,
        place: PlaceOf,
        *,
        row: int,
        currency: str | None = None,
        description: str | None = None,
        reference: str | None = None,
        carried: tuple[str, ...] = (),
        quantity: int = 1,
        amount: WrittenAmount | None = None,
    ) -> None:
        """Validate an item that belongs to no order yet, and add it `quantity` times.

        `amount` is its face value as a sheet has it, with the currency that may stand beside it there.
        """
        item = self._item(document, place)
        self._check_reference(reference, place, quantity)
        if item is None:
            return
        located = [(item, place)]
        product_currency = order_rules.product_currency(located, place, ("products",), self.problems, self._lookup)
        paying = currency or self.order_input.currency or product_currency
        if paying is None:
            order_rules.add_unknown_currency(located, place(("products",)), self.problems, self._lookup)
            return
        head = self._head(paying, description or self.order_input.description, place)
        if head is None or not self._may_pay(head, product_currency, place):
            return
        value_currency = product_currency or head.payment_method.currency
        if not order_rules.check_value(item, value_currency, amount, place, self.problems):
            return
        filled = filled_in(("product", "face_value"), place)
        for _ in range(quantity):
            self.plan.add(
                item,
                head,
                row=row,
                currency=value_currency,
                group=order_rules.country_of(item),
                reference=reference,
                carried=carried,
                filled=filled,
            )

    def add_order(self, document: Mapping[str, Any], items: Sequence[LocatedItem], place: PlaceOf, *, row: int) -> None:
        """Validate an order of a file with its items, and add it as it stands. Its first item is row `row` + 1."""
        checked = [self._item(item.document, item.place) for item in items]
        for located in items:
            self._check_reference(located.reference, located.place)
        valid = [(item, located.place) for item, located in zip(checked, items, strict=True) if item is not None]
        product_currency = order_rules.product_currency(valid, place, ("items",), self.problems, self._lookup)
        order_rules.check_templates([item for item, _ in valid], place, self.problems)
        head = self._head_of_order(document, product_currency, place, valid)
        if head is None or len(valid) < len(checked) or not self._may_pay(head, product_currency, place):
            return
        value_currency = product_currency or head.payment_method.currency
        for number, ((item, where), located) in enumerate(zip(valid, items, strict=True), row + 1):
            order_rules.check_value(item, value_currency, None, where, self.problems)
            self.plan.add(
                item,
                head,
                row=number,
                reference=located.reference,
                currency=value_currency,
                group=f"order {row}",
                whole=True,
                filled=filled_in(("product", "face_value"), where),
            )

    # --- items ---------------------------------------------------------------------------------------------------

    def _item(self, document: object, place: PlaceOf) -> Item | None:
        try:
            item = Item.model_validate(document)
        except ValidationError as error:
            self._add_violations(error, place)
            return None
        broken = list(item_violations(item))
        for loc, sentence in broken:
            self.problems.add(place(loc, alone=True), sentence)
        return None if broken else item

    def _add_violations(self, error: ValidationError, place: PlaceOf) -> None:
        for loc, sentence in violations(error):
            self.problems.add(place(loc, alone=True), sentence)

    # --- references ----------------------------------------------------------------------------------------------

    def _check_reference(self, reference: str | None, place: PlaceOf, quantity: int = 1) -> None:
        """Check that a gift has a reference of its own, where that is its id."""
        if not self.order_input.by_reference:
            return
        if not reference_key(reference):
            self.problems.add(place(("reference",)), "is missing, and --by-reference issues each reference once")
        elif quantity > 1:
            self.problems.add(
                place(("quantity",)), f"is {quantity}, and with --by-reference each gift has a reference of its own"
            )

    def _check_repeated_references(self) -> None:
        if not self.order_input.by_reference:
            return
        for first, row, reference in self.plan.repeated_references():
            place = Place(file=self.plan.file, row=row, column="reference")
            self.problems.add(place, f"is {quoted(reference)}, which row {first} has as well")

    # --- heads of orders -----------------------------------------------------------------------------------------

    def _head(self, currency: str, description: str | None, place: PlaceOf) -> OrderHead | None:
        """Return the head of the order that a single item goes into; row after row has the same one."""
        key = (currency, description)
        if key in self._heads:
            return self._heads[key]
        document = {
            "payment_method": {"type": "ACCOUNT_BALANCE", "currency": currency},
            "description": description,
            "metadata": dict(self._metadata) or None,
        }
        head = self._validated_head(document, place)
        if head is not None and len(self._heads) < _MOST_CACHED_HEADS:
            self._heads[key] = head
        return head

    def _head_of_order(
        self,
        document: Mapping[str, Any],
        product_currency: str | None,
        place: PlaceOf,
        located: Sequence[tuple[Item, PlaceOf]],
    ) -> OrderHead | None:
        """Return the head of an order that a file gives whole; flags fill in what it leaves out."""
        method = document.get("payment_method")
        currency = self.order_input.currency or product_currency
        if method is None and currency is None:
            order_rules.add_unknown_currency(located, place(("payment_method",)), self.problems, self._lookup)
            return None
        head = {
            "payment_method": {"type": "ACCOUNT_BALANCE", "currency": currency} if method is None else method,
            "description": document.get("description", self.order_input.description),
            "metadata": self._with_flag_metadata(document.get("metadata")),
        }
        return self._validated_head(head, place)

    def _with_flag_metadata(self, metadata: object) -> object:
        if metadata is None or isinstance(metadata, dict):
            return {**self._metadata, **(metadata or {})} or None
        return metadata

    def _validated_head(self, document: Mapping[str, Any], place: PlaceOf) -> OrderHead | None:
        try:
            head = OrderHead.model_validate(document)
        except ValidationError as error:
            self._add_violations(error, place)
            return None
        metadata = head.metadata or {}
        if reserved := sorted(STAMPS & metadata.keys()):
            self.problems.add(
                place(("metadata",), alone=True), f"must not name {reserved[0]}: this program stamps orders with it"
            )
            return None
        if self.order_input.stamp and len(metadata) + STAMP_PAIRS > MOST_METADATA:
            surplus = {1: "one", 2: "two"}[len(metadata) + STAMP_PAIRS - MOST_METADATA]
            self.problems.add(
                place(("metadata",), alone=True),
                f"has {len(metadata)} pairs, and the stamp takes two more: leave {surplus} out, or use --no-stamp",
            )
            return None
        return head

    # --- currency and mode ---------------------------------------------------------------------------------------

    def _may_pay(self, head: OrderHead, product_currency: str | None, place: PlaceOf) -> bool:
        """Tell whether the order's balance may pay for the products: in their currency, or converted with --fx."""
        paying, loc = head.payment_method.currency, ("payment_method", "currency")
        if product_currency is None or product_currency == paying:
            return True
        if not self.order_input.fx:
            self.problems.add(
                place(loc, alone=True),
                f"is {paying}, but the products are in {product_currency}: Runa would convert and charge a fee."
                f" The value of the gift stays in {product_currency}."
                f" Pay in {product_currency}, or add --fx if that is meant",
            )
            return False
        self._converted.append(place(loc, alone=True))
        return True

    def _check_conversion(self) -> None:
        """Check that only a single sync item is converted (developer.runa.io: features, Embedded FX)."""
        if self._converted and (self.plan.item_count > 1 or self.order_input.mode == "async"):
            self.problems.add(
                self._converted[0],
                "needs a conversion, which Runa makes only for a single item in sync mode,"
                f" found {counted(self.plan.item_count, 'item')} in mode {self.order_input.mode}",
            )

    def _check_sync(self) -> None:
        if self.order_input.mode != "sync":
            return
        for order in self.plan.orders():
            if len(order.gifts) > 1:
                self.problems.add(Place(flag="--mode"), f"sync takes one item an order, found {len(order.gifts)}")
                return
