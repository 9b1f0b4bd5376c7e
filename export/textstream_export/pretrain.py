"""Where the embedding table starts: word vectors from all text there is, labelled or not.

Positive pointwise mutual information of neighbours, then a truncated singular value decomposition: what skip-gram
approximates (Levy & Goldberg 2014), but the same numbers on every run, and without another library.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.utils.extmath import randomized_svd
from tqdm import tqdm

from textstream.model import text as prepare
from textstream.model.neutral import neutral, shape_of
from textstream.model.tokens import Lexicon
from textstream_export.data import parsed, plain_row

REACH = 4
"""Neighbours to each side that count."""
MAX_CHARS = 600
"""Of one text: long reviews must not outweigh messages."""
LEAST = 3
"""Pairs seen less often are noise, and most of the memory."""
SMOOTHING = 0.75
"""Exponent of a context's frequency, as in skip-gram: rare contexts would get too much."""
SPREAD = 0.1
"""Standard deviation of the vectors: that of the rows that start at random."""
CHUNK = 4_000_000
"""Tokens whose pairs are counted at once: about 200 MB."""


def start_vectors(texts: Sequence[str], lexicon: Lexicon, width: int, seed: int) -> NDArray[np.float32]:
    """(words, width) vectors to begin training with."""
    ids = word_ids(texts, lexicon)
    weights = mutual_information(pair_counts(ids, len(lexicon.words) + 1))
    left, values, _ = randomized_svd(weights, n_components=width, n_iter=3, random_state=seed)
    vectors = (left * np.sqrt(values))[1:]  # row 0 is every word that is not in the lexicon
    spread = vectors.std()
    return np.asarray(vectors * (SPREAD / spread if spread else 0.0), np.float32)


def unlabelled(data: Path, languages: Sequence[str]) -> Iterator[str]:
    """The texts of unlabelled.{en,zh}.jsonl.gz; nothing where there is no such file."""
    for path in (data / f"unlabelled.{lang}.jsonl.gz" for lang in languages):
        if path.is_file():
            yield from parsed(path, lambda raw: plain_row(raw).text)


def word_ids(texts: Sequence[str], lexicon: Lexicon) -> NDArray[np.int32]:
    """The texts one after the other as word numbers; 0 is an unknown word, and REACH zeros stand between two texts.

    Chinese persons are cut into their characters here: the rows of the words they stand as are learnt in training alone.
    """
    known = {word: i for i, word in enumerate(lexicon.words, start=1)}
    memory: dict[str, int] = {}
    parts: list[NDArray[np.int32]] = []
    gap = [0] * REACH
    for text in tqdm(texts, desc="words", unit="text", mininterval=5):
        pieces = prepare.cut(text[:MAX_CHARS])
        for piece in pieces:
            if piece not in memory:
                memory[piece] = known.get(neutral(prepare.normal(piece), shape_of(piece), known), 0)
        parts.append(np.array([memory[piece] for piece in pieces] + gap, np.int32))
    return np.concatenate(parts)


def pair_counts(ids: NDArray[np.int32], words: int) -> csr_matrix:
    """(words, words): how often two words stand within REACH of each other, the near ones counting more."""
    total = csr_matrix((words, words), dtype=np.float32)
    for start in tqdm(range(0, len(ids), CHUNK), desc="pairs", unit="chunk", mininterval=5):
        chunk = ids[start : start + CHUNK + REACH]
        for apart in range(1, REACH + 1):
            a, b = chunk[:-apart], chunk[apart:]
            both = (a > 0) & (b > 0)
            weight = np.full(int(both.sum()), 1 / apart, np.float32)
            total = total + csr_matrix((weight, (a[both], b[both])), shape=(words, words))
    return (total + total.T).tocsr()


def mutual_information(counts: csr_matrix) -> csr_matrix:
    """log P(a, b) / (P(a) · P(b)), where that is positive and the pair frequent enough."""
    counts = counts.copy()
    each = np.maximum(np.asarray(counts.sum(1)).ravel(), 1e-9)
    context = each**SMOOTHING / (each**SMOOTHING).sum()
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    value = np.log(np.maximum(counts.data, 1e-9) / each[rows] / context[counts.indices])
    counts.data = np.where((counts.data >= LEAST) & (value > 0), value, 0).astype(np.float32)
    counts.eliminate_zeros()
    return counts
