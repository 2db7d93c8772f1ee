"""Scheduled messages that will never be sent: credited to the wallet on a cancellation's date, as the pack decides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.policy import decide as policy
from bot.policy.decision import Approval, Decision, Matter, Outcome, Request, RequestKind
from bot.policy.pack import Pack
from bot.services import approvals, decisions, payouts
from bot.services.facts import gather
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork


def credit(uow: UnitOfWork, *, pack: Pack, event: Any, now: datetime) -> Mapping[str, Any]:
    """Decide what is due for unsent messages as of the event's date, put it on record and give it, once for each event.

    Amounts above the pack's limits wait for a person. Returns what came of it, for the event's result.
    """
    cancellation = uow.get(t.Cancellation, event.cancellation_id)
    who = uow.get(t.Customer, cancellation.customer_id)
    customer = CustomerRef(who.id, who.brand, who.email, who.name)
    key = f"event:{event.id}"
    decision_id, decision = decisions.stored(uow, key) or _decide(uow, pack, customer, cancellation, event, key, now)
    result = {
        "decision_id": decision_id,
        "rule_id": decision.rule_id,
        "outcome": decision.outcome.value,
        "amount_minor": decision.amount,
        "currency": decision.currency,
    }
    if not decision.outcome.pays:
        return result
    shared: dict[str, Any] = {
        "pack": pack,
        "customer": customer,
        "decision_id": decision_id,
        "decision": decision,
        "conversation_id": None,
        "key": key,
        "now": now,
    }
    if decision.outcome is Outcome.CREDIT and decision.approval is Approval.NONE:
        given, _ = payouts.credit_unsent(uow, actor="system", **shared)
        return {**result, "credited": given.reference}
    ticket = approvals.ask(uow, charge_id=None, **shared)
    return {**result, "waits_for": ticket.reference}


def _decide(
    uow: UnitOfWork, pack: Pack, customer: CustomerRef, cancellation: Any, event: Any, key: str, now: datetime
) -> tuple[str, Decision]:
    known = gather(uow, pack=pack, customer=customer, subscription_id=cancellation.subscription_id, now=event.due_at)
    product = known.subscription.product if known.subscription else None
    request = Request(
        RequestKind.REFUND,
        event.due_at,
        matter=Matter.UNSENT_MESSAGES,
        product=product if product is not None and pack.product(product) else None,
        subscription_id=cancellation.subscription_id,
    )
    decision = policy.decide(pack, known.facts, request)
    decision_id = decisions.record(
        uow,
        pack=pack,
        customer=customer,
        account_id=event.account_id,
        conversation_id=None,
        subject=cancellation.subscription_id,
        request=request,
        facts=known.facts,
        decision=decision,
        key=key,
        now=now,
    )
    return decision_id, decision
