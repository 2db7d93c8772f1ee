"""The encoder multiplies in 8 bits, and what it gives is what its file means."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from bot.nlu import assets
from bot.nlu.encoder import MIDDLE_LAYER, shared_encoder
from bot.nlu.quantise import BLOCK, Likeness, in_blocks, ready_to_run

TEXTS = ["hi", "cancel my number", "you charged me twice this month and nobody answers me, I want it back today"]


@pytest.fixture(scope="module")
def file() -> bytes:
    """The model as it is published."""
    return assets.verify(assets.ENCODER).path.read_bytes()


def test_vectors_are_those_of_the_file_but_for_rounding(file: bytes) -> None:
    published = onnx.load_from_string(file)
    published.graph.output.append(onnx.helper.make_tensor_value_info(MIDDLE_LAYER, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(published.SerializeToString(), providers=["CPUExecutionProvider"])
    for text in TEXTS:
        ids = np.array([shared_encoder()._tokens(text)])
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        for ours, layer in zip(shared_encoder().layers_of_few([text])[0], session.run(None, inputs), strict=True):
            meant = layer.mean(axis=1)[0]
            assert ours @ meant / np.linalg.norm(ours) / np.linalg.norm(meant) > 0.998


def test_every_matrix_of_weights_is_multiplied_in_8_bits(file: bytes) -> None:
    before, after = onnx.load_from_string(file), onnx.load_from_string(ready_to_run(file, MIDDLE_LAYER))
    counts = Counter(node.op_type for node in after.graph.node)
    assert counts["MatMulNBits"] == 6 * 6  # query, key, value, output and two of the feed-forward, in six layers
    matrices = Counter(node.op_type for node in before.graph.node)["MatMul"]
    assert counts["MatMul"] == matrices - counts["MatMulNBits"]  # of what comes in with what comes in
    known = {one.name for one in (*after.graph.input, *after.graph.initializer)}
    for node in after.graph.node:
        assert known.issuperset(filter(None, node.input)), node.name
        known.update(node.output)


def test_a_model_without_such_matrices_stays_as_it_is() -> None:
    square = onnx.helper.make_node("MatMul", ["x", "x"], ["y"])
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [square],
        "plain",
        [onnx.helper.make_tensor_value_info("x", kind, [2, 2])],
        [onnx.helper.make_tensor_value_info("y", kind, [2, 2])],
    )
    made = onnx.load_from_string(ready_to_run(onnx.helper.make_model(graph).SerializeToString(), "y"))
    assert [node.op_type for node in made.graph.node] == ["MatMul"]


def test_blocks_are_off_by_half_a_step_at_most() -> None:
    weights = np.random.default_rng(1).normal(size=(3 * BLOCK, 5)).astype(np.float32)
    weights[BLOCK : 2 * BLOCK, 3] = 0
    blocks, scales = in_blocks(weights)
    again = ((blocks.astype(np.float32) - 128) * scales[:, :, None]).reshape(5, -1).T
    steps = np.repeat(scales.T, BLOCK, axis=0)
    assert np.all(np.abs(again - weights) <= steps * 0.501)


def test_rows_that_fill_no_block_are_refused() -> None:
    with pytest.raises(ValueError, match="33 rows"):
        in_blocks(np.zeros((33, 2), np.float32))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_likeness_is_the_cosine_of_unit_vectors(count: int) -> None:
    chance = np.random.default_rng(2)
    known = chance.normal(size=(500, 768)).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    near = known[:count] + 0.02 * chance.normal(size=(count, 768)).astype(np.float32)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    found = Likeness(known).of(near)
    assert found.shape == (count, 500)
    assert np.abs(found - near @ known.T).max() < 0.002
    assert found.argmax(axis=1).tolist() == list(range(count))
