"""Kim, the Account Owner of a smrtPhone account, leaves it or a part of it; Lee, an agent in it, may not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.app import App
from bot.services import lifecycle
from bot.services.mail import caught_mails
from bot.store.tables import (
    Account,
    BookedCall,
    Cancellation,
    LifecycleEvent,
    PhoneNumber,
    Receipt,
    Recordings,
    Subscription,
    Ticket,
)
from tests.conversations.chat import Chat
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.conversation
KIM, LEE = "kim@smrt.example", "lee@smrt.example"
PHONE, DIALER = "SUB-1014", "SUB-1015"
Start = Callable[..., Chat]


@pytest.fixture
def kim(chat: Start) -> Chat:
    return chat(KIM, brand="smrtphone")


@pytest.fixture
def lee(chat: Start) -> Chat:
    return chat(LEE, brand="smrtphone")


def _product(chat: Chat, id_: str) -> Subscription:
    (found,) = chat.rows(Subscription, id=id_)
    return found


def _gone(kim: Chat, clock: FakeClock) -> str:
    return kim.day(clock.now() + timedelta(days=90))


async def _cancel_everything(kim: Chat) -> str:
    await kim.say("cancel my smrtphone account")
    await kim.press("Continue")
    await kim.press("Skip")
    await kim.press("I agree")
    return await kim.press("Yes, cancel")


async def test_she_is_told_all_of_it_before(kim: Chat, clock: FakeClock) -> None:
    """Numbers by number, recordings, CRM, credits, 90 days, smrtDialer; and cancelling stays beside all offers."""
    told = await kim.say("cancel my smrtphone account")
    ends = kim.day(_product(kim, PHONE).period_end)
    assert f"On {ends} you lose +1 602-555-0121 and +1 602-555-0122" in told
    assert "not affected: +1 602-555-0123" in told
    assert "40 call recordings" in told
    assert "Your CRM keeps" in told
    assert "USD 18.75 of credits are not refunded" in told
    assert f"change your mind until {_gone(kim, clock)}" in told
    assert "smrtDialer is cancelled too" in told
    assert kim.titles() == [
        "Continue cancelling",
        "Keep it",
        "Change my plan",
        "Talk to the Success Team",
        "Take my number elsewhere",
    ]


async def test_port_out_instructions_come_first_and_lead_back(kim: Chat) -> None:
    await kim.say("cancel smrtphone")
    told = await kim.press("Take my number")
    assert "+1 602-555-0121 and +1 602-555-0122" in told
    assert "Do you still want to cancel smrtPhone Pro and smrtDialer?" in told
    assert "Continue cancelling" in kim.titles()


async def test_she_cancels_smrtphone_and_smrtdialer_goes_with_it(kim: Chat, clock: FakeClock) -> None:
    told = await _cancel_everything(kim)
    assert "smrtPhone Pro ends on" in told
    (phone,) = kim.rows(Cancellation, subscription_id=PHONE)
    (dialer,) = kim.rows(Cancellation, subscription_id=DIALER)
    assert phone.effective_at == _product(kim, PHONE).period_end
    assert kim.day(phone.undo_until) == _gone(kim, clock)
    assert [consent["id"] for consent in phone.consents] == ["loss"]
    assert "all smrtPhone data are deleted" in " ".join(phone.consents[0]["wording"].split())
    assert (phone.reason_id, phone.reason_text) == (None, None), "the survey can be skipped"
    assert phone.offers == ["plan", "call"]
    assert {_product(kim, PHONE).status, _product(kim, DIALER).status} == {"not_renewing"}
    assert {phone.status, dialer.status} == {"scheduled"}
    (receipt,) = kim.rows(Receipt)
    assert "smrtPhone Pro and smrtDialer" in receipt.html
    assert "+1 602-555-0121" in receipt.html


async def test_smrtdialer_alone_leaves_smrtphone_as_it_is(kim: Chat) -> None:
    told = await kim.say("I want to cancel smrtDialer only")
    assert "smrtPhone itself goes on as before" in told
    assert "recordings are deleted" not in told
    await kim.press("Continue")
    await kim.say("too expensive for what we use it for")
    consent = await kim.press("I agree")
    assert "smrtDialer" in consent
    await kim.press("Yes, cancel")
    (cancellation,) = kim.rows(Cancellation, subscription_id=DIALER)
    assert [given["id"] for given in cancellation.consents] == ["loss_dialer"]
    assert cancellation.reason_text == "too expensive for what we use it for"
    assert kim.rows(Cancellation, subscription_id=PHONE) == []
    assert _product(kim, PHONE).status == "active"


async def test_without_saying_which_she_is_asked(kim: Chat) -> None:
    await kim.say("I want to cancel")
    assert kim.titles()[:2] == ["smrtPhone Pro", "smrtDialer"]


async def test_what_she_was_told_happens(app: App, kim: Chat, clock: FakeClock) -> None:
    await _cancel_everything(kim)
    ends, account_id = _product(kim, PHONE).period_end, _product(kim, PHONE).account_id
    gone = clock.now() + timedelta(days=91)
    clock.set(ends + timedelta(hours=12))
    for _ in range(2):
        assert lifecycle.tick(app.store, now=clock.now(), packs=app.packs).failed == ()
    numbers = {number.e164: number.status for number in kim.rows(PhoneNumber, account_id=account_id)}
    assert numbers == {"+16025550121": "released", "+16025550122": "released", "+16025550123": "ported_out"}
    (recordings,) = kim.rows(Recordings, account_id=account_id)
    assert recordings.count == 40, "not before the 90 days are over"
    clock.set(gone)
    assert lifecycle.tick(app.store, now=clock.now(), packs=app.packs).failed == ()
    (account,) = kim.rows(Account, id=account_id)
    assert account.erased_at is not None
    assert not [event for event in kim.rows(LifecycleEvent, account_id=account_id) if event.status == "scheduled"]


async def test_undo_brings_smrtphone_back_and_asks_about_smrtdialer(kim: Chat) -> None:
    await _cancel_everything(kim)
    told = await kim.press("Undo this")
    assert "has to be reactivated separately" in told
    told = await kim.press("Yes, keep it")
    assert (_product(kim, PHONE).status, _product(kim, DIALER).status) == ("active", "not_renewing")
    assert "Shall I undo the cancellation of smrtDialer?" in told
    await kim.say("yes please")
    assert (_product(kim, PHONE).status, _product(kim, DIALER).status) == ("active", "active")
    assert kim.decided()[-2:] == ["P-C7:allow", "P-C7-dialer:allow"]


# --- a call with the team --------------------------------------------------------------------------------------------


async def test_she_books_a_call_while_cancelling_and_comes_back_to_it(kim: Chat) -> None:
    await kim.say("cancel smrtphone")
    told = await kim.press("Talk to the Success")
    times = [title for title in kim.titles() if "2026" in title]
    assert len(times) == 5
    told = await kim.press(times[1])
    (ticket,) = kim.rows(Ticket, kind="call")
    assert times[1] in told
    assert ticket.reference in told
    assert kim.attachments() == ["call.ics"]
    assert "Do you still want to cancel" in told
    assert "Continue cancelling" in kim.titles()
    (call,) = kim.rows(BookedCall)
    assert call.ticket_id == ticket.id
    assert any("Call with the smrtPhone Success Team" in subject for subject in kim.mails(KIM))


async def test_cancel_said_meanwhile_leads_back_to_where_she_was(kim: Chat) -> None:
    await kim.say("cancel smrtDialer")
    await kim.press("Talk to the Success")
    told = await kim.say("cancel it")
    assert told == "Do you still want to cancel smrtDialer?"
    assert kim.titles()[0] == "Continue cancelling"


@pytest.mark.parametrize(
    ("said", "slot"),
    [
        ("Tuesday at 10", "Tuesday, 17 March 2026, 10:00 to 10:30 PDT"),
        ("tomorrow at 3pm", "Tuesday, 17 March 2026, 15:00 to 15:30 PDT"),
        ("how about 19 March, 14:30", "Thursday, 19 March 2026, 14:30 to 15:00 PDT"),
    ],
)
async def test_a_time_in_words_is_booked(kim: Chat, said: str, slot: str) -> None:
    await kim.say("I'd like to book a call with the success team")
    told = await kim.say(said)
    assert slot in told
    assert len(kim.rows(BookedCall)) == 1


async def test_a_time_that_is_not_free_is_not_booked(kim: Chat) -> None:
    await kim.say("book a call")
    told = await kim.say("Sunday at 10:00")
    assert "nothing free then" in told
    told = await kim.press("No call")
    assert told == "All right, no call."
    assert kim.rows(BookedCall) == []


# --- Lee -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["cancel smrtphone", "cancel my account please", "I want to cancel smrtDialer"])
async def test_he_is_refused_once_with_the_reason(lee: Chat, wish: str) -> None:
    told = await lee.say(wish)
    assert told.count("Only the Account Owner can cancel") == 1
    assert "Shall I let the Account Owner know" in told
    assert set(lee.decided()) == {"P-C1:refuse"}
    assert lee.rows(Cancellation, account_id=_product(lee, PHONE).account_id) == []


async def test_the_owner_is_told_once_who_asked(lee: Chat) -> None:
    for _ in range(2):
        await lee.say("cancel smrtphone")
        told = await lee.say("yes please")
    assert "Kim Sandoval had an e-mail" in told
    mails = [subject for subject in lee.mails(KIM) if "Lee Sandoval" in subject]
    assert mails == ["Lee Sandoval asked about cancelling smrtPhone Pro and smrtDialer"]
    with lee.app.store.read() as uow:
        (mail,) = [mail for mail in caught_mails(uow, recipient=KIM) if mail.subject == mails[0]]
    assert "Lee Sandoval, a member of your smrtPhone account" in mail.plain


async def test_without_his_yes_nobody_is_told(lee: Chat) -> None:
    await lee.say("cancel smrtphone")
    await lee.press("No, thanks")
    assert not [subject for subject in lee.mails(KIM) if "Lee" in subject]


async def test_he_may_not_undo_what_the_owner_cancelled(kim: Chat, lee: Chat) -> None:
    await _cancel_everything(kim)
    told = await lee.say("reactivate smrtphone")
    assert "only the owner can take it back" in told
    assert "Shall I let the Account Owner know" in told
    assert _product(lee, PHONE).status == "not_renewing"
