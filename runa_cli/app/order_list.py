"""`runa order list`: Runa's orders, page by page, with the filters that Runa does not have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from runa_cli.api import responses
from runa_cli.api.pagination import LIST_PAGE
from runa_cli.app.session import Session
from runa_cli.core.errors import UsageMistake
from runa_cli.output import lists
from runa_cli.output.lists import ListView, cell_text
from runa_cli.output.tables import Column

FIRST_PAGE = 100  # enough for a screen; whoever reads on gets larger pages
STATUSES = ("COMPLETED", "FAILED", "PROCESSING")


@dataclass(frozen=True)
class OrderFilter:
    """Which orders. `after` and `before` are cursors of Runa's; the rest is sorted out here."""

    limit: int | None
    after: str | None = None
    before: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None

    def __post_init__(self) -> None:
        """Raise UsageMistake for what cannot be asked."""
        if self.after and self.before:
            raise UsageMistake("--after and --before cannot both be given: a page lies on one side of a cursor.")
        if self.status is not None and self.status.upper() not in STATUSES:
            raise UsageMistake(f"--status must be one of {', '.join(STATUSES)}, found {self.status!r}.")

    @property
    def sorts_out(self) -> bool:
        """Whether anything is left to this program to sort out."""
        return any(wish is not None for wish in (self.status, self.since, self.until, self.search))

    def fits(self, order: Mapping[str, Any]) -> bool:
        """Tell whether an order is wanted. One that Runa is still processing tells neither time nor description."""
        created = responses.parse_time(order.get("created_at"))
        return (
            (self.status is None or order.get("status") == self.status.upper())
            and (self.since is None or (created is not None and created >= self.since))
            and (self.until is None or (created is not None and created < self.until))
            and (self.search is None or self.search.casefold() in cell_text(order.get("description")).casefold())
        )


def moment(flag: str, given: str | None, *, end: bool = False) -> datetime | None:
    """Read a day or a time; local where it names no zone. The end of a day is the begin of the next.

    Raises UsageMistake.
    """
    if given is None:
        return None
    try:
        read = datetime.fromisoformat(given)
    except ValueError as error:
        raise UsageMistake(
            f"{flag} must be a day or a time such as 2026-11-23 or 2026-11-23T09:00, found {given!r}."
        ) from error
    if end and len(given) <= 10:
        read += timedelta(days=1)
    return read.astimezone(UTC)


def show(session: Session, wanted: OrderFilter) -> None:
    """Show the orders, newest first as Runa gives them."""
    lists.show_list(session.output, _SHELF, _orders(session, wanted))


def _orders(session: Session, wanted: OrderFilter) -> Iterator[Mapping[str, Any]]:
    left = wanted.limit
    for order in _all(session, wanted):
        if left == 0:
            return
        if wanted.fits(order):
            yield order
            left = None if left is None else left - 1


def _all(session: Session, wanted: OrderFilter) -> Iterator[Mapping[str, Any]]:
    seconds = session.settings.timeout.value
    cursors = {"after": wanted.after} if wanted.after else {"before": wanted.before} if wanted.before else {}
    query = {"limit": min(wanted.limit or FIRST_PAGE, LIST_PAGE), **cursors}
    for page in session.client.pages("/order", "items", query, seconds=seconds):
        yield from page.members
        if wanted.before or (wanted.since is not None and _all_before(page.members, wanted.since)):
            return
        if wanted.limit == len(page.members) and not wanted.sorts_out and page.after:
            session.talk.say(f"More of them: --after {page.after}")


def _all_before(page: list[dict[str, Any]], since: datetime) -> bool:
    """Tell whether the pages from here on are too old, if the list is seen to fall; Runa documents no order."""
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
_SHELF = ListView(
    _FIELDS,
    lambda order: [cell_text(order.get(name)) for name in _FIELDS],
    (
        Column("Order", keep=True),
        Column("Created", keep=True),
        Column("Price", number=True, keep=True),
        Column("Description"),
        Column("Status", status=True, keep=True),
    ),
    _row,
    "No orders.",
)
