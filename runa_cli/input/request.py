"""What was asked for: the gifts and orders that flags and settings describe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runa_cli.api import countries


@dataclass(frozen=True)
class Typed:
    """What was typed about gifts, orders and their file, to create or to estimate them. Amounts are text."""

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


@dataclass(frozen=True)
class Given(Typed):
    """What was typed, with what settings add to it."""

    mode: str = "auto"
    stamp: bool = True
    currency_of: Callable[[str], str | None] = countries.code_currency

    def fields(self) -> dict[str, Any]:
        """Return the flat fields of an item and its order; but for addresses, of which there may be several."""
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
