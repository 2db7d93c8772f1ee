"""What use cases hand out: frozen values, no rows, so that nothing outside a transaction can change the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import phonenumbers

from bot.policy.money import Money
from bot.policy.pack import Pack


@dataclass(frozen=True)
class CustomerRef:
    """The customer that a use case acts for, proved by whoever calls it."""

    customer_id: str
    brand: str
    email: str
    name: str


@dataclass(frozen=True)
class CancellationView:
    """A cancellation; `status` is scheduled, effective or undone. Moments are aware UTC."""

    id: str
    reference: str
    subscription_id: str
    status: str
    requested_at: datetime
    effective_at: datetime
    undo_until: datetime | None


@dataclass(frozen=True)
class PauseView:
    """A pause; `status` is scheduled, active, over or undone. Moments are aware UTC, `ended_at` when it did end."""

    id: str
    reference: str
    subscription_id: str
    status: str
    requested_at: datetime
    starts_at: datetime
    resumes_at: datetime
    ended_at: datetime | None

    def is_on(self, now: datetime) -> bool:
        """Whether it is under way at that moment."""
        return self.status in ("scheduled", "active") and self.starts_at <= now < self.resumes_at


@dataclass(frozen=True)
class SubscriptionView:
    """A subscription with its number, if it is one, and its latest cancellation and pause that were not undone."""

    id: str
    account_id: str
    role: str
    product: str
    plan: str
    status: str
    provisioning: str
    price: Money
    interval_months: int
    started_at: datetime
    period_start: datetime
    period_end: datetime
    number: str | None = None
    number_status: str | None = None
    number_id: str | None = None
    cancellation: CancellationView | None = None
    pause: PauseView | None = None

    @property
    def open_pause(self) -> PauseView | None:
        """The pause that is to come or under way."""
        return self.pause if self.pause is not None and self.pause.status in ("scheduled", "active") else None

    @property
    def label(self) -> str:
        """What a customer calls it: the number as people write it, otherwise the plan."""
        return show_number(self.number) if self.number else self.plan


@dataclass(frozen=True)
class NumberView:
    """A phone number of an account that no subscription rents; `number` is E.164, `monthly_fee` None if it has none."""

    id: str
    account_id: str
    number: str
    status: str
    monthly_fee: Money | None

    @property
    def label(self) -> str:
        """The number as people write it."""
        return show_number(self.number)


@dataclass(frozen=True)
class ChargeView:
    """Money taken for an invoice, and what of it went back as money or as credit."""

    id: str
    invoice_id: str
    subscription_id: str | None
    amount: Money
    charged_at: datetime
    refunded: Money
    credited: Money


@dataclass(frozen=True)
class InvoiceView:
    """A bill for one period, with every charge taken for it, oldest first."""

    id: str
    subscription_id: str | None
    amount: Money
    status: str
    period_start: datetime | None
    period_end: datetime | None
    issued_at: datetime
    charges: tuple[ChargeView, ...]


@dataclass(frozen=True)
class RefundView:
    """Money or credit for one charge, given or waiting for approval (then `reference` is the ticket's)."""

    reference: str
    amount: Money
    status: str
    created_at: datetime
    charge_id: str | None
    kind: Literal["refund", "credit", "pending"]
    invoice_id: str | None
    rule_id: str | None


@dataclass(frozen=True)
class InvestigationView:
    """A technical investigation of one number; `number` is E.164."""

    id: str
    ticket_reference: str
    number: str
    status: str
    cause: str
    opened_at: datetime
    closed_at: datetime | None


def called(pack: Pack, subscription: SubscriptionView) -> str:
    """A subscription's label, with its product before a plan's name that says too little alone: `smrtPhone Pro`."""
    product = pack.product(subscription.product)
    if subscription.number or product is None:
        return subscription.label
    title, plan = product.title, subscription.plan
    alone = plan.lower() in title.lower() or title.lower() in plan.lower()
    return plan if alone else f"{title} {plan}"


def show_number(e164: str) -> str:
    """A number as people write it, `+1 415-555-0107`; one that cannot be read is shown as it is."""
    try:
        parsed = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL))
