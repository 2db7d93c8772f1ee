"""A bot on the fake Discord: the real application and the real client library, in one loop with the fake."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route
from sqlalchemy import select

from bot.app import App, build
from bot.channels.discord.channel import DiscordChannel
from bot.channels.discord.config import DiscordSettings
from bot.conversation.engine import DialogueEngine
from bot.services.help_center import HelpCenter
from bot.settings import Settings
from bot.store.tables import Delivery, Message
from tests.fakes.clock import FakeClock
from tests.fakes.discord_limits import Limits
from tests.fakes.discord_people import Person
from tests.fakes.discord_server import DiscordServer
from tests.fakes.engine import ScriptedEngine

Starts = Callable[..., AbstractAsyncContextManager[App]]


@pytest.fixture(autouse=True)
def _of_this_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HelpCenter, "prepare", lambda self: None)  # nobody searches articles here
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    """A Discord whose limits renew themselves sooner than the real one's, and that bears with a busy machine."""
    async with DiscordServer(limits=Limits(window=0.1)) as started:
        started.acknowledge_within = 20.0
        yield started


@pytest.fixture
def scripted() -> ScriptedEngine:
    """The engine of `starts`, unless that is given another."""
    return ScriptedEngine()


@pytest.fixture
def starts(settings: Settings, scripted: ScriptedEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Starts:
    """Starts the application on a fake Discord and stops it at the end of the block; on one database all the time."""

    @contextlib.asynccontextmanager
    async def start(
        server: DiscordServer, *, engine: DialogueEngine | None = None, **configured: Any
    ) -> AsyncIterator[App]:
        given = {"token": server.token, "brand": "joltsms", **configured}
        discord = DiscordSettings(api_url=server.api_url, gateway_url=server.gateway_url, **given)
        app = build(replace(settings, discord=discord), clock=clock, engine=engine or scripted)
        (channel,) = [each for each in app.channels if isinstance(each, DiscordChannel)]
        channel.identify_seconds = 0.0
        before = server.gateway.identified
        try:
            async with app.running():
                await server.until(lambda: server.gateway.identified > before and server.commands)
                yield app
        finally:
            app.close()

    return start


def answers(person: Person) -> list[str]:
    """What the bot said to somebody directly, after its greeting."""
    greeting, *after = person.heard()
    assert greeting["content"].startswith("Hi, this is")
    return [message["content"] for message in after]


def messages(app: App, *conditions: Any) -> list[Any]:
    """Stored messages, in order."""
    with app.store.read() as uow:
        found = select(Message).where(Message.channel == "discord", *conditions)
        return list(uow.session.execute(found.order_by(Message.conversation_id, Message.seq)).scalars())


def deliveries(app: App) -> list[tuple[int, str]]:
    """Number and state of everything that was to be delivered."""
    with app.store.read() as uow:
        found = select(Message.seq, Delivery.status).join(Message, Message.id == Delivery.message_id)
        return [(seq, status) for seq, status in uow.session.execute(found.order_by(Message.seq)).all()]
