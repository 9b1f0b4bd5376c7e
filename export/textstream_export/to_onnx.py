"""Writes swift's network as one ONNX graph, node by node: what the service runs is what stands on this page.

Texts lie one after the other, without padding (see `textstream.model.flat`): a neighbour, or the tokens of a text, are looked
up by their place. Row 0 of all is nobody's, and zero. So no step needs a mask, and pooling is a sum and a maximum over rows
that were gathered: no ScatterElements, which took 31 of 50 µs a message.

The embedding table is stored in 8 bits with one scale a row. Onnxruntime unpacks it when it loads the graph, works out what is
known of a word without its neighbours, and keeps both in 16 bits: half the memory that a token's rows are read from. Rows kept
in 8 bits would halve it again, but a pass takes 1.16 times as long where they are unpacked as they are read.
"""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from textstream.event import LABELS
from textstream.model.flat import NEAR, WINDOW, Offsets, feeds
from textstream.model.session import options
from textstream.model.tokens import FEATURES
from textstream_export.encode import OUTPUTS
from textstream_export.graph import Graph, array, quantise
from textstream_export.network import MASKED, Network, Windows

OPSET, IR_VERSION = 19, 9
"""From 19 on DequantizeLinear gives 16 bits."""


def build(network: Network, words: int, kept_in: int = TensorProto.FLOAT16) -> onnx.ModelProto:
    """The graph of `network`: a `flat` pass → sentiment (texts, 3), tokens (rows, OUTPUTS).

    `words` is how many rows of the table, from the first, may stand as a word, and so beside another. `kept_in` is how rows
    are kept in memory; in FLOAT the graph says what PyTorch says.
    """
    g, encoder = Graph(), network.encoder
    assert isinstance(encoder, Windows)
    stored = _stored(g, encoder, kept_in)
    table = g.add("DequantizeLinear", *stored, name="table", axis=0)
    beside = _beside(g, encoder, stored, words, kept_in)
    x = _gathered(g, table, FEATURES[0])
    for feature in FEATURES[1:]:
        x = g.add("Add", x, _gathered(g, table, feature), name=f"with_{feature}")
    width = g.constant("width", np.array([-1, encoder.width], np.int64))
    x = g.add("Add", x, g.add("Reshape", _gathered(g, beside, NEAR), width, name="near_x"), name="with_near")
    for at, (window, reach) in enumerate(zip(encoder.windows, encoder.reaches, strict=True)):
        name = f"{WINDOW}{at}"
        groups = g.constant(f"{name}_groups", np.array([-1, encoder.width // len(reach)], np.int64))
        rows = g.add("Gather", g.add("Reshape", x, groups, name=f"{name}_x"), name, name=f"{name}_rows")
        seen = g.add("Reshape", rows, width, name=f"{name}_seen")
        # A Gemm, for onnxruntime joins that with its Relu.
        mixed = g.add("Gemm", seen, _weight(g, name, window.weight), name=f"{name}_product")
        x = g.add("Add", x, g.add("Relu", mixed, name=f"{name}_relu"), name=f"{name}_out")  # (units, width)
    pooled = _pooled(g, encoder, x)
    sentiment(g, network, pooled)
    message = _linear(g, "message", pooled, network.message.weight, network.token.bias)
    own = g.add("Gather", message, "text", name="message_of_each")
    g.add("Add", _product(g, "token", x, network.token.weight), own, name="tokens")
    return _model(g, encoder)


def parity(network: Network, model: onnx.ModelProto, texts: Sequence[NDArray[np.int32]]) -> float:
    """The largest difference of any logit between onnxruntime, all texts in one pass, and PyTorch, each text alone.

    PyTorch gets the table as it is stored, in 8 bits. That it is kept in 16 bits later is part of the difference.
    """
    import onnxruntime as ort
    import torch

    stored = copy.deepcopy(network).eval()
    assert isinstance(stored.encoder, Windows)
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    table = constants["table_int8"] * constants["table_scale"].astype(np.float32)[:, None]
    session = ort.InferenceSession(model.SerializeToString(), options(1), providers=["CPUExecutionProvider"])
    lengths = np.array([len(ids) for ids in texts], np.int64)
    offsets = Offsets(stored.encoder.near, stored.encoder.reaches)
    (feed,) = feeds(np.concatenate(texts), lengths, [0, len(texts)], offsets)
    sentiment, tokens = session.run(None, feed)
    each = np.split(tokens[1:], np.cumsum(lengths)[:-1])
    gap = 0.0
    with torch.no_grad():
        stored.encoder.table.weight.copy_(torch.from_numpy(table))
        for ids, *found in zip(texts, sentiment, each, strict=True):
            expected = stored(torch.from_numpy(ids.astype(np.int64))[None])
            gap = max(gap, *(float(np.abs(a - b[0].numpy()).max()) for a, b in zip(found, expected, strict=True)))
    return gap


def write(model: onnx.ModelProto, path: Path) -> None:
    """Check the graph and write it."""
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _stored(g: Graph, encoder: Windows, kept_in: int) -> tuple[str, str]:
    """(rows, width) integers of the embedding table, (rows,) scales, of the type that is kept: what is unpacked has theirs."""
    least = float(np.finfo(np.float16).tiny)  # a smaller scale 16 bits would round to little or nothing
    integers, scales = quantise(array(encoder.table.weight), 1, least)
    each = scales[:, 0].astype(helper.tensor_dtype_to_np_dtype(kept_in))
    return g.constant("table_int8", integers), g.constant("table_scale", each)


def _beside(g: Graph, encoder: Windows, stored: tuple[str, str], words: int, kept_in: int) -> str:
    """(words · groups, width / groups): what each word says to its neighbours, a row for each of their places."""
    first, stop, axis = (g.constant(name, np.array([n], np.int64)) for name, n in (("zero", 0), ("words", words), ("axis0", 0)))
    integers, scale = (g.add("Slice", name, first, stop, axis, name=f"{name}_of_words") for name in stored)
    scale = g.add("Cast", scale, name="words_scale", to=TensorProto.FLOAT)
    alone = g.add("DequantizeLinear", integers, scale, name="words_alone", axis=0)
    kept = g.add("Cast", _product(g, "beside", alone, encoder.beside.weight), name="beside_kept", to=kept_in)
    groups = g.constant("near_groups", np.array([-1, encoder.width // len(encoder.near)], np.int64))
    return g.add("Reshape", kept, groups, name="beside")


def _gathered(g: Graph, table: str, ids: str) -> str:
    """The rows that `ids` names, in 32 bits."""
    return g.add("Cast", g.add("Gather", table, ids, name=f"{ids}_kept"), name=f"{ids}_rows", to=TensorProto.FLOAT)


def _pooled(g: Graph, encoder: Windows, x: str) -> str:
    """(texts, 2 · width): mean and maximum over the rows of each text. Row 0, which pads them, is 0: no maximum is less."""
    own, axis = g.add("Gather", x, "rows", name="x_of_texts"), g.constant("axis1", np.array([1], np.int64))
    if encoder.weigh is None:
        mean = g.add("Div", g.add("ReduceSum", own, axis, name="total", keepdims=0), "count", name="mean")
    else:
        mean = g.add("Squeeze", g.add("MatMul", _shares(g, encoder.weigh, x), own, name="weighed"), axis, name="mean")
    top = g.add("Relu", g.add("ReduceMax", own, axis, name="largest", keepdims=0), name="top")
    return g.add("Concat", mean, top, name="pooled", axis=1)


def _shares(g: Graph, weigh: nn.Linear, x: str) -> str:
    """(texts, 1, longest): how much each row counts in the mean of its text; what pads it, nothing."""
    one, axis = g.constant("one", np.float32(1)), g.constant("axis1", np.array([1], np.int64))
    each = g.add("Gather", g.add("Squeeze", _product(g, "weigh", x, weigh.weight), axis, name="weight"), "rows", name="weights")
    real = g.add("Min", g.add("Cast", "rows", name="rows_float", to=TensorProto.FLOAT), one, name="real")
    far = g.add("Mul", g.add("Sub", one, real, name="padding"), g.constant("masked", np.float32(MASKED)), name="far")
    return g.add(
        "Unsqueeze", g.add("Softmax", g.add("Add", each, far, name="masked_weights"), name="share", axis=1), axis, name="shares"
    )


def sentiment(g: Graph, network: Network, pooled: str) -> None:
    """(texts, 3): what one head says, or several, each as much as the text is its."""
    head = network.sentiment.weight, network.sentiment.bias
    if network.expert is None:
        _linear(g, "sentiment", pooled, *head)
        return
    shape = g.constant("of_experts", np.array([-1, network.experts, len(LABELS)], np.int64))
    said = g.add("Reshape", _linear(g, "said", pooled, *head), shape, name="said_by_each")
    logits = _linear(g, "expert", pooled, network.expert.weight, network.expert.bias)
    axis = g.constant("axis1", np.array([1], np.int64))
    share = g.add("Unsqueeze", g.add("Softmax", logits, name="expert_share", axis=1), axis, name="expert_shares")
    g.add("Squeeze", g.add("MatMul", share, said, name="mixed"), axis, name="sentiment")


def _linear(g: Graph, name: str, x: str, weight: object, bias: object) -> str:
    return g.add("Gemm", x, _weight(g, name, weight), g.constant(f"{name}_b", array(bias)), name=name)


def _product(g: Graph, name: str, x: str, weight: object) -> str:
    return g.add("MatMul", x, _weight(g, name, weight), name=f"{name}_product")


def _weight(g: Graph, name: str, weight: object) -> str:
    return g.constant(f"{name}_w", array(weight).T)


def _model(g: Graph, encoder: Windows) -> onnx.ModelProto:
    offsets = Offsets(encoder.near, encoder.reaches)
    shapes: dict[str, list[str | int]] = {name: ["units"] for name in (*FEATURES, "text")}
    shapes |= {name: ["units", len(text.split())] for name, text in offsets.as_text().items()}
    shapes["rows"] = ["texts", "longest"]
    ids = [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name, shape in shapes.items()]
    count = helper.make_tensor_value_info("count", TensorProto.FLOAT, ["texts", 1])
    sentiment = helper.make_tensor_value_info("sentiment", TensorProto.FLOAT, ["texts", len(LABELS)])
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["units", OUTPUTS])
    graph = helper.make_graph(g.nodes, "textstream-swift", [*ids, count], [sentiment, tokens], list(g.constants.values()))
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="textstream_export")
    helper.set_model_props(model, offsets.as_text())
    return model
