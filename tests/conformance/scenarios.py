"""The scenarios: what a customer does and must see, on any channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bot.conversation.messages import MAX_TEXT, Reply
from bot.services import handoff
from bot.store.tables import Agent, Cancellation, Investigation, Message, Refund
from bot.store.unit_of_work import UnitOfWork
from tests.conformance.driver import Driver, Heard, Upload

AVA, BEN, CARA = "ava@jolt.example", "ben@jolt.example", "cara@jolt.example"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
Scenario = Callable[[Driver], Awaitable[None]]


_PLAIN = "my number gets no texts"


def _words(heard: Sequence[Heard]) -> str:
    return "\n".join(message.text for message in heard)


def _hers(customer: Driver) -> list[Any]:
    return customer.rows(Cancellation, subscription_id="SUB-1001")


async def greeting(customer: Driver) -> None:
    """Whoever comes is greeted with what can be done here, once."""
    await customer.says("hi")
    heard = await customer.listens()
    assert "JoltSMS" in _words(heard)
    assert any(message.buttons for message in heard)
    await customer.says("hello again")
    await customer.listens()
    texts = [message.text for message in await customer.messages()]
    assert texts.count(texts[0]) == 1


async def cancel_with_receipt(customer: Driver) -> None:
    """Cancelling takes a proof, tells the dates, and ends with a reference and a receipt."""
    await customer.says("please cancel my number")
    await customer.proves(AVA)
    assert "if you cancel" in _words(await customer.listens())
    await customer.presses("Continue")
    await customer.listens()
    await customer.presses("It costs too much")
    await customer.listens()
    await customer.presses("Yes, cancel")
    done = await customer.listens()
    (cancellation,) = _hers(customer)
    assert cancellation.reference in _words(done)
    assert any("Receipt" in name for message in done for name in message.files)


async def duplicate_charge(customer: Driver) -> None:
    """A charge that the ledger shows twice is refunded once, however often it is asked for."""
    await customer.says("you charged me twice")
    await customer.proves(BEN)
    told = _words(await customer.listens())
    (refund,) = customer.rows(Refund)
    assert refund.reference in told
    await customer.says("I was charged twice, I want my money back")
    assert refund.reference in _words(await customer.listens())
    assert len(customer.rows(Refund)) == 1


async def investigation_with_a_file(customer: Driver) -> None:
    """A number that gets no texts: what goes wrong, since when, a screenshot; then a case with all of it."""
    before = {investigation.id for investigation in customer.rows(Investigation)}
    await customer.says("my number gets no texts")
    await customer.proves(CARA)
    await customer.listens()
    await customer.presses("I can't do that now")
    for _ in range(8):
        heard = await customer.listens()
        opened = [each for each in customer.rows(Investigation) if each.id not in before]
        if opened:
            break
        asked = heard[-1].text.lower()
        if "screenshot" in asked:
            await customer.says("", [Upload("screen.png", PNG, "image/png")])
        elif "since when" in asked:
            await customer.says("since yesterday")
        else:
            await customer.says("No text from FirstBank has come in, I tried it on two phones and with three senders.")
    assert opened[0].details["attachments"].startswith("1 file")
    assert "TCK-" in _words(heard)


async def handoff_and_back(customer: Driver) -> None:
    """A person takes over, says something, hands back; the bot is silent meanwhile and answers afterwards."""
    await customer.says("hello")
    await customer.listens()
    conversation_id = customer.conversation_id()
    now = customer.clock.now()

    def owner(uow: UnitOfWork, to_owner: str, agent_id: str | None = None) -> None:
        handoff.change_owner(
            uow, conversation_id=conversation_id, to_owner=to_owner, reason="asked", actor="zoe", note="",
            agent_id=agent_id, key=f"to-{to_owner}", now=now,
        )  # fmt: skip

    with customer.app.store.write() as uow:
        zoe = Agent(
            id="agt_zoe", email="zoe@desk.example", name="Zoe", password_hash="-", role="agent", brands=["joltsms"],
            created_at=now,
        )  # fmt: skip
        uow.add(zoe)
        owner(uow, "queued")
        owner(uow, "human", zoe.id)
        uow.commit()
    before = len(await customer.messages())
    await customer.says("are you there?")
    while len(customer.said()) < 2:  # noqa: ASYNC110 - silence has no event
        await asyncio.sleep(0.02)
    await customer.app.gateway.say(conversation_id, [Reply("This is Zoe, a person.")], author="agent", name="Zoe")
    heard = await customer.listens()
    assert [message.text for message in heard] == ["This is Zoe, a person."]
    assert len(await customer.messages()) == before + 1
    with customer.app.store.write() as uow:
        owner(uow, "bot")
        uow.commit()
    await customer.says("what is your refund policy?")
    assert "refund" in _words(await customer.listens())


async def misunderstanding(customer: Driver) -> None:
    """What nobody understands is asked back, and a person is offered before long."""
    for nonsense in ("qwfp zxcv brst", "arst neio qwfp luy", "zxcvd hneio qwf"):
        await customer.says(nonsense)
        heard = await customer.listens()
        if any("person" in title for message in heard for title in message.buttons):
            return
    raise AssertionError("no person was offered")


async def four_thousand_characters(customer: Driver) -> None:
    """The longest message is taken whole and answered."""
    text = ("My number gets no texts. " * 200)[: MAX_TEXT - 1] + "."
    await customer.says(text)
    assert "e-mail" in _words(await customer.listens())
    assert customer.said() == [text]


async def emoji(customer: Driver) -> None:
    """Emoji come in and the rest is understood."""
    await customer.says("what is your refund policy? 🙏🏽😀")
    assert "refund" in _words(await customer.listens())
    assert customer.said() == ["what is your refund policy? 🙏🏽😀"]


async def code_blocks(customer: Driver) -> None:
    """Marks and code come in as they were typed, and nothing of them does anything."""
    text = "my number gets no texts\n```\n<!channel> @everyone <b>&amp;</b> *x*\n```"
    await customer.says(text)
    assert "e-mail" in _words(await customer.listens())
    assert customer.said() == [text]


async def duplicate_delivery(customer: Driver) -> None:
    """What the platform delivers twice is answered once."""
    await customer.says_twice("what is your refund policy?")
    first = await customer.listens()
    assert "refund" in _words(first)
    await customer.says("thanks, bye")
    await customer.listens()
    assert customer.said() == ["what is your refund policy?", "thanks, bye"]
    assert [message.text for message in await customer.messages()].count(first[-1].text) == 1


async def out_of_order_clicks(customer: Driver) -> None:
    """A button pressed again after the conversation went on does nothing but say so."""
    await customer.says("please cancel my number")
    await customer.proves(AVA)
    await customer.listens()
    first = customer.remember("Continue")
    await customer.presses("Continue")
    await customer.listens()
    await customer.presses_remembered(first)
    assert "earlier" in _words(await customer.listens())
    assert _hers(customer) == []


async def expired_button(customer: Driver) -> None:
    """A button of a question that was left long ago says that it is no longer open."""
    await customer.says("please cancel my number")
    await customer.proves(AVA)
    await customer.listens()
    old = customer.remember("Continue")
    await customer.says("never mind")
    await customer.listens()
    customer.clock.advance(days=2)
    await customer.presses_remembered(old)
    assert "earlier" in _words(await customer.listens())
    assert _hers(customer) == []


async def killed_and_restarted(customer: Driver) -> None:
    """The server dies in the middle of an answer: after the restart it comes, once, and the conversation goes on."""
    await customer.says("you charged me twice")
    await customer.listens()
    await customer.says(BEN)
    await customer.listens()
    await customer.dies_while_answering(customer.code(BEN))
    told = _words(await customer.listens())
    (refund,) = customer.rows(Refund)
    assert refund.reference in told
    await customer.says("thank you")
    await customer.listens()
    assert [message.text for message in await customer.messages() if refund.reference in message.text] != []
    assert told.count(refund.reference) == 1
    assert customer.rows(Message, status="received") == []


SCENARIOS: tuple[Scenario, ...] = (
    greeting,
    cancel_with_receipt,
    duplicate_charge,
    investigation_with_a_file,
    handoff_and_back,
    misunderstanding,
    four_thousand_characters,
    emoji,
    code_blocks,
    duplicate_delivery,
    out_of_order_clicks,
    expired_button,
    killed_and_restarted,
)
