"""Internal notes on a conversation: for colleagues only, each written once, and gone when its customer is erased."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from bot.errors import InvalidInput, NotFound, TooLarge
from bot.ids import new_id
from bot.services import audit
from bot.services.rows import row
from bot.store.tables import Agent, Conversation, Note
from bot.store.unit_of_work import UnitOfWork

LONGEST_NOTE = 5_000  # characters


@dataclass(frozen=True)
class NoteView:
    """A note as colleagues see it; `after_seq` is the message that it follows."""

    id: str
    agent: str
    body: str
    after_seq: int
    at: datetime


def add(uow: UnitOfWork, *, conversation_id: str, agent_id: str, body: str, key: str, now: datetime) -> NoteView:
    """Write a note, once for each key. Raises NotFound, InvalidInput for an empty and TooLarge for an overlong one."""
    text = body.replace("\r\n", "\n").replace("\0", "").strip()
    if not text:
        raise InvalidInput("The note is empty. Write what your colleagues should know.")
    if len(text) > LONGEST_NOTE:
        raise TooLarge(f"The note has {len(text):,} characters, and at most {LONGEST_NOTE:,} are kept.")
    known = row(uow, select(Note).where(Note.idempotency_key == key))
    if known is None:
        conversation = uow.get(Conversation, conversation_id)
        if conversation is None:
            raise NotFound("This conversation does not exist.")
        known = Note(
            id=new_id("nte"),
            conversation_id=conversation_id,
            agent_id=agent_id,
            after_seq=conversation.last_seq,
            body=text,
            created_at=now,
            idempotency_key=key,
        )
        uow.add(known)
        audit.record(uow, actor=agent_id, action="conversation.noted", subject=conversation_id, now=now)
    return _view(known, uow.get(Agent, known.agent_id).name)


def of_conversation(uow: UnitOfWork, conversation_id: str) -> list[NoteView]:
    """The notes of a conversation in the order in which they were written."""
    found = uow.session.execute(
        select(Note, Agent.name)
        .join(Agent, Agent.id == Note.agent_id)
        .where(Note.conversation_id == conversation_id)
        .order_by(Note.created_at, Note.id)
    )
    return [_view(note, name) for note, name in found]


def _view(note: Note, agent: str) -> NoteView:
    return NoteView(note.id, agent, note.body, note.after_seq, note.created_at)
