"""A conversation as text, and sent by e-mail to the customer whose it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from bot.policy.dates import format_date
from bot.policy.pack import Pack
from bot.services import audit
from bot.services.limits import spend
from bot.services.mail import enqueue_mail
from bot.services.rows import rows
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

PER_DAY = 3


def as_text(uow: UnitOfWork, *, pack: Pack, conversation_id: str) -> str:
    """What the customer and others said, a paragraph each, with the brand's clock; nothing that only people see."""
    said = rows(uow, select(t.Message).where(t.Message.conversation_id == conversation_id).order_by(t.Message.seq))
    paragraphs = []
    for message in said:
        local = message.created_at.astimezone(pack.brand.zone)
        who = "You" if message.author == "customer" else message.name or pack.brand.name
        day = format_date(message.created_at, pack.brand.zone)
        files = [f"[{attachment['name']}]" for attachment in message.attachments]
        paragraphs.append("\n".join([f"{who}, {day}, {local:%H:%M}:", *filter(None, [message.text]), *files]))
    return "\n\n".join(paragraphs)


def send(uow: UnitOfWork, *, pack: Pack, customer: CustomerRef, conversation_id: str, key: str, now: datetime) -> None:
    """Mail the conversation so far to the customer's own address, once for each key.

    Raises TooMany after three of a conversation in a day.
    """
    spend(
        uow,
        f"transcripts:{conversation_id}",
        limit=PER_DAY,
        per=timedelta(days=1),
        now=now,
        sentence="This chat was sent several times today. Please try again tomorrow.",
    )
    enqueue_mail(
        uow,
        brand=pack.brand,
        to=customer.email,
        subject=f"Your chat with {pack.brand.name}",
        plain=as_text(uow, pack=pack, conversation_id=conversation_id),
        idempotency_key=key,
        now=now,
    )
    audit.record(uow, actor="bot", action="transcript.sent", subject=conversation_id, now=now)
