"""Word pieces for the pretrained encoders: each token of `text.cut` becomes one or more entries of a BERT vocabulary.

Tokens stay what they are everywhere else, so spans, offsets and limits mean the same for both tiers. A symbol that the
vocabulary lacks is read by its Unicode name: "😂" is "face with tears of joy", which a language model understands.
"""

import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from textstream.model.text import HAN, MENTION, URL, readable
from textstream.model.tokens import Lexicon, Tokeniser, Tokens

UNKNOWN, FIRST, PAD = "[UNK]", "[CLS]", "[PAD]"
MAX_PIECES = 16
"""Pieces of one token: longer ones are no words."""
MAX_SURFACES = 200_000
"""Surfaces remembered before the table starts anew: about 40 MB."""

_CHUNK = re.compile(rf"[{HAN}]|[^\W_{HAN}]+|[^\w\s]|_")
_SAID = {URL: "http", MENTION: "@user"}


class Pieces(dict[str, tuple[int, ...]]):
    """Surface of a token → ids of its word pieces, at least one; worked out on first look-up. Not thread-safe."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self._ids = {piece: i for i, piece in enumerate(self.vocabulary)}
        assert self._ids.get(PAD) == 0, "padding is id 0 everywhere"
        self._unknown = self._ids[UNKNOWN]
        self.first = self._ids[FIRST]

    def __missing__(self, surface: str) -> tuple[int, ...]:
        if len(self) >= MAX_SURFACES:
            self.clear()
        ids = self[surface] = self._pieces(surface)
        return ids

    def _pieces(self, surface: str) -> tuple[int, ...]:
        token = readable(surface)
        ids = [i for chunk in _chunks(_SAID.get(token, token)) for i in self._of_chunk(chunk)]
        return tuple(ids[:MAX_PIECES]) or (self._unknown,)

    def _of_chunk(self, chunk: str) -> list[int]:
        ids = self._greedy(chunk)
        if ids is None and unicodedata.category(chunk[0])[0] == "S":
            ids = [i for word in unicodedata.name(chunk[0], "").lower().split() for i in self._greedy(word) or ()]
        return ids or [self._unknown]

    def _greedy(self, word: str) -> list[int] | None:
        """The longest known piece first, as BERT's WordPiece does; None where some part is unknown."""
        ids, start = list[int](), 0
        while start < len(word):
            for end in range(len(word), start, -1):
                found = self._ids.get(("##" if start else "") + word[start:end])
                if found is not None:
                    break
            else:
                return None
            ids.append(found)
            start = end
        return ids


def _chunks(token: str) -> list[str]:
    """Words, Chinese characters and single symbols, without accents, joiners and variation selectors."""
    plain = "".join(c for c in unicodedata.normalize("NFD", token) if unicodedata.category(c) not in ("Mn", "Cf"))
    return _CHUNK.findall(plain)


class PieceTokeniser:
    """As `tokens.Tokeniser`, with word pieces for units: cuts texts into the same tokens. Thread-safe."""

    def __init__(self, vocabulary: Sequence[str], max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._pieces = Pieces(vocabulary)
        self._lock = threading.Lock()
        whole_words = tuple(piece for piece in self._pieces.vocabulary if not piece.startswith("##"))
        self._cut = Tokeniser(Lexicon(whole_words, affix_rows=1, bigram_rows=1), max_tokens)

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text, in the order given; never raises on any `str`."""
        with self._lock:
            return [self._with_pieces(tokens) for tokens in self._cut(texts)]

    def _with_pieces(self, tokens: Tokens) -> Tokens:
        places = zip(tokens.begins.tolist(), tokens.ends.tolist(), strict=True)
        pieces = [self._pieces[tokens.text[begin:end]] for begin, end in places]
        counts = np.fromiter(map(len, pieces), np.int64, len(pieces))
        units = np.fromiter(chain.from_iterable(pieces), np.int32, int(counts.sum()))
        return replace(tokens, features=units[:, None], heads=(np.cumsum(counts) - counts).astype(np.int32))
