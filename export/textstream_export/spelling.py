"""Character n-grams of words: what is spelt alike begins alike, and rare words learn from frequent ones.

As in fastText (Bojanowski et al. 2017, arXiv 1607.04606) a word is its own row and the mean of its n-grams' rows. Only while
it trains: at the end each word's n-grams are folded into its row, and the service reads one row a word.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from textstream.model.text import hashed

SIZES = (3, 4, 5)
MOST = 24
"""N-grams of a word that count: all of a word of nine letters."""
SPREAD = 0.05


class Spelling(nn.Module):
    """The mean vector of each word's n-grams; nothing for what has none, a Chinese character among others."""

    grams: Tensor

    def __init__(self, words: Sequence[str], rows: int, width: int) -> None:
        super().__init__()
        self.words = len(words)
        self.register_buffer("grams", torch.from_numpy(gram_ids(words, rows)), persistent=False)
        self.table = nn.EmbeddingBag(rows, width, mode="mean", sparse=True)
        nn.init.normal_(self.table.weight, std=SPREAD)

    def forward(self, words: Tensor) -> Tensor:
        """Rows of words (…), 0 and rows beyond the words have no spelling → (…, width)."""
        each, where = torch.unique(torch.where(words > self.words, 0, words), return_inverse=True)
        grams = self.grams[each]  # (different words, MOST)
        has = grams > 0
        counts = has.sum(1)
        vectors: Tensor = self.table(grams[has], counts.cumsum(0) - counts)
        return vectors[where]


def gram_ids(words: Sequence[str], rows: int) -> NDArray[np.int64]:
    """(words + 1, MOST): hashed n-grams of each word from 1 on, 0 behind the last; row 0 is no word."""
    ids = np.zeros((len(words) + 1, MOST), np.int64)
    for at, word in enumerate(words, start=1):
        found = [1 + hashed(gram) % (rows - 1) for gram in grams_of(word)]
        ids[at, : len(found)] = found
    return ids


def grams_of(word: str) -> list[str]:
    """The n-grams of a word between its borders, "^" and "$"; none of a word of two characters or fewer, or a placeholder."""
    if len(word) < min(SIZES) or word.startswith("<"):
        return []
    bordered = f"^{word}$"
    return [bordered[at : at + size] for size in SIZES for at in range(len(bordered) - size + 1)][:MOST]
