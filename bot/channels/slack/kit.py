"""What listeners work with: whose message it is, and how it gets to the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import structlog

from bot.channels.channel import ChannelDeps
from bot.channels.delivery import CannotDeliver, RetryLater
from bot.channels.slack import words
from bot.channels.slack.api import Api, call
from bot.channels.slack.formatting import escape
from bot.channels.slack.places import CHANNEL, Place, channel_user
from bot.channels.slack.settings import SlackSettings
from bot.channels.slack.tokens import Installation, Tokens
from bot.conversation.history import ConversationView
from bot.conversation.messages import Exchange, InboundMessage
from bot.errors import InvalidInput, SupportBotError, TooLarge
from bot.policy.pack import Pack
from bot.store.tables import Conversation
from bot.store.unit_of_work import UnitOfWork

log = structlog.get_logger("supportbot.slack")


@dataclass
class Kit:
    """Everything of one running Slack channel."""

    deps: ChannelDeps
    settings: SlackSettings
    api: Api
    tokens: Tokens
    installations: dict[str, Installation] = field(default_factory=dict)
    last_heard: dict[str, Place] = field(default_factory=dict)  # where a channel user wrote directly last

    # --- workspaces ----------------------------------------------------------------------------------------------

    async def installation(self, team: str) -> Installation | None:
        """A workspace's token; None if the app is not installed there."""
        if team not in self.installations:
            found = await self.deps.store.reading(lambda uow: self.tokens.find(uow, team))
            if found is None:
                return None
            self.installations[team] = found
        return self.installations[team]

    async def revoked(self, team: str) -> None:
        """A workspace has removed the app."""
        self.installations.pop(team, None)
        await self.deps.store.writing(lambda uow: self.tokens.revoke(uow, team, now=self.deps.clock.now()))

    def forget(self, team: str) -> None:
        """Read a workspace's token anew the next time, unless it is a setting."""
        known = self.installations.get(team)
        if known is not None and known.token != self.settings.bot_token:
            del self.installations[team]

    def pack(self, team: str) -> Pack | None:
        """What the workspace's brand promises; None if it has none."""
        brand = self.settings.brand_of(team)
        return self.deps.packs.get(brand) if brand else None

    # --- conversations -------------------------------------------------------------------------------------------

    async def conversation(self, team: str, user: str, *, greet: bool = True) -> ConversationView | None:
        """The user's conversation with the workspace's brand; None if it has none."""
        pack = self.pack(team)
        if pack is None:
            return None
        return await self.deps.arrivals.conversation(
            channel=CHANNEL, brand=pack.brand.id, channel_user=channel_user(team, user), greet=greet
        )

    async def owned(self, conversation_id: str, team: str, user: str) -> str | None:
        """Why a thing of a conversation is not this user's to use; None if it is."""

        def check(uow: UnitOfWork) -> str | None:
            row = uow.get(Conversation, conversation_id)
            if row is None or row.channel != CHANNEL or row.channel_user != channel_user(team, user):
                return words.NOT_YOURS
            return words.OVER if row.external_id.startswith("left:") else None

        return await self.deps.store.reading(check)

    async def say(
        self,
        user: str,
        place: Place,
        *,
        text: str = "",
        button: str | None = None,
        files: Sequence[Mapping[str, Any]] = (),
        conversation_id: str | None = None,
    ) -> Exchange | None:
        """Hand a customer's message to the gateway; None if it was refused, of which the customer is told why."""
        greet = place.is_direct
        if place.room.startswith("D"):
            self.api.remember_room(place.team, user, place.room)
            self.note(user, place)
        if conversation_id is None:
            opened = await self.conversation(place.team, user, greet=greet)
            if opened is None:
                await self.tell(user, place, words.NO_BRAND)
                return None
            conversation_id = opened.id
        try:
            kept, troubles = await self._files(place.team, conversation_id, files)
            for trouble in troubles:
                await self.tell(user, place, trouble)
            if troubles and not kept and not text:
                return None
            return await self.deps.gateway.receive(
                InboundMessage(conversation_id, CHANNEL, str(place), text, button, tuple(kept)),
                admit=self.deps.arrivals.admit(conversation_id),
            )
        except SupportBotError as error:
            if error.status >= 500:
                raise
            await self.tell(user, place, str(error))
            return None

    async def tell(self, user: str, place: Place, text: str) -> None:
        """Say something to a user that is no part of the conversation, seen by nobody else."""
        installation = await self.installation(place.team)
        if installation is None:
            return
        client = self.api.client(installation.token)
        message = {"text": escape(text), "parse": "none", "link_names": False}
        thread = {"thread_ts": place.thread} if place.thread else {}
        try:
            if place.is_direct:
                room = place.room or await self.api.direct_room(installation, user)
                await self.api.post(installation, room, text=escape(text), **thread)
            else:
                await call(lambda: client.chat_postEphemeral(channel=place.room, user=user, **message, **thread))
        except (RetryLater, CannotDeliver) as error:
            log.warning("notice not shown", why=str(error))

    def note(self, user: str, place: Place) -> None:
        """Remember where somebody wrote directly, for what is said without being asked."""
        if len(self.last_heard) > 10_000:
            self.last_heard.clear()
        self.last_heard[channel_user(place.team, user)] = place

    # --- files ---------------------------------------------------------------------------------------------------

    async def _files(
        self, team: str, conversation_id: str, files: Sequence[Mapping[str, Any]]
    ) -> tuple[list[str], list[str]]:
        """As `keep_files`, by the workspace's brand."""
        pack = self.pack(team)
        return await self.keep_files(team, conversation_id, files, pack) if files and pack else ([], [])

    async def keep_files(
        self, team: str, conversation_id: str, files: Sequence[Mapping[str, Any]], pack: Pack
    ) -> tuple[list[str], list[str]]:
        """Ids of the files that were kept in a conversation, and sentences about the others."""
        upload = pack.brand.upload
        kept: list[str] = []
        troubles: list[str] = []
        if len(files) > upload.max_files:
            troubles.append(
                f"At most {upload.max_files} files go with one message. Please send the others with the next."
            )
        for file in files[: upload.max_files]:
            name = str(file.get("name") or "file")
            try:
                content = await self._download(team, file, upload.max_bytes)
                kept.append(await self.deps.arrivals.keep_file(conversation_id, name, content, upload))
            except InvalidInput as error:
                troubles.append(f"{name}: {error}")
        return kept, troubles

    async def _download(self, team: str, file: Mapping[str, Any], max_bytes: int) -> bytes:
        """The file's content, at most a byte more than allowed. Raises InvalidInput."""
        if int(file.get("size") or 0) > max_bytes:
            raise TooLarge(f"the file is too large: at most {max_bytes // 2**20} MB are taken.", limit=max_bytes)
        address = str(file.get("url_private_download") or file.get("url_private") or "")
        installation = await self.installation(team)
        missing = InvalidInput(words.FILE_NOT_READ.format(name=str(file.get("name") or "")))
        if installation is None or not self._is_slacks(address):
            raise missing
        headers = {"Authorization": f"Bearer {installation.token}"}
        async with self.api.session.get(address, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise missing
            content = b""
            async for chunk in response.content.iter_chunked(2**16):
                content += chunk
                if len(content) > max_bytes:
                    break
            signed_out = response.content_type == "text/html" and file.get("mimetype") != "text/html"
        if signed_out:  # Slack answers a token that may not read files with its sign-in page
            raise missing
        return content

    def _is_slacks(self, address: str) -> bool:
        """Whether our token may be sent there."""
        parts, ours = urlsplit(address), urlsplit(self.settings.api_url)
        if (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc):
            return True
        host = parts.hostname or ""
        return parts.scheme == "https" and (host == "slack.com" or host.endswith((".slack.com", ".slack-files.com")))
