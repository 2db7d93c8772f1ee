"""What a customer declares word for word, such as a withdrawal: a dated receipt at once, and a case for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.errors import Conflict
from bot.policy.decision import Decision
from bot.policy.pack import Pack, Rule
from bot.services.receipts import ConsentGiven, ReceiptContent, ReceiptView, make_receipt
from bot.services.tickets import Priority, TicketView, open_ticket
from bot.services.views import CustomerRef
from bot.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Declared:
    """The case that a person decides, and the receipt of the statement, which is mailed: the durable medium."""

    ticket: TicketView
    receipt: ReceiptView


def declare(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    decision: Decision,
    decision_id: str,
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> Declared:
    """Put a confirmed statement on record, once for each key. `decision` is the one on record as `decision_id`.

    Raises Conflict for a decision that asks for no statement, or a key that was used for another customer.
    """
    if decision.statement is None:
        raise Conflict("That decision asks for no statement.", decision_id=decision_id)
    rule = pack.rule(decision.rule_id)
    law = rule.law if isinstance(rule, Rule) else None
    named = f"{law.name}, applies from {law.since}" if law else ""
    ticket = open_ticket(
        uow,
        brand=pack.brand.id,
        kind="statement",
        subject=f"{decision.rule_id}: {decision.statement}",
        summary="\n".join(line for line in (decision.statement, *decision.reasons, named) if line),
        customer_id=customer.customer_id,
        contact_email=customer.email,
        conversation_id=conversation_id,
        idempotency_key=f"{key}:statement",
        now=now,
        priority=Priority.HIGH,
        details={"decision_id": decision_id, "rule_id": decision.rule_id, "policy_version": decision.policy_version},
    )
    receipt = make_receipt(
        uow,
        kind="statement",
        brand=pack.brand,
        customer_id=customer.customer_id,
        conversation_id=conversation_id,
        content=ReceiptContent(
            title="Your statement was received",
            what=pack.brand.name,
            done_at=now,
            reference=ticket.reference,
            rule_ids=(decision.rule_id,),
            policy_version=decision.policy_version,
            details=(("Law", named),) if named else (),
            effects=(*decision.reasons, *decision.next_steps),
            consents=(ConsentGiven(decision.statement, now),),
        ),
        idempotency_key=f"{key}:statement:receipt",
        now=now,
    )
    return Declared(ticket, receipt)
