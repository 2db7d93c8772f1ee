"""How users of a push channel come in: one conversation each, already theirs if they are linked to a customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.conversation import history
from bot.conversation.messages import Reply
from bot.errors import UnknownBrand
from bot.policy.pack import Pack, Upload
from bot.services.attachments import AttachmentView, store_attachment
from bot.services.identity import IdentityService
from bot.services.limits import spend
from bot.services.ports import Clock
from bot.store.unit_of_work import Store, UnitOfWork

MESSAGES_PER_MINUTE = 30
UPLOADS_PER_HOUR = 60


@dataclass(frozen=True)
class Arrivals:
    """Opens conversations of channel users, and forgets whom they are linked to when asked."""

    store: Store
    identity: IdentityService
    packs: Mapping[str, Pack]
    clock: Clock
    greeting: Callable[[Pack], Reply]

    async def conversation(
        self, *, channel: str, brand: str, channel_user: str, greet: bool = True
    ) -> history.ConversationView:
        """The one conversation of a channel user with a brand, made with a greeting if it is new and `greet`.

        If the user is linked to a customer, it is that customer's. Raises UnknownBrand.
        """
        pack = self._pack(brand)

        def open_it(uow: UnitOfWork) -> history.ConversationView:
            now = self.clock.now()
            opened = history.open_conversation(
                uow,
                brand=brand,
                channel=channel,
                external_id=external_id(brand, channel_user),
                channel_user=channel_user,
                greeting=[self.greeting(pack)] if greet else [],
                name=pack.brand.name,
                now=now,
            )
            if opened.customer_id is None:
                linked = self.identity.linked(uow, brand=brand, channel=channel, channel_user=channel_user, now=now)
                if linked is not None:
                    self.identity.bind(uow, opened.id, linked, now=now)
                    return history.conversation(uow, opened.id)
            return opened

        return await self.store.writing(open_it)

    async def unlink(self, *, channel: str, brand: str, channel_user: str) -> bool:
        """Forget whom a channel user is linked to; whether there was anybody. See `IdentityService.unlink`."""
        return await self.store.writing(
            lambda uow: self.identity.unlink(uow, brand=brand, channel=channel, channel_user=channel_user)
        )

    def admit(self, conversation_id: str) -> Callable[[UnitOfWork], None]:
        """For the gateway: refuses a message with TooMany where one conversation sends more than people type."""
        return lambda uow: admit_message(uow, conversation_id, now=self.clock.now())

    async def keep_file(self, conversation_id: str, name: str, content: bytes, upload: Upload) -> str:
        """Keep a file with a conversation, within what the brand takes; its id. Raises as `keep_file` does."""
        now = self.clock.now()
        kept = await self.store.writing(
            lambda uow: keep_file(uow, conversation_id, name=name, content=content, upload=upload, now=now)
        )
        return kept.id

    def _pack(self, brand: str) -> Pack:
        pack = self.packs.get(brand)
        if pack is None:
            known = ", ".join(sorted(self.packs))
            raise UnknownBrand(f"There is no brand “{brand[:40]}” here. Known: {known}.")
        return pack


def external_id(brand: str, channel_user: str) -> str:
    """The channel's name of the conversation that goes on; see `IdentityService.unlink` for those that do not."""
    return f"{brand}/{channel_user}"


def admit_message(
    uow: UnitOfWork, conversation_id: str, *, now: datetime, per_minute: int = MESSAGES_PER_MINUTE
) -> None:
    """Count a message. Raises TooMany where one conversation sends more than people type."""
    spend(
        uow,
        f"messages:{conversation_id}",
        limit=per_minute,
        per=timedelta(minutes=1),
        now=now,
        sentence="That is a lot of messages in one minute. Please wait a moment, then send this one again.",
    )


def keep_file(
    uow: UnitOfWork,
    conversation_id: str,
    *,
    name: str,
    content: bytes,
    upload: Upload,
    now: datetime,
    per_hour: int = UPLOADS_PER_HOUR,
) -> AttachmentView:
    """Keep a file with a conversation. Raises TooMany where one conversation sends more than people have, TooLarge or
    InvalidInput for one that the brand does not take.
    """
    spend(
        uow,
        f"uploads:{conversation_id}",
        limit=per_hour,
        per=timedelta(hours=1),
        now=now,
        sentence="That is a lot of files in one hour. Please tell us about the others in a message.",
    )
    return store_attachment(
        uow,
        conversation_id=conversation_id,
        filename=name,
        content=content,
        now=now,
        max_bytes=upload.max_bytes,
        kinds=upload.kinds,
    )
