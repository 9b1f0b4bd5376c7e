"""From texts to what the network reads: for each token a row of feature ids, and where it stands in the text.

What depends on a token alone is worked out once for each surface and kept in a bounded table; new surfaces of a batch are
worked out together. A batch is then a look-up a token, Chinese characters by their code point and the rest in a dictionary, and
sums over what was looked up: a compiled loop, or a few numpy operations for all its texts.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress, starmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textstream import native
from textstream.event import Language
from textstream.model import chinese_names
from textstream.model import text as prepare
from textstream.model.chinese_words import ChineseWords
from textstream.model.language import COLUMNS, decide, evidence
from textstream.model.neutral import NAME, PERSONS, SHARED, TITLE, neutral, shape_of

FEATURES = ("word", "bigram", "tail")
"""A token's ids: a word, or the prefix of one that has no row; the pair with the token before; the shape of a word, or the
suffix and shape of one that has no row, and of a Chinese character the word that it stands in. 0 is padding."""

SHAPES = 5
MAX_SURFACES = 200_000
MAX_SURFACE_CHARS = 5_000_000
"""Surfaces remembered, and their code points together, before the table starts anew: about 60 MB."""
SETTLED_AT_ONCE = 1024
"""New surfaces whose rows are worked out together: their letters take 100 numbers each while that lasts."""

CHARS_PER_TOKEN = 16
"""A text is cut at this many code points for each token of the limit: 10 MB of text costs no more than the limit."""

MERGED = {NAME, *PERSONS.values()}
"""The words that Chinese persons stand as; a lexicon that lacks any of them has a token for each character."""
_NAMED = "\n"
"""Behind a surface that is a name. White space is only ever before those that are cut from a text."""

_START = np.uint32(prepare.hashed("<start>"))
_WORD, _TAIL, _KEY, _CHARS, _LEAD = range(5)  # columns of the surface table; a key is a hash, for the pairs
_SURFACE_COLUMNS = 5

Numbers = NDArray[np.int64]
Codes = NDArray[np.uint32]
"""Code points."""


def _han() -> NDArray[np.bool_]:
    """By code point, whether it is a Chinese character; the last entry stands for all beyond."""
    han = np.zeros(prepare.HAN_RANGES[-1][1] + 2, np.bool_)
    for first, last in prepare.HAN_RANGES:
        han[first : last + 1] = True
    return han


_HAN = _han()


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words with a row of their own, and how many rows the hashed features share. Written into the bundle."""

    words: tuple[str, ...]
    affix_rows: int
    bigram_rows: int
    chinese: tuple[str, ...] = ()
    """Words of several characters, each of them a token that is read with the word it stands in"""

    @property
    def rows(self) -> int:
        """Rows of the embedding table: padding, words, affixes, shapes, bigrams, Chinese words."""
        return self.first_chinese + len(self.chinese)

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

    @property
    def first_chinese(self) -> int:
        """The row of the first Chinese word."""
        return self.first_bigram + self.bigram_rows


@dataclass(slots=True, eq=False)  # not frozen, which would cost a microsecond each
class Tokens:
    """A text made ready for the network. Not to be changed: made in one thread, scored in another."""

    text: str
    features: NDArray[np.int32]
    """(units, features): what the network reads"""
    begins: NDArray[np.int32]
    ends: NDArray[np.int32]
    """(count,), code points, without the white space before a token"""
    language: Language
    truncated: bool
    heads: NDArray[np.int32] | None = None
    """(count,): the unit that answers for each token; None where every token is one unit"""
    unknown: int = 0
    """Tokens that the vocabulary lacks: a network of words reads their letters, one of word pieces reads that it is lacking."""

    @property
    def count(self) -> int:
        """Tokens that will be scored."""
        return len(self.ends)

    @property
    def scored_until(self) -> int:
        """Code points that will be scored, of a text that is truncated."""
        return int(self.ends[-1]) if self.count else 0


def marks(batch: Sequence[Tokens]) -> NDArray[np.uint8]:
    """(tokens,): which tokens of a batch, one text after the other, are a `text.QUOTE` or a `text.EMOJI`; 0 for others."""
    texts = [tokens.text[: tokens.ends[-1]] if tokens.truncated else tokens.text for tokens in batch]
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    begins, each = np.concatenate([tokens.begins for tokens in batch]), [tokens.ends for tokens in batch]
    ends = np.concatenate(each)
    at = begins + np.repeat(np.cumsum([0, *map(len, texts[:-1])]), list(map(len, each)))
    found = np.asarray(prepare.marks().take(codes.take(at, mode="clip"), mode="clip"), np.uint8)
    found[(found == prepare.QUOTE) & (ends > begins + 1)] = 0  # an apostrophe, as in 's
    return found


class _Surfaces(dict[str, int]):
    """Surface → its slot, a row of `table` and of `evidence`. A look-up takes note of a new one; `settle` fills its rows."""

    def __init__(self, lexicon: Lexicon) -> None:
        super().__init__()
        self.ids = {word: row for row, word in enumerate(lexicon.words, start=1)}
        self._first_affix, self._affix_rows, self._first_shape = lexicon.first_affix, lexicon.affix_rows, lexicon.first_shape
        # Room for all that is remembered and a batch more: memory is taken as rows are filled, growing holds up a batch.
        self.table = np.zeros((MAX_SURFACES + MAX_SURFACES // 4, _SURFACE_COLUMNS), np.int64)
        self.evidence = np.zeros((len(self.table), COLUMNS), np.float32)
        self.of_code = np.full(len(_HAN), -1, np.int32)  # slots of the Chinese characters that have one
        self.roles = np.zeros(len(self.table), np.int64) if self.ids.keys() >= MERGED else None
        self.chars = 0
        self.new: list[str] = []

    def __missing__(self, surface: str) -> int:
        slot = self[surface] = len(self)
        self.new.append(surface)
        return slot

    def look_up(self, surfaces: Iterable[str], total: int) -> Numbers:
        """(total,) slots."""
        return np.fromiter(map(self.__getitem__, surfaces), np.int64, total)

    def look_up_codes(self, codes: Codes) -> Numbers:
        """(codes,) slots of Chinese characters."""
        slots = self.of_code[codes]
        new = np.unique(codes[slots < 0])
        if len(new):
            self.of_code[new] = self.look_up(map(chr, new.tolist()), len(new))
            slots = self.of_code[codes]
        return slots.astype(np.int64)

    def settle(self) -> None:
        """Work out the rows of all surfaces that are new."""
        while len(self) > len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
            self.evidence = np.concatenate([self.evidence, np.zeros_like(self.evidence)])
            self.roles = None if self.roles is None else np.concatenate([self.roles, np.zeros_like(self.roles)])
        for at in range(0, len(self.new), SETTLED_AT_ONCE):
            self._fill(len(self) - len(self.new) + at, self.new[at : at + SETTLED_AT_ONCE])
        self.new.clear()  # only now: where something went wrong, the next look-up finds its rows still to be filled

    def _fill(self, first: int, new: list[str]) -> None:
        """The rows of `new`, from the row `first` on."""
        tokens = list(map(prepare.normal, new))
        each = list(zip(new, tokens, strict=True))
        rows = chain.from_iterable(starmap(self._row, each))
        filled = slice(first, first + len(new))
        self.table[filled] = np.fromiter(rows, np.int64).reshape(-1, _SURFACE_COLUMNS)
        self.evidence[filled] = evidence(tokens, [SHARED.get(token, token) in self.ids for token in tokens])
        letters = [len(surface.strip()) if surface.endswith(_NAMED) or token in MERGED else 1 for surface, token in each]
        self.evidence[filled] *= np.array(letters)[:, None]  # of a person's characters, each says Chinese
        self.chars += sum(map(len, new))
        if self.roles is not None:
            self.roles[filled] = list(map(chinese_names.role, tokens))

    def merged(self, slots: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
        """(tokens,) slots and (texts,) counts in which every Chinese person is one token, where the lexicon has their words."""
        if self.roles is None or not (roles := self.roles[slots]).any():
            return slots, counts
        stops = np.cumsum(counts)
        apart = self.table[slots, _LEAD] > 0
        apart[(stops - counts)[counts > 0]] = True
        found = chinese_names.persons(roles, apart)
        if not found:
            return slots, counts
        begins, ends = np.array([(person.begin, person.end) for person in found]).T
        kept = np.ones(len(slots), np.bool_)
        slots, counts = slots.copy(), counts.copy()
        for begin, end, form in found:
            written = "王" * (end - begin) + _NAMED if form == NAME else form
            slots[begin] = self[" " * int(self.table[slots[begin], _LEAD]) + written]
            kept[begin + 1 : end] = False
        self.settle()
        np.subtract.at(counts, np.searchsorted(stops, begins, side="right"), ends - begins - 1)
        return slots[kept], counts

    def _row(self, surface: str, token: str) -> tuple[int, int, int, int, int]:
        shape, named, size = shape_of(surface), surface.endswith(_NAMED), len(surface)
        form = NAME if named else neutral(token, shape, self.ids)
        if form == NAME:
            shape = TITLE  # 王小明, DeVries and Emily are one to the network
        if word := self.ids.get(form, 0):
            tail = self._first_shape + shape
        else:
            word = self._first_affix + prepare.hashed("^" + form[:4]) % self._affix_rows
            tail = self._first_affix + prepare.hashed(f"{form[-3:]}${shape}") % self._affix_rows
        return word, tail, prepare.hashed(form), size - named, size - len(surface.lstrip())


class _Read(NamedTuple):
    """What the tokens of a batch are, one text after the other."""

    features: NDArray[np.int32]
    """(tokens, FEATURES): see `Tokeniser._features`"""
    begins: NDArray[np.int32]
    ends: NDArray[np.int32]
    evidence: NDArray[np.float32]
    """(texts, COLUMNS): summed over the tokens of each"""
    of_text: Numbers
    """(texts, 2): code points up to the end of the last token, and how many tokens have no row of their own"""


class Tokeniser:
    """Cuts texts into tokens. Thread-safe; the table of surfaces is its only state."""

    def __init__(self, lexicon: Lexicon, max_tokens: int) -> None:
        assert max_tokens > 0, "a text needs at least one token"
        self.lexicon = lexicon
        self.max_tokens = max_tokens
        self._surfaces = _Surfaces(lexicon)
        self._chinese = ChineseWords(lexicon.chinese, lexicon.first_chinese, self._surfaces.ids)
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text, in the order given; never raises on any `str`."""
        if not texts:
            return []
        with self._lock:
            slots, counts = self._slots(texts)
            surfaces = self._surfaces
            table, said = surfaces.table, surfaces.evidence  # rows that stand are not changed
        read = (self._read if native.compiled is None else self._read_compiled)(table, said, slots, counts)
        stops = np.cumsum(counts)
        starts = stops - counts
        until, unknown = read.of_text.T.tolist()
        features, begins, ends = (
            [column[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
            for column in (read.features, read.begins, read.ends)
        )
        truncated = [len(text) > end and not text[end:].isspace() for text, end in zip(texts, until, strict=True)]
        heads = [None] * len(texts)
        return list(map(Tokens, texts, features, begins, ends, decide(read.evidence), truncated, heads, unknown))

    def _slots(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """(tokens,) the slot of each; (texts,) tokens of each text. Under the lock."""
        if len(self._surfaces) > MAX_SURFACES or self._surfaces.chars > MAX_SURFACE_CHARS:
            self._surfaces = _Surfaces(self.lexicon)
        surfaces = self._surfaces
        if native.compiled is None:
            slots, counts = self._look_up(list(map(self._cut, texts)))
            slots, counts = self._within(slots, counts)
        else:
            slots = np.empty(sum([min(len(text), self.max_tokens) for text in texts]), np.int64)
            counts = np.empty(len(texts), np.int64)
            found = native.compiled.cut(
                list(texts), self.max_tokens, self.max_tokens * CHARS_PER_TOKEN, prepare.MAX_TOKEN_CHARS, prepare.kinds(),
                prepare.PIECE.match, surfaces, surfaces.new, surfaces.of_code, slots, counts,
            )  # fmt: skip
            slots = slots[:found]
        surfaces.settle()
        return surfaces.merged(slots, counts)

    def _within(self, slots: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
        """No more tokens of a text than are scored: the last piece may have brought many."""
        if not len(counts) or counts.max() <= self.max_tokens:
            return slots, counts
        place = np.arange(len(slots)) - np.repeat(np.cumsum(counts) - counts, counts)
        return slots[place < self.max_tokens], np.minimum(counts, self.max_tokens)

    def _cut(self, text: str) -> list[str]:
        """Pieces that hold all tokens to be scored, and hardly more."""
        return prepare.RUN.findall(text[: self.max_tokens * CHARS_PER_TOKEN].rstrip())[: self.max_tokens]

    def _look_up(self, pieces: list[list[str]]) -> tuple[Numbers, Numbers]:
        """(tokens,) the slot of each; (texts,) tokens of each text. Under the lock."""
        surfaces = self._surfaces
        flat = list(chain.from_iterable(pieces))
        lengths = np.fromiter(map(len, flat), np.int64, len(flat))
        codes = np.frombuffer("".join(flat).encode("utf-32-le", "surrogatepass"), np.uint32)
        run = _are_runs(codes, lengths)
        each = np.where(run, lengths, 1)  # tokens of each piece
        of_run = np.repeat(run, each)
        slots = np.empty(len(of_run), np.int64)
        slots[of_run] = surfaces.look_up_codes(codes[np.repeat(run, lengths)])
        slots[~of_run] = surfaces.look_up(compress(flat, (~run).tolist()), len(flat) - int(run.sum()))
        stops = np.concatenate([np.zeros(1, np.int64), np.cumsum(each)])[np.cumsum(list(map(len, pieces)))]
        return slots, np.diff(stops, prepend=0)

    def _read(self, table: Numbers, evidence: NDArray[np.float32], slots: Numbers, counts: Numbers) -> _Read:
        stops = np.cumsum(counts)
        starts = stops - counts
        rows = table[slots]
        read = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows[:, _CHARS])])  # code points before each token
        own = np.repeat(read[starts], counts)
        lacking = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows[:, _WORD] >= self.lexicon.first_affix)])
        return _Read(
            self._features(rows, starts, counts),
            (read[:-1] + rows[:, _LEAD] - own).astype(np.int32),
            (read[1:] - own).astype(np.int32),
            _sums(evidence[slots], starts, counts),
            np.stack([read[stops] - read[starts], lacking[stops] - lacking[starts]], 1),
        )

    def _read_compiled(self, table: Numbers, evidence: NDArray[np.float32], slots: Numbers, counts: Numbers) -> _Read:
        assert native.compiled is not None
        total, lexicon = len(slots), self.lexicon
        begins, ends = np.empty(total, np.int32), np.empty(total, np.int32)
        said, of_text = np.zeros((len(counts), COLUMNS), np.float32), np.empty((len(counts), 2), np.int64)
        read = _Read(np.empty((total, len(FEATURES)), np.int32), begins, ends, said, of_text)
        rows = lexicon.first_affix, lexicon.first_bigram, lexicon.bigram_rows, int(_START)
        words = self._chinese
        chinese = words.steps, words.bounds, words.ending, words.begun
        native.compiled.read(table, evidence, slots, counts, rows, chinese, *read)
        return read

    def _features(self, rows: Numbers, starts: Numbers, counts: Numbers) -> NDArray[np.int32]:
        """(total, FEATURES): the surface's own ids, the bigram with the token before it in the same text, and the word that a
        Chinese character stands in."""
        keys = rows[:, _KEY].astype(np.uint32)
        before = np.empty_like(keys)
        before[1:] = keys[:-1]
        before[starts[counts > 0]] = _START
        mixed = (before * np.uint32(0x9E3779B1)) ^ (keys * np.uint32(0x85EBCA77))
        mixed ^= mixed >> np.uint32(15)
        bigrams = self.lexicon.first_bigram + mixed % np.uint32(self.lexicon.bigram_rows)
        standing = self._chinese.standing_in(rows[:, _WORD], counts)
        return np.stack([rows[:, _WORD], bigrams, np.where(standing, standing, rows[:, _TAIL])], 1).astype(np.int32)


def _are_runs(codes: Codes, lengths: Numbers) -> NDArray[np.bool_]:
    """(pieces,): whether a piece is Chinese characters, each a token of its own."""
    run = lengths >= 2
    first = (np.cumsum(lengths) - lengths)[run]
    run[run] = _HAN.take(codes[first], mode="clip") & _HAN.take(codes[first + 1], mode="clip")
    return run


def _sums(said: NDArray[np.float32], starts: Numbers, counts: Numbers) -> NDArray[np.float32]:
    """(texts, COLUMNS): evidence summed over the first `counts` tokens of each text; zeros for an empty one."""
    sums = np.zeros((len(counts), said.shape[1]), np.float32)
    some = counts > 0
    if some.any():
        bounds = np.stack([starts[some], (starts + counts)[some]], 1).ravel()
        sums[some] = np.add.reduceat(said, bounds[bounds < len(said)], axis=0)[::2]  # the last text may end at the end
    return sums
