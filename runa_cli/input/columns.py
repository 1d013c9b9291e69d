"""The headings of a sheet: which field a column is, and which are one typo away from one."""

import re

from runa_cli.core.typos import one_typo

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
