"""The behaviour suite: what a reader of messages must get right, told apart by capability, and how often a bundle fails.

    for template, cases in suite("en"): ...    the cases, the same ones each time
    report = run(scorer)                       each template's failures, and how far swapped names move the score

`textstream-export behaviour --bundle B` prints the report; with `--ceilings` the table that tests/e2e holds a
bundle to. No case comes from data, and no name in it was shown to a network by augmentation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from textstream.event import EnrichedEvent
from textstream_export.behaviour_data import FILLS, Case, Language, Template, fill
from textstream_export.behaviour_en import ENGLISH
from textstream_export.behaviour_zh import CHINESE

LANGUAGES: dict[str, Language] = {language.code: language for language in (ENGLISH, CHINESE)}
SWAPS = ("names", "genders")
"""Capabilities where a word is swapped that must not matter: their shifts are reported beside their failures."""
MARGIN = 2 / FILLS
"""What a ceiling allows above the rate it was set from: two more cases of a template."""


class Scores(Protocol):
    """What is asked of a scorer; `Scorer` is one."""

    def score(self, texts: Iterable[str]) -> list[EnrichedEvent]:
        """An event for each text, in order."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One template in one language: which cases failed, and by how much the score moved in each (0 for a single text)."""

    language: str
    template: Template
    failed: tuple[Case, ...]
    cases: int
    shifts: tuple[float, ...]

    @property
    def name(self) -> str:
        """As ceilings and scores call it."""
        return f"behaviour/{self.language}/{self.template.capability}/{self.template.name}"

    @property
    def rate(self) -> float:
        """Failures a case."""
        return len(self.failed) / self.cases


@dataclass(frozen=True, slots=True)
class Report:
    """Every outcome of a run."""

    outcomes: tuple[Outcome, ...]

    def rates(self) -> dict[str, float]:
        """Failure rate of each template, by its name."""
        return {outcome.name: round(outcome.rate, 4) for outcome in self.outcomes}

    def scores(self) -> dict[str, float]:
        """For a manifest: failure rate of each capability, and the mean and 95th percentile of the swaps' shifts."""
        groups: dict[tuple[str, str], list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault((outcome.language, outcome.template.capability), []).append(outcome)
        scores: dict[str, float] = {}
        for (language, capability), group in groups.items():
            name = f"behaviour/{language}/{capability}"
            scores[name] = round(sum(len(o.failed) for o in group) / sum(o.cases for o in group), 4)
            if capability in SWAPS:
                shifts = np.abs([shift for o in group for shift in o.shifts])
                scores[f"{name}/mean_shift"] = round(float(shifts.mean()), 4)
                scores[f"{name}/p95_shift"] = round(float(np.percentile(shifts, 95)), 4)
        return scores

    def __str__(self) -> str:
        lines = [f"{name:<72} {value:.3f}" for name, value in {**self.scores(), **self.rates()}.items()]
        return "\n".join(lines)


@cache
def suite(language: str) -> tuple[tuple[Template, tuple[Case, ...]], ...]:
    """Every template of a language with its cases."""
    return tuple((template, fill(template, LANGUAGES[language])) for template in LANGUAGES[language].templates)


def run(scorer: Scores, languages: Iterable[str] = tuple(LANGUAGES)) -> Report:
    """Score every case with a bundle's default settings."""
    outcomes = []
    for language in languages:
        asked = suite(language)
        events = iter(scorer.score(text for _, cases in asked for case in cases for text in case.texts))
        for template, cases in asked:
            answers = [[next(events) for _ in case.texts] for case in cases]
            failed = tuple(c for c, said in zip(cases, answers, strict=True) if not holds(template, c, said))
            shifts = tuple(_score(said[-1]) - _score(said[0]) for said in answers)
            outcomes.append(Outcome(language, template, failed, len(cases), shifts))
    return Report(tuple(outcomes))


def holds(template: Template, case: Case, said: Sequence[EnrichedEvent]) -> bool:
    """Whether the events of a case are what its template asks. A text without a sentiment is a failure."""
    if any(event["sentiment"] is None for event in said):
        return False
    shift = _score(said[-1]) - _score(said[0])
    match template.kind:
        case "expected":
            mood = said[0]["sentiment"]
            return mood is not None and mood["label"] in template.labels
        case "towards":
            found = {term["text"].casefold(): term["sentiment"]["label"] for term in said[0]["key_terms"]}
            return all(found.get(term.casefold()) == label for term, label in case.towards)
        case "invariance":
            return abs(shift) <= template.size
        case "direction":
            return shift * template.sign > -template.size


def _score(event: EnrichedEvent) -> float:
    return event["sentiment"]["score"] if event["sentiment"] else 0.0


def ceilings(report: Report) -> dict[str, float]:
    """The table that a later run is held to: each template's rate and MARGIN more."""
    return {name: round(min(1.0, rate + MARGIN), 2) for name, rate in report.rates().items()}


def shown(report: Report, failures: int) -> str:
    """The report, and so many failed cases of each template."""
    failed = [f"{outcome.name}: {' → '.join(case.texts)}" for outcome in report.outcomes for case in outcome.failed[:failures]]
    return "\n".join([str(report), *failed])
