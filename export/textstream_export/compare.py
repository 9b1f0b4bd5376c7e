"""Two bundles on the same rows: the difference of each measure by source, whether it could be chance, and what flipped.

Every measure here is a function of counts summed over rows (which label was taken for which; terms right, said and gold).
So a paired test only has to sum other rows: the p-value is by approximate randomisation (each row's two answers swapped with
a chance of one half, Noreen 1989), the interval by paired bootstrap (rows drawn with replacement). Both are seeded. Terms of
one message are swapped and drawn together: they are not independent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textstream.event import KINDS, LABELS, Kind, Label, Sentiment
from textstream_export.evaluate import Verdict, said_labels, signs
from textstream_export.gold import NEUTRAL, gold_terms, kind_of, message_labels, term_labels
from textstream_export.measures import UNSAID, Labels, key, present
from textstream_export.report import table

ROUNDS = 2000
"""Of swapping and of drawing: the least p-value is 1 / 2001."""
SEED = 20261123
INTERVAL = (2.5, 97.5)

Counts = NDArray[np.float64]
"""(rows, cells), to be summed over rows."""
Statistic = Callable[[Counts], NDArray[np.float64]]
"""Summed counts (…, cells) → the measure (…)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure on one source."""

    source: str
    measure: str
    rows: int
    first: float
    second: float
    difference: float
    """Second minus first."""
    low: float
    high: float
    """95 % interval of the difference."""
    p: float
    """How often chance alone would make as large a difference."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A row that one of the two has right, or more of it right."""

    source: str
    text: str
    gold: str
    first: str
    second: str
    gain: float
    """What the second adds to the probability of the gold label, or to the F1 of this row's terms."""


def compare(
    first: Sequence[Verdict], second: Sequence[Verdict], groups: Mapping[str, Sequence[int]], seed: int = SEED
) -> list[Difference]:
    """Every difference, by source. Both verdicts are on the same rows, in the same order."""
    assert [v.row for v in first] == [v.row for v in second], "the two did not judge the same rows"
    found: list[Difference] = []
    for source, places in groups.items():
        a, b = ([verdicts[at] for at in places] for verdicts in (first, second))
        for (measure, statistic, ours), (_, _, theirs) in zip(_countable(a), _countable(b), strict=True):
            found.append(_difference(source, measure, statistic, ours, theirs, np.random.default_rng(seed)))
    return found


def flips(first: Sequence[Verdict], second: Sequence[Verdict], places: Sequence[int], source: str, most: int) -> list[Flip]:
    """The rows of a source that moved most from right to wrong or back, at most `most` of each."""
    moved = [flip for at in places if (flip := _flip(source, first[at], second[at]))]
    worse = sorted((flip for flip in moved if flip.gain < 0), key=lambda flip: flip.gain)
    better = sorted((flip for flip in moved if flip.gain > 0), key=lambda flip: -flip.gain)
    return [*worse[:most], *better[:most]]


def as_markdown(first: str, second: str, differences: Sequence[Difference], flipped: Sequence[Flip]) -> str:
    """The table, then the rows that flipped."""
    rows = [
        (d.source, d.measure, str(d.rows), f"{d.first:.3f}", f"{d.second:.3f}", f"{d.difference:+.3f}",
         f"{d.low:+.3f} … {d.high:+.3f}", f"{d.p:.4f}")
        for d in differences
    ]  # fmt: skip
    out = table(("source", "measure", "rows", first, second, "difference", "95 % interval", "p"), rows)
    out += f"\np by approximate randomisation, interval by paired bootstrap, {ROUNDS} rounds each.\n"
    for source in dict.fromkeys(flip.source for flip in flipped):
        own = [flip for flip in flipped if flip.source == source]
        out += f"\n### {source}: what flipped\n\n"
        out += "".join(f"- {f.gain:+.3f} gold {f.gold}: {f.first} → {f.second}: {' '.join(f.text.split())}\n" for f in own)
    return out


def as_json(first: str, second: str, differences: Sequence[Difference], flipped: Sequence[Flip]) -> dict[str, Any]:
    """The same, for machines."""
    return {
        "first": first,
        "second": second,
        "differences": [asdict(difference) for difference in differences],
        "flips": [asdict(flip) for flip in flipped],
    }


def _countable(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, Statistic, Counts]]:
    """The measures of one source's rows: name, statistic and the counts of each row."""
    if verdicts[0].row.label:
        gold = message_labels([v.row for v in verdicts])
        moods = [v.event["sentiment"] for v in verdicts]
        owner = np.arange(len(gold))
        by_label = _confusion(gold, said_labels(moods), owner, len(gold))
        if NEUTRAL not in gold:
            yield "pos_neg_accuracy", accuracy, _confusion(gold, signs(moods), owner, len(gold))
        yield "accuracy", accuracy, by_label
        yield "macro_recall", macro_recall, by_label
        yield "macro_f1", macro_f1, by_label
        return
    kind = kind_of(verdicts[0].row)
    yield "f1", f1, np.array([_term_counts(v, KINDS) for v in verdicts])
    yield "own/f1", f1, np.array([_term_counts(v, (kind,)) for v in verdicts])
    if any(v.row.aspects for v in verdicts):
        owner = np.array([at for at, v in enumerate(verdicts) for _ in v.row.aspects or ()], np.int64)
        given = said_labels([mood for v in verdicts for mood in v.towards])
        counts = _confusion(term_labels([v.row for v in verdicts]), given, owner, len(verdicts))
        yield "towards/accuracy", accuracy, counts
        yield "towards/macro_f1", macro_f1, counts


def _difference(
    source: str, measure: str, statistic: Statistic, first: Counts, second: Counts, rng: np.random.Generator
) -> Difference:
    a, b = float(statistic(first.sum(0))), float(statistic(second.sum(0)))
    rows = len(first)
    swap = rng.integers(0, 2, (ROUNDS, rows), np.int8).astype(np.float32)
    moved = swap @ (second - first)  # (rounds, cells)
    by_chance = statistic(second.sum(0) - moved) - statistic(first.sum(0) + moved)
    drawn = rng.multinomial(rows, np.full(rows, 1 / rows), ROUNDS).astype(np.float32)
    low, high = np.percentile(statistic(drawn @ second) - statistic(drawn @ first), INTERVAL)
    as_large = int((np.abs(by_chance) >= abs(b - a) - 1e-12).sum())
    return Difference(source, measure, rows, a, b, b - a, float(low), float(high), (as_large + 1) / (ROUNDS + 1))


def _confusion(gold: Labels, said: Labels, owner: NDArray[np.int64], rows: int) -> Counts:
    """(rows, 3 · 4): how often each row took which label for which; `owner` is the row that an answer belongs to."""
    counts = np.zeros((rows, len(LABELS) * (UNSAID + 1)))
    np.add.at(counts, (owner, gold * (UNSAID + 1) + said), 1)
    return counts


def _square(counts: Counts) -> Counts:
    return counts.reshape(*counts.shape[:-1], len(LABELS), UNSAID + 1)


def accuracy(counts: Counts) -> NDArray[np.float64]:
    """Of a summed confusion."""
    square = _square(counts)
    return np.asarray(np.trace(square, axis1=-2, axis2=-1) / np.maximum(1, counts.sum(-1)))


def macro_recall(counts: Counts) -> NDArray[np.float64]:
    """Of a summed confusion, over the classes that gold has."""
    square = _square(counts)
    gold = square.sum(-1)  # (…, 3)
    right = np.diagonal(square, axis1=-2, axis2=-1)
    return np.asarray((right / np.maximum(1, gold)).sum(-1) / np.maximum(1, (gold > 0).sum(-1)))


def macro_f1(counts: Counts) -> NDArray[np.float64]:
    """Of a summed confusion, over the classes that gold has."""
    square = _square(counts)
    gold, said = square.sum(-1), square.sum(-2)[..., : len(LABELS)]
    right = np.diagonal(square, axis1=-2, axis2=-1)
    each = np.where(gold > 0, 2 * right / np.maximum(1, gold + said), 0)
    return np.asarray(each.sum(-1) / np.maximum(1, (gold > 0).sum(-1)))


def f1(counts: Counts) -> NDArray[np.float64]:
    """Of summed (right, said, gold)."""
    return np.asarray(2 * counts[..., 0] / np.maximum(1, counts[..., 1] + counts[..., 2]))


def _terms(verdict: Verdict, kinds: Sequence[Kind]) -> set[str]:
    return {key(term["text"]) for term in verdict.event["key_terms"] if term["kind"] in kinds}


def _term_counts(verdict: Verdict, kinds: Sequence[Kind]) -> tuple[int, int, int]:
    gold, said = present(gold_terms(verdict.row), verdict.row.text), _terms(verdict, kinds)
    return len(gold & said), len(said), len(gold)


def _flip(source: str, first: Verdict, second: Verdict) -> Flip | None:
    row = first.row
    if row.label:
        moods = [verdict.event["sentiment"] for verdict in (first, second)]
        a, b = ((LABELS[said] if said != UNSAID else "none") for said in said_labels(moods).tolist())
        gain = _chance(moods[1], row.label) - _chance(moods[0], row.label)
        return Flip(source, row.text, row.label, a, b, gain) if (a == row.label) != (b == row.label) else None
    counts = [np.array(_term_counts(verdict, KINDS), np.float64) for verdict in (first, second)]
    gain = float(f1(counts[1]) - f1(counts[0]))
    a, b = (", ".join(sorted(_terms(verdict, KINDS))) or "none" for verdict in (first, second))
    return Flip(source, row.text, ", ".join(sorted(present(gold_terms(row), row.text))) or "none", a, b, gain) if gain else None


def _chance(mood: Sentiment | None, label: Label) -> float:
    return mood["probabilities"][label] if mood else 0.0
