"""Asking for money back: the ledger and the logs are looked at, policy decides, and what it decides is done once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bot.errors import Conflict, NotFound
from bot.policy.decide import decide
from bot.policy.decision import Approval, Decision, Matter, Outcome, Request, RequestKind
from bot.policy.pack import Pack, Rule
from bot.services import accounts, approvals, audit, decisions, payouts
from bot.services.facts import Gathered, gather, restorable_number
from bot.services.receipts import ReceiptContent, ReceiptView, make_receipt
from bot.services.rows import lock_accounts_of
from bot.services.tickets import TicketView
from bot.services.views import CustomerRef, RefundView, SubscriptionView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_CHARGES_OF_MATTER: Mapping[Matter, tuple[str, ...]] = MappingProxyType(
    {
        Matter.DUPLICATE_CHARGE: ("duplicate", "wrong"),
        Matter.MISSING_NUMBER: ("invoice",),
        Matter.GENERAL: ("duplicate", "wrong", "invoice", "latest"),
    }
)
"""Which charge a matter is about where the rule names none; for all others the latest period's."""


@dataclass(frozen=True)
class RefundResult:
    """What was decided and done about money.

    `refund` was given now, `approval_ticket` waits for a person, `existing` was given or asked for before, `restored`
    is the subscription whose number is there now; at most one of them, with a receipt for what was done.
    """

    decision: Decision
    decision_id: str
    refund: RefundView | None = None
    restored: SubscriptionView | None = None
    approval_ticket: TicketView | None = None
    existing: RefundView | None = None
    receipt: ReceiptView | None = None


def preview(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    matter: Matter,
    subscription_id: str | None = None,
    invoice_id: str | None = None,
    now: datetime,
) -> Decision:
    """Say what asking for money back would come to; nothing is recorded or done. Raises what `request` raises."""
    return _decide(
        uow,
        pack=pack,
        customer=customer,
        matter=matter,
        subscription_id=subscription_id,
        invoice_id=invoice_id,
        now=now,
        extra=None,
    )[2]


def request(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    matter: Matter,
    subscription_id: str | None = None,
    invoice_id: str | None = None,
    conversation_id: str | None,
    key: str,
    now: datetime,
    extra: Mapping[str, Any] | None = None,
) -> RefundResult:
    """Ask for money back, once for each key: decide from the store's facts, put it on record, do what it says.

    `extra` are facts only the conversation knows, such as a test SMS. An invoice that is not theirs is a fact of the
    decision, a subscription that is not theirs raises NotFound.
    """
    lock_accounts_of(uow, customer.customer_id)
    case = _Case(uow, pack, customer, conversation_id, key, now)
    known = decisions.stored(uow, key)
    if known is not None:
        return _act(case, *known, uow.get(t.Decision, known[0]).subject)
    gathered, asked, decision = _decide(
        uow,
        pack=pack,
        customer=customer,
        matter=matter,
        subscription_id=subscription_id,
        invoice_id=invoice_id,
        now=now,
        extra=extra,
    )
    subject = _subject(uow, pack, decision, matter, gathered) or invoice_id
    decision_id = decisions.record(
        uow,
        pack=pack,
        customer=customer,
        account_id=gathered.account_id,
        conversation_id=conversation_id,
        subject=subject,
        request=asked,
        facts=gathered.facts,
        decision=decision,
        key=key,
        now=now,
    )
    return _act(case, decision_id, decision, subject)


@dataclass(frozen=True)
class _Case:
    """One request for money."""

    uow: UnitOfWork
    pack: Pack
    customer: CustomerRef
    conversation_id: str | None
    key: str
    now: datetime


def _decide(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    matter: Matter,
    subscription_id: str | None,
    invoice_id: str | None,
    now: datetime,
    extra: Mapping[str, Any] | None,
) -> tuple[Gathered, Request, Decision]:
    if subscription_id is not None and accounts.subscription(uow, customer.customer_id, subscription_id) is None:
        raise NotFound(f"There is no subscription {subscription_id} in this account.")
    gathered = gather(
        uow,
        pack=pack,
        customer=customer,
        subscription_id=subscription_id,
        invoice_id=invoice_id,
        now=now,
        extra=extra,
    )
    asked = _request(pack, matter, gathered.subscription, now)
    return gathered, asked, decide(pack, gathered.facts, asked)


def _request(pack: Pack, matter: Matter, subscription: SubscriptionView | None, now: datetime) -> Request:
    if subscription is None:
        return Request(RequestKind.REFUND, now, matter=matter)
    product = subscription.product if pack.product(subscription.product) else None
    return Request(RequestKind.REFUND, now, matter=matter, product=product, subscription_id=subscription.id)


def _subject(uow: UnitOfWork, pack: Pack, decision: Decision, matter: Matter, gathered: Gathered) -> str | None:
    """What the decision is about: the charge when it pays or has paid, otherwise the subscription."""
    about_a_charge = decision.outcome.pays or decision.outcome is Outcome.ALREADY_DONE
    if about_a_charge:
        rule = pack.rule(decision.rule_id)
        named = rule.charge if isinstance(rule, Rule) else None
        names = (named,) if named else _CHARGES_OF_MATTER.get(matter, ("latest",))
        found = [gathered.charges[name] for name in names if name in gathered.charges]
        given = accounts.remedies(uow, found) if decision.outcome is Outcome.ALREADY_DONE else []
        if given and given[0].charge_id:
            return given[0].charge_id
        if found:
            return found[0]
    return gathered.subscription.id if gathered.subscription else None


def _act(case: _Case, decision_id: str, decision: Decision, subject: str | None) -> RefundResult:
    """Do what the decision says; done before, it is shown again."""
    result = RefundResult(decision, decision_id)
    if decision.outcome.pays:
        return _pay(case, decision_id, decision, subject)
    if decision.outcome is Outcome.RESTORE and subject is not None:
        return _restore(case, decision_id, decision, subject)
    if decision.outcome is Outcome.ALREADY_DONE and subject is not None:
        existing = accounts.remedies(case.uow, [subject])
        return RefundResult(decision, decision_id, existing=existing[0] if existing else None)
    return result


def _pay(case: _Case, decision_id: str, decision: Decision, charge_id: str | None) -> RefundResult:
    if charge_id is None:
        raise Conflict("A decision to pay names no charge.", decision_id=decision_id)
    shared: dict[str, Any] = {
        "pack": case.pack,
        "customer": case.customer,
        "charge_id": charge_id,
        "decision_id": decision_id,
        "decision": decision,
        "conversation_id": case.conversation_id,
        "key": case.key,
        "now": case.now,
    }
    given = accounts.given_by(case.uow, decision_id)
    automatic = decision.outcome is not Outcome.REFUND_OR_CREDIT and decision.approval is Approval.NONE
    choice: payouts.Choice = "credit" if decision.outcome is Outcome.CREDIT else "refund"
    # A charge has one refund. What the policy adds after a partial one is left to a person, who can give credit.
    if automatic and (given is not None or not payouts.had(case.uow, charge_id, choice)):
        refund, receipt = payouts.give(case.uow, choice=choice, actor="bot", **shared)
        return RefundResult(decision, decision_id, refund=refund, receipt=receipt)
    return RefundResult(decision, decision_id, approval_ticket=approvals.ask(case.uow, **shared))


def _restore(case: _Case, decision_id: str, decision: Decision, subscription_id: str) -> RefundResult:
    """Give the number whose set-up failed to its subscription."""
    uow = case.uow
    number = restorable_number(uow, subscription_id)
    if number is not None:
        number.status = "active"
        number.activated_at = case.now
        subscription = uow.get(t.Subscription, subscription_id)
        subscription.status = "active"
        subscription.provisioning = "ok"
        uow.session.flush()
        audit.record(
            uow,
            actor="bot",
            action="number.restored",
            subject=number.id,
            data={"subscription_id": subscription_id, "rule_id": decision.rule_id, "decision_id": decision_id},
            now=case.now,
        )
    restored = accounts.subscription(uow, case.customer.customer_id, subscription_id)
    if restored is None:
        raise NotFound(f"There is no subscription {subscription_id} in this account.")
    receipt = make_receipt(
        uow,
        kind="restoration",
        brand=case.pack.brand,
        customer_id=case.customer.customer_id,
        conversation_id=case.conversation_id,
        content=ReceiptContent(
            title="Number set up",
            what=restored.label,
            done_at=case.now,
            reference=subscription_id,
            rule_ids=(decision.rule_id,),
            policy_version=decision.policy_version,
        ),
        idempotency_key=f"{case.key}:receipt",
        now=case.now,
    )
    return RefundResult(decision, decision_id, restored=restored, receipt=receipt)
