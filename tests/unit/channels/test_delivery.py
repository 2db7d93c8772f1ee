"""Push delivery: in order, once, whatever the platform answers and whenever the process dies."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.channels.delivery import Address, CannotDeliver, Outgoing, PushDelivery, RetryLater
from bot.conversation import history
from bot.conversation.locks import LocalBus, LocalLocks
from bot.conversation.messages import InboundMessage, Reply
from bot.dialogue.asking import Asking, Expect, FlowState
from bot.store.tables import Conversation, Delivery, Message
from bot.store.unit_of_work import Store
from tests.fakes.clock import FakeClock
from tests.unit.services.test_identity import make_identity


@dataclass
class Post:
    """An outlet that remembers, and that fails as its script says."""

    channel: str = "slack"
    sent: list[Outgoing] = field(default_factory=list)
    tried: list[Outgoing] = field(default_factory=list)
    script: list[BaseException | None] = field(default_factory=list)
    written: list[Address] = field(default_factory=list)

    async def send(self, outgoing: Outgoing) -> str | None:
        self.tried.append(outgoing)
        trouble = self.script.pop(0) if self.script else None
        if trouble is not None:
            raise trouble
        self.sent.append(outgoing)
        return f"ts-{outgoing.message.seq}"

    async def typing(self, to: Address) -> None:
        self.written.append(to)

    def texts(self) -> list[str]:
        return [outgoing.message.text for outgoing in self.sent]


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@dataclass
class Office:
    """One conversation on a push channel, and its delivery."""

    store: Store
    clock: FakeClock
    post: Post = field(default_factory=Post)
    bus: LocalBus = field(default_factory=LocalBus)
    results: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.delivery = self.another()
        self.conversation_id = self.open("T1:U1")

    def another(self) -> PushDelivery:
        return PushDelivery(
            self.post,
            store=self.store,
            locks=LocalLocks(),
            bus=self.bus,
            clock=self.clock,
            on_result=lambda channel, result: self.results.append(result),
            pause_seconds=0.01,
        )

    def open(self, user: str, channel: str = "slack") -> str:
        with self.store.write() as uow:
            opened = history.open_conversation(
                uow, brand="joltsms", channel=channel, external_id=f"joltsms/{user}", channel_user=user,
                greeting=[], name="JoltSMS", now=self.clock.now(),
            )  # fmt: skip
            uow.commit()
        return opened.id

    def say(self, *texts: str, to: str = "", in_reply_to: str | None = None) -> None:
        with self.store.write() as uow:
            history.say(
                uow, to or self.conversation_id, [Reply(text) for text in texts], author="bot", name="JoltSMS",
                in_reply_to=in_reply_to, now=self.clock.now(),
            )  # fmt: skip
            uow.commit()

    def statuses(self) -> list[tuple[str, int, str | None]]:
        with self.store.read() as uow:
            joined = select(Delivery).join(Message, Message.id == Delivery.message_id)
            rows = uow.session.execute(joined.order_by(Message.seq)).scalars()
            return [(row.status, row.attempts, row.external_id or row.error) for row in rows]

    async def deliver(self) -> bool:
        return await self.delivery.deliver(self.conversation_id)

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.delivery.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def office(sqlite_demo_store: Store, clock: FakeClock) -> Office:
    return Office(sqlite_demo_store, clock)


async def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    give_up = time.monotonic() + 30
    while not true():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.005)


async def test_messages_are_delivered_in_order_and_recorded(office: Office) -> None:
    office.say("one", "two", "three")
    assert await office.deliver()
    assert office.post.texts() == ["one", "two", "three"]
    assert office.statuses() == [("delivered", 1, "ts-1"), ("delivered", 1, "ts-2"), ("delivered", 1, "ts-3")]
    assert await office.deliver()
    assert len(office.post.sent) == 3


async def test_being_told_to_wait_neither_loses_nor_reorders(office: Office) -> None:
    office.say("one", "two")
    office.post.script = [RetryLater(0.01), RetryLater(0.01), None]
    async with office.running():
        await until(lambda: len(office.results) == 4)
    assert office.post.texts() == ["one", "two"]
    assert office.results == ["delayed", "delayed", "delivered", "delivered"]


async def test_an_outage_is_waited_for_and_each_retry_says_that_it_is_one(office: Office) -> None:
    office.say("one", "two")
    office.post.script = [ConnectionResetError(), TimeoutError(), None]
    async with office.running():
        await until(lambda: len(office.post.sent) == 2)
    assert [tried.again for tried in office.post.tried] == [False, True, True, False]
    assert office.post.texts() == ["one", "two"]


async def test_a_refusal_is_recorded_and_the_rest_goes_on(office: Office) -> None:
    office.say("one", "two")
    office.post.script = [CannotDeliver("channel_not_found")]
    assert await office.deliver()
    assert office.statuses() == [("failed", 1, "channel_not_found"), ("delivered", 1, "ts-2")]


async def test_what_could_not_be_delivered_for_a_day_is_given_up(office: Office) -> None:
    office.say("one")
    office.clock.advance(hours=25)
    office.say("two")
    office.post.script = [ConnectionResetError()]
    assert await office.deliver()
    assert [status for status, *_ in office.statuses()] == ["failed", "delivered"]


async def test_after_a_death_while_sending_the_next_process_is_told_to_look_first(office: Office) -> None:
    office.say("one")
    office.post.script = [Killed()]
    with pytest.raises(Killed):
        await office.deliver()
    office.delivery = office.another()
    assert await office.deliver()
    assert [tried.again for tried in office.post.tried] == [False, True]


async def test_two_conversations_do_not_wait_for_each_other(office: Office) -> None:
    other = office.open("T1:U2")
    held = asyncio.Event()
    send: Callable[[Outgoing], Awaitable[str | None]] = office.post.send

    async def slow(outgoing: Outgoing) -> str | None:
        if outgoing.to.conversation_id == office.conversation_id:
            await held.wait()
        return await send(outgoing)

    office.post.send = slow  # type: ignore[method-assign]
    office.say("slow")
    office.say("quick", to=other)
    async with office.running():
        await until(lambda: office.post.texts() == ["quick"])
        held.set()
        await until(lambda: office.post.texts() == ["quick", "slow"])


async def test_a_hint_of_the_bus_is_enough_and_other_channels_are_let_alone(office: Office) -> None:
    elsewhere = office.open("someone", channel="discord")
    async with office.running():
        await until(lambda: bool(office.bus._queues))
        office.say("not here", to=elsewhere)
        await office.bus.publish(elsewhere, "message")
        office.say("here")
        await office.bus.publish(office.conversation_id, "message")
        await until(lambda: office.post.texts() == ["here"])
        await office.bus.publish(elsewhere, "typing")
        await office.bus.publish(office.conversation_id, "agent-typing")
        await until(lambda: bool(office.post.written))
    assert office.post.written == [Address(office.conversation_id, "joltsms", "T1:U1")]


async def test_the_adapter_learns_what_is_asked_and_whether_others_may_read_it(office: Office) -> None:
    asking = Asking(step="code", expects=(Expect.CODE,))
    with office.store.write() as uow:
        inbound = InboundMessage(office.conversation_id, "slack", "T1:C1:1.2", text="cancel")
        message, _ = history.take_in(uow, inbound, now=office.clock.now())
        uow.commit()
    office.say("Hello")
    assert await office.deliver()
    office.say("I have sent a code.", "Which is it?", in_reply_to=message.id)
    with office.store.write() as uow:
        flow = FlowState(name="cancel", id="f", asking=asking)
        uow.get(Conversation, office.conversation_id).dialogue = {"slots": {"flows": [flow.to_json()]}}
        uow.commit()
    assert await office.deliver()
    assert [sent.asking for sent in office.post.sent] == [None, None, asking]
    assert [sent.general for sent in office.post.sent] == [True, False, False]
    assert [sent.answers for sent in office.post.sent] == [None, "T1:C1:1.2", "T1:C1:1.2"]


async def test_nothing_is_general_once_somebody_is_known(office: Office) -> None:
    with office.store.write() as uow:
        identity = make_identity()
        now = office.clock.now()
        token = identity.issue_demo_token("joltsms", "ava@jolt.example", now=now)
        identity.bind(uow, office.conversation_id, identity.verify_token(uow, "joltsms", token, now=now), now=now)
        uow.commit()
    office.say("Your number renews on Monday.")
    assert await office.deliver()
    assert not office.post.sent[0].general
    office.clock.advance(days=31)
    office.say("Hello")
    assert await office.deliver()
    assert not office.post.sent[1].general, "not even once the proof is over"


async def test_messages_left_by_an_earlier_process_are_delivered_at_the_start(office: Office) -> None:
    office.clock.advance(seconds=timedelta(minutes=5).total_seconds())
    office.say("left")
    async with office.running():
        await until(lambda: office.post.texts() == ["left"])


async def test_what_comes_while_the_last_delivery_ends_is_not_left_for_the_next_look(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the task looked whether more had come, and before it is known to be over."""
    deliver, came = office.delivery.deliver, []

    def come() -> None:
        office.say("late")
        office.delivery.wake(office.conversation_id)

    async def delivers(conversation_id: str) -> bool:
        done = await deliver(conversation_id)
        if not came:
            came.append(True)
            asyncio.get_running_loop().call_soon(come)
        return done

    monkeypatch.setattr(office.delivery, "deliver", delivers)
    office.say("one")
    office.delivery.wake(office.conversation_id)
    await until(lambda: office.post.texts() == ["one", "late"])
