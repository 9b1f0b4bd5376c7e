"""What tests need that a machine may lack."""

from collections.abc import Callable
from typing import TypeVar

import pytest

Found = TypeVar("Found")


def needed(look: Callable[[], Found], missing: type[Exception]) -> Found:
    """What `look` finds; where it raises `missing` the tests fail and say what that is, without a traceback of ours."""
    try:
        return look()
    except missing as error:
        said = str(error)
    pytest.fail(said, pytrace=False)
