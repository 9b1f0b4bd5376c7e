"""With `pytestmark = both_ways` a module's tests run twice: with the compiled part, and with the Python that it stands for."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from textstream import native

T = TypeVar("T")
COMPILED, PURE = "compiled", "pure Python"


@pytest.fixture(scope="module", params=[COMPILED, PURE])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """One of the two, for as long as the module's tests run."""
    assert native.compiled is not None, "the compiled part is not built: install a C compiler, then make clean test"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == PURE:
            patch.setattr(native, "compiled", None)
        yield request.param


both_ways = pytest.mark.usefixtures("way")


def in_python(function: Callable[[], T]) -> T:
    """What a function gives without the compiled part, whatever runs beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "compiled", None)
        return function()
