"""What goes to Runa: strict request models, the canonical bytes, and the idempotency key.

The models hold every rule of `POST /order` that can be checked without asking Runa (developer.runa.io:
reference/2024-02-05/endpoint/orders/create). Their complaints are sentences of ours that name what was found and what
is allowed, without the place: whoever read the input knows the place.
"""

import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import email_validator
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from runa_cli.core import exact_json

MOST_ITEMS = 200
MOST_DESCRIPTION = 128
MOST_METADATA = 20
MOST_METADATA_KEY = 40
MOST_METADATA_VALUE = 200
MOST_TEMPLATES = 10
LEAST_FACE_VALUE = Decimal("0.01")
MOST_FACE_VALUE = Decimal("999999999.99")  # above it, something other than a gift was typed
MOST_DECIMALS = 2  # no currency Runa pays in has a third
STAMP = "runa_cli_key"

# The currency of each country Runa sells in (developer.runa.io: reference/2024-02-05/countries); product codes end in
# the country. Bulgaria pays in euro since January 2026.
_EURO = "AT BE BG DE ES FI FR GR IE IT LU NL PT SI"
COUNTRY_CURRENCY = {
    **dict.fromkeys(_EURO.split(), "EUR"),
    **dict(
        pair.split(":")
        for pair in (  # noqa: SIM905 - a list of forty strings would hide the table
            "US:USD GB:GBP CA:CAD AR:ARS AU:AUD BR:BRL CL:CLP CN:CNY CO:COP CZ:CZK DK:DKK HU:HUF JP:JPY MY:MYR MX:MXN"
            " NZ:NZD NO:NOK PE:PEN PL:PLN RO:RON SA:SAR SG:SGD ZA:ZAR KR:KRW SE:SEK CH:CHF AE:AED IN:INR IL:ILS"
        ).split()
    ),
}
CURRENCIES = frozenset(COUNTRY_CURRENCY.values())

_NAMESPACE = uuid.UUID(
    "6f1f4a3e-2d53-5b0c-9a52-7e0f6c9d1b77"
)  # ours alone, made once; a new one would forget every key
_ULID = "[0-9A-HJKMNP-TV-Z]{26}"

# Runa accepts addresses of the reserved test domains, and its playground promises never to mail them
# (developer.runa.io: reference/2024-02-05/playground).
for _domain in ("test", "invalid"):
    if _domain in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_domain)


def _complain(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{sentence}", {"sentence": sentence})


def shown(value: object) -> str:
    """Return what was found in a form that fits into a sentence."""
    text = exact_json.dumps(value) if isinstance(value, str | Decimal | bool | int | None) else type(value).__name__
    if isinstance(value, dict | list):
        text = "an object" if isinstance(value, dict) else "a list"
    return text if len(text) <= 60 else text[:57] + "..."


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal):
        raise _complain(f"must be a number, found {shown(value)}{_advice(value)}")
    if not value.is_finite() or value < LEAST_FACE_VALUE:
        raise _complain(f"must be at least {LEAST_FACE_VALUE}, found {shown(value)}")
    if value > MOST_FACE_VALUE:
        raise _complain(f"must be at most {MOST_FACE_VALUE}, found {shown(value)}")
    if _decimals(value) > MOST_DECIMALS:
        raise _complain(f"must have at most {MOST_DECIMALS} decimal places, found {shown(value)}")
    return value


def _advice(value: object) -> str:
    """Say how an amount is written that somebody wrote in another way."""
    if not isinstance(value, str) or not re.search("[0-9]", value) or re.fullmatch(r"[0-9]+(\.[0-9]{1,2})?", value):
        return ""
    return ": write 12.50 or 1500, with a point, without a separator of thousands or a currency"


def _decimals(value: Decimal) -> int:
    """Count the decimal places that are not zeros at the end; rounding nothing, unlike `normalize`."""
    _, digits, exponent = value.as_tuple()
    places = -exponent if isinstance(exponent, int) else 0
    while places > 0 and digits and digits[-1] == 0:
        digits, places = digits[:-1], places - 1
    return places


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _complain(f"must be text, found {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _complain("holds a character that is no character (a lone surrogate)") from error
    return value


def _address(value: object) -> str:
    address = _text(value)
    try:
        email_validator.validate_email(address, check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        raise _complain(f"is no e-mail address: {shown(address)} ({str(error).rstrip('.')})") from error
    return address


def _template(prefix: str, other: str, holder: str) -> BeforeValidator:
    pattern = re.compile(rf"{prefix}-{_ULID}")

    def check(value: object) -> str:
        text = _text(value)
        if text.startswith(other + "-"):
            raise _complain(f"takes a {holder} ({prefix}-…), found {shown(text)}: {prefix}- and {other}- are swapped")
        if not pattern.fullmatch(text):
            raise _complain(f"takes a {holder} ({prefix}- and 26 letters and digits), found {shown(text)}")
        return text

    return BeforeValidator(check)


def _matching(pattern: str, allowed: str) -> BeforeValidator:
    compiled = re.compile(pattern)

    def check(value: object) -> str:
        text = _text(value)
        if not compiled.fullmatch(text):
            raise _complain(f"must be {allowed}, found {shown(text)}")
        return text

    return BeforeValidator(check)


def _codes(value: object) -> list[str]:
    if not isinstance(value, list):
        raise _complain(f"must be a list of product codes, found {shown(value)}")
    codes = [_product_code(code) for code in value]
    if len(set(codes)) < len(codes):
        twice = next(code for code in codes if codes.count(code) > 1)
        raise _complain(f"must name different products, found {twice} twice")
    if len(codes) < 2:
        raise _complain(f"must name at least 2 products for a choice, found {len(codes)}")
    return codes


def _product_code(value: object) -> str:
    code = _text(value)
    if not re.fullmatch(r"[\x21-\x7e]{1,100}", code) or "|" in code:
        raise _complain(f"must be a product code such as AMZ-US, found {shown(code)}")
    if re.match(r"(?i)(PT|DT)-", code):
        raise _complain(
            f"must be a product code, found the template {shown(code)}: use a product template (PT-…) instead"
        )
    return code


def _description(value: object) -> str | None:
    if value is None:
        return None
    text = _text(value)
    if len(text) > MOST_DESCRIPTION:
        raise _complain(f"must have at most {MOST_DESCRIPTION} characters, found {len(text)}")
    return text


def _metadata(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _complain(f"must be an object of text values, found {shown(value)}")
    if len(value) > MOST_METADATA:
        raise _complain(f"must have at most {MOST_METADATA} pairs, found {len(value)}")
    for key, text in value.items():
        _text(key)
        if len(key) > MOST_METADATA_KEY:
            raise _complain(f"keys must have at most {MOST_METADATA_KEY} characters, found {shown(key)}")
        if not isinstance(text, str):
            raise _complain(f"values must be text, found {shown(text)} for {shown(key)}")
        if len(_text(text)) > MOST_METADATA_VALUE:
            raise _complain(
                f"values must have at most {MOST_METADATA_VALUE} characters, found {len(text)} for {shown(key)}"
            )
    return value


Amount = Annotated[Decimal, BeforeValidator(_amount)]
Address = Annotated[str, BeforeValidator(_address)]
ProductCode = Annotated[str, BeforeValidator(_product_code)]
RedemptionTemplateId = Annotated[str, _template("DT", "PT", "redemption template")]
ProductTemplateId = Annotated[str, _template("PT", "DT", "product template")]
SpendRulesTemplateId = Annotated[str, _matching(f"PSR-{_ULID}", "PSR- and 26 letters and digits")]
RecipientReference = Annotated[
    str, _matching(r"[A-Za-z0-9\-_@.]{1,255}", "1 to 255 letters, digits, dashes, underscores, dots and at-signs")
]
Currency = Annotated[str, _matching("[A-Z]{3}", "a currency code such as USD")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class EmailDistribution(_Strict):
    """Runa mails the payout link to the address."""

    type: Literal["EMAIL"]
    email_address: Address
    template_id: RedemptionTemplateId | None = None


class LinkDistribution(_Strict):
    """The payout link comes back to the sender alone."""

    type: Literal["PAYOUT_LINK"]
    template_id: RedemptionTemplateId | None = None


class RecipientDistribution(_Strict):
    """A payout to a known recipient, for payment products and reloadable cards."""

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
    """A choice for the recipient between several products."""

    type: Literal["MULTIPLE"]
    values: Annotated[list[str], BeforeValidator(_codes)]


class TemplateProduct(_Strict):
    """A selection of products that is saved at Runa."""

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
        """The product codes this item names; none for a template."""
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
    """What an order says beside its items."""

    payment_method: PaymentMethod
    description: Annotated[str | None, BeforeValidator(_description)] = None
    metadata: Annotated[dict[str, str] | None, BeforeValidator(_metadata)] = None


Loc = tuple[int | str, ...]
_UNION_TAGS = {"EMAIL", "PAYOUT_LINK", "RECIPIENT", "SINGLE", "MULTIPLE", "TEMPLATE"}


def complaints(error: ValidationError) -> Iterator[tuple[Loc, str]]:
    """Yield each mistake of a failed validation as (path in the document, sentence)."""
    for mistake in error.errors(include_url=False, include_context=True):
        loc = tuple(step for step in mistake["loc"] if step not in _UNION_TAGS)
        yield loc, _sentence(dict(mistake))


def _sentence(mistake: Mapping[str, Any]) -> str:
    found = shown(mistake.get("input"))
    context = mistake.get("ctx") or {}
    match mistake["type"]:
        case "rule":
            return str(mistake["msg"])
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field Runa knows"
        case "union_tag_invalid":
            return f"must have a type of {context['expected_tags']}, found {shown(context['tag'])}"
        case "union_tag_not_found":
            return "needs a type"
        case "literal_error":
            return f"must be {context['expected']}, found {found}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be an object, found {found}"
        case _:
            return f"{mistake['msg'][0].lower()}{mistake['msg'][1:]}, found {found}"


def code_country(code: str) -> str | None:
    """Return the country a product code ends in, where it does."""
    suffix = code.rpartition("-")[2]
    return suffix if suffix in COUNTRY_CURRENCY else None


def code_currency(code: str) -> str | None:
    """Return the currency a product code tells: by its country (`-US`) or outright (`-USD`)."""
    suffix = code.rpartition("-")[2]
    return COUNTRY_CURRENCY.get(suffix) or (suffix if suffix in CURRENCIES else None)


def item_rules(item: Item) -> Iterator[tuple[Loc, str]]:
    """Yield what the fields of one item break only together."""
    if item.products.type != "SINGLE" and item.face_value != item.face_value.to_integral_value():
        yield ("face_value",), f"must be a whole number for a choice of products, found {shown(item.face_value)}"


def canonical(head: OrderHead, items: Sequence[str], stamp: str | None = None) -> bytes:
    """Serialise an order from its head and its items' own JSON.

    Compact, in one fixed order of names, absent fields absent, amounts as written. With a stamp, the idempotency key
    stands in the metadata, so that the order can be found again at Runa.
    """
    members = [f'"payment_method":{exact_json.dumps(_plain(head.payment_method))}', f'"items":[{",".join(items)}]']
    if head.description is not None:
        members.append(f'"description":{exact_json.dumps(head.description)}')
    metadata = {**(head.metadata or {}), **({STAMP: stamp} if stamp else {})}
    if metadata:
        members.append(f'"metadata":{exact_json.dumps(metadata)}')
    return f"{{{','.join(members)}}}".encode()


def item_text(item: Item) -> str:
    """Serialise one item as it stands in its order."""
    return exact_json.dumps(_plain(item))


def _plain(model: BaseModel) -> dict[str, object]:
    return {
        name: _plain(value) if isinstance(value, BaseModel) else value for name, value in model if value is not None
    }


def restamped(body: bytes, key: str) -> bytes:
    """Return the body with another idempotency key as its stamp; a body without a stamp stays as it is."""
    document = exact_json.loads(body)
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(metadata, dict) or STAMP not in metadata:
        return body
    return exact_json.dumps({**document, "metadata": {**metadata, STAMP: key}}).encode()


def digest(body: bytes) -> str:
    """Return the SHA-256 of a body before it is stamped, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def derive_key(environment: str, batch: str, position: int, generation: int, body_sha256: str) -> str:
    """Return the idempotency key of an order: a UUIDv5 of all that makes it the same order.

    The same named batch on another machine therefore meets Runa's own duplicate check
    (developer.runa.io: best-practices/idempotency).
    """
    return str(uuid.uuid5(_NAMESPACE, exact_json.dumps([environment, batch, position, generation, body_sha256])))
