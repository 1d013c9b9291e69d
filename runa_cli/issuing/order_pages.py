"""Pages through Runa's list of orders to its end, or to where its orders are too old to matter.

What cannot be read to there is an error: a list that ends too soon would pass for one in which nothing is missing.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from runa_cli.api import pagination, responses
from runa_cli.api.classify import Reply
from runa_cli.api.client import Client
from runa_cli.api.pagination import LIST_PAGE
from runa_cli.core.errors import Unreachable

OLD_PAGES = 2  # so many pages in a row without a recent order end the list: Runa documents no order for it

Entry = dict[str, Any]


def order_pages(client: Client, seconds_left: Callable[[], float]) -> Iterator[tuple[list[Entry], Reply]]:
    """Yield the pages of the list, each with the reply that it came in. `seconds_left` limits each request.

    Raises Unreachable, CredentialRefused or RequestRefused, and what `seconds_left` raises.
    """
    after: str | None = None
    seen: set[str] = set()
    while True:
        query = {"limit": LIST_PAGE} | ({"after": after} if after else {})
        reply = client.ask("/order", query, seconds=seconds_left())
        members, after = _read_page(reply)
        yield members, reply
        if after is None or not members:
            return
        if after in seen:
            raise Unreachable("Runa's list of orders leads back to a page that was read already.", code="list_cut")
        seen.add(after)


def recent_pages(pages: Iterable[tuple[list[Entry], datetime]]) -> Iterator[list[Entry]]:
    """Yield the entries of each page that are not certainly older than the time beside it, until all are."""
    old = 0
    for page, oldest in pages:
        recent = [entry for entry in page if not is_before(entry, oldest)]
        yield recent
        old = 0 if recent else old + 1
        if old == OLD_PAGES:
            return


def _read_page(reply: Reply) -> tuple[list[Entry], str | None]:
    try:
        page = responses.read_object(reply.body)
        members = list(pagination.member_list(page, "items"))
    except responses.Unreadable as error:
        raise Unreachable(f"Runa's answer to /order is unreadable: {error}.") from error
    if not all(isinstance(entry.get("id"), str) for entry in members):
        raise Unreachable("Runa's list of orders has an entry without an id.")
    return members, pagination.cursor_after(page)


def is_before(entry: Entry, time: datetime) -> bool:
    """Tell whether an entry of the list is certainly of an order that was created before a time."""
    created = responses.parse_time(entry.get("created_at"))
    return created is not None and created < time
