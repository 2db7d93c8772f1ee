"""A brand and a conversation, for tests of what needs one."""

from __future__ import annotations

from bot.ids import new_id
from bot.policy.pack import Brand, Contacts, Theme, Upload
from bot.store.tables import Conversation, Customer, Message
from bot.store.unit_of_work import UnitOfWork
from tests.fakes.clock import START

JOLT = Brand(
    id="joltsms",
    name="JoltSMS",
    contacts=Contacts(help_center="help.joltsms.example", email="support@joltsms.example"),
    links={},
    time_zone="America/New_York",
    currency="USD",
    theme=Theme("Help", "", "#5b34d6", "#ffffff", "#b9a5ff", "#1b1038"),
    upload=Upload(1_000_000, ("image/png",), 3),
)


def a_conversation(
    uow: UnitOfWork, *, channel: str = "widget", customer_id: str | None = None, channel_user: str | None = None
) -> str:
    """A new JoltSMS conversation; returns its id."""
    conversation_id = new_id("cnv")
    uow.add(
        Conversation(
            id=conversation_id,
            brand="joltsms",
            channel=channel,
            external_id=conversation_id,
            channel_user=channel_user,
            customer_id=customer_id,
            created_at=START,
            updated_at=START,
        )
    )
    return conversation_id


def said(uow: UnitOfWork, conversation_id: str, seq: int, author: str, text: str) -> None:
    """A message of a conversation."""
    uow.add(
        Message(
            id=new_id("msg"),
            conversation_id=conversation_id,
            seq=seq,
            author=author,
            text=text,
            buttons=[],
            attachments=[],
            channel="widget",
            status="final",
            created_at=START,
        )
    )


def customer_id_of(uow: UnitOfWork, email: str) -> str:
    """The id of a demo customer."""
    return str(uow.session.query(Customer.id).filter_by(email=email).scalar())
