"""Iris and Jon of Smarter Contact: she resumes before her period ends, he asks what is left of his plan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.app import App
from bot.services import lifecycle
from bot.store.tables import Cancellation, LifecycleEvent, PhoneNumber, Receipt, Registration, Subscription
from tests.conversations.chat import Chat
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.conversation
IRIS, JON = "iris@smarter.example", "jon@smarter.example"
HERS, HIS = "SUB-1012", "SUB-1013"
Start = Callable[..., Chat]


@pytest.fixture
def iris(chat: Start) -> Chat:
    return chat(IRIS, brand="smartercontact")


@pytest.fixture
def jon(chat: Start) -> Chat:
    return chat(JON, brand="smartercontact")


def _plan(chat: Chat, id_: str) -> Subscription:
    (found,) = chat.rows(Subscription, id=id_)
    return found


def _ended(jon: Chat, **after: int) -> str:
    return jon.day(_plan(jon, HIS).period_end + timedelta(**after))


# --- Iris ------------------------------------------------------------------------------------------------------------


async def test_she_hears_where_her_cancellation_stands(iris: Chat) -> None:
    told = await iris.say("did my cancellation go through?")
    (cancellation,) = iris.rows(Cancellation, subscription_id=HERS)
    assert cancellation.reference in told
    assert iris.day(cancellation.effective_at) in told


async def test_she_resumes_and_nothing_that_was_promised_happens(app: App, iris: Chat, clock: FakeClock) -> None:
    """Her plan, numbers and registration go on, also a year later."""
    told = await iris.say("I changed my mind, please resume my subscription")
    ends = _plan(iris, HERS).period_end
    assert iris.day(ends) in told
    assert "USD 99.00 a month" in told
    told = await iris.say("yes please")
    assert _plan(iris, HERS).status == "active"
    (cancellation,) = iris.rows(Cancellation, subscription_id=HERS)
    assert cancellation.status == "undone"
    (receipt,) = iris.rows(Receipt)
    assert receipt.reference in told
    assert iris.attachments() == [f"Receipt {receipt.reference}.html"]
    clock.set(ends + timedelta(days=400))
    assert lifecycle.tick(app.store, now=clock.now(), packs=app.packs).failed == ()
    account = _plan(iris, HERS).account_id
    assert _plan(iris, HERS).status == "active"
    assert {number.status for number in iris.rows(PhoneNumber, account_id=account)} == {"active"}
    assert {each.status for each in iris.rows(Registration, account_id=account)} == {"active"}
    events = iris.rows(LifecycleEvent, cancellation_id=cancellation.id)
    assert {event.status for event in events} == {"called_off"}


async def test_she_may_leave_it_cancelled(iris: Chat) -> None:
    await iris.say("undo my cancellation")
    told = await iris.press("No, let it end")
    assert told == "OK, Messaging stays cancelled."
    assert _plan(iris, HERS).status == "not_renewing"


async def test_after_the_period_it_is_too_late_to_resume(iris: Chat, clock: FakeClock) -> None:
    """Also when nothing has carried out the end yet."""
    clock.set(_plan(iris, HERS).period_end + timedelta(hours=1))
    late = Chat(iris.app, brand="smartercontact", as_email=IRIS)
    told = await late.say("resume my subscription")
    assert "can no longer be resumed" in told
    assert "subscribe again" in told
    assert all(not each.endswith(":allow") for each in late.decided())


# --- Jon -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question", ["where are my numbers?", "what happened to my numbers?", "when are my numbers released?"]
)
async def test_he_learns_where_his_numbers_are(jon: Chat, question: str) -> None:
    told = await jon.say(question)
    assert "+1 212-555-0117 and +1 212-555-0118" in told
    assert _ended(jon, days=14) in told


async def test_he_learns_what_his_10dlc_needs(jon: Chat) -> None:
    told = await jon.say("what about my 10DLC registration if I come back?")
    assert _ended(jon, days=30) in told
    assert "apply for it again" in told


async def test_he_can_still_log_in(jon: Chat) -> None:
    told = await jon.say("can I still log in?")
    assert "you can still log in" in told


async def test_he_learns_how_long_his_data_is_kept(jon: Chat) -> None:
    told = await jon.say("how long do you keep my data?")
    assert "6 March 2027" in told


async def test_he_cannot_resume_and_learns_how_to_subscribe_again(jon: Chat) -> None:
    told = await jon.say("I want to come back")
    assert "can no longer be resumed" in told
    assert "Membership page" in told
    assert "10DLC registration has to be applied for again" in told
    assert jon.decided() == ["S-C3-ended:inform"], "what he is told is on record"
    assert _plan(jon, HIS).status == "ended"


async def test_a_brand_without_calls_says_how_to_reach_people(jon: Chat) -> None:
    told = await jon.say("can I book a call?")
    assert "cannot book a call" in told
    assert "Talk to a person" in jon.titles()


async def test_once_his_numbers_are_released_he_hears_that(app: App, jon: Chat, clock: FakeClock) -> None:
    clock.set(_plan(jon, HIS).period_end + timedelta(days=14, hours=12))
    assert lifecycle.tick(app.store, now=clock.now(), packs=app.packs).failed == ()
    account = _plan(jon, HIS).account_id
    assert {number.status for number in jon.rows(PhoneNumber, account_id=account)} == {"released"}
    told = await jon.say("what happened to my numbers?")
    assert f"were released on {_ended(jon, days=14)}" in told
