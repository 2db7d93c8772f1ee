"""What came in is handled once, in order, and again if it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.channels.slack.inbox import MAX_ATTEMPTS, Inbox, Incoming
from bot.conversation.locks import LocalLocks
from bot.store.tables import ChannelEvent
from bot.store.unit_of_work import Store
from tests.fakes.clock import FakeClock


class Desk:
    """Handlers that remember, and fail as often as told."""

    def __init__(self, store: Store, *, fails: int = 0) -> None:
        self.store, self.fails = store, fails
        self.done: list[str] = []
        self.given_up: list[str] = []
        self.inbox = Inbox(
            store=store,
            locks=LocalLocks(),
            clock=FakeClock(),
            handlers={"say": self.say},
            give_up=self.give_up,
            pause=0,
        )

    async def say(self, payload: Mapping[str, Any]) -> None:
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("no luck")
        self.done.append(payload["text"])

    async def give_up(self, payload: Mapping[str, Any]) -> None:
        self.given_up.append(payload["text"])

    async def keep(self, key: str, at: float, sender: str = "T1/U1") -> bool:
        return await self.inbox.keep(Incoming("say", key, sender, at, {"text": key}))


async def test_the_same_thing_is_kept_once(store: Store) -> None:
    desk = Desk(store)
    assert [await desk.keep("a", 1.0) for _ in range(3)] == [True, False, False]
    await asyncio.gather(desk.inbox.drain("T1/U1"), desk.inbox.drain("T1/U1"))
    assert desk.done == ["a"]
    assert not await desk.keep("a", 1.0)
    await desk.inbox.drain("T1/U1")
    assert desk.done == ["a"]


async def test_a_senders_things_are_handled_in_the_order_they_were_done(sqlite_store: Store) -> None:
    desk = Desk(sqlite_store)
    for key, at in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        await desk.keep(key, at)
    await desk.keep("other", 0.5, sender="T1/U2")
    await desk.inbox.drain("T1/U1")
    assert desk.done == ["a", "b", "c"]


async def test_what_fails_is_tried_again_before_what_came_after_it(sqlite_store: Store) -> None:
    desk = Desk(sqlite_store, fails=MAX_ATTEMPTS - 1)
    await desk.keep("a", 1.0)
    await desk.keep("b", 2.0)
    await desk.inbox.drain("T1/U1")
    assert (desk.done, desk.given_up) == (["a", "b"], [])


async def test_what_fails_every_time_is_given_up_and_the_rest_goes_on(sqlite_store: Store) -> None:
    desk = Desk(sqlite_store, fails=MAX_ATTEMPTS)
    await desk.keep("a", 1.0)
    await desk.keep("b", 2.0)
    await desk.inbox.drain("T1/U1")
    assert (desk.done, desk.given_up) == (["b"], ["a"])
    with sqlite_store.read() as uow:
        assert [row.payload for row in uow.session.query(ChannelEvent).all()] == [None, None]
