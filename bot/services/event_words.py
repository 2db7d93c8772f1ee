"""Plain words for what the lifecycle does, before it happens and afterwards: for reminders, receipts and the chat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from bot.policy.dates import format_date
from bot.policy.decision import EventKind
from bot.policy.money import Money
from bot.policy.wording import join_words
from bot.services.rows import rows
from bot.services.views import show_number
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_COMING = {
    EventKind.END_10DLC.value: "Your 10DLC registration ends. Coming back after that needs a new application.",
    EventKind.DELETE_RECORDINGS.value: "Your call recordings are deleted for good.",
    EventKind.ERASE_DATA.value: "All data of your account is deleted for good.",
}


def coming(uow: UnitOfWork, events: Sequence[Any]) -> tuple[str, ...]:
    """What these irreversible events will do, a sentence for each kind."""
    kinds = dict.fromkeys(event.kind for event in events)
    numbers = _numbers(uow, [event for event in events if event.kind == EventKind.RELEASE_NUMBER.value])
    lines = {
        EventKind.RELEASE_NUMBER.value: f"{numbers} will be released and cannot be had back.",
        **_COMING,
    }
    return tuple(lines[kind] for kind in kinds)


def happened(uow: UnitOfWork, events: Sequence[Any], zone: ZoneInfo) -> tuple[str, ...]:
    """What these events have done that nobody can undo, a sentence for each kind and day; nothing for the others."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for event in events:
        groups.setdefault((event.kind, format_date(event.done_at, zone)), []).append(event)
    found = (_past(uow, kind, day, group) for (kind, day), group in groups.items())
    return tuple(sentence for sentence in found if sentence)


def removed(numbers: Sequence[Any], zone: ZoneInfo) -> tuple[str, ...]:
    """That numbers were removed by the customer, a sentence for each day."""
    days: dict[str, list[str]] = {}
    for number in numbers:
        days.setdefault(format_date(number.released_at, zone), []).append(show_number(number.e164))
    return tuple(
        f"You removed {join_words(tuple(shown))} on {day}. That cannot be undone." for day, shown in days.items()
    )


def _past(uow: UnitOfWork, kind: str, day: str, events: list[Any]) -> str | None:
    if kind == EventKind.RELEASE_NUMBER.value:
        gone = _numbers(uow, [event for event in events if (event.result or {}).get("released", True)])
        return f"{gone} went on {day} and cannot be had back." if gone else None
    if kind == EventKind.END_10DLC.value:
        return f"The 10DLC registration ended on {day}. It has to be applied for again."
    if kind == EventKind.DELETE_RECORDINGS.value:
        return f"The call recordings were deleted for good on {day}."
    if kind == EventKind.CREDIT_UNSENT.value:
        return _credited(events, day)
    return None


def _credited(events: Sequence[Any], day: str) -> str | None:
    given = [
        Money(e.result["amount_minor"], e.result["currency"]).format() for e in events if "credited" in (e.result or {})
    ]
    if not given:
        return None
    return f"{join_words(tuple(given))} was credited for unsent messages on {day}, and they will not be sent."


def _numbers(uow: UnitOfWork, events: Sequence[Any]) -> str:
    ids = [event.subject_id for event in events]
    found = rows(uow, select(t.PhoneNumber.e164).where(t.PhoneNumber.id.in_(ids)).order_by(t.PhoneNumber.e164))
    return join_words(tuple(show_number(e164) for e164 in found))


def day_of(moment: datetime, zone: ZoneInfo) -> str:
    """The weekday and the day, as in `Monday, 7 December 2026`."""
    return f"{moment.astimezone(zone):%A}, {format_date(moment, zone)}"
