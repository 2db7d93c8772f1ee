"""Finn: three numbers, one already ending. Which one is meant, several at once, and corrections at every step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.store.tables import Cancellation, Subscription
from tests.conversations.chat import Chat

pytestmark = pytest.mark.conversation
FINN = "finn@jolt.example"
ENDING, SECOND, THIRD = "+1 415-555-0105", "+1 415-555-0106", "+1 415-555-0107"
Start = Callable[..., Chat]


def _ends(chat: Chat, subscription_id: str) -> str:
    (subscription,) = chat.rows(Subscription, id=subscription_id)
    return chat.day(subscription.period_end)


def _cancelled(chat: Chat) -> set[str]:
    return {row.subscription_id for row in chat.rows(Cancellation, status="scheduled")} & {"SUB-1007", "SUB-1008"}


async def _forward(chat: Chat, times: int = 3) -> str:
    told = ""
    for _ in range(times):
        told = await chat.say("cancel")
    return told


async def test_he_is_asked_which_one_and_offered_only_what_still_runs(chat: Start) -> None:
    finn = chat(FINN)
    await finn.say("cancel")
    assert finn.titles() == [SECOND, THIRD, "All of them"]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("cancel the one ending 0107", {"SUB-1008"}),
        ("please cancel +1 (415) 555-0106", {"SUB-1007"}),
        ("cancel SUB-1008", {"SUB-1008"}),
        ("cancel all of my numbers", {"SUB-1007", "SUB-1008"}),
        ("cancel 0106 and 0107", {"SUB-1007", "SUB-1008"}),
        ("cancel all except 0106", {"SUB-1008"}),
    ],
)
async def test_what_the_wish_names_is_cancelled_and_nothing_else(chat: Start, wish: str, expected: set[str]) -> None:
    finn = chat(FINN)
    await finn.say(wish)
    await _forward(finn)
    assert _cancelled(finn) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("the one ending 0107", {"SUB-1008"}),
        ("0106", {"SUB-1007"}),
        ("the first one", {"SUB-1007"}),
        ("the last", {"SUB-1008"}),
        ("all of them", {"SUB-1007", "SUB-1008"}),
        ("both", {"SUB-1007", "SUB-1008"}),
        ("not 0106, 0107", {"SUB-1008"}),
        ("[All of them", {"SUB-1007", "SUB-1008"}),
        (f"[{THIRD}", {"SUB-1008"}),
    ],
)
async def test_every_way_of_naming_one_is_understood(chat: Start, answer: str, expected: set[str]) -> None:
    finn = chat(FINN)
    await finn.say("cancel")
    await (finn.press(answer[1:]) if answer.startswith("[") else finn.say(answer))
    await _forward(finn)
    assert _cancelled(finn) == expected


async def test_several_are_told_each_with_its_own_date(chat: Start) -> None:
    finn = chat(FINN)
    told = await finn.say("cancel all my numbers")
    first, second = told.split(f"{THIRD}:")[0], told.split(f"{THIRD}:")[1]
    assert _ends(finn, "SUB-1007") in first
    assert _ends(finn, "SUB-1008") not in first
    assert _ends(finn, "SUB-1008") in second
    assert _ends(finn, "SUB-1007") not in second
    told = await _forward(finn, 2)
    for number, subscription in ((SECOND, "SUB-1007"), (THIRD, "SUB-1008")):
        assert f"{number}, ends on {_ends(finn, subscription)}" in told
    told = await finn.press("Yes, cancel")
    rows = {row.subscription_id: row for row in finn.rows(Cancellation)}
    for number, subscription in ((SECOND, "SUB-1007"), (THIRD, "SUB-1008")):
        line = next(line for line in told.splitlines() if line.startswith(f"- {number}"))
        assert rows[subscription].reference in line
        assert _ends(finn, subscription) in line
        assert told.count(f"{number} before {_ends(finn, subscription)}") == 1, "the undo sentence names it once"
    assert len(finn.replies) == 1
    assert len(finn.attachments()) == 1, "one receipt for all"


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("correction", ["not that one, the other", "I meant 0106", "no, the one ending in 0106"])
async def test_a_correction_at_any_later_step_is_taken(chat: Start, correction: str, steps: int) -> None:
    finn = chat(FINN)
    await finn.say("cancel the one ending 0107")
    await _forward(finn, steps)
    told = await finn.say(correction)
    assert f"if you cancel {SECOND}" in told
    await _forward(finn)
    assert _cancelled(finn) == {"SUB-1007"}


async def test_a_number_that_is_cancelled_already_is_told_with_date_and_reference(chat: Start) -> None:
    finn = chat(FINN)
    told = await finn.say("cancel the one ending 0105")
    (known,) = finn.rows(Cancellation, subscription_id="SUB-1006")
    assert known.reference in told
    assert _ends(finn, "SUB-1006") in told
    await finn.press("Keep it after all")
    await finn.say("yes")
    (undone,) = finn.rows(Cancellation, subscription_id="SUB-1006")
    assert undone.status == "undone"


async def test_a_number_he_does_not_have_is_not_found_and_he_is_asked_again(chat: Start) -> None:
    finn = chat(FINN)
    told = await finn.say("cancel the one ending 0199")
    assert "can't find …0199" in told
    assert finn.titles() == [SECOND, THIRD, "All of them"]


async def test_none_of_them_leaves_all(chat: Start) -> None:
    finn = chat(FINN)
    await finn.say("cancel")
    assert "Nothing was cancelled" in await finn.say("none of them")
    assert _cancelled(finn) == set()


async def test_undo_right_after_cancelling_means_that_one(chat: Start) -> None:
    finn = chat(FINN)
    await finn.say("cancel the one ending 0107")
    await _forward(finn)
    told = await finn.say("undo that")
    assert THIRD in told
    assert ENDING not in told
    await finn.say("yes")
    assert _cancelled(finn) == set()
    (other,) = finn.rows(Cancellation, subscription_id="SUB-1006")
    assert other.status == "scheduled"


async def test_which_number_gets_no_texts_is_asked(chat: Start) -> None:
    finn = chat(FINN)
    await finn.say("one of my numbers gets no texts")
    assert finn.titles() == [ENDING, SECOND, THIRD]
    told = await finn.say("0106")
    assert "does receive SMS" in told
