"""Turns rows into arrays: every token of every row in one flat table, so that a batch is a few slices.

Token targets: `tags` (tokens, 3) is 0 outside, 1 begin, 2 inside for the row's own channel and -1 elsewhere: a label that
was never asked for is not a negative. `towards` (tokens,) is the sentiment of the aspect a token stands in, else -1.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from textstream.event import KINDS, LABELS
from textstream.model import text as prepare
from textstream.model.tokens import FEATURES, Lexicon, Tokeniser, Tokens
from textstream_export.data import Row
from textstream_export.recipe import Recipe
from textstream_export.sources import BINARY, CHANNELS, OUTSIDE_WEIGHT

UNKNOWN = -1
CHUNK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Rows as arrays; row r owns tokens `bounds[r]:bounds[r + 1]`."""

    features: NDArray[np.int32]  # (tokens, FEATURES)
    bounds: NDArray[np.int64]  # (rows + 1,)
    label: NDArray[np.int64]  # (rows,) index into LABELS, or UNKNOWN
    binary: NDArray[np.bool_]  # (rows,) the neutral class is masked
    source: NDArray[np.int64]  # (rows,) index into `sources`
    weight: NDArray[np.float64]  # (rows,) how often a row is drawn in an epoch
    outside: NDArray[np.float32]  # (rows,) weight of an O tag in the loss
    tags: NDArray[np.int8]  # (tokens, 3)
    towards: NDArray[np.int8]  # (tokens,)
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.label)


def build_lexicon(rows: Iterable[Row], recipe: Recipe) -> Lexicon:
    """The words of the train rows, most frequent first; ties in order of spelling, so that the result is one."""
    counts: Counter[str] = Counter()
    surfaces: Counter[str] = Counter()
    for row in tqdm(rows, desc="lexicon", unit="row", mininterval=5):
        surfaces.update(prepare.cut(row.text[: recipe.max_train_tokens * 8]))
    for surface, count in surfaces.items():
        counts[prepare.normal(surface)] += count
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    words = tuple(w for w, n in ranked[: recipe.max_words] if n >= recipe.min_word_count and w)
    return Lexicon(words, recipe.affix_rows, recipe.bigram_rows)


def encode(rows: Sequence[Row], tokeniser: Tokeniser, recipe: Recipe) -> Encoded:
    """Rows as arrays. A row of terms none of which stands in its text is left out: it has nothing to point at."""
    known = sorted({*recipe.sources, *recipe.terms})
    number = {name: i for i, name in enumerate(known)}
    draw = {**recipe.sources, **recipe.terms}
    kept: list[Row] = []
    parts: list[tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int8]]] = []
    for start in tqdm(range(0, len(rows), CHUNK), desc="encode", unit="chunk", mininterval=5):
        chunk = rows[start : start + CHUNK]
        for row, tokens in zip(chunk, tokeniser([row.text for row in chunk]), strict=True):
            targets = token_targets(row, tokens)
            if tokens.count and targets is not None and row.source in number:
                kept.append(row)
                parts.append((tokens.features, *(_at_units(target, tokens) for target in targets)))
    counts = np.fromiter((len(p[0]) for p in parts), np.int64, len(parts))
    features = parts[0][0].shape[1] if parts else FEATURES
    empty = (np.zeros((0, features), np.int32), np.zeros((0, 3), np.int8), np.zeros(0, np.int8))
    flat, tags, towards = (np.concatenate([empty[i], *(p[i] for p in parts)]) for i in range(3))
    return Encoded(
        features=flat,
        bounds=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        label=np.array([LABELS.index(r.label) if r.label else UNKNOWN for r in kept], np.int64),
        binary=np.array([r.source in BINARY for r in kept], np.bool_),
        source=np.array([number[r.source] for r in kept], np.int64),
        weight=np.array([draw[r.source] for r in kept], np.float64),
        outside=np.array([OUTSIDE_WEIGHT.get(r.source, 1.0) for r in kept], np.float32),
        tags=tags,
        towards=towards,
        sources=tuple(known),
    )


def token_targets(row: Row, tokens: Tokens) -> tuple[NDArray[np.int8], NDArray[np.int8]] | None:
    """(tags, towards) of a row; None where its gold terms do not stand in the text."""
    tags = np.full((tokens.count, len(KINDS)), UNKNOWN, np.int8)
    towards = np.full(tokens.count, UNKNOWN, np.int8)
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


def find_terms(tokens: Tokens, terms: Sequence[str]) -> list[tuple[int, int]]:
    """Token spans of every whole-word occurrence of a gold phrase; the longest first where they overlap."""
    words = [prepare.normal(tokens.text[b:e]) for b, e in zip(tokens.begins.tolist(), tokens.ends.tolist(), strict=True)]
    wanted = sorted({tuple(map(prepare.normal, prepare.cut(term.strip()))) for term in terms}, key=len, reverse=True)
    taken = [False] * len(words)
    spans: list[tuple[int, int]] = []
    for phrase in wanted:
        size = len(phrase)
        for at in range(len(words) - size + 1) if size else ():
            if tuple(words[at : at + size]) == phrase and not any(taken[at : at + size]):
                taken[at : at + size] = [True] * size
                spans.append((at, at + size))
    return sorted(spans)
