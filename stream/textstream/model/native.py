"""Whether the compiled part is here: the loops that cost most of a message, in `_native.pyx`.

It says the same as the Python that it stands for, which is its specification, and the same tests run on both. Where it could not
be built (no C compiler) everything works without it, slower.
"""

import os
from types import ModuleType

compiled: ModuleType | None = None
if not os.environ.get("TEXTSTREAM_PURE"):
    try:
        from textstream.model import _native as compiled
    except ImportError:
        pass


def way() -> str:
    """Which of the two runs, for operators."""
    return "pure Python" if compiled is None else "compiled"
