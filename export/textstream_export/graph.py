"""Collects the nodes and constants of an ONNX graph that is written node by node."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[np.float32]

FUSED = "com.microsoft"
"""The domain of onnxruntime's own operators, each of which does the work of several standard ones."""


class Graph:
    """Every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        """A constant. The same name twice means the same value."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def add(self, op: str, *inputs: str, name: str, **attributes: Any) -> str:
        """A node with one output, which has the node's name."""
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name


def array(parameter: object) -> Array:
    """A parameter of a network as a plain array."""
    return np.asarray(parameter.detach().cpu().numpy(), np.float32)  # type: ignore[attr-defined]


def quantise(matrix: Array, axis: int, least: float = 1e-10) -> tuple[NDArray[np.int8], Array]:
    """Integers of 8 bits, and the scales that make them `matrix` again, one for each line along `axis`, `least` or more."""
    scales = np.maximum(np.abs(matrix).max(axis, keepdims=True) / 127, least)
    return np.rint(matrix / scales).astype(np.int8), scales.astype(np.float32)
