"""Calls with a brand's team: which times are on offer, and booking one, with a ticket and a calendar file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from sqlalchemy import select

from bot.errors import InvalidInput, NotFound
from bot.ids import new_id
from bot.policy.dates import Shift, format_date, shift
from bot.policy.pack import CallTerms, Pack
from bot.services import attachments, audit
from bot.services.attachments import AttachmentView
from bot.services.calendar import MEDIA_TYPE, Appointment, calendar_file
from bot.services.ports import EmailAttachment
from bot.services.receipts import ReceiptContent, ReceiptView, make_receipt, receipt_with_key
from bot.services.rows import lock_customer, row, rows
from bot.services.tickets import TicketView, open_ticket, ticket_view
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

FILE_NAME = "call.ics"


@dataclass(frozen=True)
class Slot:
    """A time for a call; moments are aware UTC."""

    start: datetime
    end: datetime

    @property
    def id(self) -> str:
        """The name it is booked by."""
        return self.start.astimezone(timezone.utc).isoformat()


@dataclass(frozen=True)
class BookedCall:
    """A call that is booked; `repeated` when this customer had booked it before. `calendar` is in the conversation."""

    slot: Slot
    ticket: TicketView
    calendar: AttachmentView | None
    receipt: ReceiptView | None
    repeated: bool


def slots(pack: Pack, now: datetime) -> tuple[Slot, ...]:
    """The times on offer, soonest first; none where the brand offers no calls."""
    return () if pack.calls is None else tuple(_slots(pack.calls, pack.brand.zone, now))


def free_slots(uow: UnitOfWork, *, pack: Pack, customer: CustomerRef, now: datetime) -> tuple[Slot, ...]:
    """The times on offer that do not overlap with a call this customer has booked."""
    taken = booked(uow, customer.customer_id, now=now)
    return tuple(slot for slot in slots(pack, now) if not any(_overlap(slot, other) for other in taken))


def slot_label(pack: Pack, slot: Slot) -> str:
    """A time as people of the brand's zone say it: `Tuesday, 24 November 2026, 10:00 to 10:30 PST`."""
    start, end = (moment.astimezone(pack.brand.zone) for moment in (slot.start, slot.end))
    return f"{start:%A}, {format_date(slot.start, pack.brand.zone)}, {start:%H:%M} to {end:%H:%M} {start:%Z}"


def booked(uow: UnitOfWork, customer_id: str, *, now: datetime) -> tuple[Slot, ...]:
    """The customer's calls that are not over, soonest first."""
    coming = select(t.BookedCall).where(t.BookedCall.customer_id == customer_id, t.BookedCall.ends_at > now)
    return tuple(Slot(call.starts_at, call.ends_at) for call in rows(uow, coming.order_by(t.BookedCall.starts_at)))


def book(
    uow: UnitOfWork,
    *,
    pack: Pack,
    customer: CustomerRef,
    slot_id: str,
    conversation_id: str | None,
    key: str,
    now: datetime,
) -> BookedCall:
    """Book a call: a ticket for the team, a receipt with a calendar file, the file in the conversation too.

    Booked once: the same slot again shows the first booking. Raises NotFound where the brand offers no calls,
    InvalidInput for a time that is not on offer (any more) or overlaps with another call of theirs.
    """
    terms = pack.calls
    if terms is None:
        raise NotFound(f"{pack.brand.name} offers no calls to book.")
    lock_customer(uow, customer.customer_id)
    mine = select(t.BookedCall).where(t.BookedCall.customer_id == customer.customer_id)
    known = next((call for call in rows(uow, mine) if Slot(call.starts_at, call.ends_at).id == slot_id), None)
    if known is not None:
        return _again(uow, known, customer, conversation_id)
    slot = next((each for each in slots(pack, now) if each.id == slot_id), None)
    if slot is None:
        raise InvalidInput("That time is not on offer any more. Please choose another one.", slot=slot_id)
    if any(_overlap(slot, other) for other in booked(uow, customer.customer_id, now=now)):
        raise InvalidInput("You have a call at that time already. Please choose another one.", slot=slot_id)
    label = slot_label(pack, slot)
    ticket = open_ticket(
        uow,
        brand=pack.brand.id,
        kind="call",
        subject=f"{terms.title}: {label}",
        summary=f"{customer.name or customer.email} booked a call. Please call at {label}.",
        customer_id=customer.customer_id,
        contact_email=customer.email or None,
        conversation_id=conversation_id,
        details={"starts_at": slot.start.isoformat(), "ends_at": slot.end.isoformat()},
        idempotency_key=f"{key}:call",
        now=now,
    )
    content = calendar_file(
        Appointment(
            uid=f"{ticket.id}@{pack.brand.id}",
            title=terms.title,
            description=f"{ticket.reference}. To change it, write to {pack.brand.contacts.email}.",
            starts_at=slot.start,
            ends_at=slot.end,
            organizer_name=pack.brand.name,
            organizer_email=pack.brand.contacts.email,
            made_at=now,
        )
    )
    calendar = _keep(uow, conversation_id, content, now)
    uow.add(
        t.BookedCall(
            id=new_id("cll"),
            customer_id=customer.customer_id,
            ticket_id=ticket.id,
            starts_at=slot.start,
            ends_at=slot.end,
            calendar_id=calendar.id if calendar else None,
            created_at=now,
        )
    )
    receipt = make_receipt(
        uow,
        kind="call",
        brand=pack.brand,
        customer_id=customer.customer_id,
        conversation_id=conversation_id,
        content=ReceiptContent(
            title=terms.title,
            what=label,
            done_at=now,
            reference=ticket.reference,
            rule_ids=(terms.rule_id,),
            policy_version=pack.version,
        ),
        attachments=(EmailAttachment(FILE_NAME, MEDIA_TYPE, content),),
        idempotency_key=_receipt_key(ticket.id),
        now=now,
    )
    data = {"starts_at": slot.id, "rule_id": terms.rule_id}
    audit.record(uow, actor="bot", action="call.booked", subject=ticket.reference, data=data, now=now)
    return BookedCall(slot, ticket, calendar, receipt, repeated=False)


def _again(uow: UnitOfWork, call: t.BookedCall, customer: CustomerRef, conversation_id: str | None) -> BookedCall:
    ticket = uow.get(t.Ticket, call.ticket_id)
    kept = row(uow, select(t.Attachment).where(t.Attachment.id == call.calendar_id))
    here = kept is not None and kept.conversation_id == conversation_id
    return BookedCall(
        slot=Slot(call.starts_at, call.ends_at),
        ticket=ticket_view(uow, ticket.reference, customer_id=customer.customer_id),
        calendar=attachments.view(kept) if here else None,
        receipt=receipt_with_key(uow, _receipt_key(ticket.id)),
        repeated=True,
    )


def _keep(uow: UnitOfWork, conversation_id: str | None, content: bytes, now: datetime) -> AttachmentView | None:
    if conversation_id is None:
        return None
    return attachments.keep_own(
        uow, conversation_id=conversation_id, name=FILE_NAME, media_type=MEDIA_TYPE, content=content, now=now
    )


def _receipt_key(ticket_id: str) -> str:
    return f"call:{ticket_id}:receipt"


def _overlap(one: Slot, other: Slot) -> bool:
    return one.start < other.end and other.start < one.end


def _slots(terms: CallTerms, zone: ZoneInfo, now: datetime) -> Iterator[Slot]:
    """Slot after slot of each open day, by the clock on the wall; none falls into an hour that a clock change skips."""
    earliest = now + timedelta(hours=terms.notice_hours)
    length = timedelta(minutes=terms.minutes)
    for ahead in range(terms.days_ahead + 1):
        day = shift(now, Shift("now", days=ahead), zone).astimezone(zone).date()
        if day.weekday() not in terms.days:
            continue
        clock = datetime.combine(day, terms.opens)
        while clock.date() == day and clock + length <= datetime.combine(day, terms.closes):
            start = _on_the_wall(clock, zone)
            if start is not None and start >= earliest:
                yield Slot(start, start + length)
            clock += length


def _on_the_wall(clock: datetime, zone: ZoneInfo) -> datetime | None:
    """The moment at which the zone's clocks first show that time; None if they skip it."""
    moment = clock.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    return moment if moment.astimezone(zone).replace(tzinfo=None) == clock else None
