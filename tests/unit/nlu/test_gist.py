"""What is read of a message: its own words, each once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.nlu.gist import gist


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("my number gets no texts", "my number gets no texts"),
        ("My number gets no texts. " * 200, "My number gets no texts. "),
        ("hello, no no no NO! not that one", "hello, no not that one"),
        ("cancel it, cancel it", "cancel it, cancel it"),  # twice may be meant
        ("no texts:\n```\n<b>&amp;</b> {x: 1}\n```\nsince Monday", "no texts:\n \nsince Monday"),
        ("no texts\n```\nTraceback (most recent", "no texts\n "),  # a block that nobody closed
        ("> you were charged USD 5.00\n> on 3 March\nthat is wrong", " \n \nthat is wrong"),
        ("a > b is true", "a > b is true"),
        ("```\nlet x = 1\n```", "```\nlet x = 1\n```"),  # there is nothing else
        ("? ! ?", "? ! ?"),
        ("", ""),
    ],
)
def test_what_is_read(text: str, read: str) -> None:
    assert gist(text) == read


@given(st.text(alphabet="ab .`>\n", max_size=60))
def test_what_is_read_can_be_read_again_and_is_never_longer(text: str) -> None:
    read = gist(text)
    assert len(read) <= len(text)
    assert bool(text.strip()) == bool(read.strip())


@given(st.lists(st.sampled_from(["ab", "cd", "ef", "gh"]), min_size=1, unique=True), st.integers(3, 9))
def test_what_is_said_often_is_read_as_if_said_once(words: list[str], times: int) -> None:
    assert gist(" ".join(words * times)).split() == gist(" ".join(words)).split()
