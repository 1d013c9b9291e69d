"""What a printed card says of one gift."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from runa_cli.core.money import plain_amount
from runa_cli.core.states import State
from runa_cli.ledger.records import Result
from runa_cli.ledger.results import ResultRow, row_from_ledger
from runa_cli.output.money_line import STATE_WORDS

_NOT_REDEEMABLE = frozenset({"CANCELLED", "EXPIRED"})  # states of a payout in which its link is worth nothing
_NAMED = 3  # products; more are counted


class Card(Struct, frozen=True):
    """One card. An empty one has no link, value or product, and says why.

    `recipient` is the address, or the label of a payout link; empty where there is neither.
    """

    row: int
    recipient: str
    value: str = ""
    products: str = ""
    expiry: str = ""
    link: str = ""
    why_empty: str = ""


def card_of(result: Result, names: Mapping[str, str]) -> Card:
    """Return the card of a recorded gift. `names` are those of products, as far as they are known, by their codes."""
    row = row_from_ledger(result)
    recipient = row.recipient or row.reference or " · ".join(filter(str.strip, row.carried))
    if reason := _why_empty(result.state, row):
        return Card(row.row, recipient, why_empty=reason)
    return Card(
        row.row,
        recipient,
        value=f"{plain_amount(row.face_value, row.currency) or ''} {row.currency}".strip(),
        products=_products(row.products, names),
        expiry=_day(row.expiry_date),
        link=row.payout_url,
    )


def _why_empty(state: State, row: ResultRow) -> str:
    if state is not State.COMPLETED:
        return STATE_WORDS[state]
    if not row.payout_url:
        return "issued, but Runa's answer has no link for it"
    return row.status.lower() if row.status in _NOT_REDEEMABLE else ""


def _products(codes: tuple[str, ...], names: Mapping[str, str]) -> str:
    shown = [names.get(code, code) for code in codes]
    if any(code.startswith("PT-") for code in codes):  # the id of a saved selection says nothing to its recipient
        return "A gift card of your choice"
    if len(shown) == 1:
        return shown[0]
    more = f" or {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return f"Your choice of {', '.join(shown[:_NAMED])}{more}"


def _day(moment: str) -> str:
    """Return the day of a time in words that no country reads otherwise; the text itself where it is no time."""
    try:
        day = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{day.day} {day:%B %Y}"
