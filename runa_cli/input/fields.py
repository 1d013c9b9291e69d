"""Flat fields, as flags and columns have them, and the API's item that they describe."""

from collections.abc import Mapping
from typing import Any

from runa_cli.api import field_rules
from runa_cli.core.money import plain_number
from runa_cli.input.problems import Place, Problems

MOST_QUANTITY = 100_000


def item_document(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item that flat fields describe, in the API's shape; what is missing is left out."""
    template = {"template_id": fields["template_id"]} if fields.get("template_id") else {}
    document: dict[str, Any] = {"distribution_method": {**_distribution(fields), **template}}
    if fields.get("face_value") is not None:
        document["face_value"] = plain_number(str(fields["face_value"]))
    codes = fields.get("product")
    if fields.get("product_template") is not None:
        document["products"] = {"type": "TEMPLATE", "template_id": fields["product_template"]}
    elif codes:
        document["products"] = (
            {"type": "SINGLE", "value": codes[0]} if len(codes) == 1 else {"type": "MULTIPLE", "values": codes}
        )
    return document


def _distribution(fields: Mapping[str, Any]) -> dict[str, Any]:
    email, recipient = fields.get("email"), fields.get("recipient")
    address = {} if email is None else {"email_address": email}
    if recipient is not None:
        return {"type": "RECIPIENT", "recipient_reference": recipient, **address}
    return {"type": "EMAIL", **address} if address else {"type": "PAYOUT_LINK"}


def quantity(text: str | None, place: Place, problems: Problems) -> int:
    """Return the number of gifts; one where none is given, or none that can be read."""
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_QUANTITY and len(text) < 9):
        problems.add(place, f"must be a whole number from 1 to {MOST_QUANTITY}, found {field_rules.quoted(text)}")
        return 1
    return int(text)


def metadata_pairs(pairs: tuple[str, ...], problems: Problems) -> dict[str, str]:
    """Return the metadata that KEY=VALUE flags make."""
    made: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            problems.add(Place(flag="--metadata"), f"must be KEY=VALUE, found {field_rules.quoted(pair)}")
        elif key in made:
            problems.add(Place(flag="--metadata"), f"names {field_rules.quoted(key)} twice")
        made[key] = value
    return made
