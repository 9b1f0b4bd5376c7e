"""An onnxruntime session on the device that was asked for, and nowhere else."""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort

from textstream.errors import Misconfigured, OutOfMemory
from textstream.model.bundle import Kernel
from textstream.model.cpus import usable_cpus
from textstream.model.flat import Feed, Offsets, flat
from textstream.model.packing import CORE, GPU, Ids, Infer, Logits, padded
from textstream.quality import Computed

Device = Literal["auto", "cpu", "cuda"]
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_DRIVER = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
_NO_MEMORY = ("Failed to allocate memory", "bad_alloc", "bad allocation", "out of memory", "_ALLOC_FAILED")
"""Running out of memory has no exception of its own in onnxruntime: it is a Fail or a RuntimeException with one of these in its
text, by its own arena, C++ on Linux and on Windows, CUDA, cuBLAS and cuDNN."""
_FATAL = 4  # onnxruntime's most quiet level


class Session:
    """One loaded graph; `infer` is the network in it, whatever the layout of its passes."""

    def __init__(self, graphs: Mapping[Kernel, Path], device: Device = "auto", threads: int = 1) -> None:
        ort.disable_telemetry_events()
        ort.set_default_logger_severity(_FATAL)  # a missing CUDA library is reported below, in one line
        session = None if device == "cpu" else _on_cuda(graphs["cuda"], threads)
        if session is None and device == "cuda":  # onnxruntime falls back to the CPU without a word
            raise Misconfigured(
                "device = cuda, but onnxruntime found no usable CUDA: pip install 'textstream[gpu]' on a machine with an "
                "NVIDIA driver, or set model.device to auto or cpu"
            )
        self.device: Kernel = "cpu" if session is None else "cuda"
        self._session = _open(graphs["cpu"], [_CPU], threads) if session is None else session
        self.infer: Infer = self._network(graphs[self.device])
        self.computed = Computed()
        """Units of all passes that ended well; replaced whole, so that another thread may look at it."""

    def _network(self, path: Path) -> Infer:
        if [i.name for i in self._session.get_inputs()] == ["ids"]:
            return padded(self._padded, GPU if self.device == "cuda" else CORE)
        try:
            return flat(self._flat, Offsets.of(self._session.get_modelmeta().custom_metadata_map))
        except (KeyError, ValueError):
            raise Misconfigured(
                f"{path} is a graph of another textstream: export the bundle again, or install it again"
            ) from None

    def _padded(self, ids: Ids) -> tuple[Logits, Logits]:
        said = self._run({"ids": ids})
        units = int(np.count_nonzero(ids[..., 0]))  # 0 is padding, everywhere
        self.computed = self.computed.plus(units, ids[..., 0].size - units)
        return said

    def _flat(self, feed: Feed) -> tuple[Logits, Logits]:
        said = self._run(feed)
        self.computed = self.computed.plus(len(said[1]) - 1, 0)  # row 0 is nobody's
        return said

    def _run(self, feed: Feed) -> tuple[Logits, Logits]:
        try:
            sentiment, tokens = self._session.run(None, feed)
        except Exception as error:  # onnxruntime's own exceptions share no base but Exception
            if out_of_memory(error):
                raise OutOfMemory(str(error).rsplit("Status Message: ", 1)[-1].strip()) from None
            raise
        return sentiment, tokens


def out_of_memory(error: Exception) -> bool:
    """Whether that is what an exception of onnxruntime says."""
    return any(sign in str(error) for sign in _NO_MEMORY)


def _on_cuda(path: Path, threads: int) -> ort.InferenceSession | None:
    """None where there is no usable CUDA. Without a driver nothing is loaded, which would be for the CPU and in vain."""
    if _CUDA not in ort.get_available_providers() or not _driver():
        return None
    session = _open(path, [_CUDA, _CPU], threads)
    return session if _CUDA in session.get_providers() else None


def _open(path: Path, providers: list[str], threads: int) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(path), options(threads), providers=providers)
    except Exception as error:  # onnxruntime's own exceptions share no base but Exception
        raise Misconfigured(f"onnxruntime cannot load {path}: {str(error).splitlines()[0]}") from None


def options(threads: int) -> ort.SessionOptions:
    """How a graph is opened; 0 threads are as many as there are CPUs to use."""
    found = ort.SessionOptions()
    found.intra_op_num_threads = threads or usable_cpus()
    found.inter_op_num_threads = 1
    # A plan of memory for each shape of input: nearly every pass has a new one, so plans cost time and are kept for ever.
    found.enable_mem_pattern = False
    # Tables of 8 bits are unpacked once, as constants are; else DequantizeLinear waits for operators on integers, in each pass.
    found.add_session_config_entry("session.disable_quant_qdq", "1")
    return found


def _driver() -> bool:
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True
