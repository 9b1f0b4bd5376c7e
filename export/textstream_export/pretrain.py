"""Skip-gram vectors of the lexicon's words from all text there is, labelled or not: where the embedding table starts from."""

from collections.abc import Iterator
from pathlib import Path

import gzip
import json

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from textstream.errors import Misconfigured
from textstream.model import text as prepare
from textstream.model.tokens import Lexicon
from textstream_export.data import LANGUAGES, read_train, split_held_out

SPREAD = 0.1
"""Standard deviation the vectors are scaled to: that of the rows that start at random."""


def skip_gram(data: Path, lexicon: Lexicon, width: int, epochs: int, seed: int) -> NDArray[np.float32]:
    """(words, width) start vectors. One worker thread: with more, gensim gives other numbers each time."""
    from gensim.models import Word2Vec

    sentences = [[*_tokens(text)] for text in tqdm(_texts(data), desc="skip-gram text", unit="text", mininterval=5)]
    model = Word2Vec(
        sentences, vector_size=width, window=5, min_count=3, sg=1, negative=5, sample=1e-4, epochs=epochs, seed=seed, workers=1
    )
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((len(lexicon.words), width)).astype(np.float32)
    known = [i for i, word in enumerate(lexicon.words) if word in model.wv]
    found = model.wv[[lexicon.words[i] for i in known]]
    vectors[known] = (found - found.mean(0)) / found.std()
    return vectors * np.float32(SPREAD)
