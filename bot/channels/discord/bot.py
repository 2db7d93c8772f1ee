"""The client: what it asks Discord for, and which cogs it is made of."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import discord
import structlog
from discord.ext import commands

from bot.channels.channel import ChannelDeps
from bot.channels.discord.cogs._views import ITEMS
from bot.channels.discord.cogs.commands import Commands
from bot.channels.discord.cogs.errors import Errors
from bot.channels.discord.cogs.forms import Forms
from bot.channels.discord.cogs.messages import Messages
from bot.channels.discord.config import DiscordSettings
from bot.channels.discord.outlet import DiscordOutlet
from bot.channels.discord.pace import Pace
from bot.channels.discord.reception import Reception

log = structlog.get_logger("supportbot.discord")


def intents(settings: DiscordSettings) -> discord.Intents:
    """As few as possible: the servers it is on, messages that mention it, direct messages."""
    return discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=settings.message_content)


class SupportBot(commands.AutoShardedBot):
    """Nothing it sends can ping anybody, and it keeps neither messages nor members in memory."""

    def __init__(self, settings: DiscordSettings, deps: ChannelDeps, *, identify_seconds: float) -> None:
        """`identify_seconds` is the pause between two new sessions."""
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody needs voice here
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=intents(settings),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            shard_count=settings.shards,
            http_trace=Pace().trace(),
        )
        self._identify_seconds = identify_seconds
        self.outlet = DiscordOutlet(self, deps)
        self.reception = Reception(self, self.outlet, deps, settings)
        self._errors = Errors(self.tree)
        self._cogs_to_add: list[commands.Cog] = [
            self._errors,
            Messages(self.reception),
            Forms(self.reception),
            Commands(self.tree, self.reception, deps.packs),
        ]

    async def setup_hook(self) -> None:
        """Before the gateway is connected to: the cogs, components of earlier messages, the commands."""
        for cog in self._cogs_to_add:
            await self.add_cog(cog)
        self.add_dynamic_items(*ITEMS)
        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait as long as Discord wants it between two sessions."""
        if not initial:
            await asyncio.sleep(self._identify_seconds)

    async def on_message(self, message: discord.Message, /) -> None:
        """Nothing: the library would look for commands in texts."""

    async def failed(self, interaction: discord.Interaction[Any], error: Exception) -> None:
        """Something that somebody did with a component failed."""
        await self._errors.of_interaction(interaction, error)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """An event's handler failed."""
        error = sys.exc_info()[1]
        log.error("an event could not be handled", event_name=event_method, exc_info=error)
        if args and isinstance(args[0], discord.Interaction) and isinstance(error, Exception):
            await self.failed(args[0], error)
