"""When a brand's people are at the desk: open or closed, the next opening, and what is due after so much open time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from bot.policy.pack import DeskTerms

_DAYS_AHEAD = 60  # a desk that does not open within two months is closed
_DAY = 24 * 60  # minutes


def is_open(terms: DeskTerms, zone: ZoneInfo, now: datetime) -> bool:
    """Whether people are meant to be there at that moment."""
    return next_opening(terms, zone, now) == now


def next_opening(terms: DeskTerms, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the desk is open next, `now` itself if it is open; None if not in the next two months. Aware UTC."""
    return next((max(opens, now) for opens, _ in _stretches(terms, zone, now)), None)


def after_open_time(terms: DeskTerms, zone: ZoneInfo, start: datetime, length: timedelta) -> datetime:
    """The moment at which the desk has been open for `length` since `start`; without open hours, by the clock alone."""
    left = length
    for opens, closes in _stretches(terms, zone, start):
        begin = max(opens, start)
        if closes - begin >= left:
            return begin + left
        left -= closes - begin
    return start + length


def _stretches(terms: DeskTerms, zone: ZoneInfo, after: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The open stretches that end after a moment, in order, aware UTC."""
    today = after.astimezone(zone).date()
    for ahead in range(_DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        if day in terms.holidays:
            continue
        for stretch in terms.hours.get(day.weekday(), ()):
            opens, closes = _moment(day, stretch.opens, zone), _moment(day, stretch.closes, zone)
            if closes > after and closes > opens:  # a clock change may skip a stretch whole
                yield opens, closes


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """A wall clock's time of a day; one that a clock change skips moves forward by what was skipped."""
    day += timedelta(days=minutes // _DAY)
    clock = datetime.combine(day, time(minutes % _DAY // 60, minutes % 60), tzinfo=zone)
    return clock.astimezone(timezone.utc)
