"""Eve: she paid, but the number could not be set up. By the invoice her payment comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.store.tables import Receipt, Refund
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
EVE = "eve@jolt.example"
Start = Callable[..., Chat]


@pytest.mark.parametrize(
    "wishes",
    [
        ("I was charged but there is no number in my account", "INV-2005"),
        ("I was charged but there is no number in my account", "[INV-2005"),
        ("I paid invoice INV-2005 and never got a number",),
        ("I want my money back",),
    ],
)
async def test_the_payment_comes_back_by_its_invoice(chat: Start, wishes: tuple[str, ...]) -> None:
    eve = chat(EVE)
    for wish in wishes:
        told = await (eve.press(wish[1:]) if wish.startswith("[") else eve.say(wish))
    (refund,) = eve.rows(Refund)
    (receipt,) = eve.rows(Receipt)
    assert refund.amount_minor == 1500
    assert refund.reference in told
    assert "USD 15.00" in told
    assert len(eve.replies) == 1
    assert eve.attachments() == [f"Receipt {receipt.reference}.html"]
    assert eve.decided() == ["J-R2:refund"]
    assert len(eve.mails(EVE)) == 1


@pytest.mark.parametrize("again", ["I was charged for INV-2005 but have no number", "I want my money back"])
async def test_asking_again_tells_the_refund_and_pays_nothing(chat: Start, again: str) -> None:
    eve = chat(EVE)
    await eve.say("I paid INV-2005 but got no number")
    (refund,) = eve.rows(Refund)
    told = await eve.say(again)
    assert refund.reference in told
    assert len(eve.rows(Refund)) == 1


@pytest.mark.parametrize("wrong", ["INV-9999", "INV-2001", "it is INV-2002 I think"])
async def test_an_invoice_that_is_unknown_or_somebody_elses_is_not_found(chat: Start, wrong: str) -> None:
    eve = chat(EVE)
    await eve.say("I was charged but there is no number")
    told = await eve.say(wrong)
    assert "can't find invoice INV-" in told
    assert any(title.startswith("INV-2005") for title in eve.titles())
    assert "Talk to a person" in eve.titles()
    assert eve.decided() == []


async def test_nothing_to_cancel_leads_to_what_she_is_due(chat: Start) -> None:
    eve = chat(EVE)
    await eve.say("cancel my number")
    assert "I was charged but have no number" in eve.titles()
    await eve.press("I was charged but")
    await eve.press("INV-2005")
    assert len(eve.rows(Refund)) == 1


async def test_without_a_number_there_is_nothing_that_could_get_texts(chat: Start) -> None:
    eve = chat(EVE)
    told = await eve.say("my number gets no texts")
    assert "never got a working number" in told
    assert "I was charged but have no number" in eve.titles()
