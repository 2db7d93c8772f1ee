"""What ended long ago is deleted, and nothing else."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from bot.services.pruning import AFTER, prune
from bot.store.tables import RateLimit
from bot.store.unit_of_work import Store
from tests.fakes.clock import START


def test_what_ended_long_ago_is_deleted_once_and_the_rest_stays(store: Store) -> None:
    moments = {"old": START - AFTER - timedelta(seconds=1), "recent": START - AFTER, "running": START}
    with store.write() as uow:
        uow.add(*(RateLimit(key=key, window_start=moment, count=1) for key, moment in moments.items()))
        uow.commit()
    assert [prune(store, now=START), prune(store, now=START)] == [1, 0]
    with store.read() as uow:
        assert set(uow.session.execute(select(RateLimit.key)).scalars()) == {"recent", "running"}
