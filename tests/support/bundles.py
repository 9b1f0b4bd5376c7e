"""The model bundles that lie in the repository."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from textstream.model import bundle as files

TRAINED = Path(__file__).parents[2] / "export" / "bundles"
"""Where those lie that are not in the package."""
SHIPPED = {"swift": files.PACKAGED / "swift", "deep": TRAINED / "deep"}

each_shipped = pytest.mark.parametrize("name", SHIPPED)


def bundle_stuck_at(word: str, folder: Path) -> Path:
    """A copy of swift whose pass never ends when it meets this word, which its golden texts must not hold."""
    made = Path(shutil.copytree(SHIPPED["swift"], folder / "stuck"))
    lexicon = json.loads((made / "tokenizer.json").read_text())
    graph = onnx.load(made / "model.onnx")
    constants = {"stuck_row": 1 + lexicon["words"].index(word), "stuck_turns": 2**62, "no_turns": 0}
    types = {"stuck_row": TensorProto.INT32}
    graph.graph.initializer.extend(
        helper.make_tensor(name, types.get(name, TensorProto.INT64), [], [value]) for name, value in constants.items()
    )
    sentiment = next(output for node in graph.graph.node for output in node.output if output == "sentiment")
    for node in graph.graph.node:
        node.output[:] = ["sentiment_of_all" if output == sentiment else output for output in node.output]
        node.input[:] = ["sentiment_of_all" if name == sentiment else name for name in node.input]
    body = helper.make_graph(
        [helper.make_node("Identity", [f"{name}_in"], [f"{name}_out"]) for name in ("going", "sentiment")],
        "turn",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sentiment_in", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("going_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sentiment_out", TensorProto.FLOAT, None),
        ],
    )
    graph.graph.node.extend(
        [
            helper.make_node("Equal", ["word", "stuck_row"], ["is_stuck"]),
            helper.make_node("Cast", ["is_stuck"], ["stuck_number"], to=TensorProto.INT32),
            helper.make_node("ReduceMax", ["stuck_number"], ["any_stuck"], keepdims=0),
            helper.make_node("Cast", ["any_stuck"], ["stuck"], to=TensorProto.BOOL),
            helper.make_node("Where", ["stuck", "stuck_turns", "no_turns"], ["turns"]),
            helper.make_node("Loop", ["turns", "", "sentiment_of_all"], ["sentiment"], body=body),
        ]
    )
    onnx.save(graph, made / "model.onnx")
    manifest = json.loads((made / files.MANIFEST).read_text())
    manifest["files"]["model.onnx"] = files.digest((made / "model.onnx").read_bytes())
    (made / files.MANIFEST).write_text(json.dumps(manifest))
    return made
