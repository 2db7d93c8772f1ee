"""Investigations: opened with everything the pack asks for, one of a number at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.errors import InvalidInput, NotFound
from bot.ids import new_id
from bot.services import accounts, decisions, investigations
from bot.services.tickets import TicketView
from bot.services.views import InvestigationView
from bot.store import tables as t
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.clock import START
from tests.unit.services.usecases import conversation, count, customer, jolt

DETAILS = {
    "name": "Cara Lindqvist",
    "email": "cara@jolt.example",
    "order_or_subscription_id": "SUB-1003",
    "phone_number": "+14155550103",
    "description": "No texts at all.",
    "since": "the first day",
    "test_sms": "sent, did not arrive",
}


def number_id(uow: UnitOfWork, name: str) -> str:
    """The id of a demo customer's only number."""
    return accounts.subscriptions(uow, customer(uow, name).customer_id)[0].number_id or ""


def open_one(uow: UnitOfWork, talk: str, *, key: str = "k", **changes: Any) -> tuple[InvestigationView, TicketView]:
    """Open Cara's investigation."""
    given: dict[str, Any] = {
        "number_id": number_id(uow, "cara"),
        "subscription_id": "SUB-1003",
        "details": DETAILS,
        "attachment_ids": (),
        **changes,
    }
    return investigations.open(
        uow, pack=jolt(), customer=customer(uow, "cara"), conversation_id=talk, key=key, now=START, **given
    )


def attach(uow: UnitOfWork, talk: str) -> str:
    """A file of a conversation."""
    row = t.Attachment(
        id=new_id("att"),
        conversation_id=talk,
        name="inbox.png",
        media_type="image/png",
        size=1,
        sha256="0" * 64,
        content=b"x",
        created_at=START,
    )
    uow.add(row)
    return str(row.id)


def test_an_investigation_comes_with_a_ticket_that_has_everything(demo_store: Store) -> None:
    with demo_store.write() as uow:
        talk = conversation(uow, customer(uow, "cara"))
        file_id = attach(uow, talk)
        found, ticket = open_one(uow, talk, attachment_ids=[file_id, file_id])
        assert count(uow, t.AuditLog, t.AuditLog.action == "investigation.opened") == 1
        stored = decisions.stored(uow, "k")
    assert (found.status, found.number, found.ticket_reference) == ("open", "+14155550103", ticket.reference)
    assert (ticket.kind, ticket.priority.value, ticket.subject) == (
        "investigation",
        "high",
        "+1 415-555-0103 receives no texts",
    )
    assert "What goes wrong: No texts at all." in ticket.summary
    attached = ticket.events[0].data["details"]
    assert attached["collected"] == DETAILS
    assert attached["files"] == [{"id": file_id, "name": "inbox.png"}]
    assert stored is not None
    assert stored[1].rule_id == "J-R8-complete"


def test_the_same_report_again_shows_the_same(demo_store: Store) -> None:
    with demo_store.write() as uow:
        talk = conversation(uow, customer(uow, "cara"))
        assert open_one(uow, talk) == open_one(uow, talk)
        assert count(uow, t.Investigation, t.Investigation.status == "open") == 1


def test_a_report_about_a_number_under_investigation_is_added_to_it(demo_store: Store) -> None:
    with demo_store.write() as uow:
        talk = conversation(uow, customer(uow, "cara"))
        first, _ = open_one(uow, talk)
        again = {**DETAILS, "description": "Still nothing."}
        second, ticket = open_one(uow, talk, key="later", details=again)
        _, repeated = open_one(uow, talk, key="later", details=again)
        stored = decisions.stored(uow, "later")
    assert second == first
    assert [event.kind for event in ticket.events] == ["opened", "reported_again"]
    assert repeated == ticket
    assert ticket.events[1].data["collected"]["description"] == "Still nothing."
    assert stored is not None
    assert stored[1].rule_id == "J-R4-open"


def test_after_a_closed_one_a_new_one_is_opened(demo_store: Store) -> None:
    with demo_store.write() as uow:
        dan = customer(uow, "dan")
        talk, number = conversation(uow, dan), number_id(uow, "dan")
        before = investigations.find(uow, customer_id=dan.customer_id, number_id=number)
        details = {**DETAILS, "order_or_subscription_id": "SUB-1004"}
        opened, _ = investigations.open(
            uow,
            pack=jolt(),
            customer=dan,
            number_id=number,
            subscription_id="SUB-1004",
            details=details,
            attachment_ids=(),
            conversation_id=talk,
            key="k",
            now=START,
        )
        after = investigations.find(uow, customer_id=dan.customer_id, number_id=number)
    assert before is not None
    assert (before.status, before.cause) == ("closed", "ours")
    assert after == opened
    assert opened.id != before.id


@pytest.mark.parametrize("missing", ["description", "since", "name"])
def test_what_the_pack_requires_must_be_there(demo_store: Store, missing: str) -> None:
    with demo_store.write() as uow:
        talk = conversation(uow, customer(uow, "cara"))
        with pytest.raises(InvalidInput) as raised:
            open_one(uow, talk, details={**DETAILS, missing: ""})
        assert raised.value.data["missing"] == [missing]
        assert count(uow, t.Investigation, t.Investigation.status == "open") == 0


def test_a_number_or_file_of_somebody_else_is_not_found(demo_store: Store) -> None:
    with demo_store.write() as uow:
        talk, other = conversation(uow, customer(uow, "cara")), conversation(uow)
        with pytest.raises(NotFound):
            open_one(uow, talk, number_id=number_id(uow, "ava"))
        with pytest.raises(NotFound):
            open_one(uow, talk, subscription_id="SUB-1001", number_id=number_id(uow, "ava"))
        with pytest.raises(NotFound):
            open_one(uow, talk, attachment_ids=[attach(uow, other)])


def test_only_the_customers_own_investigations_are_found(demo_store: Store) -> None:
    with demo_store.read() as uow:
        number = number_id(uow, "dan")
        assert investigations.find(uow, customer_id=customer(uow, "dan").customer_id, number_id=number) is not None
        assert investigations.find(uow, customer_id=customer(uow, "ava").customer_id, number_id=number) is None


def test_a_test_message_counts_from_when_it_was_asked_for(demo_store: Store) -> None:
    with demo_store.write() as uow:
        number = number_id(uow, "ava")
        assert not investigations.test_sms_arrived(uow, number_id=number, since=START)
        uow.add(
            t.InboundSms(
                id=new_id("sms"),
                phone_number_id=number,
                received_at=START + timedelta(minutes=1),
                sender_kind="mobile",
            )
        )
        assert investigations.test_sms_arrived(uow, number_id=number, since=START)
        assert not investigations.test_sms_arrived(uow, number_id=number_id(uow, "cara"), since=START)
