"""Channel users have one conversation each, theirs once they are linked."""

from __future__ import annotations

import pytest

from bot.channels.arrivals import MESSAGES_PER_MINUTE, Arrivals
from bot.conversation import history
from bot.conversation.messages import Reply
from bot.errors import TooMany, UnknownBrand
from bot.policy.loader import load_packs
from bot.settings import PROJECT
from bot.store.unit_of_work import Store
from tests.fakes.clock import FakeClock
from tests.unit.services.test_identity import make_identity


@pytest.fixture
def arrivals(sqlite_demo_store: Store, clock: FakeClock, _read_once: None) -> Arrivals:
    packs = load_packs(PROJECT / "data" / "policies")
    return Arrivals(sqlite_demo_store, make_identity(), packs, clock, lambda pack: Reply(f"Hello from {pack.brand.id}"))


async def _open(arrivals: Arrivals, user: str = "T1:U1", brand: str = "joltsms", **more: bool):
    return await arrivals.conversation(channel="slack", brand=brand, channel_user=user, **more)


async def test_a_user_has_one_conversation_with_a_brand_and_is_greeted_once(arrivals: Arrivals) -> None:
    first, second = await _open(arrivals), await _open(arrivals)
    assert first.id == second.id
    assert (await _open(arrivals, "T1:U2")).id != first.id
    assert (await _open(arrivals, brand="smrtphone")).id != first.id
    with arrivals.store.read() as uow:
        assert [m.text for m in history.messages_after(uow, first.id, 0)] == ["Hello from joltsms"]


async def test_a_mention_elsewhere_is_not_greeted(arrivals: Arrivals) -> None:
    opened = await _open(arrivals, greet=False)
    with arrivals.store.read() as uow:
        assert history.messages_after(uow, opened.id, 0) == []


async def test_a_linked_user_is_known_at_once_and_forgotten_when_unlinked(arrivals: Arrivals) -> None:
    now = arrivals.clock.now()
    with arrivals.store.write() as uow:
        token = arrivals.identity.issue_demo_token("joltsms", "ava@jolt.example", now=now)
        ava = arrivals.identity.verify_token(uow, "joltsms", token, now=now)
        arrivals.identity.link(uow, channel="slack", channel_user="T1:U1", customer=ava, now=now)
        uow.commit()
    first = await _open(arrivals)
    assert first.customer_id == ava.customer_id
    assert await arrivals.unlink(channel="slack", brand="joltsms", channel_user="T1:U1")
    assert not await arrivals.unlink(channel="slack", brand="joltsms", channel_user="T1:U1")
    second = await _open(arrivals)
    assert (second.id == first.id, second.customer_id) == (False, None)


async def test_a_brand_that_is_not_served_is_refused(arrivals: Arrivals) -> None:
    with pytest.raises(UnknownBrand, match="joltsms"):
        await _open(arrivals, brand="nobody")


async def test_nobody_sends_more_than_people_type(arrivals: Arrivals) -> None:
    admit = arrivals.admit("cnv_1")
    with arrivals.store.write() as uow:
        for _ in range(MESSAGES_PER_MINUTE):
            admit(uow)
        with pytest.raises(TooMany):
            admit(uow)
