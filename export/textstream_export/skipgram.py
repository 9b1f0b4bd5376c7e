"""Where the embedding table may start instead of `pretrain`: skip-gram vectors by gensim, from the same texts.

One worker alone: with more, every run gives other vectors.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from textstream.model.tokens import Lexicon
from textstream_export.pretrain import REACH, SPREAD, word_ids

EPOCHS = 1
"""Over 40 M words; it takes about 4 minutes of a core."""
NEGATIVE = 5
"""Words drawn against each pair."""
SAMPLE = 1e-4
"""Frequency from which on a word is passed over, the more often the more frequent it is."""


def skipgram_vectors(texts: Sequence[str], lexicon: Lexicon, width: int, seed: int) -> NDArray[np.float32]:
    """(words, width) vectors to begin training with; of words that stand in no text, at random."""
    from gensim.models import Word2Vec  # takes a second to load, and few runs need it

    ids = word_ids(texts, lexicon)
    with TemporaryDirectory() as folder:
        path = Path(folder, "words")
        write_words(path, ids)
        model = Word2Vec(
            corpus_file=str(path),
            vector_size=width,
            window=REACH,
            sg=1,
            negative=NEGATIVE,
            sample=SAMPLE,
            min_count=1,
            workers=1,
            seed=seed,
            epochs=EPOCHS,
        )
    vectors = np.random.default_rng(seed).normal(0, SPREAD, (len(lexicon.words), width)).astype(np.float32)
    met = np.array([int(number) for number in model.wv.index_to_key], np.int64)
    vectors[met - 1] = model.wv.vectors * (SPREAD / model.wv.vectors.std())
    return vectors


def write_words(path: Path, ids: NDArray[np.int32]) -> None:
    """The numbers of known words, a text a line; `ids` as `word_ids` gives them, with REACH zeros between two texts."""
    known = np.flatnonzero(ids)
    lines = np.split(ids[known], np.flatnonzero(np.diff(known) > REACH) + 1)
    with path.open("w", encoding="ascii") as file:
        file.writelines(" ".join(map(str, line.tolist())) + "\n" for line in tqdm(lines, desc="texts", mininterval=5))
