"""From texts to what the network reads: for each token a row of feature ids, and where it stands in the text.

Everything that depends on a token alone is computed once for each surface and kept in a bounded table; a batch is then
one dictionary look-up a token and a few numpy operations for all its texts together.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from textstream.model import text as prepare
from textstream.model.language import COLUMNS, evidence
from textstream.model.neutral import neutral

FEATURES = ("word", "bigram", "tail")
"""A token's ids: a word, or the prefix of one that has no row; the pair with the token before; the shape of a word, or the
suffix and shape of one that has no row. 0 is padding."""

SHAPES = 5
MAX_SURFACES = 200_000
MAX_SURFACE_CHARS = 5_000_000
"""Surfaces remembered, and their code points together, before the table starts anew: about 40 MB."""

CHARS_PER_TOKEN = 16
"""A text is cut at this many code points for each token of the limit: 10 MB of text costs no more than the limit."""

_START = np.uint32(prepare.hashed("<start>"))
_KEY, _CHARS, _LEAD, _SAID_AT = 3, 4, 5, 6  # columns of the surface table, after word, (bigram) and tail


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words with a row of their own, and how many rows the hashed features share. Written into the bundle."""

    words: tuple[str, ...]
    affix_rows: int
    bigram_rows: int

    @property
    def rows(self) -> int:
        """Rows of the embedding table: padding, words, affixes, shapes, bigrams."""
        return 1 + len(self.words) + self.affix_rows + SHAPES + self.bigram_rows

    @property
    def first_affix(self) -> int:
        """The row of the first hashed prefix or suffix."""
        return 1 + len(self.words)

    @property
    def first_shape(self) -> int:
        """The row of shape 0."""
        return self.first_affix + self.affix_rows

    @property
    def first_bigram(self) -> int:
        """The row of the first hashed pair of neighbours."""
        return self.first_shape + SHAPES


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """A text made ready for the network. Immutable: made in one thread, scored in another."""

    text: str
    features: NDArray[np.int32]
    """(units, features): what the network reads"""
    begins: NDArray[np.int32]
    ends: NDArray[np.int32]
    """(count,), code points, without the white space before a token"""
    evidence: NDArray[np.float32]
    """(language.COLUMNS,): what the tokens say about the language, summed"""
    truncated: bool
    heads: NDArray[np.int32] | None = None
    """(count,): the unit that answers for each token; None where every token is one unit"""

    @property
    def count(self) -> int:
        """Tokens that will be scored."""
        return len(self.ends)


class _Surfaces(dict[str, int]):
    """Surface → its row in `table`; a surface not seen before is worked out on first look-up.

    Most of the work is on its folded form, which many surfaces share: "Hotel" and " hotel", every URL, every @mention.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        super().__init__()
        self.lexicon = lexicon
        self.chars = 0
        self.tokens: dict[tuple[str, str], tuple[int, int, int]] = {}
        """Folded form, and as it is looked up → word, hash, slot of its evidence."""
        self.ids = {word: row for row, word in enumerate(lexicon.words, start=1)}
        self.table = np.zeros((4096, _SAID_AT + 1), dtype=np.int64)
        self.evidence = np.zeros((4096, COLUMNS), dtype=np.float32)  # of each surface whose form was new
        self.new: list[tuple[int, str]] = []  # forms that `evidence` has still to hear about, and their slots

    def __missing__(self, surface: str) -> int:
        slot = len(self)
        self.chars += len(surface)
        if slot == len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
            self.evidence = np.concatenate([self.evidence, np.zeros_like(self.evidence)])
        token = prepare.normal(surface)
        form = neutral(token, surface, self.ids)
        known = self.tokens.get((token, form))
        if known is None:
            known = self.tokens[token, form] = self._word(form), prepare.hashed(form), slot
            self.new.append((slot, token))
        word, key, said_at = known
        tail = self._tail(word, form, prepare.shape(surface))
        # The bigram, the second feature, is known only beside the token before it.
        self.table[slot] = (word, 0, tail, key, len(surface), len(surface) - len(surface.lstrip()), said_at)
        self[surface] = slot
        return slot

    def said(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(tokens, COLUMNS): the evidence of these rows of the table; that of new forms is worked out all at once."""
        if self.new:
            slots, tokens = zip(*self.new, strict=True)
            self.evidence[list(slots)] = evidence(tokens, [token in self.ids for token in tokens])
            self.new.clear()
        return self.evidence[rows[:, _SAID_AT]]

    def _word(self, token: str) -> int:
        """The row of a word, or of the prefix of one that has none."""
        lexicon = self.lexicon
        return self.ids.get(token, 0) or lexicon.first_affix + prepare.hashed("^" + token[:4]) % lexicon.affix_rows

    def _tail(self, word: int, token: str, shape: int) -> int:
        """The row of a word's shape, or of the suffix and the shape of one that has no row."""
        lexicon = self.lexicon
        if word < lexicon.first_affix:
            return lexicon.first_shape + shape
        return lexicon.first_affix + prepare.hashed(f"{token[-3:]}${shape}") % lexicon.affix_rows


class Tokeniser:
    """Cuts texts into tokens. Thread-safe; the table of surfaces is its only state."""

    def __init__(self, lexicon: Lexicon, max_tokens: int) -> None:
        assert max_tokens > 0, "a text needs at least one token"
        self.lexicon = lexicon
        self.max_tokens = max_tokens
        self._surfaces = _Surfaces(lexicon)
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text, in the order given; never raises on any `str`."""
        if not texts:
            return []
        cut = [self._cut(text) for text in texts]
        counts = np.fromiter((len(pieces) for pieces, _ in cut), np.int64, len(cut))
        with self._lock:
            rows, said = self._look_up([pieces for pieces, _ in cut], int(counts.sum()))
        stops = np.cumsum(counts)
        starts = stops - counts
        features = self._features(rows, starts[counts > 0])
        begins, ends = _offsets(rows, starts, counts)
        sums = _sums(said, starts, counts)
        bounds = zip(texts, starts.tolist(), stops.tolist(), sums, cut, strict=True)
        return [Tokens(text, features[a:b], begins[a:b], ends[a:b], row, tail) for text, a, b, row, (_, tail) in bounds]

    def _cut(self, text: str) -> tuple[list[str], bool]:
        """The surfaces to score, and whether any were left out."""
        limit = self.max_tokens * CHARS_PER_TOKEN
        if len(text) <= limit:
            pieces = prepare.cut(text.rstrip())
            return (pieces, False) if len(pieces) <= self.max_tokens else (pieces[: self.max_tokens], True)
        pieces = list(islice((m.group() for m in prepare.PIECE.finditer(text, 0, limit)), self.max_tokens))
        left_out = bool(text[sum(map(len, pieces)) :].strip())
        return pieces, left_out

    def _look_up(self, pieces: list[list[str]], total: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(total, columns) of the surface table, (total, COLUMNS) of evidence. Under the lock."""
        surfaces = self._surfaces
        if len(surfaces) > MAX_SURFACES or surfaces.chars > MAX_SURFACE_CHARS:
            surfaces = self._surfaces = _Surfaces(self.lexicon)
        slots = np.fromiter(map(surfaces.__getitem__, chain.from_iterable(pieces)), np.int64, total)
        rows = surfaces.table[slots]
        return rows, surfaces.said(rows)

    def _features(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int32]:
        """(total, FEATURES): the surface's own ids, and the bigram with the token before it in the same text."""
        keys = rows[:, _KEY].astype(np.uint32)
        before = np.empty_like(keys)
        before[1:] = keys[:-1]
        before[starts] = _START
        mixed = (before * np.uint32(0x9E3779B1)) ^ (keys * np.uint32(0x85EBCA77))
        mixed ^= mixed >> np.uint32(15)
        features = rows[:, : len(FEATURES)].astype(np.int32)
        features[:, 1] = self.lexicon.first_bigram + mixed % np.uint32(self.lexicon.bigram_rows)
        return features


def _offsets(
    rows: NDArray[np.int64], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Begin and end of each token in its own text, in code points; the running sum of the lengths."""
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows[:, _CHARS])])
    base = np.repeat(running[starts], counts)
    begins = running[:-1] - base + rows[:, _LEAD]
    return begins.astype(np.int32), (running[1:] - base).astype(np.int32)


def _sums(said: NDArray[np.float32], starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """(texts, COLUMNS): evidence summed over the tokens of each text; zeros for an empty one."""
    sums = np.zeros((len(counts), said.shape[1]), np.float32)
    some = counts > 0
    if some.any():
        sums[some] = np.add.reduceat(said, starts[some], axis=0)
    return sums
