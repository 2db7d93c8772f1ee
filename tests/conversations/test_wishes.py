"""Several wishes in one message are served one after another; a story told in several clauses is one wish."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.store.tables import Cancellation, Refund, Ticket
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
AVA = "ava@jolt.example"
Start = Callable[..., Chat]


async def test_cancelling_and_money_back(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("I want to cancel and get my money back")
    assert "first cancelling, then your money back" in told
    for said in ("continue", "skip", "yes"):
        told = await ava.say(said)
    (cancellation,) = ava.rows(Cancellation, subscription_id="SUB-1001")
    assert cancellation.reference in told
    assert "does not refund unused days or a change of mind" in told, (
        "cancelled by now, so nobody asks what it is about"
    )
    assert ava.decided() == ["J-C1:allow", "J-R6:refuse"]
    assert "Cancel a subscription" not in ava.titles()


async def test_cancelling_and_money_back_where_the_ledger_has_something(chat: Start) -> None:
    ben = chat("ben@jolt.example")
    for said in ("I want to cancel and get my money back", "continue", "skip", "yes"):
        await ben.say(said)
    assert ben.decided() == ["J-C1:allow", "J-R1:refund"]
    assert len(ben.rows(Refund)) == 1


async def test_keeping_it_after_all_still_serves_the_second_wish(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("I want to cancel and get my money back")
    told = await ava.say("no, keep it")
    assert "Nothing was cancelled" in told
    assert "What is the refund about?" in told


async def test_leaving_drops_what_waits(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("I want to cancel and get my money back")
    told = await ava.say("never mind")
    assert "nothing was changed" in told
    assert "refund about" not in told


async def test_two_questions_are_both_answered_at_once(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("when does it renew and can I move the date?")
    assert "renews on" in told
    assert "rent again" in told


async def test_questions_come_before_what_takes_several_steps(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("Please cancel my number. Do I get money back for the unused days?")
    assert told.index("Unused days are not paid back") < told.index("if you cancel")
    assert "Do you still want to cancel" in told


async def test_three_wishes(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("show my invoices, cancel my number and then get me a human")
    assert "INV-2001" in told
    for said in ("continue", "skip", "yes"):
        told = await ava.say(said)
    (ticket,) = ava.rows(Ticket, conversation_id=ava.conversation_id)
    assert ticket.reference in told
    assert len(ava.rows(Cancellation, subscription_id="SUB-1001")) == 1


@pytest.mark.parametrize(
    ("who", "story", "rule"),
    [
        ("ben", "I was charged twice and I want my money back", "J-R1:refund"),
        ("ben", "You charged me twice. Refund me!", "J-R1:refund"),
        ("cara", "my number gets no texts and I want a refund", "J-R4:investigate"),
        ("dan", "what about my refund for the broken number? my number receives nothing", "J-R3:refund_or_credit"),
        ("eve", "I paid and there is no number in my account, I want my money back for INV-2005", "J-R2:refund"),
        (
            "cara",
            "I rented a number last week. It gets no texts from anyone. Please give me a refund.",
            "J-R4:investigate",
        ),
    ],
)
async def test_a_story_is_one_wish(chat: Start, who: str, story: str, rule: str) -> None:
    customer = chat(f"{who}@jolt.example")
    told = await customer.say(story)
    assert "One thing at a time" not in told
    assert customer.decided() == [rule]


async def test_manners_around_a_wish_are_no_wish(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("Hi there! I hope you are well. I want to cancel my number. Thank you!")
    assert "One thing at a time" not in told
    assert "if you cancel" in told
