"""Brings messages to Slack: in the thread that asked, or directly, receipts and files with them, each once."""

from __future__ import annotations

from collections import OrderedDict

import structlog
from slack_sdk.errors import SlackApiError
from sqlalchemy import select

from bot.channels.delivery import Address, CannotDeliver, Outgoing
from bot.channels.slack import files, words
from bot.channels.slack.api import NOT_ACCEPTED
from bot.channels.slack.blocks import fallback, message_blocks
from bot.channels.slack.formatting import escape, note
from bot.channels.slack.forms import form_for
from bot.channels.slack.kit import Kit
from bot.channels.slack.places import CHANNEL, Place, team_and_user
from bot.channels.slack.tokens import Installation
from bot.store.tables import Message
from bot.store.unit_of_work import UnitOfWork

_POINTERS = 1_000
log = structlog.get_logger("supportbot.slack")


class SlackOutlet:
    """Implements `bot.channels.delivery.Outlet`."""

    channel = CHANNEL

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._pointed: OrderedDict[str, None] = OrderedDict()

    async def send(self, outgoing: Outgoing) -> str | None:
        """Send a message with its files; whatever of it arrived before is not sent again."""
        team, user = team_and_user(outgoing.to.channel_user)
        installation = await self._kit.installation(team)
        if installation is None:
            raise CannotDeliver("not_installed")
        try:
            return await self._send(outgoing, installation, user)
        except SlackApiError as error:
            if error.response.get("error") in NOT_ACCEPTED:
                self._kit.forget(team)  # another process may have got a new one
            raise

    async def _send(self, outgoing: Outgoing, installation: Installation, user: str) -> str:
        room, thread = await self._where(outgoing, installation, user)
        there = await files.arrived(self._kit, installation, room, thread) if outgoing.again else {}
        if outgoing.message.id in there:
            return there[outgoing.message.id]
        not_sent = []
        for attachment in outgoing.message.attachments:
            if attachment.name in there:
                continue
            try:
                await files.upload(self._kit, installation, room, thread, outgoing.to.conversation_id, attachment)
            except CannotDeliver as refusal:  # the words go all the same
                log.error("file refused by Slack", attachment=attachment.id, why=refusal.code)
                not_sent.append(words.FILE_NOT_SENT.format(name=attachment.name))
        pack = self._kit.deps.packs[outgoing.to.brand]
        ts = await self._kit.api.post(
            installation,
            room,
            text=fallback(outgoing.message.text) or "…",
            blocks=[
                *message_blocks(
                    outgoing.message, trusted=(self._kit.deps.public_url,), form=form_for(outgoing.asking, pack)
                ),
                *map(note, not_sent),
            ],
            metadata=files.marked(outgoing.message.id),
            **({"thread_ts": thread} if thread else {}),
        )
        return f"{room}/{ts}"

    async def typing(self, to: Address) -> None:
        """Slack shows that an app is writing in threads with an assistant only."""
        place = self._kit.last_heard.get(to.channel_user)
        if place is None or not place.thread or not place.room.startswith("D"):
            return
        installation = await self._kit.installation(place.team)
        if installation is not None:
            await self._kit.api.client(installation.token).assistant_threads_setStatus(
                channel_id=place.room, thread_ts=place.thread, status="is writing…"
            )

    # --- where ---------------------------------------------------------------------------------------------------

    async def _where(self, outgoing: Outgoing, installation: Installation, user: str) -> tuple[str, str]:
        """Room and thread. What is about somebody goes to them alone, and the thread that asked is told so."""
        place = Place.parse(outgoing.answers)
        if place is not None and not place.is_direct:
            if outgoing.general:
                return place.room, place.thread or place.what
            await self._point(installation, place)
            place = None
        if place is None or not place.room:
            place = await self._last_thread(outgoing.to)
        if place is None:
            return await self._kit.api.direct_room(installation, user), ""
        return place.room, place.thread

    async def _last_thread(self, to: Address) -> Place | None:
        """Where the customer wrote directly last, if that was in a thread with the assistant."""
        place = self._kit.last_heard.get(to.channel_user)
        if place is None:
            place = Place.parse(await self._kit.deps.store.reading(lambda uow: _last_place(uow, to.conversation_id)))
        return place if place is not None and place.thread and place.room.startswith("D") else None

    async def _point(self, installation: Installation, place: Place) -> None:
        name = str(place)
        if name in self._pointed:
            return
        self._pointed[name] = None
        if len(self._pointed) > _POINTERS:
            self._pointed.popitem(last=False)
        thread = place.thread or place.what
        await self._kit.api.post(installation, place.room, text=escape(words.ANSWERED_DIRECTLY), thread_ts=thread)


def _last_place(uow: UnitOfWork, conversation_id: str) -> str | None:
    found = select(Message.external_id).where(
        Message.conversation_id == conversation_id, Message.author == "customer", Message.external_id.is_not(None)
    )
    place: str | None = uow.session.execute(found.order_by(Message.seq.desc()).limit(1)).scalar()
    return place
