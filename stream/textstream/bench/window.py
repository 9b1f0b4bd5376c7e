"""Which part of a run is its rate: behind the warm-up, and before the messages were used up."""

from collections.abc import Sequence
from typing import NamedTuple

LEAST_S = 0.3
"""A shorter part is no rate: it says more of buffers."""


class Seen(NamedTuple):
    """`out` messages are out at `at_s`."""

    at_s: float
    out: int


def sustained(seen: Sequence[Seen], *, warm_up_s: float, window_s: float, most: int) -> tuple[int, int] | None:
    """Places in `seen` of the first and the last of that part; None where it is too short for a rate.

    `most` are all messages there are: what was seen after the last came is no part, and where that leaves less than a quarter
    of the window, the warm-up is the first quarter of what there was.
    """
    last = max((at for at, one in enumerate(seen) if one.out < most), default=-1)
    first = next((at for at, one in enumerate(seen) if one.at_s >= seen[0].at_s + warm_up_s), len(seen))
    if first >= last or seen[last].at_s - seen[first].at_s < window_s / 4:
        first = (last + 1) // 4
    if last <= first or seen[last].at_s - seen[first].at_s < LEAST_S or seen[last].out <= seen[first].out:
        return None
    return first, last


def rate(seen: Sequence[Seen], part: tuple[int, int]) -> float:
    """Messages a second of that part."""
    first, last = (seen[at] for at in part)
    return (last.out - first.out) / (last.at_s - first.at_s)
