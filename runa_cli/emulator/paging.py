"""Pages of a list (developer.runa.io: reference/pagination): opaque cursors, and an empty page at the end."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from runa_cli.emulator.answers import RefusedError, error
from runa_cli.emulator.request import Request

MOST = 500


@dataclass(frozen=True, slots=True)
class Page:
    """The requested part of a list. At most one of the cursors is set."""

    limit: int
    before: str | None
    after: str | None


def page_of(request: Request, *, default: int) -> Page:
    """Read limit, before and after of a query. Raises RefusedError (400 pagination_error)."""
    limit, before, after = (request.parameter(name) for name in ("limit", "before", "after"))
    if before is not None and after is not None:
        raise refused("before and after exclude each other")
    if limit is None:
        return Page(default, before, after)
    # isdecimal alone also accepts digits of other scripts.
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 5 and 1 <= int(limit) <= MOST):
        raise refused(f"limit has to be a whole number from 1 to {MOST}")
    return Page(int(limit), before, after)


def refused(reason: str) -> RefusedError:
    """Return the error for an invalid page."""
    return RefusedError(error("pagination_error", reason=reason))


def pagination(page: Page, cursors: list[str]) -> dict[str, Any]:
    """Return the `pagination` object of a page whose entries have these cursors; an empty page has none."""
    ends = {"after": cursors[-1], "before": cursors[0]} if cursors else {}
    return {"cursors": ends, "page": {"limit": page.limit}}


def cursor_at(position: int) -> str:
    """Return the opaque cursor for a position in the list of orders."""
    return base64.urlsafe_b64encode(f"order:{position}".encode()).decode()


def position_at(cursor: str | None) -> int | None:
    """Return the position of a cursor, None without one. Raises RefusedError (400) for a cursor made elsewhere."""
    if cursor is None:
        return None
    try:
        kind, _, position = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(":")
        number = int(position)
    except (binascii.Error, ValueError):
        raise refused("this is no cursor of this list") from None
    if kind != "order" or cursor_at(number) != cursor or number >= 2**63:
        raise refused("this is no cursor of this list")
    return number
