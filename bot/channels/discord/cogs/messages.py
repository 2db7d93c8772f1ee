"""Messages: direct ones, and those on a server that are meant for the bot."""

from __future__ import annotations

import discord
from discord.ext import commands

from bot.channels.discord.reception import Reception


class Messages(commands.Cog):
    """Hands messages over, and looks for those that came while nobody listened."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """A new message."""
        await self._reception.message(message)

    @commands.Cog.listener()
    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        """A message is another now; Discord also tells so when only the preview of a link was added."""
        message = event.message
        if message.edited_at is not None and not message.author.bot:
            where = event.channel_id, event.message_id, event.guild_id
            await self._reception.changed(*where, "edited", message.content, message.edited_at)

    @commands.Cog.listener()
    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """A message is gone."""
        where = event.channel_id, event.message_id, event.guild_id
        await self._reception.changed(*where, "deleted", "", discord.utils.utcnow())

    @commands.Cog.listener()
    async def on_shard_connect(self, shard: int) -> None:
        """A new session, which is told of nothing from before; direct messages are told to the first shard."""
        if shard == 0:
            await self._reception.catch_up()
