"""What one command was asked for, as one frozen value that every later step reads."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Self

from msgspec import Struct, field
from msgspec.structs import replace

from runa_cli.config.settings import Settings
from runa_cli.config.sources import ORIGIN_DEFAULT


class OrderInput(Struct, frozen=True):
    """The gifts and their orders: what flags and settings say, and the file that holds more of them.

    Amounts are text, as they were typed. `currency` is the balance that pays.
    """

    face_value: str | None = None
    emails: tuple[str, ...] = ()
    quantity: str | None = None
    products: tuple[str, ...] = ()
    product_template: str | None = None
    template_id: str | None = None
    recipient: str | None = None
    currency: str | None = None
    fx: bool = False
    description: str | None = None
    metadata: tuple[str, ...] = ()  # KEY=VALUE
    file: str | None = None
    file_format: str | None = None
    sheet: str | None = None  # of a workbook
    header_row: int | None = None  # from 1
    encoding: str | None = None
    columns: tuple[tuple[str, str], ...] = ()  # fields with the headings that mean them
    carry: tuple[str, ...] = ()  # headings
    allow_links: bool = False  # in a list that has addresses
    mode: str = "auto"
    stamp: bool = True
    by_reference: bool = False  # the reference of a gift is its own id
    settings: Mapping[str, str] = field(default_factory=dict)  # by flag, which setting replaced it

    def with_settings(self, settings: Settings) -> Self:
        """Return the same input with what the environment and `.env` add to the flags."""
        taken = [
            ("--template-id", "RUNA_TEMPLATE_ID", settings.template_id.origin),
            ("--currency", "RUNA_CURRENCY", settings.currency.origin),
            ("--mode", "RUNA_MODE", settings.mode.origin),
        ]
        if not self.products and not self.product_template:
            taken.append(("--product", "RUNA_PRODUCTS", settings.products.origin))
        return replace(
            self,
            settings={
                flag: f"{name} ({origin})" for flag, name, origin in taken if origin not in {"flag", ORIGIN_DEFAULT}
            },
            products=self.products or (() if self.product_template else settings.products.value),
            template_id=settings.template_id.value,
            currency=settings.currency.value,
            mode=settings.mode.value,
        )

    def fields(self) -> dict[str, Any]:
        """Return the flat fields of an item and its order, except addresses, of which there may be several."""
        fields = {
            "face_value": self.face_value,
            "recipient": self.recipient,
            "product": list(self.products) or None,
            "product_template": self.product_template,
            "template_id": self.template_id,
            "currency": self.currency,
            "description": self.description,
            "quantity": self.quantity,
        }
        return {name: value for name, value in fields.items() if value is not None}


class CreateRequest(NamedTuple):
    """One `order create`: what to issue, once under which name, within which limits, and how to send and show it.

    `account` is the part of the API key that may be shown. `max_total` and `confirm_total` are in the currency of the
    face values. `look_back` is for how many days back the orders at Runa are looked through for those of a batch whose
    name the ledger does not know, 0 for not at all. `preflight` is None where the number of orders decides.
    """

    order_input: OrderInput
    environment: str
    account: str
    batch: str | None = None
    again: bool = False
    idempotency_key: str | None = None
    look_back: int = 0
    max_total: Decimal | None = None
    confirm_total: Decimal | None = None
    yes: bool = False
    preflight: bool | None = None
    dry_run: bool = False
    confirm: bool = False  # ask before sending, as in live
    wait: bool = True
    results: Path | None = None
    propose: bool = False  # record it unsent, for somebody else to approve
    asked: bool = False  # whether a person has confirmed already what this run is about to send

    @property
    def by_reference(self) -> bool:
        """Whether the reference of a gift is its own id, issued once whatever batch it is in."""
        return self.order_input.by_reference

    @property
    def live(self) -> bool:
        """Whether real money moves."""
        return self.environment == "live"

    @property
    def asks(self) -> bool:
        """Whether nothing is sent before a person has said yes: in live or with --confirm, unless it is confirmed."""
        answered = self.asked or self.yes or self.propose or self.confirm_total is not None
        return (self.live or self.confirm) and not answered

    @property
    def reissues(self) -> bool:
        """Whether gifts that FAILED or were abandoned are issued again; not under a key that stands for their order."""
        return self.again and self.idempotency_key is None
