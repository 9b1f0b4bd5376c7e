"""An onnxruntime session on the device that was asked for, and nowhere else."""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from textstream.errors import Misconfigured
from textstream.model.bundle import Kernel

Device = Literal["auto", "cpu", "cuda"]
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_DRIVER = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
_FATAL = 4  # onnxruntime's most quiet level


class Session:
    """One loaded graph: ids (batch, units, features) → sentiment (batch, 3), tokens (batch, units, outputs)."""

    def __init__(self, graphs: Mapping[Kernel, Path], device: Device = "auto", threads: int = 1) -> None:
        ort.disable_telemetry_events()
        ort.set_default_logger_severity(_FATAL)  # a missing CUDA library is reported below, in one line
        self.device: Kernel = "cpu"
        if device != "cpu" and _CUDA in ort.get_available_providers() and _driver():
            self._session = _open(graphs["cuda"], [_CUDA, _CPU], threads)
            if _CUDA in self._session.get_providers():
                self.device = "cuda"
                return
        if device == "cuda":  # onnxruntime falls back to the CPU without a word
            raise Misconfigured(
                "device = cuda, but onnxruntime found no usable CUDA: pip install 'textstream[gpu]' on a machine with an "
                "NVIDIA driver, or set model.device to auto or cpu"
            )
        self._session = _open(graphs["cpu"], [_CPU], threads)

    def run(self, ids: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One pass over a padded batch."""
        sentiment, tokens = self._session.run(None, {"ids": ids})
        return sentiment, tokens


def _open(path: Path, providers: list[str], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A plan of memory for each shape of input: nearly every pass has a new one, so plans cost time and are kept for ever.
    options.enable_mem_pattern = False
    try:
        return ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions share no base but Exception
        raise Misconfigured(f"onnxruntime cannot load {path}: {str(error).splitlines()[0]}") from None


def _driver() -> bool:
    """Whether there is an NVIDIA driver: without one, onnxruntime would load the GPU's graph for the CPU, in vain."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True
