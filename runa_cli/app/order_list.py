"""`order list`: Runa's orders, page by page, with filters that Runa's API does not have."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from runa_cli.api import responses
from runa_cli.api.pagination import LIST_PAGE, Page
from runa_cli.app.session import Session
from runa_cli.core.errors import RequestRefused, UsageMistake
from runa_cli.core.masking import shown
from runa_cli.core.money import counted
from runa_cli.output import lists
from runa_cli.output.lists import ListView, cell_text
from runa_cli.output.tables import Column

FIRST_PAGE = 100  # enough for a screen; further pages are larger
STATUSES = ("COMPLETED", "FAILED", "PROCESSING")


class OrderFilter(Struct, frozen=True):
    """Which orders to list. `after` and `before` are Runa's cursors; the other filters are applied here."""

    limit: int | None
    after: str | None = None
    before: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None

    def __post_init__(self) -> None:
        """Raise UsageMistake for filters that cannot be applied."""
        if self.after and self.before:
            raise UsageMistake("--after and --before cannot both be given: a page lies on one side of a cursor.")
        if self.status is not None and self.status.upper() not in STATUSES:
            raise UsageMistake(f"--status must be one of {', '.join(STATUSES)}, found {self.status!r}.")

    @property
    def is_filtered_here(self) -> bool:
        """Whether any of the filters is applied here."""
        return any(value is not None for value in (self.status, self.since, self.until, self.search))

    def matches(self, order: Mapping[str, Any]) -> bool:
        """Tell whether an order matches. The list shows neither time nor description of one that is processing."""
        created = responses.parse_time(order.get("created_at"))
        return (
            (self.status is None or order.get("status") == self.status.upper())
            and (self.since is None or (created is not None and created >= self.since))
            and (self.until is None or (created is not None and created < self.until))
            and (self.search is None or self.search.casefold() in cell_text(order.get("description")).casefold())
        )


class _Searched(Struct):
    """How many orders were looked at, and how far back they go, as far as Runa's list tells their times."""

    orders: int = 0
    oldest: datetime | None = None

    def count(self, order: Mapping[str, Any]) -> None:
        self.orders += 1
        created = responses.parse_time(order.get("created_at"))
        if created is not None:
            self.oldest = min(self.oldest or created, created)


def show(session: Session, order_filter: OrderFilter) -> None:
    """Show the orders that match, newest first as Runa lists them. A search says where it looked."""
    searched = _Searched()
    lists.show_list(session.output, _VIEW, _orders(session, order_filter, searched))
    if order_filter.search is not None:
        back = f", back to {searched.oldest.astimezone():%Y-%m-%d}" if searched.oldest else ""
        session.console.note(
            f"Searched the descriptions of {counted(searched.orders, 'order')} at Runa ({session.environment}){back}."
            " `runa gift list --search` finds addresses, names and references of what was issued from here."
        )


def _orders(session: Session, order_filter: OrderFilter, searched: _Searched) -> Iterator[Mapping[str, Any]]:
    left = order_filter.limit
    for order in _fetched(session, order_filter):
        if left == 0:
            return
        searched.count(order)
        if order_filter.matches(order):
            yield order
            left = None if left is None else left - 1


def _fetched(session: Session, order_filter: OrderFilter) -> Iterator[Mapping[str, Any]]:
    """Yield the orders of Runa's list, as many as are wanted where none is left out here."""
    cursors = {"after": order_filter.after, "before": order_filter.before}
    query: dict[str, Any] = {name: cursor for name, cursor in cursors.items() if cursor}
    left = None if order_filter.is_filtered_here else order_filter.limit
    while page := _page(session, {"limit": min(left or order_filter.limit or FIRST_PAGE, LIST_PAGE), **query}):
        yield from page.members
        if order_filter.before or (order_filter.since is not None and _all_before(page.members, order_filter.since)):
            return
        if page.after is None or page.after == query.get("after"):
            return
        query["after"] = page.after
        if left is not None and (left := left - len(page.members)) <= 0:
            session.console.next_page(page.after)
            return


def _page(session: Session, query: Mapping[str, Any]) -> Page | None:
    """Return one page of Runa's list, None behind the last. Raises UsageMistake for a cursor that is none."""
    try:
        return next(session.client.pages("/order", "items", query, seconds=session.settings.timeout.value), None)
    except RequestRefused as error:
        if error.code != "pagination_error":
            raise
        flag, cursor = next((name, query[name]) for name in ("after", "before") if name in query)
        raise UsageMistake(
            f"--{flag} must be a cursor that `runa order list` has told, found {shown(cursor)}."
        ) from error


def _all_before(page: list[dict[str, Any]], since: datetime) -> bool:
    """Tell whether all later pages are too old: this page is, and it is in descending order.

    Runa documents no order for its list, so it is not taken for granted.
    """
    times = [moment for order in page if (moment := responses.parse_time(order.get("created_at")))]
    return bool(times) and times[0] >= times[-1] and max(times) < since


def _row(order: Mapping[str, Any]) -> list[str]:
    created = responses.parse_time(order.get("created_at"))
    return [
        cell_text(order.get("id")),
        f"{created.astimezone():%Y-%m-%d}" if created else "",
        f"{cell_text(order.get('total_price'))} {cell_text(order.get('currency'))}".strip(),
        cell_text(order.get("description")),
        cell_text(order.get("status")),
    ]


_FIELDS = ("id", "status", "created_at", "completed_at", "description", "currency", "total_price", "total_discount")
_VIEW = ListView(
    _FIELDS,
    lambda order: [cell_text(order.get(name)) for name in _FIELDS],
    (
        Column("Order", no_wrap=True),
        Column("Created", no_wrap=True),
        Column("Price", number=True, no_wrap=True),
        Column("Description"),
        Column("Status", status=True, no_wrap=True),
    ),
    _row,
    "No orders.",
)
