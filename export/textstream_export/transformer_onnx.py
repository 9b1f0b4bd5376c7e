"""Writes a network whose encoder is a transformer as ONNX graphs, node by node, in the numbers of the device that runs them.

    float32   as PyTorch has it: shows that the graph is right
    int8      for the CPU: integer weights with a scale a column, activations rounded to 8 bits with a scale a row
    float16   for the GPU: the same integer weights, unpacked once when the graph is loaded

A scale for each row of activations, that is for each unit, costs 10 % of a pass over one scale for all of them, which is
onnxruntime's own DynamicQuantizeMatMul. It halves the error, and a message's numbers do not depend on its batch.

Weights have all the levels at which every CPU gives the same sums. One without VNNI adds the products of two neighbours in 16
bits: 255 · 128 fits, so the magnitudes of two weights that meet there may be 128 together. That is 7 bits where both are as
large as can be, and nearly 8 else (LOG.md).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import StringStringEntryProto, TensorProto, helper
from torch import nn

from textstream.event import LABELS
from textstream.model.bundle import Kernel
from textstream.model.cpus import usable_cpus
from textstream.model.packing import Padded
from textstream.model.session import options
from textstream_export.encode import OUTPUTS
from textstream_export.graph import FUSED, Array, Graph, array, quantise
from textstream_export.network import Network
from textstream_export.to_onnx import sentiment
from textstream_export.transformer import EPSILON, Layer, Transformer

Precision = Literal["float32", "int8", "float16"]

OPSET, FUSED_OPSET, IR_VERSION = 18, 1, 8
ALIGNED = 4096
"""Bytes: where a tensor of the shared file begins, so that it can be mapped into memory."""
PAIR = 127
"""Most that the magnitudes of two neighbours in a column are together, before each is rounded."""
WHOLE = 1e-3
"""Farthest that a number is from an integer which is one but for rounding to 32 bits."""
LEAST = 1e-6
"""Least scale of a row: a row of zeros must not be divided by zero."""
CENTRE, REACH = 128, 127
"""An activation of 0 is stored as 128, the largest magnitude of its row 127 above or below."""
GELU_CENTRE, GELU_REACH = 32, 223
"""What GELU gives lies between −0.17 and its largest value: more of the 8 bits are for the positive side."""
GELU_LEAST = 0.17 * GELU_REACH / GELU_CENTRE
"""Least scale of a row after GELU: −0.17 must not fall below 0."""


def int8(network: Network) -> Padded:
    """The network in 8 bits on one thread of the CPU: 1.7 times as fast as PyTorch in bfloat16 on the same core."""
    graph = build(network, "int8").SerializeToString()
    session = ort.InferenceSession(graph, options(1), providers=["CPUExecutionProvider"])

    def infer(ids: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        mood, tokens = session.run(None, {"ids": ids})
        return mood, tokens

    return infer


def pooled(network: Network) -> Padded:
    """The same, with what the heads of sentiment read, (texts, 2 · width), in place of what they say, and nothing of units."""
    model = build(network, "int8")
    wide = network.sentiment.in_features
    model.graph.output.append(helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["batch", wide]))
    session = ort.InferenceSession(model.SerializeToString(), options(usable_cpus()), providers=["CPUExecutionProvider"])

    def read(ids: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        (found,) = session.run(["pooled"], {"ids": ids})
        return found, np.zeros((*ids.shape[:2], 0), np.float32)

    return read


def parity(network: Network, texts: Sequence[NDArray[np.int32]]) -> float:
    """The largest difference of any logit between onnxruntime, in PyTorch's own numbers, and PyTorch."""
    graph = build(network, "float32").SerializeToString()
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    gap = 0.0
    with torch.inference_mode():
        for ids in texts:
            found, expected = session.run(None, {"ids": ids[None]}), network(torch.from_numpy(ids[None].astype(np.int64)))
            gap = max(gap, *(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, expected, strict=True)))
    return gap


def write(network: Network, folder: Path, name: str) -> dict[Kernel, str]:
    """Write a graph for each device, and the integer weights that they share; returns the graphs' names."""
    weights = f"model.{name}.weights"
    graphs: dict[Kernel, str] = {"cpu": f"model.{name}.int8.onnx", "cuda": f"model.{name}.fp16.onnx"}
    models = build(network, "int8"), build(network, "float16")
    places: dict[str, int] = {}
    with (folder / weights).open("wb") as file:
        for tensor in models[0].graph.initializer:
            if tensor.data_type == TensorProto.INT8:
                file.write(b"\0" * (-file.tell() % ALIGNED))
                places[tensor.name] = file.tell()
                file.write(tensor.raw_data)
    for model, graph in zip(models, graphs.values(), strict=True):
        for tensor in model.graph.initializer:
            if tensor.data_type == TensorProto.INT8:
                _keep_outside(tensor, weights, places[tensor.name])
        (folder / graph).write_bytes(model.SerializeToString())
        onnx.checker.check_model(str(folder / graph))
    return graphs


def _keep_outside(tensor: TensorProto, file: str, offset: int) -> None:
    """Make a tensor name its bytes' place in a file instead of holding them."""
    place = {"location": file, "offset": offset, "length": len(tensor.raw_data)}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.extend(StringStringEntryProto(key=key, value=str(value)) for key, value in place.items())


def build(network: Network, precision: Precision) -> onnx.ModelProto:
    """The graph of `network`: ids (batch, units, 1) int32 → sentiment (batch, 3), tokens (batch, units, OUTPUTS)."""
    g = Graph()
    numbers = {"float32": _Float32, "int8": _Int8, "float16": _Float16}[precision](g)
    encoder = network.encoder
    assert isinstance(encoder, Transformer), "a graph of windows is written by `to_onnx`"
    last, units, zero = (g.constant(f"axis{i}", np.array([i], np.int64)) for i in (2, 1, 0))
    flat = g.add("Squeeze", "ids", last, name="flat")
    front = g.constant("front", np.array([0, 1, 0, 0], np.int64))
    ids = g.add("Pad", flat, front, g.constant("first_id", np.int32(encoder.first)), name="all_ids")  # (batch, 1 + units)
    real = g.add("Cast", g.add("Cast", ids, name="is_real", to=TensorProto.BOOL), name="real", to=TensorProto.INT32)
    x = _embedded(g, numbers, encoder, ids, zero)
    for i, layer in enumerate(encoder.layers):
        assert isinstance(layer, Layer)
        x = _layer(g, numbers, f"layer{i}", layer, x, real)
    x = numbers.as_float(x)
    weight = g.add("Unsqueeze", g.add("Cast", real, name="real_float", to=TensorProto.FLOAT), last, name="weight")
    total = g.add("ReduceSum", g.add("Mul", x, weight, name="x_real"), units, name="total", keepdims=0)
    mean = g.add("Div", total, g.add("ReduceSum", weight, units, name="count", keepdims=0), name="mean")
    first = g.add("Gather", x, g.constant("at_first", np.int64(0)), name="first", axis=1)
    both = g.add("Concat", first, mean, name="pooled", axis=1)  # (batch, 2 · width)
    sentiment(g, network, both)
    message = g.add("MatMul", both, g.constant("message_w", array(network.message.weight).T), name="message")
    far = g.constant("far", np.array([np.iinfo(np.int64).max], np.int64))
    each = head(g, "each", network.token, g.add("Slice", x, units, far, units, name="x_units"))
    g.add("Add", each, g.add("Unsqueeze", message, units, name="message_"), name="tokens")
    return padded_model(g, "textstream-deep", 1)


class _Float32:
    """How matrices are stored and multiplied: here as they are."""

    type_: np.dtype[Any] = np.dtype(np.float32)

    def __init__(self, g: Graph) -> None:
        self.g = g

    def vector(self, name: str, value: Array) -> str:
        """A bias, or the weights of a normalisation."""
        return self.g.constant(name, value.astype(self.type_))

    def rows(self, name: str, table: Array, ids: str) -> str:
        """The rows of a table that `ids` names."""
        return self.g.add("Gather", self.g.constant(f"{name}_w", table), ids, name=name, axis=0)

    def product(self, name: str, x: str, weight: Array, after_gelu: bool = False) -> str:
        """x · weight, for weight (inputs, outputs)."""
        return self.g.add("MatMul", x, self.g.constant(f"{name}_w", weight), name=name)

    def as_float(self, x: str) -> str:
        """The same in 32 bits."""
        return x


class _Int8(_Float32):
    def rows(self, name: str, table: Array, ids: str) -> str:
        g = self.g
        integers, scales = quantise(table, 1)
        found = g.add("Gather", g.constant(f"{name}_w", integers), ids, name=f"{name}_int8", axis=0)
        scale = g.add("Gather", g.constant(f"{name}_s", scales), ids, name=f"{name}_scale", axis=0)
        return g.add("Mul", g.add("Cast", found, name=f"{name}_float", to=TensorProto.FLOAT), scale, name=name)

    def product(self, name: str, x: str, weight: Array, after_gelu: bool = False) -> str:
        g = self.g
        integers, scales = quantise_pairs(weight)
        least, centre, reach = (GELU_LEAST, GELU_CENTRE, GELU_REACH) if after_gelu else (LEAST, CENTRE, REACH)
        kind = "gelu_" if after_gelu else ""
        magnitude = x if after_gelu else g.add("Abs", x, name=f"{name}_abs")
        largest = g.add("ReduceMax", magnitude, g.constant("row", np.array([-1], np.int64)), name=f"{name}_max", keepdims=1)
        scale = g.add("Max", largest, g.constant(f"{kind}least", np.float32(least)), name=f"{name}_scale")  # (batch, units, 1)
        step, middle = g.constant(f"{kind}step", np.float32(1 / reach)), g.constant(f"{kind}centre", np.uint8(centre))
        rounded = g.add("QuantizeLinear", g.add("Div", x, scale, name=f"{name}_unit"), step, middle, name=f"{name}_x")
        weights = g.constant(f"{name}_w", integers), step, g.constant(f"{name}_s", scales), middle
        return g.add("Mul", g.add("MatMulIntegerToFloat", rounded, *weights, name=f"{name}_p", domain=FUSED), scale, name=name)


class _Float16(_Int8):
    type_: np.dtype[Any] = np.dtype(np.float16)

    def rows(self, name: str, table: Array, ids: str) -> str:
        return self.g.add("Cast", super().rows(name, table, ids), name=f"{name}_half", to=TensorProto.FLOAT16)

    def product(self, name: str, x: str, weight: Array, after_gelu: bool = False) -> str:
        g = self.g
        integers, scales = quantise_pairs(weight)
        # Constants alone: onnxruntime works this out once, when it loads the graph.
        unpacked = g.add("Cast", g.constant(f"{name}_w", integers), name=f"{name}_float", to=TensorProto.FLOAT)
        scaled = g.add("Mul", unpacked, g.constant(f"{name}_s", scales), name=f"{name}_scaled")
        return g.add("MatMul", x, g.add("Cast", scaled, name=f"{name}_half", to=TensorProto.FLOAT16), name=name)

    def as_float(self, x: str) -> str:
        return self.g.add("Cast", x, name="x_float", to=TensorProto.FLOAT)


def quantise_pairs(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Integers for weight (inputs, outputs), and the scales (outputs,) that make them `weight` again. `inputs` is even.

    A column that was read back from integers (`restore`) gets those again, also where both numbers of its largest pair had been
    rounded from a half, so that the pair is one more or less.
    """
    inputs, outputs = weight.shape
    largest = np.maximum(np.abs(weight).reshape(inputs // 2, 2, outputs).sum(1).max(0), 1e-8)
    scales = largest / PAIR
    for pair in (PAIR - 1, PAIR + 1):
        units = weight / (largest / pair)
        scales = np.where(np.abs(units - np.rint(units)).max(0) < WHOLE, largest / pair, scales)
    return np.rint(weight / scales).astype(np.int8), scales.astype(np.float32)


def _embedded(g: Graph, numbers: _Float32, encoder: Transformer, ids: str, zero: str) -> str:
    """Words and positions, normalised."""
    words = numbers.rows("words", array(encoder.words.weight), ids)
    length = g.add("Shape", ids, name="length", start=1, end=2)
    positions = numbers.vector("positions_all", array(encoder.positions.weight))
    placed = g.add("Add", words, g.add("Slice", positions, zero, length, zero, name="positions"), name="placed")
    return _norm(g, numbers, "norm", encoder.norm, placed)


def _layer(g: Graph, numbers: _Float32, name: str, layer: Layer, x: str, real: str) -> str:
    """Attention, then feed-forward, each added to its input and normalised after."""
    width = layer.attended.in_features
    parts = [f"{name}_{what}" for what in ("query", "key", "value")]
    projected = numbers.product(f"{name}_qkv", x, array(layer.query_key_value.weight).T)
    thirds = g.constant("thirds", np.full(3, width, np.int64))
    g.nodes.append(helper.make_node("Split", [projected, thirds], parts, name=f"{name}_split", axis=2))
    bias = numbers.vector(f"{name}_qkv_b", array(layer.query_key_value.bias))
    seen = g.add("MultiHeadAttention", *parts, bias, real, name=f"{name}_seen", domain=FUSED, num_heads=layer.heads)
    x = _added(g, numbers, f"{name}_attended", layer.attended, layer.attended_norm, seen, x)
    inner = numbers.product(f"{name}_inner", x, array(layer.inner.weight).T)
    bias = numbers.vector(f"{name}_inner_b", array(layer.inner.bias))
    active = g.add("BiasGelu", inner, bias, name=f"{name}_gelu", domain=FUSED)
    return _added(g, numbers, f"{name}_outer", layer.outer, layer.outer_norm, active, x, after_gelu=True)


def _added(
    g: Graph, numbers: _Float32, name: str, linear: nn.Linear, norm: nn.LayerNorm, x: str, before: str, after_gelu: bool = False
) -> str:
    """norm(before + linear(x)). Three plain nodes: SkipLayerNormalization, fused, takes 17 % of a pass on a CPU, these 6 %."""
    product = numbers.product(name, x, array(linear.weight).T, after_gelu)
    biased = g.add("Add", product, numbers.vector(f"{name}_b", array(linear.bias)), name=f"{name}_biased")
    return _norm(g, numbers, f"{name}_norm", norm, g.add("Add", biased, before, name=f"{name}_added"))


def _norm(g: Graph, numbers: _Float32, name: str, norm: nn.LayerNorm, x: str) -> str:
    weights = numbers.vector(f"{name}_g", array(norm.weight)), numbers.vector(f"{name}_b", array(norm.bias))
    return g.add("LayerNormalization", x, *weights, name=name, epsilon=EPSILON)


def float_layers(g: Graph, norm: nn.LayerNorm, layers: nn.ModuleList, x: str, real: str) -> str:
    """A norm, then layers, in 32 bits: what `encoders.Attention` has of a transformer."""
    numbers = _Float32(g)
    x = _norm(g, numbers, "norm", norm, x)
    for i, layer in enumerate(layers):
        assert isinstance(layer, Layer)
        x = _layer(g, numbers, f"layer{i}", layer, x, real)
    return x


def head(g: Graph, name: str, linear: nn.Linear, x: str) -> str:
    """x · weight + bias."""
    product = g.add("MatMul", x, g.constant(f"{name}_w", array(linear.weight).T), name=f"{name}_product")
    return g.add("Add", product, g.constant(f"{name}_b", array(linear.bias)), name=name)


def padded_model(g: Graph, name: str, features: int) -> onnx.ModelProto:
    """The model of a graph that reads padded `ids`."""
    ids = helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "units", features])
    sentiment = helper.make_tensor_value_info("sentiment", TensorProto.FLOAT, ["batch", len(LABELS)])
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", "units", OUTPUTS])
    graph = helper.make_graph(g.nodes, name, [ids], [sentiment, tokens], list(g.constants.values()))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, FUSED_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="textstream_export")
