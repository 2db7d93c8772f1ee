"""What a channel must let a scenario do: a customer who says, presses, reads, and a server that can die."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from bot.app import App, build
from bot.conversation.engine import DialogueEngine, DialogueState, EngineResult, EngineTurn
from bot.services.mail import caught_mails
from bot.settings import Settings
from bot.store.tables import ChannelEvent, Conversation, Delivery, Message
from tests.fakes.clock import FakeClock

PATIENCE = 30.0


@dataclass(frozen=True)
class Heard:
    """A message as the customer sees it on their channel."""

    text: str
    buttons: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upload:
    """A file that a customer sends."""

    name: str
    content: bytes
    media_type: str


class Interruptible:
    """An engine that can be made to stand still in the middle of a turn, so that the process can die there."""

    def __init__(self, engine: DialogueEngine) -> None:
        self._engine = engine
        self.stand_still = False
        self.standing = asyncio.Event()

    async def parse(self, text: str, *, metadata: Any = None) -> dict[str, Any]:
        return await self._engine.parse(text, metadata=metadata)

    def foresee(self, texts: Sequence[str]) -> None:
        self._engine.foresee(texts)

    async def answer(self, turn: EngineTurn, state: DialogueState | None) -> EngineResult:
        if self.stand_still:
            self.standing.set()
            await asyncio.Event().wait()
        return await self._engine.answer(turn, state)


@dataclass
class Driver(ABC):
    """One customer on one channel, and the application behind it. `name` is the column of the suite's table.

    A scenario uses it inside `running()`. What the customer has read is counted: `hears` waits for what is new.
    """

    name = ""
    channel = ""
    settings: Settings
    engine: DialogueEngine
    clock: FakeClock
    brand: str = "joltsms"
    read: int = 0
    answered: int = 0  # of the customer's messages
    app: App = field(init=False)
    _stack: contextlib.AsyncExitStack = field(init=False)

    # --- for each channel ----------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def platform(self) -> AsyncIterator[None]:
        """What outlives the application: the platform's fake, if there is one."""
        yield

    @classmethod
    def hurry(cls, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the channel send faster than its platform's limits allow: the flood tests keep to them."""
        del monkeypatch  # most channels need nothing

    @abstractmethod
    def configured(self) -> Settings:
        """The settings with this channel on."""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """The channel's own part of a running application, such as its web server."""
        yield

    @abstractmethod
    async def says(self, text: str, files: Sequence[Upload] = ()) -> None:
        """Write something. Returns when the channel has taken it."""

    @abstractmethod
    async def presses(self, title: str) -> None:
        """Press the latest button, or choose the latest option, whose title starts like that."""

    @abstractmethod
    async def messages(self) -> list[Heard]:
        """All that the customer has got from the bot or an agent, in the order it arrived."""

    @abstractmethod
    async def says_twice(self, text: str) -> None:
        """Write something that the platform delivers twice, under new names where it does that."""

    @abstractmethod
    def remember(self, title: str) -> Any:
        """A button that is there now, to be pressed later whatever has happened to it."""

    @abstractmethod
    async def presses_remembered(self, button: Any) -> None:
        """Press a button from `remember`."""

    # --- the same everywhere -------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Driver]:
        """Everything up, for a scenario."""
        async with self.platform():
            await self._start()
            try:
                yield self
            finally:
                await self._stop()

    async def dies_while_answering(self, text: str) -> None:
        """The process ends in the middle of the turn for that message, and a new one starts on the same database."""
        assert isinstance(self.app.engine, Interruptible)
        self.app.engine.stand_still = True
        saying = asyncio.create_task(self.says(text))
        await asyncio.wait_for(self.app.engine.standing.wait(), PATIENCE)
        saying.cancel()
        await self._stop()
        await asyncio.gather(saying, return_exceptions=True)
        await self._start()

    async def hears(self, part: str) -> Heard:
        """Wait for something new with that in it; what came before it counts as read."""

        async def wait() -> Heard:
            while True:
                messages = await self.messages()
                for place in range(self.read, len(messages)):
                    if re.search(part, messages[place].text, re.I):
                        self.read = place + 1
                        return messages[place]
                await asyncio.sleep(0.02)

        try:
            return await asyncio.wait_for(wait(), PATIENCE)
        except asyncio.TimeoutError:
            fresh = [message.text for message in (await self.messages())[self.read :]]
            raise AssertionError(f"nothing with “{part}” among {fresh}") from None

    async def listens(self) -> list[Heard]:
        """Wait until what was said is taken in, answered and delivered; all that is new, at least one message."""

        async def wait() -> list[Heard]:
            while True:
                stored, settled = self._state()
                if stored > self.answered and settled:
                    messages = await self.messages()
                    if len(messages) > self.read and self._state() == (stored, True):
                        self.answered = stored
                        fresh, self.read = messages[self.read :], len(messages)
                        return fresh
                await asyncio.sleep(0.03)

        try:
            return await asyncio.wait_for(wait(), PATIENCE)
        except asyncio.TimeoutError:
            raise AssertionError(f"no answer to {self.said()[-1:]}; {self._state()}") from None

    def _state(self) -> tuple[int, bool]:
        """How many messages of the customer are stored, and whether nothing is waiting anywhere."""
        with self.app.store.read() as uow:
            session = uow.session
            stored = session.query(Message).filter_by(author="customer").count()
            waiting = session.query(Message).filter_by(status="received").count()
            waiting += session.query(ChannelEvent).filter(ChannelEvent.done_at.is_(None)).count()
            if self.channel != "widget":
                waiting += session.query(Delivery).filter_by(status="pending").count()
            return stored, waiting == 0

    async def proves(self, email: str) -> None:
        """Prove who they are, when asked: the address, then the code from the mail."""
        assert "Which e-mail address" in (await self.listens())[-1].text
        await self.says(email)
        assert "code" in (await self.listens())[-1].text
        await self.says(self.code(email))

    def code(self, email: str) -> str:
        """The newest code that was mailed to an address."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:  # the application sends mail, too, and may have taken this one already
            self.app.dispatcher.run_due()
            with self.app.store.read() as uow:
                mails = caught_mails(uow, recipient=email)
            if mails and (found := re.search(r"\b\d{6}\b", mails[0].plain)):
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f"no code was mailed to {email}")

    def conversation_id(self) -> str:
        """The one conversation of the customer."""
        with self.app.store.read() as uow:
            found = select(Conversation.id).where(Conversation.channel == self.channel)
            return str(uow.session.execute(found).scalar_one())

    def rows(self, table: type[Any], **by: Any) -> list[Any]:
        """Rows of a table, oldest first."""
        with self.app.store.read() as uow:
            return list(uow.session.query(table).filter_by(**by).order_by(table.id).all())

    def said(self) -> list[str]:
        """What was stored of what the customer said, in order."""
        with self.app.store.read() as uow:
            found = select(Message.text).where(Message.author == "customer").order_by(Message.seq)
            return list(uow.session.execute(found).scalars())

    async def _start(self) -> None:
        self.app = build(self.configured(), clock=self.clock, engine=Interruptible(self.engine))
        self._stack = contextlib.AsyncExitStack()
        await self._stack.enter_async_context(self.app.running())
        await self._stack.enter_async_context(self.serving())

    async def _stop(self) -> None:
        await self._stack.aclose()
        self.app.close()
