"""One turn at a time, and word of it to listeners: in one process, and between processes on a real Valkey."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.conversation.locks import LocalBus, LocalLocks, Locks, RedisBus, RedisLocks, next_hints
from bot.errors import Unavailable
from tests.valkey import Valkey

SOON = 10.0  # seconds a test waits for what must happen, however busy the machine


@contextlib.asynccontextmanager
async def client_of(server: Valkey) -> AsyncIterator[Any]:
    """A connection pool as a process of its own would have one."""
    client = Redis.from_url(server.url, socket_timeout=2, socket_connect_timeout=2)
    try:
        yield client
    finally:
        await client.close()
        await client.connection_pool.disconnect()


@pytest.fixture
async def two_clients(valkey_server: Valkey) -> AsyncIterator[tuple[Any, Any]]:
    """Two processes' connections to an empty server."""
    async with client_of(valkey_server) as one, client_of(valkey_server) as other:
        yield one, other


@pytest.fixture(params=["local", "valkey"])
async def pair(request: pytest.FixtureRequest, two_clients: tuple[Any, Any]) -> tuple[Locks, Locks]:
    """Two users of the same locks: of one process, or of two on one Valkey."""
    if request.param == "local":
        locks = LocalLocks()
        return locks, locks
    return RedisLocks(two_clients[0]), RedisLocks(two_clients[1])


# --- locks -----------------------------------------------------------------------------------------------------------


async def test_one_holder_at_a_time(pair: tuple[Locks, Locks]) -> None:
    holders, most = [0], [0]

    async def work(locks: Locks) -> None:
        for _ in range(5):
            async with locks.hold("c-1"):
                holders[0] += 1
                most[0] = max(most[0], holders[0])
                await asyncio.sleep(0)
                holders[0] -= 1

    await asyncio.gather(*[work(locks) for locks in pair * 3])
    assert most == [1]


async def test_other_names_are_not_held_up(pair: tuple[Locks, Locks]) -> None:
    async with pair[0].hold("c-1"), pair[1].hold("c-2"):
        pass


async def test_a_failure_frees_the_name(pair: tuple[Locks, Locks]) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        async with pair[0].hold("c-1"):
            raise RuntimeError("broken")
    async with pair[1].hold("c-1"):
        pass


async def test_who_gives_up_waiting_leaves_nothing_behind(pair: tuple[Locks, Locks]) -> None:
    async def wait() -> None:
        async with pair[1].hold("c-1"):
            raise AssertionError

    async with pair[0].hold("c-1"):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    async with pair[1].hold("c-1"):
        pass


async def test_who_does_not_want_to_wait_gets_a_free_name_only(pair: tuple[Locks, Locks]) -> None:
    async with pair[0].hold_if_free("c-1") as first, pair[1].hold_if_free("c-1") as second:
        assert (first, second) == (True, False)
    async with pair[1].hold_if_free("c-1") as now, pair[0].hold_if_free("c-2") as other:
        assert (now, other) == (True, True)
    async with pair[0].hold("c-1"):
        pass


async def test_without_the_lock_server_no_name_is_free(valkey_server: Valkey) -> None:
    async with client_of(valkey_server) as client:
        valkey_server.stop()
        async with RedisLocks(client).hold_if_free("c-1") as held:
            assert not held


async def test_local_locks_are_forgotten_when_nobody_uses_them() -> None:
    locks = LocalLocks()
    async with locks.hold("c-1"):
        assert locks._locks
    assert not locks._locks
    assert not locks._users


async def test_a_lease_is_renewed_while_it_is_held(two_clients: tuple[Any, Any]) -> None:
    locks = RedisLocks(two_clients[0], lease_seconds=0.3)
    async with locks.hold("c-1"):
        first = await two_clients[1].pttl("supportbot:lock:c-1")
        assert 0 < first <= 300
        lowest = first
        for _ in range(100):  # until the time left has grown: somebody renewed it
            left = await two_clients[1].pttl("supportbot:lock:c-1")
            if left > lowest:
                break
            lowest = left
            await asyncio.sleep(0.01)
        assert left > lowest
    assert await two_clients[1].exists("supportbot:lock:c-1") == 0


async def test_a_lease_whose_holder_died_ends_by_itself(two_clients: tuple[Any, Any]) -> None:
    await two_clients[0].set("supportbot:lock:c-1", "a process that is gone", px=150)
    async with RedisLocks(two_clients[1]).hold("c-1"):
        pass


async def test_a_lost_lease_does_not_break_what_was_done_under_it(two_clients: tuple[Any, Any]) -> None:
    """And does not free the name for the one who holds it now."""
    async with RedisLocks(two_clients[0]).hold("c-1"):
        await two_clients[1].set("supportbot:lock:c-1", "somebody else")
    assert await two_clients[1].get("supportbot:lock:c-1") == b"somebody else"


async def test_an_outage_while_a_lock_is_held_does_not_break_the_turn(valkey_server: Valkey) -> None:
    async with client_of(valkey_server) as client:
        locks = RedisLocks(client, lease_seconds=0.2)
        async with locks.hold("c-1"):
            valkey_server.stop()
            await asyncio.sleep(0.2)  # long enough for a renewal to be tried
        valkey_server.start()
        async with locks.hold("c-1"):
            pass


async def test_without_the_server_it_is_said_that_trying_again_is_safe(valkey_server: Valkey) -> None:
    valkey_server.stop()
    async with client_of(valkey_server) as client:
        with pytest.raises(Unavailable, match="try again"):
            async with RedisLocks(client).hold("c-1"):
                raise AssertionError


# --- buses -----------------------------------------------------------------------------------------------------------


async def test_listeners_of_a_topic_are_woken_and_others_not() -> None:
    bus = LocalBus()
    async with bus.listen("c-1") as one, bus.listen("c-1") as tab, bus.listen("c-2") as other:
        await bus.publish("c-1", "message")
        assert (one.get_nowait(), tab.get_nowait(), other.empty()) == ("message", "message", True)
    assert not bus._queues


async def test_a_slow_listener_costs_hints_and_nothing_else() -> None:
    bus = LocalBus()
    async with bus.listen("c-1") as hints:
        for _ in range(1000):
            await bus.publish("c-1", "message")
        await bus.close()
        got = [hints.get_nowait() for _ in range(hints.qsize())]
    assert len(got) == 64
    assert got[-1] == "closing"


async def test_a_hint_reaches_the_other_process(two_clients: tuple[Any, Any]) -> None:
    here, there = RedisBus(two_clients[0]), RedisBus(two_clients[1])
    async with there.listen("c-1") as hints, there.listen("c-2") as others:
        assert await asyncio.wait_for(hints.get(), SOON) == "message"  # woken once, when the connection stands
        assert await asyncio.wait_for(others.get(), SOON) == "message"
        await here.publish("c-1", "typing")
        assert await asyncio.wait_for(hints.get(), SOON) == "typing"
        assert others.empty()
        await there.close()
        assert await asyncio.wait_for(hints.get(), SOON) == "closing"
    await here.close()


async def test_many_listeners_share_one_subscription(two_clients: tuple[Any, Any]) -> None:
    here, there = RedisBus(two_clients[0]), RedisBus(two_clients[1])
    async with contextlib.AsyncExitStack() as stack:
        queues = await asyncio.gather(*[stack.enter_async_context(there.listen("c-1")) for _ in range(5)])
        for queue in queues:
            await asyncio.wait_for(queue.get(), SOON)
        await here.publish("c-1", "message")
        for queue in queues:
            assert await asyncio.wait_for(queue.get(), SOON) == "message"
            assert queue.empty()
    await there.close()
    await here.close()


async def test_listeners_are_woken_when_a_lost_connection_is_back(valkey_server: Valkey) -> None:
    async with client_of(valkey_server) as client, client_of(valkey_server) as other:
        here, there = RedisBus(other), RedisBus(client)
        async with there.listen("c-1") as hints:
            await asyncio.wait_for(hints.get(), SOON)
            valkey_server.stop()
            await here.publish("c-1", "message")  # nobody hears it there, and it does not raise
            valkey_server.start()
            assert await asyncio.wait_for(hints.get(), SOON) == "message"
            await here.publish("c-1", "typing")
            assert await asyncio.wait_for(hints.get(), SOON) == "typing"
        await there.close()
        await here.close()


async def test_in_an_outage_listeners_of_the_same_process_are_still_told(valkey_server: Valkey) -> None:
    valkey_server.stop()
    async with client_of(valkey_server) as client:
        bus = RedisBus(client)
        async with bus.listen("c-1") as hints:
            await bus.publish("c-1", "message")
            assert await asyncio.wait_for(hints.get(), SOON) == "message"
        await bus.close()


async def test_whoever_waits_for_hints_can_be_cancelled_in_the_moment_that_one_comes() -> None:
    hints: asyncio.Queue[str] = asyncio.Queue()

    async def listens() -> None:
        while True:
            await next_hints(hints, SOON)

    task = asyncio.create_task(listens())
    await asyncio.sleep(0)
    hints.put_nowait("message")
    task.cancel()
    await asyncio.wait([task], timeout=SOON)
    assert task.cancelled()


async def test_all_hints_that_have_come_are_given_at_once_and_none_is_lost_to_the_clock() -> None:
    hints: asyncio.Queue[str] = asyncio.Queue()
    assert await next_hints(hints, 0.01) == []
    for hint in ("a", "b"):
        hints.put_nowait(hint)
    assert await next_hints(hints, SOON) == ["a", "b"]
    assert await next_hints(hints, 0.01) == []
