"""Cases by mail: what the desk writes goes out in a thread of its own, and what comes back finds its case.

An incoming mail belongs to the case whose mail it answers, told by Message-IDs that nobody can guess; otherwise to the
case it names, if it comes from somebody of that case; never by its sender alone. Nothing that comes in is answered
automatically, so that two machines can never write to each other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import select

from bot.errors import Conflict, InvalidInput, NotFound, TooLarge
from bot.ids import new_id
from bot.policy.pack import Pack
from bot.services import audit, tickets
from bot.services.attachments import safe_name, sniff
from bot.services.limits import spend
from bot.services.mail import enqueue_mail
from bot.services.mail_parsing import IncomingMail, MailFile, MailKind
from bot.services.rows import row, rows
from bot.services.tickets import TicketStatus
from bot.store import tables as t
from bot.store.unit_of_work import UnitOfWork

LONGEST_REPLY = 20_000  # characters
MAILS_PER_SENDER = 30
_WINDOW = timedelta(hours=1)
_MOST_REFERENCES = 20
_REFERENCE = re.compile(r"\bTCK-(\d{6,12})\b", re.IGNORECASE)


class Arrived(str, Enum):
    """What became of a mail that came in."""

    ADDED = "added"  # to the case it belongs to
    OPENED = "opened"  # a new case
    KNOWN = "known"  # it had come in before
    IGNORED = "ignored"  # automatic, and about no case; or our own; or for nobody here


@dataclass(frozen=True)
class Arrival:
    """What became of a mail, and the case it is in; `why` says why it was ignored."""

    outcome: Arrived
    reference: str | None = None
    ticket_id: str | None = None
    why: str = ""


@dataclass(frozen=True)
class MailView:
    """A mail of a case; `is_other` when it came from an address that the case did not know."""

    id: str
    direction: str
    kind: MailKind
    sender: str
    recipient: str
    subject: str
    text: str
    files: tuple[FileView, ...]
    refused_files: tuple[str, ...]
    is_other: bool
    status: str
    at: datetime


@dataclass(frozen=True)
class FileView:
    """A file that came with a mail of a case; `size` in bytes."""

    id: str
    name: str
    media_type: str
    size: int


# --- going out -------------------------------------------------------------------------------------------------------


def reply(
    uow: UnitOfWork,
    *,
    pack: Pack,
    ticket_id: str,
    agent_id: str,
    agent_name: str,
    text: str,
    status: TicketStatus | None,
    key: str,
    now: datetime,
) -> None:
    """Mail an answer to whoever the case is of, once for each key, and move the case to `status`.

    Raises InvalidInput for an empty one, TooLarge, Conflict for a case without an address or one that was merged.
    """
    words = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not words:
        raise InvalidInput("The answer is empty. Write what the customer should read.")
    if len(words) > LONGEST_REPLY:
        raise TooLarge(f"The answer has {len(words):,} characters, and at most {LONGEST_REPLY:,} are sent.")
    ticket = tickets.locked(uow, ticket_id)
    if row(uow, select(t.TicketMail.id).where(t.TicketMail.idempotency_key == key)) is not None:
        return
    if tickets.merged_into(uow, ticket.id) is not None:
        raise Conflict("This case was merged into another one. Answer there.")
    to = address_of(uow, ticket)
    if not to:
        raise Conflict("There is no e-mail address in this case, so no answer can be sent.")
    signed = f"{words}\n\n{agent_name}\n{pack.brand.name} support\n{pack.brand.contacts.help_center}\n"
    _send(uow, pack=pack, ticket=ticket, to=to, text=words, plain=signed, key=key, now=now)
    tickets.append(uow, ticket, kind="reply", actor=agent_id, body=words, data={}, key=f"{key}:event", now=now)
    audit.record(uow, actor=agent_id, action="ticket.replied", subject=ticket.reference, now=now)
    if status is not None:
        tickets.set_status(uow, ticket.id, status, actor=agent_id, idempotency_key=f"{key}:status", now=now)


def address_of(uow: UnitOfWork, ticket: Any) -> str | None:
    """Where the answers of a case go; None for nobody, or for somebody erased."""
    if ticket.contact_email:
        return str(ticket.contact_email)
    customer = uow.get(t.Customer, ticket.customer_id) if ticket.customer_id else None
    return None if customer is None or customer.erased_at is not None else str(customer.email)


def _send(uow: UnitOfWork, *, pack: Pack, ticket: Any, to: str, text: str, plain: str, key: str, now: datetime) -> None:
    thread = _thread_ids(uow, ticket.id)
    subject = f"{ticket.subject} [{ticket.reference}]"
    outbox_id = enqueue_mail(
        uow,
        brand=pack.brand,
        to=to,
        subject=f"Re: {subject}" if thread else subject,
        plain=plain,
        idempotency_key=f"ticket-mail:{key}",
        now=now,
        in_reply_to=thread[-1] if thread else None,
        references=thread[-_MOST_REFERENCES:],
        by_a_person=True,
    )
    uow.add(
        t.TicketMail(
            id=new_id("tml"),
            ticket_id=ticket.id,
            direction="out",
            kind=MailKind.REPLY.value,
            message_id=outbox_id,
            sender=pack.brand.contacts.email,
            recipient=to,
            subject=subject,
            text=text,
            files=[],
            at=now,
            idempotency_key=key,
        )
    )


def _thread_ids(uow: UnitOfWork, ticket_id: str) -> list[str]:
    """Message-IDs of the case's mails, oldest first; of ours, the part before the @, which the mailer completes."""
    known = select(t.TicketMail).where(t.TicketMail.ticket_id == ticket_id, t.TicketMail.kind == MailKind.REPLY.value)
    return [mail.message_id for mail in rows(uow, known.order_by(t.TicketMail.at, t.TicketMail.id))]


# --- coming in -------------------------------------------------------------------------------------------------------


def receive(uow: UnitOfWork, mail: IncomingMail, *, packs: Mapping[str, Pack], now: datetime) -> Arrival:
    """Take a mail in, once for each Message-ID. Raises TooMany for a sender who floods; nothing is then kept."""
    known = row(uow, select(t.TicketMail).where(t.TicketMail.message_id == mail.message_id))
    if known is not None:
        ticket = uow.get(t.Ticket, known.ticket_id)
        return Arrival(Arrived.KNOWN, ticket.reference, ticket.id)
    if _is_ours(uow, mail, packs):
        return Arrival(Arrived.IGNORED, why="it is a mail of ours that came back")
    spend(
        uow,
        f"mail-in:{hashlib.sha256(mail.sender.encode()).hexdigest()[:32]}",
        limit=MAILS_PER_SENDER,
        per=_WINDOW,
        now=now,
        sentence="Too many mails from one sender within an hour. Try again later.",
    )
    found = _by_thread(uow, mail) or _by_reference(uow, mail)
    if found is None and mail.kind is not MailKind.REPLY:
        return Arrival(Arrived.IGNORED, why="it is automatic and belongs to no case")
    if found is not None and found.brand not in packs:
        return Arrival(Arrived.IGNORED, why="the brand of its case is not served")
    if found is None:
        pack = next((each for each in packs.values() if each.brand.contacts.email.lower() in mail.recipients), None)
        if pack is None:
            return Arrival(Arrived.IGNORED, why="none of its recipients is a brand's address")
        ticket = tickets.locked(uow, _open(uow, mail, pack, now).id)
        _keep(uow, ticket, mail, pack, now)
        return Arrival(Arrived.OPENED, ticket.reference, ticket.id)
    ticket = tickets.locked(uow, tickets.merged_into(uow, found.id) or found.id)
    _keep(uow, ticket, mail, packs[ticket.brand], now)
    return Arrival(Arrived.ADDED, ticket.reference, ticket.id)


def _is_ours(uow: UnitOfWork, mail: IncomingMail, packs: Mapping[str, Pack]) -> bool:
    """Whether we wrote it: by its Message-ID, or because it comes from a brand's own address."""
    if mail.sender in {pack.brand.contacts.email.lower() for pack in packs.values()}:
        return True
    return row(uow, select(t.Outbox.id).where(t.Outbox.id == _local(mail.message_id))) is not None


def _local(message_id: str) -> str:
    return message_id.strip("<>").partition("@")[0][:40]


def _by_thread(uow: UnitOfWork, mail: IncomingMail) -> Any:
    """The case whose mail it answers, the nearest first."""
    for message_id in mail.thread[:_MOST_REFERENCES]:
        wanted = select(t.TicketMail.ticket_id).where(t.TicketMail.message_id.in_([message_id, _local(message_id)]))
        if ticket_id := row(uow, wanted):
            return uow.get(t.Ticket, ticket_id)
    return None


def _by_reference(uow: UnitOfWork, mail: IncomingMail) -> Any:
    """The case that the subject names, if the sender is known in it: numbers of cases are easily guessed."""
    for number in _REFERENCE.findall(mail.subject):
        ticket = row(uow, select(t.Ticket).where(t.Ticket.reference == f"TCK-{int(number):06d}"))
        if ticket is not None and mail.sender in _people(uow, ticket):
            return ticket
    return None


def _people(uow: UnitOfWork, ticket: Any) -> set[str]:
    """Addresses that a case knows."""
    wrote = select(t.TicketMail.sender).where(t.TicketMail.ticket_id == ticket.id, t.TicketMail.direction == "in")
    return {address for address in (address_of(uow, ticket), *rows(uow, wrote)) if address}


def _open(uow: UnitOfWork, mail: IncomingMail, pack: Pack, now: datetime) -> Any:
    """A case of its own for a mail that answers none. Nobody has proved who they are by writing a mail."""
    return tickets.open_ticket(
        uow,
        brand=pack.brand.id,
        kind="email",
        subject=_REFERENCE.sub("", mail.subject).strip(" []:") or "Mail without a subject",
        summary=mail.text or "The mail has no text.",
        customer_id=None,
        contact_email=mail.sender,
        conversation_id=None,
        idempotency_key=f"mail-in:{hashlib.sha256(mail.message_id.encode()).hexdigest()}",
        now=now,
    )


def _keep(uow: UnitOfWork, ticket: Any, mail: IncomingMail, pack: Pack, now: datetime) -> None:
    is_other = mail.kind is MailKind.REPLY and mail.sender not in _people(uow, ticket)
    kept = t.TicketMail(
        id=new_id("tml"),
        ticket_id=ticket.id,
        direction="in",
        kind=mail.kind.value,
        message_id=mail.message_id,
        sender=mail.sender,
        recipient=pack.brand.contacts.email,
        subject=mail.subject,
        text=mail.text,
        files=[],
        is_other=is_other,
        at=now,
        idempotency_key=f"mail-in:{hashlib.sha256(mail.message_id.encode()).hexdigest()}",
    )
    uow.add(kept)
    refused = _keep_files(uow, kept, mail.files, pack, now) if mail.kind is MailKind.REPLY else []
    kept.files = [{"refused": name} for name in refused]
    about = {MailKind.AUTO: "auto_reply", MailKind.BOUNCE: "bounce"}.get(mail.kind, "mail")
    data = {"mail_id": kept.id, "other_address": is_other}
    tickets.append(uow, ticket, kind=about, actor="customer", body="", data=data, key=f"{kept.id}:event", now=now)
    audit.record(uow, actor="system", action=f"ticket.{about}", subject=ticket.reference, now=now)
    if mail.kind is not MailKind.AUTO and ticket.status != TicketStatus.OPEN.value:
        key = f"{kept.id}:status"
        tickets.set_status(uow, ticket.id, TicketStatus.OPEN, actor="system", idempotency_key=key, now=now)


def _keep_files(uow: UnitOfWork, mail: Any, files: tuple[MailFile, ...], pack: Pack, now: datetime) -> list[str]:
    """Keep the files that the brand takes; returns the names of the others."""
    limits, refused, kept = pack.brand.upload, [], 0
    for file in files:
        media_type = sniff(file.content, file.name)
        fits = 0 < len(file.content) <= limits.max_bytes and kept < limits.max_files
        if media_type is None or media_type not in limits.kinds or not fits:
            refused.append(safe_name(file.name, "text/plain")[:-4] if "." not in file.name else file.name[-100:])
            continue
        kept += 1
        uow.add(
            t.TicketFile(
                id=new_id("tfl"),
                ticket_id=mail.ticket_id,
                mail_id=mail.id,
                name=safe_name(file.name, media_type),
                media_type=media_type,
                size=len(file.content),
                content=file.content,
                created_at=now,
            )
        )
    return refused


# --- looking ---------------------------------------------------------------------------------------------------------


def mails_of(uow: UnitOfWork, ticket_id: str) -> tuple[MailView, ...]:
    """The mails of a case and of those merged into it, oldest first; of ours, how sending them stands."""
    merged = rows(uow, select(t.TicketMerge.ticket_id).where(t.TicketMerge.into_id == ticket_id))
    ids = [ticket_id, *merged]
    found = rows(
        uow, select(t.TicketMail).where(t.TicketMail.ticket_id.in_(ids)).order_by(t.TicketMail.at, t.TicketMail.id)
    )
    columns = (t.TicketFile.mail_id, t.TicketFile.id, t.TicketFile.name, t.TicketFile.media_type, t.TicketFile.size)
    files: dict[str, list[FileView]] = {}
    for mail_id, *about in uow.session.execute(select(*columns).where(t.TicketFile.ticket_id.in_(ids))):
        files.setdefault(mail_id, []).append(FileView(*about))
    sent = {
        each.id: each.status
        for each in rows(uow, select(t.Outbox).where(t.Outbox.id.in_([mail.message_id for mail in found])))
    }
    return tuple(
        MailView(
            id=mail.id,
            direction=mail.direction,
            kind=MailKind(mail.kind),
            sender=mail.sender,
            recipient=mail.recipient,
            subject=mail.subject,
            text=mail.text,
            files=tuple(files.get(mail.id, ())),
            refused_files=tuple(each["refused"] for each in mail.files),
            is_other=mail.is_other,
            status=sent.get(mail.message_id, "received" if mail.direction == "in" else "sent"),
            at=mail.at,
        )
        for mail in found
    )


def read_file(uow: UnitOfWork, ticket_id: str, file_id: str) -> tuple[FileView, bytes]:
    """A file of a mail of the case, or of one merged into it. Raises NotFound."""
    file = uow.get(t.TicketFile, file_id)
    if file is None or ticket_id not in (file.ticket_id, tickets.merged_into(uow, file.ticket_id)):
        raise NotFound("There is no such file in this case.")
    return FileView(file.id, file.name, file.media_type, file.size), bytes(file.content)
