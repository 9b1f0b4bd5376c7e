"""Writes networks whose encoder reads words by recurrence or attention as ONNX graphs, in 32 bits, to be measured.

Texts of a pass are padded (see `textstream.model.packing.padded`): ids (batch, units, FEATURES), 0 behind a text's last unit.
"""

import math
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from torch import nn

from textstream.model.packing import WINDOW
from textstream.model.tokens import FEATURES
from textstream_export.encoders import Attention, Recurrent, sinusoids
from textstream_export.graph import Array, Graph, array
from textstream_export.network import Network
from textstream_export.to_onnx import sentiment
from textstream_export.transformer_onnx import float_layers, head, padded_model

GATES = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
"""Where PyTorch has the gates that ONNX wants in this order: update, reset, new; input, output, forget, cell."""


def build(network: Network) -> onnx.ModelProto:
    """The graph of `network`: ids (batch, units, FEATURES) int32 → sentiment (batch, 3), tokens (batch, units, OUTPUTS)."""
    g, encoder = Graph(), network.encoder
    assert isinstance(encoder, Recurrent | Attention), (
        "windows are written by `to_onnx`, what was pretrained by `transformer_onnx`"
    )
    last, units = (g.constant(f"axis{i}", np.array([i], np.int64)) for i in (2, 1))
    first = g.add("Gather", "ids", g.constant("word", np.int64(0)), name="words", axis=2)  # (batch, units)
    real = g.add("Cast", g.add("Cast", first, name="is_real", to=TensorProto.BOOL), name="real", to=TensorProto.INT32)
    mask = g.add("Unsqueeze", g.add("Cast", real, name="real_float", to=TensorProto.FLOAT), last, name="mask")
    rows = g.add("Gather", g.constant("table", array(encoder.table.weight)), "ids", name="rows")
    x = g.add("ReduceSum", rows, last, name="embedded", keepdims=0)  # (batch, units, width)
    x = _recurrent(g, encoder, x, real) if isinstance(encoder, Recurrent) else _attention(g, encoder, x, first, real)
    x = g.add("Mul", x, mask, name="x")
    count = g.add("ReduceSum", mask, units, name="count", keepdims=0)
    mean = g.add("Div", g.add("ReduceSum", x, units, name="total", keepdims=0), count, name="mean")
    top = g.add("Relu", g.add("ReduceMax", x, units, name="largest", keepdims=0), name="top")
    pooled = g.add("Concat", mean, top, name="pooled", axis=1)  # (batch, 2 · width)
    sentiment(g, network, pooled)
    message = g.add("MatMul", pooled, g.constant("message_w", array(network.message.weight).T), name="message")
    g.add("Add", head(g, "each", network.token, x), g.add("Unsqueeze", message, units, name="message_"), name="tokens")
    return padded_model(g, "textstream-encoder", len(FEATURES))


def parity(network: Network, model: onnx.ModelProto, texts: Sequence[NDArray[np.int32]]) -> float:
    """The largest difference of any logit between onnxruntime, all texts in one pass, and PyTorch, each text alone."""
    import onnxruntime as ort
    import torch

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.zeros((len(texts), max(map(len, texts)), len(FEATURES)), np.int32)
    for row, own in zip(ids, texts, strict=True):
        row[: len(own)] = own
    moods, tokens = session.run(None, {"ids": ids})
    gap = 0.0
    with torch.inference_mode():
        for at, own in enumerate(texts):
            expected = network(torch.from_numpy(own.astype(np.int64))[None])
            found = moods[at], tokens[at, : len(own)]
            gap = max(gap, *(float(np.abs(a - b[0].numpy()).max()) for a, b in zip(found, expected, strict=True)))
    return gap


def _recurrent(g: Graph, encoder: Recurrent, x: str, real: str) -> str:
    """Cells from both ends, each text to its own length."""
    op = "LSTM" if isinstance(encoder.cells, nn.LSTM) else "GRU"
    lengths = g.add("ReduceSum", real, g.constant("axis1", np.array([1], np.int64)), name="lengths", keepdims=0)
    joined = g.constant("joined", np.array([0, 0, -1], np.int64))
    x = g.add("Transpose", x, name="by_unit", perm=[1, 0, 2])  # (units, batch, width)
    own = {"linear_before_reset": 1} if op == "GRU" else {}
    for layer in range(encoder.cells.num_layers):
        name = f"cells{layer}"
        weights = [g.constant(f"{name}_{part}", value) for part, value in zip("wrb", _weights(encoder, op, layer), strict=True)]
        size = encoder.cells.hidden_size
        y = g.add(op, x, *weights, lengths, name=name, direction="bidirectional", hidden_size=size, **own)
        each = g.add("Transpose", y, name=f"{name}_each", perm=[0, 2, 1, 3])  # (units, batch, 2, width / 2)
        x = g.add("Reshape", each, joined, name=f"{name}_x")
    return g.add("Transpose", x, name="by_text", perm=[1, 0, 2])


def _weights(encoder: Recurrent, op: str, layer: int) -> tuple[Array, Array, Array]:
    """Of the input, of the state, and both biases, each (2 directions, gates · size, …)."""

    def gates(name: str) -> Array:
        parts = np.split(array(encoder.cells.get_parameter(name)), len(GATES[op]))
        return np.concatenate([parts[gate] for gate in GATES[op]])

    def both(what: str) -> Array:
        return np.stack([gates(f"{what}_l{layer}{direction}") for direction in ("", "_reverse")])

    return both("weight_ih"), both("weight_hh"), np.concatenate([both("bias_ih"), both("bias_hh")], 1)


def _attention(g: Graph, encoder: Attention, x: str, words: str, real: str) -> str:
    """Layers of a transformer over words with their positions."""
    positions = g.constant("positions_all", sinusoids(WINDOW, encoder.width).numpy())
    zero = g.constant("axis0", np.array([0], np.int64))
    length = g.add("Shape", words, name="length", start=1, end=2)
    placed = g.add("Slice", positions, zero, length, zero, name="positions")
    large = g.add("Mul", x, g.constant("root", np.float32(math.sqrt(encoder.width))), name="scaled")
    return float_layers(g, encoder.norm, encoder.layers, g.add("Add", large, placed, name="placed"), real)
