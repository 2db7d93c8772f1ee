"""A workspace on the fake, and the application connected to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bot.app import App, build
from bot.settings import Settings
from tests.conformance.slack import at_the_door, with_slack
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ScriptedEngine
from tests.fakes.slack_server import Person, SlackServer


@dataclass
class Town:
    """The platform, and the application on it; the engine answers from a script."""

    server: SlackServer
    settings: Settings
    engine: ScriptedEngine
    clock: FakeClock
    app: App

    @property
    def ava(self) -> Person:
        return self.server.person("U0AVA", name="Ava", email="ava@jolt.example")

    async def heard(self, person: Person, count: int) -> list[str]:
        """The last texts, once there are so many."""
        await self.server.until(lambda: len(person.heard()) >= count)
        return person.texts()


@contextlib.asynccontextmanager
async def started(
    settings: Settings, server: SlackServer, engine: ScriptedEngine, clock: FakeClock, **more: Any
) -> AsyncIterator[Town]:
    """A town with the application running."""
    full = with_slack(settings, server, **more)
    app = build(full, clock=clock, engine=engine)
    try:
        async with app.running(), at_the_door(app, server):
            yield Town(server, full, engine, clock, app)
    finally:
        app.close()


Start = Callable[..., contextlib.AbstractAsyncContextManager[Town]]


@pytest.fixture(params=["socket", "http"])
async def town(request: pytest.FixtureRequest, settings: Settings, clock: FakeClock) -> AsyncIterator[Town]:
    """Both ways to be told of things."""
    server = SlackServer(request.param)
    async with server.running(), started(settings, server, ScriptedEngine(), clock) as town:
        yield town


@pytest.fixture
async def socket_town(settings: Settings, clock: FakeClock) -> AsyncIterator[Town]:
    """Socket Mode only, for what does not depend on the way."""
    server = SlackServer("socket")
    async with server.running(), started(settings, server, ScriptedEngine(), clock) as town:
        yield town
