"""Deletes what has had its day: expired chat sessions and codes, and counts of tries. What was done stays on record."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from bot.store.tables import OneTimeCode, RateLimit, WidgetSession
from bot.store.unit_of_work import Store

AFTER = timedelta(days=30)
"""How long after it ended something is kept; tries are counted in no longer windows."""
_ENDS = (WidgetSession.expires_at, OneTimeCode.expires_at, RateLimit.window_start)


def prune(store: Store, *, now: datetime) -> int:
    """Delete what ended long ago, each kind in a transaction of its own; how many rows."""
    return sum(_prune(store, ended, now - AFTER) for ended in _ENDS)


def _prune(store: Store, ended: object, before: datetime) -> int:
    table, old = ended.class_, ended < before  # type: ignore[attr-defined, operator]
    with store.read() as uow:
        if uow.session.execute(select(ended).where(old).limit(1)).first() is None:
            return 0  # mostly; and nobody had to wait for a writer
    with store.write() as uow:
        gone = uow.session.execute(delete(table).where(old).execution_options(synchronize_session=False))
        uow.commit()
        return int(gone.rowcount)
