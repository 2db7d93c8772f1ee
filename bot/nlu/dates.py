"""Dates as people say them, resolved to ISO dates in the brand's time zone."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from bot.nlu.numbers import QUANTITY, quantity

Grain = Literal["day", "week", "month", "year"]


@dataclass(frozen=True)
class FoundDate:
    """A stretch of text and the first day that it stands for; `grain` says how much longer it may be."""

    start: int
    end: int
    value: date
    grain: Grain


_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH_OF = {name[:length]: index for index, name in enumerate(_MONTHS, 1) for length in (3, len(name))} | {"sept": 9}
_DAY_OF = {name: index for index, name in enumerate(_DAYS)}
_DAY_OF |= {
    "mon": 0,
    "tue": 1,
    "tues": 1,
    "wed": 2,
    "weds": 2,
    "thu": 3,
    "thur": 3,
    "thurs": 3,
    "fri": 4,
    "sat": 5,
    "sun": 6,
}

_MONTH = "(?:" + "|".join(sorted(_MONTH_OF, key=len, reverse=True)) + r")\b\.?"
_LONG_MONTH = "(?:" + "|".join(name for name in _MONTHS if name != "may") + ")"
_DAY = "(?:" + "|".join(_DAYS) + ")"
_ANY_DAY = "(?:" + "|".join(sorted(_DAY_OF, key=len, reverse=True)) + ")"
_NUMBER = r"(?:3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?:\d{4}|'\d{2})"
_UNIT = r"(?:hours?|hrs?|days?|weeks?|wks?|months?|mths?|years?|yrs?)"
_ABOUT = r"(?:(?:about|around|roughly|maybe|almost|nearly|over|approximately|like)\s+)?"

_AHEAD = re.compile(
    r"\b(?:will|going to|gonna|want|wanna|would like|i'd like|let's|please|move|shift|push|postpone|schedule|book|call|"
    r"until|till|by|before|renews?|expires?|ends?|due|starting|next|can (?:you|i|we|it))\b",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"\b(?:since|was|were|did|didn't|has|have|had|hasn't|haven't|stopped|started|paid|charged|billed|sent|got|bought|"
    r"ordered|cancell?ed|renewed|last|ago|signed|rented|never)\b",
    re.IGNORECASE,
)


def find_dates(text: str, now: datetime) -> list[FoundDate]:
    """Every date in a text, from left to right. `now` is aware and in the zone that "today" means.

    A day without a month or year is the last such day when the sentence looks back, the next when it looks ahead; when
    it does neither, the last: customers mostly tell what happened.
    """
    today = now.date()
    found: list[FoundDate] = []
    taken = [False] * len(text)
    for pattern, resolve in _RULES:
        for match in pattern.finditer(text):
            if any(taken[match.start() : match.end()]):
                continue
            result = resolve(match, today, _looks_ahead(text, match.start()))
            if result is not None:
                taken[match.start() : match.end()] = [True] * (match.end() - match.start())
                found.append(FoundDate(match.start(), match.end(), *result))
    return sorted(found, key=lambda one: one.start)


_Resolved = tuple[date, Grain] | None
_Resolve = Callable[[re.Match[str], date, bool], _Resolved]


def _looks_ahead(text: str, position: int) -> bool:
    """Whether the sentence up to a date is about the future: the nearest word of either kind decides."""
    before = text[max(0, position - 60) : position]
    ahead = max((match.start() for match in _AHEAD.finditer(before)), default=-1)
    behind = max((match.start() for match in _BEHIND.finditer(before)), default=-1)
    return ahead > behind


def _year(text: str | None) -> int | None:
    if not text:
        return None
    return int(text) if len(text) == 4 else 2000 + int(text.strip("'"))


def _on(year: int | None, month: int, day: int, today: date, ahead: bool) -> _Resolved:
    try:
        if year is not None:
            return date(year, month, day), "day"
        candidates = [
            date(today.year + shift, month, day) for shift in (-1, 0, 1) if _exists(today.year + shift, month, day)
        ]
    except ValueError:
        return None
    return _nearest(candidates, today, ahead)


def _exists(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


def _nearest(candidates: list[date], today: date, ahead: bool) -> _Resolved:
    if ahead:
        return next(((one, "day") for one in candidates if one >= today), None)
    return next(((one, "day") for one in reversed(candidates) if one <= today), None)


def _add_months(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _shift(today: date, amount: int, unit: str) -> _Resolved:
    if abs(amount) > 1200:
        return None
    kind = unit[0].lower()
    if kind == "h":
        return today + timedelta(days=int(amount / 24)), "day"
    if kind == "d":
        return today + timedelta(days=amount), "day"
    if kind == "w":
        return today + timedelta(weeks=amount), "day"
    months = amount * (12 if kind == "y" else 1)
    return (_add_months(today, months), "day") if 0 < today.year + months / 12 < 9000 else None


def _iso(match: re.Match[str], today: date, ahead: bool) -> _Resolved:
    return _on(int(match[1]), int(match[2]), int(match[3]), today, ahead)


def _numeric(match: re.Match[str], today: date, ahead: bool) -> _Resolved:
    """American order, unless only the European one can be meant."""
    month, day = int(match[1]), int(match[2])
    if month > 12:
        month, day = day, month
    year = match[3]
    return _on(None if not year else int(year) if len(year) == 4 else 2000 + int(year), month, day, today, ahead)


def _month_day(match: re.Match[str], today: date, ahead: bool) -> _Resolved:
    return _on(_year(match["year"]), _MONTH_OF[match["month"].strip(".").lower()], int(match["day"]), today, ahead)


def _month_only(match: re.Match[str], today: date, ahead: bool) -> _Resolved:
    month, year = _MONTH_OF[match["month"].strip(".").lower()], _year(match["year"])
    which = (match["which"] or "").lower()
    if year is None:
        year = today.year
        if which == "next" or (ahead and which != "last"):
            year += month < today.month or (which == "next" and month == today.month)
        else:
            year -= month > today.month or (which == "last" and month == today.month)
    return date(year, month, 1), "month"


def _worded_ordinal(match: re.Match[str], today: date, ahead: bool) -> _Resolved:
    day = _ORDINALS[" ".join(re.split(r"[\s-]+", match["day"].lower()))]
    if match["month"]:
        return _on(_year(match["year"]), _MONTH_OF[match["month"].strip(".").lower()], day, today, ahead)
    months = [_add_months(today.replace(day=1), shift) for shift in range(-3, 4)]
    return _nearest([month.replace(day=day) for month in months if _exists(month.year, month.month, day)], today, ahead)


_ORDINAL_WORDS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_ORDINALS = {word: number for number, word in enumerate(_ORDINAL_WORDS.split(), 1)}
_ORDINALS |= {f"twenty {word}": 20 + number for word, number in list(_ORDINALS.items())[:9]}
_ORDINALS |= {"thirtieth": 30, "thirty first": 31}
_WORDED = "(?:" + "|".join(name.replace(" ", r"[\s-]+") for name in sorted(_ORDINALS, key=len, reverse=True)) + ")"


def _ordinal(match: re.Match[str], today: date, ahead: bool) -> _Resolved:
    day = int(match["day"])
    months = [_add_months(today.replace(day=1), shift) for shift in range(-3, 4)]
    if match["which"]:
        shift = {"last": -1, "this": 0, "next": 1}.get(match["which"].lower().split()[-2], 0)
        month = _add_months(today.replace(day=1), shift)
        return (month.replace(day=day), "day") if _exists(month.year, month.month, day) else None
    return _nearest([month.replace(day=day) for month in months if _exists(month.year, month.month, day)], today, ahead)


def _weekday(match: re.Match[str], today: date, ahead: bool) -> _Resolved:
    which = (match["which"] or "").lower().split()[-1:] or [""]
    weekday = _DAY_OF[match["day"].lower()]
    coming = today + timedelta(days=(weekday - today.weekday()) % 7)
    passed = today - timedelta(days=(today.weekday() - weekday) % 7)
    if which[0] in ("last", "past"):
        return (passed if passed < today else today - timedelta(days=7)), "day"
    if which[0] in ("next", "coming"):
        return (coming if coming > today else today + timedelta(days=7)), "day"
    if which[0] == "this" or ahead:
        return coming, "day"
    return passed, "day"


_NAMED = {
    "the day before yesterday": -2,
    "day before yesterday": -2,
    "the day after tomorrow": 2,
    "day after tomorrow": 2,
    "yesterday": -1,
    "last night": -1,
    "today": 0,
    "tonight": 0,
    "this morning": 0,
    "this afternoon": 0,
    "this evening": 0,
    "tomorrow": 1,
    "tomorow": 1,
    "tmrw": 1,
    "tmr": 1,
}


def _named(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    return today + timedelta(days=_NAMED[" ".join(match[0].lower().split())]), "day"


def _halves_ago(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    """Half a unit, or so many and a half."""
    amount = quantity(match["amount"]) if match["amount"] else 0
    halves = {"w": 4, "m": 15, "y": 182, "d": 1}.get(match["unit"][0].lower(), 0)  # days in half of one
    if amount is None:
        return None
    if match["unit"][0].lower() == "y":
        return _shift(today, -(12 * amount + 6), "month")
    whole = _shift(today, -amount, match["unit"])
    return None if whole is None else (whole[0] - timedelta(days=halves), "day")


def _fortnight(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    amount = quantity(match["amount"] or "a")
    return None if amount is None else _shift(today, -2 * amount, "week")


def _week_of_day(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    """A weekday of last, this or next week."""
    monday = today - timedelta(days=today.weekday())
    shift = {"last": -1, "next": 1}.get(match["which"].lower(), 0)
    return monday + timedelta(weeks=shift, days=_DAY_OF[match["day"].lower()]), "day"


def _days_ago(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    """So many of a weekday ago, the last one being one ago; "the Monday before last" is two ago."""
    amount = 2 if "before" in match[0].lower() else quantity(match["amount"])
    if amount is None or not 0 < amount < 60:
        return None
    passed = today - timedelta(days=(today.weekday() - _DAY_OF[match["day"].lower()] - 1) % 7 + 1)
    return passed - timedelta(weeks=amount - 1), "day"


def _week_from_day(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    amount = quantity(match["amount"])
    coming = today + timedelta(days=(_DAY_OF[match["day"].lower()] - today.weekday()) % 7)
    return None if amount is None or amount > 60 else (coming + timedelta(weeks=amount), "day")


def _holiday(match: re.Match[str], today: date, ahead: bool) -> _Resolved:
    month, day = next(value for name, value in _HOLIDAYS.items() if re.match(name, match["name"], re.IGNORECASE))
    return _on(None, month, day, today, ahead)


# Days of the year that people date things by, where they are always the same.
_HOLIDAYS = {
    r"christmas\s+eve": (12, 24),
    r"christmas|xmas": (12, 25),
    r"new\s+year'?s\s+eve": (12, 31),
    r"new\s+year": (1, 1),
    r"halloween": (10, 31),
    r"valentine": (2, 14),
    r"independence\s+day|4th\s+of\s+july|fourth\s+of\s+july": (7, 4),
}


def _ago(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    amount = quantity(match["amount"])
    return None if amount is None else _shift(today, -amount, match["unit"])


def _from_now(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    amount = quantity(match["amount"])
    return None if amount is None else _shift(today, amount, match["unit"])


def _edge(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    """Start, middle or end of a week, month or year."""
    shift = {"last": -1, "next": 1}.get((match["which"] or "").lower(), 0)
    edge, unit = match["edge"].lower(), match["unit"].lower()
    if unit == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=shift)
        return monday + timedelta(days={"e": 6, "m": 2}.get(edge[0], 0)), "day"
    if unit == "year":
        year = today.year + shift
        return {"e": date(year, 12, 31), "m": date(year, 7, 1)}.get(edge[0], date(year, 1, 1)), "day"
    first = _add_months(today.replace(day=1), shift)
    last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
    return {"e": last, "m": first.replace(day=15)}.get(edge[0], first), "day"


def _period(match: re.Match[str], today: date, _ahead: bool) -> _Resolved:
    shift = {"last": -1, "past": -1, "previous": -1, "next": 1}.get(match["which"].lower(), 0)
    unit = match["unit"].lower()
    if unit == "week":
        return today - timedelta(days=today.weekday()) + timedelta(weeks=shift), "week"
    if unit == "weekend":
        return today - timedelta(days=today.weekday()) + timedelta(days=5, weeks=shift), "day"
    if unit == "month":
        return _add_months(today.replace(day=1), shift), "month"
    return date(today.year + shift, 1, 1), "year"


def _rules() -> Iterator[tuple[re.Pattern[str], _Resolve]]:
    def rule(pattern: str, resolve: _Resolve) -> tuple[re.Pattern[str], _Resolve]:
        return re.compile(pattern, re.IGNORECASE), resolve

    ordinal = r"(?:st|nd|rd|th)"
    yield rule(r"(?<![\w-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\d-])", _iso)
    yield rule(r"(?<![\w/.-])(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?(?![\w/]|\s+of\b)", _numeric)
    yield rule(r"(?<![\w/.-])(\d{1,2})[.-](\d{1,2})[.-](\d{4})(?![\w.-]*\d)", _numeric)
    yield rule(
        rf"\b(?P<month>{_MONTH})\s*(?:the\s+)?(?P<day>{_NUMBER}){ordinal}?\b(?!:)(?:,?\s*(?P<year>{_YEAR})\b)?",
        _month_day,
    )
    yield rule(
        rf"\b(?:the\s+)?(?P<day>{_NUMBER}){ordinal}?(?:\s+(?:of\s+)?|[-/])(?P<month>{_MONTH})(?:[,-]?\s*(?P<year>{_YEAR})\b)?",
        _month_day,
    )
    yield rule(
        r"\b(?P<name>christmas(?:\s+eve)?|xmas|new\s+year'?s\s+eve|new\s+year(?:'?s(?:\s+day)?)?|halloween"
        r"|valentine'?s(?:\s+day)?|independence\s+day|fourth\s+of\s+july)(?!\w)",
        _holiday,
    )
    yield rule(
        r"\b(?P<edge>end|middle|mid|beginning|start)[\s-]+(?:of\s+)?(?:the\s+)?(?P<which>this|last|next|current)?\s*(?P<unit>week|month|year)\b",
        _edge,
    )
    yield rule(
        r"\b(?:" + "|".join(name.replace(" ", r"\s+") for name in sorted(_NAMED, key=len, reverse=True)) + r")\b",
        _named,
    )
    yield rule(rf"\b{_ABOUT}half\s+(?P<amount>)an?\s+(?P<unit>{_UNIT})\s+(?:ago|back)\b", _halves_ago)
    yield rule(rf"\b{_ABOUT}(?P<amount>{QUANTITY})\s+(?P<unit>{_UNIT})\s+and\s+a\s+half\s+(?:ago|back)\b", _halves_ago)
    yield rule(rf"\b{_ABOUT}(?P<amount>{QUANTITY})\s+and\s+a\s+half\s+(?P<unit>{_UNIT})\s+(?:ago|back)\b", _halves_ago)
    yield rule(rf"\b{_ABOUT}(?P<amount>{QUANTITY})?\s*fortnights?\s+(?:ago|back)\b", _fortnight)
    yield rule(rf"\bthe\s+(?P<day>{_DAY})\s+before\s+last(?P<amount>)\b", _days_ago)
    yield rule(rf"\b(?P<amount>{QUANTITY})\s+(?P<day>{_DAY})s?\s+(?:ago|back)\b", _days_ago)
    yield rule(rf"\b(?P<amount>{QUANTITY})\s+weeks?\s+from\s+(?P<day>{_DAY})\b", _week_from_day)
    yield rule(rf"\b(?P<day>{_ANY_DAY})\s+(?:of\s+)?(?P<which>last|this|next)\s+week\b", _week_of_day)
    yield rule(rf"\b{_ABOUT}(?P<amount>{QUANTITY})\s*(?P<unit>{_UNIT})\s+(?:ago|back|earlier)\b", _ago)
    yield rule(rf"\b(?:past|last|since)\s+(?P<amount>{QUANTITY})\s*(?P<unit>{_UNIT})\b", _ago)
    yield rule(rf"\bfor\s+{_ABOUT}(?P<amount>{QUANTITY})\s*(?P<unit>{_UNIT})\s+now\b", _ago)
    yield rule(rf"\bin\s+{_ABOUT}(?P<amount>{QUANTITY})\s*(?P<unit>{_UNIT})\b", _from_now)
    yield rule(rf"\b{_ABOUT}(?P<amount>{QUANTITY})\s*(?P<unit>{_UNIT})\s+from\s+(?:now|today)\b", _from_now)
    yield rule(rf"\b(?P<which>last|past|next|coming|this)\s+(?P<day>{_ANY_DAY})\b", _weekday)
    yield rule(rf"\b(?P<which>)(?<=on )(?P<day>{_ANY_DAY})\b", _weekday)
    yield rule(rf"\b(?P<which>)(?P<day>{_DAY})\b", _weekday)
    yield rule(
        rf"\bthe\s+(?P<day>{_NUMBER}){ordinal}(?:\s+(?P<which>of\s+(?:the\s+)?(?:last|this|next)\s+month))?\b(?!\s+(?:time|one|party|number|day|message|charge|person))",
        _ordinal,
    )
    # "The second" is more often a second thing than a day: a month, or a word that only a day follows, must be there.
    yield rule(
        rf"\b(?:the\s+)?(?P<day>{_WORDED})\s+of\s+(?P<month>{_MONTH})(?:,?\s*(?P<year>{_YEAR})\b)?", _worded_ordinal
    )
    yield rule(
        rf"\b(?:since|until|till)\s+the\s+(?P<day>{_WORDED})(?P<month>)(?P<year>)(?=\s*(?:[.,;!?]|$))", _worded_ordinal
    )
    yield rule(
        rf"\b(?P<day>{_NUMBER}){ordinal}(?:\s+(?P<which>of\s+(?:the\s+)?(?:last|this|next)\s+month))\b", _ordinal
    )
    yield rule(r"\b(?P<which>this|last|past|previous|next)\s+(?P<unit>weekend|week|month|year)\b", _period)
    yield rule(
        rf"\b(?:(?P<which>last|next|this)\s+)?(?P<month>{_LONG_MONTH})\b(?!\s+(?:out|in|on|off|up|to)\b)(?:,?\s*(?:of\s+)?(?P<year>{_YEAR})\b)?(?!\s*\d)",
        _month_only,
    )
    yield rule(
        rf"\b(?:in|since|until|till|by|of|during)\s+(?P<which>)(?P<month>{_MONTH})(?:,?\s*(?P<year>{_YEAR})\b)?",
        _month_only,
    )


_RULES = tuple(_rules())
