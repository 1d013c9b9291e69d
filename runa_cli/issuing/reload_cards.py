"""Finds cards that would be loaded again under another address, which Runa refuses.

A RECIPIENT gift loads the card of its recipient. Runa knows the recipient by the reference, and takes no later payment
for it with another address than the first one had (developer.runa.io: features/prepaid-visa).
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from runa_cli.core import exact_json
from runa_cli.core.identity import normalized_address, recipient_key
from runa_cli.input.plan import Plan
from runa_cli.ledger.ledger import Ledger

_AT_ONCE = 500  # recipients that are looked for together


class ChangedAddress(NamedTuple):
    """A row of the input whose recipient was first paid under another address."""

    row: int
    reference: str
    first: str
    now: str


def changed_addresses(plan: Plan, ledger: Ledger | None, environment: str) -> Iterator[ChangedAddress]:
    """Yield the rows of a plan whose recipients have another address in the ledger, or in an earlier row."""
    gifts, first = plan.recipients(), dict[str, str]()
    while chunk := [(row, _method(item)) for row, item in islice(gifts, _AT_ONCE)]:
        keys = {recipient_key({"distribution_method": method}) for _, method in chunk} - first.keys()
        recorded = ledger.first_items(environment, sorted(keys)) if ledger else {}
        first |= {key: _method(item)["email_address"] for key, item in recorded.items()}
        for row, method in chunk:
            key, address = recipient_key({"distribution_method": method}), method["email_address"]
            before = first.setdefault(key, address)
            if normalized_address(before) != normalized_address(address):
                yield ChangedAddress(row, method["recipient_reference"], before, address)


def _method(item: str) -> dict[str, Any]:
    document: Any = exact_json.loads(item)
    method: dict[str, Any] = document["distribution_method"]
    return method
