"""Which of the offered things a customer's words name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.dialogue.asking import Choice
from bot.dialogue.choices import choose
from bot.dialogue.common import all_of

A = Choice("a", "+1 415-555-0105", ("+14155550105", "SUB-1006"))
B = Choice("b", "+1 415-555-0106", ("+14155550106", "SUB-1007"))
C = Choice("c", "+1 415-555-0107", ("+14155550107", "SUB-1008"))
THREE = (A, B, C)
WITH_ALL = (*THREE, all_of(THREE))
GO = Choice("go", "Continue cancelling", ("continue", "cancel", "go on", "cancel it"))
KEEP = Choice("keep", "Keep it", ("keep", "keep it", "keep my number", "don't cancel", "do not cancel", "undo that"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the one ending 0107", "c"),
        ("0107", "c"),
        ("107", "c"),
        ("it's +1 (415) 555-0106 please", "b"),
        ("415 555 0105", "a"),
        ("SUB-1007", "b"),
        ("sub 1008 please", "c"),
        ("0105 and 0107", "ac"),
        ("the first one", "a"),
        ("the second one please", "b"),
        ("3rd", "c"),
        ("the last", "c"),
        ("all of them", "abc"),
        ("all", "abc"),
        ("both", "abc"),
        ("everything", "abc"),
        ("the whole lot", "abc"),
        ("cancel all my numbers", "abc"),
        ("all except 0105", "bc"),
        ("everything but not 0107", "ab"),
        ("all of them apart from 0106", "ac"),
        ("not 0106, 0107", "c"),
        ("keep 0105, cancel 0106", "b"),
        ("keep 0105 and cancel 0106", "b"),
        ("not the first but the second", "b"),
        ("don't cancel 0105", ""),
        ("the one in chicago", ""),
        ("since last tuesday", ""),
        ("my first number never worked, it is a disgrace", ""),
        ("9999", ""),
        ("07", ""),
        ("", ""),
        ("?!", ""),
    ],
)
def test_what_is_named_among_several(text: str, expected: str) -> None:
    assert choose(text, WITH_ALL, many=True) == tuple(expected)


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        ("not that one, the other", ("c",), ""),
        ("the others", ("c",), "ab"),
        ("the rest", ("a", "b"), "c"),
        ("the other one", ("a", "b"), "c"),
        ("the other", (), ""),
        ("not 0105, the others", (), "bc"),
    ],
)
def test_the_other_is_what_was_not_chosen(text: str, chosen: tuple[str, ...], expected: str) -> None:
    assert choose(text, THREE, many=True, chosen=chosen) == tuple(expected)


def test_of_two_the_other_is_clear() -> None:
    assert choose("not that one, the other", (A, B), many=True, chosen=("a",)) == ("b",)
    assert choose("not 0105", (A, B), many=False) == ("b",)


@pytest.mark.parametrize("text", ["all of them", "0105 and 0106", "the others"])
def test_where_one_is_wanted_several_are_none(text: str) -> None:
    assert choose(text, THREE, many=False, chosen=("a",)) == ()


def test_all_of_one_is_that_one() -> None:
    assert choose("all my numbers", (A,), many=True) == ("a",)


def test_a_place_in_the_list_counts_only_where_it_may() -> None:
    assert choose("the last", THREE, many=False, by_place=False) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("continue", "go"),
        ("cancel it please", "go"),
        ("yes go on", "go"),
        ("keep it", "keep"),
        ("I'd like to keep it", "keep"),
        ("please don't cancel it", "keep"),
        ("no, do not cancel!!", "keep"),
        ("undo that", "keep"),
        ("hm", ""),
    ],
)
def test_words_of_a_choice_win_over_what_they_contain(text: str, expected: str) -> None:
    assert choose(text, (GO, KEEP), many=False) == ((expected,) if expected else ())


@given(st.text(max_size=200), st.booleans())
def test_whatever_is_typed_only_offered_values_come_out_each_once(text: str, many: bool) -> None:
    found = choose(text, WITH_ALL, many=many)
    assert set(found) <= {"a", "b", "c"}
    assert len(set(found)) == len(found)


def test_with_nothing_to_choose_nothing_is_chosen() -> None:
    assert choose("the last one", (), many=True) == ()
