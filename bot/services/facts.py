"""What the store knows for one decision: the facts, and which rows they speak about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import bindparam, func, select

from bot.policy.decision import EventKind
from bot.policy.facts import Facts
from bot.policy.pack import Pack, Target
from bot.services import accounts, pauses
from bot.services.account_facts import Circle, account_facts
from bot.services.belongings import belonging_facts, family_facts
from bot.services.rows import roles, row, rows
from bot.services.views import CustomerRef, SubscriptionView, show_number
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_NUMBER_STATUS = MappingProxyType(
    {
        "active": "active",
        "releasing": "releasing",
        "released": "released",
        "removed": "released",
        "ported_out": "none",
        "provisioning_failed": "provisioning_failed",
    }
)
"""The fact `number_status` for each status of a number's row."""


# Asked for every decision, so made once.
_INVOICES = select(t.Invoice).where(t.Invoice.account_id.in_(bindparam("accounts", expanding=True)))
_CHARGES = (
    select(t.Charge)
    .where(t.Charge.account_id.in_(bindparam("accounts", expanding=True)))
    .order_by(t.Charge.charged_at, t.Charge.id)
)
_CREDITED = select(t.Credit.charge_id).where(t.Credit.charge_id.in_(bindparam("charges", expanding=True)))
_REFUNDED = select(t.Refund).where(t.Refund.charge_id.in_(bindparam("charges", expanding=True)))
_ACCOUNT = select(t.Account).where(t.Account.id == bindparam("account"))
_LAST_CANCELLATION = (
    select(t.Cancellation)
    .where(t.Cancellation.subscription_id == bindparam("subscription"))
    .order_by(t.Cancellation.requested_at.desc(), t.Cancellation.id.desc())
    .limit(1)
)
_LAST_SMS = select(func.max(t.InboundSms.received_at)).where(t.InboundSms.phone_number_id == bindparam("number"))
_RELEASE_DUE = (
    select(t.LifecycleEvent.id)
    .where(
        t.LifecycleEvent.kind == EventKind.RELEASE_NUMBER.value,
        t.LifecycleEvent.subject_id == bindparam("number"),
        t.LifecycleEvent.status == "scheduled",
        t.LifecycleEvent.due_at <= bindparam("now"),
    )
    .limit(1)
)
_LAST_INVESTIGATION = (
    select(t.Investigation)
    .where(t.Investigation.phone_number_id == bindparam("number"))
    .order_by(t.Investigation.opened_at.desc(), t.Investigation.id.desc())
    .limit(1)
)
_WAITING = select(t.Approval).where(
    t.Approval.charge_id.in_(bindparam("charges", expanding=True)), t.Approval.status == "pending"
)


@dataclass(frozen=True)
class Gathered:
    """Facts and what they are about; `charges` gives the charge's id for each name of `bot.policy.facts.CHARGES`."""

    facts: Facts
    account_id: str | None
    subscription: SubscriptionView | None
    charges: Mapping[str, str]


def collect(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    subscription_id: str | None = None,
    invoice_id: str | None = None,
    leaving: Collection[str] = (),
    removing: Collection[str] = (),
    now: datetime,
    extra: Mapping[str, Any] | None = None,
) -> Facts:
    """Everything the store knows that a decision about this subject may rest on; see `gather`."""
    return gather(
        uow,
        pack=pack,
        customer=customer,
        subscription_id=subscription_id,
        invoice_id=invoice_id,
        leaving=leaving,
        removing=removing,
        now=now,
        extra=extra,
    ).facts


def gather(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    subscription_id: str | None = None,
    invoice_id: str | None = None,
    leaving: Collection[str] = (),
    removing: Collection[str] = (),
    now: datetime,
    extra: Mapping[str, Any] | None = None,
) -> Gathered:
    """Collect the facts of one subject: the subscription named, or the invoice's, or the one that the ledger points at.

    With several subscriptions and none pointed at, only what holds for the customer as a whole is known. The facts are
    those of `now`: what is promised for a moment that has passed counts as done, however late the lifecycle runs.
    `leaving` are ids of subscriptions that end together with the subject, `removing` ids of numbers that are given up:
    the facts are those with both done. `extra` are facts only the conversation knows; they win. Raises FactError for
    one that is malformed.
    """
    about = (pack.brand.id, pack.version, customer.customer_id, subscription_id, invoice_id)
    known = uow.remembered(
        ("facts", *about, tuple(leaving), tuple(removing), now),
        lambda: _gather(uow, pack, customer, subscription_id, invoice_id, leaving, removing, now),
    )
    return known if not extra else replace(known, facts=Facts({**known.facts, **extra}))


def _gather(
    uow: UnitOfWork,
    pack: Pack,
    customer: CustomerRef,
    subscription_id: str | None,
    invoice_id: str | None,
    leaving: Collection[str],
    removing: Collection[str],
    now: datetime,
) -> Gathered:
    own = roles(uow, customer.customer_id)
    ledger = _Ledger.read(uow, own)
    held = accounts.subscriptions(uow, customer.customer_id)
    invoice = _invoice(uow, own, invoice_id)
    subject = _subject(held, ledger, subscription_id, invoice_id, invoice)
    account_ids = {subject.account_id} if subject else {each.account_id for each in held}
    account_id = account_ids.pop() if len(account_ids) == 1 else None

    values: dict[str, Any] = {"verified": True}
    if account_id is not None:
        values |= _membership_facts(uow, account_id, own[account_id], now)
    if subject is not None:
        values |= _subscription_facts(uow, pack, subject, now)
        ledger = ledger.of(subject.id)
    elif subscription_id is not None or not held:
        values |= {"subscription_status": "none", "number_status": "none", "provisioning_status": "none"}
    elif account_id is not None and invoice is None:
        values |= _shared_facts(uow, Circle(held, None, (), now))
    currency = subject.price.currency if subject else invoice.currency if invoice else ledger.currency
    values["currency"] = currency
    if account_id is not None:
        circle = Circle([each for each in held if each.account_id == account_id], subject, leaving, now)
        values |= family_facts(pack, circle)
        values |= account_facts(
            uow,
            circle,
            account_id=account_id,
            removing=removing,
            currency=currency or pack.brand.currency,
            zone=pack.brand.zone,
        )
    money, charges = ledger.facts(currency or pack.brand.currency, subject, invoice)
    values |= money
    if invoice_id is not None:
        values["invoice_found"] = invoice is not None
    return Gathered(Facts(values), account_id, subject, MappingProxyType(charges))


# --- who and what ----------------------------------------------------------------------------------------------------


def _invoice(uow: UnitOfWork, own: Iterable[str], invoice_id: str | None) -> Any:
    if invoice_id is None:
        return None
    return row(uow, select(t.Invoice).where(t.Invoice.id == invoice_id, t.Invoice.account_id.in_(list(own))))


def _subject(
    held: list[SubscriptionView], ledger: _Ledger, subscription_id: str | None, invoice_id: str | None, invoice: Any
) -> SubscriptionView | None:
    if subscription_id is not None:
        wanted: str | None = subscription_id
    elif invoice_id is not None:
        wanted = invoice.subscription_id if invoice else None
    elif suspect := ledger.duplicate or ledger.excessive:
        wanted = suspect.subscription_id
    else:
        wanted = held[0].id if len(held) == 1 else None
    return next((each for each in held if each.id == wanted), None)


def _membership_facts(uow: UnitOfWork, account_id: str, role: str, now: datetime) -> dict[str, Any]:
    account = row(uow, _ACCOUNT, account=account_id)
    return {
        "role": role,
        "country": account.country,
        "state": account.state,
        **belonging_facts(uow, account, now),
    }


def _subscription_facts(uow: UnitOfWork, pack: Pack, subject: SubscriptionView, now: datetime) -> dict[str, Any]:
    product = pack.product(subject.product)
    is_number = product is not None and product.target is Target.NUMBER
    values: dict[str, Any] = {
        "subscription_status": subject.status,
        "number_status": "provisioning_failed" if is_number and subject.provisioning == "failed" else "none",
        "plan": subject.plan,
        "interval_months": subject.interval_months,
        "price_minor": subject.price.minor,
        "auto_renew": subject.status == "active",
        "started_at": subject.started_at,
        "period_start": subject.period_start,
        "period_end": subject.period_end,
        "provisioning_status": subject.provisioning,
        "investigation_status": "none",
    }
    values |= _cancellation_facts(uow, subject, now)
    values |= pauses.facts(uow, subject.pause, subject.id, now=now)
    if values["pause_status"] == "paused":
        values["auto_renew"] = False
    if subject.number_id is not None:
        values |= _number_facts(uow, subject, now)
    if subject.provisioning == "failed":
        values["can_restore"] = restorable_number(uow, subject.id) is not None
    return values


def _shared_facts(uow: UnitOfWork, circle: Circle) -> dict[str, Any]:
    """What holds for each of several subscriptions alike: how they stand, and the dates that are the same for all."""
    each_ones = [
        {
            "subscription_status": subscription.status,
            "auto_renew": subscription.status == "active",
            "interval_months": subscription.interval_months,
            "period_start": subscription.period_start,
            "period_end": subscription.period_end,
            **_cancellation_facts(uow, subscription, circle.now),
        }
        for subscription in circle.live or circle.held
    ]
    first = each_ones[0]
    return {name: value for name, value in first.items() if all(ones.get(name) == value for ones in each_ones)}


def _cancellation_facts(uow: UnitOfWork, subject: SubscriptionView, now: datetime) -> dict[str, Any]:
    last = row(uow, _LAST_CANCELLATION, subscription=subject.id)
    if last is None or last.status == "undone":
        return {"cancellation_status": "undone" if last else "none"}
    known = {"cancelled_at": last.requested_at, "effective_at": last.effective_at, "undo_until": last.undo_until}
    if last.effective_at > now:
        return {**known, "cancellation_status": last.status}
    return {**known, "cancellation_status": "effective", "subscription_status": "ended", "auto_renew": False}


def _number_facts(uow: UnitOfWork, subject: SubscriptionView, now: datetime) -> dict[str, Any]:
    status = _NUMBER_STATUS[subject.number_status or ""]
    if status in accounts.HELD and subject.cancellation is not None and _release_is_due(uow, subject.number_id, now):
        status = "released"
    last_sms = row(uow, _LAST_SMS, number=subject.number_id)
    values: dict[str, Any] = {
        "number_status": status,
        "number": show_number(subject.number or ""),
        "sms_ever_received": last_sms is not None,
        "last_sms_at": last_sms,
    }
    return values | _investigation_facts(uow, subject)


def _release_is_due(uow: UnitOfWork, number_id: str | None, now: datetime) -> bool:
    return row(uow, _RELEASE_DUE, number=number_id, now=now) is not None


def _investigation_facts(uow: UnitOfWork, subject: SubscriptionView) -> dict[str, Any]:
    latest = row(uow, _LAST_INVESTIGATION, number=subject.number_id)
    if latest is None:
        return {}
    if latest.status == "open":
        return {"investigation_status": "open"}
    return {
        "investigation_status": "closed",
        "investigation_cause": latest.cause,
        "had_fair_chance": latest.had_fair_chance,
        "restored": latest.restored,
        "replaced": latest.replaced,
    }


def restorable_number(uow: UnitOfWork, subscription_id: str) -> Any:
    """The row of a number whose set-up failed and that nobody holds, so that it can still be had, or None."""
    failed = row(
        uow,
        select(t.PhoneNumber).where(
            t.PhoneNumber.subscription_id == subscription_id, t.PhoneNumber.status == "provisioning_failed"
        ),
    )
    if failed is None:
        return None
    taken = select(t.PhoneNumber.id).where(t.PhoneNumber.e164 == failed.e164, t.PhoneNumber.status.in_(accounts.HELD))
    return None if row(uow, taken) else failed


# --- the ledger ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """A charge beside its invoice. `wrong` is what it took beyond the invoice: all of it, for a duplicate."""

    id: str
    invoice_id: str
    subscription_id: str | None
    period_start: datetime | None
    amount: int
    returned: int  # refunds, credits and what waits for approval
    wrong: int
    short: bool  # the invoice is marked paid, and less was taken
    unclear: bool  # nothing to compare with: the invoice is void, or in another currency
    currency: str
    state: str  # none, pending, done: what is under way to give it back

    @property
    def is_duplicate(self) -> bool:
        return self.wrong == self.amount

    @property
    def is_excessive(self) -> bool:
        return 0 < self.wrong < self.amount


@dataclass(frozen=True)
class _Ledger:
    """Charges in the order they were taken."""

    entries: tuple[_Entry, ...]

    @classmethod
    def read(cls, uow: UnitOfWork, account_ids: Iterable[str]) -> _Ledger:
        """Compare every charge of these accounts with what was due.

        Due is one invoice for each amount of a period: a second invoice of the same subscription, period and amount
        asks twice for the same thing. What is taken when all that was due is paid is wrong.
        """
        own = list(account_ids)
        invoices = {each.id: each for each in rows(uow, _INVOICES, accounts=own)}
        charges = rows(uow, _CHARGES, accounts=own)
        waiting, states = _remedies(uow, [charge.id for charge in charges])
        groups: dict[object, list[Any]] = defaultdict(list)
        for charge in charges:
            groups[_what_is_due(invoices[charge.invoice_id], charge)].append(charge)
        entries: dict[str, _Entry] = {}
        for group in groups.values():
            due, paid = invoices[group[0].invoice_id].amount_minor, 0
            total = sum(charge.amount_minor for charge in group)
            for charge in group:
                invoice = invoices[charge.invoice_id]
                unclear = _is_unclear(invoice, charge)
                wrong = max(paid + charge.amount_minor - due, 0) - max(paid - due, 0)
                paid += charge.amount_minor
                returned = charge.refunded_minor + charge.credited_minor + waiting[charge.id]
                entries[charge.id] = _Entry(
                    id=charge.id,
                    invoice_id=invoice.id,
                    subscription_id=invoice.subscription_id,
                    period_start=invoice.period_start if charge.kind == "subscription" else None,
                    amount=charge.amount_minor,
                    returned=returned,
                    wrong=0 if unclear else wrong,
                    short=invoice.status == "paid" and total < due and not unclear,
                    unclear=unclear,
                    currency=charge.currency,
                    state=states.get(charge.id) or ("done" if returned >= charge.amount_minor else "none"),
                )
        return cls(tuple(entries[charge.id] for charge in charges))

    @property
    def currency(self) -> str | None:
        """The one currency of all charges, if they have one."""
        found = {entry.currency for entry in self.entries}
        return found.pop() if len(found) == 1 else None

    @property
    def duplicate(self) -> _Entry | None:
        """The oldest duplicate that was not given back, otherwise the latest."""
        return _open_first([entry for entry in self.entries if entry.is_duplicate])

    @property
    def excessive(self) -> _Entry | None:
        """The oldest charge above its invoice of which nothing was given back, otherwise the latest."""
        return _open_first([entry for entry in self.entries if entry.is_excessive])

    def of(self, subscription_id: str) -> _Ledger:
        """The charges of one subscription."""
        return _Ledger(tuple(entry for entry in self.entries if entry.subscription_id == subscription_id))

    def facts(
        self, currency: str, subject: SubscriptionView | None, invoice: Any
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The ledger's facts, amounts only in `currency`, and the id of the charge behind each name."""
        named: dict[str, _Entry | None] = {
            "latest": self._latest() if subject else None,
            "duplicate": self.duplicate,
            "wrong": self.excessive,
            "invoice": self._billed(invoice) if invoice else None,
        }
        found = {name: entry for name, entry in named.items() if entry is not None and entry.currency == currency}
        otherwise = None if any(entry.unclear or entry.currency != currency for entry in self.entries) else False
        short = any(entry.short for entry in self.entries)
        values: dict[str, Any] = {
            "duplicate_charge_found": "duplicate" in found or otherwise,
            "amount_disagrees": "wrong" in found or short or otherwise,
            "refund_pending": any(found[name].state == "pending" for name in ("latest", "invoice") if name in found),
        }
        if "latest" in found:
            values["latest_charge_minor"] = found["latest"].amount
            values["latest_charge_refunded_minor"] = found["latest"].returned
        if "duplicate" in found:
            values["duplicate_charge_minor"] = found["duplicate"].amount
            values["duplicate_charge_refunded_minor"] = found["duplicate"].returned
            values["duplicate_refund_status"] = found["duplicate"].state
        if "wrong" in found:
            values["wrong_charge_minor"] = found["wrong"].wrong
            values["wrong_charge_refunded_minor"] = found["wrong"].returned
        elif values["amount_disagrees"]:
            values |= {"wrong_charge_minor": 0, "wrong_charge_refunded_minor": 0}
        if invoice is not None:
            values |= self._invoice_facts(invoice, found.get("invoice"))
        return values, {name: entry.id for name, entry in found.items()}

    def _latest(self) -> _Entry | None:
        """The charge of the latest period that was charged for; None if it was taken in parts."""
        billed = [entry for entry in self.entries if entry.period_start and not entry.is_duplicate]
        latest = max((entry.period_start for entry in billed if entry.period_start), default=None)
        return _only([entry for entry in billed if entry.period_start == latest])

    def _billed(self, invoice: Any) -> _Entry | None:
        return _only([entry for entry in self.entries if entry.invoice_id == invoice.id and not entry.is_duplicate])

    def _invoice_facts(self, invoice: Any, charge: _Entry | None) -> dict[str, Any]:
        if not any(entry.invoice_id == invoice.id for entry in self.entries):
            return {"invoice_status": invoice.status, "invoice_charge_minor": 0, "invoice_refunded_minor": 0}
        if charge is None:
            return {"invoice_status": invoice.status}
        given_back = charge.state == "done" and charge.returned >= charge.amount
        return {
            "invoice_status": "refunded" if given_back else invoice.status,
            "invoice_charge_minor": charge.amount,
            "invoice_refunded_minor": charge.returned,
        }


def _what_is_due(invoice: Any, charge: Any) -> object:
    """What a charge pays for: charges with an equal answer pay for the same thing."""
    if _is_unclear(invoice, charge):
        return charge.id
    if invoice.subscription_id is None or invoice.period_start is None:
        return invoice.id
    return invoice.subscription_id, invoice.period_start, invoice.period_end, invoice.amount_minor, invoice.currency


def _is_unclear(invoice: Any, charge: Any) -> bool:
    return bool(invoice.status == "void" or invoice.currency != charge.currency)


def _remedies(uow: UnitOfWork, charge_ids: list[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Minor units that wait for approval, and how giving back stands, by charge."""
    waiting: dict[str, int] = defaultdict(int)
    states: dict[str, str] = {}
    if not charge_ids:
        return waiting, states
    for credited in rows(uow, _CREDITED, charges=charge_ids):
        states[credited] = "done"
    for refund in rows(uow, _REFUNDED, charges=charge_ids):
        states[refund.charge_id] = "done" if refund.status == "paid" else "pending"
    for approval in rows(uow, _WAITING, charges=charge_ids):
        waiting[approval.charge_id] += approval.amount_minor
        states[approval.charge_id] = "pending"
    return waiting, states


def _open_first(entries: list[_Entry]) -> _Entry | None:
    return next((entry for entry in entries if entry.returned < entry.wrong), entries[-1] if entries else None)


def _only(entries: list[_Entry]) -> _Entry | None:
    return entries[0] if len(entries) == 1 else None
