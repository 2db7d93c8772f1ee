"""How often something may be tried: counted in fixed windows, in the same transaction as the try itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.errors import TooMany
from bot.store.tables import RateLimit
from bot.store.unit_of_work import UnitOfWork


def spend(uow: UnitOfWork, key: str, *, limit: int, per: timedelta, now: datetime, sentence: str) -> None:
    """Count one try of `key`. Raises TooMany with that sentence when the window's `limit` is used up."""
    dialect = uow.session.get_bind().dialect.name
    insert = (postgresql_insert if dialect == "postgresql" else sqlite_insert)(RateLimit)
    uow.session.execute(insert.values(key=key, window_start=now, count=0).on_conflict_do_nothing())
    row = uow.session.execute(
        select(RateLimit).where(RateLimit.key == key).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    if now >= row.window_start + per:
        row.window_start, row.count = now, 0
    if row.count >= limit:
        wait = row.window_start + per - now
        raise TooMany(sentence, retry_after=max(1, int(wait.total_seconds())))
    row.count += 1
    uow.session.flush()
