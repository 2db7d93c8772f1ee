"""Which words ask for a pause, at a brand that has one."""

from __future__ import annotations

from functools import lru_cache

import pytest

from bot.dialogue.flows.pause import _length_in, is_meant
from bot.dialogue.turn import Wish
from bot.policy.loader import load_pack
from bot.policy.pack import Pack
from tests.fourth_brand import BRANDS
from tests.unit.services.usecases import jolt


@lru_cache
def tandem() -> Pack:
    """The made-up brand, which pauses."""
    return load_pack(BRANDS / "policies" / "tandem.yml")


@pytest.mark.parametrize(
    ("intent", "words", "meant"),
    [
        ("change_plan", "can I put my plan on hold for two months?", True),
        ("cancel_subscription", "rather pause it instead of cancelling", True),
        ("change_renewal_date", "can I pause and start again next month", True),
        ("nlu_fallback", "freeze my line over the summer", True),
        ("resume_subscription", "I'd like to pause my plan", True),
        ("resume_subscription", "resume my paused plan", False),
        ("resume_subscription", "unpause my plan", False),
        ("resume_subscription", "end the pause", False),
        ("cancel_subscription", "I don't want to pause, cancel it", False),
        ("cancel_subscription", "cancel it while it is paused", False),
        ("change_plan", "I want a bigger plan", False),
        ("ask_fees_after_cancel", "do I pay during the pause?", False),
        ("talk_to_human", "a human please, I want to pause", False),
    ],
)
def test_words_that_ask_for_a_pause(intent: str, words: str, meant: bool) -> None:
    assert is_meant(tandem(), Wish(intent, words)) is meant
    assert not is_meant(jolt(), Wish(intent, words)), "a brand that does not pause is served as before"


@pytest.mark.parametrize(
    ("words", "length"),
    [
        ("pause my plan for two months", "two"),
        ("pause it for 3 months", "three"),
        ("put it on hold for a month", "one"),
        ("pause it", None),
        ("pause it for five months", None),
    ],
)
def test_how_long_is_read_from_the_words(words: str, length: str | None) -> None:
    assert _length_in(tandem(), words) == length
