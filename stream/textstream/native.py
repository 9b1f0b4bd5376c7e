"""Whether the compiled part is here: the loops that cost most of a message, in `_native.pyx`.

Each of its functions names the Python that says the same, which is the specification: the same tests run on both. Where it
could not be built (no C compiler) all works without it, slower.
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

compiled: ModuleType | None = import_module("textstream._native") if find_spec("textstream._native") else None


def way() -> str:
    """Which of the two runs, for operators."""
    return "pure Python" if compiled is None else "compiled"
