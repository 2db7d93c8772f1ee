"""Mona of smrtPhone comes back within her 90 days, one product after the other; Ned's are over and all is erased."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.app import App
from bot.services import lifecycle
from bot.store.tables import Cancellation, Receipt, Recordings, Subscription
from tests.conversations.chat import Chat
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.conversation
MONA, NED = "mona@smrt.example", "ned@smrt.example"
PHONE, DIALER = "SUB-1016", "SUB-1018"
Start = Callable[..., Chat]


@pytest.fixture
def mona(chat: Start) -> Chat:
    return chat(MONA, brand="smrtphone")


@pytest.fixture
def ned(chat: Start) -> Chat:
    return chat(NED, brand="smrtphone")


def _product(chat: Chat, id_: str) -> Subscription:
    (found,) = chat.rows(Subscription, id=id_)
    return found


async def test_she_hears_what_coming_back_costs_and_what_is_lost(mona: Chat) -> None:
    told = await mona.say("I want my account back")
    (cancellation,) = mona.rows(Cancellation, subscription_id=PHONE)
    assert f"You have until {mona.day(cancellation.undo_until)}" in told
    assert "USD 79.00 a month" in told
    assert "+1 602-555-0124" in told
    assert "smrtDialer does not come back with it and has to be reactivated separately" in told
    assert mona.titles() == ["Yes, reactivate", "No, leave it"]


async def test_she_reactivates_smrtphone_and_then_smrtdialer(app: App, mona: Chat, clock: FakeClock) -> None:
    """Each is agreed to by itself, and nothing is erased when her 90 days would have been over."""
    await mona.say("please reactivate my smrtphone")
    told = await mona.say("yes")
    assert (_product(mona, PHONE).status, _product(mona, DIALER).status) == ("active", "ended")
    assert mona.day(_product(mona, PHONE).period_end) in told
    assert "smrtDialer is still cancelled" in told
    assert "Shall I reactivate smrtDialer?" in told
    await mona.say("yes please")
    assert (_product(mona, PHONE).status, _product(mona, DIALER).status) == ("active", "active")
    assert _product(mona, PHONE).period_start == clock.now()
    assert mona.decided() == ["P-C7-ended:allow", "P-C7-dialer-ended:allow"]
    assert len(mona.rows(Receipt)) == 2
    clock.advance(days=100)
    assert lifecycle.tick(app.store, now=clock.now(), packs=app.packs).failed == ()
    (recordings,) = mona.rows(Recordings, account_id=_product(mona, PHONE).account_id)
    assert (recordings.count, recordings.deleted_at) == (12, None)


async def test_smrtdialer_may_stay_cancelled(mona: Chat) -> None:
    await mona.say("reactivate my account")
    await mona.press("Yes, reactivate")
    told = await mona.say("no thanks")
    assert "smrtDialer stays cancelled" in told
    assert (_product(mona, PHONE).status, _product(mona, DIALER).status) == ("active", "ended")


async def test_smrtdialer_first_is_refused_and_leads_to_smrtphone(mona: Chat) -> None:
    told = await mona.say("reactivate smrtDialer")
    assert "Please reactivate smrtPhone first" in told
    assert mona.decided() == ["P-C7-first:refuse"]


async def test_after_the_90_days_it_is_too_late(mona: Chat, clock: FakeClock) -> None:
    clock.advance(days=61)
    late = Chat(mona.app, brand="smrtphone", as_email=MONA)
    told = await late.say("I want my account back")
    assert "cannot be reactivated" in told
    assert _product(late, PHONE).status == "ended"


async def test_he_learns_what_cannot_come_back_and_how_to_start_fresh(ned: Chat, clock: FakeClock) -> None:
    told = await ned.say("I want to reactivate my account")
    assert "cannot be reactivated" in told
    assert f"The last day was {ned.day(clock.now() - timedelta(days=1))}" in told
    assert "Numbers, recordings, call logs" in told
    assert "Contacts, call logs and texts in your CRM are still there" in told
    assert "open a new smrtPhone account" in told
    assert ned.decided() == ["P-C5-erased:refuse"]
    assert ned.titles() == ["Talk to a person"]


async def test_his_numbers_are_nobodys_to_give(ned: Chat) -> None:
    told = await ned.say("can I get my numbers back?")
    assert "nobody can recover them" in told
