"""Texts one after the other, without padding: how swift's graph is fed.

A pass has the units of its texts in a row, behind a row 0 that is nobody's and all zeros. Whatever a unit needs of others is
looked up by place: its neighbours, or row 0 where its own text has none so far away. So a unit costs the same whatever
stands in the pass with it, and nothing is masked. All index arrays of a batch are made together, for all its passes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from textstream import native
from textstream.model.packing import Ids, Infer, Lengths, Logits
from textstream.model.tokens import FEATURES

NEAR, WINDOW = "near", "window"
NOBODY = -1

MOST_CELLS = 1536
"""Texts of a pass, times units of its longest: an activation of 96 floats is 0.6 MB, two stay in a second-level cache."""

Numbers = NDArray[np.int64]
Feed = dict[str, NDArray[np.generic]]
Run = Callable[[Feed], tuple[Logits, Logits]]
"""One pass: the sentiment of each text, the outputs of each row, row 0 included."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """How far away each group of channels looks, in tokens: at words, then at what each window has made of them."""

    near: tuple[int, ...]
    windows: tuple[tuple[int, ...], ...]

    def as_text(self) -> dict[str, str]:
        """As they stand in the graph's own metadata, by the name of the input they make."""
        named = {NEAR: self.near} | {f"{WINDOW}{at}": window for at, window in enumerate(self.windows)}
        return {name: " ".join(map(str, offsets)) for name, offsets in named.items()}

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> "Offsets":
        """Those of a graph. Raises KeyError or ValueError where it is none of ours."""
        windows = sum(name.startswith(WINDOW) for name in metadata)
        near, *rest = (metadata[name] for name in (NEAR, *(f"{WINDOW}{at}" for at in range(windows))))
        return cls(_numbers(near), tuple(map(_numbers, rest)))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def flat(run: Run, offsets: Offsets) -> Infer:
    """The network that `run` is a pass of."""

    def infer(ids: Ids, lengths: Lengths) -> tuple[Logits, Logits]:
        moods, units = list[Logits](), list[Logits]()
        for feed in feeds(ids, lengths, cuts(lengths), offsets):
            sentiment, outputs = run(feed)
            moods.append(sentiment)
            units.append(outputs[1:])
        return np.concatenate(moods), np.concatenate(units)

    return infer


def cuts(lengths: Lengths) -> list[int]:
    """Where each pass begins among the texts, and where the last ends; `lengths` ascend."""
    found = [0]
    for at, length in enumerate(lengths.tolist()):
        if (at + 1 - found[-1]) * length > MOST_CELLS and at > found[-1]:
            found.append(at)
    return [*found, len(lengths)]


def feeds(ids: Ids, lengths: Lengths, bounds: Sequence[int], offsets: Offsets) -> Iterator[Feed]:
    """What each pass reads; pass p has the texts from `bounds[p]` to `bounds[p + 1]`, each of at least one unit."""
    assert ids.shape[1] == len(FEATURES), f"{ids.shape[1]} features of a unit, the graph reads {len(FEATURES)}"
    texts = np.asarray(bounds, np.int64)
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])[texts] + np.arange(len(texts))  # each one's row 0
    laid_out, pooled = (_laid_out, _pooled) if native.compiled is None else (_laid_out_compiled, _pooled_compiled)
    columns, count = laid_out(ids, lengths, texts, offsets), lengths[:, None].astype(np.float32)
    each = zip(pairwise(bounds), pairwise(begins.tolist()), pooled(lengths, texts), strict=True)
    for (first, last), (begin, end), rows in each:
        own = {name: values[begin:end] for name, values in columns.items()}
        yield own | {"rows": rows, "count": count[first:last]}


def _laid_out(ids: Ids, lengths: Lengths, bounds: Numbers, offsets: Offsets) -> Feed:
    """The rows of all passes, one pass after the other; all that a pass reads of each."""
    texts = bounds[:-1]  # (passes,): the first of each
    owners, sizes = np.insert(np.arange(len(lengths)), texts, NOBODY), np.insert(lengths, texts, 1)
    owner = np.repeat(owners, sizes).astype(np.int32)  # (rows,): the text of each, in all passes
    unit = owner != NOBODY
    begins = np.flatnonzero(~unit)  # (passes,): each one's row 0
    of_pass = np.diff(begins, append=len(owner))
    place = (np.arange(len(owner)) - np.repeat(begins, of_pass)).astype(np.int32)
    text = np.maximum(owner - np.repeat(texts, of_pass), 0).astype(np.int32)

    def shifted(values: NDArray[np.int32], away: Sequence[int]) -> NDArray[np.int32]:
        """(rows, groups): which row of groups each group of channels is read from; row 0 outside its own text."""
        groups = np.empty((len(owner), len(away)), np.int32)
        groups[:] = np.arange(len(away))
        for group, offset in enumerate(away):
            far = min(abs(offset), len(owner))
            former, latter = slice(len(owner) - far), slice(far, None)
            here, there = (former, latter) if offset > 0 else (latter, former)
            groups[here, group] += values[there] * (owner[there] == owner[here]) * np.int32(len(away))
        return groups

    read = np.zeros((len(FEATURES), len(owner)), np.int32)
    read[:, unit] = ids.T
    columns: Feed = dict(zip(FEATURES, read, strict=True))
    columns |= {"text": text, NEAR: shifted(read[0], offsets.near)}
    return columns | {f"{WINDOW}{at}": shifted(place, window) for at, window in enumerate(offsets.windows)}


def _laid_out_compiled(ids: Ids, lengths: Lengths, bounds: Numbers, offsets: Offsets) -> Feed:
    """As `_laid_out`."""
    assert native.compiled is not None
    rows = len(ids) + len(bounds) - 1
    read, text, near = (np.empty(shape, np.int32) for shape in ((len(FEATURES), rows), rows, (rows, len(offsets.near))))
    windows = [np.empty((rows, len(window)), np.int32) for window in offsets.windows]
    native.compiled.lay_out(ids, lengths, bounds, offsets.near, offsets.windows, read, text, near, windows)
    columns: Feed = dict(zip(FEATURES, read, strict=True))
    return columns | {"text": text, NEAR: near} | {f"{WINDOW}{at}": window for at, window in enumerate(windows)}


def _pooled(lengths: Lengths, bounds: Numbers) -> Iterator[NDArray[np.int32]]:
    """For each pass the rows of its texts (texts, longest), row 0 behind the last of each."""
    for first, last in pairwise(bounds.tolist()):
        own = lengths[first:last]
        begins = np.cumsum(own) - own + 1
        ahead = np.arange(int(own.max()))
        yield np.where(ahead < own[:, None], begins[:, None] + ahead, 0).astype(np.int32)


def _pooled_compiled(lengths: Lengths, bounds: Numbers) -> Iterator[NDArray[np.int32]]:
    """As `_pooled`."""
    assert native.compiled is not None
    longest = np.maximum.reduceat(lengths, bounds[:-1])
    ends = np.cumsum(longest * np.diff(bounds))
    rows = np.empty(int(ends[-1]), np.int32)
    native.compiled.pool(lengths, bounds, rows)
    for part, each in zip(np.split(rows, ends[:-1]), longest.tolist(), strict=True):
        yield part.reshape(-1, each)
