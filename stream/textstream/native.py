"""Whether the compiled part is here: the loops that cost most of a message, in `_native.pyx`.

Each of its functions names the Python that says the same, which is the specification: the same tests run on both. Where it
could not be built (no C compiler), or was built for another system, all works without it, slower.
"""

from importlib import import_module
from types import ModuleType


def _found() -> ModuleType | None:
    try:
        return import_module("textstream._native")
    except ImportError:
        return None


compiled = _found()


def way() -> str:
    """Which of the two runs, for operators."""
    return "pure Python" if compiled is None else "compiled"
