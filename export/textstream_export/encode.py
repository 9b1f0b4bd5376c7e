"""Turns rows into arrays: every token of every row in one flat table, so that a batch is a few slices.

Token targets: `tags` (tokens, 3) is 0 outside, 1 begin, 2 inside for the row's own channel and -1 elsewhere: a label that
was never asked for is not a negative. `towards` (tokens,) is the sentiment of the aspect a token stands in, else -1.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from textstream.errors import Misconfigured
from textstream.event import KINDS, LABELS
from textstream.model import text as prepare
from textstream.model.neutral import SHARED, TITLE, shape_of
from textstream.model.packing import WINDOW
from textstream.model.tokens import MERGED, Lexicon, Tokens
from textstream_export.data import Row
from textstream_export.recipe import Recipe
from textstream_export.soft import Soft, Tokenise
from textstream_export.sources import BINARY, CHANNELS, MADE, OUTSIDE_WEIGHT
from textstream_export.workers import shared_out

UNKNOWN = -1
LOWER = 1
NAME_SHARE = 0.75
"""Of a word's occurrences inside cased texts that are capitalised, from which on it is a name: "will" is 0.1, "emily" 0.95. A
rare word has one or two more the benefit of the doubt: most of those that are ever capitalised are names."""
CHUNK = 4096
TAGS = 3
"""Outside, begin, inside."""
OUTPUTS = len(KINDS) * TAGS + len(LABELS)
"""Numbers a unit: the tags of each channel, then the sentiment towards a term there."""
_NO_WORD, _NO_UNIT = np.full(len(LABELS), np.nan, np.float16), np.zeros((0, OUTPUTS), np.float16)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Rows as arrays; row r owns units `bounds[r]:bounds[r + 1]`."""

    features: NDArray[np.int32]  # (units, features)
    bounds: NDArray[np.int64]  # (rows + 1,)
    label: NDArray[np.int64]  # (rows,) index into LABELS, or UNKNOWN
    binary: NDArray[np.bool_]  # (rows,) the neutral class is masked
    source: NDArray[np.int64]  # (rows,) index into `sources`
    weight: NDArray[np.float64]  # (rows,) how often a row is drawn in an epoch
    outside: NDArray[np.float32]  # (rows,) weight of an O tag in the loss
    tags: NDArray[np.int8]  # (units, 3)
    towards: NDArray[np.int8]  # (units,)
    soft_sentiment: NDArray[np.float32]  # (rows, 3) a teacher's logits, NaN where there are none
    soft_units: NDArray[np.float16]  # (units, OUTPUTS), or (0, OUTPUTS) where no row has any
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.label)


def build_lexicon(texts: Iterable[str], recipe: Recipe) -> Lexicon:
    """The words of the texts, most frequent first; ties in order of spelling, so that the result is one.

    Words that are mostly capitalised where case tells something are left to the row of names (see `neutral`).
    """
    surfaces: Counter[str] = Counter()
    cased: Counter[str] = Counter()
    for text in tqdm(texts, desc="lexicon", unit="text", mininterval=10):
        pieces = prepare.cut(text[: recipe.max_train_tokens * 8])
        surfaces.update(pieces)
        if not text.islower() and not text.isupper():
            cased.update(pieces[1:])  # the first word of a text is capitalised whatever it is
    counts: Counter[str] = Counter()
    for surface, count in surfaces.items():
        token = prepare.normal(surface)
        counts[SHARED.get(token, token)] += count
    names = _names(cased)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = sorted(MERGED)
    words = [w for w, n in ranked if n >= recipe.min_word_count and w and w not in names and w not in named]
    return with_chinese_words((*named, *words[: recipe.max_words - len(named)]), recipe)


@cache
def _chinese_words() -> tuple[str, ...]:
    """The list, the most frequent first."""
    lines = Path(__file__).with_name("chinese_words.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


def with_chinese_words(words: Sequence[str], recipe: Recipe) -> Lexicon:
    """The lexicon of the words, and of the most frequent Chinese words whose characters are among them: no others are found."""
    own = set(words)
    chinese = [word for word in _chinese_words() if own.issuperset(word)] if recipe.chinese_words else []
    return Lexicon(tuple(words), recipe.affix_rows, recipe.bigram_rows, tuple(chinese[: recipe.chinese_words]))


def _names(cased: Counter[str]) -> set[str]:
    """Folded forms of Latin words that are mostly capitalised: names of people, places, brands."""
    titled: Counter[str] = Counter()
    lower: Counter[str] = Counter()
    for surface, count in cased.items():
        shape = shape_of(surface)
        if shape in (LOWER, TITLE) and surface.isascii():
            (titled if shape == TITLE else lower)[prepare.normal(surface)] += count
    often = {token for token, n in titled.items() if n > 1 and n + 2 >= NAME_SHARE * (n + lower[token] + 1)}
    return {token for token in often if len(token) > 1 and token.isalpha() and token not in SHARED.values()}


Lot = Callable[[], Iterable[tuple[Row, Soft | None]]]
"""Rows that are read and encoded together, each with what a teacher says of it."""


def encode(lots: Sequence[Lot], tokenise: Tokenise, recipe: Recipe, workers: int = 1) -> Encoded:
    """Rows as arrays, lot after lot, by as many processes.

    A row of terms none of which stands in its text points at nothing: it is left out, unless a teacher speaks. Of a source
    that the recipe does not draw only what a teacher says is learnt, and no gold.
    """
    with shared_out(partial(_part, tokenise, recipe), lots, workers) as found:
        parts = [part for part in tqdm(found, desc="encode", total=len(lots), unit="lot", mininterval=10) if part is not None]
    if not parts:
        raise Misconfigured("no row to train on: none has a token, a label that its source gives and a weight in the recipe")
    return _joined(parts, recipe)


def lots_of(rows: Sequence[Row]) -> list[Lot]:
    """Rows of which no teacher speaks."""
    chunks = [[(row, None) for row in rows[at : at + CHUNK]] for at in range(0, len(rows), CHUNK)]
    return [partial(list, chunk) for chunk in chunks]


def _part(tokenise: Tokenise, recipe: Recipe, lot: Lot) -> Encoded | None:
    """One lot; None where no row of it trains anything."""
    draw = recipe.drawn
    rows = list(lot())
    kept = [each for at in range(0, len(rows), CHUNK) for each in _encoded(rows[at : at + CHUNK], tokenise, draw)]
    if not kept:
        return None
    known = sorted({each.row.source for each in kept})
    number = {name: i for i, name in enumerate(known)}
    softly = any(each.soft is not None for each in kept)
    rows_ = [each.row for each in kept]
    return Encoded(
        features=np.concatenate([each.features for each in kept]),
        bounds=_bounds(np.array([len(each.features) for each in kept], np.int64)),
        label=np.array([LABELS.index(r.label) if r.label and r.source in draw else UNKNOWN for r in rows_], np.int64),
        binary=np.array([r.source in BINARY for r in rows_], np.bool_),
        source=np.array([number[r.source] for r in rows_], np.int64),
        weight=np.array([_drawn(each, draw, recipe.made) for each in kept], np.float64),
        outside=np.array([OUTSIDE_WEIGHT.get(r.source, 1.0) for r in rows_], np.float32),
        tags=np.concatenate([each.tags for each in kept]),
        towards=np.concatenate([each.towards for each in kept]),
        soft_sentiment=np.stack([each.soft.sentiment if each.soft else _NO_WORD for each in kept]).astype(np.float32),
        soft_units=np.concatenate([_soft_units(each) for each in kept]) if softly else _NO_UNIT,
        sources=tuple(known),
    )


def _joined(parts: Sequence[Encoded], recipe: Recipe) -> Encoded:
    """All parts as one, their sources numbered anew. Where a teacher speaks of some rows, the others are drawn less often."""
    known = tuple(sorted({name for part in parts for name in part.sources}))
    taught = any(len(part.soft_units) for part in parts)
    number = [np.array([known.index(name) for name in part.sources], np.int64) for part in parts]

    def together(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    soft_sentiment, weight = together("soft_sentiment"), together("weight")
    alone = np.isnan(soft_sentiment).any(1)
    return Encoded(
        features=together("features"),
        bounds=_bounds(np.concatenate([np.diff(part.bounds) for part in parts])),
        label=together("label"),
        binary=together("binary"),
        source=np.concatenate([own[part.source] for own, part in zip(number, parts, strict=True)]),
        weight=np.where(alone, weight * recipe.gold_alone, weight) if taught else weight,
        outside=together("outside"),
        tags=together("tags"),
        towards=together("towards"),
        soft_sentiment=soft_sentiment,
        soft_units=np.concatenate([_soft_of_all(part) for part in parts]) if taught else _NO_UNIT,
        sources=known,
    )


def _soft_of_all(part: Encoded) -> NDArray[np.float16]:
    """(units, OUTPUTS), also where no teacher speaks."""
    return part.soft_units if len(part.soft_units) else np.full((len(part.features), OUTPUTS), np.nan, np.float16)


def _bounds(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """One row's units and targets."""

    row: Row
    features: NDArray[np.int32]
    tags: NDArray[np.int8]
    towards: NDArray[np.int8]
    heads: NDArray[np.int32] | None
    soft: Soft | None


def _encoded(chunk: list[tuple[Row, Soft | None]], tokenise: Tokenise, draw: Mapping[str, float]) -> Iterator[_Kept]:
    for (row, soft), tokens in zip(chunk, tokenise([row.text for row, _ in chunk]), strict=True):
        if not 0 < len(tokens.features) <= WINDOW or (soft is None and row.source not in draw):
            continue  # no pass sees more units: a text of few tokens may have many pieces
        targets = token_targets(row, tokens) if row.source in draw else None
        if targets is None and soft is not None:
            targets = no_targets(tokens)
        if targets is not None:
            tags, towards = (_at_units(target, tokens) for target in targets)
            yield _Kept(row, tokens.features, tags, towards, tokens.heads, soft and _at_tokens(soft, tokens))


def _at_tokens(soft: Soft, tokens: Tokens) -> Soft:
    """A teacher of characters has a word for each; what it says of the first counts for a token that is a whole person.

    Teachers read a text as far as students do: one that says more of it than it has tokens has read characters.
    """
    if len(soft.tokens) <= tokens.count:
        return soft
    characters = list(map(len, _words(tokens)))
    firsts = np.cumsum(characters) - characters
    return Soft(soft.sentiment, soft.tokens[firsts[firsts < len(soft.tokens)]])


def _soft_units(each: _Kept) -> NDArray[np.float16]:
    """(units, OUTPUTS): the teacher's logits at the units that answer for tokens it has read."""
    spread = np.full((len(each.features), OUTPUTS), np.nan, np.float16)
    if each.soft is not None:
        heads = np.arange(len(each.features)) if each.heads is None else each.heads
        most = min(len(heads), len(each.soft.tokens))
        spread[heads[:most]] = each.soft.tokens[:most]
    return spread


def _drawn(each: _Kept, draw: Mapping[str, float], made: float) -> float:
    """How often a row is drawn in an epoch. What a teacher speaks of once, but for rows of terms, of which there are few."""
    own = draw.get(each.row.source, 0.0)
    if each.soft is None:
        return own
    if each.row.source == MADE:
        return made
    return 1.0 if each.row.label else max(1.0, own)


def no_targets(tokens: Tokens) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """(tags, towards) of a text that nobody labelled."""
    return np.full((tokens.count, len(KINDS)), UNKNOWN, np.int8), np.full(tokens.count, UNKNOWN, np.int8)


def token_targets(row: Row, tokens: Tokens) -> tuple[NDArray[np.int8], NDArray[np.int8]] | None:
    """(tags, towards) of a row; None where its gold terms do not stand in the text."""
    tags, towards = no_targets(tokens)
    if row.source not in CHANNELS:
        return tags, towards
    column = tags[:, KINDS.index(CHANNELS[row.source])]
    column[:] = 0
    if row.terms is not None:
        spans = find_terms(tokens, row.terms)
        if not spans:
            return None
        for begin, end in spans:
            column[begin], column[begin + 1 : end] = 1, 2
    for aspect in row.aspects or ():
        begin, end = token_span(tokens, aspect.begin, aspect.end)
        if end > tokens.count:
            continue  # beyond the tokens that are trained on
        if (tokens.begins[begin], tokens.ends[end - 1]) == (aspect.begin, aspect.end):
            column[begin], column[begin + 1 : end] = 1, 2
            towards[begin:end] = LABELS.index(aspect.sentiment)
        else:  # the tokens cannot say this span: neither inside nor outside
            column[begin:end] = UNKNOWN
    return tags, towards


def _at_units(target: NDArray[np.int8], tokens: Tokens) -> NDArray[np.int8]:
    """Targets of tokens as targets of units: a unit that answers for no token has none."""
    if tokens.heads is None:
        return target
    spread = np.full((len(tokens.features), *target.shape[1:]), UNKNOWN, np.int8)
    spread[tokens.heads] = target
    return spread


def token_span(tokens: Tokens, begin: int, end: int) -> tuple[int, int]:
    """The tokens that overlap the code points [begin, end)."""
    first = int(np.searchsorted(tokens.ends, begin, side="right"))
    return first, max(first + 1, int(np.searchsorted(tokens.begins, end, side="left")))


def _words(tokens: Tokens) -> list[list[str]]:
    """The folded words of each token: one, or the characters of a person."""
    bounds = zip(tokens.begins.tolist(), tokens.ends.tolist(), strict=True)
    return [list(map(prepare.normal, prepare.cut(tokens.text[begin:end]))) for begin, end in bounds]


def find_terms(tokens: Tokens, terms: Sequence[str]) -> list[tuple[int, int]]:
    """Token spans of every whole-word occurrence of a gold phrase; the longest first where they overlap."""
    each = _words(tokens)
    words, owners = list(chain.from_iterable(each)), [token for token, own in enumerate(each) for _ in own]
    borders = {at for at in range(len(owners) + 1) if owners[at - 1 : at] != owners[at : at + 1]}
    wanted = sorted({tuple(map(prepare.normal, prepare.cut(term.strip()))) for term in terms}, key=len, reverse=True)
    taken = [False] * len(words)
    spans: list[tuple[int, int]] = []
    for phrase in wanted:
        size = len(phrase)
        for at in range(len(words) - size + 1) if size else ():
            whole = at in borders and at + size in borders
            if whole and tuple(words[at : at + size]) == phrase and not any(taken[at : at + size]):
                taken[at : at + size] = [True] * size
                spans.append((owners[at], owners[at + size - 1] + 1))
    return sorted(spans)
