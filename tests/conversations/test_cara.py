"""Cara: a number that never received a text. A test, what an investigation needs, a case for the engineers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.ids import new_id
from bot.store.tables import Attachment, InboundSms, Investigation, PhoneNumber, Refund, Ticket, TicketEvent
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
CARA = "cara@jolt.example"
NUMBER = "+1 415-555-0103"
STORY = "My number gets no texts at all, not from my own phone and not from any website I have tried so far."
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
Start = Callable[..., Chat]


def _text_arrives(chat: Chat) -> None:
    with chat.app.store.write() as uow:
        number = uow.session.query(PhoneNumber).filter_by(e164="+14155550103").one()
        uow.add(
            InboundSms(
                id=new_id("sms"),
                phone_number_id=number.id,
                received_at=chat.app.clock.now(),
                sender_kind="mobile",
            )
        )
        uow.commit()


def _investigation(chat: Chat) -> Any:
    (number,) = chat.rows(PhoneNumber, e164="+14155550103")
    (investigation,) = chat.rows(Investigation, phone_number_id=number.id)
    return investigation


def _files_of(chat: Chat, ticket_id: str) -> list[str]:
    (opened,) = chat.rows(TicketEvent, ticket_id=ticket_id, kind="opened")
    return [file["id"] for file in opened.data["details"]["files"]]


async def test_an_investigation_is_opened_with_everything_it_needs(chat: Start) -> None:
    cara = chat(CARA)
    told = await cara.say("my number gets no texts")
    assert NUMBER in told
    assert "ordinary mobile phone" in told
    told = await cara.press("I've sent it")
    assert f"No text has reached {NUMBER}" in told
    assert "What exactly goes wrong?" in told
    told = await cara.say("nothing ever arrives, from anyone")
    assert "Since when" in told
    told = await cara.say("since last tuesday")
    assert "screenshots or logs" in told
    told = await cara.press("Nothing to add")
    assert "so since 10 March 2026?" in told
    told = await cara.say("yes")
    investigation = _investigation(cara)
    (ticket,) = cara.rows(Ticket, id=investigation.ticket_id)
    assert ticket.reference in told
    assert "no texts since 10 March 2026" in told, "the date as it was understood is said back"
    assert CARA in told
    assert len(cara.replies) == 1
    collected = investigation.details
    assert (collected["name"], collected["email"]) == ("Cara Lindqvist", CARA)
    assert (collected["order_or_subscription_id"], collected["phone_number"]) == ("SUB-1003", "+14155550103")
    assert collected["description"] == "nothing ever arrives, from anyone"
    assert (collected["since"], collected["since_date"]) == ("since last tuesday", "2026-03-10")
    assert collected["test_sms"] == "sent, did not arrive"
    assert cara.decided() == ["J-R4:investigate", "J-R8-complete:investigate"]
    assert cara.rows(Refund) == []


async def test_a_story_told_in_the_first_message_is_not_asked_for_again(chat: Start) -> None:
    cara = chat(CARA)
    await cara.say(f"{STORY} It stopped on March 3.")
    told = await cara.press("I can't do that now")
    assert "What exactly goes wrong?" not in told
    assert "Since when" not in told
    assert "screenshots" in told
    await cara.say("no")
    collected = _investigation(cara).details
    assert collected["description"].startswith(STORY)
    assert collected["since_date"] == "2026-03-03"
    assert collected["test_sms"] == "not sent"


async def test_words_that_are_no_date_are_said_back_as_they_were(chat: Start) -> None:
    cara = chat(CARA)
    await cara.say(STORY)
    await cara.press("I've sent it")
    await cara.say("since the day I rented it")
    told = await cara.press("Nothing to add")
    assert "“since the day I rented it”" in told
    assert "since_date" not in _investigation(cara).details


async def test_files_are_kept_whichever_step_they_come_at(chat: Start) -> None:
    cara = chat(CARA)
    files = [cara.upload(f"shot-{n}.png", PNG + bytes([n])) for n in range(4)]
    await cara.say(STORY, files=(files[0],))
    told = await cara.say("", files=(files[1],))
    assert "added the file" in told
    assert NUMBER in told, "and the open question is put again"
    await cara.say("sent it", files=(files[2],))
    told = await cara.say("since yesterday", files=(files[3],))
    investigation = _investigation(cara)
    assert _files_of(cara, investigation.ticket_id) == files
    assert "4 files" in told
    assert {row.id for row in cara.rows(Attachment)} == set(files)


async def test_files_at_the_last_step_are_kept(chat: Start) -> None:
    cara = chat(CARA)
    await cara.say(STORY)
    await cara.press("I can't")
    await cara.say("for two weeks")
    file = cara.upload("inbox.png", PNG)
    await cara.say("this is my inbox", files=(file,))
    investigation = _investigation(cara)
    assert _files_of(cara, investigation.ticket_id) == [file]
    assert "this is my inbox" in investigation.details["attachments"]


@pytest.mark.parametrize("said", ["[I've sent it]", "sent", "done, I texted it", "yes"])
async def test_a_test_text_that_arrived_shows_that_the_number_works(chat: Start, said: str) -> None:
    cara = chat(CARA)
    await cara.say("my number gets no texts")
    cara.app.clock.advance(minutes=2)
    _text_arrives(cara)
    told = await (cara.press(said.strip("[]")) if said.startswith("[") else cara.say(said))
    assert "Your text has arrived" in told
    assert "does receive SMS" in told
    assert cara.decided() == ["J-R4:investigate", "J-R7-receiving:refuse"]
    assert cara.rows(Investigation, status="open") == []


async def test_a_text_that_arrives_late_is_still_seen(chat: Start) -> None:
    cara = chat(CARA)
    await cara.say(STORY)
    await cara.press("I've sent it")
    cara.app.clock.advance(minutes=3)
    _text_arrives(cara)
    told = await cara.say("since yesterday")
    assert "Your text has arrived" in told
    assert cara.rows(Investigation, status="open") == []


async def test_an_open_investigation_is_told_instead_of_a_second_one(chat: Start) -> None:
    cara = chat(CARA)
    for said in (STORY, "sent", "since yesterday", "no"):
        await cara.say(said)
    (ticket,) = cara.rows(Ticket, id=_investigation(cara).ticket_id)
    for again in ("my number gets no texts", "I want a refund, the number gets no texts"):
        told = await cara.say(again)
        assert ticket.reference in told
        assert cara.day(ticket.created_at) in told
    told = await cara.say(f"what about {ticket.reference}")
    assert ticket.reference in told
    assert "open" in told


async def test_a_question_and_a_why_in_between_are_answered(chat: Start) -> None:
    cara = chat(CARA)
    await cara.say("my number gets no texts")
    told = await cara.say("why do you need that?")
    assert "know where to look" in told
    assert NUMBER in told
    told = await cara.say("what is refundable?")
    assert "What is refundable" in told
    assert "I've sent it" in cara.titles()


@pytest.mark.parametrize("nothing", ["ok", "👍", "hello"])
async def test_what_says_nothing_is_not_taken_for_a_description(chat: Start, nothing: str) -> None:
    cara = chat(CARA)
    await cara.say("my number gets no texts")
    await cara.press("I can't")
    told = await cara.say(nothing)
    assert "What exactly goes wrong?" in told


async def test_never_mind_leaves_at_every_step(chat: Start) -> None:
    for steps in range(4):
        cara = chat(CARA)
        for said in ("my number gets no texts", "sent", "nothing arrives from anyone", "since yesterday")[: steps + 1]:
            await cara.say(said)
        assert "nothing was changed" in await cara.say("never mind")
    assert cara.rows(Investigation, status="open") == []


async def test_a_wish_for_money_that_tells_the_fault_is_one_wish(chat: Start) -> None:
    cara = chat(CARA)
    told = await cara.say("my number gets no texts and I want a refund")
    assert "One thing at a time" not in told
    assert NUMBER in told
