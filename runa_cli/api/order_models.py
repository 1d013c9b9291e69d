"""Strict models of the body of `POST /order`, with every rule that can be checked without a request to Runa.

(developer.runa.io: reference/2024-02-05/endpoint/orders/create)
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from runa_cli.api.field_rules import (
    Address,
    Amount,
    Currency,
    ProductCode,
    ProductTemplateId,
    RecipientReference,
    RedemptionTemplateId,
    SpendRulesTemplateId,
    check_description,
    check_metadata,
    check_product_codes,
    quoted,
)

MOST_ITEMS = 200
MOST_TEMPLATES = 10


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class EmailDistribution(_Strict):
    """Delivery by e-mail: Runa sends the payout link to the address."""

    type: Literal["EMAIL"]
    email_address: Address
    template_id: RedemptionTemplateId | None = None


class LinkDistribution(_Strict):
    """Delivery by the sender: Runa returns the payout link and mails nobody."""

    type: Literal["PAYOUT_LINK"]
    template_id: RedemptionTemplateId | None = None


class RecipientDistribution(_Strict):
    """Delivery to a known recipient, for payment products and reloadable cards."""

    type: Literal["RECIPIENT"]
    recipient_reference: RecipientReference
    email_address: Address
    template_id: RedemptionTemplateId | None = None


class UsageConfig(_Strict):
    """Spend rules of a prepaid card."""

    spend_rules_template_id: SpendRulesTemplateId | None = None


class SingleProduct(_Strict):
    """One product."""

    type: Literal["SINGLE"]
    value: ProductCode
    usage_config: UsageConfig | None = None


class MultipleProduct(_Strict):
    """Several products, of which the recipient chooses."""

    type: Literal["MULTIPLE"]
    values: Annotated[list[str], BeforeValidator(check_product_codes)]


class TemplateProduct(_Strict):
    """A product template: a selection of products that is saved at Runa."""

    type: Literal["TEMPLATE"]
    template_id: ProductTemplateId


class Item(_Strict):
    """One gift: one face value (in the products' currency), one way to deliver it, one choice of products."""

    face_value: Amount
    distribution_method: Annotated[
        EmailDistribution | LinkDistribution | RecipientDistribution, Field(discriminator="type")
    ]
    products: Annotated[SingleProduct | MultipleProduct | TemplateProduct, Field(discriminator="type")]

    @property
    def codes(self) -> list[str]:
        """The product codes that this item names; none for a product template."""
        match self.products:
            case SingleProduct(value=code):
                return [code]
            case MultipleProduct(values=codes):
                return codes
            case _:
                return []

    @property
    def address(self) -> str | None:
        """The recipient's address, where there is one."""
        return getattr(self.distribution_method, "email_address", None)


class PaymentMethod(_Strict):
    """The account balance that pays."""

    type: Literal["ACCOUNT_BALANCE"]
    currency: Currency


class OrderHead(_Strict):
    """The fields of an order other than its items."""

    payment_method: PaymentMethod
    description: Annotated[str | None, BeforeValidator(check_description)] = None
    metadata: Annotated[dict[str, str] | None, BeforeValidator(check_metadata)] = None


Loc = tuple[int | str, ...]
_UNION_TAGS = {"EMAIL", "PAYOUT_LINK", "RECIPIENT", "SINGLE", "MULTIPLE", "TEMPLATE"}


def violations(error: ValidationError) -> Iterator[tuple[Loc, str]]:
    """Yield each mistake that a validation found, as (path in the document, sentence)."""
    for mistake in error.errors(include_url=False, include_context=True):
        loc = tuple(step for step in mistake["loc"] if step not in _UNION_TAGS)
        yield loc, _sentence(dict(mistake))


def _sentence(mistake: Mapping[str, Any]) -> str:
    found = quoted(mistake.get("input"))
    context = mistake.get("ctx") or {}
    match mistake["type"]:
        case "rule":
            return str(mistake["msg"])
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field Runa knows"
        case "union_tag_invalid":
            return f"must have a type of {context['expected_tags']}, found {quoted(context['tag'])}"
        case "union_tag_not_found":
            return "needs a type"
        case "literal_error":
            return f"must be {context['expected']}, found {found}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be an object, found {found}"
        case _:
            return f"{mistake['msg'][0].lower()}{mistake['msg'][1:]}, found {found}"


def item_violations(item: Item) -> Iterator[tuple[Loc, str]]:
    """Yield the mistakes of an item that concern several of its fields, as (path in the item, sentence)."""
    if item.products.type != "SINGLE" and item.face_value != item.face_value.to_integral_value():
        yield ("face_value",), f"must be a whole number for a choice of products, found {quoted(item.face_value)}"
