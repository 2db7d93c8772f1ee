"""Which events of a cancellation cannot be undone, and when to remind of them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.policy.dates import Shift, shift
from bot.policy.decision import EventKind

REMIND = "remind"
"""The kind of a lifecycle event that reminds; its subject is the event reminded of."""
DAYS_BEFORE = (7, 1)
IRREVERSIBLE = (
    EventKind.RELEASE_NUMBER.value,
    EventKind.END_10DLC.value,
    EventKind.DELETE_RECORDINGS.value,
    EventKind.ERASE_DATA.value,
)


def reminder_dates(moment: datetime, *, zone: ZoneInfo, now: datetime) -> tuple[datetime, ...]:
    """When to remind of what happens at a moment: those days of the brand's calendar that are still to come."""
    found = (shift(moment, Shift("now", days=-days), zone) for days in DAYS_BEFORE)
    return tuple(at for at in found if at > now)
