"""A person is wanted, a problem reported: a case with a summary and the transcript, and its number told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from bot.services import presence
from bot.store.tables import Conversation, Handoff, Rating, Ticket, TicketEvent
from tests.conversations.chat import Chat
from tests.unit.services import usecases

pytestmark = pytest.mark.conversation
AVA = "ava@jolt.example"
Start = Callable[..., Chat]


def _tickets(chat: Chat) -> list[Any]:
    return chat.rows(Ticket, conversation_id=chat.conversation_id)


@pytest.mark.parametrize("wish", ["A human, please", "let me talk to a real person", "[Talk to a person]"])
async def test_a_person_gets_summary_and_transcript_and_the_customer_the_number(chat: Start, wish: str) -> None:
    ava = chat(AVA)
    await ava.say("I was charged twice")
    told = await (ava.press(wish.strip("[]")) if wish.startswith("[") else ava.say(wish))
    (ticket,) = _tickets(ava)
    assert ticket.reference in told
    assert AVA in told
    assert "need not repeat" in told
    assert len(ava.replies) == 1
    assert (ticket.kind, ticket.priority, ticket.status) == ("handoff", "high", "open")
    assert "Ava Moreno" in ticket.summary
    assert "J-R1-unproven" in ticket.summary
    (opened,) = ava.rows(TicketEvent, ticket_id=ticket.id, kind="opened")
    assert "I was charged twice" in [line["text"] for line in opened.data["transcript"]]


async def test_asking_a_second_time_tells_the_open_case(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("A human, please")
    ava.app.clock.advance(hours=2)
    told = await ava.say("I want to talk to a human!")
    (ticket,) = _tickets(ava)
    assert ticket.reference in told
    assert ava.day(ticket.created_at) in told
    assert len(ava.rows(TicketEvent, ticket_id=ticket.id, kind="asked_again")) == 1


async def test_once_it_is_resolved_a_new_case_is_opened(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("A human, please")
    with ava.app.store.write() as uow:
        uow.session.query(Ticket).filter_by(conversation_id=ava.conversation_id).one().status = "resolved"
        uow.commit()
    await ava.say("A human, please")
    assert len(_tickets(ava)) == 2


async def test_a_visitor_says_where_to_answer(chat: Start) -> None:
    visitor = chat()
    assert "Where should the answer go?" in await visitor.say("A human, please")
    told = await visitor.say("you can use joe@elsewhere.example")
    (ticket,) = _tickets(visitor)
    assert ticket.reference in told
    assert ticket.contact_email == "joe@elsewhere.example"
    assert ticket.customer_id is None
    told = await visitor.say("A human, please")
    assert ticket.reference in told
    assert len(_tickets(visitor)) == 1


@pytest.mark.parametrize("no", ["no", "[Answer me here only]", "skip", "I have no email"])
async def test_a_visitor_may_have_the_answer_here(chat: Start, no: str) -> None:
    visitor = chat()
    await visitor.say("A human, please")
    told = await (visitor.press(no.strip("[]")) if no.startswith("[") else visitor.say(no))
    (ticket,) = _tickets(visitor)
    assert ticket.reference in told
    assert "in this chat" in told
    assert ticket.contact_email is None


async def test_an_address_that_is_none_is_asked_for_again(chat: Start) -> None:
    visitor = chat()
    await visitor.say("A human, please")
    assert "doesn't look like an e-mail address" in await visitor.say("joe@")
    assert _tickets(visitor) == []


async def test_a_person_in_the_middle_of_a_flow_and_the_flow_goes_on(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    told = await ava.say("can I speak to a person?")
    assert "TCK-" in told
    assert "Do you still want to cancel" in told


async def test_a_problem_told_in_one_go_becomes_a_ticket_at_once(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("I'd like to report a problem: the dashboard shows an empty inbox since this morning")
    (ticket,) = _tickets(ava)
    assert ticket.reference in told
    assert "empty inbox" in ticket.summary
    assert ticket.kind == "problem"


async def test_a_problem_is_asked_for_and_files_go_with_it(chat: Start) -> None:
    ava = chat(AVA)
    assert "What is the problem?" in await ava.say("open a ticket")
    file = ava.upload("page.png", b"\x89PNG\r\n\x1a\n" + bytes(64))
    told = await ava.say("The inbox page stays white", files=(file,))
    (ticket,) = _tickets(ava)
    assert ticket.reference in told
    assert ticket.summary == "The inbox page stays white"
    (opened,) = ava.rows(TicketEvent, ticket_id=ticket.id, kind="opened")
    assert opened.data["details"]["files"] == [file]


async def test_the_status_of_a_ticket_is_told_from_the_records(chat: Start) -> None:
    ava = chat(AVA)
    assert "no tickets" in await ava.say("what about my ticket?")
    await ava.say("A human, please")
    (ticket,) = _tickets(ava)
    for asked in ("what about my ticket?", f"any news on {ticket.reference}?", ticket.reference):
        told = await ava.say(asked)
        assert ticket.reference in told
        assert "open" in told


async def test_a_file_out_of_nowhere_is_kept_and_asked_about(chat: Start) -> None:
    ava = chat(AVA)
    file = ava.upload("page.png", b"\x89PNG\r\n\x1a\n" + bytes(64))
    assert "What is it about?" in await ava.say("", files=(file,))
    assert ava.titles() == ["My number gets no texts", "Report a problem"]


# --- with somebody at the desk -----------------------------------------------------------------------------------


def _hire(chat: Chat, name: str = "Mia", *, online: bool = True) -> str:
    """Somebody who works for the brand, at the desk now unless they are not."""
    with chat.app.store.write() as uow:
        person = usecases.agent(uow, name.lower(), brands=(chat.brand,))
        if online:
            presence.seen(uow, agent_id=person, now=chat.app.clock.now())
        uow.commit()
    return person


def _owner(chat: Chat) -> str:
    (row,) = chat.rows(Conversation, id=chat.conversation_id)
    return str(row.owner)


async def test_with_somebody_there_the_customer_waits_in_the_chat(chat: Start) -> None:
    ava = chat(AVA)
    mia = _hire(ava)
    await ava.say("I was charged twice")
    told = await ava.say("A human, please")
    assert "You are number 1" in told
    assert "about 5 minutes" in told
    assert _tickets(ava) == []
    assert await ava.say("are you there? it is about the second charge") == ""
    assert "You are number 1" in await ava.say("how long will that take?")
    await ava.app.gateway.claim(ava.conversation_id, agent_id=mia, key="c")
    assert await ava.say("hello Mia") == ""
    await ava.app.gateway.agent_says(ava.conversation_id, agent_id=mia, text="Hello Ava, looking at it.", key="1")
    (asked,) = ava.rows(Handoff, conversation_id=ava.conversation_id, to_owner="queued")
    assert asked.reason == "asked"
    assert "J-R1-unproven" in asked.note
    await ava.app.gateway.resolve(ava.conversation_id, agent_id=mia, note="explained", key="r")
    assert "Would you like to say why?" in await ava.press("5")
    assert "Your words are with the rating" in await ava.say("Mia was quick and clear")
    (rating,) = ava.rows(Rating, conversation_id=ava.conversation_id)
    assert (rating.score, rating.words, rating.agent_id) == (5, "Mia was quick and clear", mia)
    assert "renews" in await ava.say("when does my number renew?")


async def test_a_rating_without_words_and_a_wish_instead_of_words(chat: Start) -> None:
    ava = chat(AVA)
    mia = _hire(ava)
    for number, answer in enumerate(["no thanks", "cancel my number"]):
        await ava.app.gateway.claim(ava.conversation_id, agent_id=mia, key=f"c{number}")
        await ava.app.gateway.resolve(ava.conversation_id, agent_id=mia, note="", key=f"r{number}")
        await ava.press("4")
        told = await ava.say(answer)
        assert ("Thank you for the rating" in told) == (number == 0)
        assert ("cancel" in told.lower()) == (number == 1)
    assert [rating.words for rating in ava.rows(Rating, conversation_id=ava.conversation_id)] == [None, None]


async def test_they_change_their_mind_and_the_bot_is_back(chat: Start) -> None:
    ava = chat(AVA)
    _hire(ava)
    await ava.say("cancel my number")
    assert "Do you still want to cancel" not in await ava.say("can I speak to a person?")
    assert "nobody will be fetched" in await ava.say("never mind")
    assert _owner(ava) == "bot"
    assert "Nobody" not in await ava.say("yes")  # to no question: the one before is not gone on with
    assert ava.decided() == []


async def test_a_visitor_waits_too_and_rather_has_an_e_mail(chat: Start) -> None:
    visitor = chat()
    _hire(visitor)
    assert "You are number 1" in await visitor.say("A human, please")
    visitor.app.clock.advance(minutes=6)
    assert await visitor.app.gateway.keep_promises() == 1
    assert "Where should the answer go?" in await visitor.press("Answer me by e-mail")
    told = await visitor.say("joe@elsewhere.example")
    (ticket,) = _tickets(visitor)
    assert ticket.reference in told
    assert _owner(visitor) == "bot"


async def test_nobody_is_promised_outside_the_hours_or_who_is_away(chat: Start) -> None:
    chat().app.clock.set(datetime(2026, 11, 28, 20, 0, tzinfo=timezone.utc))  # a Saturday
    kim = chat("kim@smrt.example", brand="smrtphone")
    _hire(kim)
    told = await kim.say("A human, please")
    assert "back on Monday, 30 November 2026, at 09:00" in told
    assert "kim@smrt.example" in told
    ava = chat(AVA)
    away = _hire(ava, "Max")
    with ava.app.store.write() as uow:
        presence.set_away(uow, agent_id=away, away=True, now=ava.app.clock.now())
        uow.commit()
    assert "TCK-" in await ava.say("A human, please")


async def test_who_was_not_understood_is_handed_over_for_that_once(chat: Start) -> None:
    """And after a person has settled it, the bot does not offer one for that reason again."""
    ava = chat(AVA)
    mia = _hire(ava)
    await ava.say("flurb gnarx")
    await ava.say("flurb gnarx wibble")
    assert "You are number 1" in await ava.press("Talk to a person")
    (asked,) = ava.rows(Handoff, conversation_id=ava.conversation_id, to_owner="queued")
    assert asked.reason == "misses"
    await ava.app.gateway.claim(ava.conversation_id, agent_id=mia, key="c")
    await ava.app.gateway.resolve(ava.conversation_id, agent_id=mia, note="", key="r")
    for _ in range(3):
        await ava.say("flurb gnarx")
    assert "write to" in ava.transcript[-2]
    assert "You are number 1" in await ava.say("a human please")  # asked for, it is done


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("this is ridiculous, when does my number renew", "[Talk to a person]"),
        ("this is absolute garbage, I want to speak to a human right now", None),
        ("what a joke of a company", "[Talk to a person]"),
    ],
)
async def test_who_is_angry_is_handed_over_for_that_and_served_first(chat: Start, first: str, then: str | None) -> None:
    ava = chat(AVA)
    _hire(ava)
    told = await ava.say(first)
    if then:
        told = await ava.press(then.strip("[]"))
    assert "You are number 1" in told
    (asked,) = ava.rows(Handoff, conversation_id=ava.conversation_id, to_owner="queued")
    (row,) = ava.rows(Conversation, id=ava.conversation_id)
    assert (asked.reason, row.handoff_reason, row.priority) == ("anger", "anger", "high")


async def test_what_waits_for_an_approval_has_a_person_beside_it_for_that_reason(chat: Start) -> None:
    dan = chat("dan@jolt.example")
    _hire(dan)
    await dan.say("I want my money back")
    assert "Talk to a person" in dan.titles()
    assert "You are number 1" in await dan.press("Talk to a person")
    (asked,) = dan.rows(Handoff, conversation_id=dan.conversation_id, to_owner="queued")
    (row,) = dan.rows(Conversation, id=dan.conversation_id)
    assert (asked.reason, row.priority) == ("limit", "high")


async def test_a_person_hands_back_with_a_word_on_what_to_do(chat: Start) -> None:
    ava = chat(AVA)
    mia = _hire(ava)
    await ava.app.gateway.claim(ava.conversation_id, agent_id=mia, key="c")
    await ava.app.gateway.hand_back(ava.conversation_id, agent_id=mia, note="cancel her subscription", key="b")
    told = await ava.say("yes")
    assert "cancel" in told.lower()
    (back,) = ava.rows(Handoff, conversation_id=ava.conversation_id, to_owner="bot")
    assert back.note == "cancel her subscription"


async def test_the_chat_is_sent_to_who_has_proved_who_they_are(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("I was charged twice")
    assert AVA in await ava.say("can you send me this chat?")
    assert "Your chat with JoltSMS" in ava.mails(AVA)
    visitor = chat()
    assert "e-mail" in await visitor.say("email me this conversation please")
    assert visitor.mails("joe@elsewhere.example") == []
