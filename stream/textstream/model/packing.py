"""Windows over long texts, padded groups of like length, and the way back to one array for all tokens of a batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textstream.model.tokens import Tokens

WINDOW = 256
"""Units a pass sees of one text at most."""
OVERLAP = 32
"""Units two windows of a text share. Each answers for its half of them; swift sees 5 to each side."""


@dataclass(frozen=True, slots=True)
class Passes:
    """How large the passes of a network are."""

    most_units: int
    """Padded units of a pass: its widest activation stays in a core's second-level cache."""
    costs_units: int
    """What starting a pass costs, in units. More padding than that is not worth saving one."""


SWIFT = Passes(most_units=2048, costs_units=48)
"""An activation of 96 floats is 0.8 MB for all; a pass costs 50 µs at 1.2 µs a token."""
DEEP = Passes(most_units=320, costs_units=4)
"""One of 1536 floats is 2 MB; a pass costs 1 ms at 200 µs a unit. 80 messages of 25 units are a quarter slower than 8."""
GPU = Passes(most_units=32_768, costs_units=2048)
"""Either network: enough to fill a GPU, whose passes cost mostly their launches. Not measured."""

Infer = Callable[[NDArray[np.int32]], tuple[NDArray[np.float32], NDArray[np.float32]]]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What the network said of a batch, for texts in the order given."""

    sentiment: NDArray[np.float32]
    """(texts, 3) logits, windows averaged by their length"""
    tokens: NDArray[np.float32]
    """(all tokens, outputs) logits"""
    starts: NDArray[np.int64]
    """(texts,) where each text's tokens begin in `tokens`"""


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Slices of the run of all units; window w reads [begin, end) and answers for [keep, keep_end)."""

    text: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    keep: NDArray[np.int64]
    keep_end: NDArray[np.int64]


def score(batch: Sequence[Tokens], infer: Infer, passes: Passes | None = None) -> Scored:
    """Run `infer` over the batch, texts of like length together; every text has at least one token.

    Passes are those of one core unless given: a transformer's where tokens have word pieces, swift's where they have none.
    """
    assert batch, "nothing to score"
    counts = np.array([len(tokens.features) for tokens in batch], np.int64)  # units
    assert counts.min() > 0, "a text without tokens has no place in a pass"
    starts = np.cumsum(counts) - counts
    features = np.concatenate([tokens.features for tokens in batch])  # (all units, features)
    windows = _windows(starts, counts)
    lengths = windows.end - windows.begin
    passes = passes or (SWIFT if batch[0].heads is None else DEEP)
    logits: list[NDArray[np.float32]] = []
    outputs: NDArray[np.float32] | None = None
    order = np.argsort(lengths, kind="stable")
    for group in _groups(order, lengths, passes):
        at, inside = _places(windows.begin[group], lengths[group])
        ids = np.where(inside[..., None], features[at], np.int32(0))
        sentiment, tokens = infer(ids)
        logits.append(sentiment)
        if outputs is None:
            outputs = np.empty((len(features), tokens.shape[2]), np.float32)
        kept = (at >= windows.keep[group, None]) & (at < windows.keep_end[group, None]) & inside
        outputs[at[kept]] = tokens[kept]
    assert outputs is not None
    merged = _merge(np.concatenate(logits), windows.text[order], lengths[order].astype(np.float32), len(batch))
    if batch[0].heads is None:
        return Scored(merged, outputs, starts)
    heads = [tokens.heads + start for tokens, start in zip(batch, starts, strict=True) if tokens.heads is not None]
    of_each = np.array([tokens.count for tokens in batch], np.int64)
    return Scored(merged, outputs[np.concatenate(heads)], np.cumsum(of_each) - of_each)


def _windows(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> _Windows:
    """One window for a short text; for a long one as many as it takes, each half an overlap to its neighbours."""
    step = WINDOW - OVERLAP
    number = np.maximum(1, -(-(counts - OVERLAP) // step))
    text = np.repeat(np.arange(len(counts)), number)
    index = np.arange(len(text)) - np.repeat(np.cumsum(number) - number, number)
    last = index == number[text] - 1
    begin = starts[text] + index * step
    stop = starts[text] + counts[text]
    end = np.minimum(begin + WINDOW, stop)
    keep = np.where(index == 0, begin, begin + OVERLAP // 2)
    keep_end = np.where(last, stop, end - OVERLAP // 2)
    return _Windows(text, begin, end, keep, keep_end)


def _groups(order: NDArray[np.int64], lengths: NDArray[np.int64], passes: Passes) -> Iterator[NDArray[np.int64]]:
    """Windows in order of length, cut where padding or size would cost more than a pass of its own."""
    start = padding = 0
    ordered = lengths[order].tolist()
    for at in range(1, len(ordered)):
        size = at - start
        padding += size * (ordered[at] - ordered[at - 1])
        if padding > passes.costs_units or (size + 1) * ordered[at] > passes.most_units:
            yield order[start:at]
            start, padding = at, 0
    yield order[start:]


def _places(begin: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(windows, units): the place of each unit in the run of all, 0 where there is none; and where there is one."""
    ahead = np.arange(int(lengths.max()))
    inside = ahead < lengths[:, None]
    return np.where(inside, begin[:, None] + ahead, 0), inside


def _merge(
    logits: NDArray[np.float32], text: NDArray[np.int64], weight: NDArray[np.float32], texts: int
) -> NDArray[np.float32]:
    """(texts, 3): the windows' logits averaged by length."""
    if len(logits) == texts:  # one window each: only the order to restore
        merged = np.empty_like(logits)
        merged[text] = logits
        return merged
    total = np.zeros((texts, logits.shape[1]), np.float32)
    np.add.at(total, text, logits * weight[:, None])
    return total / np.bincount(text, weight, texts).astype(np.float32)[:, None]
