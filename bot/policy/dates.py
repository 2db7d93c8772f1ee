"""Date expressions such as 'the period's end plus 14 days', computed in the brand's calendar and given in UTC."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from zoneinfo import ZoneInfo

from bot.policy.facts import Facts


class DayTime(str, Enum):
    """A moment of the local day that a date expression can be moved to."""

    START_OF_DAY = "start_of_day"
    END_OF_DAY = "end_of_day"


@dataclass(frozen=True)
class Shift:
    """A datetime or date fact, moved by calendar units of the brand's time zone; a date fact starts at local midnight.

    Years and months come first and keep to the end of shorter months (31 January + 1 month is 28 or 29 February), then
    days. The local time of day is kept; one that a clock change skips moves forward by what was skipped.
    """

    fact: str
    years: int = 0
    months: int = 0
    days: int = 0
    at: DayTime | None = None


@dataclass(frozen=True)
class Latest:
    """The latest of several; unknown if one of them is."""

    parts: tuple[DateExpression, ...]


@dataclass(frozen=True)
class Earliest:
    """The earliest of several; unknown if one of them is."""

    parts: tuple[DateExpression, ...]


DateExpression = Shift | Latest | Earliest


@dataclass(frozen=True)
class Each:
    """Every moment of a datetime-list fact."""

    fact: str


def resolve(expression: DateExpression, facts: Facts, zone: ZoneInfo) -> datetime | None:
    """Return the moment in aware UTC, or None when a fact it rests on is unknown."""
    if isinstance(expression, Shift):
        start = facts.get(expression.fact)
        if isinstance(start, datetime):
            return shift(start, expression, zone)
        if isinstance(start, date):
            return shift(datetime.combine(start, time(), zone), expression, zone)
        return None
    moments = [resolve(part, facts, zone) for part in expression.parts]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments):
        return None
    return max(known) if isinstance(expression, Latest) else min(known)


def facts_of(expression: DateExpression) -> tuple[str, ...]:
    """Return the names of the facts an expression rests on."""
    if isinstance(expression, Shift):
        return (expression.fact,)
    return tuple(name for part in expression.parts for name in facts_of(part))


def shift(start: datetime, by: Shift, zone: ZoneInfo) -> datetime:
    """Move an aware moment as `by` says, in the calendar of `zone`; the result is aware UTC."""
    if not (by.years or by.months or by.days or by.at):
        return start.astimezone(timezone.utc)
    local = start.astimezone(zone)
    month = local.year * 12 + local.month - 1 + by.years * 12 + by.months
    year, month = divmod(month, 12)
    last = calendar.monthrange(year, month + 1)[1]
    day = date(year, month + 1, min(local.day, last)) + timedelta(days=by.days)
    clock = local.timetz().replace(tzinfo=None)
    if by.at is DayTime.START_OF_DAY:
        clock = time()
    elif by.at is DayTime.END_OF_DAY:
        day, clock = day + timedelta(days=1), time()
    # fold 0 reads a skipped local time with the offset before the change: it moves forward, and midnight stays unique.
    return datetime.combine(day, clock.replace(fold=0), zone).astimezone(timezone.utc)


def days_between(start: datetime, end: datetime, zone: ZoneInfo) -> int:
    """Return how many calendar days of `zone` lie between two aware moments; negative when `end` is earlier."""
    return (end.astimezone(zone).date() - start.astimezone(zone).date()).days


def format_date(moment: datetime, zone: ZoneInfo) -> str:
    """Return the day of an aware moment in the brand's time zone, as in `5 December 2026`."""
    local = moment.astimezone(zone)
    return f"{local.day} {calendar.month_name[local.month]} {local.year}"
