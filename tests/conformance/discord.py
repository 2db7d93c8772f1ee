"""Discord's driver: a person who writes to the bot directly, through the real client library."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.channels.discord.config import DiscordSettings
from bot.settings import Settings
from bot.store.tables import Message
from tests.conformance.driver import Driver, Heard, Upload
from tests.fakes.discord_limits import Limits
from tests.fakes.discord_people import Person, titles_of
from tests.fakes.discord_rules import File
from tests.fakes.discord_server import DiscordServer


@dataclass
class DiscordDriver(Driver):
    """Somebody with a Discord account."""

    name = "Discord"
    channel = "discord"
    server: DiscordServer = field(init=False)
    person: Person = field(init=False)

    @classmethod
    def hurry(cls, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that dies waits for nothing."""
        monkeypatch.setattr("bot.channels.discord.reception._DRAIN_SECONDS", 0.0)

    @contextlib.asynccontextmanager
    async def platform(self) -> AsyncIterator[None]:
        before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
        async with DiscordServer(limits=Limits(window=0.1)) as self.server:
            self.server.acknowledge_within = 20.0  # for machines that do much else
            self.person = self.server.add_person("Ava")
            yield
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before

    def configured(self) -> Settings:
        discord = DiscordSettings(
            token=self.server.token,
            brand=self.brand,
            api_url=self.server.api_url,
            gateway_url=self.server.gateway_url,
        )
        return replace(self.settings, discord=discord)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        before = self.server.gateway.identified
        await self.server.until(lambda: self.server.gateway.identified > before or self._listening())
        yield

    async def says(self, text: str, files: Sequence[Upload] = ()) -> None:
        given = [File(upload.name, upload.content, upload.media_type) for upload in files]
        await self._taken(await self.person.write(text, *given))

    async def presses(self, title: str) -> None:
        await self.person.press(title)

    async def messages(self) -> list[Heard]:
        return [
            Heard(
                _shown(message["content"]),
                tuple(titles_of(message)),
                tuple(attachment["filename"] for attachment in message["attachments"]),
            )
            for message in self.person.heard()
        ]

    async def says_twice(self, text: str) -> None:
        message = await self.person.write(text)
        await self.person.again(message)
        await self._taken(message)
        await self.person.again(message)

    def remember(self, title: str) -> Any:
        return self.person.find(title)

    async def presses_remembered(self, button: Any) -> None:
        await self.person.use(*button)

    def _listening(self) -> bool:
        return any(session.connection for session in self.server.gateway.sessions.values())

    async def _taken(self, message: dict[str, Any]) -> None:
        """Discord never says so; what was written is in the database."""
        await self.server.until(lambda: self.rows(Message, external_id=_external_id(message)))


def _external_id(message: dict[str, Any]) -> str:
    return f"m:{message['channel_id']}/{message['id']}"


def _shown(content: str) -> str:
    """What a person reads: the words below an agent's name, and no signs that only keep Discord from formatting."""
    said = re.sub(r"^\*\*[^*]+:\*\* ", "", content)
    return said.replace("\\", "").replace("\u200b", "")
