"""Which gifts a report is about, and the days, weeks and months of a report: those of this machine's time zone."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from runa_cli.app.batches import active_environment
from runa_cli.app.session import Session
from runa_cli.ledger.spent import from_moment
from runa_cli.ledger.spent_queries import QUARTER, Scope

Days = tuple[datetime | None, datetime | None]  # from when until before when, in UTC


class Period(Struct, frozen=True):
    """A day, week or month: its name, and when it begins and ends (UTC)."""

    name: str
    begins: datetime
    ends: datetime


def scope(session: Session, days: Days) -> Scope:
    """Return what a report is about: the active environment. Raises ConfigurationError where none is known."""
    return Scope(active_environment(session), *days)


def year(number: int) -> Days:
    """Return when a year begins and ends."""
    return _begins(date(number, 1, 1)), _begins(date(number + 1, 1, 1))


def period_of(kind: str) -> Callable[[int], Period]:
    """Return what tells the period of a kind of `PERIODS` that a quarter of an hour is in, by its number since 1970."""
    first_day, name, next_first = _KINDS[kind]
    last: list[Period] = []  # the one that was told last: mostly the next quarter of an hour is in it too

    def period(quarter: int) -> Period:
        time = from_moment(quarter * QUARTER)
        if not (last and last[0].begins <= time < last[0].ends):
            day = first_day(time.astimezone().date())
            last[:] = [Period(name(day), _begins(day), _begins(next_first(day)))]
        return last[0]

    return period


def describe(session: Session, about: Scope) -> str:
    """Return a sentence for people: what a report is about, and whose days it means."""
    zone = datetime.now().astimezone()
    limits = [
        *([f"from {_shown(about.since)}"] if about.since else []),
        *([f"until {_shown(about.until)}"] if about.until else []),
    ]
    when = " ".join(limits) or "all that is recorded"
    name = f"{zone:%Z}" if f"{zone:%Z}" == "UTC" else f"{zone:%Z}, UTC{zone:%z}"
    return f"{session.environment}, {when}; days begin at midnight of this machine's time zone ({name})."


def _shown(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def _begins(day: date) -> datetime:
    return datetime(day.year, day.month, day.day).astimezone(UTC)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _week(day: date) -> str:
    number = day.isocalendar()
    return f"{number.year}-W{number.week:02}"


_Kind = tuple[Callable[[date], date], Callable[[date], str], Callable[[date], date]]  # its first day, name, end
_KINDS: Mapping[str, _Kind] = {
    "day": (lambda day: day, lambda day: f"{day:%Y-%m-%d}", lambda day: day + timedelta(days=1)),
    "week": (_monday, _week, lambda day: day + timedelta(days=7)),
    "month": (lambda day: day.replace(day=1), lambda day: f"{day:%Y-%m}", _next_month),
}
PERIODS = tuple(_KINDS)
