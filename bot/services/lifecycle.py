"""What was promised for a date: carried out when it is due, each event once and by itself, or called off before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select

from bot.errors import SupportBotError
from bot.ids import new_id
from bot.policy.dates import Shift, shift
from bot.policy.decision import CancellationPlan, EventKind, PauseEvent, PlannedEvent
from bot.policy.pack import Pack
from bot.policy.reminders import IRREVERSIBLE, REMIND, reminder_dates
from bot.services import audit
from bot.services.accounts import HELD
from bot.services.carrying_out import Due, NotMeant, carry_out, is_account_wide, rank, why_not
from bot.services.reminders import KeepLinks
from bot.services.rows import lock_accounts, row, rows
from bot.services.views import SubscriptionView
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork

_log = structlog.get_logger(__name__)
_ANNOUNCED_DAYS = 7  # before a pause ends by itself and is charged for again


@dataclass(frozen=True)
class FailedEvent:
    """An event that could not be carried out and stays due; `code` is the error's stable code, or its type."""

    event_id: str
    kind: str
    code: str
    message: str


@dataclass(frozen=True)
class TickReport:
    """What one tick did: events carried out; found not to be meant any more, or done by somebody else; and failed."""

    done: int
    skipped: int
    failed: tuple[FailedEvent, ...]


def schedule(
    uow: UnitOfWork,
    *,
    cancellation_id: str,
    subscription: SubscriptionView,
    plan: CancellationPlan,
    zone: ZoneInfo,
    now: datetime,
) -> None:
    """Write down what a cancellation promises, with reminders; an event about several numbers becomes one for each."""
    promised = [
        _event(cancellation_id, subscription, planned, subject_id)
        for planned in plan.events
        for subject_id in _subjects(uow, planned.kind, subscription)
    ]
    _replace(uow, promised, now)
    uow.add(*promised)
    uow.add(*_reminders(promised, zone, now))


def schedule_pause(uow: UnitOfWork, pause: Any, *, zone: ZoneInfo, now: datetime) -> None:
    """Write down what a pause promises: it begins, its end is announced a week before, and it ends by itself."""
    announced = shift(pause.resumes_at, Shift("now", days=-_ANNOUNCED_DAYS), zone)
    dated = {PauseEvent.BEGIN: pause.starts_at, PauseEvent.REMIND: announced, PauseEvent.END: pause.resumes_at}
    rule_id = uow.get(t.Decision, pause.decision_id).rule_id
    uow.add(
        *(
            t.LifecycleEvent(
                id=new_id("evt"),
                pause_id=pause.id,
                account_id=pause.account_id,
                kind=kind.value,
                subject_id=pause.subscription_id,
                rule_id=rule_id,
                due_at=at,
            )
            for kind, at in dated.items()
            if kind is not PauseEvent.REMIND or at > now
        )
    )


def call_off(uow: UnitOfWork, cancellation_id: str, now: datetime) -> int:
    """Call off what a cancellation promised and has not happened yet; returns how many events."""
    planned = _scheduled(uow, t.LifecycleEvent.cancellation_id == cancellation_id)
    for event in planned:
        _call_off(event, "the cancellation was undone", now)
    uow.session.flush()
    return len(planned)


def call_off_what_is_not_meant(uow: UnitOfWork, *, pack: Pack, account_id: str, now: datetime) -> None:
    """Call off what other cancellations promised for the account as a whole, as far as it goes on after all."""
    for event in _scheduled(uow, t.LifecycleEvent.account_id == account_id):
        if is_account_wide(uow, event) and (reason := why_not(uow, pack, event, now)):
            _call_off(event, reason, now)
    uow.session.flush()


def call_off_about(uow: UnitOfWork, *, kind: EventKind, subject_id: str, reason: str, now: datetime) -> None:
    """Call off every event of a kind about one thing."""
    about = (t.LifecycleEvent.kind == kind.value, t.LifecycleEvent.subject_id == subject_id)
    for event in _scheduled(uow, *about):
        _call_off(event, reason, now)
    uow.session.flush()


def catch_up(uow: UnitOfWork, *, pack: Pack, account_id: str, now: datetime) -> None:
    """Carry out what is due in an account, within this unit of work: before something is undone, it must be known what
    has happened. Reminders, erasing and what fails are left to the next tick.
    """
    left = (REMIND, PauseEvent.REMIND.value, EventKind.ERASE_DATA.value)
    late = _scheduled(uow, t.LifecycleEvent.account_id == account_id, t.LifecycleEvent.due_at <= now)
    for event in sorted(late, key=_in_order):
        if event.kind in left:
            continue
        try:
            with uow.session.begin_nested():
                _settle(Due(uow, event, pack, now))
        except Exception as error:
            _report(event.id, event.kind, error)


def tick(store: Store, *, now: datetime, packs: Mapping[str, Pack], links: KeepLinks | None = None) -> TickReport:
    """Carry out every event due at `now`, in the order of their dates, each in a transaction of its own.

    Any number of tickers may run at once: an event is claimed under its account's lock, so it happens once. One that
    fails changes nothing, is reported, stays due and holds up no other. Accounts of brands without a pack are left.
    `links` makes the links of reminders; without it they say how to keep things, but have no link.
    """
    done = skipped = 0
    failed = []
    for event_id, kind in _due(store, now, packs):
        try:
            carried_out = _run(store, event_id, now, packs, links)
        except Exception as error:
            failed.append(_report(event_id, kind, error))
            continue
        done += carried_out
        skipped += not carried_out
    return TickReport(done, skipped, tuple(failed))


def _due(store: Store, now: datetime, packs: Mapping[str, Pack]) -> list[tuple[str, str]]:
    event = t.LifecycleEvent
    with store.read() as uow:
        found = rows(
            uow,
            select(event)
            .join(t.Account, t.Account.id == event.account_id)
            .where(event.status == "scheduled", event.due_at <= now, t.Account.brand.in_(list(packs))),
        )
        return [(each.id, each.kind) for each in sorted(found, key=_in_order)]


def _in_order(event: Any) -> tuple[datetime, int, str]:
    return event.due_at, rank(event.kind), event.id


def _run(store: Store, event_id: str, now: datetime, packs: Mapping[str, Pack], links: KeepLinks | None) -> bool:
    """Carry out one event unless it is done or called off already."""
    with store.write() as uow:
        wanted = select(t.LifecycleEvent).where(t.LifecycleEvent.id == event_id)
        account_id = row(uow, wanted).account_id
        lock_accounts(uow, account_id)
        event = row(uow, wanted.where(t.LifecycleEvent.status == "scheduled").with_for_update())
        if event is None:
            return False
        done = _settle(Due(uow, event, packs[uow.get(t.Account, account_id).brand], now, links))
        uow.commit()
    return done


def _settle(due: Due) -> bool:
    """Carry an event out, or call it off when it is not meant any more; whether it was carried out."""
    event = due.event
    result = carry_out(due)
    if isinstance(result, NotMeant):
        _call_off(event, result.reason, due.now)
        action = "lifecycle.called_off"
    else:
        event.status = "done"
        event.done_at = due.now
        event.result = dict(result)
        action = f"lifecycle.{event.kind}"
    audit.record(
        due.uow,
        actor="system",
        action=action,
        subject=event.subject_id,
        data={
            "event_id": event.id,
            "kind": event.kind,
            "rule_id": event.rule_id,
            "due_at": event.due_at.isoformat(),
            **event.result,
        },
        now=due.now,
    )
    return bool(event.status == "done")


def _report(event_id: str, kind: str, error: Exception) -> FailedEvent:
    code = error.code if isinstance(error, SupportBotError) else type(error).__name__
    _log.error("lifecycle.failed", event_id=event_id, kind=kind, code=code)
    return FailedEvent(event_id, kind, code, str(error))


def _scheduled(uow: UnitOfWork, *conditions: Any) -> list[Any]:
    found = select(t.LifecycleEvent).where(t.LifecycleEvent.status == "scheduled", *conditions)
    return rows(uow, found.order_by(t.LifecycleEvent.id).with_for_update())


# --- planning --------------------------------------------------------------------------------------------------------


def _event(cancellation_id: str, subscription: SubscriptionView, planned: PlannedEvent, subject_id: str) -> Any:
    return t.LifecycleEvent(
        id=new_id("evt"),
        cancellation_id=cancellation_id,
        account_id=subscription.account_id,
        kind=planned.kind.value,
        subject_id=subject_id,
        rule_id=planned.rule_id,
        due_at=planned.at,
    )


def _replace(uow: UnitOfWork, promised: Sequence[Any], now: datetime) -> None:
    """Call off what earlier cancellations promised for the same things: the latest one knows when the account ends."""
    for kind, account_id, subject_id in {(each.kind, each.account_id, each.subject_id) for each in promised}:
        earlier = rows(
            uow,
            select(t.LifecycleEvent)
            .where(
                t.LifecycleEvent.account_id == account_id,
                t.LifecycleEvent.kind == kind,
                t.LifecycleEvent.subject_id == subject_id,
                t.LifecycleEvent.status == "scheduled",
            )
            .with_for_update(),
        )
        for event in earlier:
            if is_account_wide(uow, event):
                _call_off(event, "a later cancellation decides", now)
    uow.session.flush()


def _reminders(promised: Sequence[Any], zone: ZoneInfo, now: datetime) -> list[Any]:
    """Reminders of what is lost for good, one for each moment: they speak of all that is lost then."""
    first_of: dict[datetime, Any] = {}
    for event in promised:
        if event.kind in IRREVERSIBLE:
            first_of.setdefault(event.due_at, event)
    return [
        t.LifecycleEvent(
            id=new_id("evt"),
            cancellation_id=event.cancellation_id,
            account_id=event.account_id,
            kind=REMIND,
            subject_id=event.id,
            rule_id=event.rule_id,
            due_at=at,
        )
        for moment, event in first_of.items()
        for at in reminder_dates(moment, zone=zone, now=now)
    ]


def _subjects(uow: UnitOfWork, kind: EventKind, subscription: SubscriptionView) -> list[str]:
    """Which things an event is about: the subscription, its number or else all numbers it carries, or the account."""
    if kind is EventKind.END_SUBSCRIPTION:
        return [subscription.id]
    if kind is not EventKind.RELEASE_NUMBER:
        return [subscription.account_id]
    if subscription.number_id is not None:
        return [subscription.number_id] if subscription.number_status in HELD else []
    free = select(t.PhoneNumber.id).where(
        t.PhoneNumber.account_id == subscription.account_id,
        t.PhoneNumber.subscription_id.is_(None),
        t.PhoneNumber.status.in_(HELD),
    )
    return rows(uow, free.order_by(t.PhoneNumber.e164))


def _call_off(event: Any, reason: str, now: datetime) -> None:
    event.status = "called_off"
    event.done_at = now
    event.result = {"reason": reason}
