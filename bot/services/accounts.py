"""What a customer has: subscriptions, invoices, and money that went back or waits to; only ever their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import bindparam, select

from bot.policy.money import Money
from bot.services import pauses
from bot.services.rows import roles, row, rows
from bot.services.views import CancellationView, ChargeView, InvoiceView, RefundView, SubscriptionView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

HELD = ("active", "releasing")
"""Statuses of a number that the account still has."""
_NEVER = datetime.min.replace(tzinfo=timezone.utc)


_SUBSCRIPTIONS = (
    select(t.Subscription)
    .where(t.Subscription.account_id.in_(bindparam("accounts", expanding=True)))
    .order_by(t.Subscription.started_at, t.Subscription.id)
)
_NUMBERS = select(t.PhoneNumber).where(t.PhoneNumber.subscription_id.in_(bindparam("subscriptions", expanding=True)))
_CANCELLATIONS = (
    select(t.Cancellation)
    .where(
        t.Cancellation.subscription_id.in_(bindparam("subscriptions", expanding=True)),
        t.Cancellation.status != "undone",
    )
    .order_by(t.Cancellation.requested_at, t.Cancellation.id)
)


def subscriptions(uow: UnitOfWork, customer_id: str) -> list[SubscriptionView]:
    """All subscriptions of the customer's accounts, whatever their status, oldest first."""
    return list(uow.remembered(("subscriptions", customer_id), lambda: _subscriptions(uow, customer_id)))


def _subscriptions(uow: UnitOfWork, customer_id: str) -> list[SubscriptionView]:
    own = roles(uow, customer_id)
    found = rows(uow, _SUBSCRIPTIONS, accounts=list(own))
    ids = [subscription.id for subscription in found]
    numbers = _numbers(uow, ids)
    cancellations = _cancellations(uow, ids)
    paused = pauses.latest(uow, ids)
    return [
        SubscriptionView(
            id=each.id,
            account_id=each.account_id,
            role=own[each.account_id],
            product=each.product,
            plan=each.plan,
            status=each.status,
            provisioning=each.provisioning,
            price=Money(each.price_minor, each.currency),
            interval_months=each.interval_months,
            started_at=each.started_at,
            period_start=each.period_start,
            period_end=each.period_end,
            number=numbers[each.id].e164 if each.id in numbers else None,
            number_status=numbers[each.id].status if each.id in numbers else None,
            number_id=numbers[each.id].id if each.id in numbers else None,
            cancellation=cancellations.get(each.id),
            pause=paused.get(each.id),
        )
        for each in found
    ]


def subscription(uow: UnitOfWork, customer_id: str, subscription_id: str) -> SubscriptionView | None:
    """One subscription of the customer; None for an unknown one and for somebody else's alike."""
    return next((each for each in subscriptions(uow, customer_id) if each.id == subscription_id), None)


def invoices(uow: UnitOfWork, customer_id: str, limit: int = 12) -> list[InvoiceView]:
    """The latest invoices of the customer's accounts, newest first."""
    found = rows(
        uow,
        select(t.Invoice)
        .where(t.Invoice.account_id.in_(roles(uow, customer_id)))
        .order_by(t.Invoice.issued_at.desc(), t.Invoice.id.desc())
        .limit(limit),
    )
    return _invoice_views(uow, found)


def find_invoice(uow: UnitOfWork, customer_id: str, invoice_id: str) -> InvoiceView | None:
    """An invoice of the customer; None for an unknown one and for somebody else's alike."""
    own = select(t.Invoice).where(t.Invoice.id == invoice_id, t.Invoice.account_id.in_(roles(uow, customer_id)))
    return next(iter(_invoice_views(uow, rows(uow, own))), None)


def refunds(uow: UnitOfWork, customer_id: str) -> list[RefundView]:
    """Refunds, credits and requests that wait for approval in the customer's accounts, newest first."""
    own = roles(uow, customer_id)
    charges = select(t.Charge.id).where(t.Charge.account_id.in_(own))
    free_credits = rows(uow, select(t.Credit).where(t.Credit.account_id.in_(own), t.Credit.charge_id.is_(None)))
    found = [*remedies(uow, rows(uow, charges)), *(_credit_view(uow, credit) for credit in free_credits)]
    return sorted(found, key=lambda each: (each.created_at, each.reference), reverse=True)


def remedies(uow: UnitOfWork, charge_ids: Iterable[str]) -> list[RefundView]:
    """What was given for these charges or waits for approval, newest first."""
    ids = list(charge_ids)
    given = [
        *(_refund_view(uow, each) for each in rows(uow, select(t.Refund).where(t.Refund.charge_id.in_(ids)))),
        *(_credit_view(uow, each) for each in rows(uow, select(t.Credit).where(t.Credit.charge_id.in_(ids)))),
        *(
            _pending_view(uow, each)
            for each in rows(
                uow, select(t.Approval).where(t.Approval.charge_id.in_(ids), t.Approval.status == "pending")
            )
        ),
    ]
    return sorted(given, key=lambda each: (each.created_at, each.reference), reverse=True)


def given_by(uow: UnitOfWork, decision_id: str) -> RefundView | None:
    """The refund or credit that a decision led to, None if it has led to none."""
    refund = row(uow, select(t.Refund).where(t.Refund.decision_id == decision_id))
    if refund is not None:
        return _refund_view(uow, refund)
    credit = row(uow, select(t.Credit).where(t.Credit.decision_id == decision_id))
    return None if credit is None else _credit_view(uow, credit)


def cancellation_view(cancellation: Any) -> CancellationView:
    """The view of a cancellation's row."""
    return CancellationView(
        id=cancellation.id,
        reference=cancellation.reference,
        subscription_id=cancellation.subscription_id,
        status=cancellation.status,
        requested_at=cancellation.requested_at,
        effective_at=cancellation.effective_at,
        undo_until=cancellation.undo_until,
    )


def number_of(uow: UnitOfWork, subscription_id: str) -> Any:
    """The row of the number that a subscription rents, or rented last; None if it has none."""
    return _numbers(uow, [subscription_id]).get(subscription_id)


def _numbers(uow: UnitOfWork, subscription_ids: list[str]) -> dict[str, Any]:
    found = rows(uow, _NUMBERS, subscriptions=subscription_ids)
    # Of several, the one still held counts, and otherwise the one that came last: the last in this order is kept.
    found.sort(key=lambda each: (each.status in HELD, each.activated_at or _NEVER, each.id))
    return {number.subscription_id: number for number in found}


def _cancellations(uow: UnitOfWork, subscription_ids: list[str]) -> dict[str, CancellationView]:
    found = rows(uow, _CANCELLATIONS, subscriptions=subscription_ids)
    return {each.subscription_id: cancellation_view(each) for each in found}


def _invoice_views(uow: UnitOfWork, found: list[Any]) -> list[InvoiceView]:
    charges: dict[str, list[ChargeView]] = defaultdict(list)
    subscription_of = {invoice.id: invoice.subscription_id for invoice in found}
    query = select(t.Charge).where(t.Charge.invoice_id.in_(list(subscription_of)))
    for charge in rows(uow, query.order_by(t.Charge.charged_at, t.Charge.id)):
        charges[charge.invoice_id].append(
            ChargeView(
                id=charge.id,
                invoice_id=charge.invoice_id,
                subscription_id=subscription_of[charge.invoice_id],
                amount=Money(charge.amount_minor, charge.currency),
                charged_at=charge.charged_at,
                refunded=Money(charge.refunded_minor, charge.currency),
                credited=Money(charge.credited_minor, charge.currency),
            )
        )
    return [
        InvoiceView(
            id=invoice.id,
            subscription_id=invoice.subscription_id,
            amount=Money(invoice.amount_minor, invoice.currency),
            status=invoice.status,
            period_start=invoice.period_start,
            period_end=invoice.period_end,
            issued_at=invoice.issued_at,
            charges=tuple(charges[invoice.id]),
        )
        for invoice in found
    ]


def _refund_view(uow: UnitOfWork, refund: Any) -> RefundView:
    return RefundView(
        reference=refund.reference,
        amount=Money(refund.amount_minor, refund.currency),
        status=refund.status,
        created_at=refund.created_at,
        charge_id=refund.charge_id,
        kind="refund",
        invoice_id=_invoice_id(uow, refund.charge_id),
        rule_id=_rule_id(uow, refund.decision_id),
    )


def _credit_view(uow: UnitOfWork, credit: Any) -> RefundView:
    return RefundView(
        reference=credit.reference,
        amount=Money(credit.amount_minor, credit.currency),
        status="issued",
        created_at=credit.created_at,
        charge_id=credit.charge_id,
        kind="credit",
        invoice_id=_invoice_id(uow, credit.charge_id),
        rule_id=_rule_id(uow, credit.decision_id),
    )


def _pending_view(uow: UnitOfWork, approval: Any) -> RefundView:
    ticket = row(uow, select(t.Ticket).where(t.Ticket.id == approval.ticket_id))
    return RefundView(
        reference=ticket.reference if ticket else "",
        amount=Money(approval.amount_minor, approval.currency),
        status="pending",
        created_at=approval.created_at,
        charge_id=approval.charge_id,
        kind="pending",
        invoice_id=_invoice_id(uow, approval.charge_id),
        rule_id=_rule_id(uow, approval.decision_id),
    )


def _invoice_id(uow: UnitOfWork, charge_id: str | None) -> str | None:
    found: str | None = row(uow, select(t.Charge.invoice_id).where(t.Charge.id == charge_id))
    return found


def _rule_id(uow: UnitOfWork, decision_id: str | None) -> str | None:
    found: str | None = row(uow, select(t.Decision.rule_id).where(t.Decision.id == decision_id))
    return found
