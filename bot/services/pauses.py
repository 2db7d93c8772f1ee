"""The record of pauses, and what becomes of a subscription when one begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, select, update

from bot.policy.dates import Shift, shift
from bot.policy.decision import PauseEvent
from bot.services.rows import row, rows
from bot.services.views import PauseView
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

OPEN = ("scheduled", "active")
"""Statuses of a pause that is to come or under way."""


_LATEST = (
    select(t.Pause)
    .where(t.Pause.subscription_id.in_(bindparam("subscriptions", expanding=True)), t.Pause.status != "undone")
    .order_by(t.Pause.requested_at, t.Pause.id)
)

_BEGAN = select(func.count(t.Pause.id)).where(
    t.Pause.subscription_id == bindparam("subscription"),
    t.Pause.status != "undone",
    t.Pause.starts_at <= bindparam("now"),
    t.Pause.starts_at > bindparam("since"),
)


def latest(uow: UnitOfWork, subscription_ids: Iterable[str]) -> dict[str, PauseView]:
    """The latest pause of each of these subscriptions that was not called off, by subscription."""
    found = rows(uow, _LATEST, subscriptions=list(subscription_ids))
    return {each.subscription_id: view(each) for each in found}


def view(pause: Any) -> PauseView:
    """The view of a pause's row."""
    return PauseView(
        id=pause.id,
        reference=pause.reference,
        subscription_id=pause.subscription_id,
        status=pause.status,
        requested_at=pause.requested_at,
        starts_at=pause.starts_at,
        resumes_at=pause.resumes_at,
        ended_at=pause.ended_at,
    )


def facts(uow: UnitOfWork, pause: PauseView | None, subscription_id: str, *, now: datetime) -> dict[str, Any]:
    """The facts about a subscription's pauses at `now`: one whose date has passed counts as begun, or as over."""
    began = row(uow, _BEGAN, subscription=subscription_id, since=now - timedelta(days=365), now=now)
    values: dict[str, Any] = {"pause_status": "none", "pauses_last_year": int(began)}
    if pause is None:
        return values
    ends_at = pause.ended_at or pause.resumes_at
    open_now = pause.status in OPEN and now < pause.resumes_at
    status = "over" if not open_now else "paused" if pause.starts_at <= now else "scheduled"
    return {**values, "pause_status": status, "pause_starts_at": pause.starts_at, "pause_resumes_at": ends_at}


def is_paused(uow: UnitOfWork, subscription_id: str, at: datetime) -> bool:
    """Whether a subscription was, is or will be paused at a moment."""
    found = rows(uow, select(t.Pause).where(t.Pause.subscription_id == subscription_id, t.Pause.status != "undone"))
    return any(each.starts_at <= at < (each.ended_at or each.resumes_at) for each in found)


def begin(pause: Any) -> Mapping[str, Any]:
    """The pause has begun: from its first moment on nothing is charged."""
    pause.status = "active"
    return {"starts_at": pause.starts_at.isoformat()}


def end(uow: UnitOfWork, pause: Any, *, at: datetime, zone: ZoneInfo) -> Mapping[str, Any]:
    """The pause is over: the subscription runs again from `at` on.

    Paid days that were left when it began are used first; otherwise a new period starts, which the billing system
    charges for.
    """
    subscription = uow.get(t.Subscription, pause.subscription_id)
    pause.status, pause.ended_at = "over", at
    _run_from(subscription, at, subscription.period_end - pause.starts_at, zone)
    uow.session.flush()
    return {"period_end": subscription.period_end.isoformat()}


def wake(uow: UnitOfWork, subscription_id: str, *, now: datetime, zone: ZoneInfo) -> None:
    """Start a new period for a subscription whose pause ran out while it was cancelled, now that it is kept."""
    subscription = row(uow, select(t.Subscription).where(t.Subscription.id == subscription_id))
    last = row(
        uow,
        select(t.Pause)
        .where(t.Pause.subscription_id == subscription_id, t.Pause.status != "undone")
        .order_by(t.Pause.requested_at.desc(), t.Pause.id.desc()),
    )
    if last is None or last.status != "over" or subscription.status != "active":
        return
    if subscription.period_end <= now and last.ended_at >= subscription.period_end:
        _run_from(subscription, now, timedelta(), zone)
        uow.session.flush()


def stop(uow: UnitOfWork, subscription_id: str, *, only: Iterable[str] = OPEN, at: datetime, reason: str) -> list[Any]:
    """Close the pause of a subscription that ends or is left; what it promised is called off. Returns what was closed.

    `only` are the statuses to close: one that has not begun never will, one that is under way is over.
    """
    open_ones = select(t.Pause).where(t.Pause.subscription_id == subscription_id, t.Pause.status.in_(list(only)))
    closed = rows(uow, open_ones)
    for pause in closed:
        pause.status = "over" if pause.status == "active" else "undone"
        pause.ended_at = max(at, pause.starts_at) if pause.status == "over" else at
        call_off(uow, pause.id, reason=reason, now=at)
    uow.session.flush()
    return closed


def call_off(uow: UnitOfWork, pause_id: str, *, reason: str, now: datetime) -> None:
    """Call off what a pause promised and has not happened yet."""
    uow.session.execute(
        update(t.LifecycleEvent)
        .where(t.LifecycleEvent.pause_id == pause_id, t.LifecycleEvent.status == "scheduled")
        .values(status="called_off", done_at=now, result={"reason": reason})
        .execution_options(synchronize_session=False)
    )


def why_not(uow: UnitOfWork, event: Any) -> str | None:
    """Why an event of a pause is not to be done any more, None if it is."""
    pause = row(uow, select(t.Pause).where(t.Pause.id == event.pause_id))
    expected = {PauseEvent.BEGIN.value: "scheduled"}.get(event.kind)
    if pause.status not in OPEN or (expected and pause.status != expected):
        return "the pause was ended before"
    return None


def _run_from(subscription: Any, at: datetime, left: timedelta, zone: ZoneInfo) -> None:
    if left > timedelta():
        subscription.period_end = at + left
    else:
        subscription.period_start = at
        subscription.period_end = shift(at, Shift("now", months=subscription.interval_months), zone)
