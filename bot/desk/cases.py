"""What the desk shows and changes, within the brands of the agent who looks; looking at a person's data is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, or_, select

from bot.errors import Conflict, InvalidInput, NotFound, TooLarge
from bot.policy.money import Money
from bot.policy.pack import Pack
from bot.services import accounts, audit, tickets
from bot.services.agents import AgentView
from bot.services.attachments import AttachmentView, read_attachment
from bot.services.rows import row, rows
from bot.services.tickets import Priority, TicketStatus
from bot.services.views import InvoiceView, RefundView, SubscriptionView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

PAGE = 50  # cases
LONGEST_NOTE = 5_000  # characters
_LONGEST_TRANSCRIPT = 300  # messages
_MOST_DECISIONS = 20
_REFERENCE = re.compile(r"TCK-\d{1,12}")
_ID = re.compile(r"[a-z0-9_]{1,40}")
_WORKED_ON = (TicketStatus.OPEN, TicketStatus.PENDING)


@dataclass(frozen=True)
class Filters:
    """Which cases to list; None means all of them."""

    status: TicketStatus | None = TicketStatus.OPEN
    brand: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Person:
    """Whom a case is about. Without `id` nobody has proved who they are; `name` is empty for an erased customer."""

    id: str | None
    name: str
    email: str
    since: datetime | None = None
    erased: bool = False
    proof_method: str | None = None
    proof_at: datetime | None = None


@dataclass(frozen=True)
class CaseRow:
    """A case as the list shows it."""

    reference: str
    brand: str
    kind: str
    subject: str
    status: TicketStatus
    priority: Priority
    person: Person
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ApprovalRow:
    """An approval as lists show it; `first_agent` is the name of who agreed already, `mine` whether that is you."""

    id: str
    brand: str
    amount: Money
    status: str
    choice: str | None
    needed: int
    first_agent: str | None
    second_agent: str | None
    mine: bool
    decided_at: datetime | None
    created_at: datetime
    rule_id: str
    rule_title: str | None
    customer: str
    case_reference: str | None


@dataclass(frozen=True)
class CaseList:
    """One page of cases with what the filters can be set to; `counts` are by status, under the other filters."""

    approvals: tuple[ApprovalRow, ...]
    cases: tuple[CaseRow, ...]
    counts: Mapping[str, int]
    kinds: tuple[str, ...]
    total: int


@dataclass(frozen=True)
class DecisionRow:
    """A decision of the policy, with the sentences the customer was told."""

    id: str
    kind: str
    matter: str | None
    subject: str | None
    outcome: str
    rule_id: str
    rule_title: str | None
    policy_version: str
    amount: Money
    reasons: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True)
class Line:
    """One message of the transcript; `files` are names."""

    author: str
    name: str
    text: str
    files: tuple[str, ...]
    at: datetime


@dataclass(frozen=True)
class Event:
    """Something that happened to a case, with the actor's name where it is a person of the desk."""

    kind: str
    actor: str
    body: str
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True)
class Ledger:
    """What a customer has and paid, and what went back."""

    subscriptions: tuple[SubscriptionView, ...] = ()
    invoices: tuple[InvoiceView, ...] = ()
    remedies: tuple[RefundView, ...] = ()


@dataclass(frozen=True)
class CasePage:
    """A case with everything needed to work on it."""

    case: CaseRow
    summary: str
    conversation_id: str | None
    channel: str | None
    transcript: tuple[Line, ...]
    shortened: bool
    events: tuple[Event, ...]
    attachments: tuple[AttachmentView, ...]
    approvals: tuple[ApprovalRow, ...]
    ledger: Ledger
    decisions: tuple[DecisionRow, ...]
    other_cases: tuple[CaseRow, ...]


@dataclass(frozen=True)
class ApprovalPage:
    """What must be decided, with the facts (plain JSON values), the rule and the ledger it rests on."""

    approval: ApprovalRow
    conversation_id: str | None
    charge_id: str | None
    person: Person
    decision: DecisionRow
    facts: Mapping[str, Any]
    case: CaseRow | None
    summary: str
    events: tuple[Event, ...]
    ledger: Ledger
    state: str


# --- looking ---------------------------------------------------------------------------------------------------------


def list_cases(
    uow: UnitOfWork, *, agent: AgentView, filters: Filters, page: int, packs: Mapping[str, Pack], now: datetime
) -> CaseList:
    """Approvals that wait and one page of cases, from 1; those to work on by priority and age, others latest first."""
    wanted = [t.Ticket.brand.in_(agent.brands)]
    kinds = sorted(rows(uow, select(t.Ticket.kind).where(*wanted).distinct()))
    if filters.brand:
        wanted.append(t.Ticket.brand == filters.brand)
    if filters.kind:
        wanted.append(t.Ticket.kind == filters.kind)
    counted = uow.session.execute(select(t.Ticket.status, func.count()).where(*wanted).group_by(t.Ticket.status)).all()
    counts = {status.value: 0 for status in TicketStatus} | {status: int(count) for status, count in counted}
    if filters.status:
        wanted.append(t.Ticket.status == filters.status.value)
    urgency = case({each.value: place for place, each in enumerate(reversed(Priority))}, value=t.Ticket.priority)
    order = (
        (urgency, t.Ticket.created_at, t.Ticket.id)
        if filters.status in _WORKED_ON
        else (t.Ticket.updated_at.desc(), t.Ticket.id.desc())
    )
    found = _case_rows(uow, select(t.Ticket).where(*wanted).order_by(*order).limit(PAGE).offset(PAGE * (page - 1)))
    approvals = waiting_approvals(uow, agent, packs)
    if filters.brand:
        approvals = tuple(each for each in approvals if each.brand == filters.brand)
    shown = [each.reference for each in found] + [each.id for each in approvals]
    audit.record(uow, actor=agent.id, action="cases.listed", subject="desk", data={"shown": shown}, now=now)
    total = counts[filters.status.value] if filters.status else sum(counts.values())
    return CaseList(approvals=approvals, cases=found, counts=counts, kinds=tuple(kinds), total=total)


def view_case(
    uow: UnitOfWork, *, agent: AgentView, reference: str, packs: Mapping[str, Pack], now: datetime
) -> CasePage:
    """A case of the agent's brands; that it was looked at is recorded. Raises NotFound."""
    ticket = _ticket(uow, agent, reference)
    events = _events(uow, ticket.id)
    lines, shortened = _transcript(uow, ticket.conversation_id)
    audit.record(uow, actor=agent.id, action="case.viewed", subject=ticket.reference, now=now)
    return CasePage(
        case=_case_rows(uow, select(t.Ticket).where(t.Ticket.id == ticket.id))[0],
        summary=ticket.summary,
        conversation_id=ticket.conversation_id,
        channel=row(uow, select(t.Conversation.channel).where(t.Conversation.id == ticket.conversation_id)),
        transcript=lines,
        shortened=shortened,
        events=events,
        attachments=_attachments(uow, ticket.conversation_id),
        approvals=_approvals(uow, agent, packs, t.Approval.ticket_id == ticket.id),
        ledger=ledger_of(uow, ticket.customer_id),
        decisions=decisions_of(uow, ticket.customer_id, packs),
        other_cases=_other_cases(uow, ticket),
    )


def view_approval(
    uow: UnitOfWork, *, agent: AgentView, approval_id: str, packs: Mapping[str, Pack], now: datetime
) -> ApprovalPage:
    """An approval of the agent's brands, decided or not; that it was looked at is recorded. Raises NotFound."""
    _approval_brand(uow, agent, approval_id)
    approval = uow.get(t.Approval, approval_id)
    decision = uow.get(t.Decision, approval.decision_id)
    ticket = uow.get(t.Ticket, approval.ticket_id) if approval.ticket_id else None
    customer = uow.get(t.Customer, decision.customer_id) if decision.customer_id else None
    audit.record(uow, actor=agent.id, action="approval.viewed", subject=approval_id, now=now)
    return ApprovalPage(
        approval=_approvals(uow, agent, packs, t.Approval.id == approval_id)[0],
        conversation_id=decision.conversation_id,
        charge_id=approval.charge_id,
        person=person_of(customer, None, ""),
        decision=_decision_row(decision, packs),
        facts=decision.facts,
        case=_case_rows(uow, select(t.Ticket).where(t.Ticket.id == ticket.id))[0] if ticket else None,
        summary=ticket.summary if ticket else "",
        events=tuple(event for event in _events(uow, ticket.id) if event.kind != "opened") if ticket else (),
        ledger=ledger_of(uow, decision.customer_id),
        state=approval_state(uow, agent=agent, approval_id=approval_id),
    )


def read_file(
    uow: UnitOfWork, *, agent: AgentView, reference: str, attachment_id: str, now: datetime
) -> tuple[AttachmentView, bytes]:
    """A file of the case's conversation; that it was looked at is recorded. Raises NotFound."""
    ticket = _ticket(uow, agent, reference)
    if ticket.conversation_id is None or not _ID.fullmatch(attachment_id):
        raise NotFound("There is no such file in this case.")
    audit.record(
        uow,
        actor=agent.id,
        action="attachment.viewed",
        subject=ticket.reference,
        data={"attachment": attachment_id},
        now=now,
    )
    return read_attachment(uow, attachment_id, conversation_id=ticket.conversation_id)


# --- changing --------------------------------------------------------------------------------------------------------


def change_status(
    uow: UnitOfWork,
    *,
    agent: AgentView,
    reference: str,
    status: TicketStatus,
    shown: TicketStatus,
    key: str,
    now: datetime,
) -> None:
    """Move a case from the status that the agent's page showed to another, once for each key.

    Raises NotFound, or Conflict when somebody else has changed the status meanwhile.
    """
    ticket = _ticket(uow, agent, reference, lock=True)
    if ticket.status not in (shown.value, status.value):
        raise Conflict(f"This case is {ticket.status} meanwhile, so nothing was changed. This is how it stands now.")
    tickets.set_status(uow, ticket.id, status, actor=agent.id, idempotency_key=key, now=now)


def add_note(uow: UnitOfWork, *, agent: AgentView, reference: str, body: str, key: str, now: datetime) -> None:
    """Add a note that only the desk sees, once for each key. Raises NotFound, InvalidInput, TooLarge."""
    text = _note(body)
    if not text:
        raise InvalidInput("The note is empty. Write what your colleagues should know.")
    ticket = _ticket(uow, agent, reference, lock=True)
    if row(uow, select(t.TicketEvent.id).where(t.TicketEvent.idempotency_key == key)) is None:
        tickets.add_event(uow, ticket.id, kind="note", actor=agent.id, body=text, idempotency_key=key, now=now)
        audit.record(uow, actor=agent.id, action="ticket.noted", subject=ticket.reference, now=now)


def approval_state(uow: UnitOfWork, *, agent: AgentView, approval_id: str) -> str:
    """How an approval of the agent's brands stands, as a word that changes with it. Raises NotFound."""
    _approval_brand(uow, agent, approval_id)
    approval = row(uow, select(t.Approval).where(t.Approval.id == approval_id))
    return f"{approval.status}-{approval.first_agent_id or 'nobody'}"


def _note(body: str) -> str:
    text = body.replace("\r\n", "\n").replace("\0", "").strip()
    if len(text) > LONGEST_NOTE:
        raise TooLarge(f"The note has {len(text):,} characters, and at most {LONGEST_NOTE:,} are kept.")
    return text


# --- rows into views -------------------------------------------------------------------------------------------------


def _ticket(uow: UnitOfWork, agent: AgentView, reference: str, *, lock: bool = False) -> Any:
    query = select(t.Ticket).where(t.Ticket.reference == reference, t.Ticket.brand.in_(agent.brands))
    found = row(uow, query.with_for_update() if lock else query) if _REFERENCE.fullmatch(reference) else None
    if found is None:
        raise NotFound("There is no such case in your brands.")
    return found


def _approval_brand(uow: UnitOfWork, agent: AgentView, approval_id: str) -> str:
    """The brand of an approval, which is one of the agent's. Raises NotFound."""
    brand = (
        row(
            uow,
            select(t.Decision.brand)
            .join(t.Approval, t.Approval.decision_id == t.Decision.id)
            .where(t.Approval.id == approval_id, t.Decision.brand.in_(agent.brands)),
        )
        if _ID.fullmatch(approval_id)
        else None
    )
    if brand is None:
        raise NotFound("There is no such approval in your brands.")
    return str(brand)


def waiting_approvals(uow: UnitOfWork, agent: AgentView, packs: Mapping[str, Pack]) -> tuple[ApprovalRow, ...]:
    """The approvals that wait in the agent's brands, oldest first."""
    return _approvals(uow, agent, packs, t.Approval.status == "pending")


def approvals_of(
    uow: UnitOfWork, agent: AgentView, packs: Mapping[str, Pack], *, customer_id: str | None
) -> tuple[ApprovalRow, ...]:
    """A customer's approvals, decided or not, oldest first."""
    return _approvals(uow, agent, packs, t.Decision.customer_id == customer_id) if customer_id else ()


def cases_about(uow: UnitOfWork, *, conversation_id: str, customer_id: str | None) -> tuple[CaseRow, ...]:
    """The latest cases of a conversation and of its customer."""
    about = [t.Ticket.conversation_id == conversation_id]
    about += [t.Ticket.customer_id == customer_id] if customer_id else []
    found = select(t.Ticket).where(or_(*about))
    return _case_rows(uow, found.order_by(t.Ticket.created_at.desc(), t.Ticket.id.desc()).limit(10))


def _case_rows(uow: UnitOfWork, query: Any) -> tuple[CaseRow, ...]:
    found = rows(uow, query)
    customers = _by_id(uow, t.Customer, (ticket.customer_id for ticket in found))
    conversations = _by_id(uow, t.Conversation, (ticket.conversation_id for ticket in found))
    return tuple(
        CaseRow(
            reference=ticket.reference,
            brand=ticket.brand,
            kind=ticket.kind,
            subject=ticket.subject,
            status=TicketStatus(ticket.status),
            priority=Priority(ticket.priority),
            person=person_of(
                customers.get(ticket.customer_id), conversations.get(ticket.conversation_id), ticket.contact_email or ""
            ),
            created_at=ticket.created_at,
            updated_at=ticket.updated_at,
        )
        for ticket in found
    )


def person_of(customer: Any, conversation: Any, contact_email: str = "") -> Person:
    """Whom a case or conversation is about, and how they proved it; the rows, or None where there is none."""
    if customer is None:
        return Person(id=None, name="", email=contact_email)
    proved = conversation is not None and conversation.customer_id == customer.id
    return Person(
        id=customer.id,
        name=customer.name,
        email=customer.email,
        since=customer.created_at,
        erased=customer.erased_at is not None,
        proof_method=conversation.proof_method if proved else None,
        proof_at=conversation.proof_at if proved else None,
    )


def _approvals(uow: UnitOfWork, agent: AgentView, packs: Mapping[str, Pack], condition: Any) -> tuple[ApprovalRow, ...]:
    found = rows(
        uow,
        select(t.Approval)
        .join(t.Decision, t.Decision.id == t.Approval.decision_id)
        .where(t.Decision.brand.in_(agent.brands), condition)
        .order_by(t.Approval.created_at, t.Approval.id),
    )
    decisions = _by_id(uow, t.Decision, (each.decision_id for each in found))
    customers = _by_id(uow, t.Customer, (each.customer_id for each in decisions.values()))
    cases = _by_id(uow, t.Ticket, (each.ticket_id for each in found))
    people = _by_id(uow, t.Agent, (person for each in found for person in (each.first_agent_id, each.second_agent_id)))

    def name(agent_id: str | None) -> str | None:
        return people[agent_id].name if agent_id else None

    views = []
    for each in found:
        decision = decisions[each.decision_id]
        customer = customers.get(decision.customer_id)
        views.append(
            ApprovalRow(
                id=each.id,
                brand=decision.brand,
                amount=Money(each.amount_minor, each.currency),
                status=each.status,
                choice=each.choice,
                needed=each.approvers_needed,
                first_agent=name(each.first_agent_id),
                second_agent=name(each.second_agent_id),
                mine=each.first_agent_id == agent.id,
                decided_at=each.second_at or each.first_at,
                created_at=each.created_at,
                rule_id=decision.rule_id,
                rule_title=_rule_title(packs, decision),
                customer=(customer.name or customer.email) if customer else "",
                case_reference=cases[each.ticket_id].reference if each.ticket_id else None,
            )
        )
    return tuple(views)


def decisions_of(uow: UnitOfWork, customer_id: str | None, packs: Mapping[str, Pack]) -> tuple[DecisionRow, ...]:
    """What the policy decided for a customer, latest first."""
    if customer_id is None:
        return ()
    found = rows(
        uow,
        select(t.Decision)
        .where(t.Decision.customer_id == customer_id)
        .order_by(t.Decision.created_at.desc(), t.Decision.id.desc())
        .limit(_MOST_DECISIONS),
    )
    return tuple(_decision_row(each, packs) for each in found)


def _decision_row(row: Any, packs: Mapping[str, Pack]) -> DecisionRow:
    return DecisionRow(
        id=row.id,
        kind=row.kind,
        matter=row.matter,
        subject=row.subject,
        outcome=row.outcome,
        rule_id=row.rule_id,
        rule_title=_rule_title(packs, row),
        policy_version=row.policy_version,
        amount=Money(row.amount_minor, row.currency),
        reasons=tuple(row.decision.get("reasons", ())),
        created_at=row.created_at,
    )


def _rule_title(packs: Mapping[str, Pack], decision: Any) -> str | None:
    # Another version of the pack may mean something else by the same id.
    pack = packs.get(decision.brand)
    rule = pack.rule(decision.rule_id) if pack and pack.version == decision.policy_version else None
    return rule.title if rule else None


def ledger_of(uow: UnitOfWork, customer_id: str | None) -> Ledger:
    """What a customer has and paid; nothing where nobody has proved who they are."""
    if customer_id is None:
        return Ledger()
    return Ledger(
        subscriptions=tuple(accounts.subscriptions(uow, customer_id)),
        invoices=tuple(accounts.invoices(uow, customer_id)),
        remedies=tuple(accounts.refunds(uow, customer_id)),
    )


def _transcript(uow: UnitOfWork, conversation_id: str | None) -> tuple[tuple[Line, ...], bool]:
    """The latest messages in order, and whether earlier ones are left out."""
    latest = rows(
        uow,
        select(t.Message)
        .where(t.Message.conversation_id == conversation_id)
        .order_by(t.Message.seq.desc())
        .limit(_LONGEST_TRANSCRIPT + 1),
    )
    lines = [
        Line(each.author, each.name, each.text, tuple(file["name"] for file in each.attachments), each.created_at)
        for each in reversed(latest[:_LONGEST_TRANSCRIPT])
    ]
    return tuple(lines), len(latest) > _LONGEST_TRANSCRIPT


def _events(uow: UnitOfWork, ticket_id: str) -> tuple[Event, ...]:
    found = rows(
        uow,
        select(t.TicketEvent).where(t.TicketEvent.ticket_id == ticket_id).order_by(t.TicketEvent.at, t.TicketEvent.id),
    )
    people = _by_id(uow, t.Agent, (each.actor for each in found))
    return tuple(
        Event(each.kind, people[each.actor].name if each.actor in people else each.actor, each.body, each.data, each.at)
        for each in found
    )


def _attachments(uow: UnitOfWork, conversation_id: str | None) -> tuple[AttachmentView, ...]:
    columns = (getattr(t.Attachment, name) for name in AttachmentView.__dataclass_fields__)  # not their content
    found = uow.session.execute(
        select(*columns)
        .where(t.Attachment.conversation_id == conversation_id)
        .order_by(t.Attachment.created_at, t.Attachment.id)
    )
    return tuple(AttachmentView(*each) for each in found)


def _other_cases(uow: UnitOfWork, ticket: Any) -> tuple[CaseRow, ...]:
    if ticket.customer_id is None:
        return ()
    others = select(t.Ticket).where(t.Ticket.customer_id == ticket.customer_id, t.Ticket.id != ticket.id)
    return _case_rows(uow, others.order_by(t.Ticket.created_at.desc(), t.Ticket.id.desc()).limit(10))


def _by_id(uow: UnitOfWork, table: Any, ids: Iterable[str | None]) -> dict[str | None, Any]:
    wanted = {each for each in ids if each is not None}
    return {each.id: each for each in rows(uow, select(table).where(table.id.in_(wanted)))} if wanted else {}
