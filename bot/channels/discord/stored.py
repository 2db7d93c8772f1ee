"""What the adapter looks up in the store: who talked to which brand, and what of theirs we have already."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select

from bot.channels.discord.config import CHANNEL
from bot.errors import NotFound
from bot.store.tables import Conversation, Delivery, Message
from bot.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Known:
    """Somebody who wrote lately: the channel and id of the last direct message that we have, 0 for none."""

    user: int
    channel: int
    message: int


def latest_brand(uow: UnitOfWork, user: int, served: Collection[str]) -> str | None:
    """The brand that a user talked to last, of those that are served."""
    found = uow.session.execute(
        select(Conversation.brand)
        .where(Conversation.channel == CHANNEL, Conversation.channel_user == str(user))
        .order_by(Conversation.updated_at.desc(), Conversation.id.desc())
    ).scalars()
    return next((brand for brand in found if brand in served), None)


def is_taken_in(uow: UnitOfWork, external_id: str) -> bool:
    """Whether we have a message already."""
    found = select(Message.id).where(Message.channel == CHANNEL, Message.external_id == external_id)
    return uow.session.execute(found).first() is not None


def customer_of(uow: UnitOfWork, conversation_id: str) -> str:
    """Whose conversation it is. Raises NotFound where nobody has proved it."""
    row = uow.get(Conversation, conversation_id)
    if row is None or row.customer_id is None:
        raise NotFound("There is no such receipt here.")
    return str(row.customer_id)


def last_delivered(uow: UnitOfWork, conversation_id: str) -> int:
    """Discord's id of the last message of ours that we know to have arrived, 0 for none; ids grow with time."""
    found = uow.session.execute(
        select(Delivery.external_id)
        .join(Message, Message.id == Delivery.message_id)
        .where(Message.conversation_id == conversation_id, Delivery.external_id.isnot(None))
    ).scalars()
    return max((int(number) for number in found if number.isdecimal()), default=0)


def with_buttons_open(uow: UnitOfWork, *, since: datetime, before: datetime) -> list[tuple[str, str, int]]:
    """Conversations whose last word, said in that time, is the bot's and has buttons: id, brand, its number.

    What was being sent when a process died may have arrived, and counts.
    """
    found = uow.session.execute(
        select(Conversation.id, Conversation.brand, Message.seq, Message.buttons)
        .join(Message, (Message.conversation_id == Conversation.id) & (Message.seq == Conversation.last_seq))
        .join(Delivery, Delivery.message_id == Message.id)
        .where(Conversation.channel == CHANNEL, Conversation.owner == "bot", Message.author == "bot")
        .where(or_(Delivery.status == "delivered", and_(Delivery.status == "pending", Delivery.attempts > 0)))
        .where(Message.created_at >= since, Message.created_at < before)
        .order_by(Conversation.id)
    ).all()
    return [(row.id, row.brand, row.seq) for row in found if row.buttons]


def recently_here(uow: UnitOfWork, *, since: datetime, most: int) -> list[Known]:
    """Who talked to us since then, the latest first."""
    talked = (
        select(Conversation.channel_user, func.max(Conversation.updated_at).label("at"))
        .where(Conversation.channel == CHANNEL, Conversation.channel_user.isnot(None), Conversation.updated_at >= since)
        .group_by(Conversation.channel_user)
        .order_by(func.max(Conversation.updated_at).desc())
        .limit(most)
    )
    found = []
    for user, _ in uow.session.execute(talked).all():
        last = uow.session.execute(
            select(Message.external_id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(
                Conversation.channel == CHANNEL,
                Conversation.channel_user == user,
                Message.external_id.startswith("m:"),
            )
            .order_by(Message.external_id.desc())  # one channel, so that the largest is the latest
            .limit(1)
        ).scalar()
        channel, _, message = (last or "m:0/0").removeprefix("m:").partition("/")
        found.append(Known(int(user), int(channel), int(message)))
    return found
