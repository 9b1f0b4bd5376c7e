"""Pairs of texts that differ in a name or a gender only, of which a network must say the same.

No label is needed, so the pairs are made from any texts; the loss is the distance between the two scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textstream.event import LABELS
from textstream_export.augment import twins
from textstream_export.data import Row
from textstream_export.recipe import Recipe
from textstream_export.soft import Tokenise

PAIRS = 60_000
MAX_CHARS = 120
"""In a longer text a name weighs little, and costs more to read."""


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """Texts, each followed by its twin; text t owns units `bounds[t]:bounds[t + 1]`."""

    features: NDArray[np.int32]  # (units, features)
    bounds: NDArray[np.int64]  # (2 · pairs + 1,)

    def ids(self, seed: int, count: int) -> Tensor:
        """(2 · count, units, features): as many pairs, the same for the same seed."""
        pairs = np.random.default_rng(seed).integers(len(self.bounds) // 2, size=count)
        texts = np.stack([2 * pairs, 2 * pairs + 1], 1).ravel()
        lengths = self.bounds[texts + 1] - self.bounds[texts]
        ids = np.zeros((len(texts), int(lengths.max()), self.features.shape[1]), np.int64)
        for row, text in enumerate(texts.tolist()):
            ids[row, : lengths[row]] = self.features[self.bounds[text] : self.bounds[text + 1]]
        return torch.from_numpy(ids)


def chosen(rows: Sequence[Row], tokenise: Tokenise, recipe: Recipe) -> Twins | None:
    """Pairs that the network can tell apart, from short texts, tried as often in each language; None where there are none."""
    rng = Random(recipe.seed)
    texts: list[str] = []
    for language in recipe.languages:
        short = [row for row in rows if row.lang == language and len(row.text) <= MAX_CHARS]
        for row in rng.sample(short, min(len(short), PAIRS // len(recipe.languages))):
            texts += [twin.text for twin in twins(row, rng)]
    features = [tokens.features for tokens in tokenise(texts)]
    told = [pair for pair in zip(features[::2], features[1::2], strict=True) if not np.array_equal(*pair)]
    if not told:
        return None
    flat = [each for pair in told for each in pair]
    return Twins(np.concatenate(flat), np.concatenate([np.zeros(1, np.int64), np.cumsum([len(each) for each in flat])]))


def distance(sentiment: Tensor) -> Tensor:
    """The mean distance of the scores P(positive) − P(negative) of texts (2 · pairs, 3) and their twins."""
    share = sentiment.softmax(-1)
    score = share[:, LABELS.index("positive")] - share[:, LABELS.index("negative")]
    return (score[::2] - score[1::2]).abs().mean()
