"""From token logits to candidate terms: greedy decoding of the three begin/inside/outside channels, for a whole batch at once.

Also the question whether a cut at a code point would split what a reader sees as one character.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVELS = (-1.5, -0.5)
"""Log-odds of being inside a term above which a token belongs to one: about 0.18 and 0.38. Weak neighbours of a term are part
of it at one level and not at the other: salience decides between the two spans."""
SURE = 8.0
"""Log-odds beyond which more tells nothing: those at a text's end are minus as many."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Spans that may be key terms, in order of channel and then of place, nested ones among them; one entry a span."""

    channel: NDArray[np.int64]
    begin: NDArray[np.int64]
    """First token, in the batch's run of all tokens."""
    end: NDArray[np.int64]
    """Exclusive."""
    evidence: NDArray[np.float32]
    """(spans, EVIDENCE): what salience is computed from."""


EVIDENCE = 5
"""Mean and least log-odds of a span's tokens, log of its length in tokens, log-odds that it goes on into the token behind it,
log-odds that its first token begins a term and does not go on with one."""


def candidates(tags: NDArray[np.float32], first: NDArray[np.bool_], levels: tuple[float, ...] = LEVELS) -> Candidates:
    """Decode `tags` (tokens, channels, 3), logits of outside, begin and inside.

    `first` (tokens,) marks the first token of each text, where no span goes on.
    """
    parts = np.ascontiguousarray(tags.transpose(2, 1, 0))  # (3, channels, tokens)
    outside, begin, inside = parts
    odds = log_sum(begin, inside) - outside
    apart = first | (begin > inside)
    spans = _numbered(np.concatenate([_runs(odds > level, apart) for level in levels], 1), len(first))
    return Candidates(*spans, span_evidence(parts, odds, first, *spans))


def log_sum(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """np.logaddexp of operations that numpy has vectorised: a tenth of its time."""
    return np.asarray(np.maximum(a, b) + np.log(1 + np.exp(-np.abs(a - b))), np.float32)


def _runs(within: NDArray[np.bool_], apart: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(3, spans): channel, begin and end of the runs of tokens within, parted before those that stand apart."""
    starts = within.copy()
    starts[:, 1:] &= apart[:, 1:] | ~within[:, :-1]
    ends = within.copy()
    ends[:, :-1] &= ~within[:, 1:] | starts[:, 1:]
    channel, begin = np.nonzero(starts)
    return np.stack([channel, begin, np.nonzero(ends)[1] + 1])


def _numbered(spans: NDArray[np.int64], tokens: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Channel, begin and end of spans (3, spans), each once and in order."""
    channel, begin, end = spans
    place, end = np.divmod(np.unique((channel * tokens + begin) * (tokens + 1) + end), tokens + 1)
    return *np.divmod(place, tokens), end


def span_evidence(
    parts: NDArray[np.float32],
    odds: NDArray[np.float32],
    first: NDArray[np.bool_],
    channel: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
) -> NDArray[np.float32]:
    """`Candidates.evidence` of spans, from the logits (3, channels, tokens) and the log-odds of being inside a term."""
    if not len(begin):
        return np.zeros((0, EVIDENCE), np.float32)
    flat = np.append(odds.ravel(), np.float32(0))  # one more, so that the last span may end at the end
    cuts = np.stack([begin, end], 1).ravel() + np.repeat(channel * odds.shape[1], 2)
    length = (end - begin).astype(np.float32)
    mean = np.add.reduceat(flat, cuts)[::2] / length
    least = np.minimum.reduceat(flat, cuts)[::2]
    behind = np.minimum(end, len(first) - 1)
    outside, opens, inside = parts[:, channel, behind]
    goes_on = np.where((end == behind) & ~first[behind], inside - log_sum(outside, opens), -SURE)
    opened = parts[1, channel, begin] - parts[2, channel, begin]
    return np.stack([mean, least, np.log(length), goes_on.clip(-SURE, SURE), opened.clip(-SURE, SURE)], 1)


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
