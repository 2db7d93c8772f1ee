"""Numbers that belong to an account rather than to a subscription: shown, and removed when the customer wants that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from bot.errors import InvalidInput, NotFound
from bot.policy import decide as policy
from bot.policy.decision import Decision, EventKind, Outcome, Request, RequestKind
from bot.policy.facts import Facts
from bot.policy.money import Money
from bot.policy.pack import Pack
from bot.policy.wording import join_words
from bot.services import accounts, audit, decisions, lifecycle
from bot.services.facts import collect
from bot.services.receipts import ReceiptContent, ReceiptView, make_receipt
from bot.services.rows import lock_accounts_of, roles, rows
from bot.services.views import CustomerRef, NumberView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class RemovalResult:
    """What came of a wish to remove numbers; those in `already` had left the account before."""

    decision: Decision
    removed: tuple[NumberView, ...]
    already: tuple[NumberView, ...]
    receipt: ReceiptView | None


def held(uow: UnitOfWork, customer_id: str) -> list[NumberView]:
    """The numbers that the customer's accounts hold and no subscription rents, in the order of the numbers."""
    return [_view(uow, number) for number in _own(uow, customer_id) if number.status in accounts.HELD]


def preview(
    uow: UnitOfWork, *, pack: Pack, customer: CustomerRef, number_ids: Sequence[str], now: datetime
) -> Decision:
    """Say whether these numbers may be removed; nothing is recorded. Raises NotFound for one that is not theirs."""
    facts, request = _ask(uow, pack, customer, _named(uow, customer, number_ids), now)
    return policy.decide(pack, facts, request)


def remove(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    number_ids: Sequence[str],
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> RemovalResult:
    """Remove numbers at once and for good if policy allows it, once for each key, with a receipt.

    Their release and the fees that nobody owes any more are called off. Raises NotFound for a number that is not
    theirs, InvalidInput for none at all or for numbers of several accounts.
    """
    lock_accounts_of(uow, customer.customer_id)
    decision, removed, already = take_out(
        uow,
        pack=pack,
        customer=customer,
        number_ids=number_ids,
        conversation_id=conversation_id,
        key=key,
        now=now,
    )
    receipt = None
    if removed:
        receipt = make_receipt(
            uow,
            kind="numbers_removed",
            brand=pack.brand,
            customer_id=customer.customer_id,
            conversation_id=conversation_id,
            content=ReceiptContent(
                title="Numbers removed",
                what=join_words(tuple(number.label for number in removed)),
                done_at=now,
                reference=removed[0].account_id,
                rule_ids=(decision.rule_id,),
                policy_version=decision.policy_version,
                effects=decision.reasons,
            ),
            idempotency_key=f"{key}:receipt",
            now=now,
        )
    return RemovalResult(decision, removed, already, receipt)


def take_out(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    number_ids: Sequence[str],
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> tuple[Decision, tuple[NumberView, ...], tuple[NumberView, ...]]:
    """`remove` within a larger change that holds the accounts and makes the receipt: the decision, what went, what had.

    The same key again returns the same.
    """
    numbers = _named(uow, customer, number_ids)
    account_id = str(numbers[0].account_id)
    before = {number.id for number in numbers if number.status not in accounts.HELD}
    known = decisions.stored(uow, f"{key}:numbers")
    if known is None:
        facts, request = _ask(uow, pack, customer, numbers, now)
        decision = policy.decide(pack, facts, request)
        decisions.record(
            uow,
            pack=pack,
            customer=customer,
            account_id=account_id,
            conversation_id=conversation_id,
            subject=account_id,
            request=request,
            facts=facts,
            decision=decision,
            key=f"{key}:numbers",
            now=now,
        )
        if decision.outcome is Outcome.ALLOW:
            _remove(uow, [number for number in numbers if number.id not in before], decision, key, now)
    else:
        decision = known[1]
        before = {number.id for number in numbers if not _was_removed_by(uow, number, key)}
    views = [_view(uow, number) for number in numbers]
    if decision.outcome is not Outcome.ALLOW:
        return decision, (), tuple(view for view in views if view.id in before and view.status not in accounts.HELD)
    return decision, tuple(v for v in views if v.id not in before), tuple(v for v in views if v.id in before)


def _remove(uow: UnitOfWork, numbers: Sequence[Any], decision: Decision, key: str, now: datetime) -> None:
    for number in numbers:
        number.status = "removed"
        number.released_at = now
        lifecycle.call_off_about(
            uow, kind=EventKind.RELEASE_NUMBER, subject_id=number.id, reason="the number was removed", now=now
        )
        audit.record(
            uow,
            actor="bot",
            action="number.removed",
            subject=number.id,
            data={"rule_id": decision.rule_id, "key": key},
            now=now,
        )
    for account_id in {number.account_id for number in numbers}:
        if not any(number.monthly_fee_minor for number in _shared(uow, [account_id]) if number.status in accounts.HELD):
            lifecycle.call_off_about(
                uow, kind=EventKind.TAKE_NUMBER_FEES, subject_id=account_id, reason="no number is left", now=now
            )


def _was_removed_by(uow: UnitOfWork, number: Any, key: str) -> bool:
    """Whether it was this very wish that removed the number."""
    lines = select(t.AuditLog).where(t.AuditLog.action == "number.removed", t.AuditLog.subject == number.id)
    return any(line.data.get("key") == key for line in rows(uow, lines))


def _ask(
    uow: UnitOfWork, pack: Pack, customer: CustomerRef, numbers: Sequence[Any], now: datetime
) -> tuple[Facts, Request]:
    """The facts and the request; a subscription of the account that still runs stands for the account."""
    account_id = numbers[0].account_id
    subscriptions = [s for s in accounts.subscriptions(uow, customer.customer_id) if s.account_id == account_id]
    running = [each for each in subscriptions if each.status in ("active", "not_renewing")]
    subject = next(iter(running or subscriptions), None)
    facts = collect(
        uow,
        pack=pack,
        customer=customer,
        subscription_id=subject.id if subject else None,
        now=now,
        extra={"chosen_numbers": [_view(uow, number).label for number in numbers]},
    )
    return facts, Request(RequestKind.REMOVE_NUMBERS, now, subscription_id=subject.id if subject else None)


def _named(uow: UnitOfWork, customer: CustomerRef, ids: Sequence[str]) -> list[Any]:
    by_id = {number.id: number for number in _own(uow, customer.customer_id)}
    for number_id in ids:
        if number_id not in by_id:
            raise NotFound("There is no such number in this account.")
    chosen = [by_id[number_id] for number_id in dict.fromkeys(ids)]
    if len({number.account_id for number in chosen}) != 1:
        raise InvalidInput("Choose at least one number, and numbers of one account only.")
    return sorted(chosen, key=lambda number: str(number.e164))


def _own(uow: UnitOfWork, customer_id: str) -> list[Any]:
    return _shared(uow, list(roles(uow, customer_id)))


def _shared(uow: UnitOfWork, account_ids: Sequence[str]) -> list[Any]:
    wanted = select(t.PhoneNumber).where(
        t.PhoneNumber.account_id.in_(account_ids), t.PhoneNumber.subscription_id.is_(None)
    )
    return rows(uow, wanted.order_by(t.PhoneNumber.e164, t.PhoneNumber.id))


def _view(uow: UnitOfWork, number: Any) -> NumberView:
    wallet = uow.session.execute(select(t.Wallet.currency).where(t.Wallet.account_id == number.account_id)).scalar()
    fee = Money(number.monthly_fee_minor, wallet) if wallet and number.monthly_fee_minor else None
    return NumberView(number.id, number.account_id, number.e164, number.status, fee)
