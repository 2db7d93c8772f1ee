"""One turn at a time in a conversation, on one machine or on several, and word of new messages to whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, TypeVar

import async_timeout
import structlog
from redis.exceptions import LockError, RedisError

from bot.errors import Unavailable

LEASE_SECONDS = 30.0  # a machine that dies holding a lock frees it after this long
EVERYTHING = "*"  # a topic whose listeners hear of all others, as `topic\nhint`
_RETRY_SECONDS = 0.5
_ROOM = 64  # hints that wait for a listener
_ROOM_FOR_EVERYTHING = 4096
_CHANNEL = "supportbot:bus"
log = structlog.get_logger("supportbot.locks")
T = TypeVar("T")


class Locks(Protocol):
    """Mutual exclusion by name."""

    def hold(self, name: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Wait for the name, hold it for the block."""
        ...

    def hold_if_free(
        self, name: str, *, lost: asyncio.Event | None = None
    ) -> contextlib.AbstractAsyncContextManager[bool]:
        """Hold the name for the block if nobody does or waits to; whether it is held.

        `lost` is set should somebody else come to hold it before the block ends.
        """
        ...


class Bus(Protocol):
    """Tells listeners that something happened to a topic: small hints, never the truth, which is in the store."""

    async def publish(self, topic: str, hint: str = "") -> None:
        """Wake the topic's listeners."""
        ...

    def listen(self, topic: str) -> contextlib.AbstractAsyncContextManager[asyncio.Queue[str]]:
        """A queue of hints for the topic, while the block lasts."""
        ...

    async def close(self) -> None:
        """Wake everybody a last time and stop."""
        ...


async def next_hints(hints: asyncio.Queue[T], seconds: float) -> list[T]:
    """The next hints, all that have come, waiting for one; none if nothing comes for that long.

    Python 3.10's `asyncio.wait_for` forgets that its task was cancelled if a hint comes in the same moment: what runs
    until it is cancelled would then run for good.
    """
    try:
        async with async_timeout.timeout(seconds):
            came = [await hints.get()]
    except asyncio.TimeoutError:
        return []
    while not hints.empty():
        came.append(hints.get_nowait())
    return came


class LocalLocks:
    """Locks for one process."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: defaultdict[str, int] = defaultdict(int)

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Wait for the name, hold it for the block."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
                del self._locks[name]

    @contextlib.asynccontextmanager
    async def hold_if_free(self, name: str, *, lost: asyncio.Event | None = None) -> AsyncIterator[bool]:
        """Hold the name for the block if nobody does or waits to; whether it is held, which it then is to the end."""
        if name in self._locks:
            yield False
            return
        async with self.hold(name):
            yield True


class LocalBus:
    """A bus for one process. A full queue drops hints: listeners read the store anyway."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, set[asyncio.Queue[str]]] = defaultdict(set)

    async def publish(self, topic: str, hint: str = "") -> None:
        """Wake the topic's listeners."""
        for queue in tuple(self._queues.get(topic, ())):
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(hint)
        for queue in tuple(self._queues.get(EVERYTHING, ())):
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(f"{topic}\n{hint}")

    @contextlib.asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[asyncio.Queue[str]]:
        """A queue of hints for the topic, while the block lasts."""
        queue: asyncio.Queue[str] = asyncio.Queue(_ROOM_FOR_EVERYTHING if topic == EVERYTHING else _ROOM)
        self._queues[topic].add(queue)
        try:
            yield queue
        finally:
            self._queues[topic].discard(queue)
            if not self._queues[topic]:
                del self._queues[topic]

    def wake_all(self, hint: str) -> None:
        """Give everybody a hint that must not be dropped; those before it in a full queue are."""
        for queue in [queue for queues in self._queues.values() for queue in queues]:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(hint)

    async def close(self) -> None:
        """Wake everybody a last time and stop."""
        self.wake_all("closing")


class RedisLocks:
    """Locks for several machines, on Redis or Valkey. A lease is renewed while held and runs out if its holder dies.

    A lease can be lost while its holder works (an outage, a stopped process). Whoever stores what a turn did must
    therefore check that nobody else has, as `history.keep_answer` does.
    """

    def __init__(self, client: Any, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._client = client
        self._lease = lease_seconds
        self._local = LocalLocks()  # one of each process asks; the others of it wait here, in order

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Wait for the name, hold it for the block. Raises Unavailable if the lock server does not answer."""
        async with self._local.hold(name):
            lock = self._lock(name)
            try:
                await lock.acquire()
            except (RedisError, OSError) as error:
                sentence = "A part that we need does not answer right now. Please try again in a moment."
                raise Unavailable(sentence) from error
            async with self._lease_of(name, lock):
                yield

    @contextlib.asynccontextmanager
    async def hold_if_free(self, name: str, *, lost: asyncio.Event | None = None) -> AsyncIterator[bool]:
        """Hold the name for the block if nobody does or waits to; whether it is held: not without the lock server."""
        async with self._local.hold_if_free(name) as free:
            lock = self._lock(name)
            try:
                held = free and await lock.acquire(blocking=False)
            except (RedisError, OSError):  # whoever needs the lock will wait for it, and be told
                held = False
            if not held:
                yield False
                return
            async with self._lease_of(name, lock, lost):
                yield True

    def _lock(self, name: str) -> Any:
        return self._client.lock(f"supportbot:lock:{name}", timeout=self._lease, sleep=0.02)

    @contextlib.asynccontextmanager
    async def _lease_of(self, name: str, lock: Any, lost: asyncio.Event | None = None) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renew(name, lock, lost))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait({renewing})
            try:
                await lock.release()
            except (RedisError, OSError) as error:  # what was done under the lock is done; the lease ends by itself
                log.warning("lock not released", lock=name, why=type(error).__name__)

    async def _renew(self, name: str, lock: Any, lost: asyncio.Event | None) -> None:
        wait = self._lease / 3
        while True:
            await asyncio.sleep(wait)
            try:
                if not await self._renewed(lock):
                    log.warning("lock lost while it was held", lock=name)
                    if lost is not None:
                        lost.set()
                    return
                wait = self._lease / 3
            except (RedisError, OSError):
                wait = min(_RETRY_SECONDS, self._lease / 10)

    @staticmethod
    async def _renewed(lock: Any) -> bool:
        """Renew a lease, or take it anew if it ran out and nobody else has it; whether it is ours."""
        try:
            await lock.reacquire()
        except LockError:
            return bool(await lock.acquire(blocking=False))
        return True


class RedisBus:
    """A bus for several machines: one subscription a process, fanned out locally.

    Without a connection hints are lost and nothing else is: listeners look at the store from time to time, and are
    woken when the connection is back.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._local = LocalBus()
        self._reader: asyncio.Task[None] | None = None

    async def publish(self, topic: str, hint: str = "") -> None:
        """Wake the topic's listeners on every machine."""
        try:
            await self._client.publish(_CHANNEL, f"{topic}\n{hint}")
        except (RedisError, OSError) as error:
            log.warning("hint not published", why=type(error).__name__)
            await self._local.publish(topic, hint)

    @contextlib.asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[asyncio.Queue[str]]:
        """A queue of hints for the topic, while the block lasts."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        async with self._local.listen(topic) as queue:
            yield queue

    async def _read(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(_CHANNEL)
                    while True:
                        await self._pass_on(await subscription.get_message(timeout=1.0))
            except (RedisError, OSError) as error:
                log.warning("bus interrupted", why=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _pass_on(self, message: Mapping[str, Any] | None) -> None:
        if message is None:
            return
        if message["type"] == "subscribe":
            self._local.wake_all("message")  # something may have been said before this machine listened
        elif message["type"] == "message":
            topic, _, hint = message["data"].decode().partition("\n")
            await self._local.publish(topic, hint)

    async def close(self) -> None:
        """Wake everybody a last time and stop."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        self._local.wake_all("closing")
        await self._client.close(close_connection_pool=True)
