"""The domain, the rules, the actions and the code name the same intents, actions, responses and slots."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bot.dialogue.conduct import CATALOGUE
from bot.dialogue.registry import FLOW_OF_INTENT, SERVABLE
from bot.dialogue.wishes import A_PERSON_IN, LEARNABLE
from bot.services.identity import CodeProblem
from bot.settings import PROJECT

DOMAIN: dict[str, Any] = yaml.safe_load((PROJECT / "domain.yml").read_text(encoding="utf-8"))
RULES = [
    rule
    for file in sorted((PROJECT / "data" / "rules").glob("*.yml"))
    for rule in yaml.safe_load(file.read_text(encoding="utf-8"))["rules"]
]
CODE = sorted([*(PROJECT / "bot" / "dialogue").rglob("*.py"), PROJECT / "bot" / "conversation" / "reception.py"])
BY_KIND = {  # responses whose names end with a value that the code has at hand
    "utter_code_": [problem.value for problem in CodeProblem],
    "utter_given_": ["refund", "credit"],
    "utter_existing_": ["refund", "credit", "pending"],
    "utter_status_": ["refund", "credit", "pending"],
    "utter_cancellation_": ["scheduled", "effective", "undone"],
    "utter_other_language_": [language.replace("-", "_") for language in A_PERSON_IN],
}


def _steps(rule: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for step in rule["steps"]:
        yield from step.get("or", [step])


def _used() -> set[str]:
    """Responses that the code or a rule names."""
    found = {step["action"] for rule in RULES for step in _steps(rule) if "action" in step}
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    named = {name for name in found if re.fullmatch(r"utter_\w+", name)}
    prefixes = {name for name in named if name.endswith("_")}
    return (named - prefixes) | {prefix + kind for prefix in prefixes for kind in BY_KIND[prefix]}


def test_every_response_used_exists_and_every_response_is_used() -> None:
    assert _used() == set(DOMAIN["responses"])


def _placeholders(response: str) -> set[str]:
    texts = [variation["text"] for variation in DOMAIN["responses"][response]]
    return {name for text in texts for name in re.findall(r"\{(\w+)\}", text)}


def _calls() -> Iterator[tuple[str, set[str], str]]:
    """Responses said by a literal name, with the values given to them and where."""
    says = ("say", "ask", "_in_place", "_changed")
    in_place = {"position", "wait"}  # of `Reception._in_place`
    own = {"beside", "buttons", "attachments", "choices", "many"}
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") not in says:
                continue
            given = {keyword.arg for keyword in node.keywords if keyword.arg} - own
            given |= in_place if getattr(node.func, "attr", "") == "_in_place" else set()
            for argument in node.args:
                for part in ast.walk(argument):
                    if isinstance(part, ast.Constant) and str(part.value).startswith("utter_"):
                        name = str(part.value)
                        for kind in BY_KIND.get(name, [""]):
                            yield name + kind, given, f"{file.name}:{node.lineno}"


def test_every_placeholder_of_a_response_is_given_a_value() -> None:
    assert [(name, where) for name, given, where in _calls() if _placeholders(name) - given - {"email"}] == []


def test_every_rule_names_an_intent_and_actions_that_exist() -> None:
    for rule in RULES:
        for step in _steps(rule):
            if "intent" in step:
                assert step["intent"] in DOMAIN["intents"], rule["rule"]
            else:
                assert step["action"] in {*DOMAIN["actions"], *DOMAIN["responses"]}, rule["rule"]


def test_every_intent_is_answered_by_exactly_one_rule() -> None:
    answered = [step["intent"] for rule in RULES for step in _steps(rule) if "intent" in step]
    assert sorted(answered) == sorted(DOMAIN["intents"])


def test_every_action_is_written_and_used() -> None:
    import actions.dialogue as written

    kinds = [kind for kind in vars(written).values() if isinstance(kind, type) and hasattr(kind, "action_name")]
    names = {kind.action_name for kind in kinds}
    used = {step["action"] for rule in RULES for step in _steps(rule) if "action" in step}
    assert names == set(DOMAIN["actions"])
    assert names == {name for name in used if name.startswith("action_")}


def test_every_intent_that_is_learnt_has_examples_and_the_other_way_round() -> None:
    learnt = {
        group["intent"]
        for file in (PROJECT / "data" / "nlu").rglob("*.yml")
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["nlu"]
        if "intent" in group
    }
    made = {
        "nlu_fallback",
        "start_over",
        "stale_button",
        "ask_why",
        "other_language",
        "send_transcript",
        "rate_service",
    }
    assert learnt | made == set(DOMAIN["intents"])
    assert set(LEARNABLE) == learnt, "whoever reviews messages can name every intent"


def test_every_flow_of_a_wish_exists() -> None:
    assert set(FLOW_OF_INTENT.values()) <= set(CATALOGUE)
    assert set(DOMAIN["intents"]) >= SERVABLE


@pytest.mark.parametrize("response", sorted(DOMAIN["responses"]))
def test_a_sentence_is_short_and_calm(response: str) -> None:
    for variation in DOMAIN["responses"][response]:
        text = variation["text"]
        assert text == text.strip()
        assert "!" not in text
        assert not re.search(r"\bas an ai\b|\bplease note\b|\bkindly\b", text, re.IGNORECASE)
        assert all(len(sentence) <= 200 for sentence in re.split(r"(?<=[.?])\s|\n", text))
