"""The model bundles that lie in the repository."""

from pathlib import Path

import pytest

from textstream.model import bundle as files

TRAINED = Path(__file__).parents[2] / "export" / "bundles"
"""Where those lie that are not in the package."""
SHIPPED = {"swift": files.PACKAGED / "swift", "deep": TRAINED / "deep"}

each_shipped = pytest.mark.parametrize("name", SHIPPED)
