"""Key terms by dynamic programming, to be compared with the greedy decoding that ships (`textstream.model.spans`).

    textstream-export decoders --run RUN --data DIR

Both read the same logits of held-out rows. Each gets a salience and a threshold of its own, fitted on one half of the rows and
judged on the other, by turns; a row is judged in its own channel, exact to the token.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from textstream.event import KINDS
from textstream.model.packing import Infer, padded, score
from textstream.model.spans import Candidates, candidates, of_channels, spans_of, term_odds
from textstream_export.calibrate import TAG_LOGITS, Judged, fit_salience, gold_spans
from textstream_export.data import Row, read_train, split_held_out, text_hash
from textstream_export.encode import token_targets
from textstream_export.report import table
from textstream_export.run import load
from textstream_export.soft import Tokenise
from textstream_export.sources import CHANNELS

Decoder = Callable[[NDArray[np.float32], NDArray[np.bool_]], Candidates]
OUTSIDE, BEGIN, INSIDE = 0, 1, 2
NEVER = np.float32(-1e9)
CHUNK = 512
MAX_TOKENS = 2048
"""Of one text."""
_GRID = np.arange(0.02, 0.9, 0.02)
CUTS = np.log(_GRID / (1 - _GRID))
"""Thresholds of salience to choose from, as log-odds."""
ROUNDS = 20
"""Passes over the rows that are timed."""


def viterbi(tags: NDArray[np.float32], first: NDArray[np.bool_], outside: float = -0.5) -> Candidates:
    """As `spans.candidates`, from the most likely sequence of tags of each text in which no inside follows an outside.

    `outside` is added to the logit of outside: below 0 it gives more candidates, as a low level does to the greedy decoding.
    """
    path = best_path(tags + np.array([outside, 0, 0], np.float32), first).T.ravel()  # (channels · tokens,)
    last = path != OUTSIDE
    last[:-1] &= path[1:] != INSIDE
    logits = of_channels(tags)
    return spans_of(logits, term_odds(logits), first, np.flatnonzero(path == BEGIN), np.flatnonzero(last) + 1)


def best_path(tags: NDArray[np.float32], first: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(tokens, channels): the legal tags with the largest sum of logits; all texts take a step at once."""
    assert first[0], "a run of tokens begins with a text"
    lengths = np.diff(np.append(np.flatnonzero(first), len(first)))
    inside = np.arange(int(lengths.max())) < lengths[:, None]  # (texts, longest)
    padded = np.full((*inside.shape, *tags.shape[1:]), NEVER, np.float32)
    padded[..., OUTSIDE] = 0  # behind a text's end there is one way to go
    padded[inside] = tags
    steps = padded.transpose(1, 0, 2, 3)  # (longest, texts, channels, 3)
    came_from = np.zeros(steps.shape, np.int64)
    total = steps[0].copy()
    total[..., INSIDE] = NEVER
    for at in range(1, len(steps)):
        came_from[at, ..., :INSIDE] = total.argmax(-1)[..., None]
        came_from[at, ..., INSIDE] = BEGIN + total[..., BEGIN:].argmax(-1)
        total = steps[at] + np.take_along_axis(total, came_from[at], -1)
    path = np.empty(steps.shape[:3], np.int64)
    path[-1] = total.argmax(-1)
    for at in range(len(steps) - 1, 0, -1):
        path[at - 1] = np.take_along_axis(came_from[at], path[at][..., None], -1)[..., 0]
    return path.transpose(1, 0, 2)[inside]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The logits of all channels on the rows that have gold for one, one after the other."""

    channel: int
    tags: NDArray[np.float32]  # (tokens, KINDS, 3)
    first: NDArray[np.bool_]  # (tokens,)
    half: NDArray[np.bool_]  # (tokens,) which half of the rows
    gold: frozenset[tuple[int, int]]  # [begin, end) of tokens


def asked(rows: Iterable[Row], tokenise: Tokenise, infer: Infer) -> dict[str, Asked]:
    """Language and kind → what the network says of the rows that have gold for it."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.source in CHANNELS:
            groups.setdefault(f"{row.lang} {CHANNELS[row.source]}", []).append(row)
    return {name: _asked(own, tokenise, infer) for name, own in sorted(groups.items())}


def _asked(rows: Sequence[Row], tokenise: Tokenise, infer: Infer) -> Asked:
    channel = KINDS.index(CHANNELS[rows[0].source])
    logits: list[NDArray[np.float32]] = []
    halves: list[bool] = []
    gold: set[tuple[int, int]] = set()
    at = 0
    for start in tqdm(range(0, len(rows), CHUNK), desc="score", unit="chunk", mininterval=5):
        chunk = rows[start : start + CHUNK]
        pairs = [
            (row, tokens) for row, tokens in zip(chunk, tokenise([row.text for row in chunk]), strict=True) if tokens.count
        ]
        scored = score([tokens for _, tokens in pairs], infer)
        for (row, tokens), begin in zip(pairs, scored.starts.tolist(), strict=True):
            if (targets := token_targets(row, tokens)) is not None:
                logits.append(scored.tokens[begin : begin + tokens.count, :TAG_LOGITS].reshape(-1, len(KINDS), 3))
                halves.append(int(text_hash(row.text), 16) // 100 % 2 == 1)
                gold |= {(at + a, at + b) for a, b in gold_spans(targets[0][:, channel])}
                at += tokens.count
    counts = np.array([len(each) for each in logits])
    first = np.zeros(at, np.bool_)
    first[np.cumsum(counts) - counts] = True
    return Asked(channel, np.concatenate(logits), first, np.repeat(np.array(halves), counts), frozenset(gold))


def span_scores(question: Asked, decode: Decoder) -> tuple[int, int, int]:
    """Spans that are right, spans that were said, spans of gold: each half by a salience and a threshold of the other."""
    found = decode(question.tags, question.first)
    own = found.channel == question.channel
    evidence = found.evidence[own]
    spans = list(zip(found.begin[own].tolist(), found.end[own].tolist(), strict=True))
    is_gold = np.array([span in question.gold for span in spans], np.bool_)
    half = question.half[found.begin[own]]
    gold_half = question.half[np.array([begin for begin, _ in question.gold], np.int64)]
    right = said = 0
    for judged in (False, True):
        fitted = half != judged
        known = Judged(evidence[fitted], is_gold[fitted], np.ones(int(fitted.sum()), np.float32))
        calibration = fit_salience(known)
        sure = evidence @ np.array(calibration.weights) + calibration.offset
        best = best_apart(spans, sure)
        f1 = [_f1(best & fitted & (sure >= cut), is_gold, int((gold_half != judged).sum())) for cut in CUTS]
        kept = best & ~fitted & (sure >= CUTS[int(np.argmax(f1))])
        right, said = right + int(is_gold[kept].sum()), said + int(kept.sum())
    return right, said, len(question.gold)


def best_apart(spans: Sequence[tuple[int, int]], sure: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(spans,): those that overlap none that is surer, as the service keeps them."""
    taken = np.zeros(max((end for _, end in spans), default=0), np.bool_)
    kept = np.zeros(len(spans), np.bool_)
    for at in np.argsort(-sure, kind="stable").tolist():
        begin, end = spans[at]
        if not taken[begin:end].any():
            taken[begin:end] = kept[at] = True
    return kept


def _f1(kept: NDArray[np.bool_], is_gold: NDArray[np.bool_], gold: int) -> float:
    return 2 * float(is_gold[kept].sum()) / max(1, int(kept.sum()) + gold)


def microseconds(questions: Iterable[Asked], decode: Decoder) -> float:
    """What decoding costs a row: one thread's own time, in batches of CHUNK rows."""
    spent, texts = 0.0, 0
    for question in questions:
        starts = np.append(np.flatnonzero(question.first), len(question.first))
        for begin, end in zip(starts[:-1:CHUNK], [*starts[CHUNK:-1:CHUNK], starts[-1]], strict=True):
            started = time.process_time()
            decode(question.tags[begin:end], question.first[begin:end])
            spent += time.process_time() - started
        texts += len(starts) - 1
    return 1e6 * spent / max(1, texts)


DECODERS: dict[str, Decoder] = {
    "greedy, two levels (ships)": candidates,
    **{f"greedy at {level}": partial(candidates, levels=(level,)) for level in (-2.0, -1.0, 0.0)},
    **{f"Viterbi at {level}": partial(viterbi, outside=level) for level in (-2.0, -1.0, -0.5, 0.0)},
}


def compare_decoders(questions: dict[str, Asked]) -> str:
    """F1 of each decoder by language and kind, over all, and what it costs."""
    lines = []
    for name, decode in DECODERS.items():
        counts = np.array([span_scores(question, decode) for question in questions.values()])
        f1 = 200 * counts[:, 0] / np.maximum(1, counts[:, 1] + counts[:, 2])
        total = counts.sum(0)
        costs = [microseconds(questions.values(), decode) for _ in range(ROUNDS)]
        over_all = 200 * total[0] / max(1, total[1] + total[2])
        lines.append([name, *(f"{value:.2f}" for value in (*f1, over_all)), f"{np.median(costs):.2f}"])
    rows = [f"{name} ({int(question.first.sum()):,} rows)" for name, question in questions.items()]
    return table(("decoder", *rows, "all", "µs a row"), lines)


def compare_on(run: Path, data: Path) -> str:
    """The table of a run, on the held-out rows in its languages."""
    trained = load(run)
    _, kept = split_held_out(row for row in read_train(data) if row.lang in trained.recipe.languages)
    return compare_decoders(asked(kept, trained.tokenise(MAX_TOKENS), padded(trained.infer)))
