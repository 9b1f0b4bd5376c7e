"""Work on texts, shared out over processes.

They are forked, so they see all that the caller has loaded, and nothing but the items and what was made of them is copied.
Fork before a GPU is touched: its state does not survive that.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_work: Callable[[Any], Any]


def cores() -> int:
    """How many processes this machine has cores for."""
    return len(os.sched_getaffinity(0))


@contextmanager
def shared_out(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[Iterator[R]]:
    """`work(item)` for each item, in their order, by as many processes; by this one where there is but one."""
    global _work
    if workers <= 1 or len(items) <= 1:
        yield map(work, items)
        return
    _work = work  # what is forked from here on has it
    with multiprocessing.get_context("fork").Pool(min(workers, len(items))) as pool:
        yield pool.imap(_call, items)


def _call(item: Any) -> Any:
    return _work(item)
