"""Proving who one is in the middle of anything: addresses, codes, time that passes, and what is nobody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.store.tables import Cancellation, Conversation, Customer, OneTimeCode, Refund
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
AVA, BEN = "ava@jolt.example", "ben@jolt.example"
Start = Callable[..., Chat]


def _wrong(code: str) -> str:
    return "".join(str((int(digit) + 1) % 10) for digit in code)


async def _prove(chat: Chat, email: str) -> str:
    await chat.say(email)
    return await chat.say(chat.code_from_mail(email))


async def test_a_code_opens_the_account_and_the_wish_goes_on(chat: Start) -> None:
    visitor = chat()
    assert "Which e-mail address" in await visitor.say("I was charged twice")
    told = await _prove(visitor, BEN)
    assert "Thank you, Ben" in told
    (refund,) = visitor.rows(Refund)
    assert refund.reference in told


async def test_an_address_in_the_wish_itself_is_taken(chat: Start) -> None:
    visitor = chat()
    told = await visitor.say(f"please cancel my number, my account is {AVA}")
    assert f"If {AVA} belongs to an account" in told


async def test_nobodys_address_gets_the_same_words_as_somebodys(chat: Start) -> None:
    heard = []
    for email in (AVA, "nobody@jolt.example"):
        visitor = chat()
        await visitor.say("show my subscriptions")
        heard.append((await visitor.say(email)).replace(email, "-"))
        heard.append((await visitor.say("000000")).replace(email, "-"))
    assert heard[:2] == heard[2:]


@pytest.mark.parametrize("typo", ["ava@jolt", "ava at jolt.example", "ava@", "@jolt.example", "ava@@jolt.example"])
async def test_an_address_with_a_typo_is_asked_for_again(chat: Start, typo: str) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    assert "doesn't look like an e-mail address" in await visitor.say(typo)
    assert visitor.rows(OneTimeCode) == []
    assert "+1 415-555-0101" in await _prove(visitor, AVA)


async def test_after_five_wrong_codes_only_a_new_one_helps(chat: Start) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    await visitor.say(AVA)
    code = visitor.code_from_mail(AVA)
    for _ in range(4):
        assert "isn't the code I sent" in await visitor.say(_wrong(code))
    assert "one try too many" in await visitor.say(_wrong(code))
    told = await visitor.say(code)
    assert "one try too many" in told, "not even the right one counts any more"
    (conversation,) = visitor.rows(Conversation, id=visitor.conversation_id)
    assert conversation.customer_id is None
    assert "code is on its way" in await visitor.say("yes")
    assert "+1 415-555-0101" in await visitor.say(visitor.code_from_mail(AVA))


async def test_wrong_codes_lead_to_a_person_before_they_run_out(chat: Start) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    await visitor.say(AVA)
    wrong = _wrong(visitor.code_from_mail(AVA))
    for _ in range(3):
        await visitor.say(wrong)
    assert "Talk to a person" in visitor.titles()


async def test_a_code_that_has_run_out_is_replaced_on_a_yes(chat: Start) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    await visitor.say(AVA)
    code = visitor.code_from_mail(AVA)
    visitor.app.clock.advance(minutes=11)
    assert "has run out" in await visitor.say(code)
    await visitor.say("yes please")
    assert "+1 415-555-0101" in await visitor.say(visitor.code_from_mail(AVA))


@pytest.mark.parametrize("asking", ["[Send a new code]", "I didn't get it", "send it again", "nothing arrived"])
async def test_a_new_code_is_sent_when_asked_for(chat: Start, asking: str) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    await visitor.say(AVA)
    old = visitor.code_from_mail(AVA)
    visitor.app.clock.advance(minutes=1)
    await (visitor.press(asking.strip("[]")) if asking.startswith("[") else visitor.say(asking))
    new = visitor.code_from_mail(AVA)
    assert len(visitor.rows(OneTimeCode, conversation_id=visitor.conversation_id)) == 2
    if old != new:
        assert "isn't the code" in await visitor.say(old)
    assert "+1 415-555-0101" in await visitor.say(new)


@pytest.mark.parametrize("typed", ["1234", "12 34 56 7", "it's 99"])
async def test_a_code_of_another_length_costs_no_try(chat: Start, typed: str) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    await visitor.say(AVA)
    told = await visitor.say(typed)
    assert "six" in told
    (code,) = visitor.rows(OneTimeCode, conversation_id=visitor.conversation_id)
    assert code.tries == 0


async def test_another_address_can_be_used(chat: Start) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    await visitor.say("typo@jolt.example")
    assert "Which e-mail address" in await visitor.press("Use another e-mail")
    assert "+1 415-555-0101" in await _prove(visitor, AVA)


async def test_another_address_typed_where_the_code_belongs_is_taken(chat: Start) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    await visitor.say("typo@jolt.example")
    assert "+1 415-555-0101" in await _prove(visitor, AVA)


@pytest.mark.parametrize("question", ["why do you need that?", "what is refundable?", "are you a bot?"])
async def test_a_question_while_proving_is_answered_and_proving_goes_on(chat: Start, question: str) -> None:
    visitor = chat()
    await visitor.say("show my subscriptions")
    assert "Which e-mail address" in await visitor.say(question)
    await visitor.say(AVA)
    assert "six-digit code" in await visitor.say(question)
    assert "+1 415-555-0101" in await visitor.say(visitor.code_from_mail(AVA))


async def test_another_wish_while_proving_does_not_ask_for_the_address_again(chat: Start) -> None:
    visitor = chat()
    await visitor.say("show my invoices")
    await visitor.say(BEN)
    told = await visitor.say("I was charged twice")
    assert "six-digit code" in told
    assert "Which e-mail address" not in told
    told = await visitor.say(visitor.code_from_mail(BEN))
    assert len(visitor.rows(Refund)) == 1
    assert "INV-2002" in told, "and the first wish is served too"


@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_after_half_an_hour_a_fresh_code_is_wanted_and_the_flow_goes_on_where_it_was(
    chat: Start, steps: int
) -> None:
    ava = chat(AVA)
    answers = ["cancel my number", "continue", "skip", "yes"]
    for said in answers[:steps]:
        await ava.say(said)
    ava.app.clock.advance(minutes=31)
    told = await ava.say(answers[steps])
    assert f"a new six-digit code to {AVA}" in told
    assert ava.rows(Cancellation, subscription_id="SUB-1001") == []
    told = await ava.say(ava.code_from_mail(AVA))
    for said in answers[steps + 1 :]:
        told = await ava.say(said)
    (cancellation,) = ava.rows(Cancellation, subscription_id="SUB-1001")
    assert cancellation.reference in told


async def test_proved_by_code_and_half_an_hour_later_a_new_code_is_really_sent(chat: Start) -> None:
    visitor = chat()
    await visitor.say("cancel my number")
    await _prove(visitor, AVA)
    visitor.app.clock.advance(minutes=31)
    assert "a new six-digit code" in await visitor.say("continue")
    assert "May I ask why" in await visitor.say(visitor.code_from_mail(AVA))


async def test_reading_needs_no_fresh_proof(chat: Start) -> None:
    ava = chat(AVA)
    ava.app.clock.advance(hours=5)
    assert "+1 415-555-0101" in await ava.say("show my subscriptions")


async def test_a_conversation_is_never_shown_two_customers(chat: Start) -> None:
    ava = chat(AVA)
    ava.app.clock.advance(minutes=31)
    await ava.say("cancel my number")
    told = await ava.say(BEN)
    assert "another account" in told or "somebody else" in told.lower() or "new one" in told
    assert "0102" not in told


async def test_a_customer_without_a_name_is_thanked_all_the_same(chat: Start) -> None:
    visitor = chat()
    with visitor.app.store.write() as uow:
        uow.session.query(Customer).filter_by(email=AVA).one().name = ""
        uow.commit()
    await visitor.say("show my subscriptions")
    assert "Thank you, that's confirmed." in await _prove(visitor, AVA)


async def test_an_investigation_asks_a_customer_without_a_name_for_it(chat: Start) -> None:
    cara = chat("cara@jolt.example")
    with cara.app.store.write() as uow:
        uow.session.query(Customer).filter_by(email="cara@jolt.example").one().name = ""
        uow.commit()
    await cara.say("my number gets no texts")
    assert "What is your name?" in await cara.press("I can't")
    for said in ("Cara L.", "nothing arrives from anybody", "since yesterday", "no"):
        told = await cara.say(said)
    assert "TCK-" in told
