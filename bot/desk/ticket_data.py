"""What the desk shows and changes of a ticket beside its case page: mail, who has it, what it belongs together with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from bot.errors import Conflict, InvalidInput, NotFound
from bot.policy.pack import Pack
from bot.services import audit, mail_threads, tickets
from bot.services.agents import AgentView
from bot.services.mail_threads import FileView, MailView
from bot.services.rows import row, rows
from bot.services.tickets import Priority, TicketStatus
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_MOST_OTHERS = 20


@dataclass(frozen=True)
class Extras:
    """Beside the case itself: `to` is where answers go, empty if nobody can be written to; pairs are (id, name)."""

    mails: tuple[MailView, ...]
    to: str
    assignee: tuple[str, str] | None
    colleagues: tuple[tuple[str, str], ...]
    merged_into: str | None
    merged_from: tuple[str, ...]
    mergeable: tuple[tuple[str, str], ...]
    conversation_id: str | None
    conversations: tuple[tuple[str, str], ...]


def extras(uow: UnitOfWork, *, agent: AgentView, reference: str) -> Extras:
    """Everything beside a case of the agent's brands. Raises NotFound."""
    ticket = own(uow, agent, reference)
    people = {
        each.id: each.name
        for each in rows(uow, select(t.Agent).where(t.Agent.active.is_(True)).order_by(t.Agent.name))
        if ticket.brand in each.brands
    }
    assignee = uow.get(t.Agent, ticket.assignee_id) if ticket.assignee_id else None
    into = tickets.merged_into(uow, ticket.id)
    sources = select(t.TicketMerge.ticket_id).where(t.TicketMerge.into_id == ticket.id)
    return Extras(
        mails=mail_threads.mails_of(uow, ticket.id),
        to=mail_threads.address_of(uow, ticket) or "",
        assignee=(assignee.id, assignee.name) if assignee else None,
        colleagues=tuple(people.items()),
        merged_into=uow.get(t.Ticket, into).reference if into else None,
        merged_from=tuple(rows(uow, select(t.Ticket.reference).where(t.Ticket.id.in_(sources)))),
        mergeable=_mergeable(uow, ticket) if into is None else (),
        conversation_id=ticket.conversation_id,
        conversations=_conversations(uow, ticket),
    )


def own(uow: UnitOfWork, agent: AgentView, reference: str, *, lock: bool = False) -> Any:
    """The row of a ticket of the agent's brands. Raises NotFound."""
    query = select(t.Ticket).where(t.Ticket.reference == reference, t.Ticket.brand.in_(agent.brands))
    found = row(uow, query.with_for_update() if lock else query) if len(reference) <= 20 else None
    if found is None:
        raise NotFound("There is no such case in your brands.")
    return found


def reply(
    uow: UnitOfWork,
    *,
    agent: AgentView,
    reference: str,
    text: str,
    status: str,
    packs: Mapping[str, Pack],
    key: str,
    now: datetime,
) -> None:
    """Mail an answer and leave the case `open`, `pending` or `resolved`. Raises what `mail_threads.reply` raises."""
    ticket = own(uow, agent, reference, lock=True)
    if ticket.brand not in packs:
        raise Conflict("The policy of this brand is not loaded, so nothing can be sent now.")
    if status not in ("open", "pending", "resolved"):
        raise InvalidInput("Choose what the case is after this answer: open, pending or resolved.")
    mail_threads.reply(
        uow,
        pack=packs[ticket.brand],
        ticket_id=ticket.id,
        agent_id=agent.id,
        agent_name=agent.name,
        text=text,
        status=TicketStatus(status),
        key=key,
        now=now,
    )


def set_priority(uow: UnitOfWork, *, agent: AgentView, reference: str, priority: str, key: str, now: datetime) -> None:
    """Change how urgent it is. Raises NotFound, InvalidInput."""
    ticket = own(uow, agent, reference, lock=True)
    if priority not in {each.value for each in Priority}:
        raise InvalidInput(f"Choose one of {', '.join(each.value for each in Priority)}.")
    tickets.set_priority(uow, ticket.id, Priority(priority), actor=agent.id, idempotency_key=key, now=now)


def assign(uow: UnitOfWork, *, agent: AgentView, reference: str, to: str, key: str, now: datetime) -> None:
    """Give it to somebody, or to nobody when `to` is empty. Raises NotFound, InvalidInput."""
    ticket = own(uow, agent, reference, lock=True)
    tickets.assign(uow, ticket.id, to or None, actor=agent.id, idempotency_key=key, now=now)


def merge(uow: UnitOfWork, *, agent: AgentView, reference: str, into: str, key: str, now: datetime) -> None:
    """Let it go on in another case of the agent's brands. Raises NotFound, InvalidInput, Conflict."""
    ticket, target = own(uow, agent, reference), own(uow, agent, into.strip().upper())
    tickets.merge(uow, ticket.id, target.id, agent_id=agent.id, idempotency_key=key, now=now)


def link(uow: UnitOfWork, *, agent: AgentView, reference: str, conversation_id: str, key: str, now: datetime) -> None:
    """Tie it to a conversation. Raises NotFound, Conflict."""
    ticket = own(uow, agent, reference, lock=True)
    tickets.link(uow, ticket.id, conversation_id.strip(), actor=agent.id, idempotency_key=key, now=now)


def read_file(
    uow: UnitOfWork, *, agent: AgentView, reference: str, file_id: str, now: datetime
) -> tuple[FileView, bytes]:
    """A file that came by mail; that it was looked at is recorded. Raises NotFound."""
    ticket = own(uow, agent, reference)
    data = {"file": file_id[:40]}
    audit.record(uow, actor=agent.id, action="attachment.viewed", subject=ticket.reference, data=data, now=now)
    return mail_threads.read_file(uow, ticket.id, file_id)


def export(uow: UnitOfWork, *, agent: AgentView, reference: str, now: datetime) -> dict[str, Any]:
    """Everything about a case as plain JSON values; that it was taken out is recorded. Raises NotFound."""
    ticket = own(uow, agent, reference)
    audit.record(uow, actor=agent.id, action="ticket.exported", subject=ticket.reference, now=now)
    names = {each.id: each.name for each in rows(uow, select(t.Agent))}
    customer = uow.get(t.Customer, ticket.customer_id) if ticket.customer_id else None
    events = rows(
        uow,
        select(t.TicketEvent).where(t.TicketEvent.ticket_id == ticket.id).order_by(t.TicketEvent.at, t.TicketEvent.id),
    )
    columns = ("reference", "brand", "kind", "subject", "summary", "status", "priority", "contact_email")
    return {
        **{name: getattr(ticket, name) for name in columns},
        "conversation_id": ticket.conversation_id,
        "customer": {"id": customer.id, "name": customer.name, "email": customer.email} if customer else None,
        "assignee": names.get(ticket.assignee_id),
        "created_at": ticket.created_at.isoformat(),
        "updated_at": ticket.updated_at.isoformat(),
        "events": [
            {
                "kind": each.kind,
                "actor": names.get(each.actor, each.actor),
                "body": each.body,
                "data": each.data,
                "at": each.at.isoformat(),
            }
            for each in events
        ],
        "mails": [{**asdict(mail), "at": mail.at.isoformat()} for mail in mail_threads.mails_of(uow, ticket.id)],
    }


def _mergeable(uow: UnitOfWork, ticket: Any) -> tuple[tuple[str, str], ...]:
    """Other cases of the same person that are not closed, by reference and subject."""
    address = mail_threads.address_of(uow, ticket)
    same = [
        *([t.Ticket.customer_id == ticket.customer_id] if ticket.customer_id else ()),
        *([t.Ticket.contact_email == address] if address else ()),
    ]
    if not same:
        return ()
    merged = select(t.TicketMerge.ticket_id)
    found = rows(
        uow,
        select(t.Ticket)
        .where(or_(*same), t.Ticket.brand == ticket.brand, t.Ticket.id != ticket.id, t.Ticket.id.not_in(merged))
        .order_by(t.Ticket.created_at.desc(), t.Ticket.id.desc())
        .limit(_MOST_OTHERS),
    )
    return tuple((each.reference, each.subject) for each in found)


def _conversations(uow: UnitOfWork, ticket: Any) -> tuple[tuple[str, str], ...]:
    """The customer's conversations, the latest first, by id and channel with its day."""
    if ticket.customer_id is None:
        return ()
    found = rows(
        uow,
        select(t.Conversation)
        .where(t.Conversation.customer_id == ticket.customer_id, t.Conversation.brand == ticket.brand)
        .order_by(t.Conversation.updated_at.desc(), t.Conversation.id.desc())
        .limit(_MOST_OTHERS),
    )
    return tuple((each.id, f"{each.channel}, {each.updated_at:%d %b %Y}") for each in found)
