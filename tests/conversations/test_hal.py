"""Hal of Smarter Contact: two plans, four numbers, a wallet. He cancels one or both, and what was promised happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.app import App
from bot.services import lifecycle
from bot.store.tables import (
    Account,
    Cancellation,
    Decision,
    LifecycleEvent,
    PhoneNumber,
    Receipt,
    Registration,
    Subscription,
    Wallet,
)
from tests.conversations.chat import Chat
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.conversation
HAL = "hal@smarter.example"
MESSAGING, CALLING = "SUB-1010", "SUB-1011"
NUMBERS = ("+1 212-555-0111", "+1 212-555-0112", "+1 212-555-0113", "+1 212-555-0114")
Start = Callable[..., Chat]


@pytest.fixture
def hal(chat: Start) -> Chat:
    return chat(HAL, brand="smartercontact")


def _plan(hal: Chat, id_: str) -> Subscription:
    (found,) = hal.rows(Subscription, id=id_)
    return found


def _numbers(hal: Chat) -> dict[str, str]:
    """The status of each of his numbers, by its last four digits."""
    account = _plan(hal, MESSAGING).account_id
    return {number.e164[-4:]: number.status for number in hal.rows(PhoneNumber, account_id=account)}


def _balance(hal: Chat) -> int:
    (wallet,) = hal.rows(Wallet, account_id=_plan(hal, MESSAGING).account_id)
    return int(wallet.balance_minor)


async def _to_the_consents(hal: Chat, wish: str, numbers: str) -> str:
    """Everything up to the first consent; returns what he was told about his wish."""
    told = await hal.say(wish)
    await hal.say(numbers)
    await hal.press("Continue")
    await hal.press("It costs too much")
    return told


async def _agree_to_all(hal: Chat) -> str:
    await hal.press("I agree")
    await hal.press("I agree")
    return await hal.press("Yes, cancel")


async def test_he_is_told_what_ends_when_and_what_is_still_charged(hal: Chat) -> None:
    """Messaging only: its features, its registration, its credits; numbers and data stay with Calling."""
    told = await hal.say("I want to cancel my messaging plan")
    ends = _plan(hal, MESSAGING).period_end
    assert f"USD 8.00 for your numbers, 4 in all, on {hal.day(ends)}" in told
    assert "you cannot send messages or launch SMS campaigns" in told
    assert "dialer" not in told
    assert hal.day(ends + timedelta(days=30)) in told
    assert "USD 2.40" in told
    assert "USD 0.75" in told
    assert "stay with Calling" in told
    assert "USD 42.10" in told, "what the wallet holds"
    assert hal.titles() == [*NUMBERS, "All of them", "None, keep them"]


async def test_each_plan_has_its_own_part_when_both_are_cancelled(hal: Chat) -> None:
    told = await hal.say("cancel both plans please")
    ends = _plan(hal, MESSAGING).period_end
    messaging, calling = told.index("Messaging:"), told.index("Calling:")
    assert messaging < told.index("launch SMS campaigns") < calling < told.index("the dialer and everything in it")
    assert told.count("USD 8.00 for your numbers") == 1
    assert f"On {hal.day(ends + timedelta(days=14))}, 14 days after the end, your numbers are released" in told
    assert "deleted for good on 4 April 2027" in told


async def test_he_cancels_messaging_with_both_consents_on_record(hal: Chat, clock: FakeClock) -> None:
    await _to_the_consents(hal, "cancel messaging", "none")
    (first,) = [reply.text for reply in hal.replies]
    clock.advance(minutes=1)
    second = await hal.press("I agree")
    assert hal.rows(Cancellation, subscription_id=MESSAGING) == []
    await hal.press("I agree")
    told = await hal.press("Yes, cancel")
    (cancellation,) = hal.rows(Cancellation, subscription_id=MESSAGING)
    assert cancellation.reference in told
    assert [(c["id"], c["version"], c["wording"]) for c in cancellation.consents] == [
        ("disclosures", "1", first),
        ("consequences", "1", second),
    ]
    assert {c["at"] for c in cancellation.consents} == {clock.now().isoformat()}
    assert cancellation.reason_id == "too_expensive"
    assert cancellation.offers == ["person"]
    assert (_plan(hal, MESSAGING).status, _plan(hal, CALLING).status) == ("not_renewing", "active")
    assert set(_numbers(hal).values()) == {"active"}
    kinds = {event.kind for event in hal.rows(LifecycleEvent, cancellation_id=cancellation.id)}
    assert kinds == {"end_subscription", "credit_unsent", "end_10dlc", "remind"}, "numbers and data stay with Calling"
    assert [rule.endswith(":allow") for rule in hal.decided()] == [True]


async def test_calling_alone_touches_no_message_and_no_registration(hal: Chat) -> None:
    told = await hal.say("cancel my calling plan")
    assert "the dialer" in told
    assert "SMS campaigns" not in told
    assert "USD 2.40" not in told
    await hal.press("None")
    await hal.press("Continue")
    await hal.say("skip")
    await _agree_to_all(hal)
    assert (_plan(hal, MESSAGING).status, _plan(hal, CALLING).status) == ("active", "not_renewing")
    (cancellation,) = hal.rows(Cancellation, subscription_id=CALLING)
    assert cancellation.reason_id is None


@pytest.mark.parametrize(
    ("said", "removed"),
    [
        ("none of them", set()),
        ("no thanks", set()),
        ("keep them", set()),
        ("all of them", {"0111", "0112", "0113", "0114"}),
        ("remove them all please", {"0111", "0112", "0113", "0114"}),
        ("0111 and the one ending 0113", {"0111", "0113"}),
        ("all except 0114", {"0111", "0112", "0113"}),
        ("the first one", {"0111"}),
    ],
)
async def test_he_removes_all_some_or_none_of_his_numbers(hal: Chat, said: str, removed: set[str]) -> None:
    await _to_the_consents(hal, "cancel messaging", said)
    assert set(_numbers(hal).values()) == {"active"}, "nothing goes before he has confirmed"
    told = await _agree_to_all(hal)
    assert {last for last, status in _numbers(hal).items() if status == "removed"} == removed
    (receipt,) = hal.rows(Receipt)
    for number in NUMBERS:
        gone = number[-4:] in removed
        assert (number in told) is gone
        assert ("Numbers removed" in receipt.html) is bool(removed)
    assert len(hal.rows(Decision, rule_id="S-C5-remove")) == bool(removed)


async def test_the_same_click_twice_cancels_and_removes_once(hal: Chat) -> None:
    await _to_the_consents(hal, "cancel both plans", "0111")
    await hal.press("I agree")
    await hal.press("I agree")
    confirm = hal.button("Yes, cancel")
    first = await hal.send(button=confirm, external_id="the-click")
    again = await hal.send(button=confirm, external_id="the-click")
    assert [reply.text for reply in first.replies] == [reply.text for reply in again.replies]
    assert len(hal.rows(Cancellation, subscription_id=MESSAGING)) == 1
    assert len(hal.rows(Decision, rule_id="S-C5-remove")) == 1
    assert len(hal.rows(Receipt)) == 1


@pytest.mark.parametrize("at", ["alternatives", "consent", "confirm"])
async def test_keeping_it_at_any_step_removes_no_number_either(hal: Chat, at: str) -> None:
    await hal.say("cancel both plans")
    await hal.say("all of them")
    if at != "alternatives":
        await hal.press("Continue")
        await hal.say("skip")
    if at == "confirm":
        await hal.press("I agree")
        await hal.press("I agree")
    told = await hal.press("Keep it")
    assert "Nothing was cancelled" in told
    assert set(_numbers(hal).values()) == {"active"}
    assert hal.rows(Cancellation, subscription_id=MESSAGING) == []


async def test_what_was_promised_happens_in_order_and_once(app: App, hal: Chat, clock: FakeClock) -> None:
    """Both plans, two numbers removed first: half the fee, both credits, then release, 10DLC and data."""
    ends = _plan(hal, MESSAGING).period_end
    account_id = _plan(hal, MESSAGING).account_id
    await _to_the_consents(hal, "cancel both plans", "0111 and 0112")
    await _agree_to_all(hal)

    def tick(days: float) -> None:
        clock.set(ends + timedelta(days=days))
        for _ in range(2):
            assert lifecycle.tick(app.store, now=clock.now(), packs=app.packs).failed == ()

    tick(-0.5)
    assert _plan(hal, MESSAGING).status == "not_renewing"
    assert _balance(hal) == 4210
    tick(0.5)
    assert (_plan(hal, MESSAGING).status, _plan(hal, CALLING).status) == ("ended", "ended")
    assert _balance(hal) == 4210 - 400 + 240 + 75
    assert _numbers(hal) == {"0111": "removed", "0112": "removed", "0113": "releasing", "0114": "releasing"}
    tick(15)
    assert _numbers(hal) == {"0111": "removed", "0112": "removed", "0113": "released", "0114": "released"}
    (registration,) = hal.rows(Registration, account_id=account_id)
    assert registration.status == "active"
    tick(31)
    (registration,) = hal.rows(Registration, account_id=account_id)
    assert registration.status == "ended"
    assert _balance(hal) == 4210 - 400 + 240 + 75
    tick(367)
    (account,) = hal.rows(Account, id=account_id)
    assert account.erased_at is not None
    left = {event.status for event in hal.rows(LifecycleEvent, account_id=account_id)}
    assert left <= {"done", "called_off"}


async def test_fees_and_charges_are_not_refunded_and_he_learns_what_is_credited(hal: Chat) -> None:
    await hal.say("can I get a refund of this month's subscription?")
    await hal.press("I changed my mind")
    told = await hal.press("Messaging")
    assert "not refunded" in told
    assert [each.split(":")[1] for each in hal.decided()] == ["refuse"]
    told = await hal.say("what happens to my unsent scheduled messages if I cancel?")
    assert "USD 2.40" in told
    assert "USD 0.75" in told
