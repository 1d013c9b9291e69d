"""What comes from Runa: tolerant models of replies and error bodies, and the echo check.

Runa adds fields without a new version (developer.runa.io: best-practices/versioning), so unknown fields are ignored
here and kept in the recorded bytes. Amounts come as text or as numbers, depending on the page; both are read.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from runa_cli.api.order_models import STAMP
from runa_cli.core import exact_json


class Unreadable(ValueError):
    """The bytes are not the reply they should be."""


_LONGEST_AMOUNT = 30  # digits before the point; more is no money


def _decimal(value: object) -> Decimal:
    amount = maybe_decimal(value)
    if amount is None:
        raise ValueError("not an amount")
    return amount


def maybe_decimal(value: object) -> Decimal | None:
    """Read an amount however Runa writes it; None where it is none."""
    try:
        amount = Decimal(value) if isinstance(value, str | Decimal) else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() and amount.adjusted() < _LONGEST_AMOUNT else None


def _some_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _some_steps(value: object) -> list[str]:
    return [str(step) for step in value] if isinstance(value, list) else []


def _some_objects(value: object) -> list[object]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _some_object(value: object) -> object:
    return value if isinstance(value, dict) else None


def _order_id(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,200}", value):
        raise ValueError("no order id")
    return value


Money = Annotated[Decimal, BeforeValidator(_decimal)]
# What nothing depends on may be anything: it must not keep a paid answer, or an error's type, from being read.
SomeMoney = Annotated[Decimal | None, BeforeValidator(maybe_decimal)]
SomeText = Annotated[str, BeforeValidator(_some_text)]
SomeTexts = Annotated[list[str], BeforeValidator(_some_steps)]
SomeObject = Annotated[dict[str, Any] | None, BeforeValidator(_some_object)]


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)


class Payout(_Tolerant):
    """The payout link of an item. The URL is a bearer secret: whoever has it can redeem."""

    url: str


class Distribution(_Tolerant):
    """How the link was to be delivered."""

    type: str
    email_address: str | None = None
    recipient_reference: str | None = None


class Products(_Tolerant):
    """Which products the link was for; Runa says UNKNOWN when it cannot tell."""

    type: str
    value: str | None = None
    values: list[str] | None = None
    template_id: str | None = None


class OrderItem(_Tolerant):
    """One item of an order, as Runa echoes it."""

    distribution_method: Distribution
    products: Products
    face_value: Money
    payout: Payout | None = None


class Order(_Tolerant):
    """An order in any of its three states; only a settled one has more than an id and a status."""

    id: Annotated[str, BeforeValidator(_order_id)]
    status: Literal["COMPLETED", "FAILED", "PROCESSING"]
    created_at: SomeText = ""
    total_price: SomeMoney = None
    items: list[OrderItem] | None = None
    metadata: SomeObject = None

    @property
    def created(self) -> datetime | None:
        """When Runa made the order (UTC); None where it does not say."""
        return parse_time(self.created_at)

    @property
    def stamp(self) -> str | None:
        """The idempotency key that this program put into the order's metadata."""
        value = (self.metadata or {}).get(STAMP)
        return value if isinstance(value, str) else None


class ErrorDetail(_Tolerant):
    """One mistake that Runa found in a request."""

    message: SomeText = ""
    location: SomeTexts = []

    @property
    def path(self) -> str:
        """The place as a path, without the `body` that the playground puts in front."""
        steps = self.location[1:] if self.location[:1] == ["body"] else self.location
        return "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps).lstrip(".")


class ErrorBody(_Tolerant):
    """Runa's error body; only `type` is promised (developer.runa.io: reference/2024-02-05/errors)."""

    type: str
    message: SomeText = ""
    details: Annotated[list[ErrorDetail], BeforeValidator(_some_objects)] = []


class Product(_Tolerant):
    """One product of the catalogue."""

    code: str
    currency: SomeText = ""
    state: SomeText = ""
    is_orderable: bool = True
    gift_card: SomeObject = None
    payment: SomeObject = None
    subscription: SomeObject = None


class Balance(_Tolerant):
    """The money of one currency in the account."""

    balance: Money
    currency: str


_Model = TypeVar("_Model", bound=BaseModel)


def document(body: bytes) -> dict[str, Any]:
    """Return the reply's JSON object. Raises Unreadable."""
    try:
        value = exact_json.loads(body)
    except (ValueError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error
    if not isinstance(value, dict):
        raise Unreadable("the reply is not a JSON object")
    return value


def documents(body: bytes) -> list[dict[str, Any]]:
    """Return the reply's JSON list of objects. Raises Unreadable."""
    try:
        value = exact_json.loads(body)
    except (ValueError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Unreadable("the reply is not a list of JSON objects")
    return value


def parse(model: type[_Model], value: object) -> _Model:
    """Read a value as a model. Raises Unreadable."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def order(body: bytes) -> Order:
    """Read the body of an order reply. Raises Unreadable."""
    return parse(Order, document(body))


def error_body(body: bytes) -> ErrorBody | None:
    """Read an error body; None when these bytes are no error of Runa's application (a 429, a proxy's page)."""
    try:
        return parse(ErrorBody, document(body))
    except Unreadable:
        return None


def parse_time(text: object) -> datetime | None:
    """Read an ISO 8601 time as UTC; None where it cannot be read."""
    try:
        moment = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, ValueError):  # a time zone beyond the end of the calendar
        return None


def as_decimal(value: object) -> Decimal:
    """Read an amount however Runa writes it; zero where there is none."""
    return maybe_decimal(value) or Decimal(0)


def bind(asked: Sequence[Mapping[str, Any]], answered: Order, *, with_links: bool = True) -> list[int] | None:
    """Return for each item asked for the index of the answer's item that echoes it, or None when they do not match.

    Items carry no reference of ours and Runa promises no order, so a link belongs to a row only by recipient, value
    and products. An exact match goes first; then one that differs only in the letter case of the address or in
    products that Runa calls UNKNOWN, if it leaves no doubt which. Every answered item must have a link, unless it is
    a FAILED order's.
    """
    items = answered.items or []
    if len(items) != len(asked) or (with_links and any(not item.payout or not item.payout.url for item in items)):
        return None
    try:
        wanted = [parse(OrderItem, item) for item in asked]
    except Unreadable:
        return None
    bound: dict[int, int] = {}
    for likeness in (_exact, _without_case, _without_products):
        _match(wanted, items, bound, likeness)
    return [bound[index] for index in range(len(wanted))] if len(bound) == len(wanted) else None


def _match(
    wanted: list[OrderItem], items: list[OrderItem], bound: dict[int, int], likeness: Callable[[OrderItem], object]
) -> None:
    taken = set(bound.values())
    free: defaultdict[object, list[int]] = defaultdict(list)
    for index in reversed(range(len(items))):
        if index not in taken and (likeness is not _without_products or items[index].products.type == "UNKNOWN"):
            free[likeness(items[index])].append(index)
    open_ = [index for index in range(len(wanted)) if index not in bound]
    choices: defaultdict[object, set[object]] = defaultdict(set)
    for index in open_:
        choices[likeness(wanted[index])].add(_choice(wanted[index].products))
    for index in open_:
        key = likeness(wanted[index])
        doubt = likeness is _without_products and len(choices[key]) > 1
        if not doubt and (candidates := free.get(key)):
            bound[index] = candidates.pop()


def _exact(item: OrderItem) -> object:
    method = item.distribution_method
    return (method.type, method.email_address, method.recipient_reference, item.face_value, _choice(item.products))


def _without_case(item: OrderItem) -> object:
    method = item.distribution_method
    address = (method.email_address or "").casefold()
    return (method.type, address, method.recipient_reference, item.face_value, _choice(item.products))


def _without_products(item: OrderItem) -> object:
    method = item.distribution_method
    return (method.type, (method.email_address or "").casefold(), method.recipient_reference, item.face_value)


def _choice(products: Products) -> object:
    if products.type == "TEMPLATE":
        return (products.type, products.template_id)
    return (products.type, products.value, frozenset(products.values or ()))


def cursor_after(page: Mapping[str, Any]) -> str | None:
    """Return the cursor of the next page (developer.runa.io: reference/2024-02-05/pagination)."""
    pagination = page.get("pagination")
    cursors = pagination.get("cursors") if isinstance(pagination, dict) else None
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) and after else None


def member_list(page: Mapping[str, Any], name: str) -> Iterable[dict[str, Any]]:
    """Return the objects of a page. Raises Unreadable."""
    members = page.get(name)
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise Unreadable(f"the reply has no list of {name}")
    return members


def plan_codes(product: Product) -> list[str]:
    """Return the codes to order a subscription by, which are not its own."""
    plans = (product.subscription or {}).get("subscription_plans")
    entries = plans if isinstance(plans, list) else []
    return [
        str(plan["subscription_plan_code"])
        for plan in entries
        if isinstance(plan, dict) and plan.get("subscription_plan_code")
    ]


def _denominations(product: Product) -> dict[str, Any]:
    for detail in (product.gift_card, product.payment):
        found = (detail or {}).get("denominations")
        if isinstance(found, dict):
            return found
    return {}


def takes(product: Product, value: Decimal) -> bool:
    """Tell whether a product can be ordered for a value; yes where the catalogue does not tell."""
    found = _denominations(product)
    listed = found.get("available_list")
    if isinstance(listed, list) and listed:
        return any(as_decimal(entry) == value for entry in listed)
    least, most = found.get("minimum_value"), found.get("maximum_value")
    return (least is None or as_decimal(least) <= value) and (most is None or value <= as_decimal(most))


def denominations(product: Product) -> str:
    """Say what values a product can be ordered for."""
    found = _denominations(product)
    listed = found.get("available_list")
    if isinstance(listed, list) and listed:
        return ", ".join(f"{as_decimal(entry).normalize():f}" for entry in listed)
    if found.get("minimum_value") is None:
        return ""
    least, most = (f"{as_decimal(found.get(name)).normalize():f}" for name in ("minimum_value", "maximum_value"))
    return f"{least} to {most}"
