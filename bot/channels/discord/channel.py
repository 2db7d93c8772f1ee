"""Discord as a channel of the application: logs in, listens and delivers until stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import discord
import structlog
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route
from starlette.routing import BaseRoute

from bot.channels.channel import ChannelDeps
from bot.channels.discord.bot import SupportBot
from bot.channels.discord.config import CHANNEL, DiscordSettings
from bot.channels.discord.reception import drained
from bot.errors import InvalidInput, NotAuthenticated

_CONNECTION = "discord:connection"
_WRONG_TOKEN = 4004  # the gateway's code
log = structlog.get_logger("supportbot.discord")


class DiscordChannel:
    """Implements `bot.channels.channel.Channel`; one a process, for the library's addresses are the process's."""

    name = CHANNEL

    def __init__(self, settings: DiscordSettings, deps: ChannelDeps) -> None:
        self._settings = settings
        self._deps = deps
        self.identify_seconds = 5.0  # between two new sessions, as Discord wants it
        self.look_seconds = 5.0  # how often a process that is not the one connected looks whether it should be

    def routes(self) -> Sequence[BaseRoute]:
        """None: everything comes through the gateway."""
        return ()

    async def run(self) -> None:
        """Serve until cancelled. Raises InvalidInput or NotAuthenticated for settings that cannot work.

        Of several processes one is connected: Discord would tell each of everything. When it ends, another takes over;
        should another have taken over while this one could not renew its lease, this one hangs up.
        """
        self._check_brands()
        while True:
            lost = asyncio.Event()
            async with self._deps.locks.hold_if_free(_CONNECTION, lost=lost) as ours:
                if ours and not await self._serve_until(lost):
                    return
            await asyncio.sleep(self.look_seconds)

    async def _serve_until(self, lost: asyncio.Event) -> bool:
        """Serve until that happens, or as long as it goes; whether it happened."""
        serving, losing = asyncio.create_task(self._serve()), asyncio.create_task(lost.wait())
        try:
            await asyncio.wait({serving, losing}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
                return False
            log.warning("another process is connected to Discord, so this one hangs up")
            return True
        finally:
            for task in (serving, losing):
                task.cancel()
            await asyncio.gather(serving, losing, return_exceptions=True)

    async def _serve(self) -> None:
        Route.BASE = self._settings.api_url
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(self._settings.gateway_url)
        async with SupportBot(self._settings, self._deps, identify_seconds=self.identify_seconds) as client:
            try:
                await client.login(self._settings.token)
                log.info("discord is on", bot=client.application_id)
                async with drained(client.reception):
                    await self._listen_and_deliver(client)
            except discord.LoginFailure as error:
                raise _wrong_token() from error
            except discord.ConnectionClosed as error:
                if error.code == _WRONG_TOKEN:
                    raise _wrong_token() from error
                raise
            except discord.PrivilegedIntentsRequired as error:
                raise InvalidInput(
                    "Discord does not give this bot the Message Content intent. Turn it on in the developer portal "
                    "(your application, Bot, Privileged Gateway Intents), or unset SUPPORTBOT_DISCORD_MESSAGE_CONTENT."
                ) from error

    async def _listen_and_deliver(self, client: SupportBot) -> None:
        delivery = self._deps.delivery(client.outlet)
        tasks = {asyncio.create_task(delivery.run()), asyncio.create_task(client.connect())}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _check_brands(self) -> None:
        named = {self._settings.brand, *self._settings.guilds.values()} - {None}
        unknown = sorted(str(brand) for brand in named - set(self._deps.packs))
        if unknown:
            known = ", ".join(sorted(self._deps.packs))
            raise InvalidInput(
                f"SUPPORTBOT_DISCORD_BRAND or SUPPORTBOT_DISCORD_GUILDS names {', '.join(unknown)}. "
                f"Brands here: {known}."
            )


def _wrong_token() -> NotAuthenticated:
    return NotAuthenticated(
        "Discord does not accept SUPPORTBOT_DISCORD_TOKEN. Reset it in the developer portal (your application, Bot) "
        "and set the new one."
    )
