"""The graph of a transformer says what PyTorch says, in every kind of numbers that it is shipped in."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from textstream_export.network import Network
from textstream_export.transformer import Shape, Transformer
from textstream_export.transformer_onnx import Precision, build, int8, quantise_pairs

Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]
PADDED_FROM = 20


@pytest.fixture(scope="module")
def network() -> Network:
    """Small, with logits as large as a trained one's."""
    torch.manual_seed(4)
    made = Network(Transformer(Shape(500, 64, 3, 4), first=1), 64, sources=2, dropout=0.1)
    for head in (made.sentiment, made.token):
        torch.nn.init.normal_(head.weight, std=0.2)
    return made.eval()


@pytest.fixture(scope="module")
def ids() -> NDArray[np.int32]:
    made = np.random.default_rng(1).integers(2, 500, (6, 30, 1)).astype(np.int32)
    made[:3, PADDED_FROM:] = 0
    return made


def expected(network: Network, ids: NDArray[np.int32]) -> Outputs:
    with torch.no_grad():
        sentiment, tokens = network(torch.from_numpy(ids.astype(np.int64)))
    return sentiment.numpy(), tokens.numpy()


def gap(a: Outputs, b: Outputs, ids: NDArray[np.int32]) -> float:
    real = ids[..., 0] != 0
    return max(float(np.abs(a[0] - b[0]).max()), float(np.abs(a[1][real] - b[1][real]).max()))


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("int8", 0.1), ("float16", 0.05)])
def test_the_graph_says_what_pytorch_says(
    network: Network, ids: NDArray[np.int32], precision: Precision, tolerance: float
) -> None:
    model = build(network, precision)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert gap(session.run(None, {"ids": ids}), expected(network, ids), ids) < tolerance


def test_in_8_bits_a_message_does_not_depend_on_its_batch(network: Network, ids: NDArray[np.int32]) -> None:
    """Neither its neighbours nor its padding show in its numbers: every unit has a scale of its own."""
    infer = int8(network)
    together = infer(ids)
    for at, (row, length) in enumerate(zip(ids, [PADDED_FROM] * 3 + [30] * 3, strict=True)):
        alone = infer(row[None, :length])
        assert np.allclose(alone[0][0], together[0][at], atol=1e-4)
        assert np.allclose(alone[1][0], together[1][at, :length], atol=1e-4)


def test_no_two_weights_that_meet_overflow_16_bits_and_most_have_more_than_7() -> None:
    """The largest activations times two neighbours' weights fit, so that every CPU gives the same sums."""
    weight = np.random.default_rng(2).normal(size=(384, 1536)).astype(np.float32)
    weight[6:8] *= 4  # where both are large
    integers, scales = quantise_pairs(weight)
    assert 255 * np.abs(integers.astype(np.int64)).reshape(192, 2, 1536).sum(1).max() <= np.iinfo(np.int16).max
    assert np.abs(integers * scales - weight).max() <= scales.max() / 2 * 1.001
    assert scales.mean() < 0.8 * np.abs(weight).max(0).mean() / 63


def test_what_was_made_of_8_bits_gets_the_same_8_bits_again() -> None:
    """So a network that is read back from its graph, and does not move, is written as it was."""
    weight = np.random.default_rng(3).integers(-50, 51, (128, 600)).astype(np.float32)
    weight[:2, :300], weight[:2, 300:] = [[63.5], [63.5]], [[62.5], [64.5]]  # both rounded up, both down: to even numbers
    integers, scales = quantise_pairs(weight)
    pairs = np.abs(integers.astype(np.int64)).reshape(64, 2, 600).sum(1).max(0)
    assert set(pairs.tolist()) == {126, 128}
    again, same = quantise_pairs(integers * scales)
    assert np.array_equal(integers, again) and np.allclose(scales, same, rtol=1e-6)
