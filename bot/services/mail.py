"""Mail: put into the outbox with the change it tells of, sent by SMTP, or caught by the demo mailbox."""

from __future__ import annotations

import base64
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from enum import Enum
from typing import Any

from sqlalchemy import select

from bot.errors import NotFound
from bot.ids import new_id
from bot.policy.pack import Brand
from bot.services.outbox import Handler, OutboxItem, OutboxKind, enqueue
from bot.services.ports import Clock, Email, EmailAttachment, Mailer, Undeliverable
from bot.store.tables import DemoMail
from bot.store.unit_of_work import Store, UnitOfWork


def enqueue_mail(
    uow: UnitOfWork,
    *,
    brand: Brand,
    to: str,
    subject: str,
    plain: str,
    html: str | None = None,
    attachments: Sequence[EmailAttachment] = (),
    idempotency_key: str,
    now: datetime,
    in_reply_to: str | None = None,
    references: Sequence[str] = (),
    by_a_person: bool = False,
) -> str:
    """Have a mail of this brand sent once the unit of work is committed; returns the outbox id.

    A Message-ID of our own among `references` is given as its outbox id.
    """
    payload = {
        "subject": " ".join(subject.split()),
        "plain": plain,
        "html": html,
        "sender_name": brand.name,
        "reply_to": brand.contacts.email,
        "in_reply_to": in_reply_to,
        "references": list(references),
        "by_a_person": by_a_person,
        "attachments": [
            {
                "name": attachment.name,
                "media_type": attachment.media_type,
                "content": base64.b64encode(attachment.content).decode(),
            }
            for attachment in attachments
        ],
    }
    return enqueue(uow, kind=OutboxKind.EMAIL, recipient=to, payload=payload, idempotency_key=idempotency_key, now=now)


def mail_handler(mailer: Mailer, *, domain: str) -> Handler:
    """The outbox handler for mail; `domain` is the right side of the Message-IDs."""

    def send(item: OutboxItem) -> None:
        mailer.send(_email(item, domain))

    return send


def _email(item: OutboxItem, domain: str) -> Email:
    payload: Mapping[str, Any] = item.payload

    def whole(message_id: str) -> str:
        return message_id if message_id.startswith("<") else f"<{message_id}@{domain}>"

    answered = payload.get("in_reply_to")
    return Email(
        to=item.recipient,
        subject=payload["subject"],
        plain=payload["plain"],
        html=payload["html"],
        sender_name=payload["sender_name"],
        reply_to=payload["reply_to"],
        message_id=whole(item.id),
        in_reply_to=whole(answered) if answered else None,
        references=tuple(whole(each) for each in payload.get("references") or ()),
        by_a_person=bool(payload.get("by_a_person")),
        attachments=tuple(
            EmailAttachment(each["name"], each["media_type"], base64.b64decode(each["content"]))
            for each in payload["attachments"]
        ),
    )


# --- by SMTP ---------------------------------------------------------------------------------------------------------


class SmtpSecurity(str, Enum):
    """How the connection to the mail server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, kw_only=True)
class SmtpSettings:
    """Where mail is handed over, and the address it comes from; `timeout` is in seconds."""

    host: str
    port: int
    sender: str
    security: SmtpSecurity = SmtpSecurity.STARTTLS
    user: str | None = None
    password: str | None = None
    timeout: float = 20


class SmtpMailer:
    """Hands mail to a mail server, a connection a mail. Blocks; the outbox runs it in a thread of its own."""

    def __init__(self, settings: SmtpSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def send(self, email: Email) -> None:
        """Send one mail. Raises Undeliverable when the server refuses it for good (5xx)."""
        message = self._message(email)
        try:
            with self._connect() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as refused:
            code, said = next(iter(refused.recipients.values()))
            if code >= 500:
                raise Undeliverable(f"{code} {said.decode(errors='replace')}") from refused
            raise
        except smtplib.SMTPDataError as refused:
            if refused.smtp_code >= 500:
                raise Undeliverable(str(refused)) from refused
            raise

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security is SmtpSecurity.TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=settings.timeout, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout)
        try:
            if settings.security is SmtpSecurity.STARTTLS:
                server.starttls(context=ssl.create_default_context())
            if settings.user is not None:
                server.login(settings.user, settings.password or "")
        except BaseException:
            server.close()
            raise
        return server

    def _message(self, email: Email) -> EmailMessage:
        message = EmailMessage()
        message["From"] = formataddr((email.sender_name, self._settings.sender))
        message["Reply-To"] = email.reply_to
        message["To"] = email.to
        message["Subject"] = email.subject
        message["Message-ID"] = email.message_id
        message["Date"] = format_datetime(self._clock.now())
        if email.in_reply_to:
            message["In-Reply-To"] = email.in_reply_to
        if email.references:
            message["References"] = " ".join(email.references)
        if not email.by_a_person:
            message["Auto-Submitted"] = "auto-generated"
        message.set_content(email.plain)
        if email.html is not None:
            message.add_alternative(email.html, subtype="html")
        for attachment in email.attachments:
            main, _, sub = attachment.media_type.partition("/")
            message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.name)
        return message


# --- the demo mailbox ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CaughtMail:
    """A mail in the demo mailbox."""

    id: str
    sender: str
    recipient: str
    subject: str
    plain: str
    html: str | None
    sent_at: datetime


class DemoMailer:
    """Keeps mail in the demo mailbox instead of sending it; a mail handed over twice is kept once."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def send(self, email: Email) -> None:
        """Keep the mail, without its attachments."""
        with self._store.write() as uow:
            known = select(DemoMail.id).where(DemoMail.message_id == email.message_id)
            if uow.session.execute(known).first() is not None:
                return
            uow.add(
                DemoMail(
                    id=new_id("mail"),
                    message_id=email.message_id,
                    sender=formataddr((email.sender_name, email.reply_to)),
                    recipient=email.to,
                    subject=email.subject[:300],
                    plain=email.plain,
                    html=email.html,
                    sent_at=self._clock.now(),
                )
            )
            uow.commit()


def caught_mails(uow: UnitOfWork, *, recipient: str | None = None, limit: int = 100) -> list[CaughtMail]:
    """The demo mailbox, latest first, of everybody or of one address."""
    query = select(DemoMail).order_by(DemoMail.sent_at.desc(), DemoMail.id.desc()).limit(limit)
    if recipient is not None:
        query = query.where(DemoMail.recipient == recipient.strip().lower())
    return [_caught(row) for row in uow.session.execute(query).scalars()]


def caught_mail(uow: UnitOfWork, mail_id: str) -> CaughtMail:
    """One mail of the demo mailbox. Raises NotFound."""
    row = uow.get(DemoMail, mail_id)
    if row is None:
        raise NotFound("There is no such mail in the demo mailbox.")
    return _caught(row)


def _caught(row: DemoMail) -> CaughtMail:
    return CaughtMail(row.id, row.sender, row.recipient, row.subject, row.plain, row.html, row.sent_at)
