"""What a program gets at a payout link with `?format=json` (developer.runa.io: features/redemption-api).

The status is always 200; `status` in the body tells whether the gift can be redeemed.
"""

from datetime import datetime
from typing import Any

from runa_cli.emulator import pages, product_details
from runa_cli.emulator.pages import Gift

NEVER = "3000-01-01"  # how the API writes that a gift does not expire

_UNKNOWN, _CANCELLED, _OTHER = "RE001", "RE005", "RE999"

# What each of the documentation's sample products gives beside a code; every other product gives a code alone.
_WITH_PIN = frozenset({"FIVEG-US", "AUCHAN-FR", "ABO-GB"})
_AS_LINK = frozenset({"LUSH-CA"})


def redemption(gift: Gift | None) -> dict[str, Any]:
    """Return the body for a gift; None for a link that there is not."""
    if gift is None:
        return _error(None, _UNKNOWN, "Nothing was found at this link.", "The emulator has no such gift.")
    if gift.status == pages.PROCESSING:
        # Not documented: which code says this.
        return _error(gift, _OTHER, "It cannot be redeemed at present.", "Its order is still being processed.")
    if gift.status == pages.CANCELLED:
        return _error(gift, _CANCELLED, "It was cancelled.", "Its order failed.")
    return {
        "status": "SUCCESS",
        "order_id": gift.order_id,
        "e_code": _e_code(gift),
        "error_code": None,
        "error_string": None,
        "error_details": None,
    }


def _e_code(gift: Gift) -> dict[str, Any]:
    product = gift.products[0][0]  # of several, the recipient has not chosen one yet
    is_link = product in _AS_LINK
    code = gift.link if is_link else f"EMULATOR-{gift.gift_id[:8].upper()}"
    barcode = product_details.barcode_format(product)
    return {
        "type": "url" if is_link else "code",
        "status": "SUCCESS",
        "amount": gift.value,
        "code": code,
        "pin": f"{int(gift.gift_id[:8], 16) % 10_000:04}" if product in _WITH_PIN else None,
        "barcode_format": barcode,
        "barcode_string": code if barcode else None,
        "expiry_date": _expiry_date(product, gift.created_at),
        "url": gift.link,
        "error_code": None,
        "error_string": None,
    }


def _expiry_date(product: str, created_at: datetime) -> str:
    months = product_details.expiry(product)["in_months"]
    if not months:
        return NEVER
    years, month = divmod(created_at.month - 1 + months, 12)
    return created_at.replace(year=created_at.year + years, month=month + 1, day=min(created_at.day, 28)).strftime(
        "%Y-%m-%d"
    )


def _error(gift: Gift | None, code: str, sentence: str, details: str) -> dict[str, Any]:
    order_id = None if gift is None else gift.order_id
    return {
        "status": "ERROR",
        "order_id": order_id,
        "error_code": code,
        "error_string": sentence,
        "error_details": details,
    }
