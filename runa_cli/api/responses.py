"""What comes from Runa: tolerant models of replies and error bodies, and the echo check.

Runa adds fields without a new version (developer.runa.io: best-practices/versioning), so unknown fields are ignored
here and kept in the recorded bytes. Amounts come as text or as numbers, depending on the page; both are read.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from runa_cli.api.canonical import STAMP
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


def some_text(value: object) -> str:
    """Return a text; empty for anything else."""
    return value if isinstance(value, str) else ""


def some_steps(value: object) -> list[str]:
    """Return a list of texts; empty for anything else."""
    return [str(step) for step in value] if isinstance(value, list) else []


def some_objects(value: object) -> list[object]:
    """Return the objects of a list; none for anything else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def some_object(value: object) -> object:
    """Return an object; None for anything else."""
    return value if isinstance(value, dict) else None


def _order_id(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,200}", value):
        raise ValueError("no order id")
    return value


Money = Annotated[Decimal, BeforeValidator(_decimal)]
# What nothing depends on may be anything: it must not keep a paid answer, or an error's type, from being read.
SomeMoney = Annotated[Decimal | None, BeforeValidator(maybe_decimal)]
SomeText = Annotated[str, BeforeValidator(some_text)]
SomeTexts = Annotated[list[str], BeforeValidator(some_steps)]
SomeObject = Annotated[dict[str, Any] | None, BeforeValidator(some_object)]


class Tolerant(BaseModel):
    """A model that ignores fields it does not know."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)


class Payout(Tolerant):
    """The payout link of an item. The URL is a bearer secret: whoever has it can redeem."""

    url: str


class Distribution(Tolerant):
    """How the link was to be delivered."""

    type: str
    email_address: str | None = None
    recipient_reference: str | None = None


class Products(Tolerant):
    """Which products the link was for; Runa says UNKNOWN when it cannot tell."""

    type: str
    value: str | None = None
    values: list[str] | None = None
    template_id: str | None = None


class OrderItem(Tolerant):
    """One item of an order, as Runa echoes it."""

    distribution_method: Distribution
    products: Products
    face_value: Money
    payout: Payout | None = None


class Order(Tolerant):
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


class ErrorDetail(Tolerant):
    """One mistake that Runa found in a request."""

    message: SomeText = ""
    location: SomeTexts = []

    @property
    def path(self) -> str:
        """The place as a path, without the `body` that the playground puts in front."""
        steps = self.location[1:] if self.location[:1] == ["body"] else self.location
        return "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps).lstrip(".")


class ErrorBody(Tolerant):
    """Runa's error body; only `type` is promised (developer.runa.io: reference/2024-02-05/errors)."""

    type: str
    message: SomeText = ""
    details: Annotated[list[ErrorDetail], BeforeValidator(some_objects)] = []


class Balance(Tolerant):
    """The money of one currency in the account."""

    balance: Money
    currency: str


_Model = TypeVar("_Model", bound=BaseModel)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the reply's JSON object. Raises Unreadable."""
    try:
        value = exact_json.loads(body)
    except (ValueError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error
    if not isinstance(value, dict):
        raise Unreadable("the reply is not a JSON object")
    return value


def read_objects(body: bytes) -> list[dict[str, Any]]:
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


def read_order(body: bytes) -> Order:
    """Read the body of an order reply. Raises Unreadable."""
    return parse(Order, read_object(body))


def error_body(body: bytes) -> ErrorBody | None:
    """Read an error body; None when these bytes are no error of Runa's application (a 429, a proxy's page)."""
    try:
        return parse(ErrorBody, read_object(body))
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
