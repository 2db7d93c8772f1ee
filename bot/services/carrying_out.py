"""What each kind of event does when its date has come, and whether it is still meant to be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import select, update

from bot.errors import SupportBotError
from bot.policy.conditions import holds
from bot.policy.decision import EventKind, PauseEvent
from bot.policy.facts import Facts
from bot.policy.knowledge import complete
from bot.policy.pack import Pack
from bot.policy.reminders import REMIND
from bot.services import decisions, erasure, pauses, reminders, unsent, wallet
from bot.services.accounts import HELD
from bot.services.facts import collect
from bot.services.reminders import KeepLinks
from bot.services.rows import row, rows
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork


class UnknownEventKind(SupportBotError):
    """Nobody here knows how to carry out an event of this kind; it stays due."""

    code = "unknown-event-kind"


class MissingSubject(SupportBotError):
    """What an event is about does not exist; it stays due."""

    code = "missing-event-subject"


@dataclass(frozen=True)
class Due:
    """An event that is due, with what carrying it out takes; `now` is the moment it is carried out."""

    uow: UnitOfWork
    event: Any
    pack: Pack
    now: datetime
    links: KeepLinks | None = None


@dataclass(frozen=True)
class NotMeant:
    """An event is called off instead of carried out, and why."""

    reason: str


Result = Mapping[str, Any] | NotMeant


def carry_out(due: Due) -> Result:
    """Do what an event says, or say why it is not to be done any more. Raises UnknownEventKind, MissingSubject."""
    handler = _HANDLERS.get(due.event.kind)
    if handler is None:
        raise UnknownEventKind(f"There is no way to carry out a `{due.event.kind}` event.", kind=due.event.kind)
    reason = why_not(due.uow, due.pack, due.event, due.now)
    return NotMeant(reason) if reason else handler(due)


def rank(kind: str) -> int:
    """The order of events that are due at one moment: what needs the data comes before what deletes it."""
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


# --- whether it is still meant ---------------------------------------------------------------------------------------

_ABOUT_OTHERS = ("other_plan_active", "other_plans", "other_products", "account_ends_at")
_ACCOUNT_WIDE = frozenset(
    {
        EventKind.TAKE_NUMBER_FEES.value,
        EventKind.END_10DLC.value,
        EventKind.DELETE_RECORDINGS.value,
        EventKind.ERASE_DATA.value,
    }
)


def is_account_wide(uow: UnitOfWork, event: Any) -> bool:
    """Whether an event is about what all subscriptions of the account share."""
    if event.kind != EventKind.RELEASE_NUMBER.value:
        return event.kind in _ACCOUNT_WIDE
    number = row(uow, select(t.PhoneNumber).where(t.PhoneNumber.id == event.subject_id))
    return number is not None and number.subscription_id is None


def why_not(uow: UnitOfWork, pack: Pack, event: Any, now: datetime) -> str | None:
    """Why an event is not to be done any more, None if it is: somebody came back, or another plan goes on instead."""
    if event.pause_id is not None:
        return pauses.why_not(uow, event)
    cancellation = uow.get(t.Cancellation, event.cancellation_id)
    if cancellation.status == "undone":
        return "the cancellation was undone"
    if not is_account_wide(uow, event):
        return None
    cancelled = uow.get(t.Subscription, cancellation.subscription_id)
    active = select(t.Subscription.product).where(
        t.Subscription.account_id == event.account_id, t.Subscription.status == "active"
    )
    products = rows(uow, active)
    if cancelled.product in products:
        return "the customer came back"
    if products and event.kind == EventKind.ERASE_DATA.value:
        return "the account goes on"
    return None if _still_holds(uow, pack, event, cancellation, now) else "another subscription goes on"


def _still_holds(uow: UnitOfWork, pack: Pack, event: Any, cancellation: Any, now: datetime) -> bool:
    """Whether the pack would schedule it with the account's other subscriptions as they are now.

    Everything else is as it was when the cancellation was decided: its own consequences do not count against it. A
    term that a newer pack no longer has was promised all the same.
    """
    terms = [each for each in pack.cancel.events if (each.kind.value, each.rule_id) == (event.kind, event.rule_id)]
    if not terms:
        return True
    customer = uow.get(t.Customer, cancellation.customer_id)
    facts_then, request = decisions.basis(uow, cancellation.decision_id)
    facts_now = collect(
        uow,
        pack=pack,
        customer=CustomerRef(customer.id, customer.brand, customer.email, customer.name),
        subscription_id=cancellation.subscription_id,
        now=min(now, event.due_at - timedelta(microseconds=1)),  # what is due counts as done, this event too
    )
    others = {name: facts_now.get(name) for name in _ABOUT_OTHERS}
    known = complete(pack, Facts({**facts_now, **facts_then, **others}), request).with_(
        cancelled_at=cancellation.requested_at, effective_at=cancellation.effective_at
    )
    return any(holds(term.when, known, pack.brand.zone) for term in terms)


# --- what each kind does ---------------------------------------------------------------------------------------------


def _remind(due: Due) -> Result:
    sent = reminders.send(due.uow, pack=due.pack, event=due.event, links=due.links, now=due.now)
    return NotMeant(sent) if isinstance(sent, str) else sent


def _take_number_fees(due: Due) -> Result:
    """The monthly fee of each number still held, as far as the wallet goes; what it cannot pay is not owed."""
    cancellation = due.uow.get(t.Cancellation, due.event.cancellation_id)
    if pauses.is_paused(due.uow, cancellation.subscription_id, due.event.due_at):
        return NotMeant("nothing is charged while the subscription is paused")
    day = due.event.due_at.astimezone(due.pack.brand.zone).date().isoformat()
    fees = [number for number in _shared_numbers(due.uow, due.event.account_id) if number.monthly_fee_minor]
    taken: list[Any] = []
    not_taken: list[Any] = []
    for number in fees:
        paid = wallet.take(
            due.uow,
            account_id=due.event.account_id,
            amount_minor=number.monthly_fee_minor,
            kind="number_fees",
            key=f"number-fee:{number.id}:{day}",
            now=due.now,
        )
        (taken if paid else not_taken).append(number)
    return {
        "taken_minor": sum(number.monthly_fee_minor for number in taken),
        "taken": [number.id for number in taken],
        "not_taken_minor": sum(number.monthly_fee_minor for number in not_taken),
        "not_taken": [number.id for number in not_taken],
    }


def _end_subscription(due: Due) -> Result:
    """The paid term is over: the subscription has ended on that date and its cancellation took effect."""
    subscription = _subject(due, t.Subscription)
    was = subscription.status
    if was != "ended":
        subscription.status = "ended"
        subscription.ended_at = due.event.due_at
    cancellation = due.uow.get(t.Cancellation, due.event.cancellation_id)
    if cancellation.status == "scheduled":
        cancellation.status = "effective"
    due.uow.session.flush()
    pauses.stop(due.uow, subscription.id, at=due.event.due_at, reason="the subscription ended")
    _mark_releasing(due)
    return {"was": was}


def _mark_releasing(due: Due) -> None:
    """Numbers of the account that are promised to go are on their way out from here on."""
    promised = select(t.LifecycleEvent.subject_id).where(
        t.LifecycleEvent.account_id == due.event.account_id,
        t.LifecycleEvent.kind == EventKind.RELEASE_NUMBER.value,
        t.LifecycleEvent.status == "scheduled",
    )
    due.uow.session.execute(
        update(t.PhoneNumber)
        .where(
            t.PhoneNumber.id.in_(promised), t.PhoneNumber.subscription_id.is_(None), t.PhoneNumber.status == "active"
        )
        .values(status="releasing")
        .execution_options(synchronize_session=False)
    )


def _credit_unsent(due: Due) -> Result:
    return unsent.credit(due.uow, pack=due.pack, event=due.event, now=due.now)


def _release_number(due: Due) -> Result:
    """The number goes back; one that left the account meanwhile in another way stays as it is."""
    number = _subject(due, t.PhoneNumber)
    was = number.status
    if was in HELD:
        number.status = "released"
        number.released_at = due.now
    return {"was": was, "released": was in HELD}


def _end_10dlc(due: Due) -> Result:
    """The account's registrations end; a new one has to be applied for."""
    wanted = select(t.Registration).where(
        t.Registration.account_id == due.event.account_id, t.Registration.status != "ended"
    )
    found = rows(due.uow, wanted)
    for registration in found:
        registration.status = "ended"
        registration.ended_at = due.now
    return {"ended": [registration.id for registration in found]}


def _delete_recordings(due: Due) -> Result:
    return {"deleted": erasure.delete_recordings(due.uow, due.event.account_id, due.now)}


def _erase_data(due: Due) -> Result:
    return erasure.erase_account(due.uow, brand=due.pack.brand, account_id=due.event.account_id, now=due.now)


def _begin_pause(due: Due) -> Result:
    return pauses.begin(due.uow.get(t.Pause, due.event.pause_id))


def _remind_of_pause(due: Due) -> Result:
    pause = due.uow.get(t.Pause, due.event.pause_id)
    if due.now >= pause.resumes_at:
        return NotMeant("it has ended")
    sent = reminders.send_end_of_pause(due.uow, pack=due.pack, pause=pause, now=due.now)
    return NotMeant(sent) if isinstance(sent, str) else sent


def _end_pause(due: Due) -> Result:
    """The subscription runs again from the promised date on; one that was cancelled meanwhile does not."""
    pause = due.uow.get(t.Pause, due.event.pause_id)
    if due.uow.get(t.Subscription, pause.subscription_id).status != "active":
        pause.status, pause.ended_at = "over", pause.resumes_at
        return NotMeant("the subscription was cancelled")
    return pauses.end(due.uow, pause, at=pause.resumes_at, zone=due.pack.brand.zone)


_HANDLERS: Mapping[str, Callable[[Due], Result]] = MappingProxyType(
    {
        REMIND: _remind,
        PauseEvent.BEGIN.value: _begin_pause,
        PauseEvent.REMIND.value: _remind_of_pause,
        PauseEvent.END.value: _end_pause,
        EventKind.TAKE_NUMBER_FEES.value: _take_number_fees,
        EventKind.END_SUBSCRIPTION.value: _end_subscription,
        EventKind.CREDIT_UNSENT.value: _credit_unsent,
        EventKind.RELEASE_NUMBER.value: _release_number,
        EventKind.END_10DLC.value: _end_10dlc,
        EventKind.DELETE_RECORDINGS.value: _delete_recordings,
        EventKind.ERASE_DATA.value: _erase_data,
    }
)
_ORDER = tuple(_HANDLERS)


def _shared_numbers(uow: UnitOfWork, account_id: str) -> list[Any]:
    wanted = select(t.PhoneNumber).where(
        t.PhoneNumber.account_id == account_id, t.PhoneNumber.subscription_id.is_(None), t.PhoneNumber.status.in_(HELD)
    )
    return rows(uow, wanted.order_by(t.PhoneNumber.e164))


def _subject(due: Due, table: Any) -> Any:
    found = row(due.uow, select(table).where(table.id == due.event.subject_id))
    if found is None:
        raise MissingSubject(f"`{due.event.subject_id}`, which the event is about, does not exist.")
    return found
