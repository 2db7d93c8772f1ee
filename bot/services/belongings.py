"""What an account holds besides its plans: numbers here, elsewhere or lost, recordings, a CRM, products taken along."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from bot.policy.decision import EventKind
from bot.policy.pack import Pack
from bot.services.account_facts import Circle
from bot.services.accounts import HELD
from bot.services.rows import row, rows
from bot.services.views import SubscriptionView, show_number
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

_GONE = ("released", "removed")

# Asked for every decision, so made once.
_DUE = select(t.LifecycleEvent).where(
    t.LifecycleEvent.account_id == bindparam("account"),
    t.LifecycleEvent.status == "scheduled",
    t.LifecycleEvent.due_at <= bindparam("now"),
)
_RECORDINGS = select(t.Recordings).where(t.Recordings.account_id == bindparam("account")).limit(1)
_NUMBERS_NOT_ERASED = (
    select(t.PhoneNumber)
    .where(t.PhoneNumber.account_id == bindparam("account"), t.PhoneNumber.e164 != "")
    .order_by(t.PhoneNumber.e164)
)


def belonging_facts(uow: UnitOfWork, account: Any, now: datetime) -> dict[str, Any]:
    """The facts of an account's row and of what it holds; what is promised for a moment that has passed is done."""
    due = _due(uow, account.id, now)
    return {
        "account_status": "erased" if EventKind.ERASE_DATA.value in due else account.status,
        "crm_connected": account.crm_connected,
        "recordings_count": _recordings(uow, account.id, due),
        **_number_facts(uow, account.id, due.get(EventKind.RELEASE_NUMBER.value, set())),
    }


def family_facts(pack: Pack, circle: Circle) -> dict[str, Any]:
    """The facts of the subscriptions that the subject's product takes along, and of the one that takes it along."""
    subject = circle.subject
    if subject is None:
        return {}
    others = [each for each in circle.held if each.id != subject.id]
    parents = [each for each in others if _takes_along(pack, each, subject)]
    parent = max(parents, key=lambda each: (each in circle.live, each.period_end), default=None)
    dependents = [each for each in others if _takes_along(pack, subject, each)]
    running = [each for each in dependents if each in circle.live and each.status == "active"]
    stopped = [each for each in dependents if each not in running and each.status != "failed"]
    return {
        "parent_status": "none" if parent is None else _status(circle, parent),
        "dependents": [each.label for each in running] or None,
        "stopped_dependents": [each.label for each in stopped] or None,
    }


def heads(pack: Pack, held: list[SubscriptionView]) -> list[SubscriptionView]:
    """Those that no other of them takes along: what is meant when somebody speaks of all of them as one."""
    return [
        each
        for each in held
        if not any(_takes_along(pack, other, each) and other.account_id == each.account_id for other in held)
    ]


def _takes_along(pack: Pack, parent: SubscriptionView, other: SubscriptionView) -> bool:
    product = pack.product(parent.product)
    return product is not None and other.product in product.also_cancels


def _status(circle: Circle, subscription: SubscriptionView) -> str:
    if subscription.status != "failed" and subscription not in circle.live:
        return "ended"
    leaving = subscription.id in circle.leaving and subscription.status == "active"
    return "not_renewing" if leaving else subscription.status


def _due(uow: UnitOfWork, account_id: str, now: datetime) -> dict[str, set[str]]:
    """What should have happened by now and was not carried out yet: the subjects, by the event's kind."""
    due: dict[str, set[str]] = {}
    for each in rows(uow, _DUE, account=account_id, now=now):
        due.setdefault(each.kind, set()).add(each.subject_id)
    return due


def _recordings(uow: UnitOfWork, account_id: str, due: dict[str, set[str]]) -> int | None:
    if due.keys() & {EventKind.DELETE_RECORDINGS.value, EventKind.ERASE_DATA.value}:
        return 0
    kept = row(uow, _RECORDINGS, account=account_id)
    return None if kept is None else int(kept.count)


def _number_facts(uow: UnitOfWork, account_id: str, due: set[str]) -> dict[str, Any]:
    numbers = rows(uow, _NUMBERS_NOT_ERASED, account=account_id)
    held = {each.e164 for each in numbers if each.status in HELD and each.id not in due}
    ported = [each.e164 for each in numbers if each.status == "ported_out"]
    lost = [each.e164 for each in numbers if each.status in _GONE or (each.status in HELD and each.id in due)]
    return {
        "ported_numbers": [show_number(e164) for e164 in dict.fromkeys(ported)] or None,
        "lost_numbers": [show_number(e164) for e164 in dict.fromkeys(lost) if e164 not in held] or None,
    }
