"""A case is opened once, shows only to whom it belongs, and remembers what happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.errors import Conflict, InvalidInput, NotFound
from bot.services.tickets import (
    Priority,
    TicketStatus,
    TicketView,
    add_event,
    open_ticket,
    set_status,
    ticket_view,
    tickets_of,
)
from bot.store.tables import AuditLog, Ticket
from bot.store.unit_of_work import Store, UnitOfWork
from tests.fakes.brands import a_conversation, customer_id_of, said
from tests.fakes.clock import START

LATER = START + timedelta(hours=1)


@pytest.fixture
def uow(demo_store: Store) -> Iterator[UnitOfWork]:
    """One unit of work on the demo data, in which Dan has TCK-000001."""
    with demo_store.write() as unit:
        yield unit


def opened(uow: UnitOfWork, **changes: Any) -> TicketView:
    """A case of Ava's, with some arguments changed."""
    arguments: dict[str, Any] = {
        "brand": "joltsms",
        "kind": "problem",
        "subject": "No texts since Monday",
        "summary": "Ava says that no texts arrive.",
        "customer_id": customer_id_of(uow, "ava@jolt.example"),
        "contact_email": "ava@jolt.example",
        "conversation_id": None,
        "idempotency_key": "message-1:ticket",
        "now": START,
    }
    return open_ticket(uow, **{**arguments, **changes})


def test_a_case_gets_the_next_number_and_starts_open(uow: UnitOfWork) -> None:
    ticket = opened(uow, details={"since": "2026-03-09"}, priority=Priority.HIGH)
    assert (ticket.reference, ticket.status, ticket.priority) == ("TCK-000002", TicketStatus.OPEN, Priority.HIGH)
    (event,) = ticket.events
    assert (event.kind, event.actor, event.body) == ("opened", "bot", ticket.summary)
    assert event.data == {"details": {"since": "2026-03-09"}, "transcript": []}
    assert f"{ticket.status}" == str(ticket.status) == "open"


def test_the_same_key_opens_one_case(uow: UnitOfWork) -> None:
    assert opened(uow) == opened(uow)
    assert uow.session.execute(select(func.count()).select_from(Ticket)).scalar_one() == 2


def test_a_key_of_somebody_elses_case_shows_nothing(uow: UnitOfWork) -> None:
    opened(uow)
    with pytest.raises(Conflict):
        opened(uow, customer_id=customer_id_of(uow, "ben@jolt.example"))


def test_what_was_said_is_copied_in_order(uow: UnitOfWork) -> None:
    conversation = a_conversation(uow)
    said(uow, conversation, 2, "bot", "Since when?")
    said(uow, conversation, 1, "customer", "It does not work")
    elsewhere = a_conversation(uow)
    said(uow, elsewhere, 1, "customer", "Something else")
    transcript = opened(uow, conversation_id=conversation).events[0].data["transcript"]
    assert [(line["seq"], line["author"], line["text"]) for line in transcript] == [
        (1, "customer", "It does not work"),
        (2, "bot", "Since when?"),
    ]


def test_a_very_long_conversation_keeps_its_end(uow: UnitOfWork) -> None:
    conversation = a_conversation(uow)
    for seq in range(1, 206):
        said(uow, conversation, seq, "customer", "and another thing")
    transcript = opened(uow, conversation_id=conversation).events[0].data["transcript"]
    assert [transcript[0]["seq"], transcript[-1]["seq"]] == [6, 205]


def test_a_subject_is_one_line_of_at_most_two_hundred_characters(uow: UnitOfWork) -> None:
    ticket = opened(uow, subject="no\n texts " * 100)
    assert ticket.subject.startswith("no texts no texts")
    assert len(ticket.subject) <= 200
    with pytest.raises(InvalidInput, match="subject"):
        opened(uow, subject=" \n", idempotency_key="other")


@pytest.mark.parametrize("typed", ["TCK-000002", "tck-2", " TCK 000002 ", "#2", "2", "tck2"])
def test_a_number_may_be_typed_loosely(uow: UnitOfWork, typed: str) -> None:
    ticket = opened(uow)
    assert ticket_view(uow, typed, customer_id=ticket.customer_id) == ticket


@pytest.mark.parametrize("typed", ["TCK-000001", "TCK-999999", "TCK-99999999999999", "nonsense", ""])
def test_somebody_elses_case_and_no_case_look_the_same(uow: UnitOfWork, typed: str) -> None:
    """TCK-000001 is Dan's."""
    with pytest.raises(NotFound, match=r"cannot find a ticket .* of yours"):
        ticket_view(uow, typed, customer_id=customer_id_of(uow, "ava@jolt.example"))


def test_a_case_of_nobody_shows_in_its_own_conversation_only(uow: UnitOfWork) -> None:
    conversation, other = a_conversation(uow), a_conversation(uow)
    ticket = opened(uow, customer_id=None, conversation_id=conversation)
    ava = customer_id_of(uow, "ava@jolt.example")
    assert ticket_view(uow, ticket.reference, customer_id=None, conversation_id=conversation) == ticket
    assert tickets_of(uow, customer_id=ava, conversation_id=conversation) == [ticket]
    for who, where in ((None, None), (None, other), (ava, None), (ava, other)):
        assert tickets_of(uow, customer_id=who, conversation_id=where) == []
        with pytest.raises(NotFound):
            ticket_view(uow, ticket.reference, customer_id=who, conversation_id=where)


def test_a_customers_case_does_not_show_to_an_anonymous_visitor_of_the_conversation(uow: UnitOfWork) -> None:
    conversation = a_conversation(uow)
    opened(uow, conversation_id=conversation)
    assert tickets_of(uow, customer_id=None, conversation_id=conversation) == []


def test_cases_come_latest_first(uow: UnitOfWork) -> None:
    first = opened(uow)
    second = opened(uow, idempotency_key="message-2:ticket", now=LATER)
    assert tickets_of(uow, customer_id=first.customer_id) == [second, first]


def test_an_event_is_added_once(uow: UnitOfWork) -> None:
    ticket = opened(uow)
    for _ in range(2):
        seen = add_event(
            uow, ticket.id, kind="note", actor="agt_1", body="Looked at it.", idempotency_key="n1", now=LATER
        )
    assert [event.kind for event in seen.events] == ["opened", "note"]
    assert seen.updated_at == LATER


def test_a_status_changes_once_and_is_on_record(uow: UnitOfWork) -> None:
    ticket = opened(uow)
    for key in ("s1", "s1", "s2"):
        seen = set_status(
            uow, ticket.id, TicketStatus.RESOLVED, actor="agt_1", note="Fixed.", idempotency_key=key, now=LATER
        )
    assert seen.status is TicketStatus.RESOLVED
    assert [(event.kind, event.data) for event in seen.events[1:]] == [("status", {"from": "open", "to": "resolved"})]
    actions = uow.session.execute(select(AuditLog.action).where(AuditLog.subject == ticket.reference)).scalars().all()
    assert actions == ["ticket.opened", "ticket.status"]


def test_an_unknown_case_cannot_change(uow: UnitOfWork) -> None:
    with pytest.raises(NotFound):
        set_status(uow, "tck_x", TicketStatus.CLOSED, actor="bot", idempotency_key="k", now=START)
    with pytest.raises(NotFound):
        add_event(uow, "tck_x", kind="note", actor="bot", idempotency_key="k", now=START)
