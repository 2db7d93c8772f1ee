"""Cancelling and undoing it: decided by policy, done once, with its dates on the calendar and a receipt for both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from bot.errors import InvalidInput, NotFound
from bot.ids import new_id
from bot.policy import decide as policy
from bot.policy.dates import Shift, format_date, shift
from bot.policy.decision import CancellationPlan, Decision, Outcome, Request, RequestKind
from bot.policy.pack import Alternative, Consent, Pack
from bot.policy.wording import join_words
from bot.services import accounts, audit, decisions, event_words, lifecycle, numbers, pauses, reminders
from bot.services.facts import collect
from bot.services.receipts import ConsentGiven, ReceiptContent, ReceiptView, make_receipt
from bot.services.rows import lock_accounts_of, roles, row, rows
from bot.services.views import CancellationView, CustomerRef, NumberView, SubscriptionView, called
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_LONGEST_REASON = 1000


@dataclass(frozen=True)
class CancelPreview:
    """What cancelling a subscription now would come to; nothing is recorded. `plan` counts when it is allowed.

    `removal` is the offer to remove numbers first, empty if there is nothing to offer.
    """

    subscription: SubscriptionView
    decision: Decision
    plan: CancellationPlan
    alternatives: tuple[Alternative, ...]
    consents: tuple[Consent, ...]
    removal: tuple[str, ...] = ()


@dataclass(frozen=True)
class CancelledItem:
    """A subscription that was cancelled, as it is now, with what that means."""

    subscription: SubscriptionView
    cancellation: CancellationView
    plan: CancellationPlan


@dataclass(frozen=True)
class CancelResult:
    """What came of a wish to cancel: done now, cancelled before, not possible and why; a receipt for what was done."""

    cancelled: tuple[CancelledItem, ...]
    already: tuple[CancellationView, ...]
    refused: tuple[tuple[SubscriptionView, Decision], ...]
    receipt: ReceiptView | None
    removed: tuple[NumberView, ...] = ()


@dataclass(frozen=True)
class ResumePreview:
    """What resuming a subscription now would come to; `not_undone` says what has happened for good already."""

    subscription: SubscriptionView
    decision: Decision
    not_undone: tuple[str, ...]


@dataclass(frozen=True)
class ResumeResult:
    """What came of a wish to go on: what renews again, and what cannot: why, and by which rule.

    `not_undone` says what has happened for good already; `left_cancelled` was cancelled along and does not come back by
    itself.
    """

    resumed: tuple[SubscriptionView, ...]
    not_possible: tuple[tuple[SubscriptionView, str, str], ...]
    receipt: ReceiptView | None
    not_undone: tuple[str, ...] = ()
    left_cancelled: tuple[SubscriptionView, ...] = ()


def preview(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    subscription_ids: Sequence[str],
    now: datetime,
    remove_numbers: Sequence[str] = (),
) -> list[CancelPreview]:
    """Say what cancelling these would do, to them and to what they take along, if those numbers are removed first.

    Raises NotFound for a subscription that is not theirs.
    """
    found = []
    targets = _targets(uow, pack, customer, subscription_ids)
    leaving = [each.id for each in targets]
    for subscription in targets:
        facts = collect(
            uow,
            pack=pack,
            customer=customer,
            subscription_id=subscription.id,
            leaving=leaving,
            removing=remove_numbers,
            now=now,
        )
        request = _request(pack, RequestKind.CANCEL, subscription, now)
        found.append(
            CancelPreview(
                subscription=subscription,
                decision=policy.decide(pack, facts, request),
                plan=policy.plan_cancellation(pack, facts, request),
                alternatives=policy.alternatives(pack, facts, request),
                consents=policy.consents(pack, facts, request),
                removal=policy.removal_offer(pack, facts, request),
            )
        )
    return found


def cancel(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    subscription_ids: Sequence[str],
    reason_id: str | None,
    reason_text: str | None,
    consents: Sequence[tuple[str, str, str]],
    offers: Sequence[str],
    conversation_id: str | None,
    key: str,
    now: datetime,
    remove_numbers: Sequence[str] = (),
) -> CancelResult:
    """Cancel subscriptions, and what their products take along, once for each key; before that, remove numbers.

    Each gets a decision on record. `consents` are (id, version, wording) as they were agreed to, `offers` the ids of
    the alternatives that were shown. Raises NotFound for a subscription or number that is not theirs, InvalidInput for
    a reason the survey does not have or a consent that is missing; the unit of work must then not be committed.
    """
    if reason_id is not None and reason_id not in {reason.id for reason in pack.cancel.reasons}:
        raise InvalidInput("That is not one of the reasons to choose from.", reason=reason_id)
    lock_accounts_of(uow, customer.customer_id)
    targets = _targets(uow, pack, customer, subscription_ids, key)
    # What this wish had cancelled and was resumed since goes on, whatever is cancelled beside it now.
    leaving = tuple(each.id for each in targets if not (each.status == "active" and _was_decided(uow, key, each.id)))
    removed: tuple[NumberView, ...] = ()
    if remove_numbers:
        _, removed, _ = numbers.take_out(
            uow,
            pack=pack,
            customer=customer,
            number_ids=remove_numbers,
            conversation_id=conversation_id,
            key=key,
            now=now,
        )
    wish = _Wish(uow, pack, customer, RequestKind.CANCEL, conversation_id, key, now, leaving)
    survey = _Survey(reason_id, (reason_text or "")[:_LONGEST_REASON] or None, tuple(consents), tuple(offers))
    cancelled, already, refused = [], [], []
    for subscription in targets:
        decided = wish.decide(subscription)
        if decided.decision.outcome is Outcome.ALLOW:
            cancelled.append(_cancel(wish, subscription, decided, survey))
        elif decided.decision.outcome is Outcome.ALREADY_DONE and subscription.cancellation is not None:
            already.append(subscription.cancellation)
        else:
            refused.append((subscription, decided.decision))
    receipt = _cancel_receipt(wish, cancelled, survey, removed) if cancelled else None
    return CancelResult(tuple(cancelled), tuple(already), tuple(refused), receipt, removed)


def note_kept(
    uow: UnitOfWork,
    *,
    brand: str,
    subscription_ids: Sequence[str],
    reason_id: str | None,
    offers: Sequence[str],
    key: str,
    now: datetime,
) -> None:
    """Put on record that somebody began to cancel and stayed; `offers` are the alternatives they had been shown."""
    audit.record(
        uow,
        actor="bot",
        action="cancellation.kept",
        subject=",".join(subscription_ids) or "subscription",
        data={"brand": brand, "reason": reason_id, "offers": list(offers), "key": key},
        now=now,
    )


def preview_resume(
    uow: UnitOfWork, *, pack: Pack, customer: CustomerRef, subscription_ids: Sequence[str], now: datetime
) -> list[ResumePreview]:
    """Say what undoing these cancellations would come to. Raises NotFound for a subscription that is not theirs."""
    return [
        ResumePreview(
            subscription,
            reminders.may_resume(
                uow,
                pack=pack,
                customer=customer,
                subscription_id=subscription.id,
                product=subscription.product,
                now=now,
            ),
            _not_undone(uow, pack, subscription),
        )
        for subscription in _named(accounts.subscriptions(uow, customer.customer_id), subscription_ids)
    ]


def resume(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    subscription_ids: Sequence[str],
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> ResumeResult:
    """Undo the cancellation of subscriptions, once for each key: what was promised for later is called off.

    One that has ended starts a new period now, if policy allows it; charging for it is the billing system's. Each gets
    a decision on record. Raises NotFound for a subscription that is not theirs.
    """
    lock_accounts_of(uow, customer.customer_id)
    wish = _Wish(uow, pack, customer, RequestKind.RESUME, conversation_id, key, now)
    resumed, not_possible = [], []
    for subscription in _named(accounts.subscriptions(uow, customer.customer_id), subscription_ids):
        decided = wish.decide(subscription)
        if decided.decision.outcome is Outcome.ALLOW:
            resumed.append((_undo(wish, subscription, decided), decided.decision.rule_id))
        else:
            not_possible.append((subscription, " ".join(decided.decision.reasons), decided.decision.rule_id))
    names = {subscription.id for subscription, _ in resumed}
    not_undone = _distinct(line for each, _ in resumed for line in _not_undone(uow, pack, each))
    left = _left_cancelled(wish, [subscription for subscription, _ in resumed], names)
    receipt = _resume_receipt(wish, resumed, not_undone, left) if resumed else None
    views = tuple(subscription for subscription, _ in resumed)
    return ResumeResult(views, tuple(not_possible), receipt, not_undone, left)


def status(uow: UnitOfWork, *, customer_id: str) -> list[CancellationView]:
    """All cancellations in the customer's accounts, newest first."""
    found = rows(
        uow,
        select(t.Cancellation)
        .where(t.Cancellation.account_id.in_(roles(uow, customer_id)))
        .order_by(t.Cancellation.requested_at.desc(), t.Cancellation.reference.desc()),
    )
    return [accounts.cancellation_view(each) for each in found]


# --- deciding --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Survey:
    """What the customer answered on the way; consents are (id, version, wording)."""

    reason_id: str | None
    reason_text: str | None
    consents: tuple[tuple[str, str, str], ...]
    offers: tuple[str, ...]


@dataclass(frozen=True)
class _Decided:
    """A recorded decision; what it leads to is done when it `is_new`, and was done then when it is not."""

    id: str
    decision: Decision
    is_new: bool


@dataclass(frozen=True)
class _Wish:
    """One wish of one customer about several subscriptions."""

    uow: UnitOfWork
    pack: Pack
    customer: CustomerRef
    kind: RequestKind
    conversation_id: str | None
    key: str
    now: datetime
    leaving: tuple[str, ...] = ()  # what ends together, by a wish to cancel

    def decide(self, subscription: SubscriptionView) -> _Decided:
        """Decide about one of them and record it, unless this wish was decided before."""
        key = self.key_of(subscription)
        known = decisions.stored(self.uow, key)
        if known is not None:
            return _Decided(*known, is_new=False)
        facts = collect(
            self.uow,
            pack=self.pack,
            customer=self.customer,
            subscription_id=subscription.id,
            leaving=self.leaving,
            now=self.now,
        )
        request = _request(self.pack, self.kind, subscription, self.now)
        decision = policy.decide(self.pack, facts, request)
        decision_id = decisions.record(
            self.uow,
            pack=self.pack,
            customer=self.customer,
            account_id=subscription.account_id,
            conversation_id=self.conversation_id,
            subject=subscription.id,
            request=request,
            facts=facts,
            decision=decision,
            key=key,
            now=self.now,
        )
        return _Decided(decision_id, decision, is_new=True)

    def key_of(self, subscription: SubscriptionView) -> str:
        """The idempotency key of what is done about one of them."""
        return f"{self.key}:{subscription.id}"

    def as_now(self, subscription: SubscriptionView) -> SubscriptionView:
        """The subscription as it has become."""
        return _named(accounts.subscriptions(self.uow, self.customer.customer_id), [subscription.id])[0]


def _request(pack: Pack, kind: RequestKind, subscription: SubscriptionView, now: datetime) -> Request:
    product = subscription.product if pack.product(subscription.product) else None
    return Request(kind, now, product=product, subscription_id=subscription.id)


def _named(held: Sequence[SubscriptionView], ids: Iterable[str]) -> list[SubscriptionView]:
    by_id = {each.id: each for each in held}
    for subscription_id in ids:
        if subscription_id not in by_id:
            raise NotFound(f"There is no subscription {subscription_id} in this account.")
    return [by_id[subscription_id] for subscription_id in dict.fromkeys(ids)]


def _was_decided(uow: UnitOfWork, key: str, subscription_id: str) -> bool:
    return decisions.stored(uow, f"{key}:{subscription_id}") is not None


def _targets(
    uow: UnitOfWork, pack: Pack, customer: CustomerRef, ids: Sequence[str], key: str | None = None
) -> list[SubscriptionView]:
    """What was named, and what its products take along: what runs in the same account, or did when `key` was new."""
    held = accounts.subscriptions(uow, customer.customer_id)
    targets = {each.id: each for each in _named(held, ids)}
    for target in list(targets.values()):
        product = pack.product(target.product)
        for each in held:
            if product is None or each.product not in product.also_cancels or each.account_id != target.account_id:
                continue
            if each.status == "active" or (key and _was_decided(uow, key, each.id)):
                targets.setdefault(each.id, each)
    return list(targets.values())


# --- doing -----------------------------------------------------------------------------------------------------------


def _cancel(wish: _Wish, subscription: SubscriptionView, decided: _Decided, survey: _Survey) -> CancelledItem:
    uow = wish.uow
    facts, request = decisions.basis(uow, decided.id)
    plan = policy.plan_cancellation(wish.pack, facts, request)
    if decided.is_new:
        _check_consents(policy.consents(wish.pack, facts, request), survey)
        made = _add_cancellation(wish, subscription, decided.id, plan, survey)
        lifecycle.schedule(
            uow,
            cancellation_id=made.id,
            subscription=subscription,
            plan=plan,
            zone=wish.pack.brand.zone,
            now=wish.now,
        )
        _set_renewal(wish, subscription, renews=False)
        pauses.stop(uow, subscription.id, only=("scheduled",), at=wish.now, reason="the subscription was cancelled")
        _note(wish, "cancellation.scheduled", made, decided.decision)
    cancellation = row(uow, select(t.Cancellation).where(t.Cancellation.decision_id == decided.id))
    return CancelledItem(wish.as_now(subscription), accounts.cancellation_view(cancellation), plan)


def _check_consents(required: Iterable[Consent], survey: _Survey) -> None:
    agreed = {(id_, version) for id_, version, _ in survey.consents}
    missing = [consent.id for consent in required if (consent.id, consent.version) not in agreed]
    if missing:
        raise InvalidInput("Cancelling needs an agreement that is missing.", missing=missing)


def _add_cancellation(
    wish: _Wish, subscription: SubscriptionView, decision_id: str, plan: CancellationPlan, survey: _Survey
) -> Any:
    made = t.Cancellation(
        id=new_id("can"),
        reference=f"CAN-{wish.uow.next_number('CAN'):06d}",
        account_id=subscription.account_id,
        subscription_id=subscription.id,
        customer_id=wish.customer.customer_id,
        decision_id=decision_id,
        status="scheduled",
        requested_at=wish.now,
        effective_at=plan.effective_at,
        undo_until=plan.undo_until,
        reason_id=survey.reason_id,
        reason_text=survey.reason_text,
        consents=[
            {"id": id_, "version": version, "wording": wording, "at": wish.now.isoformat()}
            for id_, version, wording in survey.consents
        ],
        offers=list(survey.offers),
        idempotency_key=wish.key_of(subscription),
    )
    wish.uow.add(made)
    return made


def _undo(wish: _Wish, subscription: SubscriptionView, decided: _Decided) -> SubscriptionView:
    if decided.is_new:
        uow, account_id = wish.uow, subscription.account_id
        lifecycle.catch_up(uow, pack=wish.pack, account_id=account_id, now=wish.now)
        cancellation = _latest(uow, subscription.id)
        if cancellation is not None and cancellation.status != "undone":
            cancellation.status = "undone"
            cancellation.undone_at = wish.now
            lifecycle.call_off(uow, cancellation.id, wish.now)
            _note(wish, "cancellation.undone", cancellation, decided.decision)
        _set_renewal(wish, subscription, renews=True)
        _start_again(wish, subscription)
        pauses.wake(uow, subscription.id, now=wish.now, zone=wish.pack.brand.zone)
        lifecycle.call_off_what_is_not_meant(uow, pack=wish.pack, account_id=account_id, now=wish.now)
        _keep_shared_numbers(uow, account_id)
    return wish.as_now(subscription)


def _set_renewal(wish: _Wish, subscription: SubscriptionView, *, renews: bool) -> None:
    """Switch a subscription's renewal, and mark the number it rents as staying or leaving."""
    changes = (
        (t.Subscription, subscription.id, ("not_renewing", "active")),
        (t.PhoneNumber, subscription.number_id, ("releasing", "active")),
    )
    for table, id_, (ending, going_on) in changes:
        before, after = (ending, going_on) if renews else (going_on, ending)
        wish.uow.session.execute(
            update(table)
            .where(table.id == id_, table.status == before)
            .values(status=after)
            .execution_options(synchronize_session=False)
        )


def _start_again(wish: _Wish, subscription: SubscriptionView) -> None:
    """Give a subscription that has ended a new period from now on."""
    ended = row(wish.uow, select(t.Subscription).where(t.Subscription.id == subscription.id))
    if ended.status != "ended":
        return
    ended.status, ended.ended_at = "active", None
    ended.period_start = wish.now
    ended.period_end = shift(wish.now, Shift("now", months=ended.interval_months), wish.pack.brand.zone)
    wish.uow.session.flush()


def _keep_shared_numbers(uow: UnitOfWork, account_id: str) -> None:
    """Numbers of the account that were on their way out and are not promised to go any more stay."""
    promised = select(t.LifecycleEvent.subject_id).where(
        t.LifecycleEvent.account_id == account_id, t.LifecycleEvent.status == "scheduled"
    )
    uow.session.execute(
        update(t.PhoneNumber)
        .where(
            t.PhoneNumber.account_id == account_id,
            t.PhoneNumber.subscription_id.is_(None),
            t.PhoneNumber.status == "releasing",
            t.PhoneNumber.id.not_in(promised),
        )
        .values(status="active")
        .execution_options(synchronize_session=False)
    )


def _not_undone(uow: UnitOfWork, pack: Pack, subscription: SubscriptionView) -> tuple[str, ...]:
    """What a subscription's latest cancellation has led to for good, and which shared numbers were removed since."""
    cancellation = _latest(uow, subscription.id)
    if cancellation is None:
        return ()
    done = rows(
        uow,
        select(t.LifecycleEvent)
        .where(t.LifecycleEvent.cancellation_id == cancellation.id, t.LifecycleEvent.status == "done")
        .order_by(t.LifecycleEvent.due_at, t.LifecycleEvent.id),
    )
    removed: list[Any] = []
    if subscription.number_id is None:
        removed = rows(
            uow,
            select(t.PhoneNumber)
            .where(
                t.PhoneNumber.account_id == subscription.account_id,
                t.PhoneNumber.subscription_id.is_(None),
                t.PhoneNumber.status == "removed",
                t.PhoneNumber.released_at >= cancellation.requested_at,
            )
            .order_by(t.PhoneNumber.e164),
        )
    zone = pack.brand.zone
    return (*event_words.happened(uow, done, zone), *event_words.removed(removed, zone))


def _left_cancelled(
    wish: _Wish, resumed: Sequence[SubscriptionView], names: Iterable[str]
) -> tuple[SubscriptionView, ...]:
    """What the resumed ones had taken along and is still cancelled."""
    products = {name for each in resumed if (p := wish.pack.product(each.product)) for name in p.also_cancels}
    accounts_of = {each.account_id for each in resumed}
    return tuple(
        each
        for each in accounts.subscriptions(wish.uow, wish.customer.customer_id)
        if each.product in products
        and each.account_id in accounts_of
        and each.id not in names
        and each.status in ("not_renewing", "ended")
    )


def _latest(uow: UnitOfWork, subscription_id: str) -> Any:
    """The row of a subscription's latest cancellation, undone or not."""
    wanted = select(t.Cancellation).where(t.Cancellation.subscription_id == subscription_id)
    return row(uow, wanted.order_by(t.Cancellation.requested_at.desc(), t.Cancellation.id.desc()))


def _note(wish: _Wish, action: str, cancellation: Any, decision: Decision) -> None:
    audit.record(
        wish.uow,
        actor="bot",
        action=action,
        subject=cancellation.reference,
        data={"subscription_id": cancellation.subscription_id, "rule_id": decision.rule_id},
        now=wish.now,
    )


# --- receipts --------------------------------------------------------------------------------------------------------


def _cancel_receipt(
    wish: _Wish, items: Sequence[CancelledItem], survey: _Survey, removed: Sequence[NumberView]
) -> ReceiptView:
    moments = {item.plan.effective_at for item in items}
    dates = [
        (called(wish.pack, item.subscription), format_date(item.plan.effective_at, wish.pack.brand.zone))
        for item in items
    ]
    ends = tuple((f"{label} ends", date) for label, date in dates) if len(items) > 1 else ()
    gone = (("Numbers removed", join_words(tuple(number.label for number in removed))),) if removed else ()
    content = ReceiptContent(
        title="Cancellation",
        what=join_words(tuple(called(wish.pack, item.subscription) for item in items)),
        done_at=items[0].cancellation.requested_at,
        reference=", ".join(item.cancellation.reference for item in items),
        rule_ids=_distinct(rule_id for item in items for rule_id in item.plan.rule_ids),
        policy_version=items[0].plan.policy_version,
        effective_at=moments.pop() if len(moments) == 1 else None,
        details=(*ends, *gone),
        effects=_distinct(effect.text for item in items for effect in item.plan.effects),
        undo=_distinct(line for item in items for line in item.plan.undo_says),
        consents=tuple(ConsentGiven(wording, wish.now) for _, _, wording in survey.consents),
    )
    return _make_receipt(wish, "cancellation", content)


def _resume_receipt(
    wish: _Wish,
    resumed: Sequence[tuple[SubscriptionView, str]],
    not_undone: Sequence[str],
    left: Sequence[SubscriptionView],
) -> ReceiptView:
    zone = wish.pack.brand.zone
    content = ReceiptContent(
        title="Cancellation undone",
        what=join_words(tuple(called(wish.pack, subscription) for subscription, _ in resumed)),
        done_at=wish.now,
        reference=", ".join(_latest_reference(wish.uow, subscription) for subscription, _ in resumed),
        rule_ids=_distinct(rule_id for _, rule_id in resumed),
        policy_version=wish.pack.version,
        details=(
            *(
                (
                    f"{called(wish.pack, each)} renews",
                    f"{format_date(each.period_end, zone)} for {each.price.format()}",
                )
                for each, _ in resumed
            ),
            *(("Still cancelled", called(wish.pack, each)) for each in left),
            *(("Not undone", line) for line in not_undone),
        ),
    )
    return _make_receipt(wish, "resumption", content)


def _make_receipt(wish: _Wish, kind: str, content: ReceiptContent) -> ReceiptView:
    return make_receipt(
        wish.uow,
        kind=kind,
        brand=wish.pack.brand,
        customer_id=wish.customer.customer_id,
        conversation_id=wish.conversation_id,
        content=content,
        idempotency_key=f"{wish.key}:receipt",
        now=wish.now,
    )


def _latest_reference(uow: UnitOfWork, subscription: SubscriptionView) -> str:
    cancellation = _latest(uow, subscription.id)
    return str(cancellation.reference if cancellation else subscription.id)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
