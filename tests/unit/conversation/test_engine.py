"""The engine answers a turn from a snapshot, and gives the next one."""

from __future__ import annotations

import asyncio
import json

import pytest

from bot.conversation.engine import (
    STATE_VERSION,
    ActionFailed,
    DialogueState,
    EngineError,
    EngineTurn,
    RasaEngine,
    TurnTooLong,
    UnknownIntent,
    UnusableResponse,
    UnusableState,
    load_actions,
)
from tests.fixtures.tiny_bot.actions import WHO
from tests.unit.conversation.conftest import Say


def texts(result) -> list[str]:
    return [reply.text for reply in result.replies]


async def test_a_text_is_understood_and_answered_by_a_rule(say: Say) -> None:
    result = await say("which hours")
    assert (result.intent, result.actions) == ("ask_hours", ("utter_hours",))
    assert result.confidence == 1.0
    (reply,) = result.replies
    assert reply.text == "We are open from 9 to 5."
    assert reply.response == "utter_hours"
    assert [button["title"] for button in reply.buttons] == ["Order"]


async def test_a_given_intent_is_not_interpreted_again(say: Say) -> None:
    result = await say("bye", intent="ask_hours", confidence=0.4)
    assert (result.intent, result.confidence, texts(result)) == ("ask_hours", 0.4, ["We are open from 9 to 5."])


async def test_given_entities_fill_slots(say: Say) -> None:
    result = await say("x", intent="order", entities=[{"entity": "fruit", "value": "figs"}])
    assert result.state.slots["fruit"] == "figs"
    assert texts(result) == ["How much figs?"]


async def test_what_is_not_understood_gets_the_fallback(say: Say) -> None:
    result = await say("qwertz")
    assert (result.intent, texts(result)) == ("nlu_fallback", ["I did not get that."])


@pytest.mark.parametrize(
    "text", ["/restart", '/cancel_subscription{"x":1}', "/ask_hours", '/inform{"fruit":"figs"}', "/"]
)
async def test_a_typed_slash_is_text(engine: RasaEngine, say: Say, text: str) -> None:
    state = (await say("count")).state
    assert (await engine.parse(text))["intent"]["name"] is None
    result = await say(text, state)
    assert (result.intent, result.actions) == ("nlu_fallback", ("utter_fallback",))
    assert result.state == state


async def test_a_slash_before_words_changes_nothing_of_their_meaning(say: Say) -> None:
    result = await say("/count it")
    assert (result.intent, result.actions) == ("count", ("action_count",))


async def test_an_action_reads_the_text_as_it_was_typed(say: Say) -> None:
    assert texts(await say("  /remember {note} 0[ ok ")) == ["Noted:   /remember {note} 0[ ok "]


@pytest.mark.parametrize("intent", ["restart", "back", "session_start", "no_such_intent"])
async def test_an_intent_of_rasas_own_or_unknown_is_refused(say: Say, intent: str) -> None:
    with pytest.raises(UnknownIntent, match=intent):
        await say("x", intent=intent)


async def test_slots_live_on_in_the_state(say: Say) -> None:
    result = await say("count")
    for expected in ("c-1: 2", "c-1: 3"):
        stored = DialogueState(json.loads(json.dumps(dict(result.state.data))))
        result = await say("count", stored)
        assert texts(result) == [expected]
    assert result.state.slots == {"counter": 3}


async def test_a_slot_at_its_initial_value_is_not_in_the_state(say: Say) -> None:
    assert (await say("hello")).state.slots == {}


async def test_conversation_start_rules_are_for_the_first_turn(say: Say) -> None:
    first = await say("hello")
    assert texts(first) == ["Hello, and welcome."]
    assert texts(await say("hello", first.state)) == ["Hello."]


async def test_a_form_goes_on_over_turns_and_questions(say: Say) -> None:
    result = await say("I want to order")
    assert (texts(result), result.state.data["loop"]["name"]) == (["Which fruit?"], "order_form")
    result = await say("which hours", result.state)
    assert texts(result) == ["We are open from 9 to 5.", "Which fruit?"]
    result = await say("it is pears", result.state)
    assert texts(result) == ["How much pears?"]
    result = await say("make that 3 kg", result.state)
    assert texts(result) == ["3 kg of pears it is."]
    assert result.state.data["loop"] is None


async def test_rasas_default_fallback_takes_the_message_back_and_listens(say: Say) -> None:
    state = (await say("count")).state
    for before in (None, state):
        result = await say("x", before, intent="untold")
        assert (result.actions, texts(result)) == (("action_default_fallback",), ["That is beyond me."])
        assert result.state.slots == (before.slots if before else {})


async def test_the_same_turn_on_the_same_state_gives_the_same(say: Say) -> None:
    state = (await say("basket", (await say("count")).state)).state
    for text in ("bye", "count", "basket", "I want to order"):
        assert len({repr(await say(text, state, message_id="m-9")) for _ in range(5)}) == 1


async def test_variations_of_a_response_differ_between_messages(say: Say) -> None:
    said = {texts(await say("bye", message_id=f"m-{number}"))[0] for number in range(40)}
    assert said == {"Bye.", "See you.", "Until next time.", "So long."}


async def test_an_action_that_changes_a_slot_in_place_does_not_change_the_state_before(say: Say) -> None:
    state = (await say("basket")).state
    assert (await say("basket", state)).state.slots["basket"] == ["plum", "plum"]
    assert state.slots["basket"] == ["plum"]


async def test_an_action_gets_the_turns_metadata_context_variables_and_the_domain(say: Say) -> None:
    state = DialogueState({"version": STATE_VERSION, "slots": {"vip": True}, "loop": None})
    token = WHO.set("ava")
    try:
        result = await say("who am I", state, metadata={"brand": "joltsms"})
    finally:
        WHO.reset(token)
    assert texts(result) == ["ava, joltsms, amount"]


async def test_a_synchronous_action_runs_in_a_thread(say: Say) -> None:
    (reply,) = (await say("count")).replies
    assert reply.custom["thread"].startswith("action")
    assert reply.buttons == ({"title": "More", "payload": "count"},)


async def test_an_actions_error_is_raised_with_its_cause(say: Say) -> None:
    state = (await say("count")).state
    with pytest.raises(ActionFailed, match="action_explode") as raised:
        await say("explode", state)
    assert raised.value.data == {"action": "action_explode"}
    assert isinstance(raised.value.__cause__, LookupError)
    assert texts(await say("count", state)) == ["c-1: 2"]


async def test_an_action_that_does_not_exist_is_an_error(say: Say) -> None:
    with pytest.raises(ActionFailed, match="action_missing"):
        await say("break")


async def test_an_action_may_refuse_and_another_is_predicted(say: Say) -> None:
    assert (await say("reject")).actions == ("action_default_fallback",)


async def test_an_invalid_event_is_an_error(say: Say) -> None:
    with pytest.raises(ActionFailed, match="action_bad_event"):
        await say("x", intent="bad_event")


async def test_a_dialogue_that_never_listens_is_an_error(say: Say) -> None:
    with pytest.raises(TurnTooLong) as raised:
        await say("round and round")
    assert raised.value.data == {"last_action": "action_again"}


async def test_a_response_without_a_value_for_its_placeholder_is_an_error(say: Say) -> None:
    with pytest.raises(UnusableResponse, match="utter_note needs a value for note"):
        await say("x", intent="recall")


@pytest.mark.parametrize("kind", ["date", "large"])
async def test_a_slot_that_cannot_be_stored_is_an_error(say: Say, kind: str) -> None:
    with pytest.raises(UnusableState):
        await say("poison", metadata={"poison": kind})


async def test_a_state_of_another_model_or_version_is_read_as_far_as_it_goes(say: Say) -> None:
    known = {"version": STATE_VERSION, "slots": {"counter": 4, "gone": 1}, "loop": {"name": "gone", "rejected": False}}
    result = await say("count", DialogueState(known))
    assert result.state.data == {"version": STATE_VERSION, "slots": {"counter": 5}, "loop": None}
    result = await say("count", DialogueState({"version": STATE_VERSION + 1, "other": True}))
    assert result.state.slots == {"counter": 1}


async def test_a_long_conversation_costs_no_more_than_a_short_one(say: Say) -> None:
    state, seen, sizes = None, [], []
    for _ in range(60):
        result = await say("count", state, intent="count")
        state = result.state
        seen.append(result.replies[0].custom["events"])
        sizes.append(len(json.dumps(dict(state.data))))
    assert len(set(seen[1:])) == 1
    assert max(sizes[1:]) - min(sizes[1:]) <= 1


async def test_many_conversations_at_once_do_not_mix(engine: RasaEngine) -> None:
    async def converse(name: str) -> list[str]:
        state, said = None, []
        for number in range(5):
            turn = EngineTurn(name, f"{name}-{number}", "count")
            result = await engine.answer(turn, state)
            state = result.state
            said += texts(result)
        return said

    names = [f"c-{number}" for number in range(25)]
    answers = await asyncio.gather(*map(converse, names))
    assert answers == [[f"{name}: {count}" for count in range(1, 6)] for name in names]


async def test_parsing_changes_nothing_and_finds_entities(engine: RasaEngine) -> None:
    parsed = await engine.parse("make that 3 kg of apples", metadata={"brand": "joltsms"})
    found = {entity["entity"]: entity["value"] for entity in parsed["entities"]}
    assert found == {"amount": "3 kg", "fruit": "apples"}
    assert parsed["text"] == "make that 3 kg of apples"


@pytest.mark.parametrize(
    "text", ["", "   ", "🙂", "{", "\x00", "none\n\nof this", pytest.param("a" * 10_000, id="long")]
)
async def test_odd_texts_are_answered(say: Say, text: str) -> None:
    assert texts(await say(text)) == ["I did not get that."]


def test_a_model_that_cannot_be_read_is_an_error(tmp_path) -> None:
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"not a model")
    with pytest.raises(EngineError, match=r"broken\.tar\.gz"):
        RasaEngine(broken, load_actions("tests.fixtures.tiny_bot.actions"))


def test_two_actions_of_one_name_are_an_error() -> None:
    with pytest.raises(ValueError, match="action_twice"):
        load_actions("tests.fixtures.clashing_actions")
