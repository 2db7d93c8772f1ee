"""Push delivery: brings what was said to channels with users of their own, in order, once, however often we restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import select, update

from bot.conversation import history
from bot.conversation.locks import EVERYTHING, Bus, Locks, next_hints
from bot.conversation.messages import MessageView
from bot.dialogue.asking import Asking, flows_from_slots
from bot.services.ports import Clock
from bot.store.tables import Conversation, Delivery, Message
from bot.store.unit_of_work import Store, UnitOfWork

SCAN_SECONDS = 5.0  # the store is looked at this often, should a hint get lost
GIVE_UP_AFTER = timedelta(hours=24)  # a platform that was away for longer: an old answer would only confuse
_LONGEST_PAUSE = 60.0
_KNOWN = 10_000  # conversations of which we remember whether they are ours
log = structlog.get_logger("supportbot.delivery")


class RetryLater(Exception):
    """Nothing was sent, and nothing may be to this conversation for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not before {seconds:g} seconds")
        self.seconds = seconds


class CannotDeliver(Exception):
    """The platform refuses this message for good; the code is the platform's, without anybody's data."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Address:
    """Whom a conversation's messages go to."""

    conversation_id: str
    brand: str
    channel_user: str


@dataclass(frozen=True)
class Outgoing:
    """A message on its way to the customer.

    `answers` is the channel's id of the customer's message that it answers. `asking` is the question that is open, if
    this is the message that asks it: for platforms with forms. `general`: nobody has ever proved who they are here and
    nothing is under way, so that it may be shown where others read along. `again`: it was tried before and may have
    arrived, so look before sending.
    """

    to: Address
    message: MessageView
    answers: str | None
    asking: Asking | None
    general: bool
    again: bool


class Outlet(Protocol):
    """What push delivery needs of a channel's adapter."""

    channel: str

    async def send(self, outgoing: Outgoing) -> str | None:
        """Send all of one message; returns the platform's id of it.

        Raises RetryLater when told to wait and CannotDeliver when told never; after anything else that it raises, the
        message may have arrived, and comes once more with `again`.
        """

    async def typing(self, to: Address) -> None:
        """Show that somebody is writing, where the platform can."""


class PushDelivery:
    """Delivers one channel's messages: a task a conversation, one message after the other, what is pending first.

    What is pending is in the store. Two processes may run it for one channel: a conversation's lock lets one deliver.
    """

    def __init__(
        self,
        outlet: Outlet,
        *,
        store: Store,
        locks: Locks,
        bus: Bus,
        clock: Clock,
        on_result: Callable[[str, str], None] = lambda channel, result: None,
        pause_seconds: float = 1.0,
    ) -> None:
        """`on_result` gets channel and result of every try; `pause_seconds` is the wait after the first failure."""
        self._outlet = outlet
        self._store = store
        self._locks = locks
        self._bus = bus
        self._clock = clock
        self._on_result = on_result
        self._pause = pause_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._more: set[str] = set()  # something came while their task ran
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._ours: dict[str, Address | None] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            async with self._bus.listen(EVERYTHING) as hints:
                await self._scan()
                while True:
                    for hint in await next_hints(hints, SCAN_SECONDS) or [""]:
                        topic, _, what = hint.partition("\n")
                        if not what:
                            await self._scan()
                        else:
                            await self._heard(topic, what)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def wake(self, conversation_id: str) -> None:
        """See to what is pending in a conversation, now or as soon as it may be."""
        if conversation_id in self._tasks:
            self._more.add(conversation_id)
            return
        task = asyncio.create_task(self._work(conversation_id))
        self._tasks[conversation_id] = task
        task.add_done_callback(lambda ended: self._ended(conversation_id, ended))

    async def deliver(self, conversation_id: str) -> bool:
        """Deliver what is pending in a conversation, in order; False if some of it has to wait."""
        async with self._locks.hold(f"deliver:{conversation_id}"):
            while True:
                found = await self._store.writing(lambda uow: self._next(uow, conversation_id))
                if found is None:
                    return True
                if not await self._send(*found):
                    return False

    # --- parts ---------------------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        try:
            for conversation_id in await self._store.reading(self._pending):
                self.wake(conversation_id)
        except Exception:
            log.exception("pending deliveries could not be looked up", channel=self._outlet.channel)

    async def _heard(self, topic: str, what: str) -> None:
        if what not in ("message", "typing", "agent-typing"):
            return
        try:
            address = await self._address(topic)
        except Exception:
            log.exception("a conversation could not be looked up", channel=self._outlet.channel)
            return
        if address is None:
            return
        if what == "message":
            self.wake(topic)
        else:
            self._keep(asyncio.create_task(self._show_typing(address)))

    async def _show_typing(self, address: Address) -> None:
        try:
            await self._outlet.typing(address)
        except Exception as error:  # a nicety
            log.debug("typing not shown", channel=self._outlet.channel, why=type(error).__name__)

    def _keep(self, task: asyncio.Task[None]) -> None:
        name = f"typing:{id(task)}"  # a task that nobody holds may vanish
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _address(self, conversation_id: str) -> Address | None:
        if conversation_id not in self._ours:
            if len(self._ours) >= _KNOWN:
                self._ours.clear()
            self._ours[conversation_id] = await self._store.reading(lambda uow: self._address_in(uow, conversation_id))
        return self._ours[conversation_id]

    def _address_in(self, uow: UnitOfWork, conversation_id: str) -> Address | None:
        row = uow.get(Conversation, conversation_id)
        if row is None or row.channel != self._outlet.channel or not row.channel_user:
            return None
        return Address(conversation_id, row.brand, row.channel_user)

    async def _work(self, conversation_id: str) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._not_before.get(conversation_id, 0.0) - time.monotonic()))
            self._more.discard(conversation_id)
            try:
                done = await self.deliver(conversation_id)
            except Exception:
                log.exception("delivery failed", channel=self._outlet.channel, conversation=conversation_id)
                self._wait(conversation_id)
                done = False
            if done and conversation_id not in self._more:
                return

    def _ended(self, conversation_id: str, task: asyncio.Task[None]) -> None:
        del self._tasks[conversation_id]
        self._not_before.pop(conversation_id, None)
        came_at_the_end = conversation_id in self._more  # after the task had looked for it, before it was over
        self._more.discard(conversation_id)
        if came_at_the_end and not task.cancelled():
            self.wake(conversation_id)

    def _wait(self, conversation_id: str, seconds: float | None = None) -> None:
        failures = self._failures.get(conversation_id, 0)
        if seconds is None:
            self._failures[conversation_id] = failures + 1
            seconds = min(self._pause * 2.0**failures, _LONGEST_PAUSE)
        self._not_before[conversation_id] = time.monotonic() + seconds

    async def _send(self, delivery_id: str, outgoing: Outgoing) -> bool:
        """Send one message and record what came of it; False if the conversation has to wait."""
        channel, conversation_id = self._outlet.channel, outgoing.to.conversation_id
        try:
            external_id = await self._outlet.send(outgoing)
        except RetryLater as later:
            self._on_result(channel, "delayed")
            self._wait(conversation_id, later.seconds)
            return False
        except CannotDeliver as refusal:
            log.error("message refused by its channel", channel=channel, delivery=delivery_id, why=refusal.code)
            await self._record(delivery_id, "failed", error=refusal.code)
        except Exception as error:
            why = type(error).__name__
            if self._clock.now() - outgoing.message.at < GIVE_UP_AFTER:
                log.warning("message not delivered, to be tried again", channel=channel, delivery=delivery_id, why=why)
                self._on_result(channel, "retried")
                self._wait(conversation_id)
                return False
            log.error("message given up", channel=channel, delivery=delivery_id, why=why)
            await self._record(delivery_id, "failed", error=why)
        else:
            await self._record(delivery_id, "delivered", external_id=external_id)
        self._failures.pop(conversation_id, None)
        return True

    async def _record(self, delivery_id: str, status: str, **more: str | None) -> None:
        at = self._clock.now()
        values: dict[str, Any] = {"status": status, **{name: value and value[:250] for name, value in more.items()}}
        if status == "delivered":
            values["delivered_at"] = at
        one = update(Delivery).where(Delivery.id == delivery_id, Delivery.status == "pending").values(**values)
        await self._store.writing(lambda uow: uow.session.execute(one))
        self._on_result(self._outlet.channel, status)

    def _pending(self, uow: UnitOfWork) -> list[str]:
        found = uow.session.execute(
            select(Message.conversation_id, Message.created_at)
            .join(Delivery, Delivery.message_id == Message.id)
            .where(Delivery.status == "pending", Message.channel == self._outlet.channel)
            .order_by(Message.created_at)
        )
        return list(dict.fromkeys(row.conversation_id for row in found))

    def _next(self, uow: UnitOfWork, conversation_id: str) -> tuple[str, Outgoing] | None:
        """The next message to deliver, counted as tried: should we die now, it may have arrived."""
        found = uow.session.execute(
            select(Delivery, Message)
            .join(Message, Message.id == Delivery.message_id)
            .where(Delivery.status == "pending", Message.conversation_id == conversation_id)
            .order_by(Message.seq)
            .limit(1)
        ).first()
        address = self._address_in(uow, conversation_id)
        if found is None or address is None:
            return None
        delivery, message = found
        conversation = history.conversation(uow, conversation_id)
        flows = flows_from_slots((conversation.dialogue or {}).get("slots", {}))
        asked_here = message.author == "bot" and message.seq == conversation.last_seq and bool(flows)
        answered = uow.get(Message, message.in_reply_to) if message.in_reply_to else None
        delivery.attempts += 1
        uow.session.flush()
        return delivery.id, Outgoing(
            to=address,
            message=history.view(message),
            answers=answered.external_id if answered else None,
            asking=flows[-1].asking if asked_here else None,
            general=message.author == "bot"
            and conversation.owner == "bot"
            and conversation.customer_id is None
            and not flows,
            again=delivery.attempts > 1,
        )
