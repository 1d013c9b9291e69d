"""The rules for single fields of `POST /order`, as types with validators.

An error says what was found and what is allowed. The reader of the input adds the place
(developer.runa.io: reference/2024-02-05/endpoint/orders/create).
"""

import re
from decimal import Decimal
from functools import cache, lru_cache
from types import ModuleType
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from runa_cli.core import exact_json

MOST_DESCRIPTION = 128
MOST_METADATA = 20
MOST_METADATA_KEY = 40
MOST_METADATA_VALUE = 200
LEAST_FACE_VALUE = Decimal("0.01")
MOST_FACE_VALUE = Decimal("999999999.99")  # no gift is worth more, so a larger amount is a mistake
MOST_DECIMALS = 2  # no currency that Runa pays in has three
ULID = "[0-9A-HJKMNP-TV-Z]{26}"


def violation(sentence: str) -> PydanticCustomError:
    """Return the error for a broken rule. The sentence is shown to the user unchanged."""
    return PydanticCustomError("rule", "{sentence}", {"sentence": sentence})


def quoted(value: object) -> str:
    """Return a value as text for a message: short, in JSON, without the contents of objects and lists."""
    text = exact_json.dumps(value) if isinstance(value, str | Decimal | bool | int | None) else type(value).__name__
    if isinstance(value, dict | list):
        text = "an object" if isinstance(value, dict) else "a list"
    return text if len(text) <= 60 else text[:57] + "..."


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal):
        raise violation(f"must be a number, found {quoted(value)}{_advice(value)}")
    if not value.is_finite() or value < LEAST_FACE_VALUE:
        raise violation(f"must be at least {LEAST_FACE_VALUE}, found {quoted(value)}")
    if value > MOST_FACE_VALUE:
        raise violation(f"must be at most {MOST_FACE_VALUE}, found {quoted(value)}")
    if _decimals(value) > MOST_DECIMALS:
        raise violation(f"must have at most {MOST_DECIMALS} decimal places, found {quoted(value)}")
    return value


def _advice(value: object) -> str:
    """Return how to write an amount, for text that looks like an amount written in another way."""
    if not isinstance(value, str) or not re.search("[0-9]", value) or re.fullmatch(r"[0-9]+(\.[0-9]{1,2})?", value):
        return ""
    wrong = "a separator of thousands" if re.search("[0-9][,' ][0-9]", value) else "a currency"
    return f": write 12.50 or 1500, with a point, without {wrong}"


@lru_cache(maxsize=1024)  # a list has few values
def _decimals(value: Decimal) -> int:
    """Return the number of decimal places without zeros at the end. Unlike `normalize`, this rounds nothing."""
    _, digits, exponent = value.as_tuple()
    places = -exponent if isinstance(exponent, int) else 0
    while places > 0 and digits and digits[-1] == 0:
        digits, places = digits[:-1], places - 1
    return places


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise violation(f"must be text, found {quoted(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise violation("contains an invalid character (a lone surrogate)") from error
    return value


@cache
def _email_validator() -> ModuleType:
    import email_validator  # imported late: it takes long, and not every order has an address

    # Runa accepts addresses of the reserved test domains, and its playground promises never to mail them
    # (developer.runa.io: reference/2024-02-05/playground).
    for domain in ("test", "invalid"):
        if domain in email_validator.SPECIAL_USE_DOMAIN_NAMES:
            email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(domain)
    return email_validator


# Local parts of plain letters, digits and marks, which have no rules beyond this one.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# Domains of plain labels. Two hyphens in a row are left to the library: they may begin an encoded label.
_PLAIN_DOMAIN = re.compile(r"(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]+")
_NO_MAIL = frozenset({"arpa", "local", "localhost", "onion"})  # nobody has an address there, as the library knows
_MOST_LABEL, _MOST_LOCAL, _MOST_ADDRESS = 63, 64, 254  # characters


@lru_cache(maxsize=1024)
def _is_domain(domain: str) -> bool:
    """Tell whether a domain is one of an address; a list has few, so they are not looked at row by row.

    The library, which takes as long to load as an order to issue, is asked only about those that are not plain.
    """
    labels = domain.split(".")
    if _PLAIN_DOMAIN.fullmatch(domain) and labels[-1].lower() not in _NO_MAIL:
        return max(map(len, labels)) <= _MOST_LABEL
    rules = _email_validator()
    try:
        rules.validate_email(f"a@{domain}", check_deliverability=False)
    except rules.EmailNotValidError:
        return False
    return True


def _is_plain_address(address: str) -> bool:
    """Tell, of the common kind of address, that it is one. Of others nothing is said."""
    local, _, domain = address.rpartition("@")
    return (
        len(local) <= _MOST_LOCAL
        and len(address) <= _MOST_ADDRESS
        and domain.isascii()
        and _PLAIN_LOCAL.fullmatch(local) is not None
        and _is_domain(domain)
    )


def _address(value: object) -> str:
    address = _text(value)
    if _is_plain_address(address):
        return address
    rules = _email_validator()
    try:
        rules.validate_email(address, check_deliverability=False)
    except rules.EmailNotValidError as error:
        raise violation(f"is not an e-mail address: {quoted(address)} ({str(error).rstrip('.')})") from error
    return address


def _template(prefix: str, other: str, description: str) -> BeforeValidator:
    pattern = re.compile(rf"{prefix}-{ULID}")

    def check(value: object) -> str:
        text = _text(value)
        if text.startswith(other + "-"):
            raise violation(
                f"takes a {description} ({prefix}-…), found {quoted(text)}: {prefix}- and {other}- are swapped"
            )
        if not pattern.fullmatch(text):
            raise violation(f"takes a {description} ({prefix}- and 26 letters and digits), found {quoted(text)}")
        return text

    return BeforeValidator(check)


def _matching(pattern: str, allowed: str) -> BeforeValidator:
    compiled = re.compile(pattern)

    def check(value: object) -> str:
        text = _text(value)
        if not compiled.fullmatch(text):
            raise violation(f"must be {allowed}, found {quoted(text)}")
        return text

    return BeforeValidator(check)


def check_product_codes(value: object) -> list[str]:
    """Check the codes of a choice: at least two, all different."""
    if not isinstance(value, list):
        raise violation(f"must be a list of product codes, found {quoted(value)}")
    codes = [_product_code(code) for code in value]
    if len(set(codes)) < len(codes):
        repeated = next(code for code in codes if codes.count(code) > 1)
        raise violation(f"must name different products, found {repeated} twice")
    if len(codes) < 2:
        raise violation(f"must name at least 2 products for a choice, found {len(codes)}")
    return codes


_CODE = re.compile(r"[\x21-\x7e]{1,100}")
_TEMPLATE = re.compile(r"(?i)(PT|DT)-")


def _product_code(value: object) -> str:
    return _checked_code(_text(value))


@lru_cache(maxsize=1024)  # a list has few codes
def _checked_code(code: str) -> str:
    if not _CODE.fullmatch(code) or "|" in code:
        raise violation(f"must be a product code such as AMZ-US, found {quoted(code)}")
    if _TEMPLATE.match(code):
        raise violation(
            f"must be a product code, found the template {quoted(code)}: use a product template (PT-…) instead"
        )
    return code


def check_description(value: object) -> str | None:
    """Check that a description is text of allowed length."""
    if value is None:
        return None
    text = _text(value)
    if len(text) > MOST_DESCRIPTION:
        raise violation(f"must have at most {MOST_DESCRIPTION} characters, found {len(text)}")
    return text


def check_metadata(value: object) -> dict[str, str] | None:
    """Check the number of pairs, and that keys and values are text of allowed length."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise violation(f"must be an object of text values, found {quoted(value)}")
    if len(value) > MOST_METADATA:
        raise violation(f"must have at most {MOST_METADATA} pairs, found {len(value)}")
    for key, text in value.items():
        _text(key)
        if len(key) > MOST_METADATA_KEY:
            raise violation(f"keys must have at most {MOST_METADATA_KEY} characters, found {quoted(key)}")
        if not isinstance(text, str):
            raise violation(f"values must be text, found {quoted(text)} for {quoted(key)}")
        if len(_text(text)) > MOST_METADATA_VALUE:
            raise violation(
                f"values must have at most {MOST_METADATA_VALUE} characters, found {len(text)} for {quoted(key)}"
            )
    return value


Amount = Annotated[Decimal, BeforeValidator(_amount)]
Address = Annotated[str, BeforeValidator(_address)]
ProductCode = Annotated[str, BeforeValidator(_product_code)]
RedemptionTemplateId = Annotated[str, _template("DT", "PT", "redemption template")]
ProductTemplateId = Annotated[str, _template("PT", "DT", "product template")]
SpendRulesTemplateId = Annotated[str, _matching(f"PSR-{ULID}", "PSR- and 26 letters and digits")]
RecipientReference = Annotated[
    str, _matching(r"[A-Za-z0-9\-_@.]{1,255}", "1 to 255 letters, digits, dashes, underscores, dots and at-signs")
]
Currency = Annotated[str, _matching("[A-Z]{3}", "a currency code such as USD")]
