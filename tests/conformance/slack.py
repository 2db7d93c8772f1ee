"""Slack's drivers: a person who writes to the app directly, with Socket Mode and with HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvicorn

from bot.app import App, web
from bot.channels.slack.settings import SlackSettings
from bot.settings import Settings
from tests.conformance.driver import Driver, Heard, Upload
from tests.fakes.slack_server import APP_TOKEN, SIGNING_SECRET, Person, SlackServer, choices, shown

TEAM = "T0EXAMPLE"


@dataclass
class SlackDriver(Driver):
    """A member of a workspace."""

    name = "Slack, Socket Mode"
    channel = "slack"
    mode = "socket"
    server: SlackServer = field(init=False)
    person: Person = field(init=False)

    @contextlib.asynccontextmanager
    async def platform(self) -> AsyncIterator[None]:
        self.server = SlackServer(self.mode)
        self.person = self.server.person("U0AVA", name="Ava")
        async with self.server.running():
            yield

    @classmethod
    def hurry(cls, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bot.channels.slack.api.ROOM_PACE", (0.001, 100))

    def configured(self) -> Settings:
        return with_slack(self.settings, self.server, brand=self.brand)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with at_the_door(self.app, self.server):
            yield

    async def says(self, text: str, files: Sequence[Upload] = ()) -> None:
        given = [{"name": f.name, "content": f.content, "mimetype": f.media_type} for f in files]
        await self._taken(await self.person.says(text, files=given))

    async def presses(self, title: str) -> None:
        await self._taken(await self.person.presses(title))

    async def messages(self) -> list[Heard]:
        found: list[Heard] = []
        files: tuple[str, ...] = ()
        for message in self.person.heard():
            if message.get("files"):
                files = tuple(file["title"] for file in message["files"])  # the message that they go with comes next
                continue
            buttons = [choice["title"] for choice in choices(message) if "form:" not in choice["action"]["action_id"]]
            found.append(Heard(shown(message), tuple(buttons), files))
            files = ()
        return found

    async def says_twice(self, text: str) -> None:
        body = self.person.message(text)
        again = {**body, "event_id": "Ev0AGAIN"}
        told = await asyncio.gather(
            self.server.tell("event", body), self.server.tell("event", body, retry=1), self.server.tell("event", again)
        )
        for each in told:
            await self._taken(each)

    def remember(self, title: str) -> Any:
        return self.person.choice(title)

    async def presses_remembered(self, button: Any) -> None:
        await self._taken(await self.person.acts(*button))

    @staticmethod
    async def _taken(told: Any) -> None:
        assert told.acknowledged_after is not None, "not acknowledged within three seconds"


@dataclass
class SlackHttpDriver(SlackDriver):
    """The same over signed requests."""

    name = "Slack, HTTP"
    mode = "http"


def with_slack(settings: Settings, server: SlackServer, *, brand: str = "joltsms", **more: Any) -> Settings:
    """Settings with Slack on."""
    socket_mode = server.mode == "socket"
    slack = SlackSettings(
        **{
            "bot_token": server.workspaces[TEAM].token,
            "app_token": APP_TOKEN if socket_mode else None,
            "signing_secret": None if socket_mode else SIGNING_SECRET,
            "api_url": server.api_url,
            "brand": brand,
            **more,
        }
    )
    return replace(settings, slack=slack)


@contextlib.asynccontextmanager
async def at_the_door(app: App, server: SlackServer) -> AsyncIterator[None]:
    """The channel connected, and in HTTP mode the web server up, in this event loop."""
    if server.mode == "socket":
        await server.connected()
        yield
        return
    async with served(app) as address:
        server.events_url = f"{address}/slack/events"
        channel: Any = app.channels[0]
        while channel.kit is None:  # noqa: ASYNC110 - its start has no event
            await asyncio.sleep(0.005)
        yield


@contextlib.asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """The address of the application's web server; the application itself runs already."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(web(app), ws="none", log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110 - its start has no event
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await task
