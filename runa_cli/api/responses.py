"""Tolerant models of Runa's replies and error bodies.

Runa adds fields without a new version (developer.runa.io: best-practices/versioning), so unknown fields are ignored;
the recorded bytes keep them. Runa documents amounts both as text and as numbers, so both are read.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from runa_cli.api.canonical import BATCH_STAMP, STAMP
from runa_cli.core import exact_json


class Unreadable(ValueError):
    """The bytes are not the kind of reply that was expected."""


_LONGEST_AMOUNT = 30  # digits before the point; no amount of money has more


def maybe_decimal(value: object) -> Decimal | None:
    """Return an amount, written as text or as a number; None for anything else."""
    try:
        amount = Decimal(value) if isinstance(value, (str, Decimal)) else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() and amount.adjusted() < _LONGEST_AMOUNT else None


def as_decimal(value: object) -> Decimal:
    """Return an amount, written as text or as a number; zero for anything else."""
    return maybe_decimal(value) or Decimal(0)


def parse_time(text: object) -> datetime | None:
    """Return an ISO 8601 time in UTC; None where the text is none."""
    try:
        time = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        return None
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (OverflowError, ValueError):  # in UTC the time is before the first year or after the last
        return None


def _decimal(value: object) -> Decimal:
    amount = maybe_decimal(value)
    if amount is None:
        raise ValueError("not an amount")
    return amount


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _maybe_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _text_or_texts(value: object) -> list[str] | None:
    if isinstance(value, str):
        return [value]
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else None


def _texts(value: object) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []


def _objects(value: object) -> list[object]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _object(value: object) -> object:
    return value if isinstance(value, dict) else None


def _order_id(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,200}", value):
        raise ValueError("not an order id")
    return value


Money = Annotated[Decimal, BeforeValidator(_decimal)]
# Fields of these types are only shown. A value of another kind becomes an empty one: it must not keep the reply to a
# paid order, or the type of an error, from being read.
SomeMoney = Annotated[Decimal | None, BeforeValidator(maybe_decimal)]
SomeText = Annotated[str, BeforeValidator(_text)]
SomeTexts = Annotated[list[str], BeforeValidator(_texts)]
SomeObject = Annotated[dict[str, Any] | None, BeforeValidator(_object)]
MaybeText = Annotated[str | None, BeforeValidator(_maybe_text)]
CodeList = Annotated[list[str] | None, BeforeValidator(_text_or_texts)]


class Tolerant(BaseModel):
    """A model that ignores fields it does not know."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)


class Payout(Tolerant):
    """The payout link of an item. Anyone who has the URL can redeem it."""

    url: str


class Distribution(Tolerant):
    """How the payout link is delivered."""

    type: SomeText = ""
    email_address: MaybeText = None
    recipient_reference: MaybeText = None
    template_id: MaybeText = None


class Products(Tolerant):
    """The products of an item. Their type is UNKNOWN where Runa cannot say which they are."""

    type: SomeText = ""
    value: MaybeText = None
    values: CodeList = None
    template_id: MaybeText = None
    usage_config: SomeObject = None


class OrderItem(Tolerant):
    """One item of an order, as Runa echoes it."""

    distribution_method: Distribution
    products: Products
    face_value: Money
    payout: Payout | None = None


class Order(Tolerant):
    """An order in any of its three states. While it is PROCESSING, it may have only an id and a status."""

    id: Annotated[str, BeforeValidator(_order_id)]
    status: Literal["COMPLETED", "FAILED", "PROCESSING"]
    created_at: SomeText = ""
    completed_at: SomeText = ""
    total_price: SomeMoney = None
    items: list[OrderItem] | None = None
    metadata: SomeObject = None

    @property
    def created(self) -> datetime | None:
        """When Runa created the order (UTC); None where Runa does not say."""
        return parse_time(self.created_at)

    @property
    def completed(self) -> datetime | None:
        """When Runa completed the order (UTC); None where Runa does not say."""
        return parse_time(self.completed_at)

    @property
    def stamp(self) -> str | None:
        """The idempotency key that this program put into the order's metadata."""
        return self._pair(STAMP)

    @property
    def batch_stamp(self) -> str | None:
        """The name of the batch that this program put into the order's metadata."""
        return self._pair(BATCH_STAMP)

    def _pair(self, name: str) -> str | None:
        value = (self.metadata or {}).get(name)
        return value if isinstance(value, str) else None


class ErrorDetail(Tolerant):
    """One mistake that Runa found in a request."""

    message: SomeText = ""
    location: SomeTexts = []

    @property
    def path(self) -> str:
        """The place as a path, without the leading `body` that the playground adds."""
        steps = self.location[1:] if self.location[:1] == ["body"] else self.location
        return "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps).lstrip(".")


class ErrorBody(Tolerant):
    """Runa's error body, of which only `type` is guaranteed (developer.runa.io: reference/2024-02-05/errors)."""

    type: str
    message: SomeText = ""
    details: Annotated[list[ErrorDetail], BeforeValidator(_objects)] = []


class Balance(Tolerant):
    """The account's balance in one currency."""

    balance: Money
    currency: str


_Model = TypeVar("_Model", bound=BaseModel)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the reply's JSON object. Raises Unreadable."""
    value = _read_json(body)
    if not isinstance(value, dict):
        raise Unreadable("the reply is not a JSON object")
    return value


def read_objects(body: bytes, sign: str) -> list[dict[str, Any]]:
    """Return the reply's JSON list of objects. Raises Unreadable.

    One object alone is a list of one, if it has the member `sign`, by which it is known to be such an object.
    """
    value = _read_json(body)
    if isinstance(value, dict) and sign in value:
        return [value]
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Unreadable("the reply is not a list of JSON objects")
    return value


def _read_json(body: bytes) -> object:
    try:
        return exact_json.loads(body)
    except (ValueError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error


def parse(model: type[_Model], value: object) -> _Model:
    """Return a value as a model. Raises Unreadable."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def read_order(body: bytes) -> Order:
    """Return the order that a reply contains. Raises Unreadable."""
    return parse(Order, read_object(body))


def error_body(body: bytes) -> ErrorBody | None:
    """Return the error of an error body; None for other bodies, such as that of a 429 or the page of a proxy."""
    try:
        return parse(ErrorBody, read_object(body))
    except Unreadable:
        return None
