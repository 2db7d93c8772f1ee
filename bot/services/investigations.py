"""Technical investigations of a number: what the log shows, what was collected, and the case our engineers work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from bot.errors import InvalidInput, NotFound
from bot.ids import new_id
from bot.policy.decide import decide
from bot.policy.decision import Outcome, Request, RequestKind
from bot.policy.pack import Pack
from bot.services import accounts, audit, decisions, tickets
from bot.services.facts import gather
from bot.services.rows import lock_accounts_of, roles, row, rows
from bot.services.tickets import Priority, TicketView
from bot.services.views import CustomerRef, InvestigationView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork


def find(uow: UnitOfWork, *, customer_id: str, number_id: str) -> InvestigationView | None:
    """The open investigation of the customer's number, otherwise the latest; None if there was none."""
    found = row(
        uow,
        select(t.Investigation)
        .where(
            t.Investigation.phone_number_id == number_id,
            t.Investigation.account_id.in_(roles(uow, customer_id)),
        )
        .order_by((t.Investigation.status == "open").desc(), t.Investigation.opened_at.desc()),
    )
    return None if found is None else _view(uow, found)


def test_sms_arrived(uow: UnitOfWork, *, number_id: str, since: datetime) -> bool:
    """Whether the number has received anything since then; any message shows that it receives."""
    arrived = select(t.InboundSms.id).where(t.InboundSms.phone_number_id == number_id)
    return row(uow, arrived.where(t.InboundSms.received_at >= since)) is not None


def open(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    number_id: str,
    subscription_id: str,
    details: Mapping[str, Any],
    attachment_ids: Sequence[str],
    conversation_id: str,
    key: str,
    now: datetime,
) -> tuple[InvestigationView, TicketView]:
    """Open an investigation and its ticket, once for each key; while one of the number is open, add to that one.

    `details` are by the ids of the pack's evidence, with whatever else helps. Raises NotFound for a number or file
    that is not theirs, InvalidInput when something the pack requires is missing.
    """
    lock_accounts_of(uow, customer.customer_id)
    subscription = accounts.subscription(uow, customer.customer_id, subscription_id)
    if subscription is None or subscription.number_id != number_id:
        raise NotFound("There is no such number in this account.")
    outcome = _decide(uow, pack, customer, subscription_id, details, conversation_id, key, now)
    files = _files(uow, conversation_id, attachment_ids)
    known = row(
        uow,
        select(t.Investigation)
        .join(t.Ticket, t.Ticket.id == t.Investigation.ticket_id)
        .where(t.Investigation.phone_number_id == number_id)
        .where((t.Investigation.status == "open") | (t.Ticket.idempotency_key == f"{key}:ticket")),
    )
    if known is not None:
        return _add(uow, known, outcome, details, files, key, now)
    ticket = tickets.open_ticket(
        uow,
        brand=pack.brand.id,
        kind="investigation",
        subject=f"{subscription.label} receives no texts",
        summary=_summary(pack, details),
        customer_id=customer.customer_id,
        contact_email=customer.email,
        conversation_id=conversation_id,
        priority=Priority.HIGH,
        details={"collected": dict(details), "files": files, "subscription_id": subscription_id},
        idempotency_key=f"{key}:ticket",
        now=now,
    )
    made = t.Investigation(
        id=new_id("inv"),
        ticket_id=ticket.id,
        account_id=subscription.account_id,
        customer_id=customer.customer_id,
        phone_number_id=number_id,
        status="open",
        details=dict(details),
        opened_at=now,
    )
    uow.add(made)
    audit.record(
        uow,
        actor="bot",
        action="investigation.opened",
        subject=made.id,
        data={"ticket": ticket.reference, "subscription_id": subscription_id},
        now=now,
    )
    return _view(uow, made), ticket


def _decide(
    uow: UnitOfWork,
    pack: Pack,
    customer: CustomerRef,
    subscription_id: str,
    details: Mapping[str, Any],
    conversation_id: str,
    key: str,
    now: datetime,
) -> Outcome:
    known = decisions.stored(uow, key)
    if known is not None:
        return known[1].outcome
    given = [name for name in pack.evidence if details.get(name)]
    gathered = gather(
        uow,
        pack=pack,
        customer=customer,
        subscription_id=subscription_id,
        now=now,
        extra={"evidence_given": given},
    )
    asked = Request(RequestKind.INVESTIGATE, now, subscription_id=subscription_id)
    decision = decide(pack, gathered.facts, asked)
    if decision.outcome not in (Outcome.INVESTIGATE, Outcome.ALREADY_DONE):
        missing = [pack.evidence[name].title for name in decision.missing_evidence]
        raise InvalidInput(
            f"An investigation needs more than this: {', '.join(missing)}.", missing=list(decision.missing_evidence)
        )
    decisions.record(
        uow,
        pack=pack,
        customer=customer,
        account_id=gathered.account_id,
        conversation_id=conversation_id,
        subject=subscription_id,
        request=asked,
        facts=gathered.facts,
        decision=decision,
        key=key,
        now=now,
    )
    return decision.outcome


def _add(
    uow: UnitOfWork,
    known: Any,
    outcome: Outcome,
    details: Mapping[str, Any],
    files: Sequence[Mapping[str, str]],
    key: str,
    now: datetime,
) -> tuple[InvestigationView, TicketView]:
    """The investigation that is there; what a further report says is added to its ticket, not what opened it."""
    ticket = _ticket(uow, known)
    if outcome is Outcome.ALREADY_DONE:
        ticket = tickets.add_event(
            uow,
            known.ticket_id,
            kind="reported_again",
            actor="customer",
            data={"collected": dict(details), "files": list(files)},
            idempotency_key=f"{key}:again",
            now=now,
        )
    return _view(uow, known), ticket


def _files(uow: UnitOfWork, conversation_id: str, attachment_ids: Sequence[str]) -> list[dict[str, str]]:
    wanted = list(dict.fromkeys(attachment_ids))
    found = {
        each.id: {"id": each.id, "name": each.name}
        for each in rows(
            uow,
            select(t.Attachment).where(t.Attachment.conversation_id == conversation_id, t.Attachment.id.in_(wanted)),
        )
    }
    if len(found) < len(wanted):
        raise NotFound("That file is not part of this conversation; please upload it again.")
    return [found[each] for each in wanted]


def _summary(pack: Pack, details: Mapping[str, Any]) -> str:
    """What was collected, a line each, under the pack's own names for it."""
    titles = {name: evidence.title for name, evidence in pack.evidence.items()}
    return "\n".join(
        f"{titles.get(name, name.replace('_', ' ')).capitalize()}: {value}" for name, value in details.items() if value
    )


def _ticket(uow: UnitOfWork, investigation: Any) -> TicketView:
    ticket = uow.get(t.Ticket, investigation.ticket_id)
    return tickets.ticket_view(uow, ticket.reference, customer_id=ticket.customer_id)


def _view(uow: UnitOfWork, investigation: Any) -> InvestigationView:
    return InvestigationView(
        id=investigation.id,
        ticket_reference=uow.get(t.Ticket, investigation.ticket_id).reference,
        number=uow.get(t.PhoneNumber, investigation.phone_number_id).e164,
        status=investigation.status,
        cause=investigation.cause,
        opened_at=investigation.opened_at,
        closed_at=investigation.closed_at,
    )
