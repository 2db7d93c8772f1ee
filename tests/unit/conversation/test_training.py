"""Training gives one whole archive, the same for the same project, and says what is wrong otherwise."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from bot.conversation.training import TrainedModel, TrainingError, find_model, fingerprint, is_current, train
from tests.unit.conversation.conftest import TINY_BOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the tiny bot that a test may change."""
    return Path(shutil.copytree(TINY_BOT, tmp_path / "project"))


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


def content(model: TrainedModel) -> dict[str, object]:
    """An archive's files that say how the model behaves; lists sorted, since Rasa makes some of them from sets."""
    with tarfile.open(model.path) as archive:
        names = [name for name in archive.getnames() if name.endswith((".json", ".yml")) and name != "metadata.json"]
        texts = {name: _read(archive, name) for name in names}
    return {name: _sorted(json.loads(text)) if name.endswith(".json") else text for name, text in texts.items()}


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    return sorted(map(_sorted, value), key=repr) if isinstance(value, list) else value


def _read(archive: tarfile.TarFile, name: str) -> str:
    file = archive.extractfile(name)
    return file.read().decode() if file else ""


def test_a_model_is_current_until_something_it_was_trained_from_changes(
    tiny_model: TrainedModel, project: Path
) -> None:
    assert is_current(tiny_model, TINY_BOT)
    assert is_current(tiny_model, project)
    for name in ("data/nlu/all.yml", "data/rules/all.yml", "domain.yml", "config.yml"):
        before = (project / name).read_text(encoding="utf-8")
        append(project / name, "\n# changed\n")
        assert not is_current(tiny_model, project), name
        (project / name).write_text(before, encoding="utf-8")
    (project / "data/stories").mkdir()
    (project / "data/stories/new.yml").write_text("stories: []\n", encoding="utf-8")
    assert not is_current(tiny_model, project)


def test_other_files_do_not_matter(tiny_model: TrainedModel, project: Path) -> None:
    (project / "data/policies").mkdir()
    (project / "data/policies/brand.yml").write_text("version: 1\n", encoding="utf-8")
    assert is_current(tiny_model, project)


def test_the_newest_model_is_found(tmp_path: Path) -> None:
    assert find_model(tmp_path) is None
    assert find_model(tmp_path / "missing") is None
    for age, name in ((300, "supportbot-aaaa.tar.gz"), (100, "supportbot-bbbb.tar.gz"), (1, "other.tar.gz")):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    found = find_model(tmp_path)
    assert found is not None
    assert found.fingerprint == "bbbb"


def test_training_is_told_step_by_step_and_prints_nothing(
    project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[tuple[int, int, str]] = []
    model = train(
        project=project,
        output=tmp_path / "models",
        log=tmp_path / "logs" / "training.log",
        progress=lambda done, total, step: steps.append((done, total, step)),
    )
    assert capfd.readouterr() == ("", "")
    assert "RulePolicy" in [step for _, _, step in steps]
    assert steps == sorted(steps, key=lambda step: step[0])
    assert steps[-1] == (steps[0][1], steps[0][1], "")
    assert model.fingerprint == fingerprint(project)
    assert os.listdir(tmp_path / "models") == [model.path.name]
    assert any("fruit" in warning for warning in model.warnings)
    assert "fruit" in (tmp_path / "logs" / "training.log").read_text(encoding="utf-8")
    assert find_model(tmp_path / "models") == TrainedModel(model.path)


def test_training_again_gives_the_same(tiny_model: TrainedModel, tmp_path: Path) -> None:
    again = train(project=TINY_BOT, output=tmp_path, log=tmp_path / "training.log")
    assert again.path.name == tiny_model.path.name
    assert content(again) == content(tiny_model)


CONTRADICTION = """
  - rule: another answer
    steps:
      - intent: ask_hours
      - action: utter_goodbye
"""
UNKNOWN_SLOT = """
  - rule: unknown slot
    condition:
      - slot_was_set:
          - nowhere: true
    steps:
      - intent: untold
      - action: utter_greet
"""


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("data/rules/all.yml", CONTRADICTION, "Contradicting rules"),
        ("data/rules/all.yml", UNKNOWN_SLOT, "nowhere"),
        ("data/rules/all.yml", "  - [", "all.yml"),
        ("domain.yml", "\nslots: 3\n", "domain"),
        ("config.yml", "\n  - name: NoSuchPolicy\n", "NoSuchPolicy"),
        ("config.yml", "\n  - name: TEDPolicy\n", "TEDPolicy"),
    ],
)
def test_a_project_that_cannot_be_trained_is_explained(
    project: Path, tmp_path: Path, file: str, text: str, told: str
) -> None:
    append(project / file, text)
    with pytest.raises(TrainingError) as raised:
        train(project=project, output=tmp_path / "models", log=tmp_path / "training.log")
    assert told in str(raised.value)
    assert os.listdir(tmp_path / "models") == []


@pytest.mark.parametrize(
    ("missing", "told"), [("config.yml", "config.yml"), ("domain.yml", "domain.yml"), ("data", "data/rules")]
)
def test_a_missing_part_is_named(project: Path, tmp_path: Path, missing: str, told: str) -> None:
    path = project / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(TrainingError, match=told):
        train(project=project, output=tmp_path / "models", log=tmp_path / "training.log")


@pytest.mark.parametrize("key", ["pipeline", "policies"])
def test_a_config_without_its_parts_is_refused(project: Path, tmp_path: Path, key: str) -> None:
    config = (project / "config.yml").read_text(encoding="utf-8")
    (project / "config.yml").write_text(config.replace(f"{key}:", f"no_{key}:"), encoding="utf-8")
    with pytest.raises(TrainingError, match=key):
        train(project=project, output=tmp_path / "models", log=tmp_path / "training.log")
