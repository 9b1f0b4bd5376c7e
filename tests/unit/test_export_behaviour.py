"""The behaviour suite is large, varied and the same each time, and judges events as its templates say."""

import re
from collections.abc import Iterable, Sequence

import pytest

from tests.support.events import event, term
from textstream.event import EnrichedEvent, Label
from textstream_export import behaviour
from textstream_export.behaviour_data import FILLS, Case, Template, expected, fill, invariant, moves, towards
from textstream_export.card import behaviour_section
from textstream_export.names import RECOGNISED

LANGUAGES = sorted(behaviour.LANGUAGES)
CAPABILITIES = {
    "negation", "contrast", "intensifiers", "questions", "change over time", "names", "genders", "sarcasm", "neutral",
    "comparison", "idioms", "emoji", "code-switching", "spelling", "noise", "reports",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_suite_covers_every_capability_with_many_different_cases(language: str) -> None:
    """At least 40 templates of 50 different cases each, over all capabilities, no template's name twice."""
    suite = behaviour.suite(language)
    assert len(suite) >= 40
    assert {template.capability for template, _ in suite} == CAPABILITIES
    assert len({(t.capability, t.name) for t, _ in suite}) == len(suite)
    for _, cases in suite:
        assert len(cases) == FILLS == len({case.texts for case in cases})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_slot_is_filled_and_every_list_is_used(language: str) -> None:
    """No brace is left in a text, the two texts of a pair differ, and no list of words stands unused."""
    told = behaviour.LANGUAGES[language]
    for _, cases in behaviour.suite(language):
        for case in cases:
            assert not any(set(text) & set("{}<>") for text in case.texts), case
            assert len(set(case.texts)) == len(case.texts), case
    phrasings = " ".join(text for t in told.templates for phrasing in t.phrasings for text in phrasing)
    assert set(told.words) <= {re.sub(r"2?(:.*)?$", "", slot) for slot in re.findall(r"\{(.*?)\}", phrasings)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_cases_are_the_same_each_time(language: str) -> None:
    """A rate can be compared with an earlier one: the cases do not depend on the run."""
    told = behaviour.LANGUAGES[language]
    assert [fill(t, told) for t in told.templates] == [cases for _, cases in behaviour.suite(language)]


def test_no_name_that_augmentation_shows_stands_in_the_suite() -> None:
    """Names and genders are tested with names that no network was trained on by augmentation."""
    trained = set(RECOGNISED["en"])
    for template, cases in behaviour.suite("en"):
        if template.capability in behaviour.SWAPS:
            said = {word for case in cases for text in case.texts for word in re.findall(r"[A-Za-z]+", text)}
            assert not said & trained, template.name


def test_phrasings_take_turns_and_say_what_an_aspect_is_like() -> None:
    """Each phrasing of a template is heard; a good word of an aspect and a bad word of its neighbour go with them."""
    template = towards("contrast", "made here", "{a} {a_good}, {b} {b_bad}", "at this {here} the {a:upper}, not the {b}")
    cases = fill(template, behaviour.LANGUAGES["en"])
    assert sum(case.texts[0].startswith("at this") for case in cases) >= FILLS // 3
    assert all([label for _, label in case.towards] == ["positive", "negative"] for case in cases)
    assert all(case.towards[0][0].casefold() in case.texts[0].casefold() for case in cases)


def test_a_template_with_too_few_fills_is_refused() -> None:
    """A template that cannot be filled 50 times is a mistake of its author, found when the suite is made."""
    with pytest.raises(AssertionError, match="too few fills"):
        fill(expected("x", "one only", "positive", "nothing to fill"), behaviour.LANGUAGES["en"])


def said(*labels: Label | None) -> list[EnrichedEvent]:
    """One event for each label; its score is ±0.9 or 0."""
    return [event("the food here", label) for label in labels]


@pytest.mark.parametrize(
    ("template", "events", "right"),
    [
        (expected("c", "n", "positive|neutral", "x"), said("neutral"), True),
        (expected("c", "n", "positive|neutral", "x"), said("negative"), False),
        (expected("c", "n", "positive", "x"), said(None), False),
        (invariant("c", "n", ("x", "y")), said("positive", "positive"), True),
        (invariant("c", "n", ("x", "y")), said("positive", "neutral"), False),
        (invariant("c", "n", ("x", "y")), said("neutral", None), False),
        (moves("c", "n", +1, ("x", "y")), said("neutral", "positive"), True),
        (moves("c", "n", +1, ("x", "y")), said("neutral", "neutral"), False),
        (moves("c", "n", +1, ("x", "y"), slack=0.05), said("neutral", "neutral"), True),
        (moves("c", "n", -1, ("x", "y")), said("neutral", "positive"), False),
    ],
)
def test_a_case_holds_when_its_events_do_what_the_template_asks(
    template: Template, events: Sequence[EnrichedEvent], right: bool
) -> None:
    """Labels, shifts and directions are judged as the template says; a text without a sentiment fails."""
    assert behaviour.holds(template, Case(("x", "y")[: len(events)]), events) is right


@pytest.mark.parametrize(("food", "staff", "right"), [("positive", "negative", True), ("negative", "negative", False)])
def test_sentiment_towards_terms_is_judged_term_by_term(food: Label, staff: Label, right: bool) -> None:
    """Each of the two terms must be found and have its own label."""
    text, case = "good food, bad staff", Case(("good food, bad staff",), (("food", "positive"), ("staff", "negative")))
    terms = [term(text, "food", food), term(text, "staff", staff)]
    template = towards("c", "n", "x")
    assert behaviour.holds(template, case, [event(text, "neutral", terms=terms)]) is right
    assert not behaviour.holds(template, case, [event(text, "neutral", terms=terms[:1])])


class AlwaysPositive:
    """A scorer without a model, that knows one answer."""

    def score(self, texts: Iterable[str]) -> list[EnrichedEvent]:
        """An event for each text."""
        return [event(text, "positive") for text in texts]


def test_a_report_counts_failures_by_template_and_capability() -> None:
    """A scorer that always says positive fails what asks for another label or a move, and no swap."""
    report = behaviour.run(AlwaysPositive(), ["en"])
    rates, scores = report.rates(), report.scores()
    assert rates["behaviour/en/negation/positive word denied"] == 1
    assert rates["behaviour/en/negation/praise by denial"] == 0
    assert scores["behaviour/en/sarcasm"] == 1
    assert scores["behaviour/en/idioms"] == 0.5
    assert (
        scores["behaviour/en/names"] == scores["behaviour/en/names/mean_shift"] == scores["behaviour/en/genders/p95_shift"] == 0
    )
    assert behaviour.ceilings(report)["behaviour/en/negation/praise by denial"] == 0.04
    assert behaviour.ceilings(report)["behaviour/en/negation/positive word denied"] == 1
    assert "behaviour/en/sarcasm " in str(report)
    assert behaviour.shown(report, failures=0) == str(report)
    failed = behaviour.shown(report, failures=2).removeprefix(str(report)).splitlines()
    assert sum(line.startswith("behaviour/en/negation/positive word denied: ") for line in failed) == 2


def test_the_card_shows_the_rates_of_both_languages() -> None:
    """The section has a row for each capability, the swaps' shifts, a dash where a language was not run; else it is empty."""
    scores = behaviour.run(AlwaysPositive(), ["en"]).scores() | {"behaviour/zh/idioms": 0.123, "sst2/accuracy": 0.8}
    section = behaviour_section(scores)
    assert "| idioms | 50% | 12% |" in section and "| sarcasm | 100% | – |" in section
    assert "| names | 0.000 / 0.000 | – / – |" in section
    assert behaviour_section({"sst2/accuracy": 0.8}) == ""
