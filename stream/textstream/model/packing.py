"""Windows over long texts, in order of length, and the way back to one array for all tokens of a batch.

How a network lays out a pass is its own business: `padded` here, `flat` for swift.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from textstream.model.tokens import Tokens

WINDOW = 256
"""Units a pass sees of one text at most."""
OVERLAP = 32
"""Units two windows of a text share. Each answers for its half of them; swift sees 6 to each side."""


Ids = NDArray[np.int32]
Lengths = NDArray[np.int64]
Logits = NDArray[np.float32]

Infer = Callable[[Ids, Lengths], tuple[Logits, Logits]]
"""A network: ids (units, features) of texts one after the other, and the units of each, in order of length → sentiment
(texts, 3), outputs (units, outputs)."""

Padded = Callable[[Ids], tuple[Logits, Logits]]
"""A network that reads texts of one length: ids (texts, units, features), 0 behind the last unit of a shorter one → sentiment
(texts, 3), outputs (texts, units, outputs)."""


@dataclass(frozen=True, slots=True)
class Passes:
    """How large the passes of a padded network are."""

    most_units: int
    """Padded units of a pass."""
    costs_units: int
    """What starting a pass costs, in units. More padding than that is not worth saving one."""


CORE = Passes(most_units=320, costs_units=4)
"""An activation of 1536 floats is 2 MB; a pass costs 1 ms at 200 µs a unit. 80 messages of 25 units are a quarter slower than
8."""
GPU = Passes(most_units=131_072, costs_units=24_576)
"""On an H100 the launches of a pass of twelve layers took 10 ms, the time of about as many units. What scoring with these sizes
reaches has not been measured there."""


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


def score(batch: Sequence[Tokens], infer: Infer) -> Scored:
    """Run `infer` over the batch, texts in order of length; every text has at least one token."""
    assert batch, "nothing to score"
    counts = np.array([len(tokens.features) for tokens in batch], np.int64)  # units
    assert counts.min() > 0, "a text without tokens has no place in a pass"
    starts = np.cumsum(counts) - counts
    features = np.concatenate([tokens.features for tokens in batch])  # (all units, features)
    sentiment, units = (_whole if counts.max() <= WINDOW else _windowed)(features, starts, counts, infer)
    if batch[0].heads is None:
        return Scored(sentiment, units, starts)
    heads = [tokens.heads + start for tokens, start in zip(batch, starts, strict=True) if tokens.heads is not None]
    of_each = np.array([tokens.count for tokens in batch], np.int64)
    return Scored(sentiment, units[np.concatenate(heads)], np.cumsum(of_each) - of_each)


def _whole(features: Ids, starts: NDArray[np.int64], counts: Lengths, infer: Infer) -> tuple[Logits, Logits]:
    """Texts of which a pass sees all: the sentiment of each, and the outputs of all units."""
    order, at, said, outputs = _by_length(features, starts, counts, infer)
    sentiment, units = np.empty_like(said), np.empty_like(outputs)
    sentiment[order], units[at] = said, outputs
    return sentiment, units


def _windowed(features: Ids, starts: NDArray[np.int64], counts: Lengths, infer: Infer) -> tuple[Logits, Logits]:
    """As `_whole`, of texts long and short."""
    windows = _windows(starts, counts)
    lengths = windows.end - windows.begin
    order, at, said, outputs = _by_length(features, windows.begin, lengths, infer)
    lengths = lengths[order]
    kept = (at >= np.repeat(windows.keep[order], lengths)) & (at < np.repeat(windows.keep_end[order], lengths))
    units = np.empty((len(features), outputs.shape[1]), np.float32)
    units[at[kept]] = outputs[kept]
    return _merge(said, windows.text[order], lengths.astype(np.float32), len(counts)), units


def _by_length(
    features: Ids, begin: NDArray[np.int64], lengths: Lengths, infer: Infer
) -> tuple[NDArray[np.int64], NDArray[np.int64], Logits, Logits]:
    """Slices of the run of all units, the shortest first: their order, the place of each unit, what `infer` says of them."""
    order = np.argsort(lengths, kind="stable")
    at = _runs(begin[order], lengths[order])
    return order, at, *infer(features[at], lengths[order])


def padded(run: Padded, passes: Passes = CORE) -> Infer:
    """The network that `run` is a pass of, for texts of like length."""

    def infer(ids: Ids, lengths: Lengths) -> tuple[Logits, Logits]:
        moods, units = list[Logits](), list[Logits]()
        starts = np.cumsum(lengths) - lengths
        for group in _groups(lengths, passes):
            at, inside = _places(starts[group], lengths[group])
            sentiment, outputs = run(np.where(inside[..., None], ids[at], np.int32(0)))
            moods.append(sentiment)
            units.append(outputs[inside])
        return np.concatenate(moods), np.concatenate(units)

    return infer


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


def _runs(begin: NDArray[np.int64], lengths: Lengths) -> NDArray[np.int64]:
    """The places begin, begin + 1, … of each window, one after the other."""
    return np.arange(int(lengths.sum())) + np.repeat(begin - np.cumsum(lengths) + lengths, lengths)


def _groups(lengths: Lengths, passes: Passes) -> Iterator[slice]:
    """Texts in order of length, cut where padding or size would cost more than a pass of its own."""
    start = padding = 0
    for at, (shorter, longer) in enumerate(pairwise(lengths.tolist()), start=1):
        padding += (at - start) * (longer - shorter)
        if padding > passes.costs_units or (at + 1 - start) * longer > passes.most_units:
            yield slice(start, at)
            start, padding = at, 0
    yield slice(start, len(lengths))


def _places(begin: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(windows, units): the place of each unit in the run of all, 0 where there is none; and where there is one."""
    ahead = np.arange(int(lengths.max()))
    inside = ahead < lengths[:, None]
    return np.where(inside, begin[:, None] + ahead, 0), inside


def _merge(
    logits: NDArray[np.float32], text: NDArray[np.int64], weight: NDArray[np.float32], texts: int
) -> NDArray[np.float32]:
    """(texts, 3): the windows' logits averaged by length."""
    total = np.zeros((texts, logits.shape[1]), np.float32)
    np.add.at(total, text, logits * weight[:, None])
    return total / np.bincount(text, weight, texts).astype(np.float32)[:, None]
