"""A mail reaches a real mail server whole, and the demo mailbox once."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from bot.errors import NotFound
from bot.services.mail import (
    DemoMailer,
    SmtpMailer,
    SmtpSecurity,
    SmtpSettings,
    caught_mail,
    caught_mails,
    enqueue_mail,
    mail_handler,
)
from bot.services.outbox import Dispatcher, DispatchResult, OutboxKind
from bot.services.ports import Email, EmailAttachment, Mailer, Undeliverable
from bot.store.unit_of_work import Store
from tests.fakes.brands import JOLT
from tests.fakes.clock import START, FakeClock
from tests.fakes.mailer import FakeMailer

EMAIL = Email(
    to="ava@jolt.example",
    subject="Your number will not renew ✓",
    plain="Hello Ava,\nit is done.\n",
    html="<p>Hello Ava</p>",
    message_id="<out_1@support.example>",
    sender_name="JoltSMS",
    reply_to="support@joltsms.example",
    attachments=(EmailAttachment("receipt.html", "text/html", b"<p>x</p>"),),
)


class Inbox:
    """What a mail server does with mail: keep it, or answer with `refusal`."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusal: dict[str, str] = {}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.rcpt_tos.append(address)
        return self.refusal.get("rcpt", "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.refusal.get("data", "250 OK")


@pytest.fixture
def inbox() -> Inbox:
    """An empty inbox."""
    return Inbox()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _server(inbox: Inbox, **options: Any) -> Iterator[int]:
    port = _free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def port(inbox: Inbox) -> Iterator[int]:
    """A mail server that asks for no login."""
    yield from _server(inbox)


@pytest.fixture
def login_port(inbox: Inbox) -> Iterator[int]:
    """A mail server that wants the user `bot` with the password `secret`."""

    def check(server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data == LoginPassword(b"bot", b"secret"), handled=False)

    yield from _server(inbox, authenticator=check, auth_required=True, auth_require_tls=False)


def mailer(port: int, **changes: Any) -> SmtpMailer:
    """A mailer for a server on this machine."""
    settings = {"host": "127.0.0.1", "port": port, "sender": "bot@support.example", "security": SmtpSecurity.NONE}
    return SmtpMailer(SmtpSettings(**{**settings, **changes}), FakeClock())


def test_a_mail_arrives_whole(inbox: Inbox, port: int) -> None:
    mailer(port).send(EMAIL)
    (mail,) = inbox.mails
    assert mail["To"] == "ava@jolt.example"
    assert mail["From"] == "JoltSMS <bot@support.example>"
    assert mail["Reply-To"] == "support@joltsms.example"
    assert mail["Subject"] == EMAIL.subject
    assert mail["Message-ID"] == "<out_1@support.example>"
    assert mail["Date"].datetime == START
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == EMAIL.plain.splitlines()
    assert html.get_content().strip() == EMAIL.html
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "receipt.html"
    assert attached.get_content().strip() == "<p>x</p>"


# The server warns that a login without TLS is unwise; it is, except against one's own test server.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_it_logs_in_where_the_server_wants_it(inbox: Inbox, login_port: int) -> None:
    mailer(login_port, user="bot", password="secret").send(EMAIL)
    assert len(inbox.mails) == 1
    with pytest.raises(smtplib.SMTPAuthenticationError):
        mailer(login_port, user="bot", password="wrong").send(EMAIL)


def test_without_the_protection_that_was_asked_for_nothing_is_sent(inbox: Inbox, port: int) -> None:
    with pytest.raises(smtplib.SMTPNotSupportedError):
        mailer(port, security=SmtpSecurity.STARTTLS, user="bot", password="secret").send(EMAIL)
    assert inbox.mails == []


@pytest.mark.parametrize(
    ("step", "answer", "error"),
    [
        ("rcpt", "550 no such user", Undeliverable),
        ("rcpt", "450 mailbox busy", smtplib.SMTPRecipientsRefused),
        ("data", "554 looks like spam", Undeliverable),
        ("data", "451 try later", smtplib.SMTPDataError),
    ],
)
def test_a_refusal_for_good_differs_from_one_for_now(
    inbox: Inbox, port: int, step: str, answer: str, error: type[Exception]
) -> None:
    inbox.refusal[step] = answer
    with pytest.raises(error):
        mailer(port).send(EMAIL)


def test_a_server_that_is_away_is_worth_another_try() -> None:
    with pytest.raises(ConnectionRefusedError):
        mailer(_free_port()).send(EMAIL)


def _send(store: Store, mailer: Mailer, clock: FakeClock, **changes: Any) -> DispatchResult:
    with store.write() as uow:
        enqueue_mail(
            uow,
            **{
                "brand": JOLT,
                "to": "ava@jolt.example",
                "subject": "Your\r\nBcc: code",
                "plain": "123456",
                "attachments": [EmailAttachment("a.bin", "application/pdf", b"\x00\xff")],
                "idempotency_key": "k",
                "now": START,
                **changes,
            },
        )
        uow.commit()
    return Dispatcher(store, {OutboxKind.EMAIL: mail_handler(mailer, domain="support.example")}, clock).run_due()


def test_what_was_queued_is_what_is_sent(store: Store, clock: FakeClock) -> None:
    """A mail sent again has the same Message-ID; a subject is one line."""
    sender = FakeMailer(OSError("away"))
    assert _send(store, sender, clock) == DispatchResult(failed=1)
    clock.advance(hours=1)
    assert _send(store, sender, clock) == DispatchResult(sent=1)
    (email,) = sender.sent
    assert (email.subject, email.plain, email.html) == ("Your Bcc: code", "123456", None)
    assert (email.sender_name, email.reply_to) == ("JoltSMS", "support@joltsms.example")
    assert email.attachments == (EmailAttachment("a.bin", "application/pdf", b"\x00\xff"),)
    assert email.message_id.startswith("<out_")
    assert email.message_id.endswith("@support.example>")


def test_the_demo_mailbox_keeps_a_mail_once(store: Store, clock: FakeClock) -> None:
    demo = DemoMailer(store, clock)
    for _ in range(2):
        demo.send(EMAIL)
    with store.read() as uow:
        (mail,) = caught_mails(uow)
        assert caught_mail(uow, mail.id) == mail
    assert (mail.recipient, mail.subject, mail.plain, mail.html) == (EMAIL.to, EMAIL.subject, EMAIL.plain, EMAIL.html)
    assert (mail.sender, mail.sent_at) == ("JoltSMS <support@joltsms.example>", START)


def test_the_demo_mailbox_shows_the_latest_first_of_everybody_or_of_one(store: Store, clock: FakeClock) -> None:
    demo = DemoMailer(store, clock)
    for number, to in enumerate(["ava", "ben", "ava"]):
        clock.advance(minutes=1)
        mail = {"to": f"{to}@jolt.example", "subject": str(number), "idempotency_key": str(number), "now": clock.now()}
        _send(store, demo, clock, **mail)
    with store.read() as uow:
        assert [mail.subject for mail in caught_mails(uow)] == ["2", "1", "0"]
        assert [mail.subject for mail in caught_mails(uow, recipient="AVA@jolt.example")] == ["2", "0"]
        assert [mail.subject for mail in caught_mails(uow, limit=1)] == ["2"]


def test_an_unknown_mail_is_not_found(store: Store) -> None:
    with store.read() as uow, pytest.raises(NotFound):
        caught_mail(uow, "mail_x")
