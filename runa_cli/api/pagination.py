"""The pages of Runa's lists (developer.runa.io: reference/2024-02-05/pagination)."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from runa_cli.api.responses import Unreadable

LIST_PAGE = 500  # the most entries of one page (developer.runa.io: reference/2024-02-05/endpoint/orders/list)


class Page(Struct, frozen=True):
    """One page of a list, and the cursor of the next page."""

    members: list[dict[str, Any]]
    after: str | None


def cursor_after(page: Mapping[str, Any]) -> str | None:
    """Return the cursor of the next page, None where there is none."""
    pagination = page.get("pagination")
    cursors = pagination.get("cursors") if isinstance(pagination, dict) else None
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) and after else None


def member_list(page: Mapping[str, Any], name: str) -> Iterable[dict[str, Any]]:
    """Return the objects of a page. Raises Unreadable."""
    members = page.get(name)
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise Unreadable(f"the reply has no list of {name}")
    return members
