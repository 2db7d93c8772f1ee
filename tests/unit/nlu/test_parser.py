"""The JSON object of a parsed message."""

from bot.nlu.parser import Understanding

PARSED = {
    "text": "cancel",
    "intent": {"name": "cancel_subscription", "confidence": 0.912345},
    "intent_ranking": [{"name": "cancel_subscription", "confidence": 0.912345}, {"name": "stop", "confidence": 0.05}],
    "entities": [
        {"entity": "plan", "value": "calling", "text": "calling", "start": 0, "end": 7, "extractor": "lookup"}
    ],
    "understanding": {"verdict": "answer", "choices": []},
    "text_tokens": [(0, 6)],
}


def test_the_json_has_the_promised_keys_and_nothing_of_rasa() -> None:
    printed = Understanding.from_parse(PARSED).as_json()
    assert list(printed) == ["text", "intent", "confidence", "ranking", "entities", "understanding"]
    assert printed["intent"] == "cancel_subscription"
    assert printed["confidence"] == 0.9123
    assert printed["ranking"][1] == {"name": "stop", "confidence": 0.05}
    assert printed["understanding"] == {"verdict": "answer", "choices": []}
