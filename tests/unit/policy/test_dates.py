"""Calendar arithmetic of the brand's time zone: month ends, leap days, clock changes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.dates import DayTime, Earliest, Latest, Shift, days_between, facts_of, format_date, resolve, shift
from bot.policy.facts import Facts
from tests.unit.policy.strategies import moments

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("start", "by", "zone", "expected"),
    [
        # the end of a shorter month, and back to a longer one
        ("2026-01-31T12:00", Shift("now", months=1), BERLIN, "2026-02-28T12:00"),
        ("2028-01-31T12:00", Shift("now", months=1), BERLIN, "2028-02-29T12:00"),
        ("2026-03-31T12:00", Shift("now", months=-1), BERLIN, "2026-02-28T13:00"),
        ("2026-12-15T12:00", Shift("now", months=1), BERLIN, "2027-01-15T12:00"),
        ("2026-01-15T12:00", Shift("now", months=-1), BERLIN, "2025-12-15T12:00"),
        ("2026-01-31T12:00", Shift("now", months=13), BERLIN, "2027-02-28T12:00"),
        # leap days
        ("2028-02-29T12:00", Shift("now", years=1), BERLIN, "2029-02-28T12:00"),
        ("2028-02-29T12:00", Shift("now", years=4), BERLIN, "2032-02-29T12:00"),
        ("2028-02-28T12:00", Shift("now", days=1), BERLIN, "2028-02-29T12:00"),
        # months first, then days
        ("2026-01-31T12:00", Shift("now", months=1, days=1), BERLIN, "2026-03-01T12:00"),
        # the local time of day survives clock changes
        ("2026-03-07T17:00", Shift("now", days=1), NEW_YORK, "2026-03-08T16:00"),
        ("2026-10-31T16:00", Shift("now", days=1), NEW_YORK, "2026-11-01T17:00"),
        # 02:30 does not exist on 8 March in New York: it moves forward to 03:30
        ("2026-03-07T07:30", Shift("now", days=1), NEW_YORK, "2026-03-08T07:30"),
        # the day is the brand's: 03:00 UTC is still the evening before in New York
        ("2026-06-10T03:00", Shift("now", at=DayTime.START_OF_DAY), NEW_YORK, "2026-06-09T04:00"),
        ("2026-06-10T03:00", Shift("now", at=DayTime.END_OF_DAY), NEW_YORK, "2026-06-10T04:00"),
        ("2026-06-10T03:00", Shift("now", days=14, at=DayTime.START_OF_DAY), NEW_YORK, "2026-06-23T04:00"),
        ("2026-06-10T03:00", Shift("now"), NEW_YORK, "2026-06-10T03:00"),
    ],
)
def test_a_date_is_moved_in_the_brands_calendar(start: str, by: Shift, zone: ZoneInfo, expected: str) -> None:
    assert shift(_utc(start), by, zone) == _utc(expected)


@given(start=moments, days=st.integers(-400, 400))
def test_moved_by_days_the_local_date_moves_by_as_many(start: datetime, days: int) -> None:
    moved = shift(start, Shift("now", days=days), NEW_YORK)

    assert days_between(start, moved, NEW_YORK) == days
    assert moved.tzinfo is timezone.utc


@given(start=moments, months=st.integers(-60, 60))
def test_moved_by_months_the_day_is_kept_or_the_months_last(start: datetime, months: int) -> None:
    before, after = (m.astimezone(BERLIN) for m in (start, shift(start, Shift("now", months=months), BERLIN)))

    assert (after.year - before.year) * 12 + after.month - before.month == months
    assert after.day == before.day or (after + timedelta(days=1)).day == 1


@given(start=moments)
def test_the_start_of_a_day_is_not_after_its_end(start: datetime) -> None:
    first, last = (shift(start, Shift("now", at=at), BERLIN) for at in DayTime)

    assert first <= start < last
    assert days_between(first, last, BERLIN) == 1


def test_of_several_dates_the_latest_or_earliest_counts_if_all_are_known() -> None:
    facts = Facts({"now": _utc("2026-06-01T00:00"), "period_end": _utc("2026-06-20T00:00")})
    both = (Shift("now", days=30), Shift("period_end"))

    assert resolve(Latest(both), facts, BERLIN) == _utc("2026-07-01T00:00")
    assert resolve(Earliest(both), facts, BERLIN) == _utc("2026-06-20T00:00")
    assert resolve(Latest((*both, Shift("cancelled_at"))), facts, BERLIN) is None
    assert facts_of(Earliest((Latest(both), Shift("cancelled_at")))) == ("now", "period_end", "cancelled_at")


def test_a_day_is_shown_as_the_brands_calendar_has_it() -> None:
    assert format_date(_utc("2026-12-01T03:00"), NEW_YORK) == "30 November 2026"
    assert format_date(_utc("2026-12-01T03:00"), BERLIN) == "1 December 2026"
