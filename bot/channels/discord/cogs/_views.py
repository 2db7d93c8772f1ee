"""Buttons, lists and forms of Discord. Each carries in its id what it means, so that it works after a restart, too."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import discord
from discord import ui

from bot.channels.discord import custom_ids, texts
from bot.channels.discord.forms import FormPage, kind_of
from bot.channels.discord.wording import MAX_BUTTON, MAX_OPTION, shortened
from bot.conversation.messages import MessageView

Click = discord.Interaction[Any]
_MOST_BUTTONS = 5  # more are a list
_MOST_OPTIONS = 25
_FORM_SECONDS = 15 * 60.0  # as long as Discord would take its answer


def _guarded(callback: Callable[[Any, Click], Awaitable[None]]) -> Callable[[Any, Click], Coroutine[Any, Any, None]]:
    """For the errors cog to see what goes wrong: the library only logs it."""

    @functools.wraps(callback)
    async def guarded(item: Any, interaction: Click) -> None:
        try:
            await callback(item, interaction)
        except Exception as error:
            await interaction.client.failed(interaction, error)

    return guarded


class PressButton(ui.DynamicItem[ui.Button[ui.View]], template=custom_ids.PRESS):
    """A button of a conversation."""

    def __init__(self, conversation_id: str, button_id: str, title: str = "…") -> None:
        custom_id = custom_ids.press(conversation_id, button_id)
        super().__init__(ui.Button(label=shortened(title, MAX_BUTTON), custom_id=custom_id))
        self.conversation_id, self.button_id = conversation_id, button_id

    @classmethod
    async def from_custom_id(cls, interaction: Click, item: ui.Item[Any], match: re.Match[str], /) -> PressButton:
        return cls(match["conversation"], match["button"])

    @_guarded
    async def callback(self, interaction: Click) -> None:
        await interaction.client.reception.press(interaction, self.conversation_id, self.button_id)


class ChooseList(ui.DynamicItem[ui.Select[ui.View]], template=custom_ids.CHOOSE):
    """The buttons of a message as a list, where there are many."""

    def __init__(self, conversation_id: str, seq: int, options: Sequence[discord.SelectOption] = ()) -> None:
        custom_id = custom_ids.choose(conversation_id, seq)
        options = list(options) or [discord.SelectOption(label="…")]
        super().__init__(ui.Select(custom_id=custom_id, placeholder=texts.CHOOSE, options=options))
        self.conversation_id = conversation_id

    @classmethod
    async def from_custom_id(cls, interaction: Click, item: ui.Item[Any], match: re.Match[str], /) -> ChooseList:
        return cls(match["conversation"], int(match["seq"]))

    @_guarded
    async def callback(self, interaction: Click) -> None:
        await interaction.client.reception.press(interaction, self.conversation_id, self.item.values[0])


class FormButton(ui.DynamicItem[ui.Button[ui.View]], template=custom_ids.FORM):
    """Opens a form: at once, for Discord shows one only as the first answer to a click."""

    def __init__(self, conversation_id: str, brand: str, form: str) -> None:
        style = discord.ButtonStyle.primary
        custom_id = custom_ids.form(conversation_id, brand, form)
        super().__init__(ui.Button(label=texts.OPEN_FORM[kind_of(form)], custom_id=custom_id, style=style))
        self.conversation_id, self.brand, self.form = conversation_id, brand, form

    @classmethod
    async def from_custom_id(cls, interaction: Click, item: ui.Item[Any], match: re.Match[str], /) -> FormButton:
        return cls(match["conversation"], match["brand"], match["form"])

    @_guarded
    async def callback(self, interaction: Click) -> None:
        page = interaction.client.reception.page(self.form, self.brand)
        await interaction.response.send_modal(modal(custom_ids.ModalId(self.conversation_id, self.form), page))


class BrandList(ui.DynamicItem[ui.Select[ui.View]], template=custom_ids.BRAND):
    """Asks which brand a direct message is for."""

    def __init__(self, channel: int, message: int, brands: Sequence[tuple[str, str]] = ()) -> None:
        options = [discord.SelectOption(label=shortened(name, MAX_OPTION), value=brand) for brand, name in brands]
        options = options or [discord.SelectOption(label="…")]
        custom_id = custom_ids.brand(channel, message)
        super().__init__(ui.Select(custom_id=custom_id, placeholder=texts.CHOOSE, options=options[:_MOST_OPTIONS]))
        self.channel, self.message = channel, message

    @classmethod
    async def from_custom_id(cls, interaction: Click, item: ui.Item[Any], match: re.Match[str], /) -> BrandList:
        return cls(int(match["channel"]), int(match["message"]))

    @_guarded
    async def callback(self, interaction: Click) -> None:
        await interaction.client.reception.brand_chosen(interaction, self.channel, self.message, self.item.values[0])


ITEMS = (PressButton, ChooseList, FormButton, BrandList)


def view_of(message: MessageView, *, brand: str, form: str | None) -> ui.View | None:
    """What is below a message: its buttons, as a list if there are many, and the one that opens a form."""
    buttons = message.buttons[:_MOST_OPTIONS]
    if not buttons and form is None:
        return None
    view = ui.View(timeout=None)
    if len(buttons) > _MOST_BUTTONS:
        options = [discord.SelectOption(label=shortened(b.title, MAX_OPTION), value=b.id) for b in buttons]
        view.add_item(ChooseList(message.conversation_id, message.seq, options))
    else:
        for button in buttons:
            view.add_item(PressButton(message.conversation_id, button.id, button.title))
    if form is not None:
        opening = FormButton(message.conversation_id, brand, form)
        opening.row = 4
        view.add_item(opening)
    return view


def modal(custom_id: custom_ids.ModalId, page: FormPage) -> ui.Modal:
    """A form to be filled in; what becomes of it is the forms cog's, whichever process showed it."""
    made = ui.Modal(title=page.title, custom_id=str(custom_id), timeout=_FORM_SECONDS)
    for field in page.fields:
        component: ui.Item[ui.Modal]
        if field.files:
            component = ui.FileUpload(custom_id=field.id, required=False, min_values=0, max_values=5)
        else:
            component = ui.TextInput(
                custom_id=field.id,
                required=field.required,
                style=discord.TextStyle.paragraph if field.long else discord.TextStyle.short,
                min_length=field.least if field.required else 0,
                max_length=field.most,
                placeholder=field.hint,
            )
        made.add_item(ui.Label(text=field.label, component=component))
    return made
