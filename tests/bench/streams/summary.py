"""From runs to figures: medians, ratios within a round, and how they stand against what is to be reached."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

FIGURES = ("rate", "cpu_s_per_million", "resident_mib", "first_s")
Runs = Mapping[str, Sequence[Mapping[str, Any] | None]]
"""For each contender its window of each round; None where there is none."""


class Reach(NamedTuple):
    """`figure` of one contender over that of another; at least or at most `bound`."""

    over: str
    under: str
    figure: str
    bound: float
    at_most: bool = False


class Limit(NamedTuple):
    """A figure of one contender by itself, at least or at most `bound`; with a `load`, one of its latency there."""

    of: str
    figure: str
    bound: float
    at_most: bool = True
    load: str = ""


LIMITS = (
    Limit("swift", "rate", 25_000, at_most=False),
    Limit("swift", "resident_mib", 300e6 / 2**20),
    Limit("swift", "first_s", 3),
    Limit("swift", "p50_ms", 8, load="0.1"),
    Limit("swift", "p99_ms", 25, load="0.5"),
    Limit("swift", "p99_ms", 100, load="0.8"),
)
REACHES = (
    Reach("noop", "raw", "rate", 0.6),
    Reach("noop", "bytewax", "rate", 1.3),
    Reach("noop", "quix", "rate", 2.5),
    Reach("noop", "arroyo", "rate", 4),
    Reach("noop", "faust", "rate", 25),
    Reach("noop-exactly-once", "quix-exactly-once", "rate", 2.5),
    Reach("swift-exactly-once", "swift", "rate", 0.9),
    Reach("swift", "bytewax-vader-yake", "rate", 40),
    Reach("swift", "bytewax-minilm", "rate", 150),
    Reach("swift", "bytewax-swift", "rate", 5),
    Reach("swift", "quix-swift", "rate", 5),
    Reach("noop-2", "noop", "cpu_s_per_million", 1.05, at_most=True),
    Reach("swift-2", "swift", "cpu_s_per_million", 1.05, at_most=True),
    Reach("deep-2", "deep", "cpu_s_per_million", 1.05, at_most=True),
)


def medians(runs: Runs) -> dict[str, dict[str, float]]:
    """Of each figure over the rounds that there are."""
    found = {}
    for name, windows in runs.items():
        there = [window for window in windows if window is not None]
        if there:
            found[name] = {figure: round(median(one[figure] for one in there), 3) for figure in FIGURES}
    return found


def ratio(over: Sequence[Mapping[str, Any] | None], under: Sequence[Mapping[str, Any] | None], figure: str) -> float | None:
    """The median of the ratios within each round: what drifts between rounds is no part of it."""
    pairs = [
        one[figure] / other[figure] for one, other in zip(over, under, strict=False) if one is not None and other is not None
    ]
    return median(pairs) if pairs else None


def reached(runs: Runs, latencies: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    """Each of `REACHES` and `LIMITS` whose contenders were measured."""
    said = []
    for one in REACHES:
        found = ratio(runs.get(one.over, []), runs.get(one.under, []), one.figure)
        if found is not None:
            met = found <= one.bound if one.at_most else found >= one.bound
            bound = {"at_most" if one.at_most else "at_least": one.bound}
            said.append(
                {"over": one.over, "under": one.under, "figure": one.figure, "ratio": round(found, 3), **bound, "met": met}
            )
    by_name = medians(runs)
    for limit in LIMITS:
        figures = latencies.get(limit.of, {}).get(limit.load, {}) if limit.load else by_name.get(limit.of, {})
        if limit.figure in figures:
            value = figures[limit.figure]
            met = value <= limit.bound if limit.at_most else value >= limit.bound
            bound = {"at_most" if limit.at_most else "at_least": round(limit.bound, 1)}
            load = {"load": limit.load} if limit.load else {}
            said.append({"of": limit.of, "figure": limit.figure, **load, "value": value, **bound, "met": met})
    return said


def fastest(runs: Runs, names: Sequence[str]) -> list[str]:
    """Of these contenders those that were measured, the one with the highest rate first."""
    found = medians({name: runs[name] for name in names if name in runs})
    return sorted(found, key=lambda name: -found[name]["rate"])
