"""The score table of a bundle on the dev files, from the events that `Scorer.score` gives with default settings."""

from collections.abc import Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from textstream.event import LABELS, EnrichedEvent, Sentiment
from textstream.model.scorer import Scorer
from textstream.model.text import fold
from textstream_export.calibrate import gold_strings
from textstream_export.data import Row, read_rows, read_split
from textstream_export.sources import BINARY, CHANNELS

SHARED_RUN = 20
"""A dev row that shares a run of so many characters with a train row of its source is not unseen."""
ECE_BINS = 15
CHUNK = 256


def evaluate(scorer: Scorer, data: Path) -> dict[str, float]:
    """Every score of the card, by name; rates in 0…1."""
    rows = read_split(data, "dev")
    events = score_rows(scorer, rows)
    scores: dict[str, float] = {}
    for source in sorted({row.source for row in rows}):
        chosen = [(r, e) for r, e in zip(rows, events, strict=True) if r.source == source]
        if chosen[0][0].label:
            scores |= _named(source, sentiment_scores(chosen, binary=source in BINARY))
        else:
            scores |= _named(source, term_scores(chosen))
    unseen = without_shared_runs([(r, e) for r, e in zip(rows, events, strict=True) if r.source == "chnsenticorp"], data)
    if unseen:
        scores |= _named("chnsenticorp_unseen", sentiment_scores(unseen, binary=True))
    return {name: round(value, 4) for name, value in scores.items()}


def score_rows(scorer: Scorer, rows: Sequence[Row]) -> list[EnrichedEvent]:
    """The event of each row's text."""
    chunks = range(0, len(rows), CHUNK)
    bar = tqdm(chunks, desc="score", unit="chunk", mininterval=5)
    return [event for at in bar for event in scorer.score([row.text for row in rows[at : at + CHUNK]])]


def sentiment_scores(pairs: Sequence[tuple[Row, EnrichedEvent]], binary: bool) -> dict[str, float]:
    """Three-class scores; for a binary source the accuracy by the sign of `score`, and by label with neutral as wrong."""
    gold = np.array([LABELS.index(r.label) for r, _ in pairs if r.label])
    moods = [e["sentiment"] for _, e in pairs]
    label = np.array([LABELS.index(m["label"]) if m else 1 for m in moods])  # not scored: as good as neutral
    scores = {"rows": float(len(pairs)), "not_scored": float(np.mean([m is None for m in moods]))}
    if binary:
        sign = np.array([2 if m and m["score"] > 0 else 0 for m in moods])
        return scores | {"accuracy_by_score": float(np.mean(sign == gold)), "accuracy_by_label": float(np.mean(label == gold))}
    recall = [float(np.mean(label[gold == k] == k)) for k in np.unique(gold)]
    f1 = [2 * np.sum((label == k) & (gold == k)) / max(1, np.sum(label == k) + np.sum(gold == k)) for k in np.unique(gold)]
    accuracy = float(np.mean(label == gold))
    ece = calibration_error(moods, label == gold)
    return scores | {"accuracy": accuracy, "macro_recall": float(np.mean(recall)), "macro_f1": float(np.mean(f1)), "ece": ece}


def calibration_error(moods: Sequence[Sentiment | None], right: NDArray[np.bool_]) -> float:
    """Expected calibration error of the emitted label's probability."""
    sure = np.array([m["probabilities"][m["label"]] if m else 0.0 for m in moods])
    bins = np.minimum((sure * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [abs(right[bins == b].mean() - sure[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return float(sum(gaps))


def term_scores(pairs: Sequence[tuple[Row, EnrichedEvent]]) -> dict[str, float]:
    """Micro-F1 of what was emitted: string sets over all kinds and over the source's own kind, offsets where gold has them."""
    kind = CHANNELS[pairs[0][0].source]
    gold = [gold_strings(r) for r, _ in pairs]
    every = [{t["normalized"] for t in e["key_terms"]} for _, e in pairs]
    own = [{t["normalized"] for t in e["key_terms"] if t["kind"] == kind} for _, e in pairs]
    scores = {"rows": float(len(pairs)), "string_f1": micro_f1(gold, every), "string_f1_own_kind": micro_f1(gold, own)}
    placed = [(r, e) for r, e in pairs if r.aspects is not None]
    if placed:
        wanted = [{(a.begin, a.end) for a in r.aspects or ()} for r, _ in placed]
        scores["offset_f1"] = micro_f1(wanted, [mentions(e) for _, e in placed])
        scores |= towards_scores(placed)
    return scores


def towards_scores(pairs: Sequence[tuple[Row, EnrichedEvent]]) -> dict[str, float]:
    """Sentiment of the gold aspects that were found: accuracy, macro-F1, and the same if the message's label were copied."""
    gold, said, copied = [], [], []
    for row, event in pairs:
        places = {place: t["sentiment"]["label"] for t in event["key_terms"] for place in _places(t)}
        for aspect in row.aspects or ():
            if (aspect.begin, aspect.end) in places and event["sentiment"]:
                gold.append(LABELS.index(aspect.sentiment))
                said.append(LABELS.index(places[aspect.begin, aspect.end]))
                copied.append(LABELS.index(event["sentiment"]["label"]))
    if not gold:
        return {}
    truth = np.array(gold)
    return {
        "found_terms": float(len(gold)),
        "towards_accuracy": float(np.mean(truth == said)),
        "towards_macro_f1": macro_f1(truth, np.array(said)),
        "towards_accuracy_if_copied": float(np.mean(truth == copied)),
        "towards_macro_f1_if_copied": macro_f1(truth, np.array(copied)),
    }


def macro_f1(gold: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that gold has."""
    each = [2 * np.sum((said == k) & (gold == k)) / max(1, np.sum(said == k) + np.sum(gold == k)) for k in np.unique(gold)]
    return float(np.mean(each))


def mentions(event: EnrichedEvent) -> set[tuple[int, int]]:
    """Every [begin, end) of an event's key terms."""
    return {place for term in event["key_terms"] for place in _places(term)}


def micro_f1(gold: Iterable[AbstractSet[Hashable]], said: Iterable[AbstractSet[Hashable]]) -> float:
    """2 · right / (said + gold) over all texts."""
    right = total = 0
    for wanted, found in zip(gold, said, strict=True):
        right += len(wanted & found)
        total += len(wanted) + len(found)
    return 2 * right / max(1, total)


def without_shared_runs(pairs: Sequence[tuple[Row, EnrichedEvent]], data: Path) -> list[tuple[Row, EnrichedEvent]]:
    """The dev rows of chnsenticorp that share no run of SHARED_RUN characters with a train row of it."""
    seen: set[str] = set()
    for row in read_rows(data / "sentiment.zh.train.jsonl.gz"):
        if row.source == "chnsenticorp":
            text = fold(row.text)
            seen.update(text[i : i + SHARED_RUN] for i in range(len(text) - SHARED_RUN + 1))
    return [(row, event) for row, event in pairs if not _shares(fold(row.text), seen)]


def _shares(text: str, seen: set[str]) -> bool:
    return any(text[i : i + SHARED_RUN] in seen for i in range(len(text) - SHARED_RUN + 1))


def _places(term: object) -> list[tuple[int, int]]:
    assert isinstance(term, dict)
    return [(a, b) for a, b in term.get("mentions", [(term["begin"], term["end"])])]


def _named(source: str, scores: dict[str, float]) -> dict[str, float]:
    return {f"{source}/{name}": value for name, value in scores.items()}


@dataclass(frozen=True, slots=True)
class Table:
    """Scores as lines to read."""

    scores: dict[str, float]

    def __str__(self) -> str:
        width = max(map(len, self.scores), default=0)
        return "\n".join(f"{name:<{width}}  {value:.4f}" for name, value in self.scores.items())
