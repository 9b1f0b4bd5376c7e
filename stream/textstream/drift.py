"""Whether the messages are of the kind that a bundle was measured on: distributions now against those in its manifest.

The measure is the **population stability index** of two distributions over the same bins, e the expected and a the actual
share of each:

    PSI = Σ (a − e) · ln(a / e)

It is symmetric and 0 where they are equal: below 0.1 they count as the same, above 0.25 as different. Formula and limits are
those of credit scoring (E. M. Lewis, An Introduction to Credit Scoring, 1994; N. Siddiqi, Credit Risk Scorecards, 2006). Where
nothing has shifted, it is chance alone, with a mean of about (bins − 1) · (1 / messages + 1 / texts of the reference):
B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, J. of Risk Model Validation 14 (2020).
"""

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from textstream.quality import BINS, OTHER, Feature, Quality, Texts

WINDOW_MESSAGES = 2_000
"""Of a language, or of all, before an index is told; then the next window begins. With 13 bins chance alone brings about 0.01,
a tenth of what counts as a shift; and 20 messages a second are judged every two minutes."""
LEAST_SHARE = 1 / WINDOW_MESSAGES
"""For a share of 0, of which there is no logarithm: what is rarer than one message of a window cannot be told from it."""
LANGUAGE, ALL = "language", "all"

Counts = dict[str, int]


class Reference(BaseModel):
    """What the texts were like that a bundle was measured on: the shares of messages in each bin."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    source: str = Field(description="Which texts, in words.")
    texts: int = Field(ge=1)
    languages: dict[str, float]
    """Of all texts; `other` among them."""
    features: dict[str, dict[Feature, tuple[float, ...]]]
    """Of the texts of each language that the bundle supports."""

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        """Distributions over the bins that messages are counted by."""
        for shares in (self.languages.values(), *(s for features in self.features.values() for s in features.values())):
            if min(shares, default=0) < 0 or abs(sum(shares) - 1) > 0.001:
                raise ValueError("shares must be 0 or more and sum to 1: measure them again by textstream-export reference")
        for feature, shares in ((name, s) for features in self.features.values() for name, s in features.items()):
            if len(shares) != BINS[feature]:
                raise ValueError(
                    f"{feature} has {len(shares)} bins, messages are counted by {BINS[feature]}: measure them again by "
                    "textstream-export reference"
                )
        return self

    def without(self, *features: Feature) -> "Reference":
        """This one, silent on some features."""
        kept = {code: {name: s for name, s in told.items() if name not in features} for code, told in self.features.items()}
        return self.model_copy(update={"features": kept})


def psi(expected: Sequence[float], actual: Sequence[float]) -> float:
    """The population stability index of two distributions, each of which sums to 1."""
    pairs = [(max(e, LEAST_SHARE), max(a, LEAST_SHARE)) for e, a in zip(expected, actual, strict=True)]
    return sum((a - e) * log(a / e) for e, a in pairs)


class Population:
    """Messages counted together, of one language, by every feature."""

    def __init__(self) -> None:
        self.messages = 0
        self._bins: dict[Feature, list[int]] = {feature: [0] * bins for feature, bins in BINS.items()}

    def add(self, texts: Texts) -> None:
        """More of them."""
        self.messages += texts.messages
        for feature, counts in texts.bins.items():
            self._bins[feature] = [a + b for a, b in zip(self._bins[feature], counts, strict=True)]

    def shares(self) -> dict[Feature, tuple[float, ...]]:
        """By feature; without those that no message has."""
        return {feature: _shares(counts) for feature, counts in self._bins.items() if any(counts)}


class Drift:
    """Windows of messages against a reference; without one, it has nothing to say. Memory is a few counts a language."""

    def __init__(self, reference: Reference | None) -> None:
        self._reference = reference
        self._windows = {code: Population() for code in reference.features} if reference else {}
        self._languages: Counts = {}

    def add(self, quality: Quality) -> dict[tuple[str, str], float]:
        """Count a batch: the index by feature and language, of the windows that are full with it."""
        if self._reference is None:
            return {}
        found: dict[tuple[str, str], float] = {}
        for code, texts in quality.languages.items():
            self._languages[code] = self._languages.get(code, 0) + texts.messages
            if code in self._windows:
                self._windows[code].add(texts)
                found |= self._judged(code, self._reference.features[code])
        if sum(self._languages.values()) >= WINDOW_MESSAGES:
            found[LANGUAGE, ALL] = _mixed(self._reference.languages, self._languages)
            self._languages = {}
        return found

    def _judged(self, code: str, expected: Mapping[Feature, Sequence[float]]) -> dict[tuple[str, str], float]:
        window = self._windows[code]
        if window.messages < WINDOW_MESSAGES:
            return {}
        self._windows[code] = Population()
        actual = window.shares()
        return {(feature, code): psi(expected[feature], actual[feature]) for feature in expected.keys() & actual.keys()}


def reference_of(batches: Iterable[Quality], source: str) -> Reference:
    """What the texts of these batches were like, together."""
    populations: dict[str, Population] = {}
    for quality in batches:
        for code, texts in quality.languages.items():
            populations.setdefault(code, Population()).add(texts)
    counts = {code: population.messages for code, population in sorted(populations.items())}
    return Reference(
        source=source,
        texts=sum(counts.values()),
        languages=dict(zip(counts, _shares(list(counts.values())), strict=True)),
        features={code: populations[code].shares() for code in counts if code != OTHER},
    )


def _shares(counts: Sequence[int]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(round(count / total, 5) for count in counts)


def _mixed(expected: Mapping[str, float], counts: Counts) -> float:
    """The index of the languages of all messages."""
    codes = sorted({*expected, *counts})
    total = sum(counts.values())
    return psi([expected.get(code, 0.0) for code in codes], [counts.get(code, 0) / total for code in codes])
