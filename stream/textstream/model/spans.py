"""From token logits to candidate terms: greedy decoding of the three begin/inside/outside channels, for a whole batch at once.

Also the question whether a cut at a code point would split what a reader sees as one character.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from textstream import native
from textstream.event import KINDS
from textstream.model.text import EMOJI, QUOTE, UNBROKEN

LEVELS = (-1.5, -0.5)
"""Log-odds of being inside a term above which a token belongs to one: about 0.18 and 0.38. Weak neighbours of a term are part
of it at one level and not at the other: salience decides between the two spans."""
SURE = 8.0
"""Log-odds of a border beyond which more tells nothing: those at a text's end are minus as many."""
UNREAD, READ = -2.0, 6.0
"""Log-odds of a text's surest aspect or entity below and beyond which it tells nothing more of what the text is read for."""
NAMED = 0.25
"""Salience from which on an aspect or entity names the kind of a span that is a phrase as well. On held-out rows 0.15 named too
many phrases aspects or entities (own-kind F1 of tweets_kw 0.52, at 0.25 0.62) and found no more of them."""
_PHRASE = KINDS.index("phrase")
_SPECIFIC = (KINDS.index("aspect"), KINDS.index("entity"))


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Spans that may be key terms, nested ones among them; each array has one entry a span."""

    channel: NDArray[np.int64]
    begin: NDArray[np.int64]
    """First token, in the batch's run of all tokens."""
    end: NDArray[np.int64]
    """Exclusive."""
    evidence: NDArray[np.float32]
    """(spans, EVIDENCE): what salience is computed from."""


EVIDENCE = 7
"""Mean and least log-odds of a span's tokens; log of its length in tokens; the greatest log-odds of any aspect in its text and
of any entity, for where opinions of things are told, other words matter less, and a text with names is seldom a review;
log-odds that it goes on into the token behind it, and that its first token begins a term rather than going on with one."""


def candidates(tags: NDArray[np.float32], first: NDArray[np.bool_], levels: Sequence[float] = LEVELS) -> Candidates:
    """Decode `tags` (tokens, KINDS, 3), logits of outside, begin and inside, at each of the rising `levels`.

    `first` (tokens,) marks the first token of each text, where no span goes on.
    """
    logits = of_channels(tags)
    odds = term_odds(logits)
    return spans_of(logits, odds, first, *_nested(logits, odds, first, levels))


def _nested(
    logits: NDArray[np.float32], odds: NDArray[np.float32], first: NDArray[np.bool_], levels: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Spans [begin, end) of the channels one after the other, level by level, each where it was not one at the level before."""
    _, begin, inside = logits
    if native.compiled is not None:
        borders = np.empty((2, len(levels) * len(odds)), np.int64)
        found = native.compiled.runs(odds, begin, inside, first, np.array(levels, np.float32), *borders)
        return borders[0, :found], borders[1, :found]
    apart = np.tile(first, len(KINDS)) | (begin > inside)
    begins, lasts = list[NDArray[np.int64]](), list[NDArray[np.int64]]()
    before: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None
    for level in levels:
        starts, stops = _runs(odds > level, apart)
        own, last = np.flatnonzero(starts), np.flatnonzero(stops)
        if before is not None:  # a run lies within one of the level before: it is the same where both its borders are
            new = ~(before[0][own] & before[1][last])
            own, last = own[new], last[new]
        begins.append(own)
        lasts.append(last)
        before = starts, stops
    return np.concatenate(begins), np.concatenate(lasts) + 1


def of_channels(tags: NDArray[np.float32]) -> NDArray[np.float32]:
    """(tokens, channels, 3) → (3, channels · tokens): the channels one after the other, each with all tokens."""
    return np.ascontiguousarray(tags.transpose(2, 1, 0)).reshape(3, -1)


def term_odds(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """(channels · tokens,): log-odds of begin or inside."""
    outside, begin, inside = logits
    return np.asarray(_log_sum(begin, inside) - outside, np.float32)


def _log_sum(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """np.logaddexp of operations that numpy has vectorised: a tenth of its time."""
    return np.asarray(np.maximum(a, b) + np.log(1 + np.exp(-np.abs(a - b))), np.float32)


def _runs(within: NDArray[np.bool_], apart: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where runs of tokens within begin, and where they have their last; they are parted before tokens that stand apart."""
    starts = within.copy()
    starts[1:] &= apart[1:] | ~within[:-1]
    stops = within.copy()
    stops[:-1] &= ~within[1:] | starts[1:]
    return starts, stops


def spans_of(
    logits: NDArray[np.float32],
    odds: NDArray[np.float32],
    first: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
) -> Candidates:
    """Spans [begin, end) of the channels one after the other, with their evidence."""
    channel, at = np.divmod(begin, max(1, len(first)))
    length = end - begin
    if not len(begin):
        return Candidates(channel, at, at, np.zeros((0, EVIDENCE), np.float32))
    total = span_sums(odds[:, None], begin, end)[:, 0]
    if native.compiled is not None:
        said, logs = np.empty((len(begin), EVIDENCE), np.float32), np.log(np.arange(1, length.max() + 1)).astype(np.float32)
        bounds, parted = (UNREAD, READ, SURE), _log_sum(logits[0], logits[1])
        native.compiled.evidence(logits, odds, parted, first, begin, at, length, total, logs, _SPECIFIC, bounds, said)
        return Candidates(channel, at, at + length, said)
    mean = total / length
    least, _ = _extremes(odds, begin, end)
    behind = np.where(end < len(odds), end, 0)
    goes_on = logits[2, behind] - _log_sum(logits[0, behind], logits[1, behind])
    goes_on[first[behind % len(first)]] = -SURE
    opened = logits[1, begin] - logits[2, begin]
    texts = np.flatnonzero(first)
    stops = np.append(texts[1:], len(first))
    surest = [_extremes(odds[one * len(first) :][: len(first)], texts, stops)[1] for one in _SPECIFIC]  # (texts,) each
    read_for = np.stack(surest).clip(UNREAD, READ)[:, texts.searchsorted(at, side="right") - 1]
    borders = np.stack([goes_on, opened]).clip(-SURE, SURE)
    evidence = np.stack([mean, least, np.log(length), *read_for, *borders], 1, dtype=np.float32)
    return Candidates(channel, at, at + length, evidence)


def trimmed(found: Candidates, marks: NDArray[np.uint8]) -> Candidates:
    """The spans without the quotes and emoji at their ends; those of nothing else are gone.

    `《王者荣耀》` is the game `王者荣耀`, whoever wrote it how. `marks` (tokens,) are those of `tokens.marks`.
    """
    if not (marks[found.begin] | marks[found.end - 1]).any():
        return found
    begin, end = within(found.begin, found.end, marks)
    some = begin < end
    return Candidates(found.channel[some], begin[some], end[some], found.evidence[some])


def within(
    begin: NDArray[np.int64], end: NDArray[np.int64], marks: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[begin, end) of each span without the marks at its ends; of one that is marks alone nothing is left.

    Where a quote stands within too, those at the ends may belong to it, as in `《A》和《B》`: then emoji alone are taken off.
    """
    inner = _within(begin, end, marks > 0)
    quotes = np.concatenate([np.zeros(1, np.int64), np.cumsum(marks == QUOTE)])
    bare = quotes[inner[1]] <= quotes[inner[0]]  # also where it is marks alone
    if bare.all():
        return inner
    other = _within(begin, end, marks == EMOJI)
    return np.where(bare, inner[0], other[0]), np.where(bare, inner[1], other[1])


def _within(
    begin: NDArray[np.int64], end: NDArray[np.int64], mark: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    place = np.arange(len(mark))
    next_ = np.minimum.accumulate(np.where(mark, len(mark), place)[::-1])[::-1]  # the first from there on that is none
    last = np.maximum.accumulate(np.where(mark, -1, place))
    return np.minimum(next_[begin], end), np.maximum(last[end - 1] + 1, begin)


def united(
    channel: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64], chance: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(which, channel, chance): each span once, by the place of one of its candidates, though more channels may say it.

    It is a key term as likely as the surest of them says. Its kind is the surest aspect or entity that is NAMED, for a phrase
    is what any key term is; else the surest.
    """
    if not len(begin):
        return begin, channel, chance
    length = end - begin
    place = begin * (int(length.max()) + 1) + length
    naming = chance + np.where(channel == _PHRASE, 0, np.where(chance >= NAMED, 1, -1)) - channel * 1e-6
    order = np.argsort(place - naming / 4)  # -1 < naming <= 2, and one key takes a third of the time of two
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    which = order[starts]  # the one that names the span
    return which, channel[which], np.maximum.reduceat(chance[order], starts)


def span_means(values: NDArray[np.float32], begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float32]:
    """(spans, columns): the mean of `values` (tokens, columns) over each span.

    In any order, but fast only where neighbours lie near one another: what is between two spans is summed as well.
    """
    return np.asarray(span_sums(values, begin, end) / (end - begin)[:, None], np.float32)


def span_sums(values: NDArray[np.float32], begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float32]:
    """(spans, columns): the sum of `values` over each span, as `span_means`."""
    sums = np.empty((len(begin), values.shape[1]), np.float32)
    if not len(begin):
        return sums
    if native.compiled is not None:
        native.compiled.sums(np.ascontiguousarray(values), begin, end, sums)
        return sums
    padded = np.concatenate([values, np.zeros((1, values.shape[1]), np.float32)])  # the last span may end at the end
    return np.add.reduceat(padded, np.stack([begin, end], 1).ravel())[::2]  # every second sum is of what lies between


def _extremes(
    values: NDArray[np.float32], begin: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(spans,) the least and the greatest of `values` (tokens,) in each span."""
    flat = np.append(values, np.float32(0))  # one more, so that the last span may end at the end
    cuts = np.stack([begin, end], 1).ravel()
    return np.minimum.reduceat(flat, cuts)[::2], np.maximum.reduceat(flat, cuts)[::2]


_HALF = re.compile("[\ud800-\udfff]")


def readable(said: str) -> bool:
    """Whether it may be a term: a letter or a number is in it, and no half of a surrogate pair, which UTF-8 cannot say."""
    return any(map(str.isalnum, said)) and not _HALF.search(said)


plain = re.compile(f"{UNBROKEN}*+").fullmatch
"""Matches a text of such characters: then no cut splits a grapheme. Most texts are such."""
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
    if _modifies(after) or unicodedata.category(after)[0] == "M":
        return True
    if _regional(before) and _regional(after):
        return True
    if _hangul(before) and _hangul(after):
        return True
    kind = unicodedata.category(before)
    if kind == "Cf" or before in _PREPENDED or 0x11A84 <= ord(before) <= 0x11A89:
        return True
    if _modifies(before):  # it may stand within an Indic conjunct, as a mark does
        return unicodedata.category(after) == "Lo" and not _han(after)
    return kind[0] == "M" and unicodedata.category(after) in ("Lo", "So") and not _han(after)


def _modifies(c: str) -> bool:
    return c in _ALWAYS_JOINED or "\U0001f3fb" <= c <= "\U0001f3ff" or "\U000e0020" <= c <= "\U000e007f"


def _regional(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def _hangul(c: str) -> bool:
    return "\u1100" <= c <= "\u11ff" or "\ua960" <= c <= "\ua97f" or "\uac00" <= c <= "\ud7ff"


def _han(c: str) -> bool:
    return "\u3400" <= c <= "\u9fff" or "\U00020000" <= c <= "\U0003ffff"
