"""Results as plots, in the style of those of the models."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from textstream_export.plots import ACCENT, INK, PALE, STYLE, save

KINDS = {"limit": PALE, "raw": PALE, "peer": INK, "scorer": INK, "ours": ACCENT}
ENGINES = ("no-op", lambda about: about["scorer"] == "noop")
SCORERS = ("scoring", lambda about: about["scorer"] != "noop")


def comparison(results: Path, plot: Path) -> None:
    """A panel for engines, which compute nothing, and one for scorers: messages a second, the fastest above."""
    found = json.loads(results.read_text(encoding="utf-8"))
    panels = [
        (title, names)
        for title, belongs in (ENGINES, SCORERS)
        if (names := [name for name in found["medians"] if belongs(found["contenders"][name])])
    ]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8 * len(panels), 0.4 + 0.28 * max(len(names) for _, names in panels)), layout="constrained")
        for at, (title, names) in enumerate(panels, start=1):
            _bars(figure.add_subplot(1, len(panels), at), title, names, found)
    save(figure, plot)


def _bars(axes: Axes, title: str, names: list[str], found: Mapping[str, Any]) -> None:
    names = sorted(names, key=lambda name: found["medians"][name]["rate"])
    rates = [found["medians"][name]["rate"] for name in names]
    ours = {name: found["contenders"][name]["kind"] == "ours" for name in names}
    axes.barh(names, rates, 0.7, color=[KINDS[found["contenders"][name]["kind"]] for name in names])
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 3, max(rates) * 4)  # with room for the numbers
    for name, rate in zip(names, rates, strict=True):
        axes.text(rate * 1.1, name, f"{rate:,.0f}", va="center", fontsize=8)
    for label in axes.get_yticklabels():
        if ours[label.get_text()]:
            label.set(color=ACCENT, fontweight="bold")
    axes.set(title=title, xlabel="messages a second")
    axes.tick_params(axis="y", length=0)


def curves(results: Path, plot: Path) -> None:
    """A panel for each thing that grows: microseconds of CPU a message against it, and the straight line through the first."""
    found = json.loads(results.read_text(encoding="utf-8"))["curves"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.1 * len(found), 2.8), layout="constrained")
        for at, (name, curve) in enumerate(found.items(), start=1):
            axes = figure.add_subplot(1, len(found), at)
            grown = [point["at"] for point in curve["points"]]
            cost = [point["cost_us"] for point in curve["points"]]
            axes.plot(grown, cost, color=ACCENT, marker="o", markersize=3, linewidth=1.2)
            axes.plot(grown, [cost[0] * one / grown[0] for one in grown], color=INK, linewidth=0.8, linestyle="--")
            axes.set(xscale="log", yscale="log", ylim=(min(cost) / 2, max(cost) * 3), title=name)
            axes.set(xlabel=curve["unit"], ylabel=curve["cost"])
            axes.grid(color=PALE, linewidth=0.4)
    save(figure, plot)
