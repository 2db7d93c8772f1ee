"""What we replace of Rasa is still there to be replaced, and what comes in its place does the same."""

from __future__ import annotations

import ast
import itertools
import json
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest

from bot.conversation import rasa_runtime
from bot.conversation.engine import RasaEngine

SITE_PACKAGES = Path(find_spec("rasa").origin).parents[1]


@pytest.fixture(scope="module", autouse=True)
def _prepared() -> None:
    """Rasa as our process has it."""
    rasa_runtime.prepare()


def source_of(module: str) -> ast.Module:
    """The real module's source, whatever stands in for it here."""
    path = SITE_PACKAGES.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def names_in(tree: ast.Module) -> set[str]:
    """What a module defines or imports at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize(
    ("module", "names"),
    [
        *rasa_runtime.STAND_INS.items(),
        *((module, (name,)) for name, module in rasa_runtime.COMPONENTS.items()),
        *((module, ("structlogger",)) for module in rasa_runtime.TALKATIVE),
        (rasa_runtime.COMPONENTS_MODULE, ("DEFAULT_COMPONENTS",)),
        (rasa_runtime.CHANNELS_PACKAGE, rasa_runtime.CHANNEL_NAMES),
    ],
)
def test_what_we_replace_exists_in_rasa(module: str, names: tuple[str, ...]) -> None:
    assert set(names) <= names_in(source_of(module))


@pytest.mark.parametrize("module", rasa_runtime.DEFERRED)
def test_what_we_defer_exists(module: str) -> None:
    assert source_of(module)


def test_preparing_again_does_nothing() -> None:
    before = dict(sys.modules)
    rasa_runtime.prepare()
    assert sys.modules == before


def test_a_deferred_module_is_the_real_one_when_it_is_used() -> None:
    import rasa.core.test

    assert callable(rasa.core.test.emulate_loop_rejection)


def test_a_stand_in_says_what_is_missing() -> None:
    from rasa.core.policies.ted_policy import TEDPolicy

    with pytest.raises(RuntimeError, match=r"ted_policy\.TEDPolicy is not available"):
        TEDPolicy()


def run_python(program: str) -> str:
    """What a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_heavy_libraries_are_not_loaded(tiny_model) -> None:
    loaded = run_python(f"""
import asyncio, sys
from pathlib import Path
from bot.conversation.engine import EngineTurn, RasaEngine, load_actions
engine = RasaEngine(Path({str(tiny_model.path)!r}), load_actions("tests.fixtures.tiny_bot.actions"))
result = asyncio.run(engine.answer(EngineTurn("c", "m", "hello"), None))
assert result.replies[0].text == "Hello, and welcome."
print(*(name for name, module in sys.modules.items() if module is not None and getattr(module, "__spec__", None)))
""").split()
    heavy = {"tensorflow", "keras", "torch", "skops", "matplotlib", "sanic", "boto3", "botocore", "pymongo", "dask"}
    unused = {"questionary", "slack_sdk", "rasa.telemetry", "rasa.nlu.test"}
    assert (heavy | unused) & set(loaded) == set()


def test_rasa_reports_to_nobody() -> None:
    said = run_python("""
from bot.conversation import rasa_runtime
rasa_runtime.prepare()
from rasa.telemetry import is_telemetry_enabled
print(is_telemetry_enabled())
""")
    assert said.split() == ["False"]


def test_preparing_too_late_is_refused() -> None:
    said = run_python("""
import sys, types
sys.modules["rasa.core.channels"] = types.ModuleType("rasa.core.channels")
from bot.conversation import rasa_runtime
try:
    rasa_runtime.prepare()
except RuntimeError as error:
    print(error)
""")
    assert "rasa.core.channels: imported before" in said


VALID_EVENTS = [
    {"event": "slot", "timestamp": None, "name": "a", "value": [1, {"b": None}]},
    {"event": "followup", "timestamp": 1.5, "name": "action_x"},
    {"event": "action", "name": "x", "policy": None, "confidence": 0.5},
    {"event": "reset_slots"},
    {"event": "entities", "entities": [{"entity": "a", "value": 1}]},
]
INVALID_RESULTS = [
    {"events": [{"event": "slot", "value": 1}], "responses": []},
    {"events": [{"event": "slot", "name": 1, "value": 1}], "responses": []},
    {"events": [{"event": "no such event"}], "responses": []},
    {"events": [{"name": "a"}], "responses": []},
    {"events": ["slot"], "responses": []},
    {"events": [{"event": "slot", "name": "a", "value": 1, "timestamp": "now"}], "responses": []},
    {"events": {}, "responses": ["text"]},
    {"events": [], "responses": ["text"]},
    {"events": [], "responses": {}},
    {"events": {}, "responses": []},
    {"events": None, "responses": []},
    {"events": {"event": "slot"}, "responses": []},
]


def test_a_valid_action_result_passes_as_it_does_in_rasa() -> None:
    from rasa.core.actions.action import RemoteAction

    result = {"events": VALID_EVENTS, "responses": [{"text": "Hello"}]}
    jsonschema.validate(result, RemoteAction.action_response_format_spec())
    assert RemoteAction("x", None)._validate_action_result(result)


@pytest.mark.parametrize("result", INVALID_RESULTS, ids=repr)
def test_an_invalid_action_result_is_refused_as_it_is_in_rasa(result: dict) -> None:
    from rasa.core.actions.action import RemoteAction

    with pytest.raises(jsonschema.ValidationError) as stock:
        jsonschema.validate(result, RemoteAction.action_response_format_spec())
    with pytest.raises(jsonschema.ValidationError) as ours:
        RemoteAction("x", None)._validate_action_result(result)
    assert ours.value.message == stock.value.message


def test_a_copied_slot_is_independent() -> None:
    import copy

    from rasa.shared.core.slots import CategoricalSlot, TextSlot

    for slot in (TextSlot("a", [], initial_value="x"), CategoricalSlot("b", [], values=["x", "y"])):
        twin = copy.copy(slot)
        assert type(twin) is type(slot)
        assert vars(twin) == vars(slot)
        twin.value = "y"
        assert slot.value != "y"
        twin.reset()
        assert vars(twin) == vars(slot)


def rule_policy(engine: RasaEngine):
    from rasa.core.policies.rule_policy import RulePolicy

    (policy,) = engine._processor.graph_runner.components(RulePolicy)
    return policy


def test_the_index_of_rules_finds_what_rasa_finds(engine: RasaEngine) -> None:
    from rasa.core.policies.rule_policy import RulePolicy

    policy = rule_policy(engine)
    lookups = [lookup for lookup in policy.lookup.values() if isinstance(lookup, dict)]
    known = [json.loads(key) for lookup in lookups for key in lookup]
    parts: dict[str, list] = {}
    for state in itertools.chain.from_iterable(known):
        for part, value in state.items():
            parts.setdefault(part, []).append(value)
    dice = random.Random(7)

    def invented() -> dict:
        return {part: dice.choice(values) for part, values in parts.items() if dice.random() < 0.7}

    conversations = known + [[invented() for _ in range(dice.randint(1, 4))] for _ in range(1500)]
    matched = 0
    for lookup, states in itertools.product(lookups, conversations):
        expected = RulePolicy._get_possible_keys(policy, lookup, states)
        matched += len(expected)
        assert policy._get_possible_keys(lookup, states) == sorted(expected)
    assert matched > 500


def test_rules_are_asked_about_texts_only_if_one_could_match(engine: RasaEngine) -> None:
    policy = rule_policy(engine)
    after_message = {"prev_action": {"action_name": "action_listen"}}
    with_intent = {**after_message, "user": {"intent": "greet"}}
    with_text = {**after_message, "user": {"text": "hello"}}
    for last, expected in ((with_intent, True), (with_text, False), (after_message, False), ({}, False)):
        lookup = {json.dumps([with_intent]): "utter_greet", json.dumps([last]): "utter_greet"}
        assert rasa_runtime._RuleIndex(policy, lookup).needs_intent is expected


def test_log_lines_of_rasa_carry_no_content(caplog: pytest.LogCaptureFixture) -> None:
    from rasa.shared.core import events

    events.deserialise_events([{"event": "topic", "value": "my secret"}])
    assert "event.deserialization.failed" in caplog.text
    assert "my secret" not in caplog.text


def test_an_error_within_rasas_graph_is_explained_by_what_caused_it() -> None:
    from rasa.engine.exceptions import GraphComponentException

    error = GraphComponentException("Error running graph component for node x.")
    error.__cause__ = ValueError("the file is damaged")
    assert rasa_runtime.explain(error) == "the file is damaged"
    assert rasa_runtime.explain(KeyError()) == "KeyError"
