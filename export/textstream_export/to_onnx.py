"""Writes the trained network as one ONNX graph, node by node: what the service runs is what stands on this page.

The embedding table is stored in 8 bits with one scale a row; onnxruntime unpacks it once, when it loads the graph.
Pooling is a sum and a maximum over padded groups of like length: no ScatterElements, which took 31 of 50 µs a message.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from textstream.event import LABELS
from textstream.model.tokens import FEATURES
from textstream_export.encode import OUTPUTS
from textstream_export.network import Network, Window, Windows

OPSET, IR_VERSION = 17, 8
Array = NDArray[np.float32]


class _Graph:
    """Collects nodes and initialisers; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op: str, *inputs: str, name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name


def quantise(table: Array) -> tuple[NDArray[np.int8], Array]:
    """(rows, width) → 8-bit integers and (rows, 1) scales: table ≈ integers · scales."""
    scales = np.maximum(np.abs(table).max(1, keepdims=True), 1e-8) / 127
    return np.rint(table / scales).astype(np.int8), scales.astype(np.float32)


def build(network: Network) -> onnx.ModelProto:
    """The graph of `network`: ids (batch, tokens, FEATURES) int32 → sentiment, tokens."""
    g, encoder = _Graph(), network.encoder
    assert isinstance(encoder, Windows)
    integers, scales = quantise(_array(encoder.table.weight))
    unpacked = g.add("Cast", g.constant("table_int8", integers), name="table_float", to=TensorProto.FLOAT)
    table = g.add("Mul", unpacked, g.constant("table_scale", scales), name="table")
    last = g.constant("last_axis", np.array([2], np.int64))
    tokens_axis = g.constant("tokens_axis", np.array([1], np.int64))
    word = g.add("Slice", "ids", *_range(g, "word", 0, 1, 2), name="word")  # (batch, tokens, 1): 0 is padding
    mask = g.add("Cast", g.add("Cast", word, name="real", to=TensorProto.BOOL), name="mask", to=TensorProto.FLOAT)
    rows = g.add("Gather", table, "ids", name="rows", axis=0)  # (batch, tokens, FEATURES, width)
    summed = g.add("ReduceSum", rows, last, name="summed", keepdims=0)
    x = g.add("Mul", summed, mask, name="x0")
    for i, window in enumerate(encoder.windows):
        assert isinstance(window, Window)
        x = _window(g, f"w{i}", window, x, mask)
    total = g.add("ReduceSum", x, tokens_axis, name="total", keepdims=0)
    count = g.add("ReduceSum", mask, tokens_axis, name="count", keepdims=0)
    mean = g.add("Div", total, g.add("Max", count, g.constant("one", np.array([1], np.float32)), name="count1"), name="mean")
    away = g.add("Mul", g.add("Sub", g.constant("one_", np.array([1], np.float32)), mask, name="padding"),
                 g.constant("far", np.array([1e4], np.float32)), name="away")  # fmt: skip
    top = g.add("ReduceMax", g.add("Sub", x, away, name="without_padding"), name="top", axes=[1], keepdims=0)
    pooled = g.add("Concat", mean, top, name="pooled", axis=1)  # (batch, 2 · width)
    _linear(g, "sentiment", network.sentiment.weight, network.sentiment.bias, pooled)
    message = g.add("MatMul", pooled, g.constant("message_w", _array(network.message.weight).T), name="message")
    each = _linear(g, "each", network.token.weight, network.token.bias, x)
    g.add("Add", each, g.add("Unsqueeze", message, tokens_axis, name="message_"), name="tokens")
    return _model(g)


def parity(network: Network, model: onnx.ModelProto, passes: Sequence[NDArray[np.int32]]) -> float:
    """The largest difference of any logit between onnxruntime and PyTorch with the table as it is stored, in 8 bits."""
    import onnxruntime as ort
    import torch

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    stored = copy.deepcopy(network).eval()
    assert isinstance(stored.encoder, Windows)
    integers, scales = quantise(_array(stored.encoder.table.weight))
    gap = 0.0
    with torch.no_grad():
        stored.encoder.table.weight.copy_(torch.from_numpy(integers * scales))
        for ids in passes:
            found, expected = session.run(None, {"ids": ids}), stored(torch.from_numpy(ids.astype(np.int64)))
            gap = max(gap, *(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, expected, strict=True)))
    return gap


def write(model: onnx.ModelProto, path: Path) -> None:
    """Check the graph and write it."""
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _window(g: _Graph, name: str, window: Window, x: str, mask: str) -> str:
    """x + relu(W · taps(x)), masked; the taps are shifted slices of the padded input."""
    taps, dilation = _array(window.taps), window.dilation
    reach = len(taps) // 2 * dilation
    pads = g.constant(f"{name}_pads", np.array([0, reach, 0, 0, reach, 0], np.int64))
    padded = g.add("Pad", x, pads, name=f"{name}_padded")
    seen: list[str] = []
    for i, tap in enumerate(taps):
        behind = (len(taps) - 1 - i) * dilation
        end = -behind if behind else np.iinfo(np.int64).max
        at = g.add("Slice", padded, *_range(g, f"{name}_{i}", i * dilation, end, 1), name=f"{name}_at{i}")
        seen.append(g.add("Mul", at, g.constant(f"{name}_tap{i}", tap), name=f"{name}_tapped{i}"))
    mixed = _linear(g, f"{name}_mix", window.mix.weight, window.mix.bias, g.add("Sum", *seen, name=f"{name}_seen"))
    added = g.add("Add", x, g.add("Relu", mixed, name=f"{name}_relu"), name=f"{name}_added")
    return g.add("Mul", added, mask, name=f"{name}_out")


def _linear(g: _Graph, name: str, weight: object, bias: object, x: str) -> str:
    product = g.add("MatMul", x, g.constant(f"{name}_w", _array(weight).T), name=f"{name}_product")
    return g.add("Add", product, g.constant(f"{name}_b", _array(bias)), name=name)


def _range(g: _Graph, name: str, start: int, end: int, axis: int) -> tuple[str, str, str]:
    values = (("start", start), ("end", end), ("axis", axis))
    a, b, c = (g.constant(f"{name}_{what}", np.array([value], np.int64)) for what, value in values)
    return a, b, c


def _model(g: _Graph) -> onnx.ModelProto:
    ids = helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "tokens", FEATURES])
    sentiment = helper.make_tensor_value_info("sentiment", TensorProto.FLOAT, ["batch", len(LABELS)])
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", "tokens", OUTPUTS])
    graph = helper.make_graph(g.nodes, "textstream-swift", [ids], [sentiment, tokens], g.constants)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="textstream_export")


def _array(parameter: object) -> Array:
    return np.asarray(parameter.detach().cpu().numpy(), np.float32)  # type: ignore[attr-defined]
