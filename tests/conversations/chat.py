"""A customer in a test: talks to the real gateway and the real trained model, and reads what comes back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.app import App, greeting
from bot.conversation import history
from bot.conversation.messages import Exchange, InboundMessage, MessageView
from bot.policy.dates import format_date
from bot.services.attachments import store_attachment
from bot.services.mail import caught_mails
from bot.store.tables import Decision

_names: Iterator[int] = itertools.count(1)


@dataclass
class Chat:
    """One conversation on the widget's channel. `as_email` signs in through the host site's token."""

    app: App
    brand: str = "joltsms"
    as_email: str | None = None
    conversation_id: str = ""
    replies: tuple[MessageView, ...] = ()
    transcript: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        pack = self.app.packs[self.brand]
        now = self.app.clock.now()
        with self.app.store.write() as uow:
            self.conversation_id = history.open_conversation(
                uow,
                brand=self.brand,
                channel="widget",
                external_id=f"test-{next(_names)}",
                greeting=[greeting(pack)],
                name=pack.brand.name,
                now=now,
            ).id
            if self.as_email:
                token = self.app.identity.issue_demo_token(self.brand, self.as_email, now=now)
                customer = self.app.identity.verify_token(uow, self.brand, token, now=now)
                self.app.identity.bind(uow, self.conversation_id, customer, now=now)
            uow.commit()

    async def say(self, text: str, *, files: tuple[str, ...] = ()) -> str:
        """Type something; returns all replies as one text."""
        return self._read(text, await self.send(text=text, files=files))

    async def press(self, title: str) -> str:
        """Press the latest button whose title starts like that."""
        return self._read(f"[{title}]", await self.send(button=self.button(title)))

    async def send(
        self, *, text: str = "", button: str | None = None, files: tuple[str, ...] = (), external_id: str | None = None
    ) -> Exchange:
        """Hand one message to the gateway."""
        return await self.app.gateway.receive(
            InboundMessage(
                conversation_id=self.conversation_id,
                channel="widget",
                external_id=external_id or f"{self.conversation_id}:{next(_names)}",
                text=text,
                button_id=button,
                attachment_ids=files,
            )
        )

    def button(self, title: str) -> str:
        """The id of the latest button whose title starts like that."""
        with self.app.store.read() as uow:
            messages = history.messages_after(uow, self.conversation_id, 0, limit=1000)
        for message in reversed(messages):
            for button in message.buttons:
                if button.title.lower().startswith(title.lower()):
                    return button.id
        raise AssertionError(f"no button “{title}”; the conversation so far:\n" + "\n".join(self.transcript))

    def titles(self) -> list[str]:
        """Titles of the buttons of the latest replies."""
        return [button.title for reply in self.replies for button in reply.buttons]

    def upload(self, name: str, content: bytes) -> str:
        """Upload a file; returns its id."""
        with self.app.store.write() as uow:
            kept = store_attachment(
                uow, conversation_id=self.conversation_id, filename=name, content=content, now=self.app.clock.now()
            )
            uow.commit()
        return kept.id

    def code_from_mail(self, email: str) -> str:
        """The six digits of the newest mail to that address."""
        self.app.dispatcher.run_due()
        with self.app.store.read() as uow:
            mail = caught_mails(uow, recipient=email)[0]
        return next(word for word in mail.plain.replace(".", " ").split() if word.isdecimal() and len(word) == 6)

    # --- what is on record ---------------------------------------------------------------------------------------

    def rows(self, table: type[Any], **by: Any) -> list[Any]:
        """Rows of a table, in the order they were made."""
        with self.app.store.read() as uow:
            return list(uow.session.query(table).filter_by(**by).order_by(table.id).all())

    def decided(self) -> list[str]:
        """What was decided in this conversation, as `rule:outcome`, in order."""
        return [f"{row.rule_id}:{row.outcome}" for row in self.rows(Decision, conversation_id=self.conversation_id)]

    def day(self, moment: datetime) -> str:
        """A day as the brand's customers read it, in the brand's time zone."""
        return format_date(moment, self.app.packs[self.brand].brand.zone)

    def mails(self, email: str) -> list[str]:
        """Subjects of all mails to that address, the newest first, once the outbox has been emptied."""
        self.app.dispatcher.run_due()
        with self.app.store.read() as uow:
            return [mail.subject for mail in caught_mails(uow, recipient=email)]

    def attachments(self) -> list[str]:
        """Names of the files that came with the latest replies."""
        return [attachment.name for reply in self.replies for attachment in reply.attachments]

    def _read(self, said: str, exchange: Exchange) -> str:
        self.replies = exchange.replies
        text = "\n".join(reply.text for reply in exchange.replies)
        self.transcript += [f"> {said}", text, f"  {self.titles()}"]
        return text
