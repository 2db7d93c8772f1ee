"""Sentence vectors are the same each time, of unit length, and remembered within bounds."""

import numpy as np
import pytest

from bot.nlu import assets
from bot.nlu.encoder import DIMENSIONS, SentenceEncoder, shared_encoder


def test_near_meanings_are_nearer_than_far_ones() -> None:
    encode = shared_encoder().encode
    refund, money_back, weather = (
        encode(text) for text in ("I want a refund", "give me my money back", "it rains in Paris")
    )
    assert refund @ money_back > 0.5 > refund @ weather


@pytest.mark.parametrize("text", ["", "👍", "cancel", "word " * 5000, "مرحبا"])
def test_every_text_has_a_unit_vector(text: str) -> None:
    vector = shared_encoder().encode(text)
    assert vector.shape == (DIMENSIONS,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    texts = ["cancel my number", "where is my refund", "a much longer message, so that lengths differ within the batch"]
    encoder = SentenceEncoder(assets.verify(assets.ENCODER), assets.verify(assets.TOKENIZER))
    alone = np.stack([encoder.layers(text) for text in texts])
    few = SentenceEncoder(assets.verify(assets.ENCODER), assets.verify(assets.TOKENIZER)).layers_of_few(texts)
    assert np.allclose(np.stack(few), alone, atol=1e-5)  # shorter ones are padded
    assert np.array_equal(encoder.layers_of_all(texts), alone)
    assert np.array_equal(encoder.encode_all(texts), np.stack([encoder.encode(text) for text in texts]))


def test_of_a_few_only_those_not_remembered_are_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder(assets.verify(assets.ENCODER), assets.verify(assets.TOKENIZER))
    one = encoder.layers("one")
    ran: list[int] = []
    run = encoder._run
    monkeypatch.setattr(encoder, "_run", lambda tokens: ran.append(len(tokens)) or run(tokens))
    found = encoder.layers_of_few(["two", "one", "two", "three"])
    assert ran == [2]
    assert found[1] is one
    assert found[0] is found[2]
    assert not np.array_equal(found[0], found[3])


def test_the_cache_keeps_the_latest_within_its_bound() -> None:
    encoder = SentenceEncoder(assets.verify(assets.ENCODER), assets.verify(assets.TOKENIZER), cache_size=2)
    first = encoder.layers("one")
    assert encoder.layers("one") is first
    encoder.layers("two")
    encoder.layers("one")
    encoder.layers("three")
    assert encoder.layers("one") is first
    assert len(encoder._cache) == 2


def test_a_cached_vector_cannot_be_changed_by_a_caller() -> None:
    with pytest.raises(ValueError, match="read-only"):
        shared_encoder().encode("cancel")[0] = 1.0


def test_one_run_gives_the_last_layer_and_a_middle_one() -> None:
    last, middle = shared_encoder().layers("cancel my number")
    assert np.array_equal(last, shared_encoder().encode("cancel my number"))
    assert middle.shape == (DIMENSIONS,)
    assert abs(float(last @ middle) / float(np.linalg.norm(middle))) < 0.9


def test_an_encoder_without_the_middle_layer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.nlu.encoder.MIDDLE_LAYER", "no_such_tensor")
    with pytest.raises(assets.AssetError, match=r"model\.onnx cannot be used"):
        SentenceEncoder(assets.verify(assets.ENCODER), assets.verify(assets.TOKENIZER))
