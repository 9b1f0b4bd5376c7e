"""What a cascade gains and costs at each margin, and the margin to take: measured on held-out train rows, never on dev rows.

Both models score every row once; what a cascade says at a margin then follows without asking either again.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textstream.errors import Misconfigured
from textstream.event import LABELS, Sentiment
from textstream.model.cascade import margin
from textstream.model.scorer import Scorer
from textstream_export.data import LANGUAGES, Row, read_train, split_held_out
from textstream_export.evaluate import CHUNK, rows_that_score, said_labels
from textstream_export.gold import message_labels
from textstream_export.measures import label_scores
from textstream_export.own import in_languages, is_own
from textstream_export.plots import ACCENT, INK, PALE, panel, save
from textstream_export.soft import Tokenise
from textstream_export.sources import CALIBRATED_ON

MARGINS = tuple(round(0.02 * step, 2) for step in range(51))
MAX_ROWS = 1500
"""Of one source."""
ENOUGH = 0.9
"""Part of what the second model gains over the first that a cascade should keep: the last tenth costs as much as the rest."""


@dataclass(frozen=True, slots=True)
class Point:
    """A cascade at one margin."""

    margin: float
    sent: float
    """Share of the messages that the second model scores too."""
    rate: float
    """Messages a second on one core, from both models' own."""
    scores: dict[str, float]
    """Language → macro-F1 of the emitted labels."""

    @property
    def mean(self) -> float:
        """Over the languages, each counting the same."""
        return float(np.mean(list(self.scores.values())))


@dataclass(frozen=True, slots=True)
class Curve:
    """From never asking the second model to always asking it."""

    points: tuple[Point, ...]
    chosen: Point
    rows: int

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        points = [asdict(point) | {"mean": round(point.mean, 4)} for point in self.points]
        return {"rows": self.rows, "chosen_margin": self.chosen.margin, "keeps": ENOUGH, "points": points}

    def as_markdown(self) -> str:
        """For readers: every fifth margin and the chosen one, in bold."""
        languages = list(self.chosen.scores)
        shown = [point for at, point in enumerate(self.points) if at % 5 == 0 or point is self.chosen]
        lines = [
            f"| margin | sent on | messages/s | {' | '.join(f'{language} macro-F1' for language in languages)} | mean |",
            "|" + "---|" * (4 + len(languages)),
        ]
        for point in shown:
            cells = [
                f"{point.margin:.2f}", f"{point.sent:.1%}", f"{point.rate:,.0f}",
                *(f"{point.scores[language]:.3f}" for language in languages), f"{point.mean:.3f}",
            ]  # fmt: skip
            lines.append("| " + " | ".join(f"**{cell}**" if point is self.chosen else cell for cell in cells) + " |")
        return "\n".join(lines)


def measure(first: Scorer, second: Scorer, data: Path) -> Curve:
    """The curve on `data`: the held-out train rows of a folder, or every labelled row of a file, ours or a user's own."""
    rows = rows_to_choose_on(data, first.tokenise)
    gold = message_labels(rows)
    languages = np.array([row.lang for row in rows])
    moods, seconds = timed(first, rows)
    better, better_seconds = timed(second, rows)
    margins = np.array([margin(mood and [mood["probabilities"][label] for label in LABELS]) for mood in moods])
    readable = np.array([mood is not None for mood in better])
    said, said_better = said_labels(moods), said_labels(better)
    points = tuple(
        _point(at, margins < at, np.where((margins < at) & readable, said_better, said), gold, languages,
               seconds / len(rows), better_seconds / len(rows))
        for at in MARGINS
    )  # fmt: skip
    return Curve(points, choose(points), len(rows))


def rows_to_choose_on(data: Path, tokenise: Tokenise) -> list[Row]:
    """Rows with labels of all three classes, at most MAX_ROWS of a source. Raises Misconfigured where there are none."""
    if data.is_dir():
        found = split_held_out(read_train(data))[1]
    else:
        found = in_languages(data, tokenise, LANGUAGES) if is_own(data) else rows_that_score(data)
    sources: dict[str, list[Row]] = {}
    for row in found:
        if row.label and (data.is_file() or row.source in CALIBRATED_ON):
            sources.setdefault(row.source, []).append(row)
    if not sources:
        raise Misconfigured(f"{data} has no row with a sentiment label to choose a margin on")
    return [row for _, own in sorted(sources.items()) for row in own[:: -(-len(own) // MAX_ROWS)]]


def timed(scorer: Scorer, rows: Sequence[Row]) -> tuple[list[Sentiment | None], float]:
    """Every row's sentiment, and the seconds of this process that it took: other work on the machine does not count."""
    started = time.process_time()
    chunks = (rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK))
    moods = [event["sentiment"] for chunk in chunks for event in scorer.score([row.text for row in chunk])]
    return moods, time.process_time() - started


def choose(points: Sequence[Point]) -> Point:
    """The cheapest point that keeps ENOUGH of what always asking the second model gains; the first if that gains nothing."""
    never, always = points[0].mean, points[-1].mean
    wanted = never + ENOUGH * (always - never)
    return next(point for point in points if point.mean >= wanted) if always > never else points[0]


def plot(curve: Curve, path: Path) -> None:
    """Score against the share that is sent on, a line a language; the rate at each end and at the chosen margin."""
    figure, axes = panel(5.2, 3.2)
    sent = [100 * point.sent for point in curve.points]
    for language, colour in zip(curve.chosen.scores, (ACCENT, INK), strict=False):
        axes.plot(sent, [point.scores[language] for point in curve.points], color=colour, label=language)
    axes.axvline(100 * curve.chosen.sent, color=PALE, linestyle="--")
    bottom = axes.get_ylim()[0]
    for point in (curve.points[0], curve.chosen, curve.points[-1]):
        place = {0: "left", len(curve.points) - 1: "right"}.get(curve.points.index(point), "center")
        axes.annotate(f"{point.rate:,.0f}/s", (100 * point.sent, bottom), ha=place, va="bottom", color=INK, fontsize=8)
    axes.set(xlabel="messages sent on, %", ylabel="macro-F1", title=f"cascade, chosen margin {curve.chosen.margin:.2f}")
    axes.legend(frameon=False, loc="lower right")
    save(figure, path)


def _point(
    at: float, sent: NDArray[np.bool_], said: NDArray[np.int64], gold: NDArray[np.int64], languages: NDArray[np.str_],
    cost: float, cost_of_second: float,
) -> Point:  # fmt: skip
    """Costs are seconds a message."""
    share = float(sent.mean())
    scores = {
        str(language): round(label_scores(gold[languages == language], said[languages == language])["macro_f1"], 4)
        for language in np.unique(languages)
    }
    return Point(at, round(share, 4), round(1 / (cost + share * cost_of_second), 1), scores)
