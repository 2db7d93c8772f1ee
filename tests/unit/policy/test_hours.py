"""When people are at the desk, by the brand's clock, across nights, weekends, holidays and clock changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from bot.policy.hours import after_open_time, is_open, next_opening
from bot.policy.pack import DeskTerms, OpenTime

NEW_YORK = ZoneInfo("America/New_York")
WEEK = DeskTerms(
    hours={day: (OpenTime(9 * 60, 12 * 60), OpenTime(13 * 60, 17 * 60)) for day in range(5)},
    holidays=(date(2026, 11, 26),),
    first_reply_minutes=5,
    next_reply_minutes=5,
    resolve_hours=8,
    promise_minutes=5,
    away_reply=("Later.",),
)


def at(day: int, hour: int, minute: int = 0, *, month: int = 11) -> datetime:
    """A moment by New York's clocks in 2026."""
    return datetime(2026, month, day, hour, minute, tzinfo=NEW_YORK).astimezone(timezone.utc)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (at(25, 10), at(25, 10)),
        (at(25, 8), at(25, 9)),
        (at(25, 12), at(25, 13)),
        (at(25, 17), at(27, 9)),  # over the holiday
        (at(27, 20), at(30, 9)),  # over the weekend
        (at(30, 16, 59, month=10), at(30, 16, 59, month=10)),
        (at(31, 12, month=10), at(2, 9)),  # over a clock change: nine is nine
    ],
)
def test_the_next_opening_is_by_the_brands_own_clock(now: datetime, opens: datetime) -> None:
    assert next_opening(WEEK, NEW_YORK, now) == opens
    assert is_open(WEEK, NEW_YORK, now) == (now == opens)


@pytest.mark.parametrize(
    ("start", "minutes", "due"),
    [
        (at(25, 10), 30, at(25, 10, 30)),
        (at(25, 11, 50), 20, at(25, 13, 10)),
        (at(25, 16, 55), 10, at(27, 9, 5)),
        (at(28, 3), 7 * 60, at(30, 17)),
    ],
)
def test_time_counts_while_it_is_open(start: datetime, minutes: int, due: datetime) -> None:
    assert after_open_time(WEEK, NEW_YORK, start, timedelta(minutes=minutes)) == due


def test_a_desk_that_never_opens_is_closed_and_counts_by_the_clock() -> None:
    never = DeskTerms({}, (), 5, 5, 8, 5, ("Never.",))
    assert next_opening(never, NEW_YORK, at(25, 10)) is None
    assert after_open_time(never, NEW_YORK, at(25, 10), timedelta(hours=1)) == at(25, 11)


def test_around_the_clock_is_always_open() -> None:
    always = DeskTerms({day: (OpenTime(0, 1440),) for day in range(7)}, (), 5, 5, 8, 5, ("Soon.",))
    moment = at(31, 22, month=10)
    for hours in range(0, 60, 5):
        assert is_open(always, NEW_YORK, moment + timedelta(hours=hours))
    assert after_open_time(always, NEW_YORK, moment, timedelta(hours=30)) == moment + timedelta(hours=30)
