"""What the texts of a batch were like, in counts: languages, sentiment, confidence, length, unknown words, key terms.

Folded once a batch of what the model said anyway: about a microsecond a message in Python, less compiled. No text and no word
of one is in here, and a language stands by its code only where the model supports it, else as `other`: nothing that a sender
writes names anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from textstream import native
from textstream.analysis import EncodedAnalysis
from textstream.event import KINDS, LABELS, Kind

OTHER = "other"
"""The language of all texts in one that the model does not support."""

Feature = Literal["sentiment", "confidence", "length", "unknown"]

# Upper bounds of bins, inclusive, as Prometheus has them; one more bin is for all above. Each was chosen to hold a part of live
# messages, neither none nor most: only so does a shift show as a shift between bins.
CONFIDENCE_BOUNDS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Of the emitted label's probability: the largest of three is a third at least. Finer where a label is least sure, where
`model.cascade_margin` decides, and near 1, where most of a good model's messages are."""
LENGTH_BOUNDS = (2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256)
"""Of a text's tokens: short messages have 10 to 30, and growing by half or two, each bin is as wide as people tell apart."""
UNKNOWN_BOUNDS = (0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75)
"""Of the share of a text's tokens that the vocabulary lacks: none in most messages, above a half in gibberish."""
BINS: dict[Feature, int] = {
    "sentiment": len(LABELS),
    "confidence": len(CONFIDENCE_BOUNDS) + 1,
    "length": len(LENGTH_BOUNDS) + 1,
    "unknown": len(UNKNOWN_BOUNDS) + 1,
}

_CONFIDENCE, _LENGTH, _UNKNOWN = (np.array(bounds, np.float64) for bounds in (CONFIDENCE_BOUNDS, LENGTH_BOUNDS, UNKNOWN_BOUNDS))


class Tokens(Protocol):
    """One tokenised text; only its size matters here."""

    @property
    def count(self) -> int:
        """How many tokens the model will read."""
        ...

    @property
    def unknown(self) -> int:
        """How many of them its vocabulary lacks."""
        ...


class Computed(NamedTuple):
    """Tokens that model passes computed, the padding beside them, and texts that needed no pass (`model.remembering`)."""

    tokens: int = 0
    padding: int = 0
    remembered: int = 0

    def plus(self, tokens: int, padding: int, remembered: int = 0) -> "Computed":
        """With so much more."""
        return Computed(self.tokens + tokens, self.padding + padding, self.remembered + remembered)

    def since(self, before: "Computed") -> "Computed":
        """What was computed after `before`."""
        return self.plus(*(-each for each in before))


@dataclass(frozen=True, slots=True)
class Texts:
    """Counts over the texts of one language."""

    messages: int
    truncated: int
    tokens: int
    unknown: int
    confidence_sum: float
    bins: Mapping[Feature, Sequence[int]]
    """Messages in each bin; those of sentiment stand in the order of `LABELS`. What was not scored has neither of those two."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Counts over the texts of a batch."""

    languages: Mapping[str, Texts]
    key_terms: Mapping[Kind, int]


def quality(texts: Iterable[tuple[Tokens, EncodedAnalysis]]) -> Quality:
    """Fold texts, each with what was said of it."""
    if native.compiled is not None:
        folded, found = native.compiled.fold(list(texts), OTHER, LABELS, _CONFIDENCE, _LENGTH, _UNKNOWN)
        languages = {
            code: Texts(messages, truncated, tokens, unknown, sure, dict(zip(BINS, bins, strict=True)))
            for code, (messages, truncated, tokens, unknown), sure, bins in folded
        }
        return Quality(languages, dict(zip(KINDS, found, strict=True)))
    by_language: defaultdict[str, list[tuple[Tokens, EncodedAnalysis]]] = defaultdict(list)
    for pair in texts:
        by_language[pair[1].language if pair[1].supported else OTHER].append(pair)
    kinds = [said.kinds for pairs in by_language.values() for _, said in pairs]
    counts = map(sum, zip(*kinds, strict=True)) if kinds else (0,) * len(KINDS)
    return Quality({code: _texts(pairs) for code, pairs in by_language.items()}, dict(zip(KINDS, counts, strict=True)))


def _texts(pairs: Sequence[tuple[Tokens, EncodedAnalysis]]) -> Texts:
    length, unknown = [text.count for text, _ in pairs], [text.unknown for text, _ in pairs]
    label = [said.label for _, said in pairs]
    sure = [max(said.probabilities) for _, said in pairs if said.probabilities]
    return Texts(
        messages=len(pairs),
        truncated=sum([said.truncated for _, said in pairs]),
        tokens=sum(length),
        unknown=sum(unknown),
        confidence_sum=sum(sure),
        bins={
            "sentiment": [label.count(one) for one in LABELS],
            "confidence": _binned(_CONFIDENCE, np.array(sure)),
            "length": _binned(_LENGTH, np.array(length)),
            "unknown": _binned(_UNKNOWN, np.array(unknown) / np.maximum(length, 1)),
        },
    )


def _binned(bounds: NDArray[np.float64], values: NDArray[Any]) -> list[int]:
    """How many values fall into each bin."""
    counts: list[int] = np.bincount(bounds.searchsorted(values), minlength=len(bounds) + 1).tolist()
    return counts
