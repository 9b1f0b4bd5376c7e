"""Calibration, for each language, on held-out train rows: sentiment, sentiment towards terms, salience and its threshold."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from textstream.event import KINDS, LABELS, EnrichedEvent
from textstream.model.bundle import Calibration, SentimentCalibration, TermCalibration
from textstream.model.packing import Infer, score
from textstream.model.spans import EVIDENCE, candidates, trimmed, within
from textstream.model.text import fold
from textstream.model.tokens import marks
from textstream_export.data import Row
from textstream_export.encode import TAGS, UNKNOWN, token_targets
from textstream_export.soft import Tokenise
from textstream_export.sources import CALIBRATED_ON, CHANNELS, OUTSIDE_WEIGHT, OWN_ASPECTS

CHUNK = 512
BALANCE = 1.0
"""Weight of a class is (1 / its frequency) ** BALANCE: 0 keeps the mix of the training sources, 1 makes all classes equally
likely. A stream's own mix is unknown; on held-out tweets 1 gave macro-recall 0.630 against 0.612 at 0, at the same F1."""
TOWARDS_BALANCE = 0.25
"""The same of the sentiment towards terms, whose rows are of streams like a user's. On 720 held-out terms of aste_zh_dianping
macro-F1 was 0.685 without a bias, 0.732 at 0.25, 0.724 at 0.5, 0.678 at 1, and accuracy 0.843, 0.857, 0.843, 0.789."""

PULL = 1.0
"""How much what is known before weighs: a label weighs about as much. Known is the bundle's own calibration, where it is moved
to a user's labels (with 80 labels of news, accuracy on others was 0.567 with 1, 0.561 with 3, and 0.577 with 10 against 0.586
with 1 of 410), and a temperature of 1 where it is fitted anew."""

TAG_LOGITS = TAGS * len(KINDS)
"""Numbers of a unit that are of tags; those behind are the sentiment towards a term."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Candidate spans of one kind, and which of them are gold."""

    evidence: NDArray[np.float32]  # (spans, EVIDENCE)
    gold: NDArray[np.bool_]  # (spans,)
    weight: NDArray[np.float32]  # (spans,) of mean 1


NOTHING = Judged(np.zeros((0, EVIDENCE), np.float32), np.zeros(0, np.bool_), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """Logits of held-out rows with what they should have said."""

    sentiment: NDArray[np.float32]  # (rows, 3)
    label: NDArray[np.int64]  # (rows,)
    towards: NDArray[np.float32]  # (terms, 3)
    towards_label: NDArray[np.int64]  # (terms,)
    spans: dict[str, Judged]  # kind → candidates


def run(rows: Sequence[Row], tokeniser: Tokenise, infer: Infer) -> Outputs:
    """The network's word on held-out rows of one language."""
    moods: list[tuple[NDArray[np.float32], int]] = []
    terms: list[tuple[NDArray[np.float32], int]] = []
    spans: dict[str, dict[str, list[tuple[NDArray[np.float32], NDArray[np.bool_]]]]] = {kind: {} for kind in KINDS}
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
            own, marked = scored.tokens[scored.starts[i] : scored.starts[i] + tokens.count], marks([tokens])
            kind = CHANNELS[row.source]
            column = targets[0][:, KINDS.index(kind)]
            if row.source not in OUTSIDE_WEIGHT:  # else what is not gold may be a key term all the same
                spans[kind].setdefault(row.source, []).append(_judged(own, marked, gold_spans(column), KINDS.index(kind)))
                # Whoever tells opinions of things does not ask for phrases, of which every text has some. Who marks names alone
                # has said nothing of them.
                if kind == "aspect" and row.source != OWN_ASPECTS:
                    spans["phrase"].setdefault(row.source, []).append(_judged(own, marked, [], KINDS.index("phrase")))
            for begin, end in gold_spans(column):
                if targets[1][begin] != UNKNOWN:
                    terms.append((own[begin:end, TAG_LOGITS:].mean(0), int(targets[1][begin])))
    return Outputs(
        np.array([m for m, _ in moods], np.float32).reshape(-1, 3),
        np.array([y for _, y in moods], np.int64),
        np.array([m for m, _ in terms], np.float32).reshape(-1, 3),
        np.array([y for _, y in terms], np.int64),
        {kind: _together(by_source) for kind, by_source in spans.items() if by_source},
    )


def _together(by_source: Mapping[str, list[tuple[NDArray[np.float32], NDArray[np.bool_]]]]) -> Judged:
    """Every kind of source weighs the same, and every source of a kind."""
    kinds = Counter(CHANNELS[source] for source in by_source)
    evidence = {source: np.concatenate([e for e, _ in told]) for source, told in by_source.items()}
    weight = [np.full(len(e), 1 / max(1, len(e)) / kinds[CHANNELS[s]], np.float32) for s, e in evidence.items()]
    flat = np.concatenate(weight)
    gold = np.concatenate([y for told in by_source.values() for _, y in told])
    return Judged(np.concatenate(list(evidence.values())), gold, flat / flat.mean() if len(flat) else flat)


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
    tokens: NDArray[np.float32], marked: NDArray[np.uint8], gold: Sequence[tuple[int, int]], channel: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The candidate spans of one text in one channel, and which of them are gold; quotes around either make no difference."""
    first = np.zeros(len(tokens), np.bool_)
    first[0] = True
    found = trimmed(candidates(tokens[:, :TAG_LOGITS].reshape(-1, len(KINDS), 3), first), marked)
    own = found.channel == channel
    begins, ends = np.array(gold, np.int64).reshape(-1, 2).T
    bare = set(zip(*(part.tolist() for part in within(begins, ends, marked)), strict=True))
    said = zip(found.begin[own].tolist(), found.end[own].tolist(), strict=True)
    return found.evidence[own], np.array([span in bare for span in said], np.bool_)


def fit_sentiment(logits: NDArray[np.float32], label: NDArray[np.int64], balance: float = BALANCE) -> SentimentCalibration:
    """Temperature, and a bias for each class, that make the held-out labels most likely.

    The temperature is pulled to 1: where all of a few rows are told right, the likeliest one is 0, and sure of everything.
    """
    if len(np.unique(label)) < len(LABELS):
        return SentimentCalibration(temperature=1.0)  # nothing to fit on: a tiny data set
    x, y = torch.from_numpy(logits), torch.from_numpy(label)
    weight = torch.from_numpy((1 / np.bincount(label, minlength=3)) ** balance).float()
    log_scale = torch.zeros((), requires_grad=True)
    bias = torch.zeros(3, requires_grad=True)

    def loss() -> torch.Tensor:
        error = torch.nn.functional.cross_entropy(x * log_scale.exp() + bias, y, weight)
        return error + PULL / len(y) * log_scale.square()

    minimise(loss, log_scale, bias)
    centred = (bias - bias.mean()).detach()
    a, b, c = (round(float(v), 5) for v in centred)
    return SentimentCalibration(temperature=round(float((-log_scale.detach()).exp()), 5), bias=(a, b, c))


def minimise(loss: Callable[[], torch.Tensor], *parameters: torch.Tensor) -> None:
    """Move the parameters to where a smooth loss is least."""
    optimiser = torch.optim.LBFGS(parameters, max_iter=200, line_search_fn="strong_wolfe")

    def evaluated() -> torch.Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(evaluated)  # type: ignore[no-untyped-call]


def fit_salience(said: Judged) -> TermCalibration:
    """The logistic regression from a span's evidence to whether it is gold."""
    if len(np.unique(said.gold)) < 2:
        return TermCalibration(weights=(1.0, *[0.0] * (EVIDENCE - 1)), offset=0.0)
    model = LogisticRegression(max_iter=1000).fit(said.evidence, said.gold, said.weight)
    weights = tuple(round(float(v), 5) for v in model.coef_[0])
    return TermCalibration(weights=weights, offset=round(float(model.intercept_[0]), 5))


def choose_min_salience(events: Callable[[Sequence[Row]], Iterable[EnrichedEvent]], rows: Sequence[Row]) -> float:
    """The threshold with the best mean F1 of emitted terms, of any kind and of the gold's own, over languages and kinds that
    have held-out gold."""
    by_group: dict[tuple[str, str], list[tuple[float, bool, bool]]] = {}
    gold_count: dict[tuple[str, str], int] = {}
    for row, event in zip(rows, events(rows), strict=True):
        gold = gold_strings(row)
        group = (row.lang, CHANNELS[row.source])
        if not gold:
            continue
        gold_count[group] = gold_count.get(group, 0) + len(gold)
        said = by_group.setdefault(group, [])
        said += [(t["salience"], t["normalized"] in gold, t["kind"] == group[1]) for t in event["key_terms"]]
    grid = np.round(np.arange(0.1, 0.71, 0.02), 2)
    if not by_group:
        return 0.3
    curves = [
        [_f1([(s, right) for s, right, own in by_group[g] if own or any_kind], gold_count[g], at) for at in grid]
        for g in sorted(by_group)
        for any_kind in (True, False)
    ]
    return float(grid[int(np.mean(curves, axis=0).argmax())])


def gold_strings(row: Row) -> set[str]:
    """The gold terms that stand in the text, folded as an event's `normalized` is."""
    text = fold(row.text)
    terms = row.terms or tuple(row.text[a.begin : a.end] for a in row.aspects or ())
    return {fold(term) for term in terms if fold(term) in text}


def _f1(said: list[tuple[float, bool]], gold: int, at: float) -> float:
    kept = [right for salience, right in said if salience >= at]
    return 2 * sum(kept) / max(1, len(kept) + gold)


def refit(known: Calibration, outputs: Mapping[str, Outputs]) -> Calibration:
    """Calibration moved to where it makes the labels of more rows likely: few move it little, and none not at all.

    Classes weigh as often as they stand in the rows: a user's labels have the mix of the user's stream.
    """
    sentiment, towards, terms = dict(known.sentiment), dict(known.towards), dict(known.terms)
    for language, said in outputs.items():
        sentiment[language] = refit_sentiment(sentiment[language], said.sentiment, said.label)
        towards[language] = refit_sentiment(towards[language], said.towards, said.towards_label)
        terms[language] = {k: refit_salience(c, said.spans.get(k, NOTHING)) for k, c in terms[language].items()}
    return known.model_copy(update={"sentiment": sentiment, "towards": towards, "terms": terms})


def refit_sentiment(known: SentimentCalibration, logits: NDArray[np.float32], label: NDArray[np.int64]) -> SentimentCalibration:
    """Temperature and biases for these labels, pulled towards what was known."""
    if not len(label):
        return known
    x, y = torch.from_numpy(logits), torch.from_numpy(label)
    start, shift = torch.tensor(known.bias), torch.zeros(3, requires_grad=True)
    log_factor = torch.zeros((), requires_grad=True)

    def loss() -> torch.Tensor:
        error = torch.nn.functional.cross_entropy(x / known.temperature * log_factor.exp() + start + shift, y)
        return error + PULL / len(y) * (log_factor.square() + shift.square().sum())

    minimise(loss, log_factor, shift)
    bias = start + shift.detach() - shift.detach().mean()
    a, b, c = (round(float(v), 5) for v in bias)
    return SentimentCalibration(temperature=round(known.temperature / float(log_factor.detach().exp()), 5), bias=(a, b, c))


def refit_salience(known: TermCalibration, said: Judged) -> TermCalibration:
    """The logistic regression for these spans, pulled towards what was known."""
    if not len(said.gold):
        return known
    x, y, weight = torch.from_numpy(said.evidence), torch.from_numpy(said.gold).float(), torch.from_numpy(said.weight)
    start = torch.tensor([*known.weights, known.offset])
    shift = torch.zeros(len(start), requires_grad=True)

    def loss() -> torch.Tensor:
        *weights, offset = start + shift
        error = torch.nn.functional.binary_cross_entropy_with_logits(x @ torch.stack(weights) + offset, y, weight)
        return error + PULL / len(y) * shift.square().sum()

    minimise(loss, shift)
    *weights, offset = (round(float(v), 5) for v in start + shift.detach())
    return TermCalibration(weights=tuple(weights), offset=offset)
