"""Ben: charged twice for one period. The ledger proves it, so the second charge comes back, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bot.store.tables import Charge, Receipt, Refund, Ticket
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
BEN = "ben@jolt.example"
Start = Callable[..., Chat]


@pytest.mark.parametrize("wish", ["I was charged twice!!", "you took the money two times", "I want my money back"])
async def test_the_second_charge_is_refunded_with_amount_reference_and_receipt(chat: Start, wish: str) -> None:
    ben = chat(BEN)
    told = await ben.say(wish)
    (refund,) = ben.rows(Refund)
    (receipt,) = ben.rows(Receipt)
    assert len(ben.replies) == 1
    assert told.count("USD 15.00") >= 1
    assert refund.reference in told
    assert receipt.reference in told
    assert ben.attachments() == [f"Receipt {receipt.reference}.html"]
    assert (refund.amount_minor, refund.currency) == (1500, "USD")
    charges = sorted(ben.rows(Charge, invoice_id="INV-2002"), key=lambda charge: charge.charged_at)
    assert refund.charge_id == charges[-1].id
    assert [charge.refunded_minor for charge in charges] == [0, 1500]
    assert ben.decided() == ["J-R1:refund"]
    assert len(ben.mails(BEN)) == 1


@pytest.mark.parametrize(
    "again", ["I was charged twice, refund me", "I want my money back", "where is my refund?", "[Where is my refund]"]
)
async def test_asking_again_tells_the_first_refund_and_pays_nothing(chat: Start, again: str) -> None:
    ben = chat(BEN)
    await ben.say("I was charged twice")
    (refund,) = ben.rows(Refund)
    if again.startswith("["):
        await ben.say("I was charged twice")
        told = await ben.press(again.strip("[]"))
    else:
        told = await ben.say(again)
    assert refund.reference in told
    assert "USD 15.00" in told
    assert ben.day(refund.created_at) in told
    assert len(ben.rows(Refund)) == 1
    assert len(ben.mails(BEN)) == 1


@pytest.mark.parametrize("amount", ["15 dollars", "fifteen bucks", "$15"])
async def test_an_amount_however_it_is_said_is_said_back_with_its_charges(chat: Start, amount: str) -> None:
    ben = chat(BEN)
    await ben.say(f"you charged me {amount} twice")
    about, given = (reply.text for reply in ben.replies)
    assert about.startswith("You mean USD 15.00.")
    assert about.count("(INV-2002)") == 2
    assert "USD 15.00 is refunded" in given


async def test_what_is_wanted_back_is_the_charge_and_nothing_else(chat: Start) -> None:
    ben = chat(BEN)
    told = await ben.say("you charged me fifteen bucks twice!! i want it back")
    assert "USD 15.00 is refunded" in told
    assert "cancellation" not in told


async def test_an_amount_that_was_never_charged_is_said_back_and_changes_nothing_that_the_ledger_proves(
    chat: Start,
) -> None:
    ben = chat(BEN)
    await ben.say("you charged me forty dollars twice")
    about, given = (reply.text for reply in ben.replies)
    assert "USD 40.00, but no charge of yours is that much" in about
    assert "INV-2002" in about
    (refund,) = ben.rows(Refund)
    assert refund.amount_minor == 1500
    assert "USD 15.00 is refunded" in given


async def test_two_windows_at_once_give_one_refund(chat: Start) -> None:
    one, two = chat(BEN), chat(BEN)
    await asyncio.gather(one.say("I was charged twice"), two.say("I was charged twice"))
    (refund,) = one.rows(Refund)
    assert all(refund.reference in "\n".join(window.transcript) for window in (one, two))
    assert sum(charge.refunded_minor for charge in one.rows(Charge)) == 1500


async def test_the_same_message_delivered_twice_is_answered_once(chat: Start) -> None:
    ben = chat(BEN)
    first = await ben.send(text="I was charged twice", external_id="the-same")
    again = await ben.send(text="I was charged twice", external_id="the-same")
    assert [reply.id for reply in first.replies] == [reply.id for reply in again.replies]
    assert len(ben.rows(Refund)) == 1


async def test_charged_twice_and_wanting_it_back_is_one_wish(chat: Start) -> None:
    ben = chat(BEN)
    told = await ben.say("I was charged twice and I want my money back")
    assert "One thing at a time" not in told
    assert len(ben.replies) == 1
    assert ben.decided() == ["J-R1:refund"]


async def test_after_the_refund_another_wish_is_still_heard(chat: Start) -> None:
    ben = chat(BEN)
    await ben.say("I was charged twice")
    told = await ben.say("and now a refund because an app rejected my number")
    assert "not refundable" in told
    assert len(ben.rows(Refund)) == 1


async def test_the_third_time_a_person_is_offered(chat: Start) -> None:
    ben = chat(BEN)
    for _ in range(3):
        await ben.say("I was charged twice")
    assert ben.titles().count("Talk to a person") == 1
    told = await ben.press("Talk to a person")
    (ticket,) = ben.rows(Ticket, conversation_id=ben.conversation_id)
    assert ticket.reference in told
    assert "J-R1" in ticket.summary


async def test_asking_where_a_refund_is_that_nobody_asked_for_offers_what_is_due(chat: Start) -> None:
    """The ledger shows the second charge already; nothing is given before it is wanted."""
    ben = chat(BEN)
    told = await ben.say("where is my refund?")
    assert "No refund has been asked for yet" in told
    assert "USD 15.00" in told
    assert (ben.rows(Refund), ben.decided()) == ([], [])
    await ben.press("Get it back")
    assert len(ben.rows(Refund)) == 1


async def test_asking_where_a_refund_is_when_nothing_is_due_says_so(chat: Start) -> None:
    told = await chat("ava@jolt.example").say("where is my refund?")
    assert "There is no refund or credit in your account" in told
