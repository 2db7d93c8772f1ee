"""Calls: the times a brand keeps by its own clock, each booked once, with a ticket and a file that calendars read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from bot.errors import InvalidInput, NotFound
from bot.policy.pack import CallTerms, Pack
from bot.services import calls
from bot.services.attachments import read_attachment
from bot.services.calendar import Appointment, calendar_file
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import conversation, count, jolt, person, served

TERMS = CallTerms("Talk", "P-C8", (0, 1, 2, 3, 4), time(9), time(17), 30, 24, 10)


def pack(zone: str = "America/Los_Angeles", **changes: object) -> Pack:
    """A pack with calls in a time zone."""
    smrt = served("smrtphone")
    return replace(smrt, brand=replace(smrt.brand, time_zone=zone), calls=replace(TERMS, **changes))  # type: ignore[arg-type]


def book(
    uow: UnitOfWork, slot: calls.Slot, *, key: str = "k", now: datetime = START, place: str | None = None
) -> calls.BookedCall:
    """Kim books a call."""
    return calls.book(
        uow, pack=served("smrtphone"), customer=person(uow, "kim@smrt.example"), slot_id=slot.id, conversation_id=place,
        key=key, now=now,
    )  # fmt: skip


def test_times_are_on_working_days_within_the_hours_and_soon_enough() -> None:
    shop = pack()
    offered = calls.slots(shop, START)  # Monday 16 March 2026, 08:00 in Los Angeles
    local = [slot.start.astimezone(shop.brand.zone) for slot in offered]
    assert local == sorted(set(local))
    assert {moment.weekday() for moment in local} == {0, 1, 2, 3, 4}
    assert {moment.time() for moment in local} == {time(9 + i // 2, 30 * (i % 2)) for i in range(16)}
    assert local[0] == datetime(2026, 3, 17, 9, 0, tzinfo=shop.brand.zone)
    assert local[-1] == datetime(2026, 3, 26, 16, 30, tzinfo=shop.brand.zone)


def test_a_clock_change_moves_no_slot_on_the_wall() -> None:
    """On 8 March 2026 Los Angeles goes to summer time: nine o'clock stays nine o'clock."""
    shop = pack()
    friday = datetime(2026, 3, 6, 0, 0, tzinfo=shop.brand.zone)
    first = {slot.start.astimezone(shop.brand.zone).date(): slot.start for slot in reversed(calls.slots(shop, friday))}
    assert first[datetime(2026, 3, 9).date()] == datetime(2026, 3, 9, 16, 0, tzinfo=timezone.utc)  # noqa: DTZ001
    at_night = pack(opens=time(1), closes=time(4), days=(6,))
    night = [slot.start.astimezone(shop.brand.zone).hour for slot in calls.slots(at_night, friday)]
    assert night[:4] == [1, 1, 3, 3], "nobody is called at a time that does not exist"


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(timezone.utc)),  # noqa: DTZ001
    zone=st.sampled_from(["America/Los_Angeles", "Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu"]),
    minutes=st.integers(5, 240),
)
def test_every_slot_keeps_the_terms_wherever_the_brand_is(now: datetime, zone: str, minutes: int) -> None:
    shop = pack(zone, minutes=minutes)
    for slot in calls.slots(shop, now):
        start, end = slot.start.astimezone(ZoneInfo(zone)), slot.end.astimezone(ZoneInfo(zone))
        assert start.weekday() < 5
        assert time(9) <= start.time() < end.time() <= time(17)
        assert now + timedelta(hours=24) <= slot.start <= now + timedelta(days=12)


def test_a_brand_without_calls_offers_none(demo_store: Store) -> None:
    assert calls.slots(jolt(), START) == ()
    with demo_store.write() as uow, pytest.raises(NotFound):
        calls.book(
            uow, pack=jolt(), customer=person(uow, "ava@jolt.example"), slot_id="x", conversation_id=None, key="k",
            now=START,
        )  # fmt: skip


def test_booking_makes_a_ticket_a_receipt_and_a_calendar_file(demo_store: Store) -> None:
    slot = calls.slots(served("smrtphone"), START)[3]
    with demo_store.write() as uow:
        place = conversation(uow, person(uow, "kim@smrt.example"))
        made = book(uow, slot, place=place)
        uow.commit()
    label = calls.slot_label(served("smrtphone"), slot)
    assert label == "Tuesday, 17 March 2026, 10:30 to 11:00 PDT"
    assert (made.ticket.kind, made.repeated) == ("call", False)
    assert label in made.ticket.subject
    assert made.calendar is not None
    assert made.receipt is not None
    assert label in made.receipt.plain
    assert made.ticket.reference in made.receipt.plain
    with demo_store.read() as uow:
        _, content = read_attachment(uow, made.calendar.id, conversation_id=place)
        assert b"DTSTART:20260317T173000Z\r\n" in content
        mail = uow.session.execute(select(t.Outbox)).scalar_one()
        assert mail.payload["attachments"][0]["media_type"] == "text/calendar"
        assert calls.booked(uow, person(uow, "kim@smrt.example").customer_id, now=START) == (slot,)


def test_a_slot_is_booked_once(demo_store: Store) -> None:
    slot = calls.slots(served("smrtphone"), START)[0]
    with demo_store.write() as uow:
        place = conversation(uow, person(uow, "kim@smrt.example"))
        made, again = book(uow, slot, place=place), book(uow, slot, key="other", place=place)
        uow.commit()
    assert again.repeated
    assert (again.ticket.id, again.calendar, again.receipt) == (made.ticket.id, made.calendar, made.receipt)
    with demo_store.read() as uow:
        assert count(uow, t.BookedCall) == count(uow, t.Ticket, t.Ticket.kind == "call") == count(uow, t.Outbox) == 1


def test_a_time_that_passed_was_invented_or_overlaps_is_refused(demo_store: Store) -> None:
    slot = calls.slots(served("smrtphone"), START)[0]
    with demo_store.write() as uow:
        book(uow, slot)
        kim = person(uow, "kim@smrt.example")
        for wrong in (replace(slot, start=slot.start + timedelta(minutes=1)), replace(slot, start=START)):
            with pytest.raises(InvalidInput):
                book(uow, wrong, key="w")
        longer = replace(served("smrtphone"), calls=replace(TERMS, minutes=60, opens=time(9, 15)))
        assert slot.id not in {
            each.id for each in calls.free_slots(uow, pack=served("smrtphone"), customer=kim, now=START)
        }
        with pytest.raises(InvalidInput):
            calls.book(
                uow, pack=longer, customer=kim, slot_id=calls.slots(longer, START)[0].id, conversation_id=None, key="l",
                now=START,
            )  # fmt: skip


def test_a_calendar_file_escapes_folds_and_cannot_be_broken_out_of() -> None:
    content = calendar_file(
        Appointment(
            uid="u",
            title="Talk; now, or\nEND:VEVENT" + "ü" * 60,
            description="a\\b",
            starts_at=START,
            ends_at=START + timedelta(minutes=30),
            organizer_name='Shop "\r\nX:',
            organizer_email="a@b.example",
            made_at=START,
        )
    )
    lines = content.split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) <= 75 for line in lines)
    assert lines.count(b"END:VEVENT") == 1
    assert not any(b"\n" in line for line in lines)
    unfolded = content.replace(b"\r\n ", b"").decode()
    assert "SUMMARY:Talk\\; now\\, or\\nEND:VEVENT" + "ü" * 60 in unfolded
    assert 'ORGANIZER;CN="Shop X:":mailto:a@b.example' in unfolded
