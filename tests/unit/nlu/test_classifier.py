"""The classifier: the same each time, data only on disk, and an honest verdict."""

import json
from pathlib import Path

import numpy as np
import pytest

from bot.nlu.classifier import (
    OUT_OF_SCOPE,
    Calibration,
    ClassifierOptions,
    IntentClassifier,
    ModelError,
    Prediction,
    Thresholds,
    Verdict,
    default_configuration,
    hash_of_data,
    judge,
    read_configuration,
)
from bot.nlu.encoder import shared_encoder
from bot.nlu.lexicon import shared_lexicon

EXAMPLES = {
    "cancel_subscription": [
        "cancel my number",
        "please cancel my plan",
        "stop my subscription",
        "end my number",
        "cancel it now",
        "quit my plan",
    ],
    "request_refund": [
        "I want my money back",
        "refund me",
        "give me a refund",
        "refund my payment",
        "money back please",
        "a refund please",
    ],
    "greet": ["hello", "hi there", "good morning", "hey", "hi", "hello there"],
    OUT_OF_SCOPE: [
        "what is the weather",
        "tell me a joke",
        "who won the match",
        "write a poem",
        "book a flight",
        "sing a song",
    ],
}
TEXTS = [text for texts in EXAMPLES.values() for text in texts]
LABELS = [label for label, texts in EXAMPLES.items() for _ in texts]


def trained() -> IntentClassifier:
    return fit(TEXTS, LABELS)


def fit(texts: list[str], labels: list[str]) -> IntentClassifier:
    return IntentClassifier.fit(texts, labels, ClassifierOptions(), encoder=shared_encoder(), lexicon=shared_lexicon())


def load(folder: Path) -> IntentClassifier:
    return IntentClassifier.load(folder, encoder=shared_encoder(), lexicon=shared_lexicon())


@pytest.fixture(scope="module")
def classifier() -> IntentClassifier:
    return trained()


@pytest.mark.parametrize(
    ("text", "intent"),
    [("cancel the number", "cancel_subscription"), ("money back", "request_refund"), ("hello", "greet")],
)
def test_it_names_the_intent(classifier: IntentClassifier, text: str, intent: str) -> None:
    prediction = classifier.predict(text)
    assert prediction.intent == intent
    assert sum(share for _, share in prediction.ranking) == pytest.approx(1)
    assert list(prediction.ranking) == sorted(prediction.ranking, key=lambda one: -one[1])


def test_training_twice_gives_the_same(classifier: IntentClassifier) -> None:
    assert trained().predict("stop it please") == classifier.predict("stop it please")


def test_what_is_saved_is_data_and_predicts_the_same(classifier: IntentClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".json"}
    with np.load(tmp_path / "classifier.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind == "f" for name in arrays.files)
    meta = json.loads((tmp_path / "classifier.json").read_text())
    assert meta["data_hash"] == hash_of_data(TEXTS, LABELS)
    assert meta["options"]["ridge"] == ClassifierOptions().ridge
    assert meta["code_version"]
    loaded = load(tmp_path)
    for text in ("cancel the number", "zzz", "what is the time"):
        assert loaded.predict(text).ranking == classifier.predict(text).ranking


def test_damaged_weights_are_refused(classifier: IntentClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path)
    arrays = tmp_path / "classifier.npz"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path)


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train again"):
        load(tmp_path)


def test_a_model_of_other_code_is_refused(classifier: IntentClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path)
    meta = json.loads((tmp_path / "classifier.json").read_text())
    (tmp_path / "classifier.json").write_text(json.dumps({**meta, "code_version": "older"}))
    with pytest.raises(ModelError, match="another version"):
        load(tmp_path)


def test_a_model_of_another_encoder_is_refused(classifier: IntentClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path)
    meta = json.loads((tmp_path / "classifier.json").read_text())
    (tmp_path / "classifier.json").write_text(json.dumps({**meta, "encoder_sha256": "0" * 64}))
    with pytest.raises(ModelError, match="another sentence encoder"):
        load(tmp_path)


def test_two_intents_are_enough() -> None:
    two = fit(TEXTS[:12], LABELS[:12])
    assert two.predict("refund me").intent == "request_refund"
    assert two.predict("cancel my number").intent == "cancel_subscription"


def test_the_hash_of_data_ignores_order_but_no_label() -> None:
    assert hash_of_data(["a", "b"], ["x", "y"]) == hash_of_data(["b", "a"], ["y", "x"])
    assert hash_of_data(["a", "b"], ["x", "y"]) != hash_of_data(["a", "b"], ["x", "x"])


THRESHOLDS = Thresholds(answer=0.5, choice=0.1, choices=0.4)


@pytest.mark.parametrize(
    ("shares", "doubtful", "verdict", "choices"),
    [
        ({"cancel_subscription": 0.9, "request_refund": 0.1}, False, Verdict.ANSWER, ()),
        ({"cancel_subscription": 0.9, "request_refund": 0.05}, True, Verdict.UNSURE, ()),
        ({OUT_OF_SCOPE: 0.9, "request_refund": 0.05}, True, Verdict.ANSWER, ()),
        (
            {"cancel_subscription": 0.45, "request_refund": 0.35, "greet": 0.2},
            False,
            Verdict.ASK_BACK,
            ("cancel_subscription", "request_refund"),
        ),
        ({"cancel_subscription": 0.48, "greet": 0.42, "inform": 0.1}, False, Verdict.UNSURE, ()),
        ({"cancel_subscription": 0.2, "request_refund": 0.15, "greet": 0.65}, False, Verdict.ANSWER, ()),
    ],
)
def test_verdicts(shares: dict[str, float], doubtful: bool, verdict: Verdict, choices: tuple[str, ...]) -> None:
    ranking = tuple(sorted(shares.items(), key=lambda one: -one[1]))
    judgement = judge(Prediction(ranking, doubtful), THRESHOLDS)
    assert (judgement.verdict, judgement.choices, judgement.ranking) == (verdict, choices, ranking)


def test_text_like_nothing_known_is_out_of_scope_or_left_unanswered(classifier: IntentClassifier) -> None:
    for text in ("zxqv blorp", "tell me a story", "who wrote the song"):
        assert judge(classifier.predict(text), THRESHOLDS).ranking[0][0] == OUT_OF_SCOPE
    assert classifier.predict("refund me").intent == "request_refund"


def test_shares_sum_to_one_whatever_goes_first(classifier: IntentClassifier) -> None:
    for text in ("zxqv blorp", "refund", "a", "hello, cancel the weather"):
        ranking = classifier.predict(text).ranking
        assert sum(share for _, share in ranking) == pytest.approx(1)
        assert list(ranking) == sorted(ranking, key=lambda one: -one[1])
        assert {name for name, _ in ranking} == set(EXAMPLES)


def test_configuration_is_flat_and_complete() -> None:
    options, thresholds = read_configuration({"closeness": 3.0, "char_max": 4, "answer": 0.7, "name": "not ours"})
    assert (options.closeness, options.ngrams.char_max, thresholds.answer) == (3.0, 4, 0.7)
    assert read_configuration(default_configuration()) == (ClassifierOptions(), Thresholds())


def test_calibration_keeps_the_order_and_says_how_often_it_is_right() -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 4, 4000)
    scores = np.eye(4)[np.where(generator.random(4000) < 0.7, truth, generator.integers(0, 4, 4000))]
    calibration = Calibration.fit(scores + generator.normal(0, 0.05, scores.shape), truth)
    shares = calibration.shares(np.array([0.9, 0.2, 0.1, 0.0]))
    assert list(np.argsort(-shares)) == [0, 1, 2, 3]
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(0.775, abs=0.03)


def test_calibration_bears_a_model_that_is_nearly_always_right() -> None:
    truth = np.arange(5000) % 3
    scores = np.eye(3)[np.where(np.arange(5000) % 100, truth, (truth + 1) % 3)]
    calibration = Calibration.fit(scores, truth)
    shares = calibration.shares(np.array([0.4, 0.35, 0.2]))
    assert list(np.argsort(-shares)) == [0, 1, 2]
    assert 0.9 < calibration.shares(np.array([1.0, 0.0, 0.0]))[0] < 1
