"""Cases with a number: opened once for what caused them, with the conversation's transcript as their first event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import or_, select

from bot.errors import Conflict, InvalidInput, NotFound
from bot.ids import new_id
from bot.services import audit
from bot.store.tables import Agent, Conversation, Customer, Message, Ticket, TicketEvent, TicketMerge
from bot.store.unit_of_work import UnitOfWork

_LONGEST_TRANSCRIPT = 200  # messages
_LONGEST_SUBJECT = 200
_REFERENCE = re.compile(r"(?:TCK)?[\s#-]*0*(\d{1,9})", re.IGNORECASE)


class TicketStatus(str, Enum):
    """Where a case stands: worked on, waiting for the customer, answered, put away."""

    OPEN = "open"
    PENDING = "pending"
    RESOLVED = "resolved"
    CLOSED = "closed"

    def __str__(self) -> str:
        """The plain word, for sentences."""
        return self.value


class Priority(str, Enum):
    """How urgent a case is."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


@dataclass(frozen=True)
class TicketEventView:
    """One thing that happened to a case; `actor` is `customer`, `bot`, `system` or an agent's id."""

    kind: str
    actor: str
    body: str
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True)
class TicketView:
    """A case as it stands, with its events in order."""

    id: str
    reference: str
    brand: str
    kind: str
    customer_id: str | None
    conversation_id: str | None
    subject: str
    summary: str
    status: TicketStatus
    priority: Priority
    created_at: datetime
    updated_at: datetime
    events: tuple[TicketEventView, ...]


def open_ticket(
    uow: UnitOfWork,
    *,
    brand: str,
    kind: str,
    subject: str,
    summary: str,
    customer_id: str | None,
    contact_email: str | None,
    conversation_id: str | None,
    idempotency_key: str,
    now: datetime,
    priority: Priority = Priority.NORMAL,
    details: Mapping[str, Any] | None = None,
) -> TicketView:
    """Open a case, once for each key. What was said in the conversation so far is copied into its first event.

    `details` is JSON for whoever works on it. Raises Conflict if the key was used for another customer's case.
    """
    known = uow.session.execute(select(Ticket).where(Ticket.idempotency_key == idempotency_key)).scalar()
    if known is not None:
        if known.customer_id != customer_id or known.conversation_id != conversation_id:
            raise Conflict("That key was already used for another ticket.")
        return _view(uow, known)
    row = Ticket(
        id=new_id("tck"),
        reference=f"TCK-{uow.next_number('TCK'):06d}",
        brand=brand,
        kind=kind,
        customer_id=customer_id,
        contact_email=contact_email,
        conversation_id=conversation_id,
        subject=_short(subject),
        summary=summary,
        status=TicketStatus.OPEN.value,
        priority=Priority(priority).value,
        created_at=now,
        updated_at=now,
        idempotency_key=idempotency_key,
    )
    uow.add(row)
    transcript = _transcript(uow, conversation_id) if conversation_id else []
    uow.add(
        TicketEvent(
            id=new_id("tev"),
            ticket_id=row.id,
            kind="opened",
            actor="bot",
            body=summary,
            data={"details": dict(details or {}), "transcript": transcript},
            at=now,
            idempotency_key=f"{idempotency_key}:opened",
        )
    )
    audit.record(uow, actor="bot", action="ticket.opened", subject=row.reference, data={"kind": kind}, now=now)
    return _view(uow, row)


def ticket_view(
    uow: UnitOfWork, reference: str, *, customer_id: str | None, conversation_id: str | None = None
) -> TicketView:
    """A case of this customer, or, opened before anybody proved who they are, of this conversation.

    The reference may be typed loosely (`tck 123`). Raises NotFound for an unknown case and for somebody else's alike.
    """
    found = _REFERENCE.fullmatch(reference.strip())
    number = f"TCK-{int(found.group(1)):06d}" if found else reference
    row = uow.session.execute(select(Ticket).where(Ticket.reference == number)).scalar()
    if row is None or not _may_see(row, customer_id, conversation_id):
        raise NotFound(f"I cannot find a ticket {number} of yours. A ticket number looks like TCK-000123.")
    return _view(uow, row)


def tickets_of(uow: UnitOfWork, *, customer_id: str | None, conversation_id: str | None = None) -> list[TicketView]:
    """The cases that `ticket_view` would show, latest first."""
    rows = uow.session.execute(
        select(Ticket)
        .where(or_(Ticket.customer_id == customer_id, Ticket.conversation_id == conversation_id))
        .order_by(Ticket.created_at.desc(), Ticket.reference.desc())
    ).scalars()
    return [_view(uow, row) for row in rows if _may_see(row, customer_id, conversation_id)]


def add_event(
    uow: UnitOfWork,
    ticket_id: str,
    *,
    kind: str,
    actor: str,
    idempotency_key: str,
    now: datetime,
    body: str = "",
    data: Mapping[str, Any] | None = None,
) -> TicketView:
    """Add something that happened, once for each key. `ticket_id` is the opaque id. Raises NotFound."""
    row = locked(uow, ticket_id)
    if not _happened(uow, idempotency_key):
        append(uow, row, kind=kind, actor=actor, body=body, data=data or {}, key=idempotency_key, now=now)
    return _view(uow, row)


def set_status(
    uow: UnitOfWork,
    ticket_id: str,
    status: TicketStatus,
    *,
    actor: str,
    idempotency_key: str,
    now: datetime,
    note: str = "",
) -> TicketView:
    """Move a case to a status, once for each key; the one it has already changes nothing. Raises NotFound."""
    row = locked(uow, ticket_id)
    if not _happened(uow, idempotency_key) and row.status != status.value:
        change = {"from": row.status, "to": status.value}
        row.status = status.value
        append(uow, row, kind="status", actor=actor, body=note, data=change, key=idempotency_key, now=now)
        audit.record(uow, actor=actor, action="ticket.status", subject=row.reference, data=change, now=now)
    return _view(uow, row)


def set_priority(
    uow: UnitOfWork, ticket_id: str, priority: Priority, *, actor: str, idempotency_key: str, now: datetime
) -> TicketView:
    """Change how urgent a case is, once for each key; what it is already changes nothing. Raises NotFound."""
    row = locked(uow, ticket_id)
    if not _happened(uow, idempotency_key) and row.priority != priority.value:
        change = {"from": row.priority, "to": priority.value}
        row.priority = priority.value
        append(uow, row, kind="priority", actor=actor, body="", data=change, key=idempotency_key, now=now)
        audit.record(uow, actor=actor, action="ticket.priority", subject=row.reference, data=change, now=now)
    return _view(uow, row)


def assign(
    uow: UnitOfWork, ticket_id: str, assignee_id: str | None, *, actor: str, idempotency_key: str, now: datetime
) -> TicketView:
    """Give a case to somebody who works for its brand, or to nobody, once for each key.

    Raises NotFound, InvalidInput for somebody who cannot have it.
    """
    row = locked(uow, ticket_id)
    if assignee_id is not None:
        agent = uow.get(Agent, assignee_id)
        if agent is None or not agent.active or row.brand not in agent.brands:
            raise InvalidInput("That person does not work for this brand.")
    if not _happened(uow, idempotency_key) and row.assignee_id != assignee_id:
        change = {"from": row.assignee_id, "to": assignee_id}
        row.assignee_id = assignee_id
        append(uow, row, kind="assigned", actor=actor, body="", data=change, key=idempotency_key, now=now)
        audit.record(uow, actor=actor, action="ticket.assigned", subject=row.reference, data=change, now=now)
    return _view(uow, row)


def merge(uow: UnitOfWork, ticket_id: str, into_id: str, *, agent_id: str, idempotency_key: str, now: datetime) -> None:
    """Let a case go on in another one of the same brand and the same person: it is closed, and its mail goes there.

    Raises NotFound, InvalidInput for itself, Conflict for two people's cases, or when one was merged already.
    """
    if ticket_id == into_id:
        raise InvalidInput("A case cannot be merged into itself.")
    first, second = (locked(uow, each) for each in sorted((ticket_id, into_id)))
    row, into = (first, second) if first.id == ticket_id else (second, first)
    if _happened(uow, idempotency_key):
        return
    if row.brand != into.brand or not _same_person(uow, row, into):
        raise Conflict("These cases are not of the same person, so merging would show one what the other wrote.")
    if merged_into(uow, row.id) or merged_into(uow, into.id):
        raise Conflict("One of these cases was merged before, so nothing was changed.")
    for earlier in uow.session.execute(select(TicketMerge).where(TicketMerge.into_id == row.id)).scalars():
        earlier.into_id = into.id
    uow.add(TicketMerge(ticket_id=row.id, into_id=into.id, agent_id=agent_id, at=now))
    row.status = TicketStatus.CLOSED.value
    there, here = {"into": into.reference}, {"from": row.reference}
    append(uow, row, kind="merged", actor=agent_id, body="", data=there, key=idempotency_key, now=now)
    append(uow, into, kind="merged", actor=agent_id, body="", data=here, key=f"{idempotency_key}:into", now=now)
    audit.record(uow, actor=agent_id, action="ticket.merged", subject=row.reference, data=there, now=now)


def merged_into(uow: UnitOfWork, ticket_id: str) -> str | None:
    """The id of the case that a case goes on in."""
    found = uow.session.execute(select(TicketMerge.into_id).where(TicketMerge.ticket_id == ticket_id)).scalar()
    return None if found is None else str(found)


def link(
    uow: UnitOfWork, ticket_id: str, conversation_id: str, *, actor: str, idempotency_key: str, now: datetime
) -> None:
    """Tie a case to a conversation of its brand and person, once for each key.

    Raises NotFound, Conflict for somebody else's conversation.
    """
    row = locked(uow, ticket_id)
    conversation = uow.get(Conversation, conversation_id)
    if conversation is None or conversation.brand != row.brand:
        raise NotFound("There is no such conversation of this brand.")
    if row.customer_id and conversation.customer_id not in (None, row.customer_id):
        raise Conflict("That conversation is another customer's, so nothing was changed.")
    if not _happened(uow, idempotency_key) and row.conversation_id != conversation_id:
        change = {"from": row.conversation_id, "to": conversation_id}
        row.conversation_id = conversation_id
        append(uow, row, kind="linked", actor=actor, body="", data=change, key=idempotency_key, now=now)
        audit.record(uow, actor=actor, action="ticket.linked", subject=row.reference, data=change, now=now)


def _same_person(uow: UnitOfWork, one: Ticket, other: Ticket) -> bool:
    def addresses(row: Ticket) -> set[str]:
        customer = uow.get(Customer, row.customer_id) if row.customer_id else None
        return {each for each in (row.contact_email, customer.email if customer else None) if each}

    if one.customer_id and other.customer_id:
        return bool(one.customer_id == other.customer_id)
    return bool(addresses(one) & addresses(other))


def append(
    uow: UnitOfWork, row: Ticket, *, kind: str, actor: str, body: str, data: Mapping[str, Any], key: str, now: datetime
) -> None:
    """Write down something that happened to a case that is held."""
    row.updated_at = now
    uow.add(
        TicketEvent(
            id=new_id("tev"),
            ticket_id=row.id,
            kind=kind,
            actor=actor,
            body=body,
            data=dict(data),
            at=now,
            idempotency_key=key,
        )
    )


def locked(uow: UnitOfWork, ticket_id: str) -> Ticket:
    """The row of a case, held until the unit of work ends. Raises NotFound."""
    row: Ticket | None = uow.session.get(Ticket, ticket_id, with_for_update=True)
    if row is None:
        raise NotFound("There is no such ticket.")
    return row


def _happened(uow: UnitOfWork, key: str) -> bool:
    found = uow.session.execute(select(TicketEvent.id).where(TicketEvent.idempotency_key == key)).first()
    return found is not None


def _may_see(row: Ticket, customer_id: str | None, conversation_id: str | None) -> bool:
    if row.customer_id is not None:
        return bool(row.customer_id == customer_id)
    return conversation_id is not None and row.conversation_id == conversation_id


def _transcript(uow: UnitOfWork, conversation_id: str) -> list[dict[str, Any]]:
    latest = uow.session.execute(
        select(Message)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.seq.desc())
        .limit(_LONGEST_TRANSCRIPT)
    ).scalars()
    return [
        {
            "seq": message.seq,
            "author": message.author,
            "name": message.name,
            "text": message.text,
            "attachments": [{"id": each["id"], "name": each["name"]} for each in message.attachments],
            "at": message.created_at.isoformat(),
        }
        for message in reversed(latest.all())
    ]


def _short(subject: str) -> str:
    line = " ".join(subject.split())
    if not line:
        raise InvalidInput("A ticket needs a subject.")
    return line if len(line) <= _LONGEST_SUBJECT else line[: _LONGEST_SUBJECT - 1] + "…"


def _view(uow: UnitOfWork, row: Ticket) -> TicketView:
    events = uow.session.execute(
        select(TicketEvent).where(TicketEvent.ticket_id == row.id).order_by(TicketEvent.at, TicketEvent.id)
    ).scalars()
    return TicketView(
        id=row.id,
        reference=row.reference,
        brand=row.brand,
        kind=row.kind,
        customer_id=row.customer_id,
        conversation_id=row.conversation_id,
        subject=row.subject,
        summary=row.summary,
        status=TicketStatus(row.status),
        priority=Priority(row.priority),
        created_at=row.created_at,
        updated_at=row.updated_at,
        events=tuple(TicketEventView(each.kind, each.actor, each.body, each.data, each.at) for each in events),
    )
