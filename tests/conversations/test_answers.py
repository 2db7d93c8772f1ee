"""Every question of the JoltSMS articles is answered from the right one, for anyone and for one's own account."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
Start = Callable[..., Chat]

CANCELLING = "cancel-a-number"
AFTER = "after-cancellation"
REFUNDS = "refunds"
RENEWAL = "change-renewal-date"
REJECTED = "platform-rejections"
COSTS = "why-fees-are-not-refundable"
CONTACT = "contact-us"
STARTED = "getting-started"

# The question, its article, and words that a right answer has whoever asks.
QUESTIONS = [
    ("How do I cancel a number?", CANCELLING, "Stop auto-renew"),
    ("what are the steps to stop auto renew", CANCELLING, "Stop auto-renew"),
    ("where do i click to turn off the renewal myself", CANCELLING, "Stop auto-renew"),
    ("who is allowed to cancel a number in our account?", CANCELLING, "cancel"),
    ("will I be charged again after I cancel?", CANCELLING, "Other numbers you rent"),
    ("do you still take money from my card once i've cancelled", CANCELLING, ""),
    ("What happens to my number after I cancel it?", AFTER, "released"),
    ("does the number keep working until the end of the month when i cancel", AFTER, "receives SMS"),
    ("will my slack notifications stop after cancellation", AFTER, "Slack"),
    ("what about my webhooks when the number ends?", AFTER, "webhook"),
    ("can someone else get my number later?", AFTER, "somebody else"),
    ("if I let my number go, can I get the same one back?", AFTER, "promise it back"),
    ("when is a cancelled number released", AFTER, "released"),
    ("What is your refund policy?", REFUNDS, "double charge"),
    ("which payments are refundable and which aren't?", REFUNDS, "not refundable"),
    ("do I get part of my money back if I cancel in the middle of the month?", REFUNDS, "Unused days"),
    ("is there a partial refund for the days i haven't used", REFUNDS, "Unused days"),
    ("do you prorate when I cancel early?", REFUNDS, "Unused days"),
    ("Why are the fees not refundable?", COSTS, "provider"),
    ("what vendor costs do you mean", COSTS, "provider"),
    ("why can't you just give the money back, what does the number cost you?", COSTS, "provider"),
    ("How can I change my renewal date?", RENEWAL, "rent again"),
    ("i want my number to renew on the 1st instead", RENEWAL, "rent again"),
    ("can i move the billing date to next week", RENEWAL, "rent again"),
    ("Telegram refuses my number, it says it is not valid", REJECTED, "platform"),
    ("google flagged my account because of your number", REJECTED, "not refundable"),
    ("whatsapp doesn't accept the number i rented from you", REJECTED, "platform"),
    ("can I take my number to another provider?", CONTACT, "another provider"),
    ("can i upgrade to a bigger plan", CONTACT, "plans"),
    ("what happens to my 10dlc registration when I leave?", STARTED, "10DLC"),
    ("how long do you keep my data after i leave", CONTACT, "rather not guess"),
]


@pytest.mark.parametrize(("question", "article", "part"), QUESTIONS)
@pytest.mark.parametrize("who", [None, "ava@jolt.example"], ids=["anyone", "ava"])
async def test_a_question_is_answered_from_its_article(
    chat: Start, who: str | None, question: str, article: str, part: str
) -> None:
    customer = chat(who)
    told = await customer.say(question)
    assert f"/help/joltsms/{article}#" in told, told
    assert part.lower() in told.lower()
    assert len(customer.replies) == 1
    assert customer.decided() == [], "an answer decides nothing"


def test_there_are_questions_to_at_least_25_and_every_article_that_answers() -> None:
    assert len(QUESTIONS) >= 25
    assert {article for _, article, _ in QUESTIONS} >= {CANCELLING, AFTER, REFUNDS, RENEWAL, REJECTED, COSTS, CONTACT}


async def test_a_customer_with_several_numbers_is_answered_in_general(chat: Start) -> None:
    finn = chat("finn@jolt.example")
    told = await finn.say("what happens after I cancel?")
    assert "released" in told
    assert "+1 415" not in told, "nobody knows which of his numbers is meant"


async def test_within_a_flow_an_answer_is_about_the_chosen_number(chat: Start) -> None:
    finn = chat("finn@jolt.example")
    await finn.say("cancel the one ending 0107")
    told = await finn.say("what happens to my number after I cancel it?")
    assert "+1 415-555-0107" in told.split("Do you still want to cancel")[0]


async def test_what_the_articles_do_not_say_is_not_made_up(chat: Start) -> None:
    customer = chat()
    told = await customer.say("how long do you keep my data after i leave")
    assert "support@joltsms.example" in told
    assert "Talk to a person" in customer.titles()
