"""Pausing a subscription and ending a pause early: decided by policy, done once, with its dates and a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from bot.errors import Conflict, InvalidInput, NotFound
from bot.ids import new_id
from bot.policy import decide as policy
from bot.policy.dates import format_date
from bot.policy.decision import Decision, Outcome, PausePlan, Request, RequestKind
from bot.policy.facts import Facts
from bot.policy.pack import Pack, PauseLength
from bot.services import accounts, audit, decisions, lifecycle, pauses
from bot.services.facts import collect
from bot.services.receipts import ReceiptContent, ReceiptView, make_receipt, receipt_with_key
from bot.services.rows import lock_accounts_of, row
from bot.services.views import CustomerRef, PauseView, SubscriptionView, called
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class PausePreview:
    """What pausing a subscription now for that long would come to; nothing is recorded. `plan` counts if allowed."""

    subscription: SubscriptionView
    decision: Decision
    length: PauseLength
    plan: PausePlan


@dataclass(frozen=True)
class PauseResult:
    """What came of a wish to pause or to end a pause: the pause as it is, or why not; a receipt for what was done."""

    subscription: SubscriptionView
    decision: Decision
    pause: PauseView | None
    receipt: ReceiptView | None


def preview(
    uow: UnitOfWork, *, pack: Pack, customer: CustomerRef, subscription_id: str, length_id: str, now: datetime
) -> PausePreview:
    """Say what pausing it would do. Raises NotFound for one that is not theirs, InvalidInput for an unknown length."""
    subscription, length = _owned(uow, customer, subscription_id), _length(pack, length_id)
    facts = _facts(uow, pack, customer, subscription, length, now)
    request = _request(pack, RequestKind.PAUSE, subscription, now)
    return PausePreview(
        subscription,
        policy.decide(pack, facts, request),
        length,
        policy.plan_pause(pack, facts, request, length),
    )


def pause(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    subscription_id: str,
    length_id: str,
    instead_of_cancelling: bool,
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> PauseResult:
    """Pause a subscription, once for each key, with a decision on record.

    Raises NotFound for one that is not theirs, InvalidInput for a length that the pack does not have.
    """
    lock_accounts_of(uow, customer.customer_id)
    length = _length(pack, length_id)
    subscription = _owned(uow, customer, subscription_id)
    known = decisions.stored(uow, key)
    if known is not None:
        return _as_then(uow, customer, subscription, known, f"{key}:receipt")
    lifecycle.catch_up(uow, pack=pack, account_id=subscription.account_id, now=now)
    subscription = _owned(uow, customer, subscription_id)
    facts = _facts(uow, pack, customer, subscription, length, now)
    request = _request(pack, RequestKind.PAUSE, subscription, now)
    decision = policy.decide(pack, facts, request)
    decision_id = _record(uow, pack, customer, conversation_id, subscription, request, facts, decision, key)
    if decision.outcome is not Outcome.ALLOW:
        return PauseResult(subscription, decision, subscription.open_pause, None)
    plan = policy.plan_pause(pack, facts, request, length)
    made = t.Pause(
        id=new_id("pau"),
        reference=f"PAU-{uow.next_number('PAU'):06d}",
        account_id=subscription.account_id,
        subscription_id=subscription.id,
        customer_id=customer.customer_id,
        decision_id=decision_id,
        status="scheduled",
        length_id=length.id,
        requested_at=now,
        starts_at=plan.starts_at,
        resumes_at=plan.resumes_at,
        instead_of_cancelling=instead_of_cancelling,
        idempotency_key=key,
    )
    uow.add(made)
    lifecycle.schedule_pause(uow, made, zone=pack.brand.zone, now=now)
    lifecycle.catch_up(uow, pack=pack, account_id=subscription.account_id, now=now)
    _note(uow, "pause.scheduled", made.reference, subscription, decision, now)
    zone = pack.brand.zone
    content = ReceiptContent(
        title="Pause",
        what=called(pack, subscription),
        done_at=now,
        reference=made.reference,
        rule_ids=(decision.rule_id, *plan.rule_ids) if decision.rule_id not in plan.rule_ids else plan.rule_ids,
        policy_version=plan.policy_version,
        effective_at=plan.starts_at,
        details=(("Runs again", format_date(plan.resumes_at, zone)),),
        effects=plan.says,
        undo=("You can end the pause at any time: tell us in the chat.",),
    )
    receipt = _receipt(uow, pack, customer, conversation_id, "pause", content, f"{key}:receipt", now)
    return PauseResult(_owned(uow, customer, subscription_id), decision, pauses.view(made), receipt)


def preview_end(
    uow: UnitOfWork, *, pack: Pack, customer: CustomerRef, subscription_id: str, now: datetime
) -> tuple[SubscriptionView, Decision]:
    """Say whether the pause of a subscription can be ended now. Raises NotFound for one that is not theirs."""
    subscription = _owned(uow, customer, subscription_id)
    facts = collect(uow, pack=pack, customer=customer, subscription_id=subscription.id, now=now)
    return subscription, policy.decide(pack, facts, _request(pack, RequestKind.RESUME, subscription, now))


def end(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    subscription_id: str,
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> PauseResult:
    """End a pause early, or call off one that has not begun, once for each key, with a decision on record.

    Raises NotFound for a subscription that is not theirs, Conflict for one without a pause.
    """
    lock_accounts_of(uow, customer.customer_id)
    subscription = _owned(uow, customer, subscription_id)
    known = decisions.stored(uow, key)
    if known is not None:
        return _as_then(uow, customer, subscription, known, f"{key}:receipt")
    lifecycle.catch_up(uow, pack=pack, account_id=subscription.account_id, now=now)
    open_one = row(
        uow, select(t.Pause).where(t.Pause.subscription_id == subscription.id, t.Pause.status.in_(pauses.OPEN))
    )
    if open_one is None:
        raise Conflict("That subscription is not paused.")
    subscription, decision = preview_end(uow, pack=pack, customer=customer, subscription_id=subscription_id, now=now)
    request = _request(pack, RequestKind.RESUME, subscription, now)
    facts = collect(uow, pack=pack, customer=customer, subscription_id=subscription.id, now=now)
    _record(uow, pack, customer, conversation_id, subscription, request, facts, decision, key)
    if decision.outcome is not Outcome.ALLOW:
        return PauseResult(subscription, decision, pauses.view(open_one), None)
    if open_one.status == "scheduled":
        open_one.status, open_one.ended_at = "undone", now
        uow.session.flush()
    else:
        pauses.end(uow, open_one, at=now, zone=pack.brand.zone)
    pauses.call_off(uow, open_one.id, reason="the customer ended it", now=now)
    _note(uow, "pause.ended", open_one.reference, subscription, decision, now)
    subscription = _owned(uow, customer, subscription_id)
    content = ReceiptContent(
        title="Pause ended" if open_one.status == "over" else "Pause called off",
        what=called(pack, subscription),
        done_at=now,
        reference=open_one.reference,
        rule_ids=(decision.rule_id,),
        policy_version=decision.policy_version,
        details=(
            (
                "Renews",
                f"{format_date(subscription.period_end, pack.brand.zone)} for {subscription.price.format()}",
            ),
        ),
    )
    receipt = _receipt(uow, pack, customer, conversation_id, "pause_ended", content, f"{key}:receipt", now)
    return PauseResult(subscription, decision, pauses.view(open_one), receipt)


# --- parts -----------------------------------------------------------------------------------------------------------


def _owned(uow: UnitOfWork, customer: CustomerRef, subscription_id: str) -> SubscriptionView:
    found = accounts.subscription(uow, customer.customer_id, subscription_id)
    if found is None:
        raise NotFound(f"There is no subscription {subscription_id} in this account.")
    return found


def _length(pack: Pack, length_id: str) -> PauseLength:
    lengths = pack.pause.lengths if pack.pause else ()
    found = next((each for each in lengths if each.id == length_id), None)
    if found is None:
        raise InvalidInput("A pause cannot be that long.", length=length_id, known=[each.id for each in lengths])
    return found


def _facts(
    uow: UnitOfWork,
    pack: Pack,
    customer: CustomerRef,
    subscription: SubscriptionView,
    length: PauseLength,
    now: datetime,
) -> Facts:
    extra = {"pause_months": length.months}
    return collect(uow, pack=pack, customer=customer, subscription_id=subscription.id, now=now, extra=extra)


def _request(pack: Pack, kind: RequestKind, subscription: SubscriptionView, now: datetime) -> Request:
    product = subscription.product if pack.product(subscription.product) else None
    return Request(kind, now, product=product, subscription_id=subscription.id)


def _record(
    uow: UnitOfWork,
    pack: Pack,
    customer: CustomerRef,
    conversation_id: str | None,
    subscription: SubscriptionView,
    request: Request,
    facts: Facts,
    decision: Decision,
    key: str,
) -> str:
    return decisions.record(
        uow,
        pack=pack,
        customer=customer,
        account_id=subscription.account_id,
        conversation_id=conversation_id,
        subject=subscription.id,
        request=request,
        facts=facts,
        decision=decision,
        key=key,
        now=request.now,
    )


def _as_then(
    uow: UnitOfWork,
    customer: CustomerRef,
    subscription: SubscriptionView,
    known: tuple[str, Decision],
    receipt_key: str,
) -> PauseResult:
    """What a wish that was decided before led to, with its receipt."""
    decision_id, decision = known
    if uow.get(t.Decision, decision_id).customer_id != customer.customer_id:
        raise Conflict("That key was already used for another decision.")
    made = row(uow, select(t.Pause).where(t.Pause.decision_id == decision_id))
    pause_then = pauses.view(made) if made is not None else subscription.pause
    return PauseResult(subscription, decision, pause_then, receipt_with_key(uow, receipt_key))


def _note(
    uow: UnitOfWork, action: str, reference: str, subscription: SubscriptionView, decision: Decision, now: datetime
) -> None:
    data = {"subscription_id": subscription.id, "rule_id": decision.rule_id}
    audit.record(uow, actor="bot", action=action, subject=reference, data=data, now=now)


def _receipt(
    uow: UnitOfWork,
    pack: Pack,
    customer: CustomerRef,
    conversation_id: str | None,
    kind: str,
    content: ReceiptContent,
    key: str,
    now: datetime,
) -> ReceiptView:
    return make_receipt(
        uow,
        kind=kind,
        brand=pack.brand,
        customer_id=customer.customer_id,
        conversation_id=conversation_id,
        content=content,
        idempotency_key=key,
        now=now,
    )
