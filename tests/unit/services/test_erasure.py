"""After erasing, nothing that could tell who somebody was is left anywhere in the database; others keep everything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import JSON, LargeBinary, String, Text, select

from bot.services import attachments, erasure, identity, lifecycle, owner_notice, tickets
from bot.services.mail import DemoMailer, mail_handler
from bot.services.outbox import Dispatcher, OutboxKind
from bot.services.receipts import ReceiptContent, make_receipt
from bot.services.views import CustomerRef
from bot.store import tables as t
from bot.store.demo import show
from bot.store.erased import find, key_digests
from bot.store.unit_of_work import Store, UnitOfWork, make_engine
from tests.conftest import Databases
from tests.fakes.clock import START, FakeClock
from tests.fakes.codes import FixedCodes
from tests.unit.services.usecases import agent, all_packs, cancel, conversation, count, message, person, resume, served

MARK = "xqzmarker"
KIM = "kim@smrt.example"
PERSONAL = (KIM, "lee@smrt.example", "Kim Sandoval", "Sandoval Realty", "5550121", "555-0121", "Lee Sandoval", MARK)
ERASED_AT = START + timedelta(days=90)


def cells(store: Store) -> Iterator[tuple[str, str, Any]]:
    """Every value of the database that can hold words."""
    with store.read() as uow:
        for table in t.metadata.sorted_tables:
            worded = [
                c
                for c in table.columns
                if isinstance(c.type, (String, Text, JSON, LargeBinary)) or "JSON" in str(c.type)
            ]
            for row in uow.session.execute(select(*worded)) if worded else ():
                for column, value in zip(worded, row, strict=True):
                    yield table.name, column.name, value


def traces(store: Store, *words: str) -> set[str]:
    """Where any of these words stand."""
    return {
        f"{table}.{column}: {word}"
        for table, column, value in cells(store)
        for word in words
        if word.lower()
        in (bytes(value).decode("utf-8", "replace") if isinstance(value, (bytes, memoryview)) else str(value)).lower()
    }


@pytest.fixture
def full(demo_store: Store) -> Store:
    """Kim has done everything that can be done, and said her marker everywhere; Ava has, too."""
    clock = FakeClock()
    with demo_store.write() as uow:
        for email in (KIM, "ava@jolt.example"):
            _leave_traces(uow, email)
        cancel(uow, person(uow, KIM), "SUB-1014", reason_text=f"because {MARK}", conversation_id=_latest(uow, KIM))
        lee = person(uow, "lee@smrt.example")
        owner_notice.tell(
            uow, pack=served("smrtphone"), customer=lee, account_id=uow.get(t.Subscription, "SUB-1014").account_id,
            what=f"cancelling {MARK}", conversation_id=None, key="tell", now=START,
        )  # fmt: skip
        uow.commit()
    Dispatcher(
        demo_store, {OutboxKind.EMAIL: mail_handler(DemoMailer(demo_store, clock), domain="x.example")}, clock
    ).run_due(limit=4)
    return demo_store


def _latest(uow: UnitOfWork, email: str) -> str:
    found = select(t.Conversation.id).where(t.Conversation.customer_id == person(uow, email).customer_id)
    return str(uow.session.execute(found).scalars().first())


def _leave_traces(uow: UnitOfWork, email: str) -> None:
    who = person(uow, email)
    pack = served(who.brand)
    mark = MARK if email == KIM else "avamarker"
    account_id = uow.session.execute(
        select(t.Membership.account_id).where(t.Membership.customer_id == who.customer_id)
    ).scalar_one()
    spoken = conversation(uow, who)
    unproved = conversation(uow)
    for place in (spoken, unproved):
        uow.get(t.Conversation, place).brand = who.brand
        uow.get(t.Conversation, place).dialogue = {"slots": {"said": mark}}
        uow.get(t.Conversation, place).external_id = f"{mark}-{place}"
        uow.get(t.Conversation, place).channel_user = f"{mark}-user-{place}"
        said = uow.get(t.Message, message(uow, place, f"I am {email}, {mark}"))
        said.name, said.external_id, said.status = mark, f"{mark}-{said.id}", "received"
        said.buttons, said.outcomes, said.understanding = [{"title": mark}], {"said": mark}, {"entities": mark}
        said.attachments = [{"id": "att_x", "name": f"{mark}.png"}]
        uow.add(
            t.Delivery(id=f"dlv_{place}", message_id=said.id, external_id=mark, error=mark),
            t.Handoff(
                id=f"hnd_{place}", conversation_id=place, from_owner="bot", to_owner="bot", reason="asked", actor="bot",
                note=mark, at=START, idempotency_key=f"h-{place}",
            ),
            t.MessageChange(
                id=f"mch_{place}", message_id=said.id, kind="edited", text=mark, at=START, idempotency_key=f"c-{place}"
            ),
            t.ChannelEvent(
                id=f"evt_{place}", channel=uow.get(t.Conversation, place).channel, external_id=f"Ev-{place}",
                sender=f"{mark}-user-{place}", kind="message", payload={"text": mark}, received_at=START,
            ),
            t.WidgetSession(token_hash=place, conversation_id=place, created_at=START, expires_at=START),
        )  # fmt: skip
        attachments.store_attachment(
            uow, conversation_id=place, filename=f"{mark}.txt", content=mark.encode(), now=START
        )
        tickets.open_ticket(
            uow, brand=who.brand, kind="problem", subject=mark, summary=mark, contact_email=email,
            customer_id=who.customer_id if place == spoken else None, conversation_id=place,
            details={"what": mark}, idempotency_key=f"t-{place}", now=START,
        )  # fmt: skip
    make_receipt(
        uow, kind="refund", brand=pack.brand, customer_id=who.customer_id, conversation_id=spoken,
        content=ReceiptContent(
            title="Refund", what=mark, done_at=START, reference="RFD-1", rule_ids=("X-1",), policy_version="1"
        ),
        idempotency_key=f"rcp-{spoken}", now=START,
    )  # fmt: skip
    service = identity.IdentityService(
        brands={who.brand: pack.brand}, token_secrets={}, code_secret="s" * 40, codes=FixedCodes()
    )
    asked = {"brand": who.brand, "email": email, "now": START}
    service.request_code(uow, conversation_id=unproved, idempotency_key=f"otc-{unproved}", **asked)
    uow.add(
        t.Identity(
            id=f"idn_{spoken}", brand=who.brand, channel="slack", channel_user=f"{mark}-user",
            customer_id=who.customer_id, linked_at=START, expires_at=START,
        )
    )  # fmt: skip
    number = uow.session.execute(select(t.PhoneNumber).where(t.PhoneNumber.account_id == account_id)).scalars().first()
    ticket_id = uow.session.execute(select(t.Ticket.id).where(t.Ticket.conversation_id == spoken)).scalar_one()
    uow.add(
        t.Investigation(
            id=f"inv_{spoken}", ticket_id=ticket_id, account_id=account_id, customer_id=who.customer_id,
            phone_number_id=number.id, status="closed", details={"description": mark}, opened_at=START,
        )
    )  # fmt: skip
    wallet = uow.session.execute(select(t.Wallet).where(t.Wallet.account_id == account_id)).scalar()
    if wallet is not None:
        uow.add(
            t.WalletEntry(
                id=f"wle_{spoken}", wallet_id=wallet.id, amount_minor=0, kind="x", note=mark, at=START,
                idempotency_key=f"wle-{spoken}",
            )
        )  # fmt: skip
    account = uow.get(t.Account, account_id)
    account.state = "ZZ9" if email == KIM else account.state


def erase(store: Store, at: datetime = ERASED_AT) -> None:
    """Let the 90 days pass."""
    report = lifecycle.tick(store, now=at, packs=all_packs())
    assert report.failed == ()


def test_nothing_personal_is_left_anywhere(full: Store) -> None:
    before = {trace.split(":")[0] for trace in traces(full, *PERSONAL)}
    assert {"customers.email", "messages.text", "attachments.content", "outbox.payload", "demo_mails.plain",
            "receipts.html", "tickets.summary", "ticket_events.data", "decisions.facts", "one_time_codes.email",
            "conversations.dialogue", "cancellations.reason_text", "investigations.details",
            "identities.channel_user", "phone_numbers.e164", "accounts.name"} <= before  # fmt: skip
    erase(full)
    assert traces(full, *PERSONAL) == set()
    assert not [value for _, _, value in cells(full) if value == "ZZ9"]


def test_others_keep_everything(full: Store) -> None:
    others = ("avamarker", "ava@jolt.example", "Ava Moreno")
    before = traces(full, *others)
    with full.write() as uow:
        account_id = uow.get(t.Subscription, "SUB-1014").account_id
        erasure.erase_account(uow, brand=served("smrtphone").brand, account_id=account_id, now=START)
        uow.commit()
    assert traces(full, *others) == before


def test_the_audit_says_that_it_happened_and_not_to_whom(full: Store) -> None:
    erase(full)
    with full.read() as uow:
        kim = uow.get(t.Subscription, "SUB-1014").account_id
        erased = select(t.AuditLog).where(t.AuditLog.action == "lifecycle.erase_data", t.AuditLog.subject == kim)
        line = uow.session.execute(erased).scalar_one()
        assert (line.data["rule_id"], line.data["customers"]) == ("P-C5", 2)
        account = uow.get(t.Account, line.subject)
        assert (account.status, account.name, account.erased_at) == ("erased", "", ERASED_AT)


def test_the_books_still_add_up_and_consents_are_kept(full: Store) -> None:
    with full.read() as uow:
        account_id = uow.get(t.Subscription, "SUB-1014").account_id
        charges = count(uow, t.Charge, t.Charge.account_id == account_id)
    erase(full)
    with full.read() as uow:
        assert count(uow, t.Charge, t.Charge.account_id == account_id) == charges > 0
        kept = (
            uow.session.execute(select(t.Cancellation).where(t.Cancellation.account_id == account_id)).scalars().all()
        )
        assert {consent["id"] for each in kept for consent in each.consents} == {"loss", "loss_dialer"}
        assert [each.reason_text for each in kept] == [None, None]


def test_unanswered_messages_are_not_answered_after_erasing(full: Store) -> None:
    erase(full)
    with full.read() as uow:
        left = select(t.Message).where(t.Message.text == erasure.ERASED)
        assert {each.status for each in uow.session.execute(left).scalars()} == {"answered"}


def test_somebody_with_another_account_keeps_theirs(full: Store) -> None:
    with full.write() as uow:
        lee = person(uow, "lee@smrt.example")
        uow.add(t.Account(id="acc_other", brand="smrtphone", name="Other", status="active", created_at=START))
        uow.add(t.Membership(id="mem_other", account_id="acc_other", customer_id=lee.customer_id, role="owner"))
        uow.commit()
    erase(full)
    with full.read() as uow:
        assert person(uow, "lee@smrt.example") == lee
        assert find(uow, "smrtphone", KIM).name == ""  # type: ignore[union-attr]


def test_an_erased_customer_is_still_recognised_and_shown(full: Store) -> None:
    erase(full)
    assert show(full, KIM)["customer"]["erased_at"] == ERASED_AT.isoformat()
    service = identity.IdentityService(
        brands={"smrtphone": served("smrtphone").brand},
        token_secrets={"smrtphone": "t" * 40},
        code_secret="s" * 40,
        codes=FixedCodes(),
    )
    with full.write() as uow:
        token = service.issue_demo_token("smrtphone", KIM, now=ERASED_AT)
        proved = service.verify_token(uow, "smrtphone", token, now=ERASED_AT)
        assert (proved.name, proved.email) == ("", "")
        place = conversation(uow)
        uow.get(t.Conversation, place).brand = "smrtphone"
        service.bind(uow, place, proved, now=ERASED_AT)
        service.request_code(
            uow, brand="smrtphone", email=KIM, conversation_id=place, idempotency_key="again", now=ERASED_AT
        )
        kim = CustomerRef(proved.customer_id, proved.brand, proved.email, proved.name)
        late = resume(uow, kim, "SUB-1014", now=ERASED_AT + timedelta(days=1))
        assert late.resumed == ()
        assert late.not_possible[0][2] == "P-C5-erased"


def test_a_new_customer_with_the_same_address_comes_first(full: Store) -> None:
    erase(full)
    with full.write() as uow:
        uow.add(t.Customer(id="cus_new", brand="smrtphone", email=KIM, name="Kim", created_at=ERASED_AT))
        found = find(uow, "smrtphone", KIM)
        assert found is not None
        assert found.id == "cus_new"


def test_erasing_twice_finds_nothing(full: Store) -> None:
    erase(full)
    with full.write() as uow:
        account_id = uow.get(t.Subscription, "SUB-1014").account_id
        again = erasure.erase_account(uow, brand=served("smrtphone").brand, account_id=account_id, now=ERASED_AT)
        assert again["numbers_released"] == again["recordings"] == 0
        assert uow.get(t.Account, account_id).erased_at == ERASED_AT


def test_agents_of_the_desk_are_not_customers(full: Store) -> None:
    with full.write() as uow:
        agent(uow, "kim")
        uow.commit()
    erase(full)
    with full.read() as uow:
        assert count(uow, t.Agent, t.Agent.email == "kim@desk.example") == 1


def test_what_stays_of_an_address_cannot_be_checked_against_a_guess_without_the_key(databases: Databases) -> None:
    """Ned is still told that he was erased, and a copy of the database confirms nobody's address."""
    with databases.url("sqlite", "demo") as url:
        store = Store(make_engine(url), address_key=b"k" * 32)
        with store.write() as uow:
            assert find(uow, "smrtphone", "ned@smrt.example") is None, "written before there was a key"
            assert (key_digests(uow), key_digests(uow)) == (1, 0)
            uow.commit()
        with store.read() as uow:
            ned = find(uow, "smrtphone", "ned@smrt.example")
            assert ned is not None
            assert hashlib.sha256(b"smrtphone\0ned@smrt.example").hexdigest() not in ned.email
        store.close()
