"""What was promised for a date happens then, once, whatever else fails, and however late."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from sqlalchemy import select

from bot.ids import new_id
from bot.services import cancellations, lifecycle
from bot.services.lifecycle import TickReport
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import count, customer, jolt

PACKS = {"joltsms": jolt()}
FINN_ENDS = START + timedelta(days=7)  # the demo's one planned end
DONE = ("lifecycle.end_subscription", "lifecycle.release_number")


def tick(store: Store, now: datetime) -> TickReport:
    """Run what is due."""
    return lifecycle.tick(store, now=now, packs=PACKS)


def plan(uow: UnitOfWork, kind: str, subject_id: str, due_at: datetime) -> str:
    """One more event of Finn's cancellation."""
    finn = uow.session.execute(select(t.Cancellation).where(t.Cancellation.subscription_id == "SUB-1006")).scalar_one()
    event = t.LifecycleEvent(
        id=new_id("evt"),
        cancellation_id=finn.id,
        account_id=finn.account_id,
        kind=kind,
        subject_id=subject_id,
        rule_id="J-C1",
        due_at=due_at,
    )
    uow.add(event)
    return str(event.id)


def test_nothing_happens_before_its_time(demo_store: Store) -> None:
    assert tick(demo_store, FINN_ENDS - timedelta(days=1, seconds=1)) == TickReport(0, 0, ())


def test_a_subscription_ends_and_its_number_is_released_when_promised(demo_store: Store) -> None:
    assert tick(demo_store, FINN_ENDS) == TickReport(2, 1, ())
    with demo_store.read() as uow:
        subscription = uow.get(t.Subscription, "SUB-1006")
        assert (subscription.status, subscription.ended_at) == ("ended", FINN_ENDS)
        number = uow.session.execute(
            select(t.PhoneNumber).where(t.PhoneNumber.subscription_id == "SUB-1006")
        ).scalar_one()
        assert (number.status, number.released_at) == ("released", FINN_ENDS)
        cancellation = uow.session.execute(
            select(t.Cancellation).where(t.Cancellation.subscription_id == "SUB-1006")
        ).scalar_one()
        assert cancellation.status == "effective"
        assert count(uow, t.AuditLog, t.AuditLog.action.in_(DONE)) == 2
        assert uow.get(t.Subscription, "SUB-1007").status == "active"


def test_a_released_number_may_be_held_by_somebody_else(demo_store: Store) -> None:
    tick(demo_store, FINN_ENDS)
    with demo_store.write() as uow:
        account_id = uow.get(t.Subscription, "SUB-1001").account_id
        uow.add(t.PhoneNumber(id="num_new", account_id=account_id, e164="+14155550105", status="active"))
        uow.commit()


def test_everything_happens_once(demo_store: Store) -> None:
    tick(demo_store, FINN_ENDS)
    assert tick(demo_store, FINN_ENDS) == TickReport(0, 0, ())


def test_months_off_are_caught_up_in_the_order_of_the_dates(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ava = customer(uow, "ava")
        cancellations.cancel(
            uow,
            pack=jolt(),
            customer=ava,
            subscription_ids=["SUB-1001"],
            reason_id=None,
            reason_text=None,
            consents=(),
            offers=(),
            conversation_id=None,
            key="k",
            now=START,
        )
        uow.commit()
    late = START + timedelta(days=200)
    assert tick(demo_store, late) == TickReport(4, 3, ()), "nobody is reminded of what has happened"
    with demo_store.read() as uow:
        log = uow.session.execute(
            select(t.AuditLog).where(t.AuditLog.action.like("lifecycle.%")).order_by(t.AuditLog.id)
        ).scalars()
        dates = [line.data["due_at"] for line in log]
        assert dates == sorted(dates)
        ended = uow.get(t.Subscription, "SUB-1001")
        assert ended.ended_at == ended.period_end, "it ended when it was promised to, not when we noticed"


def test_one_failure_holds_up_no_other_and_is_reported(demo_store: Store) -> None:
    with demo_store.write() as uow:
        unknown = plan(uow, "send_flowers", "SUB-1006", FINN_ENDS - timedelta(days=2))
        homeless = plan(uow, "release_number", "num_nowhere", FINN_ENDS - timedelta(days=1))
        uow.commit()
    report = tick(demo_store, FINN_ENDS)
    assert report.done == 2
    assert [(failed.event_id, failed.code) for failed in report.failed] == [
        (unknown, "unknown-event-kind"),
        (homeless, "missing-event-subject"),
    ]
    again = tick(demo_store, FINN_ENDS)
    assert (again.done, len(again.failed)) == (0, 2), "what failed stays due"
    with demo_store.read() as uow:
        assert uow.get(t.LifecycleEvent, unknown).status == "scheduled"


def test_two_tickers_at_once_do_everything_once(demo_store: Store) -> None:
    with demo_store.write() as uow:
        for minutes in range(6):
            plan(uow, "release_number", f"num_{minutes}", START + timedelta(minutes=minutes))
            account_id = uow.get(t.Subscription, "SUB-1006").account_id
            uow.add(
                t.PhoneNumber(
                    id=f"num_{minutes}",
                    account_id=account_id,
                    subscription_id="SUB-1006",
                    e164=f"+1415555020{minutes}",
                    status="releasing",
                )
            )
        uow.commit()
    reports: list[TickReport] = []
    threads = [threading.Thread(target=lambda: reports.append(tick(demo_store, FINN_ENDS))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(report.done for report in reports) == 8
    assert [report.failed for report in reports] == [(), ()]
    with demo_store.read() as uow:
        assert count(uow, t.AuditLog, t.AuditLog.action.in_(DONE)) == 8


def test_what_is_called_off_never_happens(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancellation_id = uow.session.execute(
            select(t.Cancellation.id).where(t.Cancellation.subscription_id == "SUB-1006")
        ).scalar_one()
        assert lifecycle.call_off(uow, cancellation_id, START) == 3, "the end, the release and a reminder"
        assert lifecycle.call_off(uow, cancellation_id, START) == 0
        uow.commit()
    assert tick(demo_store, FINN_ENDS) == TickReport(0, 0, ())


def test_a_number_that_left_in_another_way_stays_as_it_is(demo_store: Store) -> None:
    with demo_store.write() as uow:
        number = uow.session.execute(
            select(t.PhoneNumber).where(t.PhoneNumber.subscription_id == "SUB-1006")
        ).scalar_one()
        number.status = "ported_out"
        uow.commit()
    assert tick(demo_store, FINN_ENDS).done == 2
    with demo_store.read() as uow:
        assert uow.get(t.PhoneNumber, number.id).status == "ported_out"


def test_brands_without_a_pack_are_left_alone(demo_store: Store) -> None:
    """Smarter Contact's demo customers have events, too; they wait until its pack is served."""
    late = START + timedelta(days=900)
    report = tick(demo_store, late)
    assert (report.done, report.failed) == (2, ())
    with demo_store.read() as uow:
        assert count(uow, t.LifecycleEvent, t.LifecycleEvent.status == "scheduled") > 0


def test_all_numbers_without_a_subscription_go_with_an_account_wide_plan(demo_store: Store) -> None:
    """As for a plan that carries numbers: each gets its own event."""
    with demo_store.write() as uow:
        ava = customer(uow, "ava")
        number = uow.session.execute(
            select(t.PhoneNumber).where(t.PhoneNumber.subscription_id == "SUB-1001")
        ).scalar_one()
        number.subscription_id = None
        account_id = number.account_id
        uow.add(t.PhoneNumber(id="num_two", account_id=account_id, e164="+14155550191", status="active"))
        cancellations.cancel(
            uow,
            pack=jolt(),
            customer=ava,
            subscription_ids=["SUB-1001"],
            reason_id=None,
            reason_text=None,
            consents=(),
            offers=(),
            conversation_id=None,
            key="k",
            now=START,
        )
        released = uow.session.execute(
            select(t.LifecycleEvent.subject_id).where(
                t.LifecycleEvent.account_id == account_id, t.LifecycleEvent.kind == "release_number"
            )
        ).scalars()
        assert set(released) == {number.id, "num_two"}
