"""Words that stand in the place of others: the nearest by word vectors, for `augment.substituted`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAREST = 8
"""Words that may stand for one."""
COMMON = 100
"""The most frequent words stay as they are: they hold a sentence together."""
MOST = 40_000
"""Rarer words have vectors of few texts."""
LEAST_LETTERS = 3
CHUNK = 4096
"""Words compared with all others at once: 0.7 GB."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """For each word those that may stand in its place."""

    near: Mapping[str, tuple[str, ...]]

    def of(self, word: str) -> tuple[str, ...]:
        """Nothing for a word that has none."""
        return self.near.get(word, ())


NO_NEIGHBOURS = Neighbours({})


def neighbours(words: Sequence[str], vectors: NDArray[np.float32]) -> Neighbours:
    """The nearest words by cosine of `vectors` (words, width), of those of Latin letters; the most frequent come first."""
    chosen = [at for at, word in enumerate(words[:MOST]) if at >= COMMON and _is_word(word)]
    if len(chosen) <= NEAREST:
        return NO_NEIGHBOURS
    own = vectors[chosen].astype(np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True).clip(min=1e-9)
    near: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(chosen), CHUNK):
        alike = own[start : start + CHUNK] @ own.T
        alike[np.arange(len(alike)), np.arange(start, start + len(alike))] = -1  # no word for itself
        best = np.argpartition(-alike, NEAREST, axis=1)[:, :NEAREST]
        for at, others in enumerate(best.tolist(), start=start):
            near[words[chosen[at]]] = tuple(words[chosen[other]] for other in sorted(others))
    return Neighbours(near)


def _is_word(word: str) -> bool:
    return len(word) >= LEAST_LETTERS and word.isascii() and word.isalpha()
