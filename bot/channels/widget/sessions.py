"""A browser's right to one conversation: an opaque token, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from bot.conversation import history
from bot.conversation.messages import Reply
from bot.errors import NotAuthenticated, UnknownCustomer
from bot.ids import new_id
from bot.services.identity import IdentityService, VerifiedCustomer
from bot.services.limits import spend
from bot.store.tables import Conversation, WidgetSession
from bot.store.unit_of_work import UnitOfWork

CHANNEL = "widget"
LIFETIME = timedelta(days=30)
NEW_SESSIONS_PER_MINUTE = 60  # of one address: an office behind one router, not a script


@dataclass(frozen=True)
class OpenedSession:
    """A token that was just given out, or is good for longer now; it cannot be read again."""

    token: str
    conversation_id: str


def open_session(
    uow: UnitOfWork,
    identity: IdentityService,
    *,
    brand: str,
    brand_name: str,
    jwt: str | None,
    token: str | None,
    address: str,
    greeting: Sequence[Reply],
    unknown: Reply,
    now: datetime,
) -> OpenedSession:
    """Go on with the conversation of `token`, or with the customer's own, or start a new one.

    A JWT binds the conversation to its customer; one that belongs to another customer is never shown, a new one starts
    instead. Somebody whose address no account has chats anonymously, and is told so with `unknown`. Raises what
    `verify_token` raises, TooMany for too many new ones from one network address.
    """
    customer, anonymous = _signed_in(uow, identity, brand, jwt, now=now) if jwt else (None, False)
    current = _current(uow, token, brand, customer, anonymous=anonymous, now=now) if token else None
    conversation_id = current
    if conversation_id is None and customer is not None:
        conversation_id = _of_customer(uow, customer)
    if conversation_id is None:
        spend(
            uow,
            f"sessions:{hashlib.sha256(address.encode()).hexdigest()[:32]}",
            limit=NEW_SESSIONS_PER_MINUTE,
            per=timedelta(minutes=1),
            now=now,
            sentence="Too many new chats from your network at once. Please try again in a minute.",
        )
        conversation_id = history.open_conversation(
            uow,
            brand=brand,
            channel=CHANNEL,
            external_id=new_id("web"),
            greeting=[*greeting, *([unknown] if anonymous else [])],
            name=brand_name,
            now=now,
        ).id
    if customer is not None:
        identity.bind(uow, conversation_id, customer, now=now)
    if token and current:
        uow.get(WidgetSession, _hash(token)).expires_at = now + LIFETIME
        return OpenedSession(token=token, conversation_id=current)
    given = secrets.token_urlsafe(32)
    uow.add(
        WidgetSession(
            token_hash=_hash(given), conversation_id=conversation_id, created_at=now, expires_at=now + LIFETIME
        )
    )
    return OpenedSession(token=given, conversation_id=conversation_id)


def conversation_of(uow: UnitOfWork, token: str, *, now: datetime) -> str:
    """The conversation that a token opens. Raises NotAuthenticated."""
    row = uow.get(WidgetSession, _hash(token))
    if row is None or now >= row.expires_at:
        raise NotAuthenticated("This chat session has ended. Please start a new one.")
    return str(row.conversation_id)


def _signed_in(
    uow: UnitOfWork, identity: IdentityService, brand: str, jwt: str, *, now: datetime
) -> tuple[VerifiedCustomer | None, bool]:
    """Whom a JWT names; None and True for somebody who is signed in there and unknown here."""
    try:
        return identity.verify_token(uow, brand, jwt, now=now), False
    except UnknownCustomer:
        return None, True


def _current(
    uow: UnitOfWork, token: str, brand: str, customer: VerifiedCustomer | None, *, anonymous: bool, now: datetime
) -> str | None:
    try:
        conversation_id = conversation_of(uow, token, now=now)
    except NotAuthenticated:
        return None
    conversation = history.conversation(uow, conversation_id)
    owner = conversation.customer_id
    theirs = owner is None or (not anonymous and (customer is None or owner == customer.customer_id))
    return conversation_id if conversation.brand == brand and theirs else None


def _of_customer(uow: UnitOfWork, customer: VerifiedCustomer) -> str | None:
    found = uow.session.execute(
        select(Conversation.id)
        .where(
            Conversation.brand == customer.brand,
            Conversation.channel == CHANNEL,
            Conversation.customer_id == customer.customer_id,
        )
        .order_by(Conversation.updated_at.desc())
        .limit(1)
    ).scalar_one_or_none()
    return str(found) if found else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
