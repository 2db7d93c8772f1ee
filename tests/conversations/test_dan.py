"""Dan: the investigation is closed in his favour, so a person of the company chooses refund or credit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.ids import new_id
from bot.services import approvals
from bot.store.tables import Agent, Approval, Credit, Refund, Ticket
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
DAN = "dan@jolt.example"
Start = Callable[..., Chat]
WISHES = [
    "my number still receives nothing, what about my refund?",
    "I want my money back",
    "what about my refund for the broken number? my number receives nothing",
]


def _approval(chat: Chat) -> Any:
    (approval,) = chat.rows(Approval)
    return approval


@pytest.mark.parametrize("wish", WISHES)
async def test_his_case_goes_to_a_person_with_everything_attached(chat: Start, wish: str) -> None:
    dan = chat(DAN)
    told = await dan.say(wish)
    approval = _approval(dan)
    (ticket,) = dan.rows(Ticket, id=approval.ticket_id)
    assert len(dan.replies) == 1
    assert "One thing at a time" not in told
    assert ticket.reference in told
    assert "USD 15.00" in told
    assert DAN in told, "where the answer goes"
    assert (approval.amount_minor, approval.status) == (1500, "pending")
    assert (ticket.kind, ticket.priority) == ("approval", "high")
    assert dan.decided() == ["J-R3:refund_or_credit"]
    assert dan.rows(Refund) == []


@pytest.mark.parametrize("again", [*WISHES, "where is my refund?", "what happened with my case?"])
async def test_asking_again_tells_the_case_with_its_date_and_opens_no_second(chat: Start, again: str) -> None:
    dan = chat(DAN)
    await dan.say(WISHES[0])
    approval = _approval(dan)
    (ticket,) = dan.rows(Ticket, id=approval.ticket_id)
    dan.app.clock.advance(minutes=20)
    told = await dan.say(again)
    assert ticket.reference in told
    assert dan.day(ticket.created_at) in told
    assert "What is the refund about?" not in told
    assert len(dan.rows(Approval)) == 1
    assert len(dan.rows(Ticket, kind="approval")) == 1


async def test_once_a_person_has_chosen_the_result_is_told(chat: Start) -> None:
    dan = chat(DAN)
    await dan.say(WISHES[0])
    with dan.app.store.write() as uow:
        agent = Agent(
            id=new_id("agt"),
            email="boss@desk.example",
            name="Boss",
            role="supervisor",
            password_hash="-",
            brands=["joltsms"],
            created_at=dan.app.clock.now(),
        )
        uow.add(agent)
        approvals.decide_approval(
            uow,
            pack=dan.app.packs["joltsms"],
            approval_id=_approval(dan).id,
            agent_id=agent.id,
            choice="credit",
            note="",
            now=dan.app.clock.now(),
        )
        uow.commit()
    (credit,) = dan.rows(Credit)
    for question in ("where is my refund?", "I want my money back"):
        told = await dan.say(question)
        assert credit.reference in told
        assert "USD 15.00" in told
    assert dan.rows(Refund) == []
