"""What holds for an account as a whole: its other plans, its numbers and fees, what is unsent, what was promised."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select

from bot.policy.dates import Shift, days_between, shift
from bot.policy.decision import EventKind
from bot.services.accounts import HELD
from bot.services.rows import row, rows
from bot.services.views import SubscriptionView, show_number
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_PROMISED = {
    EventKind.RELEASE_NUMBER.value: "numbers_release_at",
    EventKind.END_10DLC.value: "registration_ends_at",
    EventKind.ERASE_DATA.value: "data_deleted_at",
}
_REGISTRATION_STATES = ("active", "pending", "ended")

# Asked for every decision, so made once.
_WALLET = select(t.Wallet).where(t.Wallet.account_id == bindparam("account")).limit(1)
_RELEASES_DUE = select(t.LifecycleEvent.subject_id).where(
    t.LifecycleEvent.account_id == bindparam("account"),
    t.LifecycleEvent.kind == EventKind.RELEASE_NUMBER.value,
    t.LifecycleEvent.status == "scheduled",
    t.LifecycleEvent.due_at <= bindparam("now"),
)
_NUMBERS_HELD = (
    select(t.PhoneNumber)
    .where(t.PhoneNumber.account_id == bindparam("account"), t.PhoneNumber.status.in_(HELD))
    .order_by(t.PhoneNumber.e164)
)
_UNSENT_FROM = select(t.ScheduledMessage).where(
    t.ScheduledMessage.account_id == bindparam("account"),
    t.ScheduledMessage.send_at >= bindparam("end"),
    t.ScheduledMessage.status.in_(("scheduled", "credited")),
)
_REGISTRATIONS = select(t.Registration.status).where(t.Registration.account_id == bindparam("account"))
_PROMISED_EVENTS = (
    select(t.LifecycleEvent)
    .where(
        t.LifecycleEvent.account_id == bindparam("account"),
        t.LifecycleEvent.kind.in_(list(_PROMISED)),
        t.LifecycleEvent.status.in_(bindparam("statuses", expanding=True)),
    )
    .order_by(t.LifecycleEvent.due_at)
)


@dataclass(frozen=True)
class Circle:
    """The subscriptions of one account, seen from one of them (`subject`), or from all alike when it is None.

    `leaving` are ids of those that end together with the subject: they do not go on. `now` decides what has ended.
    """

    held: Sequence[SubscriptionView]
    subject: SubscriptionView | None
    leaving: Collection[str]
    now: datetime

    @property
    def live(self) -> list[SubscriptionView]:
        """Those that have not ended."""
        return [each for each in self.held if each.status != "failed" and not self._is_over(each)]

    @property
    def others(self) -> list[SubscriptionView]:
        """The live ones besides the subject; seen from all alike, those that go on while others are ending."""
        return self.going_on if self.subject is None else [each for each in self.live if each.id != self.subject.id]

    @property
    def going_on(self) -> list[SubscriptionView]:
        """The others that renew; seen from all alike, none if all of them do."""
        active = [each for each in self.live if each.status == "active"]
        if self.subject is None:
            return active if len(active) < len(self.live) else []
        return [each for each in active if each.id != self.subject.id and each.id not in self.leaving]

    @property
    def ends_at(self) -> datetime | None:
        """When the last one ends that does not go on, None if there is none."""
        going_on = {each.id for each in self.going_on}
        return self._last_end([each for each in self.held if each.id not in going_on])

    @property
    def could_end_at(self) -> datetime | None:
        """When the last one would end if none went on, None if there is none."""
        return self._last_end(self.held)

    @staticmethod
    def _last_end(ending: Sequence[SubscriptionView]) -> datetime | None:
        return max((end_of(each) for each in ending if each.status != "failed"), default=None)

    def _is_over(self, subscription: SubscriptionView) -> bool:
        ended = subscription.cancellation is not None and subscription.cancellation.effective_at <= self.now
        return ended or subscription.status == "ended"


def end_of(subscription: SubscriptionView) -> datetime:
    """When a subscription ends or ended: the date of its cancellation, otherwise its period's end."""
    cancellation = subscription.cancellation
    return subscription.period_end if cancellation is None else cancellation.effective_at


def account_facts(
    uow: UnitOfWork, circle: Circle, *, account_id: str, removing: Collection[str], currency: str, zone: ZoneInfo
) -> dict[str, Any]:
    """The facts of an account, amounts only in `currency`; numbers whose ids are in `removing` count as removed."""
    going_on = circle.going_on
    promised = _promised(uow, circle, account_id)
    numbers = _numbers(uow, account_id, removing, circle.now)
    values: dict[str, Any] = {
        "plans": [each.plan for each in circle.live],
        "other_plan_active": bool(going_on),
        "other_plans": [each.plan for each in going_on],
        "other_products": list(dict.fromkeys(each.product for each in circle.others)),
        "account_ends_at": None if going_on else circle.ends_at,
        "account_could_end_at": circle.could_end_at,
        "numbers": [show_number(number.e164) for number in numbers],
        "registration_status": _registration(uow, account_id, promised.get("registration_ends_at"), circle.now),
        **promised,
    }
    values |= _fee_facts([number for number in numbers if number.subscription_id is None], circle, zone)
    wallet = row(uow, _WALLET, account=account_id)
    if wallet is not None and wallet.currency == currency:
        values["wallet_minor"] = wallet.balance_minor
    return values | _unsent(uow, circle, account_id, currency)


def _numbers(uow: UnitOfWork, account_id: str, removing: Collection[str], now: datetime) -> list[Any]:
    """The numbers held that nobody asked to remove and whose release is not due."""
    gone = {*removing, *rows(uow, _RELEASES_DUE, account=account_id, now=now)}
    return [number for number in rows(uow, _NUMBERS_HELD, account=account_id) if number.id not in gone]


def _fee_facts(numbers: list[Any], circle: Circle, zone: ZoneInfo) -> dict[str, Any]:
    fees = [number.monthly_fee_minor for number in numbers]
    values: dict[str, Any] = {"number_count": len(fees), "number_fees_minor": sum(fees)}
    if len(set(fees)) == 1:
        values["number_fee_minor"] = fees[0]
    ends_at = end_of(circle.subject) if circle.going_on and circle.subject else circle.ends_at
    if ends_at is not None and sum(fees):
        values["number_fee_dates"] = _fee_dates(circle, ends_at, zone) or None
    return values


def _fee_dates(circle: Circle, ends_at: datetime, zone: ZoneInfo) -> list[datetime]:
    """The monthly days of the billing cycle that are still to come, up to the day of the end."""
    cycle = circle.subject or max(circle.live, key=end_of, default=None)
    if cycle is None:
        return []
    months = (shift(cycle.period_start, Shift("now", months=month), zone) for month in count(1))
    until_the_end = takewhile(lambda moment: days_between(moment, ends_at, zone) >= 0, months)
    coming = [min(moment, ends_at) for moment in until_the_end if circle.now < min(moment, ends_at)]
    pause = cycle.open_pause
    return [at for at in coming if pause is None or not pause.starts_at <= at < pause.resumes_at]


def _unsent(uow: UnitOfWork, circle: Circle, account_id: str, currency: str) -> dict[str, Any]:
    """What is scheduled for a time at which it can no longer be sent; unknown where it was paid in another currency."""
    end = end_of(circle.subject) if circle.subject else circle.ends_at
    if end is None:
        return {}
    found = rows(uow, _UNSENT_FROM, account=account_id, end=end)
    if any(message.currency != currency for message in found):
        return {}
    waiting = [message for message in found if message.status == "scheduled"]
    values: dict[str, Any] = {
        "unsent_minor": _paid(found),
        "unsent_credited_minor": _paid([message for message in found if message.status == "credited"]),
    }
    for kind in sorted({message.kind for message in waiting}):
        of_kind = [message for message in waiting if message.kind == kind]
        values[f"unsent_{kind}_count"] = sum(message.quantity for message in of_kind)
        values[f"unsent_{kind}_minor"] = _paid(of_kind)
    return values


def _paid(messages: list[Any]) -> int:
    return sum(message.quantity * message.unit_price_minor for message in messages)


def _registration(uow: UnitOfWork, account_id: str, ends_at: datetime | None, now: datetime) -> str:
    """The best state among the account's registrations; one whose end is due has ended."""
    found = set(rows(uow, _REGISTRATIONS, account=account_id))
    best = next((state for state in _REGISTRATION_STATES if state in found), "none")
    return "ended" if best != "none" and ends_at is not None and ends_at <= now else best


def _promised(uow: UnitOfWork, circle: Circle, account_id: str) -> dict[str, datetime]:
    """What cancellations promised for the account; what was done counts until a subscription runs again.

    The release of a number that a subscription rents is that subscription's own matter.
    """
    renews = any(each.status == "active" for each in circle.live)
    statuses = ["scheduled"] if renews else ["scheduled", "done"]
    events = rows(uow, _PROMISED_EVENTS, account=account_id, statuses=statuses)
    rented = {each.number_id for each in circle.held}
    return {_PROMISED[each.kind]: each.due_at for each in events if each.subject_id not in rented}
