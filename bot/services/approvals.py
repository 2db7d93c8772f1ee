"""What the policy leaves to people: asked for once per charge with everything attached, decided by one or by two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from sqlalchemy import select

from bot.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge
from bot.ids import new_id
from bot.policy.decision import Approval, Decision
from bot.policy.facts import Facts
from bot.policy.money import Money
from bot.policy.pack import Pack
from bot.policy.wording import render
from bot.services import accounts, audit, decisions, payouts, tickets
from bot.services.mail import enqueue_mail
from bot.services.rows import lock_accounts, row, rows
from bot.services.tickets import Priority, TicketStatus, TicketView
from bot.services.views import CustomerRef, RefundView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

Choice = Literal["refund", "credit", "deny"]
LONGEST_NOTE = 5_000  # characters


@dataclass(frozen=True)
class ApprovalView:
    """A request for money as the people deciding it see it; without a charge it is about messages that were not sent.

    `given` is what the customer got once it is approved; `says` what the customer is to be told in the conversation,
    empty while it is pending.
    """

    id: str
    decision_id: str
    ticket_reference: str
    customer_id: str
    conversation_id: str | None
    charge_id: str | None
    amount: Money
    rule_id: str
    policy_version: str
    status: str
    choice: str | None
    approvers_needed: int
    approvers: tuple[str, ...]
    created_at: datetime
    given: RefundView | None = None
    says: tuple[str, ...] = ()


def ask(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    charge_id: str | None,
    decision_id: str,
    decision: Decision,
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> TicketView:
    """Leave a paying decision to a person: an approval and its ticket; the open one, if this charge has one already."""
    known = row(uow, select(t.Approval).where(t.Approval.decision_id == decision_id))
    if known is None and charge_id is not None:
        same_charge = select(t.Approval).where(t.Approval.charge_id == charge_id, t.Approval.status == "pending")
        known = row(uow, same_charge)
    if known is not None:
        return _ticket(uow, known)
    facts, request = decisions.basis(uow, decision_id)
    charge = row(uow, select(t.Charge).where(t.Charge.id == charge_id))
    ledger = accounts.find_invoice(uow, customer.customer_id, charge.invoice_id) if charge else None
    needed = 2 if decision.approval is Approval.TWO else 1
    ticket = tickets.open_ticket(
        uow,
        brand=pack.brand.id,
        kind="approval",
        subject=f"{decision.rule_id}: {decision.money.format()} for {_about(charge)}",
        summary=_summary(pack, decision, charge, needed),
        customer_id=customer.customer_id,
        contact_email=customer.email,
        conversation_id=conversation_id,
        priority=Priority.HIGH,
        details={
            "decision_id": decision_id,
            "decision": decision.to_json(),
            "request": request.to_json(),
            "facts": facts.to_json(),
            "ledger": [
                {
                    "charge_id": each.id,
                    "charged_at": each.charged_at.isoformat(),
                    "amount": each.amount.format(),
                    "refunded": each.refunded.format(),
                    "credited": each.credited.format(),
                }
                for each in (ledger.charges if ledger else ())
            ],
        },
        idempotency_key=f"{key}:approval",
        now=now,
    )
    approval = t.Approval(
        id=new_id("apr"),
        decision_id=decision_id,
        ticket_id=ticket.id,
        charge_id=charge_id,
        amount_minor=decision.amount,
        currency=decision.currency,
        approvers_needed=needed,
        status="pending",
        created_at=now,
    )
    uow.add(approval)
    _note(uow, "approval.asked", approval, "bot", now)
    return ticket


def pending(uow: UnitOfWork, *, brand: str) -> list[ApprovalView]:
    """What waits for a person at a brand, oldest first."""
    found = rows(
        uow,
        select(t.Approval)
        .join(t.Decision, t.Decision.id == t.Approval.decision_id)
        .where(t.Approval.status == "pending", t.Decision.brand == brand)
        .order_by(t.Approval.created_at, t.Approval.id),
    )
    return [_view(uow, each) for each in found]


def approval_view(uow: UnitOfWork, approval_id: str) -> ApprovalView:
    """An approval, decided or not. Raises NotFound."""
    found = uow.get(t.Approval, approval_id)
    if found is None:
        raise NotFound("There is no such request for approval.")
    return _view(uow, found)


def decide_approval(
    uow: UnitOfWork, *, pack: Pack, approval_id: str, agent_id: str, choice: Choice, note: str, now: datetime
) -> ApprovalView:
    """Let a person decide: `refund` or `credit` gives the money as soon as enough people agree, `deny` ends it at once.

    The same decision by the same person again changes nothing. The customer is mailed the result; `says` of the view
    is for the conversation. Raises NotFound; Forbidden for a person who may not; Conflict when it was decided
    otherwise, when two people disagree, or when the ledger no longer has the money.
    """
    if choice not in ("refund", "credit", "deny"):
        raise InvalidInput("Choose `refund`, `credit` or `deny`.", choice=choice)
    approval = _locked(uow, approval_id)
    if approval.charge_id is None and choice == "refund":
        raise InvalidInput("Messages that were not sent can be credited, not refunded. Choose `credit` or `deny`.")
    decided = row(uow, select(t.Decision).where(t.Decision.id == approval.decision_id))
    _check_agent(uow, agent_id, pack, decided.brand)
    if approval.status != "pending":
        if _outcome(approval) != choice:
            raise Conflict(f"This was decided before: {_outcome(approval)}.", approval_id=approval_id)
        return _view(uow, approval, _told(pack, approval))
    if choice == "deny":
        _sign(approval, agent_id, now)
        approval.status, approval.choice = "denied", None
        _close(uow, pack, approval, decided, agent_id, note, now)
        return _view(uow, approval, _told(pack, approval))
    if agent_id == approval.first_agent_id and choice == approval.choice:
        return _view(uow, approval)
    if approval.choice not in (None, choice):
        raise Conflict(f"The first person chose {approval.choice}. Choose the same, or deny.", choice=approval.choice)
    _sign(approval, agent_id, now)
    approval.choice = choice
    if approval.approvers_needed == 2 and approval.second_agent_id is None:
        uow.session.flush()
        _note(uow, "approval.first", approval, agent_id, now)
        return _view(uow, approval)
    approval.status = "approved"
    uow.session.flush()
    _give(uow, pack, approval, decided, choice, agent_id, now)
    _close(uow, pack, approval, decided, agent_id, note, now)
    return _view(uow, approval, _told(pack, approval))


def decide_at_desk(
    uow: UnitOfWork,
    *,
    packs: Mapping[str, Pack],
    approval_id: str,
    agent_id: str,
    choice: str,
    note: str,
    now: datetime,
) -> ApprovalView:
    """As `decide_approval`, for whoever sits at a desk: `deny` needs a note that says why, and who is late hears it.

    Raises NotFound for an approval of others' brands, InvalidInput, TooLarge, or Conflict when others have decided.
    """
    agent = row(uow, select(t.Agent).where(t.Agent.id == agent_id))
    brand = row(
        uow,
        select(t.Decision.brand)
        .join(t.Approval, t.Approval.decision_id == t.Decision.id)
        .where(t.Approval.id == approval_id, t.Decision.brand.in_(agent.brands if agent else ())),
    )
    if brand is None:
        raise NotFound("There is no such approval in your brands.")
    text = note.replace("\r\n", "\n").replace("\0", "").strip()
    if len(text) > LONGEST_NOTE:
        raise TooLarge(f"The note has {len(text):,} characters, and at most {LONGEST_NOTE:,} are kept.")
    if choice not in get_args(Choice):
        raise InvalidInput("Choose refund, credit or deny.")
    if choice == "deny" and not text:
        raise InvalidInput("Say in the note why you deny it. The customer does not see the note.")
    if brand not in packs:
        raise Conflict("The policy of this brand is not loaded, so nothing can be decided now.")
    decided = decide_approval(
        uow,
        pack=packs[brand],
        approval_id=approval_id,
        agent_id=agent_id,
        choice=cast(Choice, choice),
        note=text,
        now=now,
    )
    if agent_id not in decided.approvers:
        raise Conflict("A colleague has decided this already, so nothing was changed. This is how it stands now.")
    if decided.status == "pending" and text:
        # The first of two has no closing event to carry the note, and the second must read it.
        key = f"approval:{approval_id}:first:{agent_id}"
        ticket_id = row(uow, select(t.Approval.ticket_id).where(t.Approval.id == approval_id))
        tickets.add_event(uow, ticket_id, kind="note", actor=agent_id, body=text, idempotency_key=key, now=now)
    return decided


def _give(
    uow: UnitOfWork, pack: Pack, approval: Any, decided: Any, choice: payouts.Choice, agent_id: str, now: datetime
) -> None:
    shared: dict[str, Any] = {
        "pack": pack,
        "customer": _customer(uow, decided),
        "decision_id": decided.id,
        "decision": Decision.from_json(decided.decision),
        "conversation_id": decided.conversation_id,
        "actor": agent_id,
        "key": f"approval:{approval.id}",
        "now": now,
    }
    if approval.charge_id is None:
        payouts.credit_unsent(uow, **shared)
    else:
        payouts.give(uow, choice=choice, charge_id=approval.charge_id, **shared)


def _locked(uow: UnitOfWork, approval_id: str) -> Any:
    """The approval, with its account held before it: in the order in which everybody takes them."""
    wanted = select(t.Approval).where(t.Approval.id == approval_id)
    approval = row(uow, wanted)
    if approval is None:
        raise NotFound("There is no such request for approval.")
    account_id = row(uow, select(t.Charge.account_id).where(t.Charge.id == approval.charge_id))
    lock_accounts(uow, account_id or uow.get(t.Decision, approval.decision_id).account_id)
    return row(uow, wanted.with_for_update())


def _check_agent(uow: UnitOfWork, agent_id: str, pack: Pack, brand: str) -> None:
    agent = row(uow, select(t.Agent).where(t.Agent.id == agent_id))
    if agent is None:
        raise NotFound("There is no such agent.")
    if not agent.active or brand not in agent.brands:
        raise Forbidden("This agent does not decide for this brand.", agent_id=agent_id)
    if brand != pack.brand.id:
        raise Conflict(f"This was decided by {brand}, and the policy given is that of {pack.brand.id}.")


def _sign(approval: Any, agent_id: str, now: datetime) -> None:
    """Put down who agrees; the second must be somebody else."""
    if approval.first_agent_id in (None, agent_id):
        approval.first_agent_id, approval.first_at = agent_id, now
    else:
        approval.second_agent_id, approval.second_at = agent_id, now


def _outcome(approval: Any) -> str:
    return "deny" if approval.status == "denied" else str(approval.choice)


def _close(uow: UnitOfWork, pack: Pack, approval: Any, decided: Any, agent_id: str, note: str, now: datetime) -> None:
    """Resolve the ticket, write the record, and mail a refusal; what is given has its receipt, which is mailed too."""
    uow.session.flush()
    ticket = _ticket(uow, approval)
    key = f"approval:{approval.id}:{_outcome(approval)}"
    tickets.add_event(
        uow,
        ticket.id,
        kind="approval",
        actor=agent_id,
        body=note,
        data={"choice": _outcome(approval)},
        idempotency_key=key,
        now=now,
    )
    tickets.set_status(
        uow, ticket.id, TicketStatus.RESOLVED, actor=agent_id, idempotency_key=f"{key}:resolved", now=now
    )
    _note(uow, f"approval.{approval.status}", approval, agent_id, now)
    if approval.status == "denied":
        enqueue_mail(
            uow,
            brand=pack.brand,
            to=_customer(uow, decided).email,
            subject=f"{pack.brand.name}: {ticket.reference}",
            plain="\n\n".join(_told(pack, approval)),
            idempotency_key=f"{key}:mail",
            now=now,
        )


def _told(pack: Pack, approval: Any) -> tuple[str, ...]:
    """What the pack says to the customer about the result."""
    return render(pack.texts[f"approval_{_outcome(approval)}"], pack.brand, Facts({}))


def _customer(uow: UnitOfWork, decided: Any) -> CustomerRef:
    customer = uow.get(t.Customer, decided.customer_id)
    return CustomerRef(customer.id, customer.brand, customer.email, customer.name)


def _ticket(uow: UnitOfWork, approval: Any) -> TicketView:
    ticket = uow.get(t.Ticket, approval.ticket_id)
    return tickets.ticket_view(uow, ticket.reference, customer_id=ticket.customer_id)


def _note(uow: UnitOfWork, action: str, approval: Any, actor: str, now: datetime) -> None:
    data = {
        "charge_id": approval.charge_id,
        "amount_minor": approval.amount_minor,
        "currency": approval.currency,
        "choice": approval.choice,
    }
    audit.record(uow, actor=actor, action=action, subject=approval.id, data=data, now=now)


def _view(uow: UnitOfWork, approval: Any, says: tuple[str, ...] = ()) -> ApprovalView:
    decided = row(uow, select(t.Decision).where(t.Decision.id == approval.decision_id))
    return ApprovalView(
        id=approval.id,
        decision_id=approval.decision_id,
        ticket_reference=_ticket(uow, approval).reference,
        customer_id=decided.customer_id,
        conversation_id=decided.conversation_id,
        charge_id=approval.charge_id,
        amount=Money(approval.amount_minor, approval.currency),
        rule_id=decided.rule_id,
        policy_version=decided.policy_version,
        status=approval.status,
        choice=approval.choice,
        approvers_needed=approval.approvers_needed,
        approvers=tuple(each for each in (approval.first_agent_id, approval.second_agent_id) if each),
        created_at=approval.created_at,
        given=accounts.given_by(uow, approval.decision_id),
        says=says,
    )


def _summary(pack: Pack, decision: Decision, charge: Any, needed: int) -> str:
    """For the people who decide: what, why, and what they can choose."""
    rule = pack.rule(decision.rule_id)
    return "\n".join(
        (
            f"Rule: {decision.rule_id}, {rule.title if rule else ''} (policy {decision.policy_version})",
            f"Amount: {decision.money.format()} of charge {charge.id}, {_about(charge)}"
            if charge
            else f"Amount: {decision.money.format()} for {_about(charge)}",
            f"Choose: {'refund, ' if charge else ''}credit or deny. People who must agree: {needed}",
            f"The customer was told: {' '.join(decision.reasons)}",
        )
    )


def _about(charge: Any) -> str:
    return f"invoice {charge.invoice_id}" if charge else "messages that were not sent"
