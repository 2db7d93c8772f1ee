"""Evaluation: figures that can be checked by hand, reports on disk, public sets by the same configuration."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from bot.errors import InvalidInput
from bot.nlu.classifier import OUT_OF_SCOPE
from bot.nlu.encoder import shared_encoder
from bot.nlu.evaluate import (
    Example,
    Report,
    Verdicts,
    _drawn,
    _near_twins,
    benchmark,
    calibration_error,
    changes,
    configuration,
    cross_validate,
    read_examples,
    score_entities,
    stratified_folds,
)
from tests.unit.nlu.test_classifier import EXAMPLES

CONFIG = Path(__file__).parents[3] / "config.yml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    nlu = [{"intent": name, "examples": "".join(f"- {text}\n" for text in texts)} for name, texts in EXAMPLES.items()]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/all.yml").write_text(yaml.safe_dump({"version": "3.1", "nlu": nlu}))
    return tmp_path / "data"


def test_cross_validation_tests_every_message_once(data: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    report = cross_validate(data=data, config=CONFIG, progress=lambda done, of, step: steps.append(done))
    assert report.examples == report.tested == sum(map(len, EXAMPLES.values()))
    assert {one.intent: one.examples for one in report.intents} == dict.fromkeys(EXAMPLES, 6)
    assert 0.5 < report.accuracy <= 1
    assert report.verdicts.answered + report.verdicts.asked_back + report.verdicts.unsure == pytest.approx(1)
    assert steps == [0, 1, 2, 3, 4, 5]
    as_json, as_markdown, *drawn = report.write(tmp_path / "reports")
    assert json.loads(as_json.read_text())["accuracy"] == report.accuracy
    assert all(name in as_markdown.read_text() for name in EXAMPLES)
    assert [path.name.removeprefix("cross-validation-") for path in drawn] == [
        "confusion.png",
        "calibration.png",
        "thresholds.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    _tells_what_changed(as_json, report)


def _tells_what_changed(as_json: Path, report: Report) -> None:
    """A report against itself has no change; against one with a message less right it has one, and quotes nobody."""
    same = changes(as_json.read_bytes(), report, name="before.json")
    assert "messages are in both: 0 are right now and were not, 0 the other way round." in same
    first = report.cases[0]
    worse = replace(report, accuracy=0.5, cases=(replace(first, called="nothing"), *report.cases[1:]))
    told = changes(as_json.read_bytes(), worse, name="before.json")
    assert f"{int(first.intent == first.called)} the other way round" in told
    assert f"| accuracy | {report.accuracy:.4g} | 0.5 |" in told
    assert not any(text in told for texts in EXAMPLES.values() for text in texts if " " in text)


def test_what_is_no_report_cannot_be_compared() -> None:
    for content in (b"no json", b"{}", b"[]"):
        with pytest.raises(InvalidInput, match=r"other\.json is not a report"):
            changes(content, _report(), name="other.json")


def _report() -> Report:
    verdicts = Verdicts(1, 1, 0, 0, 0, 0)
    return Report("x", 0, 0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, verdicts, (), (), 1.0, 1.0, "hash", {})


def test_groups_are_held_out_together() -> None:
    folds = stratified_folds(["x"] * 12, 3, 1, group_of=[0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7])
    for train, test in folds:
        assert not {0, 1, 2, 3} & set(train) or not {0, 1, 2, 3} & set(test)
        assert len(test) == 4
    assert sorted(index for _, test in folds for index in test) == list(range(12))


def test_near_twins_are_found_for_grouping() -> None:
    twins = _near_twins(["cancel my number", "please cancel my number", "what is the weather"], shared_encoder())
    assert twins[0] == twins[1] != twins[2]


def test_few_shots_are_drawn_anew_for_each_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.nlu.evaluate.DRAWS", 1)
    first, second = (_drawn([Example(str(i), "x") for i in range(50)], 5, seed) for seed in (1, 2))
    assert len({one.text for one in first}) == 5
    assert first != second
    rows = [f'"{text}",{name}' for name, texts in EXAMPLES.items() for text in texts]
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,category", *rows]) + "\n")
    report = benchmark("banking77", data=tmp_path, config=CONFIG, shots=2)
    assert (report.name, report.tested) == ("banking77-2-shots", len(rows))


def test_entities_are_scored_by_kind_and_value(tmp_path: Path) -> None:
    (tmp_path / "entities.yml").write_text("""
now: "2026-03-18T10:00:00-05:00"
messages:
  - {text: "I paid $15 yesterday", finds: [{money: 1500}, {date: "2026-03-17"}]}
  - {text: "mail ava@jolt.example", finds: [{email: "other@jolt.example"}]}
""")
    scores = {one.entity: one for one in score_entities(tmp_path / "entities.yml")}
    assert (scores["money"].f1, scores["date"].f1, scores["email"].f1) == (1, 1, 0)
    assert (scores["email"].wrong, scores["email"].missed) == (1, 1)
    with pytest.raises(InvalidInput, match="cannot be read"):
        score_entities(tmp_path / "nothing.yml")


def test_the_entities_that_ship_are_found() -> None:
    """What people say of dates, money, numbers and ids, beside the tables of tests/unit/nlu/test_entities.py."""
    scores = score_entities(CONFIG.parent / "data/evaluation/entities.yml")
    assert {one.entity for one in scores} >= {"date", "money", "phone_number", "email", "invoice_id", "platform"}
    assert [one for one in scores if one.f1 < 0.95] == []


def test_banking77_is_read_as_it_is_split(tmp_path: Path) -> None:
    rows = [f'"{text}",{name}' for name, texts in EXAMPLES.items() for text in texts]
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,category", *rows]) + "\n")
    report = benchmark("banking77", data=tmp_path, config=CONFIG)
    assert (report.name, report.tested) == ("banking77", len(rows))
    assert report.accuracy > 0.9


def test_clinc150_counts_what_is_out_of_scope_apart(tmp_path: Path) -> None:
    inside = [[text, name] for name, texts in EXAMPLES.items() for text in texts if name != OUT_OF_SCOPE]
    outside = [[text, "oos"] for text in EXAMPLES[OUT_OF_SCOPE]]
    parts = {"train": inside, "test": inside, "oos_train": outside, "oos_test": outside}
    (tmp_path / "data_full.json").write_text(json.dumps(parts))
    report = benchmark("clinc150", data=tmp_path, config=CONFIG)
    assert report.out_of_scope_recall > 0.8
    assert report.accuracy_in_scope > 0.8


@pytest.mark.parametrize(("name", "says"), [("imagenet", "no benchmark imagenet"), ("clinc150", "cannot be read")])
def test_a_benchmark_that_is_not_there_is_said_so(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=says):
        benchmark(name, data=tmp_path, config=CONFIG)


def test_too_little_data_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least two intents"):
        cross_validate(data=tmp_path, config=CONFIG)


def test_a_config_without_the_classifier_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("pipeline: [{name: Other}]")
    with pytest.raises(InvalidInput, match="IntentModel"):
        configuration(tmp_path / "config.yml")


def test_examples_are_read_in_order(data: Path) -> None:
    assert [one.text for one in read_examples(data)][:6] == EXAMPLES["cancel_subscription"]


def test_calibration_error_is_the_distance_between_sure_and_right() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False])
    assert calibration_error(confidence, right) == pytest.approx(0.05)


def test_folds_hold_out_each_example_once_and_spread_labels() -> None:
    labels = ["x"] * 10 + ["y"] * 7
    folds = stratified_folds(labels, 5, 1)
    assert sorted(index for _, held_out in folds for index in held_out) == list(range(17))
    assert all(sum(labels[index] == "x" for index in held_out) == 2 for _, held_out in folds)
