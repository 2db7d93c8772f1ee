"""Messages that the model should learn from: found, given their intent by a person, handed on without personal data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import groupby
from typing import Any

from sqlalchemy import select, update

from bot.errors import Conflict, InvalidInput, NotFound
from bot.ids import new_id
from bot.services import audit
from bot.services.erasure import ERASED
from bot.services.masking import mask
from bot.services.rows import rows
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

LOOK_BACK = timedelta(days=60)
MOST = 50
_MOST_READ = 3000
_PERSON = "talk_to_human"
_TURNED_AWAY = frozenset({"stop", "start_over"})
_SMALL_TALK = frozenset({"greet", "goodbye", "thank", "affirm", "deny", "inform", _PERSON, *_TURNED_AWAY})
_LONGEST = 400  # characters: a longer one is a letter, and no example of one intent


class Reason(str, Enum):
    """Why a message is worth a look."""

    UNSURE = "unsure"  # the model could not tell, or asked back
    CORRECTED = "corrected"  # the customer said that it was not what they meant
    PERSON = "person"  # a person took over right after it


@dataclass(frozen=True)
class ReviewItem:
    """A message to look at. `text` is masked; `guesses` are intents by falling likelihood, the likeliest first."""

    message_id: str
    brand: str
    text: str
    reason: Reason
    understood: str | None
    confidence: float
    guesses: tuple[str, ...]
    at: datetime


@dataclass(frozen=True)
class Learnt:
    """A message with the intent that a person gave it; `text` is masked."""

    message_id: str
    brand: str
    text: str
    intent: str


def waiting(uow: UnitOfWork, *, brands: Collection[str], now: datetime) -> list[ReviewItem]:
    """Messages of these brands that nobody has looked at yet, the newest first, each wording once."""
    wanted = (
        select(t.Message, t.Conversation.brand, t.Conversation.customer_id, t.Review.id.label("review"))
        .join(t.Conversation, t.Conversation.id == t.Message.conversation_id)
        .outerjoin(t.Review, t.Review.message_id == t.Message.id)
        .where(
            t.Conversation.brand.in_(sorted(brands)),
            t.Message.author == "customer",
            t.Message.created_at > now - LOOK_BACK,
        )
        .order_by(t.Message.created_at.desc())
        .limit(_MOST_READ)
    )
    found = sorted(uow.session.execute(wanted).all(), key=lambda row: (row[0].conversation_id, row[0].seq))
    items: list[ReviewItem] = []
    for _, group in groupby(found, key=lambda row: row[0].conversation_id):
        said = list(group)
        for place, (message, brand, customer_id, review) in enumerate(said):
            following = said[place + 1][0] if place + 1 < len(said) else None
            reason = None if review else _reason(message, following)
            if reason is not None:
                names = _names(uow, customer_id)
                items.append(_item(message, brand, mask(message.text, names=names), reason, following))
    items.sort(key=lambda item: item.at, reverse=True)
    return list({" ".join(item.text.lower().split()): item for item in reversed(items)}.values())[::-1][:MOST]


def decide(
    uow: UnitOfWork,
    *,
    agent_id: str,
    brands: Collection[str],
    message_id: str,
    intent: str | None,
    known: Collection[str],
    now: datetime,
) -> None:
    """Say what a message meant; `intent` None: there is nothing to learn from it. Said again alike, nothing changes.

    Raises NotFound for a message of another brand, InvalidInput for an intent that is not `known`, Conflict if it was
    decided otherwise before.
    """
    message = uow.get(t.Message, message_id)
    conversation = uow.get(t.Conversation, message.conversation_id) if message is not None else None
    if message is None or conversation is None or message.author != "customer" or conversation.brand not in brands:
        raise NotFound("There is no such message to review.")
    if intent is not None and intent not in known:
        raise InvalidInput("The model does not know that intent, so nothing was changed. Choose one of the list.")
    before = uow.session.execute(select(t.Review).where(t.Review.message_id == message_id)).scalar_one_or_none()
    if before is not None:
        if before.intent == intent:
            return
        raise Conflict("Somebody has reviewed this message already, so it was left as they decided.")
    uow.add(
        t.Review(
            id=new_id("rev"),
            message_id=message_id,
            brand=conversation.brand,
            agent_id=agent_id,
            intent=intent,
            decided_at=now,
        )
    )
    action = "review.labelled" if intent else "review.skipped"
    audit.record(uow, actor=agent_id, action=action, subject=message_id, data={"intent": intent}, now=now)


def learnt(uow: UnitOfWork, *, again: bool = False) -> list[Learnt]:
    """What was given an intent and not exported yet (`again`: all of it), without personal data, oldest first.

    What has been erased since is left out.
    """
    wanted = (
        select(t.Review, t.Message.text, t.Conversation.customer_id)
        .join(t.Message, t.Message.id == t.Review.message_id)
        .join(t.Conversation, t.Conversation.id == t.Message.conversation_id)
        .where(t.Review.intent.is_not(None))
        .order_by(t.Review.decided_at, t.Review.id)
    )
    if not again:
        wanted = wanted.where(t.Review.exported_at.is_(None))
    return [
        Learnt(review.message_id, review.brand, mask(text, names=_names(uow, customer_id)), review.intent)
        for review, text, customer_id in uow.session.execute(wanted)
        if text and text != ERASED
    ]


def mark_exported(uow: UnitOfWork, message_ids: Sequence[str], *, now: datetime) -> None:
    """Remember what was exported, so that a line that was struck out of the change does not come back."""
    uow.session.execute(update(t.Review).where(t.Review.message_id.in_(message_ids)).values(exported_at=now))
    audit.record(uow, actor="system", action="review.exported", subject="nlu", data={"n": len(message_ids)}, now=now)


def _reason(message: Any, following: Any | None) -> Reason | None:
    told: Mapping[str, Any] = message.understanding or {}
    text = (message.text or "").strip()
    if message.button_id or not told or not text or text == ERASED or len(text) > _LONGEST:
        return None
    if told.get("answered") or told.get("language") or told.get("declined"):
        return None  # an answer to a question, or not in English: nothing about intents to learn from it
    if told.get("verdict") in ("ask_back", "unsure") or told.get("intent") == "nlu_fallback":
        return Reason.UNSURE
    if following is None or told.get("intent") in _SMALL_TALK:
        return None
    after: Mapping[str, Any] = following.understanding or {}
    if after.get("intent") == _PERSON or following.status == "relayed":
        return Reason.PERSON
    if after.get("declined") or (after.get("intent") in _TURNED_AWAY and not following.button_id):
        return Reason.CORRECTED
    return None


def _item(message: Any, brand: str, text: str, reason: Reason, following: Any | None) -> ReviewItem:
    told: Mapping[str, Any] = message.understanding
    chosen = (following.understanding or {}).get("intent") if following is not None and following.button_id else None
    likely = [chosen, *(told.get("choices") or ()), told.get("understood"), *(told.get("ranking") or ())]
    return ReviewItem(
        message_id=message.id,
        brand=brand,
        text=text,
        reason=reason,
        understood=told.get("understood"),
        confidence=float(told.get("confidence") or 0.0),
        guesses=tuple(dict.fromkeys(each for each in likely if each)),
        at=message.created_at,
    )


def _names(uow: UnitOfWork, customer_id: str | None) -> list[str]:
    """The names of a customer, of everybody in their accounts, and of these accounts."""
    if customer_id is None:
        return []
    accounts = rows(uow, select(t.Membership.account_id).where(t.Membership.customer_id == customer_id))
    people = (
        select(t.Customer)
        .join(t.Membership, t.Membership.customer_id == t.Customer.id)
        .where(t.Membership.account_id.in_(accounts))
    )
    everybody = [*rows(uow, people), uow.get(t.Customer, customer_id)]
    names = [person.name for person in everybody if person] + [
        person.email.split("@")[0] for person in everybody if person
    ]
    names += rows(uow, select(t.Account.name).where(t.Account.id.in_(accounts)))
    return [name for name in names if name]
