"""Anger, what is left of a message without it, and what is said not to be wanted."""

from __future__ import annotations

import time

import pytest

from bot.conversation.messages import MAX_TEXT
from bot.dialogue.interpretation import clauses_of
from bot.dialogue.mood import calmed, denies, denies_cancelling, is_angry


@pytest.mark.parametrize(
    "text",
    [
        "you thieves charged me twice!!!",
        "WHY DOES NOBODY ANSWER ME",
        "this is ridiculous",
        "wtf",
        "i am DONE with this company",
        "I am so fed up with this",
        "are you kidding me",
        "what the hell is this charge",
        "f*** this",
    ],
)
def test_anger_is_noticed(text: str) -> None:
    assert is_angry(text)


@pytest.mark.parametrize(
    "text",
    [
        "thanks!!!",
        "I have SMS and MMS on my USA number",
        "please cancel my number",
        "omg thank you",
        "is this the worst case",
        "My SIM is OK",
        "hello",
        "",
    ],
)
def test_enthusiasm_and_abbreviations_are_no_anger(text: str) -> None:
    assert not is_angry(text)


@pytest.mark.parametrize(
    ("text", "calm"),
    [
        ("you thieves charged me twice!!!", "charged me twice"),
        ("CANCEL MY FUCKING NUMBER NOW", "cancel my number now"),
        ("fuck you", "you"),
        ("f*** you, cancel it", "you, cancel it"),
        ("wtf???", ""),
    ],
)
def test_what_is_left_without_the_anger(text: str, calm: str) -> None:
    assert calmed(text) == calm


@pytest.mark.parametrize(
    "text",
    [
        "I don't want to cancel",
        "please don't cancel my number",
        "im not asking for a refund",
        "i never said i want to cancel",
        "no need to refund me",
    ],
)
def test_a_denial_is_noticed(text: str) -> None:
    assert denies(text)


@pytest.mark.parametrize(
    "text",
    [
        "I don't want this number any more",
        "you didn't cancel it",
        "my number was never cancelled",
        "I have not been refunded",
        "cancel it",
        "I do not need it, cancel it",
    ],
)
def test_what_did_not_happen_is_no_denial(text: str) -> None:
    assert not denies(text)


def test_denying_a_refund_is_not_denying_to_cancel() -> None:
    assert denies_cancelling("I don't want to cancel")
    assert not denies_cancelling("I don't want a refund")


@pytest.mark.parametrize("piece", ["don't want to ", "you ", "f", "not to be ", " ", "!", "WTF ", "please can you "])
def test_the_longest_message_is_read_at_once(piece: str) -> None:
    text = (piece * MAX_TEXT)[:MAX_TEXT]
    started = time.thread_time()
    is_angry(text), calmed(text), denies(text), clauses_of(text)
    assert time.thread_time() - started < 2
