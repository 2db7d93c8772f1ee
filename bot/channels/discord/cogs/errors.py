"""What nobody foresaw, in one place: logged for us, a sentence for whoever waits."""

from __future__ import annotations

from typing import Any

import discord
import structlog
from discord import app_commands
from discord.ext import commands

from bot.channels.discord import texts
from bot.errors import SupportBotError

log = structlog.get_logger("supportbot.discord")


class Errors(commands.Cog):
    """Handles the errors of commands, components and events."""

    def __init__(self, tree: app_commands.CommandTree[Any]) -> None:
        self._tree = tree
        self._before = tree.on_error

    async def cog_load(self) -> None:
        """Take over from the library, which only logs."""
        self._tree.on_error = self.of_command  # type: ignore[method-assign]

    async def cog_unload(self) -> None:
        """Give back."""
        self._tree.on_error = self._before  # type: ignore[method-assign]

    async def of_command(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
        """A command failed; also one of an earlier release, which Discord still shows."""
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        await self.of_interaction(interaction, cause)

    async def of_interaction(self, interaction: discord.Interaction[Any], error: Exception) -> None:
        """Anything that somebody did failed."""
        foreseen = isinstance(error, SupportBotError)
        if not foreseen:
            log.error("an interaction failed", kind=interaction.type.name, exc_info=error)
        text = str(error) if foreseen else texts.OUT_OF_ORDER
        try:
            if interaction.response.is_done():
                await interaction.followup.send(text, ephemeral=True)
            else:
                await interaction.response.send_message(text, ephemeral=True)
        except discord.HTTPException as refused:
            log.warning("could not say that an interaction failed", code=refused.code)
