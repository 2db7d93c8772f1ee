"""Fixtures for tests of the whole application: the model trained once per session, a database and an app per test."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from bot.settings import PROJECT, Settings
from bot.store.unit_of_work import Store
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:  # imported where they are used: tests of one part need not wait for all others
    from bot.app import App
    from bot.conversation.engine import RasaEngine
    from tests.valkey import Valkey


@functools.cache
def _parse_pack_once() -> Any:
    from bot.policy.loader import parse_pack

    kept: dict[str, Any] = {}

    def parsed(text: str, file: str) -> Any:
        if text not in kept:
            kept[text] = parse_pack(text, file)
        return kept[text]

    return parsed


@functools.cache
def _load_help_center_once() -> Any:
    from bot.app import load_help_center

    kept: dict[object, Any] = {}

    def loaded(settings: Settings) -> Any:
        folder = settings.help_center
        files = tuple((path.relative_to(folder), path.read_bytes()) for path in sorted(folder.glob("*/*.md")))
        key = (files, settings.models)
        if key not in kept:
            kept[key] = load_help_center(settings)
        return kept[key]

    return loaded


@pytest.fixture
def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same texts give the same packs and help center, which nothing changes; reading takes longer than a test."""
    monkeypatch.setattr("bot.policy.loader.parse_pack", _parse_pack_once())
    monkeypatch.setattr("bot.app.load_help_center", _load_help_center_once())


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """A command may say where logs go; afterwards they go where they went."""
    root, kept = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**kept)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("supportbot").setLevel(logging.NOTSET)


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashes cost next to nothing here; what they cost otherwise is tested with the service."""
    from bot.services import agents

    cheap = agents.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(agents, "_hasher", lambda: cheap)
    agents._nobodys_hash.cache_clear()
    yield
    agents._nobodys_hash.cache_clear()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model trained from this checkout: the project's own if it is current."""
    from bot.conversation.training import find_model, is_current, train

    folder = PROJECT / "models"
    model = find_model(folder)
    if model is not None and is_current(model, PROJECT):
        return folder
    folder = tmp_path_factory.mktemp("models")
    train(project=PROJECT, output=folder, log=folder / "training.log")
    return folder


@pytest.fixture(scope="session")
def demo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the demo customers as of today, to be copied: for what runs with the real clock."""
    from bot.services.ports import SystemClock
    from bot.store import demo, schema
    from bot.store.unit_of_work import make_engine

    file = tmp_path_factory.mktemp("demo") / "supportbot.db"
    store = Store(make_engine(f"sqlite:///{file}"))
    schema.upgrade(store.engine)
    demo.seed(store, now=SystemClock().now())
    store.close()
    return file


@pytest.fixture(scope="session")
def engine(models: Path) -> RasaEngine:
    """The dialogue engine with the trained model, loaded once; it keeps nothing between turns."""
    from bot.app import load_engine
    from bot.conversation.engine import RasaEngine

    loaded = load_engine(Settings.from_env({"SUPPORTBOT_MODELS": str(models)}))
    assert isinstance(loaded, RasaEngine)
    return loaded


@pytest.fixture
def settings(sqlite_demo_store: Store, tmp_path: Path, _read_once: None, cheap_passwords: None) -> Settings:
    """Demo mode on a database of its own."""
    return Settings.from_env(
        {
            "SUPPORTBOT_DEMO": "1",
            "SUPPORTBOT_VAR": str(tmp_path),
            "DATABASE_URL": str(sqlite_demo_store.engine.url),
        }
    )


@pytest.fixture
def app(settings: Settings, engine: RasaEngine, clock: FakeClock) -> Iterator[App]:
    """The whole application but for its web server, with a clock that stands still."""
    from bot.app import build

    built = build(settings, clock=clock, engine=engine)
    yield built
    built.close()


@pytest.fixture(scope="session")
def _valkey_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    from tests.valkey import Valkey

    server = Valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture
def valkey_server(_valkey_process: Valkey) -> Valkey:
    """A real Valkey, running and empty."""
    _valkey_process.start()
    return _valkey_process
