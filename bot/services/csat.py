"""How customers rate what people did for them: asked when a matter is resolved, one tap, and words if they like."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from bot.errors import InvalidInput, NotFound
from bot.ids import new_id
from bot.services.rows import row, rows
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

LONGEST_WORDS = 2000
SCORES = (5, 4, 3, 2, 1)


@dataclass(frozen=True)
class RatingView:
    """One question of how it was, and the answer if there is one: `score` from 1, bad, to 5, good."""

    id: str
    brand: str
    conversation_id: str
    agent_id: str
    score: int | None
    words: str | None
    asked_at: datetime
    rated_at: datetime | None


def ask(uow: UnitOfWork, *, handoff_id: str, now: datetime) -> RatingView:
    """Ask how it was, once for each time a person resolved a matter. Raises NotFound."""
    known = row(uow, select(t.Rating).where(t.Rating.handoff_id == handoff_id))
    if known is not None:
        return _view(known)
    resolved = row(uow, select(t.Handoff).where(t.Handoff.id == handoff_id, t.Handoff.reason == "resolved"))
    if resolved is None:
        raise NotFound("Nothing was resolved there that could be rated.")
    rating = t.Rating(
        id=new_id("rat"),
        brand=row(uow, select(t.Conversation.brand).where(t.Conversation.id == resolved.conversation_id)),
        conversation_id=resolved.conversation_id,
        handoff_id=handoff_id,
        agent_id=resolved.actor,
        asked_at=now,
    )
    uow.add(rating)
    return _view(rating)


def rate(uow: UnitOfWork, *, rating_id: str, conversation_id: str, score: int, now: datetime) -> RatingView:
    """Put down a score; rated again, the later one counts. Raises NotFound, InvalidInput for what is not 1 to 5."""
    if score not in SCORES:
        raise InvalidInput("A rating is a number from 1 to 5.")
    rating = _of(uow, rating_id, conversation_id)
    rating.score, rating.rated_at = score, now
    uow.session.flush()
    return _view(rating)


def add_words(uow: UnitOfWork, *, rating_id: str, conversation_id: str, words: str) -> RatingView:
    """Put down what the customer says about their score. Raises NotFound."""
    rating = _of(uow, rating_id, conversation_id)
    rating.words = words[:LONGEST_WORDS]
    uow.session.flush()
    return _view(rating)


def ratings(uow: UnitOfWork, *, brand: str, since: datetime) -> list[RatingView]:
    """What was asked at a brand since a moment, answered or not, oldest first."""
    wanted = select(t.Rating).where(t.Rating.brand == brand, t.Rating.asked_at >= since)
    return [_view(each) for each in rows(uow, wanted.order_by(t.Rating.asked_at, t.Rating.id))]


def _of(uow: UnitOfWork, rating_id: str, conversation_id: str) -> Any:
    wanted = select(t.Rating).where(t.Rating.id == rating_id, t.Rating.conversation_id == conversation_id)
    rating = row(uow, wanted)
    if rating is None:
        raise NotFound("There is nothing to rate here.")
    return rating


def _view(rating: Any) -> RatingView:
    return RatingView(
        id=rating.id,
        brand=rating.brand,
        conversation_id=rating.conversation_id,
        agent_id=rating.agent_id,
        score=rating.score,
        words=rating.words,
        asked_at=rating.asked_at,
        rated_at=rating.rated_at,
    )
