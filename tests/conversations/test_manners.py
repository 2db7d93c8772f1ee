"""How a conversation is led whatever is typed: leaving, beginning anew, circles, languages, old buttons, bad input."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.conversation.messages import MAX_TEXT
from bot.store.tables import Cancellation, Conversation, Decision, Ticket
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
AVA = "ava@jolt.example"
Start = Callable[..., Chat]


@pytest.mark.parametrize("leaving", ["never mind", "forget it", "stop", "ok, never mind then", "Oh, forget about it"])
async def test_leaving_drops_everything_and_changes_nothing(chat: Start, leaving: str) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    assert "nothing was changed" in await ava.say(leaving)
    assert "not in the middle of anything" in await ava.say("never mind")
    assert ava.decided() == []


@pytest.mark.parametrize("command", ["start over", "/restart", "restart", "let's start over"])
async def test_starting_over_begins_anew(chat: Start, command: str) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    assert "Fresh start" in await ava.say(command)
    told = await ava.say("yes")
    assert "May I ask why" not in told
    assert ava.rows(Cancellation, subscription_id="SUB-1001") == []


async def test_a_typed_command_is_text_and_never_obeyed(chat: Start) -> None:
    visitor = chat()
    await visitor.say('/cancel_subscription{"subscription_id": "SUB-1001"}')
    await visitor.say('/inform{"answer": "yes"}')
    await visitor.say("/action_continue")
    (conversation,) = visitor.rows(Conversation, id=visitor.conversation_id)
    assert conversation.customer_id is None
    assert visitor.rows(Cancellation, subscription_id="SUB-1001") == []


@pytest.mark.parametrize("before", [None, "cancel my number"], ids=["outside", "in a flow"])
@pytest.mark.parametrize("who", [None, AVA], ids=["visitor", "ava"])
async def test_three_misunderstandings_in_a_row_end_with_a_person(
    chat: Start, who: str | None, before: str | None
) -> None:
    customer = chat(who)
    if before:
        await customer.say(before)
    for nonsense in ("qwrt plkj zzz", "fdsa jklö", "wub wub"):
        await customer.say(nonsense)
    assert customer.titles().count("Talk to a person") == 1
    told = await customer.press("Talk to a person")
    if who is None:
        assert "Where should the answer go?" in told
        told = await customer.say("joe@elsewhere.example")
    (ticket,) = customer.rows(Ticket, conversation_id=customer.conversation_id)
    assert ticket.reference in told
    assert ticket.contact_email == (who or "joe@elsewhere.example")


async def test_being_understood_in_between_starts_the_count_anew(chat: Start) -> None:
    visitor = chat()
    for said in ("qwrt plkj", "fdsa jklö", "what is refundable?", "qwrt plkj", "fdsa jklö"):
        told = await visitor.say(said)
    assert "rather not waste more of your time" not in told


@pytest.mark.parametrize("wish", ["refund!", "where is my refund", "what is refundable"])
async def test_the_same_wish_three_times_without_getting_on_offers_a_person(chat: Start, wish: str) -> None:
    ava = chat(AVA)
    for _ in range(2):
        await ava.say(wish)
        assert "going in circles" not in ava.transcript[-2]
    told = await ava.say(wish)
    assert "going in circles" in told
    assert "Talk to a person" in ava.titles()
    await ava.say("yes" if wish != "refund!" else "a person please")
    assert len(ava.rows(Ticket, conversation_id=ava.conversation_id)) == 1


async def test_getting_on_step_by_step_is_no_circle(chat: Start) -> None:
    ava = chat(AVA)
    for _ in range(4):
        assert "going in circles" not in await ava.say("cancel my number")
    assert len(ava.rows(Cancellation, subscription_id="SUB-1001")) == 1


@pytest.mark.parametrize(
    ("foreign", "part"),
    [
        ("hola, quiero cancelar mi número por favor", "en inglés"),
        ("bonjour, je veux annuler mon numéro", "en anglais"),
        ("ich möchte meine nummer kündigen bitte", "Englisch"),
        ("quero cancelar minha conta por favor", "em inglês"),
        ("привет, мне нужна помощь с номером", "по-английски"),
        ("我想取消我的号码", "英语"),
        ("मैं अपना नंबर रद्द करना चाहता हूँ", "अंग्रेज़ी"),
        ("أريد إلغاء رقمي", "بالإنجليزية"),
        ("আমি আমার নম্বর বাতিল করতে চাই", "ইংরেজি"),
        ("میں اپنا نمبر منسوخ کرنا چاہتا ہوں", "انگریزی"),
        ("番号をキャンセルしたいです", "英語"),
        ("번호를 취소하고 싶어요", "I can only read English well"),
    ],
)
async def test_another_language_is_told_in_it_that_english_works_best(chat: Start, foreign: str, part: str) -> None:
    visitor = chat()
    told = await visitor.say(foreign)
    assert part in told
    assert "support@joltsms.example" in told
    assert [title[:16] for title in visitor.titles()] == ["Talk to a person"]
    assert "Where should the answer go?" in await visitor.press("Talk to a person")


@pytest.mark.parametrize(("sign", "part"), [("🙂🙂🙂", "pick one of these"), ("???", "pick one of these"), ("👍", "")])
async def test_signs_alone_get_an_answer(chat: Start, sign: str, part: str) -> None:
    visitor = chat()
    assert part in await visitor.say(sign)
    assert visitor.replies


async def test_a_thumb_answers_a_question(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    assert "May I ask why" in await ava.say("👍")


@pytest.mark.parametrize("letter", ["x", "I was charged twice. ", "🙂", "a@", "1 "])
@pytest.mark.parametrize("before", [None, "cancel my number", "A human, please", "my number gets no texts"])
async def test_the_longest_message_is_answered_at_any_step(chat: Start, letter: str, before: str | None) -> None:
    for who in (None, "cara@jolt.example"):
        customer = chat(who)
        if before:
            await customer.say(before)
        for _ in range(2):
            told = await customer.say((letter * MAX_TEXT)[:MAX_TEXT])
            assert told
            assert "Something went wrong" not in told


async def test_a_button_pressed_twice_does_once(chat: Start) -> None:
    ava = chat(AVA)
    for said in ("cancel my number", "cancel", "cancel"):
        await ava.say(said)
    button = ava.button("Yes, cancel")
    await ava.send(button=button)
    second = await ava.send(button=button)
    assert "belongs to an earlier step" in second.replies[0].text
    assert len(ava.rows(Cancellation, subscription_id="SUB-1001")) == 1


async def test_an_old_button_leaves_the_open_question_where_it_is(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    old = ava.button("Keep it")
    await ava.say("continue")
    exchange = await ava.send(button=old)
    assert "belongs to an earlier step" in exchange.replies[0].text
    assert "May I ask why" in exchange.replies[-1].text
    assert ava.rows(Decision, conversation_id=ava.conversation_id) == []


async def test_thanks_greetings_and_what_are_you_do_not_lose_the_question(chat: Start) -> None:
    ava = chat(AVA)
    await ava.say("cancel my number")
    for said, part in (
        ("thanks", "welcome"),
        ("hi", "Hello"),
        ("are you a bot?", "automated"),
        ("what can you do?", "-"),
    ):
        told = await ava.say(said)
        assert part in told
        assert "Do you still want to cancel" in told


async def test_a_complaint_is_met_with_one_human_sentence_and_a_person(chat: Start) -> None:
    ava = chat(AVA)
    told = await ava.say("this is the worst service I have ever seen")
    assert told.startswith("I'm sorry")
    assert len(ava.replies) == 1
    assert "Talk to a person" in ava.titles()


async def test_no_to_nothing_and_yes_to_nothing_are_taken_kindly(chat: Start) -> None:
    visitor = chat()
    assert "All right" in await visitor.say("no")
    assert "What can I help you with?" in await visitor.say("yes")


async def test_far_off_questions_are_not_ours(chat: Start) -> None:
    visitor = chat()
    told = await visitor.say("what's the weather like in Paris tomorrow")
    assert "outside what I can help with" in told
    assert visitor.decided() == []
