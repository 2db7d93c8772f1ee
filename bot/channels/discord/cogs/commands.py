"""Application commands: /support, /cancel, /refund, /ticket, /human and /unlink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.channels.discord import texts
from bot.channels.discord.reception import Reception
from bot.policy.pack import Pack

_MOST_WORDS = 1_000
_UNLINK = "unlink"
_Words = app_commands.Range[str, 1, _MOST_WORDS]
Interaction = discord.Interaction[Any]


class Commands(commands.Cog):
    """Each says something in the customer's name; which brand is asked for only where there are several."""

    def __init__(self, tree: app_commands.CommandTree[Any], reception: Reception, packs: Mapping[str, Pack]) -> None:
        self._tree = tree
        self._reception = reception
        self._brands = [app_commands.Choice(name=pack.brand.name, value=pack.brand.id) for pack in packs.values()]

    async def cog_load(self) -> None:
        """Add the commands to those that are registered with Discord."""
        for name in texts.SAYS:
            self._tree.add_command(self._saying(name))
        self._tree.add_command(self._unlinking())

    def _saying(self, name: str) -> app_commands.Command[Any, Any, Any]:
        does, takes = texts.COMMANDS[name]
        alone, with_words = texts.SAYS[name]
        reception = self._reception

        async def say(
            interaction: Interaction, words: str | None, brand: str | None, file: discord.Attachment | None
        ) -> None:
            if words and words.strip().lower() == _UNLINK:  # as on channels that have one command only
                await reception.unlink(interaction)
                return
            text = with_words.format(words=words) if words else alone
            await reception.command(interaction, text, brand, file)

        if len(self._brands) > 1:

            @app_commands.describe(about=takes, brand="Which company?", file="A screenshot or a log.")
            @app_commands.choices(brand=self._brands[:25])
            async def with_brand(
                interaction: Interaction,
                about: _Words | None = None,
                brand: str | None = None,
                file: discord.Attachment | None = None,
            ) -> None:
                await say(interaction, about, brand, file)

            return self._everywhere(app_commands.Command(name=name, description=does, callback=with_brand))

        @app_commands.describe(about=takes, file="A screenshot or a log.")
        async def without_brand(
            interaction: Interaction, about: _Words | None = None, file: discord.Attachment | None = None
        ) -> None:
            await say(interaction, about, None, file)

        return self._everywhere(app_commands.Command(name=name, description=does, callback=without_brand))

    def _unlinking(self) -> app_commands.Command[Any, Any, Any]:
        reception = self._reception

        async def unlink(interaction: Interaction) -> None:
            await reception.unlink(interaction)

        does, _ = texts.COMMANDS[_UNLINK]
        return self._everywhere(app_commands.Command(name=_UNLINK, description=does, callback=unlink))

    @staticmethod
    def _everywhere(command: app_commands.Command[Any, Any, Any]) -> app_commands.Command[Any, Any, Any]:
        command.allowed_contexts = app_commands.AppCommandContext(guild=True, dm_channel=True)
        return command
