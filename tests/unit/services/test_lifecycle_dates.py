"""Promised days are those of the brand's calendar: across time zones, month ends, leap days and clock changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from bot.policy.pack import Pack
from bot.services import cancellations
from bot.store import tables as t
from bot.store.unit_of_work import Store
from tests.unit.services.usecases import person, served

LOS_ANGELES, BERLIN, APIA, KATHMANDU = "America/Los_Angeles", "Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu"


def _in(zone: str) -> Pack:
    """Smarter Contact, if it were there."""
    pack = served("smartercontact")
    return replace(pack, brand=replace(pack.brand, time_zone=zone))


@pytest.mark.parametrize(
    ("zone", "start", "end", "kind", "days"),
    [
        # 14 days across the beginning of summer time, and across its end: the hour on the clock stays.
        (LOS_ANGELES, "2027-02-01T09:30", "2027-03-01T09:30", "release_number", ["2027-03-15T09:30"]),
        (BERLIN, "2026-09-20T23:45", "2026-10-20T23:45", "release_number", ["2026-11-03T23:45"]),
        # An hour that the change skips moves on by what was skipped.
        (BERLIN, "2027-02-14T02:30", "2027-03-14T02:30", "release_number", ["2027-03-28T03:30"]),
        # A year from a leap day ends with February.
        (LOS_ANGELES, "2028-01-29T00:15", "2028-02-29T00:15", "erase_data", ["2029-02-28T00:15"]),
        (KATHMANDU, "2027-01-28T23:59", "2027-02-28T23:59", "erase_data", ["2028-02-28T23:59"]),
        # A fee of the 31st is taken on the last day of a shorter month.
        (LOS_ANGELES, "2027-10-31T08:00", "2027-11-30T08:00", "take_number_fees", ["2027-11-30T08:00"]),
        (APIA, "2028-01-31T20:00", "2028-02-29T20:00", "take_number_fees", ["2028-02-29T20:00"]),
        # 30 days over the turn of the year.
        (APIA, "2027-11-15T12:00", "2027-12-15T12:00", "end_10dlc", ["2028-01-14T12:00"]),
    ],
)
def test_a_day_is_a_day_of_the_brand(
    demo_store: Store, zone: str, start: str, end: str, kind: str, days: list[str]
) -> None:
    local = ZoneInfo(zone)
    began, ends = (datetime.fromisoformat(moment).replace(tzinfo=local) for moment in (start, end))
    pack = _in(zone)
    with demo_store.write() as uow:
        hal = person(uow, "hal@smarter.example")
        for each in ("SUB-1010", "SUB-1011"):
            subscription = uow.get(t.Subscription, each)
            subscription.period_start, subscription.period_end = began, ends
        uow.session.flush()
        cancellations.cancel(
            uow,
            pack=pack,
            customer=hal,
            subscription_ids=["SUB-1010", "SUB-1011"],
            reason_id=None,
            reason_text=None,
            consents=[(each.id, each.version, each.wording) for each in pack.cancel.consents],
            offers=(),
            conversation_id=None,
            key="k",
            now=began,
        )
        account_id = uow.get(t.Subscription, "SUB-1010").account_id
        planned = select(t.LifecycleEvent.due_at).where(
            t.LifecycleEvent.account_id == account_id,
            t.LifecycleEvent.kind == kind,
            t.LifecycleEvent.status == "scheduled",
        )
        found = sorted(set(uow.session.execute(planned).scalars()))
    assert [moment.astimezone(local).strftime("%Y-%m-%dT%H:%M") for moment in found] == days


def test_a_long_period_is_charged_for_each_of_its_months(demo_store: Store) -> None:
    """A yearly plan from 31 January: the last day of every month, each counted from the first and not from the last."""
    zone = ZoneInfo(LOS_ANGELES)
    began = datetime(2027, 1, 31, 10, 0, tzinfo=zone)
    pack = _in(LOS_ANGELES)
    with demo_store.write() as uow:
        for each in ("SUB-1010", "SUB-1011"):
            subscription = uow.get(t.Subscription, each)
            subscription.interval_months = 12
            subscription.period_start, subscription.period_end = began, datetime(2028, 1, 31, 10, 0, tzinfo=zone)
        uow.session.flush()
        (shown, _) = cancellations.preview(
            uow,
            pack=pack,
            customer=person(uow, "hal@smarter.example"),
            subscription_ids=["SUB-1010", "SUB-1011"],
            now=began,
        )
    fees = [event.at.astimezone(zone) for event in shown.plan.events if event.kind.value == "take_number_fees"]
    assert [f"{moment:%m-%d %H:%M}" for moment in fees] == [
        "02-28 10:00", "03-31 10:00", "04-30 10:00", "05-31 10:00", "06-30 10:00", "07-31 10:00", "08-31 10:00",
        "09-30 10:00", "10-31 10:00", "11-30 10:00", "12-31 10:00", "01-31 10:00",
    ]  # fmt: skip
