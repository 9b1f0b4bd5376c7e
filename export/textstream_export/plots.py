"""Plots for the model card and the README, from plain numbers to small files: SVG or PNG, by the name's ending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from textstream.errors import Misconfigured
from textstream.event import LABELS
from textstream_export.evaluate import Verdict, chances, said_labels
from textstream_export.gold import message_labels
from textstream_export.measures import ECE_BINS, UNSAID

INK, PALE, ACCENT = "#334155", "#cbd5e1", "#0f766e"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and found by a search
    "svg.hashsalt": "textstream",  # the same file on every run
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.axisbelow": True,
}


@dataclass(frozen=True, slots=True)
class Point:
    """One system in a plot of quality against rate."""

    name: str
    rate: float
    """Messages a second."""
    quality: float
    ours: bool = False


def confusion(counts: NDArray[np.int64], title: str, path: Path) -> None:
    """`counts` is (gold, said), in the order of LABELS; each cell also says its share of the gold label."""
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    figure, axes = panel(3.4, 3.0)
    axes.imshow(share, cmap="Greens", vmin=0, vmax=1)
    for gold, said in np.ndindex(*counts.shape):
        colour = "white" if share[gold, said] > 0.6 else INK
        axes.text(said, gold, f"{counts[gold, said]:,}\n{share[gold, said]:.0%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(LABELS)), LABELS)
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set(xlabel="said", ylabel="gold", title=title)
    save(figure, path)


def reliability(sure: NDArray[np.float64], right: NDArray[np.bool_], title: str, path: Path) -> None:
    """How often a label is right against the probability it was given, both (rows,); bars below show where the rows are."""
    bins = np.minimum((sure * ECE_BINS).astype(int), ECE_BINS - 1)
    filled = np.unique(bins)
    said = [sure[bins == b].mean() for b in filled]
    true = [right[bins == b].mean() for b in filled]
    figure, axes = panel(3.4, 3.0)
    axes.bar((filled + 0.5) / ECE_BINS, [np.mean(bins == b) for b in filled], 1 / ECE_BINS, color=PALE, label="share of rows")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--")
    axes.plot(said, true, color=ACCENT, marker="o", markersize=4, label="share right")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="emitted probability of the label", title=title)
    axes.legend(frameon=False, loc="upper left")
    save(figure, path)


def learning_curves(curves: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, title: str, path: Path) -> None:
    """A line for each name, of (x, y) points in order."""
    figure, axes = panel(5.2, 3.0)
    for name, points in curves.items():
        axes.plot(*np.array(points, np.float64).reshape(-1, 2).T, linewidth=1.2, label=name)
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.legend(frameon=False)
    save(figure, path)


def quality_against_rate(panels: Mapping[str, Sequence[Point]], path: Path) -> None:
    """A panel for each task, its title naming the measure: up and to the right is better."""
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * columns, 3.3 * lines), layout="constrained")
        for at, (title, points) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(lines, columns, at)
            axes.set_xscale("log")
            decades = np.log10([point.rate for point in points])
            axes.set_xlim(10 ** np.floor(decades.min()), 10 ** (np.ceil(decades.max() + 0.3)))  # with room for a name
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.margins(y=0.12)
            axes.grid(color=PALE, linewidth=0.4)
            axes.set(title=title, xlabel="messages a second, one core")
            for point in points:
                axes.scatter([point.rate], [point.quality], s=28 if point.ours else 16, color=ACCENT if point.ours else INK)
        figure.draw_without_rendering()  # places are known only once the axes are laid out
        for axes, points in zip(figure.axes, panels.values(), strict=True):
            _name_points(axes, points)
    save(figure, path)


def _name_points(axes: Axes, points: Sequence[Point]) -> None:
    """The names beside their points, each at the first of four places where it covers no other name and no point."""
    dots = [axes.transData.transform((point.rate, point.quality)) for point in points]
    taken = [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5) for x, y in dots]
    for point, dot in sorted(zip(points, taken, strict=True), key=lambda pair: not pair[0].ours):
        others = [box for box in taken if box is not dot]
        for right, up in ((True, True), (True, False), (False, True), (False, False)):
            name = axes.annotate(
                point.name, (point.rate, point.quality), xytext=(5 if right else -5, 4 if up else -11),
                textcoords="offset points", ha="left" if right else "right", fontsize=8,
                color=ACCENT if point.ours else INK, fontweight="bold" if point.ours else "normal",
            )  # fmt: skip
            box = name.get_window_extent()
            if not any(box.overlaps(other) for other in others) or not (right or up):
                break
            name.remove()
        taken.append(box)


def plot_verdicts(verdicts: Sequence[Verdict], groups: Mapping[str, Sequence[int]], folder: Path) -> list[Path]:
    """`confusion-SOURCE.svg` and `reliability-SOURCE.svg` for each source that has all three labels."""
    written: list[Path] = []
    for source, places in groups.items():
        gold = message_labels([verdicts[at].row for at in places])
        if len(np.unique(gold)) < len(LABELS):
            continue
        moods = [verdicts[at].event["sentiment"] for at in places]
        said = said_labels(moods)
        gold, said = gold[said != UNSAID], said[said != UNSAID]
        counts = np.zeros((len(LABELS), len(LABELS)), np.int64)
        np.add.at(counts, (gold, said), 1)
        written += [folder / f"confusion-{source}.svg", folder / f"reliability-{source}.svg"]
        confusion(counts, source, written[-2])
        reliability(chances(moods).max(1), gold == said, source, written[-1])
    return written


def save(figure: Figure, path: Path) -> None:
    """Write a figure. Raises Misconfigured where it cannot."""
    with mpl.rc_context(STYLE):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise Misconfigured(f"cannot write the plot {path}: {error.strerror}") from None


def panel(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, in our style; sizes in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()
