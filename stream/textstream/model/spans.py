"""From token logits to candidate terms: greedy decoding of the three begin/inside/outside channels, for a whole batch at once.

Also the question whether a cut at a code point would split what a reader sees as one character.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from textstream.event import KINDS

LOWEST = -2.0
"""Log-odds of being inside a term above which a token may belong to one: about 0.12. What is kept is salience's choice."""


EVIDENCE = 4
MOST = 6.0
"""Log-odds of an aspect beyond which it is no surer."""
_ASPECT = KINDS.index("aspect")


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Spans that may be key terms, in order of channel and then of place; each array has one entry a span."""

    channel: NDArray[np.int64]
    begin: NDArray[np.int64]
    """First token, in the batch's run of all tokens."""
    end: NDArray[np.int64]
    """Exclusive."""
    evidence: NDArray[np.float32]
    """(spans, EVIDENCE): mean and least log-odds of its tokens, log of its length in tokens, and the greatest log-odds of any
    aspect in its text: where opinions of things are told, other words matter less. What salience is computed from."""


def candidates(tags: NDArray[np.float32], first: NDArray[np.bool_]) -> Candidates:
    """Decode `tags` (tokens, KINDS, 3), logits of outside, begin and inside.

    `first` (tokens,) marks the first token of each text, where no span goes on.
    """
    outside, begin, inside = np.ascontiguousarray(tags.transpose(2, 1, 0))  # (channels, tokens) each
    # logaddexp(begin, inside) - outside, of operations that numpy has vectorised: a tenth of its time
    odds = np.maximum(begin, inside) + np.log(1 + np.exp(-np.abs(begin - inside))) - outside
    within = odds > LOWEST
    starts = within.copy()
    starts[:, 1:] &= first[1:] | ~within[:, :-1] | (begin > inside)[:, 1:]
    ends = within.copy()
    ends[:, :-1] &= ~within[:, 1:] | starts[:, 1:]
    channel, at = np.nonzero(starts)
    end = np.nonzero(ends)[1] + 1
    return Candidates(channel, at, end, span_evidence(odds, first, channel, at, end))


def span_evidence(
    odds: NDArray[np.float32],
    first: NDArray[np.bool_],
    channel: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
) -> NDArray[np.float32]:
    """`Candidates.evidence` of spans, from the log-odds (channels, tokens) of being inside a term."""
    if not len(begin):
        return np.zeros((0, EVIDENCE), np.float32)
    flat = np.append(odds.ravel(), np.float32(0))  # one more, so that the last span may end at the end
    cuts = np.stack([begin, end], 1).ravel() + np.repeat(channel * odds.shape[1], 2)
    length = (end - begin).astype(np.float32)
    mean = np.add.reduceat(flat, cuts)[::2] / length
    least = np.minimum.reduceat(flat, cuts)[::2]
    aspect = np.clip(np.maximum.reduceat(odds[_ASPECT], np.flatnonzero(first)), LOWEST, MOST)  # (texts,)
    return np.stack([mean, least, np.log(length), aspect[np.cumsum(first)[begin] - 1]], 1)


def span_means(values: NDArray[np.float32], begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float32]:
    """(spans, columns): the mean of `values` (tokens, columns) over each span; spans in any order."""
    if not len(begin):
        return np.zeros((0, values.shape[1]), np.float32)
    padded = np.concatenate([values, np.zeros((1, values.shape[1]), np.float32)])  # the last span may end at the end
    sums = np.add.reduceat(padded, np.stack([begin, end], 1).ravel())[::2]  # every second sum is of what lies between
    return np.asarray(sums / (end - begin)[:, None], np.float32)


_PREPENDED = frozenset("\u0d4e\U000111c2\U000111c3\U0001193f\U00011941\U00011d46\U00011f02\U000113d1")
_ALWAYS_JOINED = frozenset("\u200c\u200d\uff9e\uff9f\u0e33\u0eb3")


def splits_grapheme(text: str, at: int) -> bool:
    """Whether cutting before code point `at` might split a grapheme cluster (UAX #29); in doubt, yes."""
    if at <= 0 or at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if before < "\u0300" and after < "\u0300":
        return before == "\r" and after == "\n"
    return _joined(before, after)


@lru_cache(maxsize=65_536)
def _joined(before: str, after: str) -> bool:
    """True for marks, joiners, flags, Hangul parts, prefixed signs, Indic conjuncts: rather once too often than too seldom."""
    if after in _ALWAYS_JOINED or _modifies(after) or unicodedata.category(after)[0] == "M":
        return True
    if _regional(before) and _regional(after):
        return True
    if _hangul(before) and _hangul(after):
        return True
    kind = unicodedata.category(before)
    if kind == "Cf" or before in _PREPENDED or 0x11A84 <= ord(before) <= 0x11A89:
        return True
    return kind[0] == "M" and unicodedata.category(after) in ("Lo", "So") and not _han(after)


def _modifies(c: str) -> bool:
    return "\U0001f3fb" <= c <= "\U0001f3ff" or "\U000e0020" <= c <= "\U000e007f"


def _regional(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def _hangul(c: str) -> bool:
    return "\u1100" <= c <= "\u11ff" or "\ua960" <= c <= "\ua97f" or "\uac00" <= c <= "\ud7ff"


def _han(c: str) -> bool:
    return "\u3400" <= c <= "\u9fff" or "\U00020000" <= c <= "\U0003ffff"
