"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

START = datetime(2026, 3, 16, 15, 0, tzinfo=timezone.utc)  # a Monday, in working hours of every brand


class FakeClock:
    """Implements `bot.services.ports.Clock`."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        """The moment the test has set."""
        return self._now

    def advance(self, **amount: float) -> datetime:
        """Move forward by the arguments of a timedelta and return the new moment."""
        self._now += timedelta(**amount)
        return self._now

    def set(self, moment: datetime) -> None:
        """Jump to a moment."""
        self._now = moment
