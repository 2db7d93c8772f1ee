"""Cases by mail: answers go out in a thread, replies find their case, machines are not answered, nothing is doubled."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.errors import Conflict, InvalidInput, TooLarge, TooMany
from bot.services import erasure, mail_threads, tickets
from bot.services.mail import mail_handler
from bot.services.mail_parsing import IncomingMail, MailKind, new_words, parse, read_mail
from bot.services.mail_threads import Arrival, Arrived
from bot.services.outbox import Dispatcher, OutboxKind
from bot.services.ports import Email
from bot.services.tickets import Priority, TicketStatus, TicketView
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START, FakeClock
from tests.unit.services.usecases import agent, all_packs, conversation, customer, served

PAYLOADS = Path(__file__).parents[2] / "payloads" / "mail"
ZOE = "zoe.quinn@mail.example"
PACKS = all_packs()


def open_case(uow: UnitOfWork, *, email: str | None = ZOE, key: str = "case", **more: Any) -> TicketView:
    """A case of somebody whom we can only write to."""
    given = {"customer_id": None, "conversation_id": None, "brand": "joltsms", "subject": "Charged, no number"}
    return tickets.open_ticket(
        uow, kind="problem", summary="-", contact_email=email, idempotency_key=key, now=START, **{**given, **more}
    )


def answer(uow: UnitOfWork, case: TicketView, *, text: str = "Which card was it?", key: str = "answer") -> str:
    """Amy answers; returns the outbox id."""
    amy = uow.session.execute(select(t.Agent.id).where(t.Agent.name == "Amy")).scalar() or agent(uow, "amy")
    mail_threads.reply(
        uow,
        pack=served("joltsms"),
        ticket_id=case.id,
        agent_id=amy,
        agent_name="Amy",
        text=text,
        status=TicketStatus.PENDING,
        key=key,
        now=START,
    )
    return str(uow.session.execute(select(t.Outbox.id).order_by(t.Outbox.id.desc())).scalars().first())


def captured(name: str, *, out: str = "out_none", ref: str = "TCK-000001") -> bytes:
    """A captured mail, as an answer to that one of ours."""
    return (PAYLOADS / name).read_text(encoding="utf-8").replace("@OUT@", out).replace("@REF@", ref).encode()


def take(store: Store, content: bytes | IncomingMail, *, now: Any = START) -> Arrival:
    """Take it in."""
    mail = content if isinstance(content, IncomingMail) else parse(content)
    with store.write() as uow:
        arrival = mail_threads.receive(uow, mail, packs=PACKS, now=now)
        uow.commit()
    return arrival


def case_of(store: Store, reference: str) -> Any:
    """The row of a case."""
    with store.read() as uow:
        return uow.session.execute(select(t.Ticket).where(t.Ticket.reference == reference)).scalar_one()


@pytest.fixture
def thread(store: Store) -> tuple[Store, str, str]:
    """A case that Amy has answered: the store, the case's reference and the outbox id of the mail."""
    with store.write() as uow:
        case = open_case(uow)
        out = answer(uow, case)
        uow.commit()
    return store, case.reference, out


class _Server:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[Email] = []

    def send(self, email: Email) -> None:
        self.mails.append(email)


def test_an_answer_goes_out_once_with_the_reference_and_in_the_thread(thread: tuple[Store, str, str]) -> None:
    """The second answers the customer's reply, and both are in its references."""
    store, reference, out = thread
    take(store, captured("gmail_reply.eml", out=out, ref=reference))
    with store.write() as uow:
        row = uow.session.execute(select(t.Ticket)).scalar_one()
        for _ in range(2):
            answer(uow, row, text="Thank you.", key="second")
        uow.commit()
    server, clock = _Server(), FakeClock()
    Dispatcher(store, {OutboxKind.EMAIL: mail_handler(server, domain="supportbot.example")}, clock).run_due()
    first, second = sorted(server.mails, key=lambda mail: mail.subject)
    theirs = "<CAKx1h7Qw9=ZbY5u0oT2m@mail.gmail.com>"
    assert (first.subject, second.subject) == (
        f"Charged, no number [{reference}]",
        f"Re: Charged, no number [{reference}]",
    )
    assert (first.message_id, first.in_reply_to) == (f"<{out}@supportbot.example>", None)
    assert (second.in_reply_to, second.references) == (theirs, (first.message_id, theirs))
    assert (second.to, second.by_a_person) == (ZOE, True)
    assert "Amy\nJoltSMS support" in second.plain


def test_a_reply_finds_its_case_by_the_thread_and_brings_its_files(thread: tuple[Store, str, str]) -> None:
    store, reference, out = thread
    arrival = take(store, captured("gmail_reply.eml", out=out, ref="TCK-999999"))
    again = take(store, captured("gmail_reply.eml", out=out, ref="TCK-999999"))
    assert (arrival.outcome, arrival.reference, again.outcome) == (Arrived.ADDED, reference, Arrived.KNOWN)
    assert case_of(store, reference).status == "open"
    with store.read() as uow:
        _, mail = mail_threads.mails_of(uow, arrival.ticket_id or "")
        file, content = mail_threads.read_file(uow, arrival.ticket_id or "", mail.files[0].id)
        kinds = list(uow.session.execute(select(t.TicketEvent.kind).order_by(t.TicketEvent.id)).scalars())
    assert mail.text == "Hi Amy,\n\nyes, it’s the card ending in 4242. The receipt is attached.\n\nZoë"
    assert (file.name, file.media_type, content[:4]) == ("receipt.png", "image/png", b"\x89PNG")
    assert mail.refused_files == ("photos.zip",)
    assert (mail.is_other, mail.kind) == (False, MailKind.REPLY)
    assert kinds.count("mail") == 1


def test_a_reply_that_lost_its_thread_finds_its_case_by_the_reference(thread: tuple[Store, str, str]) -> None:
    store, reference, _ = thread
    arrival = take(store, captured("outlook_reply.eml", ref=reference))
    assert (arrival.outcome, arrival.reference) == (Arrived.ADDED, reference)
    with store.read() as uow:
        mail = mail_threads.mails_of(uow, arrival.ticket_id or "")[-1]
    assert mail.text == "It still has not arrived. Could you look again?"


def test_naming_a_case_does_not_let_a_stranger_into_it(thread: tuple[Store, str, str]) -> None:
    """Numbers of cases are easily guessed, so a stranger's mail is a case of its own."""
    store, reference, _ = thread
    stranger = captured("outlook_reply.eml", ref=reference).replace(ZOE.encode(), b"eve@mail.example")
    arrival = take(store, stranger)
    assert arrival.outcome is Arrived.OPENED
    assert arrival.reference != reference
    assert case_of(store, arrival.reference or "").contact_email == "eve@mail.example"


def test_a_colleague_who_answers_in_the_thread_is_taken_and_marked(thread: tuple[Store, str, str]) -> None:
    """Our mail was forwarded to them: nobody else could know its Message-ID."""
    store, reference, out = thread
    mail = captured("gmail_reply.eml", out=out, ref=reference).replace(ZOE.encode(), b"boss@mail.example")
    arrival = take(store, mail)
    with store.read() as uow:
        assert mail_threads.mails_of(uow, arrival.ticket_id or "")[-1].is_other
    assert case_of(store, reference).contact_email == ZOE, "answers still go to whose case it is"


def test_the_same_sender_alone_is_never_enough(thread: tuple[Store, str, str]) -> None:
    store, reference, _ = thread
    arrival = take(store, captured("outlook_reply.eml", ref="TCK-000042"))
    assert arrival.outcome is Arrived.OPENED
    assert arrival.reference != reference


def test_an_automatic_reply_is_kept_and_reopens_nothing(thread: tuple[Store, str, str]) -> None:
    store, reference, out = thread
    arrival = take(store, captured("out_of_office.eml", out=out, ref=reference))
    assert (arrival.outcome, arrival.reference) == (Arrived.ADDED, reference)
    assert case_of(store, reference).status == "pending"
    with store.read() as uow:
        assert len(uow.session.execute(select(t.Outbox.id)).scalars().all()) == 1, "and it is not answered"


def test_a_bounce_reopens_the_case_whose_mail_it_is_about(thread: tuple[Store, str, str]) -> None:
    store, reference, out = thread
    arrival = take(store, captured("bounce.eml", out=out, ref=reference))
    assert (arrival.outcome, arrival.reference) == (Arrived.ADDED, reference)
    assert case_of(store, reference).status == "open"


@pytest.mark.parametrize("name", ["out_of_office.eml", "bounce.eml"])
def test_what_machines_write_about_no_case_opens_none(store: Store, name: str) -> None:
    assert take(store, captured(name, ref="none")).outcome is Arrived.IGNORED


def test_our_own_mail_that_comes_back_is_ignored(thread: tuple[Store, str, str]) -> None:
    """By its Message-ID, also from another sender, and by a brand's own address: two of us cannot talk in circles."""
    store, reference, out = thread
    raw = captured("outlook_reply.eml", ref=reference)
    own_id = raw.replace(
        b"<AM0PR04MB1234C0FFEE@AM0PR04MB1234.eurprd04.prod.outlook.com>", f"<{out}@x.example>".encode()
    )
    own_sender = raw.replace(f"From: Zoe Quinn <{ZOE}>".encode(), b"From: JoltSMS <support@joltsms.example>", 1)
    assert [take(store, mail).outcome for mail in (own_id, own_sender)] == [Arrived.IGNORED] * 2


def test_the_json_of_a_mail_service_opens_a_case_with_its_file(store: Store) -> None:
    mail = read_mail((PAYLOADS / "postmark_inbound.json").read_bytes(), "application/json")
    assert mail.message_id == "<FB5F0E8C-1B2D-4C3E-9F00-AA11BB22CC33@mail.example>"
    arrival = take(store, mail)
    case = case_of(store, arrival.reference or "")
    assert (case.subject, case.brand, case.kind) == ("Number stopped working", "joltsms", "email")
    assert (case.customer_id, case.contact_email) == (None, "max.ortega@mail.example"), "a sender proves nothing"
    with store.read() as uow:
        (kept,) = mail_threads.mails_of(uow, case.id)
        assert [file.name for file in kept.files] == ["screenshot.png"]


def test_mail_to_nobody_here_is_ignored(store: Store) -> None:
    raw = captured("outlook_reply.eml", ref="x").replace(b"support@joltsms.example", b"sales@elsewhere.example")
    assert take(store, raw).why == "none of its recipients is a brand's address"


def test_a_flood_from_one_sender_is_stopped_and_may_come_later(store: Store) -> None:
    def mail(number: int) -> bytes:
        return captured("outlook_reply.eml", ref="x").replace(b"C0FFEE", f"{number:06d}".encode())

    for number in range(mail_threads.MAILS_PER_SENDER):
        take(store, mail(number))
    with pytest.raises(TooMany):
        take(store, mail(99))
    assert take(store, mail(99), now=START + timedelta(hours=1)).outcome is Arrived.OPENED


def test_what_cannot_be_answered_says_why(store: Store) -> None:
    with store.write() as uow:
        case = open_case(uow, email=None)
        with pytest.raises(Conflict, match="no e-mail address"):
            answer(uow, case)
        with pytest.raises(InvalidInput, match="empty"):
            answer(uow, case, text=" \n")
        with pytest.raises(TooLarge):
            answer(uow, case, text="x" * 20_001)


def test_merged_cases_share_their_mail_and_a_reply_goes_where_they_went(thread: tuple[Store, str, str]) -> None:
    store, reference, out = thread
    with store.write() as uow:
        first = uow.session.execute(select(t.Ticket)).scalar_one()
        second = open_case(uow, key="second")
        stranger = open_case(uow, key="third", email="eve@mail.example")
        amy = uow.session.execute(select(t.Agent.id)).scalar_one()
        for _ in range(2):
            tickets.merge(uow, first.id, second.id, agent_id=amy, idempotency_key="merge", now=START)
        with pytest.raises(Conflict, match="same person"):
            tickets.merge(uow, second.id, stranger.id, agent_id=amy, idempotency_key="m2", now=START)
        with pytest.raises(InvalidInput):
            tickets.merge(uow, second.id, second.id, agent_id=amy, idempotency_key="m3", now=START)
        with pytest.raises(Conflict, match="merged into another"):
            answer(uow, first, key="too late")
        uow.commit()
    arrival = take(store, captured("gmail_reply.eml", out=out, ref=reference))
    assert arrival.reference == second.reference
    assert case_of(store, reference).status == "closed"
    with store.read() as uow:
        assert [mail.direction for mail in mail_threads.mails_of(uow, second.id)] == ["out", "in"]


def test_changes_of_a_case_happen_once_and_are_audited(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ava, ben = customer(uow, "ava"), customer(uow, "ben")
        case = open_case(uow)
        amy, pia = agent(uow, "amy"), agent(uow, "pia", brands=("smrtphone",))
        for _ in range(2):
            about = {"actor": amy, "now": START}
            tickets.set_priority(uow, case.id, Priority.URGENT, idempotency_key="p", **about)
            tickets.assign(uow, case.id, amy, idempotency_key="a", **about)
            tickets.link(uow, case.id, conversation(uow, ava), idempotency_key="l", **about)
        with pytest.raises(InvalidInput, match="does not work for this brand"):
            tickets.assign(uow, case.id, pia, idempotency_key="b", **about)
        theirs = open_case(uow, key="ava's", customer_id=ava.customer_id)
        with pytest.raises(Conflict, match="another customer's"):
            tickets.link(uow, theirs.id, conversation(uow, ben), idempotency_key="m", **about)
        actions = uow.session.execute(select(t.AuditLog.action).where(t.AuditLog.actor == amy)).scalars().all()
        assert sorted(actions) == ["ticket.assigned", "ticket.linked", "ticket.priority"]


def test_erasing_somebody_empties_their_mail(demo_store: Store) -> None:
    with demo_store.write() as uow:
        ava = customer(uow, "ava")
        case = open_case(uow, email=ava.email, customer_id=ava.customer_id)
        out = answer(uow, case)
        uow.commit()
    raw = captured("gmail_reply.eml", out=out, ref=case.reference).replace(ZOE.encode(), ava.email.encode())
    take(demo_store, raw)
    with demo_store.write() as uow:
        account_id = uow.session.execute(
            select(t.Membership.account_id).where(t.Membership.customer_id == ava.customer_id)
        ).scalar_one()
        erasure.erase_account(uow, brand=served("joltsms").brand, account_id=account_id, now=START)
        uow.commit()
    with demo_store.read() as uow:
        mails = uow.session.execute(select(t.TicketMail)).scalars()
        names = t.TicketMail.__table__.columns.keys()
        kept = json.dumps([[getattr(mail, name) for name in names] for mail in mails], default=str)
        assert uow.session.execute(select(t.TicketFile.id)).first() is None
    assert "ava@" not in kept
    assert "4242" not in kept
    assert "gmail" not in kept


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("Yes.\n\nOn 6 Jan 2026, at 17:58, JoltSMS wrote:\n> Which?", "Yes."),
        ("Yes.\r\n\r\n-----Original Message-----\r\nFrom: JoltSMS", "Yes."),
        ("Ja.\n\nAm 06.01.2026 um 17:58 schrieb JoltSMS:\n> Which?", "Ja."),
        ("> Which?\nThe blue one.", "The blue one."),
        ("No quote here.\n\n\n\nTwo lines.", "No quote here.\n\nTwo lines."),
    ],
)
def test_only_what_is_new_is_read(raw: str, kept: str) -> None:
    assert new_words(raw) == kept


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"Subject: nobody\n\nHello", "message/rfc822"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"From": "a@b.example", "Attachments": [{"Name": "x"}]}', "application/json"),
        (b"x", "text/html"),
    ],
)
def test_what_is_no_mail_is_refused_with_a_sentence(content: bytes, media_type: str) -> None:
    with pytest.raises(InvalidInput):
        read_mail(content, media_type)
