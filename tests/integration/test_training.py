"""The pipeline of config.yml, trained in this process on a little data, understands; a damaged model never serves."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from bot.conversation import rasa_runtime
from bot.conversation.engine import EngineError, RasaEngine
from bot.conversation.training import TrainedModel, train
from bot.nlu.parser import Understanding
from tests.unit.nlu.test_classifier import EXAMPLES

ROOT = Path(__file__).parents[2]
ENTITIES = ["email", "phone_number", "money", "date"]
METADATA = {"now": "2026-11-21T15:00:00-05:00", "time_zone": "America/New_York"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "config.yml", folder)
    domain = {
        "version": "3.1",
        "intents": list(EXAMPLES),
        "entities": ENTITIES,
        "responses": {"utter_hello": [{"text": "Hello"}]},
    }
    rules = {"version": "3.1", "rules": [{"rule": "hello", "steps": [{"intent": "greet"}, {"action": "utter_hello"}]}]}
    nlu = [{"intent": name, "examples": "".join(f"- {text}\n" for text in texts)} for name, texts in EXAMPLES.items()]
    for name, content in (
        ("domain.yml", domain),
        ("data/rules/all.yml", rules),
        ("data/nlu/all.yml", {"version": "3.1", "nlu": nlu}),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def model(project: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return train(project=project, output=tmp_path_factory.mktemp("models"), log=project / "training.log")


@pytest.fixture(scope="module")
def engine(model: TrainedModel) -> RasaEngine:
    return engine_of(model.path)


def engine_of(path: Path) -> RasaEngine:
    rasa_runtime.prepare()
    from rasa_sdk.executor import ActionExecutor

    return RasaEngine(path, ActionExecutor())


async def understand(engine: RasaEngine, text: str) -> Understanding:
    return Understanding.from_parse(await engine.parse(text, metadata=METADATA))


def test_training_finds_nothing_odd(model: TrainedModel) -> None:
    assert model.warnings == ()


async def test_a_message_is_understood_with_its_entities(engine: RasaEngine) -> None:
    understood = await understand(engine, "Please cancel my number +1 415 555 0107, I was charged $15 last Tuesday")
    assert understood.intent == "cancel_subscription"
    assert [(one["entity"], one["value"]) for one in understood.entities] == [
        ("phone_number", "+14155550107"),
        ("money", 1500),
        ("date", "2026-11-17"),
    ]
    assert understood.verdict in ("answer", "ask_back", "unsure")


@pytest.mark.parametrize(
    "text",
    ["", "   ", "👍", "?!", "/restart", "x" * 10_000, "ya " * 3000, "\u202e\x00", "مرحبا", "🤬" * 500],
    ids=lambda text: ascii(text[:8]),
)
async def test_every_text_gets_an_understanding(engine: RasaEngine, text: str) -> None:
    understood = await understand(engine, text)
    assert understood.intent in EXAMPLES
    assert 0 <= understood.confidence <= 1


async def test_an_empty_text_is_not_understood(engine: RasaEngine) -> None:
    assert (await understand(engine, " ")).verdict == "unsure"


async def test_metadata_that_makes_no_sense_does_no_harm(engine: RasaEngine) -> None:
    parsed = await engine.parse("cancel it today", metadata={"now": "soon", "time_zone": "Mars/Olympus"})
    assert parsed["entities"][0]["entity"] == "date"


async def test_training_again_understands_the_same(project: Path, engine: RasaEngine, tmp_path: Path) -> None:
    again = engine_of(train(project=project, output=tmp_path, log=tmp_path / "log").path)
    for text in ("stop it", "money", "what is this"):
        assert await again.parse(text, metadata=METADATA) == await engine.parse(text, metadata=METADATA)


def test_a_model_with_damaged_weights_does_not_load(model: TrainedModel, tmp_path: Path) -> None:
    damaged = tmp_path / model.path.name
    with tarfile.open(model.path) as source, tarfile.open(damaged, "w:gz") as target:
        for member in source.getmembers():
            content = source.extractfile(member)
            data = content.read() if content else b""
            if member.name.endswith("classifier.npz"):
                data = data[:200] + b"!" + data[201:]
            target.addfile(member, io.BytesIO(data))
    with pytest.raises(EngineError):
        engine_of(damaged)


def test_tokens_stand_where_they_say_however_long_a_word_is(engine: RasaEngine) -> None:
    """Long ones are split before spaCy sees them: it takes seconds for a few thousand signs without a blank."""
    from rasa.shared.nlu.training_data.message import Message

    from bot.nlu.components import SpacyWords

    text = f"Can't you  see? {'🙂' * 350} it's\n{'ab' * 130}, done"
    tokens = SpacyWords(SpacyWords.get_default_config()).tokenize(Message({"text": text}), "text")
    assert [text[token.start : token.end] for token in tokens] == [token.text for token in tokens]
    assert "".join(token.text for token in tokens) == "".join(text.split())
    assert [token.text for token in tokens[:5]] == ["Ca", "n't", "you", "see", "?"]
