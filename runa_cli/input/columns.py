"""The headings of a sheet: which field a heading means, and which are one typo away from one."""

import unicodedata

from runa_cli.core.identity import normalized_text
from runa_cli.core.typos import one_typo

FIELDS = (
    "face_value",
    "currency",
    "email",
    "recipient",
    "product",
    "product_template",
    "template_id",
    "description",
    "reference",
    "quantity",
)
# What payroll systems, spreadsheets and other vendors' templates call the fields.
_OTHER_NAMES = {
    "email": (
        "email address",
        "e-mail address",
        "e-mail-adresse",
        "mail",
        "recipient email",
        "work email",
    ),
    "face_value": ("amount", "value", "reward amount", "gift amount", "betrag", "montant", "importe"),
    "reference": ("external reference id", "external id", "employee id", "personnel number", "personal-nr"),
    "currency": ("currency code",),
    "product": ("product code", "products"),
    "quantity": ("qty",),
}
# What may mean a field, but is not taken for one unless a person says so.
_MAY_MEAN = {
    "face_value": (
        "bonus amount", "card value", "denomination", "gift card amount", "bedrag", "importo", "kwota", "valor", "wert",
    ),
    "currency": ("ccy", "curr", "currency iso", "devise", "moeda", "moneda", "valuta", "waluta", "währung"),
    "quantity": (
        "aantal", "anzahl", "cantidad", "menge", "no of cards", "no of gifts", "number of cards", "number of gifts",
        "quantità", "quantité", "stück", "stückzahl",
    ),
}  # fmt: skip
_DAYS = ("delivery date", "delivery day", "scheduled date", "send at", "send date", "send on", "versanddatum")
_VENDOR_CODES = {"utid", "etid"}  # product codes of other vendors
_LEAST_TYPO = 5  # characters; many short words are one letter away from `mail` or `qty`
_NO_DIFFERENCE = str.maketrans("", "", " _-.\"'")


def plain_heading(name: str) -> str:
    """Return a heading without what makes no difference: case, blanks, `_`, `-`, `.`, quotes, invisible characters."""
    return normalized_text(unicodedata.normalize("NFKC", name)).casefold().translate(_NO_DIFFERENCE)


_FIELD_BY_NAME = {
    plain_heading(name): field for field in FIELDS for name in (field, *_OTHER_NAMES.get(field, ()))
}  # fmt: skip
_FIELD_THAT_MAY_BE = {plain_heading(name): field for field, names in _MAY_MEAN.items() for name in names}
_PLAIN_DAYS = frozenset(map(plain_heading, _DAYS))


def field_of(name: str) -> str | None:
    """Return the field that a heading means; None where it means none."""
    return _FIELD_BY_NAME.get(plain_heading(name))


def typo_of(name: str) -> str | None:
    """Return the field whose name, or one of whose names, a heading is one typo away from."""
    plain = plain_heading(name)
    near = (known for known in _FIELD_BY_NAME if len(known) >= _LEAST_TYPO and one_typo(plain, known))
    return next((_FIELD_BY_NAME[known] for known in near), None)


def may_mean(name: str) -> str | None:
    """Return the field that a heading may mean; None where it is like none."""
    return _FIELD_THAT_MAY_BE.get(plain_heading(name))


def is_day_of_delivery(name: str) -> bool:
    """Tell whether a heading is that of days on which another vendor would send the gifts."""
    return plain_heading(name) in _PLAIN_DAYS


def is_vendor_code(name: str) -> bool:
    """Tell whether a heading is that of another vendor's product codes."""
    return plain_heading(name) in _VENDOR_CODES
