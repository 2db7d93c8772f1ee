"""Gia: her number was released. What that means, and that nobody promises it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.store.tables import Refund, Subscription
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
GIA = "gia@jolt.example"
NUMBER = "+1 415-555-0108"
Start = Callable[..., Chat]


async def test_a_released_number_is_not_promised_back(chat: Start) -> None:
    gia = chat(GIA)
    told = await gia.say("can I get my old number back?")
    assert NUMBER in told
    assert "may already belong to somebody else" in told
    assert "rent a new number" in told


async def test_undoing_is_refused_on_record_and_a_person_offered(chat: Start) -> None:
    gia = chat(GIA)
    told = await gia.say("undo my cancellation")
    assert "may already belong to somebody else" in told
    assert gia.decided() == ["J-C3-released:refuse"]
    assert gia.titles() == ["Talk to a person"]


async def test_there_is_nothing_left_to_cancel_and_since_when(chat: Start) -> None:
    gia = chat(GIA)
    told = await gia.say("cancel my number")
    (subscription,) = gia.rows(Subscription, id="SUB-1009")
    assert "already been released" in told
    assert gia.day(subscription.period_end) in told


async def test_the_status_tells_when_it_ended(chat: Start) -> None:
    gia = chat(GIA)
    told = await gia.say("did my cancellation go through?")
    (subscription,) = gia.rows(Subscription, id="SUB-1009")
    assert NUMBER in told
    assert gia.day(subscription.period_end) in told
    assert "ended" in told


async def test_a_gone_number_that_got_no_texts_goes_to_a_person_with_a_case(chat: Start) -> None:
    gia = chat(GIA)
    told = await gia.say("my number gets no texts")
    assert gia.decided() == ["J-R3-released:handoff"]
    assert "TCK-" in told
    assert gia.rows(Refund) == []
