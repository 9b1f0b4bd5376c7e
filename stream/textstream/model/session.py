"""An onnxruntime session on the device that was asked for, and nowhere else."""

from pathlib import Path
from typing import Literal

import onnxruntime as ort

from textstream.errors import Misconfigured
from textstream.model.flat import Feed, Offsets, flat
from textstream.model.packing import Ids, Infer, Logits, padded

Device = Literal["auto", "cpu", "cuda"]
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_FATAL = 4  # onnxruntime's most quiet level


class Session:
    """One loaded graph; `infer` is the network in it, whatever the layout of its passes."""

    def __init__(self, path: Path, device: Device = "auto", threads: int = 1) -> None:
        ort.disable_telemetry_events()
        ort.set_default_logger_severity(_FATAL)  # a missing CUDA library is reported below, in one line
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A plan of memory for each shape of input: nearly every pass has a new one, so plans cost time and are kept for ever.
        options.enable_mem_pattern = False
        wanted = [_CPU] if device == "cpu" else [_CUDA, _CPU]
        offered = set(ort.get_available_providers())
        try:
            self._session = ort.InferenceSession(str(path), options, providers=[p for p in wanted if p in offered])
        except Exception as error:  # onnxruntime's own exceptions share no base but Exception
            raise Misconfigured(f"onnxruntime cannot load {path}: {str(error).splitlines()[0]}") from None
        self.device: Literal["cpu", "cuda"] = "cuda" if _CUDA in self._session.get_providers() else "cpu"
        if device == "cuda" and self.device != "cuda":  # onnxruntime falls back to the CPU without a word
            raise Misconfigured(
                "device = cuda, but onnxruntime found no usable CUDA: pip install 'textstream[gpu]' on a machine with an "
                "NVIDIA driver, or set model.device to auto or cpu"
            )
        self.infer: Infer = padded(self._padded) if self._reads_padded() else flat(self._flat, self._offsets(path))

    def _reads_padded(self) -> bool:
        return [i.name for i in self._session.get_inputs()] == ["ids"]

    def _offsets(self, path: Path) -> Offsets:
        try:
            return Offsets.of(self._session.get_modelmeta().custom_metadata_map)
        except (KeyError, ValueError):
            raise Misconfigured(
                f"{path} is a graph of another textstream: export the bundle again, or install it again"
            ) from None

    def _padded(self, ids: Ids) -> tuple[Logits, Logits]:
        sentiment, tokens = self._session.run(None, {"ids": ids})
        return sentiment, tokens

    def _flat(self, feed: Feed) -> tuple[Logits, Logits]:
        sentiment, tokens = self._session.run(None, feed)
        return sentiment, tokens
