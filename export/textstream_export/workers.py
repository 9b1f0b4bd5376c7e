"""Work on texts, shared out over processes.

They are forked, so they see all that the caller has loaded, and nothing but the items and what was made of them is copied.
What they do must not touch a GPU: its state does not survive a fork.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from textstream.errors import Misconfigured

AHEAD = 2
"""Items a process that are begun before what was made of the first is taken: what waits lies in memory, and a teacher may be
slower than those who cut its texts."""
T = TypeVar("T")
R = TypeVar("R")

_work: Callable[[Any], Any]


@contextmanager
def shared_out(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[Iterator[R]]:
    """`work(item)` for each item, in their order, by as many processes; by this one where there is but one.

    They are forked on entry. Raises Misconfigured where one of them is killed.
    """
    global _work
    workers = min(workers, len(items))
    if workers <= 1:
        yield map(work, items)
        return
    _work = work  # what is forked from here on has it
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"))
    try:
        rest = iter(items)
        begun = deque(pool.submit(_call, item) for item in islice(rest, AHEAD * workers))
        yield _in_order(pool, begun, rest)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, begun: deque[Future[R]], rest: Iterable[Any]) -> Iterator[R]:
    """What was made of each item; for one that is taken, another one is begun."""
    more = iter(rest)
    try:
        while begun:
            made = begun.popleft().result()
            begun.extend(pool.submit(_call, item) for item in islice(more, 1))
            yield made
    except BrokenProcessPool:
        raise Misconfigured(
            "a process that prepares texts was killed, likely for want of memory: take fewer with --workers"
        ) from None


def _call(item: Any) -> Any:
    return _work(item)
