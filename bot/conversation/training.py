"""Trains the dialogue model in this process, without TensorFlow, and knows whether a model is still the right one."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import bot
from bot.conversation import rasa_runtime
from bot.errors import SupportBotError

if TYPE_CHECKING:
    from rasa.shared.core.domain import Domain
    from rasa.shared.core.training_data.structures import StoryGraph

TRAINING_FOLDERS = ("data/nlu", "data/rules", "data/stories")
TRAINING_FILES = ("config.yml", "domain.yml")
PREFIX = "supportbot-"
SUFFIX = ".tar.gz"
# What is learnt and how it is stored depends on these.
LIBRARIES = ("rasa", "spacy", "scikit-learn", "numpy", "onnxruntime")

Progress = Callable[[int, int, str], None]
"""Called with the number of steps done, the number of all steps, and the step that begins (empty at the end)."""


class TrainingError(SupportBotError):
    """The project cannot be trained; the message says what is wrong with it."""

    code = "training"


@dataclass(frozen=True)
class TrainedModel:
    """A model archive. `fingerprint` says what it was trained from; `warnings` is what Rasa found odd in training."""

    path: Path
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def fingerprint(self) -> str:
        """The part of the file's name that identifies what the model was trained from."""
        return self.path.name.removeprefix(PREFIX).removesuffix(SUFFIX)


def fingerprint(project: Path) -> str:
    """What a model depends on, as 16 hexadecimal digits: data, domain, config, our components, library versions."""
    digest = hashlib.sha256()
    code = Path(bot.__file__).parent / "nlu"
    for base, files in ((project, _training_files(project)), (code, sorted(code.rglob("*.py")))):
        for file in files:
            content = file.read_bytes()
            digest.update(f"{file.relative_to(base).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    digest.update("\0".join(f"{library}={version(library)}" for library in LIBRARIES).encode())
    return digest.hexdigest()[:16]


def is_current(model: TrainedModel, project: Path) -> bool:
    """Whether the model was trained from what is in the project now."""
    return model.fingerprint == fingerprint(project)


def find_model(folder: Path) -> TrainedModel | None:
    """The newest model that `train` wrote to a folder."""
    found = sorted(folder.glob(f"{PREFIX}*{SUFFIX}"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return TrainedModel(found[-1]) if found else None


def train(*, project: Path, output: Path, log: Path, progress: Progress | None = None) -> TrainedModel:
    """Train `config.yml`, `domain.yml` and the training data of a project into a new archive in the folder `output`.

    The archive appears whole or not at all. What Rasa and its parts print goes to the file `log`. Training again from
    the same files gives a model that behaves the same. Raises TrainingError.
    """
    started = time.monotonic()
    _require_files(project)
    mark = fingerprint(project)
    target = output / f"{PREFIX}{mark}{SUFFIX}"
    output.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    rasa_runtime.prepare()
    with tempfile.TemporaryDirectory(prefix=".training-", dir=output) as scratch, _logged(log) as found:
        archive = Path(scratch) / target.name
        try:
            _train(project, Path(scratch), archive, progress or _silent)
        except TrainingError:
            raise
        except Exception as error:
            logging.getLogger("rasa").exception("Training failed.")
            raise TrainingError(f"Training failed: {rasa_runtime.explain(error)}", log=str(log)) from error
        os.replace(archive, target)
    return TrainedModel(target, tuple(found), time.monotonic() - started)


def _train(project: Path, scratch: Path, archive: Path, progress: Progress) -> None:
    """Run Rasa's own training graph, from nothing: Rasa's cache knows a component's source, not what that imports."""
    from rasa.engine.constants import PLACEHOLDER_IMPORTER
    from rasa.engine.graph import ExecutionContext
    from rasa.engine.recipes.recipe import Recipe
    from rasa.engine.storage.local_model_storage import LocalModelStorage
    from rasa.engine.validation import validate
    from rasa.shared.importers.importer import TrainingDataImporter

    from bot.conversation.rasa_dialogue import ProgressHook, SequentialGraphRunner

    folders = [str(project / folder) for folder in TRAINING_FOLDERS if (project / folder).is_dir()]
    importer = TrainingDataImporter.load_from_config(str(project / "config.yml"), str(project / "domain.yml"), folders)
    domain = importer.get_domain()
    _require_known_slots(importer.get_stories(), domain)
    config = importer.get_config()
    if missing := [key for key in ("pipeline", "policies") if not config.get(key)]:
        raise TrainingError(f"config.yml has no {' and no '.join(missing)}.")
    configuration = Recipe.recipe_for_name(config.get("recipe")).graph_config_for_recipe(config, {})
    validate(configuration)
    folder = scratch / "components"
    folder.mkdir()
    storage = LocalModelStorage(folder)
    schema = configuration.train_schema
    hook = ProgressHook(schema, progress)
    runner = SequentialGraphRunner(schema, storage, ExecutionContext(graph_schema=schema), [hook])
    runner.run({PLACEHOLDER_IMPORTER: importer})
    storage.create_model_package(archive, configuration, domain)
    hook.finish()


def _training_files(project: Path) -> list[Path]:
    files = [project / name for name in TRAINING_FILES if (project / name).is_file()]
    for folder in TRAINING_FOLDERS:
        files += sorted((project / folder).rglob("*.yml"))
    return files


def _require_files(project: Path) -> None:
    for name in TRAINING_FILES:
        if not (project / name).is_file():
            raise TrainingError(f"There is no {name} in {project}.", file=name)
    if not any((project / folder).is_dir() for folder in TRAINING_FOLDERS):
        raise TrainingError(f"There is no training data in {project}: {', '.join(TRAINING_FOLDERS)} are looked for.")


def _require_known_slots(stories: StoryGraph, domain: Domain) -> None:
    from rasa.shared.core.events import SlotSet

    used = {event.key for step in stories.story_steps for event in step.events if isinstance(event, SlotSet)}
    if unknown := used - {slot.name for slot in domain.slots}:
        raise TrainingError(f"Rules or stories set slots that domain.yml does not have: {', '.join(sorted(unknown))}.")


def _silent(done: int, steps: int, step: str) -> None:
    """No progress wanted."""


def _message(warning: warnings.WarningMessage) -> str:
    return str(warning.message).strip()


def _is_about_the_project(warning: warnings.WarningMessage) -> bool:
    from rasa.utils.common import EXPECTED_WARNINGS

    expected = any(re.match(pattern, _message(warning)) for _, pattern in EXPECTED_WARNINGS)
    return warning.category in (UserWarning, FutureWarning) and not expected


@contextlib.contextmanager
def _logged(log: Path) -> Iterator[list[str]]:
    """Rasa's log, and warnings, into a file; gives the list to which the warnings are added."""
    handler = logging.FileHandler(log, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("rasa")
    before = logger.level, logger.propagate, os.environ.get("LOG_LEVEL")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    os.environ["LOG_LEVEL"] = "ERROR"  # Rasa's progress bars go by it, and by nothing else
    found: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            yield found
    finally:
        found += dict.fromkeys(_message(each) for each in caught if _is_about_the_project(each))
        for warning in found:
            logger.warning("%s", warning)
        logger.removeHandler(handler)
        handler.close()
        logger.setLevel(before[0])
        logger.propagate = before[1]
        if before[2] is None:
            del os.environ["LOG_LEVEL"]
        else:
            os.environ["LOG_LEVEL"] = before[2]
