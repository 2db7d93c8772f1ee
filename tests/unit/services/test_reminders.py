"""Reminders come a week and a day before something is lost for good, once, and one click keeps it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from bot.errors import NotAuthenticated
from bot.policy.reminders import reminder_dates
from bot.services import keeping, lifecycle
from bot.services.reminders import Claim, KeepLinks
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.fakes.clock import START
from tests.unit.services.usecases import all_packs, cancel, count, person, resume

LINKS = KeepLinks("s" * 40, "https://help.example")
DAY = timedelta(days=1)


def tick(store: Store, now: datetime) -> None:
    report = lifecycle.tick(store, now=now, packs=all_packs(), links=LINKS)
    assert report.failed == ()


def mails(store: Store, to: str) -> list[dict[str, Any]]:
    """The reminders that were mailed to somebody, in order."""
    with store.read() as uow:
        wanted = select(t.Outbox).where(t.Outbox.recipient == to, t.Outbox.idempotency_key.like("reminder:%"))
        return [mail.payload for mail in uow.session.execute(wanted.order_by(t.Outbox.created_at)).scalars()]


@pytest.fixture
def ava_leaves(demo_store: Store) -> tuple[Store, datetime]:
    """Ava has cancelled; with the moment at which her number goes."""
    with demo_store.write() as uow:
        cancel(uow, person(uow, "ava@jolt.example"), "SUB-1001")
        uow.commit()
        return demo_store, uow.get(t.Subscription, "SUB-1001").period_end


def token_of(mail: dict[str, Any]) -> str:
    found = re.search(r"https://help\.example/keep/(\S+)", mail["plain"])
    assert found is not None
    return found[1]


def test_reminders_come_a_week_and_a_day_before(ava_leaves: tuple[Store, datetime]) -> None:
    store, ends = ava_leaves
    for at, sent in (
        (ends - 7 * DAY - DAY / 24, 0),
        (ends - 7 * DAY, 1),
        (ends - 2 * DAY, 1),
        (ends - DAY, 2),
        (ends, 2),
    ):
        tick(store, at)
        tick(store, at)
        assert len(mails(store, "ava@jolt.example")) == sent
    first = mails(store, "ava@jolt.example")[0]
    assert "+1 415-555-0101 will be released and cannot be had back." in first["plain"]
    assert "Monday, 6 April 2026" in first["subject"]


def test_after_being_off_only_the_latest_reminder_is_sent_and_none_of_what_has_happened(
    ava_leaves: tuple[Store, datetime],
) -> None:
    store, ends = ava_leaves
    tick(store, ends - DAY / 2)
    assert len(mails(store, "ava@jolt.example")) == 1


def test_what_has_happened_is_not_reminded_of(ava_leaves: tuple[Store, datetime]) -> None:
    store, ends = ava_leaves
    tick(store, ends)
    assert mails(store, "ava@jolt.example") == []


def test_one_click_keeps_it_once(ava_leaves: tuple[Store, datetime]) -> None:
    store, ends = ava_leaves
    tick(store, ends - 7 * DAY)
    token = token_of(mails(store, "ava@jolt.example")[0])
    clicked = ends - 2 * DAY
    packs = all_packs()
    with store.read() as uow:
        shown = keeping.offer(uow, packs=packs, links=LINKS, token=token, now=clicked)
        assert (shown.possible, shown.kept, shown.customer_name) == (True, False, "Ava Moreno")
        assert [each.id for each in shown.subscriptions] == ["SUB-1001"]
        assert uow.get(t.Subscription, "SUB-1001").status == "not_renewing", "looking changes nothing"
    results = []
    for _ in range(2):
        with store.write() as uow:
            results.append(keeping.keep(uow, packs=packs, links=LINKS, token=token, now=clicked).result)
            uow.commit()
    assert [each.resumed[0].status for each in results] == ["active", "active"]
    assert results[0].receipt == results[1].receipt
    with store.read() as uow:
        assert keeping.offer(uow, packs=packs, links=LINKS, token=token, now=clicked).kept
        assert count(uow, t.Receipt, t.Receipt.kind == "resumption") == 1
    tick(store, ends + DAY)
    with store.read() as uow:
        assert uow.get(t.Subscription, "SUB-1001").status == "active"


@pytest.mark.parametrize("wrong", ["", "x", "a.b.c", "signed by another", "for something else"])
def test_a_forged_link_keeps_nothing(ava_leaves: tuple[Store, datetime], wrong: str) -> None:
    import jwt

    store, ends = ava_leaves
    claim = Claim("cus", ("can",))
    if wrong == "signed by another":
        wrong = KeepLinks("o" * 40, "").token(claim, until=ends)
    if wrong == "for something else":
        wrong = jwt.encode({"sub": "cus", "aud": "login", "exp": 9**10, "cancellations": []}, "s" * 40)
    with store.write() as uow, pytest.raises(NotAuthenticated):
        keeping.keep(uow, packs=all_packs(), links=LINKS, token=wrong, now=START)


def test_a_link_runs_out_when_it_happens(ava_leaves: tuple[Store, datetime]) -> None:
    store, ends = ava_leaves
    tick(store, ends - DAY)
    token = token_of(mails(store, "ava@jolt.example")[0])
    with store.write() as uow, pytest.raises(NotAuthenticated, match="run out"):
        keeping.keep(uow, packs=all_packs(), links=LINKS, token=token, now=ends)


def test_what_was_resumed_is_not_reminded_of(ava_leaves: tuple[Store, datetime]) -> None:
    store, ends = ava_leaves
    with store.write() as uow:
        resume(uow, person(uow, "ava@jolt.example"), "SUB-1001")
        uow.commit()
    tick(store, ends)
    assert mails(store, "ava@jolt.example") == []


def test_one_mail_tells_of_everything_that_goes_at_one_moment(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, person(uow, "hal@smarter.example"), "SUB-1010", "SUB-1011")
        uow.commit()
        gone = {
            event.kind: event.due_at
            for event in uow.session.execute(
                select(t.LifecycleEvent).where(
                    t.LifecycleEvent.account_id == uow.get(t.Subscription, "SUB-1010").account_id
                )
            ).scalars()
        }
    tick(demo_store, gone["release_number"] - DAY)
    (mail,) = mails(demo_store, "hal@smarter.example")
    assert all(f"+1 212-555-011{digit}" in mail["plain"] for digit in (1, 2, 3, 4))
    assert "/keep/" not in mail["plain"], "an ended plan cannot be resumed, so no link pretends that it could"
    assert "subscribe again" in mail["plain"]


def test_recordings_and_data_that_go_together_are_told_together(demo_store: Store) -> None:
    with demo_store.write() as uow:
        cancel(uow, person(uow, "kim@smrt.example"), "SUB-1014")
        uow.commit()
    gone = START + timedelta(days=90)
    tick(demo_store, gone - 3 * DAY)
    week = mails(demo_store, "kim@smrt.example")[-1]
    assert "recordings" in week["plain"]
    assert "All data" in week["plain"]
    assert token_of(week)


def test_the_brands_calendar_counts_the_days() -> None:
    """Across the end of summer time a day has 25 hours: the hour on the clock stays."""
    zone = ZoneInfo("America/Los_Angeles")
    moment = datetime(2026, 11, 2, 9, 0, tzinfo=zone)
    week, day = reminder_dates(moment, zone=zone, now=START)
    assert [at.astimezone(zone).hour for at in (week, day)] == [9, 9]
    assert (moment - week, moment - day) == (timedelta(days=7, hours=1), timedelta(days=1))
    leap = datetime(2028, 3, 1, 0, 0, tzinfo=timezone.utc)
    assert reminder_dates(leap, zone=ZoneInfo("UTC"), now=START)[1] == datetime(2028, 2, 29, tzinfo=timezone.utc)
    assert reminder_dates(START + DAY / 2, zone=zone, now=START) == ()
