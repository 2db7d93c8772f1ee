"""Brings messages to Discord: where the customer asked if only they can see it there, otherwise directly."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import discord
import structlog

from bot.channels.channel import ChannelDeps
from bot.channels.delivery import Address, CannotDeliver, Outgoing, RetryLater
from bot.channels.discord import stored, texts
from bot.channels.discord.cogs._views import view_of
from bot.channels.discord.config import CHANNEL
from bot.channels.discord.forms import form_of
from bot.channels.discord.wording import MAX_MESSAGE, escape, messages
from bot.conversation.messages import AttachmentView
from bot.services.attachments import read_attachment
from bot.services.receipts import receipt_view
from bot.store.unit_of_work import UnitOfWork

_TOKEN_SECONDS = 14 * 60.0  # Discord takes answers to an interaction for fifteen minutes
_ACKNOWLEDGE_SECONDS = 5.0
_TYPING_SECONDS = 8.0  # Discord shows it for ten
_MOST_FILES = 10
_FILES_TOO_LARGE = 40005  # Discord's code
_KNOWN = 10_000
log = structlog.get_logger("supportbot.discord")


@dataclass
class Waiting:
    """An interaction whose answers can be shown where it happened. `thinking`: Discord shows that we are at it."""

    interaction: discord.Interaction[Any]
    private: bool  # on a server: only the customer may see it
    thinking: bool
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    showing: asyncio.Lock = field(default_factory=asyncio.Lock)  # what comes first takes the place of "thinking"
    failed: bool = False
    since: float = field(default_factory=time.monotonic)

    @property
    def usable(self) -> bool:
        """Whether Discord still takes answers to it."""
        return not self.failed and time.monotonic() - self.since < _TOKEN_SECONDS


@dataclass(frozen=True)
class _File:
    name: str
    content: bytes


@dataclass(frozen=True)
class _Part:
    """What fits into one message of Discord; `nonce` has Discord show it once, however often it is sent."""

    content: str
    nonce: str
    files: tuple[_File, ...] = ()
    view: discord.ui.View | None = None

    def given(self) -> dict[str, Any]:
        """Arguments for any of the library's ways of sending."""
        given: dict[str, Any] = {"content": self.content or None}
        if self.files:
            given["files"] = [discord.File(io.BytesIO(file.content), file.name) for file in self.files]
        if self.view is not None:
            given["view"] = self.view
        return given


class DiscordOutlet:
    """Implements `bot.channels.delivery.Outlet`."""

    channel = CHANNEL

    def __init__(self, client: discord.Client, deps: ChannelDeps) -> None:
        self._client = client
        self._deps = deps
        self._waiting: dict[str, Waiting] = {}
        self._direct: dict[int, int] = {}  # channel by user
        self._writes_directly: dict[str, bool] = {}
        self._typed: dict[str, float] = {}

    # --- what the reception tells -----------------------------------------------------------------------------------

    def expect(self, external_id: str, waiting: Waiting) -> None:
        """Answers to that message are for this interaction."""
        for name in [name for name, each in self._waiting.items() if not each.usable]:
            del self._waiting[name]
        self._waiting[external_id] = waiting

    def heard_from(self, user: int, *, directly: int | None) -> None:
        """The user wrote last in that channel of direct messages, or elsewhere."""
        if len(self._writes_directly) >= _KNOWN:
            self._writes_directly.clear()
        self._writes_directly[str(user)] = directly is not None
        if directly is not None:
            self._direct[user] = directly

    # --- Outlet -----------------------------------------------------------------------------------------------------

    async def send(self, outgoing: Outgoing) -> str | None:
        """Send all parts of a message; see `Outlet.send`."""
        answers = outgoing.answers or ""
        waiting = self._waiting.get(answers.partition("/")[0])
        if waiting is not None and not await _acknowledged(waiting):
            waiting = None
        parts = await self._parts(outgoing, typing_possible=waiting is None or not waiting.private)
        channel, _, message = answers.removeprefix("g:").partition("/")
        if waiting is not None:
            return await self._all(outgoing, parts, lambda part: self._answer(outgoing, waiting, part))
        if answers.startswith("g:") and outgoing.general:
            return await self._all(outgoing, parts, lambda part: self._in_public(int(channel), int(message), part))
        try:
            sent = await self._all(outgoing, parts, lambda part: self._directly(outgoing, part))
        except CannotDeliver:
            if answers.startswith("g:"):
                await self._point(int(channel), int(message), texts.DIRECT_CLOSED)
            raise
        if answers.startswith("g:"):
            await self._point(int(channel), int(message), texts.IN_PRIVATE)
        return sent

    async def typing(self, to: Address) -> None:
        """Show that we write, to somebody who wrote directly."""
        channel = self._direct.get(int(to.channel_user))
        last = self._typed.get(to.channel_user, -_TYPING_SECONDS)
        now = time.monotonic()
        if channel is None or not self._writes_directly.get(to.channel_user) or now - last < _TYPING_SECONDS:
            return
        if len(self._typed) >= _KNOWN:
            self._typed.clear()
        self._typed[to.channel_user] = now
        await self._client.http.send_typing(channel)

    # --- ways of sending --------------------------------------------------------------------------------------------

    async def _all(self, outgoing: Outgoing, parts: list[_Part], send: Callable[[_Part], Awaitable[int]]) -> str | None:
        """Send the parts in order; errors in the words of `bot.channels.delivery`."""
        sent: int | None = None
        for part in parts:
            try:
                sent = await _with_files_or_without(part, send)
            except (discord.Forbidden, discord.NotFound) as error:
                raise CannotDeliver(str(error.code)) from error
            except discord.RateLimited as error:
                raise RetryLater(error.retry_after) from error
            except discord.HTTPException as error:
                if error.status in (400, 413):
                    raise CannotDeliver(str(error.code)) from error
                if error.status == 429 and sent is None:
                    raise RetryLater(float(error.response.headers.get("Retry-After", 5))) from error
                raise
        return None if sent is None else str(sent)

    async def _answer(self, outgoing: Outgoing, waiting: Waiting, part: _Part) -> int:
        interaction = waiting.interaction
        try:
            async with waiting.showing:
                if waiting.thinking and waiting.usable:
                    given = part.given()
                    edited = await interaction.edit_original_response(
                        content=given["content"],
                        attachments=given.get("files", []),
                        view=part.view,
                    )
                    waiting.thinking = False
                    return edited.id
                if waiting.private and waiting.usable:
                    followed = await interaction.followup.send(**part.given(), ephemeral=True, wait=True)
                    return followed.id
        except discord.HTTPException as error:
            if error.status not in (401, 403, 404):
                raise
            log.info("an interaction has run out, answered directly", code=error.code)
            waiting.failed = True
        return await self._directly(outgoing, part)

    async def _directly(self, outgoing: Outgoing, part: _Part) -> int:
        channel = await self._direct_channel(int(outgoing.to.channel_user))
        if outgoing.again and (there := await self._there_already(outgoing, channel, part)):
            return there
        return (await channel.send(**part.given(), nonce=part.nonce, suppress_embeds=True)).id

    async def _in_public(self, channel: int, message: int, part: _Part) -> int:
        room = self._client.get_partial_messageable(channel)
        asked = discord.MessageReference(message_id=message, channel_id=channel, fail_if_not_exists=False)
        sent = await room.send(**part.given(), nonce=part.nonce, reference=asked, suppress_embeds=True)
        return sent.id

    async def _point(self, channel: int, message: int, text: str) -> None:
        """Say in public where the answer is; a nicety."""
        try:
            await self._in_public(channel, message, _Part(escape(text), _nonce(f"{message}", text)))
        except discord.HTTPException as error:
            log.info("could not say where the answer is", code=error.code)

    async def _direct_channel(self, user: int) -> discord.abc.Messageable:
        if user not in self._direct:
            if len(self._direct) >= _KNOWN:
                self._direct.clear()
            self._direct[user] = (await self._client.create_dm(discord.Object(user))).id
        return self._client.get_partial_messageable(self._direct[user], type=discord.ChannelType.private)

    async def _there_already(self, outgoing: Outgoing, channel: discord.abc.Messageable, part: _Part) -> int | None:
        """The message that an earlier try has left there, if it has: whoever sent it may have died before noting it."""
        last = await self._deps.store.reading(lambda uow: stored.last_delivered(uow, outgoing.to.conversation_id))
        me = self._client.user.id if self._client.user else 0
        async for message in channel.history(limit=50, after=discord.Object(last)):
            same = message.author.id == me and message.content == part.content
            if same and len(message.attachments) == len(part.files):
                return message.id
        return None

    # --- parts ------------------------------------------------------------------------------------------------------

    async def _parts(self, outgoing: Outgoing, *, typing_possible: bool) -> list[_Part]:
        message, pack = outgoing.message, self._deps.packs[outgoing.to.brand]
        head = f"**{escape(message.name)}:** " if message.author == "agent" and message.name else ""
        contents = messages(message.text, limit=MAX_MESSAGE - len(head))
        contents[0] = head + contents[0]
        files = await self._deps.store.reading(
            lambda uow: [self._file(uow, outgoing, each) for each in message.attachments]
        )
        form = form_of(outgoing.asking, pack, typing_possible=typing_possible)
        view = view_of(message, brand=pack.brand.id, form=form)
        last = len(contents) - 1
        parts = [
            _Part(
                content,
                _nonce(message.id, str(number)),
                tuple(files[:_MOST_FILES]) if number == last else (),
                view if number == last else None,
            )
            for number, content in enumerate(contents)
        ]
        for start in range(_MOST_FILES, len(files), _MOST_FILES):
            parts.append(_Part("", _nonce(message.id, f"files {start}"), tuple(files[start : start + _MOST_FILES])))
        return parts

    @staticmethod
    def _file(uow: UnitOfWork, outgoing: Outgoing, attachment: AttachmentView) -> _File:
        conversation_id = outgoing.to.conversation_id
        if attachment.kind != "receipt":
            view, content = read_attachment(uow, attachment.id, conversation_id=conversation_id)
            return _File(view.name, content)
        receipt = receipt_view(uow, attachment.id, customer_id=stored.customer_of(uow, conversation_id))
        return _File(f"Receipt-{receipt.reference}.txt", receipt.plain.encode())  # Discord shows it in the chat


async def _with_files_or_without(part: _Part, send: Callable[[_Part], Awaitable[int]]) -> int:
    """Send a part; where its files are more than Discord takes its words go all the same, and say so."""
    try:
        return await send(part)
    except discord.HTTPException as error:
        if not part.files or (error.status != 413 and error.code != _FILES_TOO_LARGE):
            raise
        log.error("files refused by Discord", code=error.code)
    names = ", ".join(file.name for file in part.files)
    if part.content or part.view:
        await send(replace(part, files=(), nonce=_nonce(part.nonce, "words")))
    return await send(_Part(escape(texts.FILES_NOT_SENT.format(names=names)), _nonce(part.nonce, "files")))


async def _acknowledged(waiting: Waiting) -> bool:
    """Whether Discord has taken our acknowledgement, without which it takes nothing else."""
    try:
        await asyncio.wait_for(waiting.acknowledged.wait(), _ACKNOWLEDGE_SECONDS)
    except asyncio.TimeoutError:
        return False
    return waiting.usable


def _nonce(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:25]
