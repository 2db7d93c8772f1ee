"""Ava: one number that works. She asks, cancels, keeps it after all, and wants money that she is not due."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.store.tables import (
    Cancellation,
    LifecycleEvent,
    PhoneNumber,
    Receipt,
    Refund,
    Subscription,
    Ticket,
)
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
AVA = "ava@jolt.example"
NUMBER = "+1 415-555-0101"
Start = Callable[..., Chat]


def _hers(chat: Chat) -> Subscription:
    (subscription,) = chat.rows(Subscription, id="SUB-1001")
    return subscription


async def test_she_is_told_how_to_cancel_with_her_own_date(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("how do i cancel")
    assert NUMBER in told
    assert ava.day(_hers(ava).period_end) in told
    assert "Cancel a number" in told
    assert ava.titles() == ["Cancel a subscription"]


async def test_a_yes_to_the_only_offer_takes_it(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("how do i cancel")
    told = await ava.say("yes please")
    assert f"if you cancel {NUMBER}" in told
    assert ava.rows(Cancellation, subscription_id="SUB-1001") == []


async def test_she_cancels_and_gets_one_message_with_dates_reference_and_receipt(chat: Start) -> None:
    ava = chat(AVA)
    ends = _hers(ava).period_end
    told = await ava.say("cancel my number please")
    assert told.count(ava.day(ends)) >= 3, "what happens when, with the real date"
    assert "USD 15.00" in told
    assert ava.titles()[:2] == ["Continue cancelling", "Keep it"]
    await ava.press("Continue")
    await ava.press("It costs too much")
    assert ava.rows(Cancellation, subscription_id="SUB-1001") == [], "nothing happens before she confirms"
    told = await ava.press("Yes, cancel")
    (cancellation,) = ava.rows(Cancellation, subscription_id="SUB-1001")
    assert cancellation.reference in told
    assert ava.day(cancellation.effective_at) in told
    assert (cancellation.status, cancellation.reason_id) == ("scheduled", "too_expensive")
    assert cancellation.effective_at == ends
    assert cancellation.offers == ["new_date"]
    assert len(ava.replies) == 1, "done, until when it can be undone, and the receipt are one message"
    (receipt,) = ava.rows(Receipt)
    assert ava.attachments() == [f"Receipt {receipt.reference}.html"]
    assert ava.titles() == ["Undo this"]
    assert ava.decided() == ["J-C1:allow"]
    assert _hers(ava).status == "not_renewing"
    events = ava.rows(LifecycleEvent, cancellation_id=cancellation.id)
    assert {event.due_at for event in events if event.kind != "remind"} == {ends}
    assert any(receipt.reference in subject or "cancel" in subject.lower() for subject in ava.mails(AVA))


@pytest.mark.parametrize(
    "wish", ["[Undo this]", "undo that", "I changed my mind", "keep my number", "resume it please"]
)
async def test_she_undoes_it(chat: Start, wish: str) -> None:
    ava = chat(AVA)
    for said in ("cancel my number", "cancel", "cancel", "cancel"):
        await ava.say(said)
    assert _hers(ava).status == "not_renewing"
    told = await (ava.press(wish.strip("[]")) if wish.startswith("[") else ava.say(wish))
    assert ava.day(_hers(ava).period_end) in told
    assert "USD 15.00 a month" in told
    await ava.press("Yes, keep it")
    (cancellation,) = ava.rows(Cancellation, subscription_id="SUB-1001")
    assert cancellation.status == "undone"
    assert _hers(ava).status == "active"
    (number,) = ava.rows(PhoneNumber, e164="+14155550101")
    assert number.status == "active"
    assert {event.status for event in ava.rows(LifecycleEvent, cancellation_id=cancellation.id)} == {"called_off"}
    assert len(ava.rows(Receipt)) == 2
    assert len(ava.attachments()) == 1
    assert ava.decided() == ["J-C1:allow", "J-C1-resume:allow"]


async def test_a_change_of_mind_after_undoing_cancels_again(chat: Start) -> None:
    ava = chat(AVA)
    for said in ("cancel my number", "cancel", "cancel", "cancel", "undo that", "yes"):
        await ava.say(said)
    told = await ava.say("oh no, undo that")
    assert f"if you cancel {NUMBER}" in told


async def test_cancelling_again_tells_the_first_and_changes_nothing(chat: Start) -> None:
    ava = chat(AVA)
    for said in ("cancel my number", "cancel", "cancel", "cancel"):
        await ava.say(said)
    told = await ava.say("cancel my number")
    (cancellation,) = ava.rows(Cancellation, subscription_id="SUB-1001")
    assert "already cancelled" in told
    assert cancellation.reference in told
    assert ava.titles() == ["Keep it after all"]


@pytest.mark.parametrize("leaving", ["no", "Keep it", "please don't cancel it", "undo that", "never mind", "👎"])
async def test_every_way_of_saying_no_leaves_everything_as_it_is(chat: Start, leaving: str) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    told = await ava.say(leaving)
    assert "Nothing was cancelled" in told or "nothing was changed" in told
    assert ava.rows(Cancellation, subscription_id="SUB-1001") == []
    assert _hers(ava).status == "active"


async def test_no_to_the_last_question_cancels_nothing(chat: Start) -> None:
    ava = chat(AVA)
    for said in ("cancel my number", "cancel", "cancel", "no"):
        told = await ava.say(said)
    assert "Nothing was cancelled" in told
    assert ava.rows(Cancellation, subscription_id="SUB-1001") == []


async def test_a_reason_in_her_own_words_is_kept(chat: Start) -> None:
    ava = chat(AVA)
    for said in ("cancel my number", "continue", "I found a cheaper one elsewhere, sorry", "yes"):
        await ava.say(said)
    (cancellation,) = ava.rows(Cancellation, subscription_id="SUB-1001")
    assert (cancellation.reason_id, cancellation.reason_text) == (None, "I found a cheaper one elsewhere, sorry")


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("do I get money back for unused days?", "Unused days are not paid back"),
        ("what happens to my number after I cancel?", "released"),
        ("will I still be charged after cancelling?", "USD 15.00"),
        ("when does my number renew?", "renews on"),
    ],
)
@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_a_question_at_any_step_is_answered_and_the_flow_goes_on(
    chat: Start, question: str, part: str, steps: int
) -> None:
    ava = chat(AVA)
    for said in ("cancel my number", "cancel", "cancel")[:steps]:
        await ava.say(said)
    asked = ava.replies[-1].text.splitlines()[-1]
    told = await ava.say(question)
    assert part in told
    assert ava.replies[-1].text.splitlines()[-1] == asked, "the open question is put again"
    for _ in range(4 - steps):
        await ava.say("cancel")
    assert len(ava.rows(Cancellation, subscription_id="SUB-1001", status="scheduled")) == 1


async def test_another_wish_in_the_middle_is_served_and_cancelling_taken_up_again(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    told = await ava.say("by the way, I was charged twice")
    assert "Each term was charged once" in told
    assert f"Do you still want to cancel {NUMBER}?" in ava.replies[-1].text
    for _ in range(3):
        await ava.say("cancel")
    assert ava.decided() == ["J-R1-unproven:refuse", "J-C1:allow"]


async def test_an_alternative_is_told_without_leaving_the_flow(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    told = await ava.press("Move the renewal date")
    assert "rent again" in told
    assert ava.titles()[0] == "Continue cancelling", "the way forward stays beside it, and no second one to begin anew"


async def test_a_wrong_charge_she_only_claims_is_not_refunded_and_a_person_is_offered(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("I was charged twice, I want that money back")
    assert "Each term was charged once" in told
    assert ava.titles() == ["Talk to a person", "My charges and invoices"]
    assert len(ava.replies) == 1
    assert ava.rows(Refund) == []
    assert ava.decided() == ["J-R1-unproven:refuse"]
    told = await ava.press("Talk to a person")
    (ticket,) = ava.rows(Ticket, conversation_id=ava.conversation_id)
    assert ticket.reference in told
    assert AVA in told


async def test_her_number_receives_texts_and_she_is_told_why_that_is_no_failure(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("my number gets no texts at all")
    assert "does receive SMS" in told
    assert "15 March 2026" in told
    assert "ordinary phone" in told, "what she can try"
    assert ava.decided() == ["J-R7-receiving:refuse"]
    assert "Talk to a person" in ava.titles()


async def test_a_general_wish_for_money_asks_what_it_is_about_and_records_no_refusal(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("I want my money back")
    assert "What is the refund about?" in told
    assert ava.decided() == []
    told = await ava.press("I changed my mind")
    assert ava.day(_hers(ava).period_end) in told
    assert ava.decided() == ["J-R6:refuse"]


async def test_a_reason_in_the_wish_itself_is_not_asked_for_again(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("I want a refund because I changed my mind")
    assert "does not refund unused days or a change of mind" in told
    assert ava.decided() == ["J-R6:refuse"]


async def test_moving_the_renewal_date_is_explained_with_her_date(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("can I move my renewal date?")
    assert ava.day(_hers(ava).period_end) in told
    assert "rent again" in told
    assert "Change your renewal date" in told
    assert ava.rows(Cancellation, subscription_id="SUB-1001") == []


async def test_a_number_that_is_not_hers_is_answered_as_not_found(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("cancel +1 415 555 0102")
    assert "can't find +1 415-555-0102 in your account" in told
    assert ava.titles() == [NUMBER]
    told = await ava.press(NUMBER)
    assert f"if you cancel {NUMBER}" in told


@pytest.mark.parametrize(
    ("said", "part"),
    [("what about INV-2002", "can't find invoice INV-2002"), ("status of ticket TCK-000001", "can't find TCK-000001")],
)
async def test_what_belongs_to_others_is_answered_as_not_found(chat: Start, said: str, part: str) -> None:
    ava = chat(AVA)
    assert part in await ava.say(said)


async def test_a_platforms_rejection_is_explained_and_not_refundable(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("whatsapp says my number is not allowed, I want a refund for that")
    assert "not refundable" in told
    assert "When an app or website turns your number down" in told
    assert ava.rows(Refund) == []
