"""What Slack told us of: kept before it is acknowledged, handled once, in the order in which a sender did it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bot.channels.slack.places import CHANNEL
from bot.conversation.locks import Locks
from bot.ids import new_id
from bot.services.ports import Clock
from bot.store.tables import ChannelEvent
from bot.store.unit_of_work import Store, UnitOfWork

SCAN_SECONDS = 10.0
MAX_ATTEMPTS = 5
KEEP = timedelta(days=7)  # Slack tries again for an hour or so; after that nothing comes twice
_PAUSE = 0.5
log = structlog.get_logger("supportbot.slack")


@dataclass(frozen=True)
class Incoming:
    """Something that happened: `key` names it however often it is told, `at` orders what one sender did."""

    kind: str
    key: str
    sender: str
    at: float
    payload: Mapping[str, Any]


Handler = Callable[[Mapping[str, Any]], Awaitable[None]]


class Inbox:
    """Keeps what comes in, and has it handled: a task a sender; what fails is tried again a few times."""

    def __init__(
        self,
        *,
        store: Store,
        locks: Locks,
        clock: Clock,
        handlers: Mapping[str, Handler],
        give_up: Handler,
        pause: float = _PAUSE,
    ) -> None:
        """`handlers` by kind; `give_up` is told of what failed every time."""
        self._store = store
        self._locks = locks
        self._clock = clock
        self._handlers = handlers
        self._give_up = give_up
        self._pause = pause
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._more: set[str] = set()

    async def keep(self, incoming: Incoming) -> bool:
        """Store it unless it is known already; whether it was new."""
        return await self._store.writing(lambda uow: self._insert(uow, incoming))

    def wake(self, sender: str) -> None:
        """Handle what waits of a sender."""
        if sender in self._tasks:
            self._more.add(sender)
            return
        task = asyncio.create_task(self._work(sender))
        self._tasks[sender] = task
        task.add_done_callback(lambda _: self._tasks.pop(sender, None))

    async def run(self) -> None:
        """Handle what an earlier process left, then look again from time to time; until cancelled."""
        try:
            while True:
                try:
                    for sender in await self._store.reading(_senders_waiting):
                        self.wake(sender)
                    await self._store.writing(self._forget)
                except Exception:
                    log.exception("waiting events could not be looked up")
                await asyncio.sleep(SCAN_SECONDS)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _work(self, sender: str) -> None:
        while True:
            self._more.discard(sender)
            try:
                await self.drain(sender)
            except Exception:
                log.exception("events could not be handled, to be tried again")
                return
            if sender not in self._more:
                return

    async def drain(self, sender: str) -> None:
        """Handle all that waits of a sender, in order."""
        async with self._locks.hold(f"inbox:{CHANNEL}:{sender}"):
            while (found := await self._store.writing(lambda uow: _next(uow, sender))) is not None:
                event_id, kind, payload, attempts = found
                try:
                    await self._handlers[kind](payload)
                except Exception:
                    log.exception("event not handled", kind=kind, kept=event_id, attempt=attempts)
                    if attempts < MAX_ATTEMPTS:
                        await asyncio.sleep(self._pause * 2**attempts)
                        continue
                    await self._give_up(payload)
                await self._store.writing(lambda uow, done=event_id: self._done(uow, done))  # type: ignore[misc]

    # --- transactions --------------------------------------------------------------------------------------------

    def _insert(self, uow: UnitOfWork, incoming: Incoming) -> bool:
        dialect = uow.session.get_bind().dialect.name
        insert = (postgresql_insert if dialect == "postgresql" else sqlite_insert)(ChannelEvent)
        made = uow.session.execute(
            insert.values(
                id=new_id("evt"),
                channel=CHANNEL,
                external_id=incoming.key,
                sender=incoming.sender,
                kind=incoming.kind,
                payload={**incoming.payload, "at": incoming.at},
                received_at=self._clock.now(),
                attempts=0,
            ).on_conflict_do_nothing(index_elements=["channel", "external_id"])
        )
        return bool(made.rowcount)

    def _done(self, uow: UnitOfWork, event_id: str) -> None:
        uow.session.execute(
            update(ChannelEvent).where(ChannelEvent.id == event_id).values(done_at=self._clock.now(), payload=None)
        )

    def _forget(self, uow: UnitOfWork) -> None:
        old = ChannelEvent.done_at < self._clock.now() - KEEP
        uow.session.execute(delete(ChannelEvent).where(ChannelEvent.channel == CHANNEL, old))


def _senders_waiting(uow: UnitOfWork) -> list[str]:
    waiting = select(ChannelEvent.sender).where(ChannelEvent.channel == CHANNEL, ChannelEvent.done_at.is_(None))
    return list(uow.session.execute(waiting.distinct()).scalars())


def _next(uow: UnitOfWork, sender: str) -> tuple[str, str, Mapping[str, Any], int] | None:
    """The sender's next event, counted as tried."""
    waiting = uow.session.execute(
        select(ChannelEvent).where(
            ChannelEvent.channel == CHANNEL, ChannelEvent.sender == sender, ChannelEvent.done_at.is_(None)
        )
    ).scalars()
    row = min(waiting, key=lambda each: (each.payload["at"], each.id), default=None)
    if row is None:
        return None
    row.attempts += 1
    uow.session.flush()
    return row.id, row.kind, row.payload, row.attempts
