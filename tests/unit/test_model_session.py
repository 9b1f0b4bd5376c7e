"""A session: its threads, what it works out at loading, and how onnxruntime says that memory ran out."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from textstream.errors import OutOfMemory
from textstream.model import bundle as files
from textstream.model.cpus import usable_cpus
from textstream.model.session import Session, options, out_of_memory


def as_large_as_its_ids(path: Path) -> Path:
    """A graph whose output has as many cells as the product of its ids."""
    nodes = [
        helper.make_node("Reshape", ["ids", "flat"], ["row"]),
        helper.make_node("Cast", ["row"], ["shape"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["shape"], ["tokens"]),
        helper.make_node("ReduceMax", ["tokens"], ["sentiment"], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT32, ["texts", "units", 1])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("sentiment", "tokens")]
    constants = [helper.make_tensor("flat", TensorProto.INT64, [1], [-1])]
    model = helper.make_model(
        helper.make_graph(nodes, "large", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, path)
    return path


def test_a_pass_without_memory_raises_our_own_error(tmp_path: Path) -> None:
    """An allocation that onnxruntime's arena cannot serve (4 PB) comes out as OutOfMemory, in one line; the next pass runs."""
    session = Session({"cpu": as_large_as_its_ids(tmp_path / "large.onnx")}, "cpu")
    lengths = np.array([3], np.int64)
    with pytest.raises(OutOfMemory, match=r"Failed to allocate memory for requested buffer of size 4000000000000000$"):
        session.infer(np.array([[100_000], [100_000], [100_000]], np.int32), lengths)
    _, tokens = session._padded(np.array([[[2], [3]]], np.int32))
    assert tokens.shape == (2, 3)


@pytest.mark.parametrize(("threads", "started"), [(0, usable_cpus()), (1, 1), (3, 3)])
def test_the_threads_of_a_pass(threads: int, started: int, tmp_path: Path) -> None:
    """As many as are asked for; 0 are those that the container's quota pays for, not the host's cores."""
    session = Session({"cpu": as_large_as_its_ids(tmp_path / "large.onnx")}, "cpu", threads)
    assert session._session.get_session_options().intra_op_num_threads == started


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'fc1' Status"
         " Message: bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 13111296", True),
        ("[ONNXRuntimeError] : 1 : FAIL : cuda_call.cc:121 CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc", True),
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", True),
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Status Message: std::bad_alloc", True),
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Status Message: bad allocation", True),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: ids", False),
        ("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access was encountered ; GPU=0", False),
    ],
)  # fmt: skip
def test_what_onnxruntime_says_without_memory(said: str, expected: bool) -> None:
    """Its messages for host, CUDA and cuBLAS, as users have reported them, are told from its other failures."""
    assert out_of_memory(RuntimeError(said)) is expected


def test_the_table_is_unpacked_once(tmp_path: Path) -> None:
    """What is left of swift's graph for a pass has its rows in 16 bits: unpacked in each pass, 13 million numbers would be."""
    found = files.read("swift")
    opened = options(1)
    opened.optimized_model_filepath = str(tmp_path / "opened.onnx")
    ort.InferenceSession(str(found.folder / "model.onnx"), opened, providers=["CPUExecutionProvider"])
    left = onnx.load(tmp_path / "opened.onnx").graph
    assert "DequantizeLinear" not in {node.op_type for node in left.node}
    (table,) = [each for each in left.initializer if each.name == "table"]
    assert table.data_type == TensorProto.FLOAT16
