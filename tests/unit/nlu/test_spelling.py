"""Misspelled words are mended towards what customers say; names, ids and other languages stay."""

from random import Random

import pytest

from bot.nlu.lexicon import shared_lexicon
from bot.nlu.spelling import Speller

TEXTS = [
    *["cancel my subscription"] * 30,
    *["refund my number please"] * 30,
    *["cancle it"] * 3,
    *["the webhook of my account"] * 5,
]


@pytest.fixture(scope="module")
def speller() -> Speller:
    return Speller.fit(TEXTS, shared_lexicon())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("cancell my subscribtion", "cancel my subscription"),
        ("CANCLE it", "cancel it"),
        ("refudn my nubmer plase", "refund my number please"),
        ("i cant recieve anything", "i cant receive anything"),
        ("the nubmer wich always rings", "the number which always rings"),
    ],
)
def test_misspelled_words_are_mended(speller: Speller, typed: str, meant: str) -> None:
    assert speller.mend(typed) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "webhooks deactivated, they weren't cancelled",
        "ask Zbigniew Refundov",
        "INV-2005 ava@jolt.example",
        "wo kann ich hier parken bitte schön",
        "whatsapp joltsms smrtdialer",
        "asdfghjkl qwrtzplk",
    ],
)
def test_what_is_right_or_foreign_stays(speller: Speller, text: str) -> None:
    assert speller.mend(text) == text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("👍", "thumbs up sign"), ("👍🏽", "thumbs up sign"), ("ok ✔️", "ok  heavy check mark"), ("❌", "cross mark")],
)
def test_pictures_are_named(speller: Speller, typed: str, meant: str) -> None:
    assert speller.mend(typed).strip() == meant


def test_a_frequent_misspelling_is_not_something_to_mend_towards(speller: Speller) -> None:
    assert "cancle" not in speller.frequency
    assert "webhook" in speller.frequency


def test_what_is_longer_than_any_word_is_left_alone(speller: Speller) -> None:
    """All ways to leave two letters out of a thousand would fill gigabytes."""
    pasted = "".join(chance.choice("abcdefghij") for chance in [Random(1)] for _ in range(4000))
    assert speller.mend(f"cancle {pasted}") == f"cancel {pasted}"
