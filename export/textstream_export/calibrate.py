"""Calibration, for each language, on held-out train rows: sentiment, sentiment towards terms, salience and its threshold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from textstream.event import KINDS, LABELS, EnrichedEvent
from textstream.model.bundle import SentimentCalibration, TermCalibration
from textstream.model.packing import Infer, score
from textstream.model.spans import EVIDENCE, candidates
from textstream.model.text import fold
from textstream.model.tokens import Tokeniser
from textstream_export.data import LANGUAGES, Row
from textstream_export.encode import UNKNOWN, token_targets
from textstream_export.sources import CALIBRATED_ON, CHANNELS, OUTSIDE_WEIGHT

CHUNK = 512
BALANCE = 1.0
"""Weight of a class is (1 / its frequency) ** BALANCE: 0 keeps the mix of the training sources, 1 makes all classes equally
likely. A stream's own mix is unknown; on held-out tweets 1 gave macro-recall 0.630 against 0.612 at 0, at the same F1."""

TAGS = 3 * len(KINDS)
NOTHING = (np.zeros((0, EVIDENCE), np.float32), np.zeros(0, np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """Logits of held-out rows with what they should have said."""

    sentiment: NDArray[np.float32]  # (rows, 3)
    label: NDArray[np.int64]  # (rows,)
    towards: NDArray[np.float32]  # (terms, 3)
    towards_label: NDArray[np.int64]  # (terms,)
    spans: dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]  # kind → evidence (spans, EVIDENCE), is gold (spans,)


def run(rows: Sequence[Row], tokeniser: Tokeniser, infer: Infer) -> Outputs:
    """The network's word on held-out rows of one language."""
    moods: list[tuple[NDArray[np.float32], int]] = []
    terms: list[tuple[NDArray[np.float32], int]] = []
    spans: dict[str, list[tuple[NDArray[np.float32], NDArray[np.bool_]]]] = {kind: [] for kind in KINDS}
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        pairs = [(r, t) for r, t in zip(chunk, tokeniser([r.text for r in chunk]), strict=True) if t.count]
        scored = score([tokens for _, tokens in pairs], infer)
        for i, (row, tokens) in enumerate(pairs):
            if row.source in CALIBRATED_ON and row.label:
                moods.append((scored.sentiment[i], LABELS.index(row.label)))
            targets = token_targets(row, tokens)
            if row.source not in CHANNELS or targets is None:
                continue
            own = scored.tokens[scored.starts[i] : scored.starts[i] + tokens.count]
            kind = CHANNELS[row.source]
            if row.source not in OUTSIDE_WEIGHT:  # else what is not gold may be a key term all the same
                spans[kind].append(_judged(own, targets[0][:, KINDS.index(kind)], KINDS.index(kind)))
            for begin, end in gold_spans(targets[0][:, KINDS.index(kind)]):
                if targets[1][begin] != UNKNOWN:
                    terms.append((own[begin:end, TAGS:].mean(0), int(targets[1][begin])))
    return Outputs(
        np.array([m for m, _ in moods], np.float32).reshape(-1, 3),
        np.array([y for _, y in moods], np.int64),
        np.array([m for m, _ in terms], np.float32).reshape(-1, 3),
        np.array([y for _, y in terms], np.int64),
        {k: (np.concatenate([e for e, _ in v]), np.concatenate([y for _, y in v])) for k, v in spans.items() if v},
    )


def gold_spans(column: NDArray[np.int8]) -> list[tuple[int, int]]:
    """The spans that a column of tags (0 outside, 1 begin, 2 inside) says."""
    begins = np.nonzero(column == 1)[0].tolist()
    spans = []
    for begin in begins:
        end = begin + 1
        while end < len(column) and column[end] == 2:
            end += 1
        spans.append((begin, end))
    return spans


def _judged(
    tokens: NDArray[np.float32], column: NDArray[np.int8], channel: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The candidate spans of one text in its own channel, and which of them are gold."""
    first = np.zeros(len(tokens), np.bool_)
    first[0] = True
    found = candidates(tokens[:, :TAGS].reshape(-1, len(KINDS), 3)[:, channel : channel + 1], first)
    gold = set(gold_spans(column))
    said = zip(found.begin.tolist(), found.end.tolist(), strict=True)
    return found.evidence, np.array([span in gold for span in said], np.bool_)


def fit_sentiment(logits: NDArray[np.float32], label: NDArray[np.int64], with_bias: bool) -> SentimentCalibration:
    """Temperature, and a bias for each class, that make the held-out labels most likely."""
    if len(np.unique(label)) < len(LABELS):
        return SentimentCalibration(temperature=1.0)  # nothing to fit on: a tiny data set
    x, y = torch.from_numpy(logits), torch.from_numpy(label)
    weight = torch.from_numpy((1 / np.bincount(label, minlength=3)) ** (BALANCE if with_bias else 0.0)).float()
    log_scale = torch.zeros((), requires_grad=True)
    bias = torch.zeros(3, requires_grad=with_bias)
    optimiser = torch.optim.LBFGS(
        [p for p in (log_scale, bias) if p.requires_grad], max_iter=200, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(x * log_scale.exp() + bias, y, weight)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    centred = (bias - bias.mean()).detach()
    a, b, c = (round(float(v), 5) for v in centred)
    return SentimentCalibration(temperature=round(float((-log_scale.detach()).exp()), 5), bias=(a, b, c))


def fit_salience(evidence: NDArray[np.float32], gold: NDArray[np.bool_]) -> TermCalibration:
    """The logistic regression from a span's evidence to whether it is gold."""
    if len(np.unique(gold)) < 2:
        return TermCalibration(weights=(1.0, *[0.0] * (EVIDENCE - 1)), offset=0.0)
    model = LogisticRegression(max_iter=1000).fit(evidence, gold)
    weights = tuple(round(float(value), 5) for value in model.coef_[0])
    return TermCalibration(weights=weights, offset=round(float(model.intercept_[0]), 5))


def choose_min_salience(events: Callable[[Sequence[Row]], Iterable[EnrichedEvent]], rows: Sequence[Row]) -> float:
    """The threshold with the best mean F1 of emitted terms, over languages and kinds that have held-out gold."""
    by_group: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    gold_count: dict[tuple[str, str], int] = {}
    for row, event in zip(rows, events(rows), strict=True):
        gold = gold_strings(row)
        group = (row.lang, CHANNELS[row.source])
        if not gold:
            continue
        gold_count[group] = gold_count.get(group, 0) + len(gold)
        said = by_group.setdefault(group, [])
        said += [(term["salience"], term["normalized"] in gold) for term in event["key_terms"]]
    grid = np.round(np.arange(0.1, 0.71, 0.02), 2)
    if not by_group:
        return 0.3
    curves = [[_f1(by_group[g], gold_count[g], at) for at in grid] for g in sorted(by_group)]
    return float(grid[int(np.mean(curves, axis=0).argmax())])


def gold_strings(row: Row) -> set[str]:
    """The gold terms that stand in the text, folded as an event's `normalized` is."""
    text = fold(row.text)
    terms = row.terms or tuple(row.text[a.begin : a.end] for a in row.aspects or ())
    return {fold(term) for term in terms if fold(term) in text}


def _f1(said: list[tuple[float, bool]], gold: int, at: float) -> float:
    kept = [right for salience, right in said if salience >= at]
    return 2 * sum(kept) / max(1, len(kept) + gold)


def by_language(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each supported language."""
    return {lang: [row for row in rows if row.lang == lang] for lang in LANGUAGES}
