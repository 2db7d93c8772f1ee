"""What a conversation waits for goes through the stored snapshot and comes back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.dialogue.asking import (
    Answer,
    Asking,
    Choice,
    Expect,
    FlowState,
    Via,
    flows_from_slots,
    is_email,
    kept,
)
from bot.dialogue.conduct import Conducted
from bot.dialogue.turn import Done, Said, Wish

words = st.text(max_size=20)
choices = st.builds(
    Choice,
    value=words.filter(bool),
    title=words,
    words=st.lists(words, max_size=3).map(tuple),
    intents=st.lists(words, max_size=2).map(tuple),
)
askings = st.builds(
    Asking,
    step=words,
    expects=st.lists(st.sampled_from(Expect), max_size=3).map(tuple),
    choices=st.lists(choices, max_size=3).map(tuple),
    many=st.booleans(),
)
flows = st.builds(
    FlowState,
    name=words,
    id=words,
    data=st.dictionaries(words, st.one_of(words, st.booleans(), st.lists(words, max_size=2)), max_size=3),
    email=st.none() | words,
    asking=st.none() | askings,
)


def _stored(values: object) -> object:
    return json.loads(json.dumps(values))


@given(flows)
def test_a_flow_comes_back_from_the_snapshot_as_it_was(flow: FlowState) -> None:
    assert flows_from_slots({"flows": [_stored(flow.to_json())]}) == [flow]


@given(st.builds(Answer, step=words, via=st.sampled_from(Via), values=st.lists(words, max_size=3).map(tuple)))
def test_an_answer_comes_back_from_a_messages_metadata_as_it_was(answer: Answer) -> None:
    stored = _stored(answer.to_json())
    assert isinstance(stored, dict)
    assert Answer.from_json(stored) == answer


def test_what_was_said_and_wished_comes_back_as_it_was() -> None:
    said = Said(response="utter_greet", values={"a": 1}, buttons=({"title": "t", "payload": {}},))
    conducted = Conducted(said=(said,), slots={"misses": 1})
    assert Conducted.from_json(json.loads(json.dumps(conducted.to_json()))) == conducted
    wish = Wish("cancel_subscription", "cancel it", ({"entity": "email", "value": "a@b.example"},))
    assert Wish.from_json(json.loads(json.dumps(wish.to_json()))) == wish
    assert Done("cancel", ("SUB-1",)).to_json() == {"flow": "cancel", "targets": ["SUB-1"]}


def test_no_flows_are_under_way_in_a_new_conversation() -> None:
    assert flows_from_slots({}) == []
    assert flows_from_slots({"flows": None}) == []


@given(st.text(max_size=4000))
def test_what_is_kept_of_a_text_is_its_beginning_and_small(text: str) -> None:
    part = kept(text)
    assert text.startswith(part)
    assert len(json.dumps(part)) <= 2000


def test_a_short_text_is_kept_whole() -> None:
    assert kept("My number gets no texts.") == "My number gets no texts."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ava@jolt.example", True),
        ("a.b+c@mail.jolt.example", True),
        ("ava@jolt", False),
        ("ava@", False),
        ("@jolt.example", False),
        ("ava at jolt.example", False),
        ("a@b@c.example", False),
        ("ava@jolt..example", False),
        ("", False),
    ],
)
def test_the_shape_of_an_address(text: str, expected: bool) -> None:
    assert is_email(text) is expected


def test_a_choice_of_several_has_several_values() -> None:
    assert Choice("a,b", "All of them").values == ("a", "b")
    assert Answer("step", Via.TEXT).value == ""
