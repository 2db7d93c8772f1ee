"""Forms that were filled in: understood by their ids, whichever process showed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord
from discord.ext import commands

from bot.channels.discord.custom_ids import ModalId
from bot.channels.discord.reception import Reception


class Forms(commands.Cog):
    """Hands filled-in forms over."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    @commands.Cog.listener()
    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Anything that people do; only forms are for us."""
        if interaction.type is not discord.InteractionType.modal_submit or interaction.data is None:
            return
        data: Mapping[str, Any] = interaction.data
        modal = ModalId.parse(data["custom_id"])
        if modal is None:
            return
        fields = [field for component in data["components"] for field in _fields(component)]
        values = {field["custom_id"]: (field.get("value") or "").strip() for field in fields}
        uploaded = (data.get("resolved") or {}).get("attachments", {})
        state = interaction._state
        files = [discord.Attachment(data=each, state=state) for each in uploaded.values()]
        await self._reception.form(interaction, modal, values, files)


def _fields(component: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "component" in component:
        return [component["component"]]
    return list(component.get("components", ()))
