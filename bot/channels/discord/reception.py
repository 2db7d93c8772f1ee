"""Turns what people do on Discord into messages of ours: stored in order and once, acknowledged in time, answered."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import discord
import structlog

from bot.channels.channel import ChannelDeps
from bot.channels.discord import stored, texts
from bot.channels.discord.cogs._views import BrandList
from bot.channels.discord.config import CHANNEL, DiscordSettings
from bot.channels.discord.custom_ids import ModalId
from bot.channels.discord.forms import FormPage, page, said
from bot.channels.discord.outlet import DiscordOutlet, Waiting
from bot.channels.discord.wording import escape, read
from bot.channels.filling_in import fill_in, open_question
from bot.conversation import history
from bot.conversation.locks import LocalLocks
from bot.conversation.messages import InboundMessage, MessageView, Reply
from bot.errors import InvalidInput, NotAuthenticated, SupportBotError
from bot.services.attachments import check_size

_STORE_SECONDS = 1.5  # to have stored what was done before it is acknowledged; Discord gives three in all
_CATCH_UP = timedelta(days=7)
_CATCH_UP_PEOPLE = 200
_CATCH_UP_SECONDS = 60.0
_MAY_HAVE_PRESSED = timedelta(minutes=15)  # before a new session
_DRAIN_SECONDS = 10.0
_ACKNOWLEDGED = 40060  # Discord's code: somebody was faster, with the same token
_KINDS = (discord.MessageType.default, discord.MessageType.reply)
log = structlog.get_logger("supportbot.discord")


@dataclass(frozen=True)
class Came:
    """Something from a user, before it is a message: in a conversation that is known, or in theirs with a brand, which
    follows from the server if it is not named.
    """

    user: int
    external_id: str
    text: str = ""
    button_id: str | None = None
    conversation_id: str | None = None
    brand: str | None = None
    guild: int | None = None
    files: tuple[discord.Attachment, ...] = ()


@dataclass(frozen=True)
class Taken:
    """A message that is in, and sentences about what of it is not."""

    conversation_id: str
    message_id: str | None
    refused: tuple[str, ...] = ()


class NoBrand(NotAuthenticated):
    """Nobody can say which brand a message is for."""


def _tracked(work: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """So that what is under way when the bot stops can be waited for."""

    @functools.wraps(work)
    async def tracked(self: Reception, *arguments: Any) -> None:
        with self.busy():
            await work(self, *arguments)

    return tracked


class Reception:
    """Where all cogs hand over to."""

    def __init__(
        self, client: discord.Client, outlet: DiscordOutlet, deps: ChannelDeps, settings: DiscordSettings
    ) -> None:
        self._client = client
        self._outlet = outlet
        self._deps = deps
        self._settings = settings
        self._order = LocalLocks()  # one of each user's doings is stored at a time, in the order of their coming
        self._caught_up = asyncio.Event()
        self._began: datetime | None = deps.clock.now()  # until there is a session; after that each session begins anew
        self._under_way: set[asyncio.Task[Any]] = set()

    # --- messages ---------------------------------------------------------------------------------------------------

    @_tracked
    async def message(self, message: discord.Message) -> None:
        """A message that Discord has just told of."""
        if self._concerns_us(message):
            await self._caught_up.wait()
            await self._answer_message(message)

    def _concerns_us(self, message: discord.Message) -> bool:
        if message.author.bot or message.type not in _KINDS:
            return False
        if message.guild is None:
            return True
        me = self._client.user
        answered = message.reference.resolved if message.reference else None
        to_us = isinstance(answered, discord.Message) and me is not None and answered.author.id == me.id
        return (me is not None and me in message.mentions) or (self._settings.message_content and to_us)

    async def _answer_message(self, message: discord.Message, brand: str | None = None) -> None:
        conversation_id = await self._take_message(message, brand)
        if conversation_id is not None:
            await self._answer(conversation_id)

    async def _take_message(self, message: discord.Message, brand: str | None = None) -> str | None:
        """Store a message; the conversation that it is to be answered in."""
        direct = message.guild is None
        self._outlet.heard_from(message.author.id, directly=message.channel.id if direct else None)
        where = "m" if direct else "g"
        came = Came(
            user=message.author.id,
            external_id=f"{where}:{message.channel.id}/{message.id}",
            text=read(message.content, bot_id=self._me()) or ("" if message.attachments or direct else _hello()),
            brand=brand,
            guild=message.guild.id if message.guild else None,
            files=tuple(message.attachments),
        )
        try:
            taken = await self._take(came)
        except NoBrand as error:
            await self._ask_brand(message, error)
            return None
        except SupportBotError as error:
            await self._reply(message, str(error))
            return None
        if taken.refused:
            await self._reply(message, "\n".join(taken.refused))
        return taken.conversation_id

    @_tracked
    async def changed(self, channel: int, message: int, guild: int | None, kind: str, text: str, at: datetime) -> None:
        """A message was edited or deleted: noted for whoever reads the conversation."""
        external_id = f"{'m' if guild is None else 'g'}:{channel}/{message}"
        await self._deps.gateway.changed(CHANNEL, external_id, kind=kind, text=text, at=at)

    async def _ask_brand(self, message: discord.Message, error: NoBrand) -> None:
        if message.guild is not None:
            await self._reply(message, str(error))
            return
        brands = [(pack.brand.id, pack.brand.name) for pack in self._deps.packs.values()]
        view = discord.ui.View(timeout=None)
        view.add_item(BrandList(message.channel.id, message.id, brands))
        await message.channel.send(texts.WHICH_BRAND, view=view, nonce=message.id)

    async def _reply(self, message: discord.Message, text: str) -> None:
        await message.reply(escape(text), mention_author=False)

    @_tracked
    async def brand_chosen(self, interaction: discord.Interaction[Any], channel: int, message: int, brand: str) -> None:
        """Which brand an earlier message is for."""
        await interaction.response.defer()
        room = self._client.get_partial_messageable(channel, type=discord.ChannelType.private)
        asked = await room.fetch_message(message)
        if asked.author.id == interaction.user.id:
            await self._answer_message(asked, brand)

    # --- interactions -----------------------------------------------------------------------------------------------

    @_tracked
    async def command(
        self,
        interaction: discord.Interaction[Any],
        text: str,
        brand: str | None,
        file: discord.Attachment | None,
    ) -> None:
        """An application command, as the words that it stands for."""
        came = Came(
            user=interaction.user.id,
            external_id=f"i:{interaction.id}",
            text=text,
            brand=brand,
            guild=interaction.guild_id,
            files=(file,) if file else (),
        )
        await self._interaction(interaction, came, thinking=True)

    @_tracked
    async def press(self, interaction: discord.Interaction[Any], conversation_id: str, button_id: str) -> None:
        """A button, or a choice from a list."""
        came = Came(
            user=interaction.user.id,
            external_id=f"i:{interaction.id}",
            button_id=button_id,
            conversation_id=conversation_id,
        )
        await self._interaction(interaction, came, thinking=False)

    @_tracked
    async def form(
        self,
        interaction: discord.Interaction[Any],
        modal: ModalId,
        values: Mapping[str, str],
        files: Sequence[discord.Attachment],
    ) -> None:
        """A form that was filled in: a message for each field, for as long as it is what we ask for."""
        fields = said(modal.form, values, files=len(files))
        came = [
            Came(
                user=interaction.user.id,
                external_id=f"i:{interaction.id}/{number}",
                text=field.text,
                conversation_id=modal.conversation_id,
                files=tuple(files) if field.files else (),
            )
            for number, field in enumerate(fields)
        ]
        steps = {field.step: each for field, each in zip(fields, came, strict=True) if field.step is not None}
        await self._interaction(interaction, came[0], thinking=interaction.message is None, steps=steps)

    def page(self, form: str, brand: str) -> FormPage:
        """What a form shows; from memory only, for Discord does not wait."""
        return page(form, self._deps.packs.get(brand))

    @_tracked
    async def unlink(self, interaction: discord.Interaction[Any]) -> None:
        """Forget which accounts the user has, with every brand."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        gone = [
            await self._deps.arrivals.unlink(channel=CHANNEL, brand=brand, channel_user=str(interaction.user.id))
            for brand in self._deps.packs
        ]
        await interaction.edit_original_response(content=texts.UNLINKED if any(gone) else texts.NOT_LINKED)

    async def _interaction(
        self,
        interaction: discord.Interaction[Any],
        came: Came,
        *,
        thinking: bool,
        steps: Mapping[str, Came] = types.MappingProxyType({}),
    ) -> None:
        """Store what was done, tell Discord that we have it, then answer. Should storing take long, Discord is told
        first: it does not wait. `steps` are the answers of a form, of which `came` is the first.
        """
        private = interaction.guild_id is not None
        waiting = Waiting(interaction, private=private, thinking=thinking)
        self._outlet.expect(f"i:{interaction.id}", waiting)
        direct = None if private or interaction.channel_id is None else interaction.channel_id
        self._outlet.heard_from(interaction.user.id, directly=direct)
        storing = asyncio.create_task(self._take_form(came, next(iter(steps))) if steps else self._take(came))
        await asyncio.wait({storing}, timeout=_STORE_SECONDS)
        await self._acknowledge(waiting)
        try:
            taken = await storing
            refused, answered = list(taken.refused), True

            async def say(step: str) -> Sequence[MessageView] | None:
                nonlocal answered
                here = taken if steps[step] is came else await self._take(steps[step])
                refused.extend(() if here is taken else here.refused)
                replies = await self._replies(here)
                answered = bool(replies) or here.message_id is None
                return replies

            if steps:
                await fill_in(self._deps, taken.conversation_id, steps, say)
                await self._deps.gateway.answer_waiting(taken.conversation_id)  # had something come in between
            else:
                answered = await self._answer(taken.conversation_id, taken.message_id)
        except SupportBotError as error:
            await self._tell(waiting, str(error))
            return
        if refused:
            await self._tell(waiting, "\n".join(refused))
        elif not answered:
            await self._settle(waiting)

    async def _acknowledge(self, waiting: Waiting) -> None:
        response = waiting.interaction.response
        try:
            if waiting.thinking:
                await response.defer(ephemeral=waiting.private, thinking=True)
            else:
                await response.defer()
        except discord.HTTPException as error:  # what was done is stored all the same; its answer goes another way
            waiting.failed = error.code != _ACKNOWLEDGED
            log.warning("an interaction could not be acknowledged", code=error.code)
        finally:
            waiting.acknowledged.set()

    async def _tell(self, waiting: Waiting, text: str) -> None:
        """Something for the eyes of whoever did it."""
        async with waiting.showing:
            if not waiting.usable:
                return
            if waiting.thinking:
                waiting.thinking = False
                await waiting.interaction.edit_original_response(content=escape(text))
            else:
                await waiting.interaction.followup.send(escape(text), ephemeral=True)

    async def _settle(self, waiting: Waiting) -> None:
        """Nothing was said, for a person is to answer: Discord must not go on showing that we are at it."""
        async with waiting.showing:
            if waiting.thinking and waiting.usable:
                waiting.thinking = False
                await waiting.interaction.edit_original_response(content=texts.PASSED_ON)

    # --- taking in --------------------------------------------------------------------------------------------------

    async def _take(self, came: Came) -> Taken:
        """Store a message of a user, after those before it. Raises SupportBotError."""
        async with self._order.hold(str(came.user)):
            conversation = await self._conversation(came)
            if await self._deps.store.reading(functools.partial(stored.is_taken_in, external_id=came.external_id)):
                return Taken(conversation.id, None)
            files, refused = await self._files(conversation, came.files)
            if refused and not files and not came.text:
                return Taken(conversation.id, None, tuple(refused))
            message, _ = await self._deps.gateway.accept(
                InboundMessage(
                    conversation_id=conversation.id,
                    channel=CHANNEL,
                    external_id=came.external_id,
                    text=came.text,
                    button_id=came.button_id,
                    attachment_ids=tuple(files),
                ),
                admit=self._deps.arrivals.admit(conversation.id),
            )
            return Taken(conversation.id, message.id, tuple(refused))

    async def _take_form(self, came: Came, step: str) -> Taken:
        """Store the first answer of a form. Raises InvalidInput if that is not what is asked, or not any more."""
        conversation = await self._conversation(came)
        asked, known = await self._deps.store.reading(
            lambda uow: (open_question(uow, conversation.id), stored.is_taken_in(uow, came.external_id))
        )
        if not known and (asked is None or asked[1].step != step):
            raise InvalidInput(texts.FORM_OVER)
        return await self._take(came)

    async def _conversation(self, came: Came) -> history.ConversationView:
        if came.conversation_id is None:
            brand = came.brand or await self._brand(came.user, came.guild)
            if brand is None:
                several = len(self._deps.packs) > 1
                raise NoBrand(texts.WHICH_BRAND_AGAIN if several else texts.NO_BRAND)
            # Who writes first is greeted; a command has said already what it is about.
            greet = came.external_id.startswith("m:")
            return await self._deps.arrivals.conversation(
                channel=CHANNEL, brand=brand, channel_user=str(came.user), greet=greet
            )
        known = await self._deps.store.reading(
            functools.partial(history.conversation, conversation_id=came.conversation_id)
        )
        if known.channel != CHANNEL or known.channel_user != str(came.user):
            raise NotAuthenticated(texts.SOMEBODY_ELSES)
        return known

    async def _files(
        self, conversation: history.ConversationView, files: Sequence[discord.Attachment]
    ) -> tuple[list[str], list[str]]:
        """Ids of the files that are taken, and sentences about those that are not."""
        limits = self._deps.packs[conversation.brand].brand.upload
        kept, refused = [], []
        if len(files) > limits.max_files:
            refused.append(texts.FILES_TOO_MANY.format(most=limits.max_files))
        for file in files[: limits.max_files]:
            try:
                kept.append(await self._keep(conversation, file))
            except SupportBotError as error:
                refused.append(str(error))
            except discord.HTTPException:
                refused.append(texts.FILE_GONE.format(name=file.filename))
        return kept, refused

    async def _keep(self, conversation: history.ConversationView, file: discord.Attachment) -> str:
        limits = self._deps.packs[conversation.brand].brand.upload
        check_size(file.size, limits.max_bytes)  # before it is fetched
        return await self._deps.arrivals.keep_file(conversation.id, file.filename, await file.read(), limits)

    async def _answer(self, conversation_id: str, message_id: str | None = None) -> bool:
        """Have the conversation answered; whether anything was said to that message."""
        taken = Taken(conversation_id, message_id)
        return bool(await self._replies(taken)) or message_id is None

    async def _replies(self, taken: Taken) -> Sequence[MessageView]:
        """Have the conversation answered; what was said to that message."""
        await self._deps.gateway.answer_waiting(taken.conversation_id)
        if taken.message_id is None:
            return ()
        message_id = taken.message_id
        return (await self._deps.store.reading(lambda uow: history.exchange(uow, message_id, repeated=False))).replies

    async def _brand(self, user: int, guild: int | None) -> str | None:
        """The brand that somebody writes to: a server's; directly, the one they wrote to last."""
        if guild is not None and guild in self._settings.guilds:
            return self._settings.guilds[guild]
        served = self._deps.packs
        if guild is None and (
            last := await self._deps.store.reading(lambda uow: stored.latest_brand(uow, user, served))
        ):
            return str(last)
        if self._settings.brand is not None:
            return self._settings.brand
        answered_for = set(self._settings.guilds.values()) or set(served)
        return next(iter(answered_for)) if len(answered_for) == 1 else None

    # --- coming and going ---------------------------------------------------------------------------------------------

    @_tracked
    async def catch_up(self) -> None:
        """Read what was written directly while nobody listened: a new session is told of new messages only."""
        self._caught_up.clear()
        before, self._began = self._began or self._deps.clock.now(), None
        to_answer: list[str] = []
        try:
            await asyncio.wait_for(self._read_up(to_answer), _CATCH_UP_SECONDS)
        except Exception as error:  # what comes now must not wait for what came then
            log.exception("could not look for messages that were missed", why=type(error).__name__)
        finally:
            self._caught_up.set()
        for conversation_id in dict.fromkeys(to_answer):
            await self._answer(conversation_id)
        await self._say_press_again(before=before)

    async def _say_press_again(self, *, before: datetime) -> None:
        """A new session is not told what was pressed before it, and Discord does not say it again: those who may have
        pressed something are asked to do it once more, once for each question.
        """
        for conversation_id, brand, seq in await self._deps.store.reading(
            lambda uow: stored.with_buttons_open(uow, since=before - _MAY_HAVE_PRESSED, before=before)
        ):
            if brand in self._deps.packs:
                name = self._deps.packs[brand].brand.name
                key = f"press again:{conversation_id}:{seq}"
                said = [Reply(texts.PRESS_AGAIN)]
                await self._deps.gateway.say(conversation_id, said, author="system", name=name, key=key)

    async def _read_up(self, to_answer: list[str]) -> None:
        since = self._deps.clock.now() - _CATCH_UP
        known = await self._deps.store.reading(
            lambda uow: stored.recently_here(uow, since=since, most=_CATCH_UP_PEOPLE)
        )
        for person in known:
            try:
                channel = person.channel or (await self._client.create_dm(discord.Object(person.user))).id
                room = self._client.get_partial_messageable(channel, type=discord.ChannelType.private)
                after = discord.Object(
                    person.message or discord.utils.time_snowflake(discord.utils.utcnow() - _CATCH_UP)
                )
                missed = [m async for m in room.history(limit=100, after=after) if m.author.id == person.user]
            except discord.HTTPException as error:
                log.warning("could not look for messages that were missed", code=error.code)
                continue
            for message in missed:
                conversation_id = await self._take_message(message)
                to_answer += [conversation_id] if conversation_id else []

    @contextlib.contextmanager
    def busy(self) -> Any:
        """The task that is in this block may be waited for."""
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            yield
        finally:
            self._under_way.discard(task)

    async def drain(self) -> None:
        """Wait for what is under way, but not for long: what is stored is answered after the next start."""
        if self._under_way:
            _, late = await asyncio.wait(set(self._under_way), timeout=_DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _me(self) -> int:
        return self._client.user.id if self._client.user else 0


def _hello() -> str:
    return texts.SAYS["support"][0]


@contextlib.asynccontextmanager
async def drained(reception: Reception) -> AsyncIterator[None]:
    """What is under way when the block ends is waited for."""
    try:
        yield
    finally:
        await reception.drain()
