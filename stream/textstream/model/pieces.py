"""Word pieces for the pretrained encoders: each token of `text.cut` becomes one or more entries of a BERT vocabulary.

Tokens stay what they are everywhere else, so spans, offsets and limits mean the same for both tiers. A symbol that the
vocabulary lacks is read by its Unicode name: "😂" is "face with tears of joy", which a language model understands.
"""

import re
import threading
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from textstream.model.neutral import ANYBODY, NAME, SHARED
from textstream.model.text import HAN, MENTION, URL, readable
from textstream.model.tokens import MERGED, Lexicon, Tokeniser, Tokens

UNKNOWN, FIRST, PAD = "[UNK]", "[CLS]", "[PAD]"
MAX_PIECES = 16
"""Pieces of one token: longer ones are no words."""
MAX_SURFACES = 200_000
"""Surfaces remembered before the table starts anew: about 40 MB."""

_CHUNK = re.compile(rf"[{HAN}]|[^\W_{HAN}]+|[^\w\s]|_")
_CHINESE = re.compile(f"[{HAN}]+").fullmatch
_SAID = {URL: "http", MENTION: "@user"}


@dataclass(frozen=True, slots=True)
class WordPieces:
    """The entries of a BERT vocabulary, and how it reads persons. Written into the bundle."""

    pieces: tuple[str, ...]
    persons_alike: bool = False
    """Whether words of both genders are read alike, and so are Chinese names that are found; each is one token then."""


class Pieces(dict[str, tuple[int, ...]]):
    """Surface of a token → ids of its word pieces, at least one; worked out on first look-up. Not thread-safe."""

    def __init__(self, vocabulary: WordPieces) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self._ids = {piece: i for i, piece in enumerate(vocabulary.pieces)}
        assert self._ids.get(PAD) == 0, "padding is id 0 everywhere"
        self.unknown = self._ids[UNKNOWN]
        self.first = self._ids[FIRST]

    def __missing__(self, surface: str) -> tuple[int, ...]:
        if len(self) >= MAX_SURFACES:
            self.clear()
        ids = self[surface] = self._pieces(surface)
        return ids

    def _pieces(self, surface: str) -> tuple[int, ...]:
        token = readable(surface)
        token = SHARED.get(token, token) if self.vocabulary.persons_alike else token
        ids = [i for chunk in _chunks(_SAID.get(token, token)) for i in self._of_chunk(chunk)]
        return tuple(ids[:MAX_PIECES]) or (self.unknown,)

    def _of_chunk(self, chunk: str) -> list[int]:
        ids = self._greedy(chunk)
        if ids is None and unicodedata.category(chunk[0])[0] == "S":
            ids = [i for word in unicodedata.name(chunk[0], "").lower().split() for i in self._greedy(word) or ()]
        return ids or [self.unknown]

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

    def __init__(self, vocabulary: WordPieces, max_tokens: int) -> None:
        self._pieces = Pieces(vocabulary)
        self._lock = threading.Lock()
        self._cut = Tokeniser(_whole_words([self._pieces]), max_tokens)
        self._persons = _persons(self._cut.lexicon)

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text, in the order given; never raises on any `str`."""
        with self._lock:
            return [_with_pieces(tokens, self._pieces, self._persons) for tokens in self._cut(texts)]


class LanguageTokeniser:
    """Word pieces of each language's own vocabulary. Which language a text is in, its tokens tell. Thread-safe."""

    def __init__(self, vocabularies: Mapping[str, WordPieces], max_tokens: int) -> None:
        self._pieces = {code: Pieces(vocabulary) for code, vocabulary in vocabularies.items()}
        self._lock = threading.Lock()
        self._cut = Tokeniser(_whole_words(self._pieces.values()), max_tokens)
        self._persons = _persons(self._cut.lexicon)

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text, in the order given; one in a language without vocabulary has no units, and all are unknown."""
        with self._lock:
            return [
                _with_pieces(tokens, self._pieces.get(tokens.language["code"]), self._persons) for tokens in self._cut(texts)
            ]


def _whole_words(vocabularies: Iterable[Pieces]) -> Lexicon:
    """The words that stand in a vocabulary as they are: known words speak for their language. With those that Chinese persons
    stand as, where one of the vocabularies wants these to be tokens."""
    every = [pieces.vocabulary for pieces in vocabularies]
    words = dict.fromkeys(piece for each in every for piece in each.pieces if not piece.startswith("##"))
    persons = sorted(MERGED) if any(each.persons_alike for each in every) else ()
    return Lexicon(tuple(words | dict.fromkeys(persons)), affix_rows=1, bigram_rows=1)


def _persons(lexicon: Lexicon) -> dict[int, str]:
    """What is read for each row that a Chinese person has; nothing where characters are all there is."""
    rows = {word: row for row, word in enumerate(lexicon.words, start=1) if word in MERGED}
    return {row: ANYBODY if word == NAME else word for word, row in rows.items()} if NAME in rows else {}


def _with_pieces(tokens: Tokens, pieces: Pieces | None, persons: Mapping[int, str]) -> Tokens:
    if pieces is None:
        return replace(tokens, features=np.zeros((0, 1), np.int32), heads=np.zeros(0, np.int32), unknown=tokens.count)
    places = zip(tokens.begins.tolist(), tokens.ends.tolist(), strict=True)
    surfaces = [tokens.text[begin:end] for begin, end in places]
    for at in np.flatnonzero(np.isin(tokens.features[:, 0], list(persons))).tolist() if persons else ():
        if _CHINESE(surfaces[at]):  # capitalised words share the row of names too
            surfaces[at] = persons[int(tokens.features[at, 0])]
    each = [pieces[surface] for surface in surfaces]
    counts = np.fromiter(map(len, each), np.int64, len(each))
    units = np.fromiter(chain.from_iterable(each), np.int32, int(counts.sum()))
    heads = (np.cumsum(counts) - counts).astype(np.int32)
    return replace(tokens, features=units[:, None], heads=heads, unknown=sum(pieces.unknown in ids for ids in each))
