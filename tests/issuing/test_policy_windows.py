"""Windows are those of the calendar in the policy's time zone, whatever its clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runa_cli.issuing.policy import Per
from runa_cli.issuing.policy_windows import ALL_TIME, Window, window_at


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("per", "zone", "now", "start", "end"),
    [
        ("day", "UTC", "2026-11-30 15:00", "2026-11-30 00:00", "2026-12-01 00:00"),
        ("month", "UTC", "2026-11-30 15:00", "2026-11-01 00:00", "2026-12-01 00:00"),
        ("month", "UTC", "2028-02-29 23:59", "2028-02-01 00:00", "2028-03-01 00:00"),
        # The end of a year, where a zone is ahead of UTC or behind it.
        ("month", "UTC", "2026-12-31 23:59", "2026-12-01 00:00", "2027-01-01 00:00"),
        ("year", "Pacific/Auckland", "2026-12-31 11:00", "2026-12-31 11:00", "2027-12-31 11:00"),
        ("year", "Pacific/Auckland", "2026-12-31 10:59", "2025-12-31 11:00", "2026-12-31 11:00"),
        ("year", "America/New_York", "2027-01-01 04:59", "2026-01-01 05:00", "2027-01-01 05:00"),
        ("day", "Asia/Kathmandu", "2026-11-30 18:15", "2026-11-30 18:15", "2026-12-01 18:15"),
        # Weeks begin on Monday, also where the year ends within one.
        ("week", "UTC", "2026-11-29 23:59", "2026-11-23 00:00", "2026-11-30 00:00"),
        ("week", "UTC", "2026-11-30 00:00", "2026-11-30 00:00", "2026-12-07 00:00"),
        ("week", "UTC", "2027-01-01 12:00", "2026-12-28 00:00", "2027-01-04 00:00"),
        # Clocks are set: a day of 23 hours, and one of 25.
        ("day", "Europe/London", "2026-03-29 12:00", "2026-03-29 00:00", "2026-03-29 23:00"),
        ("day", "Europe/London", "2026-10-25 12:00", "2026-10-24 23:00", "2026-10-26 00:00"),
        ("day", "Europe/London", "2026-10-25 00:30", "2026-10-24 23:00", "2026-10-26 00:00"),
        ("day", "Europe/London", "2026-10-25 01:30", "2026-10-24 23:00", "2026-10-26 00:00"),
        ("month", "Europe/London", "2026-03-31 23:00", "2026-03-31 23:00", "2026-04-30 23:00"),
        ("week", "Europe/London", "2026-03-29 12:00", "2026-03-23 00:00", "2026-03-29 23:00"),
        # Clocks are set on at midnight, so that the day begins at one o'clock.
        ("day", "Africa/Cairo", "2026-04-24 06:00", "2026-04-23 22:00", "2026-04-24 21:00"),
        ("day", "Africa/Cairo", "2026-04-23 21:59", "2026-04-22 22:00", "2026-04-23 22:00"),
    ],
)
def test_a_window_begins_and_ends_with_the_calendar(per: Per, zone: str, now: str, start: str, end: str) -> None:
    assert Window(utc(start), utc(end)) == window_at(per, utc(now), ZoneInfo(zone))


@pytest.mark.parametrize("per", ["order", "batch", "all"])
def test_what_is_no_window_of_time_lasts_for_ever(per: Per) -> None:
    assert ALL_TIME == window_at(per, utc("2026-11-30 15:00"), ZoneInfo("UTC"))


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("per", ["day", "week", "month", "year"])
def test_each_moment_lies_in_one_window_and_the_next_begins_where_it_ends(zone: str, per: Per) -> None:
    now, end = utc("2026-01-01 00:00"), utc("2027-02-01 00:00")
    while now < end:
        window = window_at(per, now, ZoneInfo(zone))
        assert window.start is not None
        assert window.end is not None
        assert window.start <= now < window.end
        assert window.end == window_at(per, window.end, ZoneInfo(zone)).start
        now += timedelta(hours=7)
