"""The windows that limits hold in: a day, week, month or year of the calendar in the policy's time zone."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from runa_cli.issuing.policy import Per


class Window(NamedTuple):
    """From when on what is spent counts, and when the next window begins (UTC); both are None for all time."""

    start: datetime | None = None
    end: datetime | None = None


ALL_TIME = Window()


def window_at(per: Per, now: datetime, zone: ZoneInfo) -> Window:
    """Return the window that a moment lies in. An order or a batch has none of its own: it is all of it, at any time.

    A week begins on Monday, as in ISO 8601.
    """
    today = now.astimezone(zone).date()
    match per:
        case "day":
            first, following = today, today + timedelta(days=1)
        case "week":
            first = today - timedelta(days=today.weekday())
            following = first + timedelta(weeks=1)
        case "month":
            first = today.replace(day=1)
            following = (first + timedelta(days=31)).replace(day=1)
        case "year":
            first = today.replace(month=1, day=1)
            following = first.replace(year=first.year + 1)
        case _:
            return ALL_TIME
    return Window(_midnight(first, zone), _midnight(following, zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins (UTC). Where the clock is set on over midnight, that is the moment when it is set."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
