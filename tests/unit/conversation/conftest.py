"""A tiny bot, trained once for all tests of the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.conversation.engine import DialogueState, EngineResult, EngineTurn, RasaEngine, load_actions
from bot.conversation.training import TrainedModel, train

TINY_BOT = Path(__file__).parents[2] / "fixtures" / "tiny_bot"
TINY_ACTIONS = "tests.fixtures.tiny_bot.actions"

Say = Callable[..., Awaitable[EngineResult]]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """The tiny bot's model."""
    folder = tmp_path_factory.mktemp("tiny_bot")
    return train(project=TINY_BOT, output=folder, log=folder / "training.log")


@pytest.fixture(scope="session")
def engine(tiny_model: TrainedModel) -> RasaEngine:
    """An engine with the tiny bot and its actions."""
    return RasaEngine(tiny_model.path, load_actions(TINY_ACTIONS))


@pytest.fixture
def say(engine: RasaEngine) -> Say:
    """Answers a text, given the state before."""

    async def answer(text: str, state: DialogueState | None = None, **more: object) -> EngineResult:
        turn = {"conversation_id": "c-1", "message_id": "m-1", "text": text, **more}
        return await engine.answer(EngineTurn(**turn), state)

    return answer
