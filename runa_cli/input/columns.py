"""The headings of a sheet: which field a column is, and which are one typo away from one."""

import re

COLUMNS = (
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
ALIASES = {"email_address": "email", "products": "product"}


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().strip('"').strip().lower())


def field_of(name: str) -> str | None:
    """Return the field that a heading means; None where it means none."""
    plain = _plain(name)
    return plain if plain in COLUMNS else ALIASES.get(plain)


def typo_of(name: str) -> str | None:
    """Return the known heading that a heading is one typo away from."""
    plain = _plain(name)
    return next((known for known in (*COLUMNS, *ALIASES) if one_typo(plain, known)), None)


def one_typo(first: str, second: str) -> bool:
    """Tell whether one letter was added, left out, changed or swapped with its neighbour."""
    short, long = sorted((first, second), key=len)
    if len(long) - len(short) > 1 or short == long:
        return False
    start = next((index for index, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = short[:start] + short[start + 1 : start + 2] + short[start : start + 1] + short[start + 2 :]
    return short[start + 1 :] == long[start + 1 :] or swapped == long
