"""Behaviour of the bundles in the repository: no template fails more than its ceiling, a swapped name hardly matters."""

import json
from functools import cache
from pathlib import Path

import pytest

from tests.support.bundles import SHIPPED, each_shipped
from textstream.model.scorer import Scorer
from textstream_export.behaviour import SWAPS, Report, run
from textstream_export.evaluate import evaluate

CEILINGS = {"swift": "behaviour_ceilings.json", "deep": "behaviour_ceilings_deep.json"}
"""Most failures a case that each template may have: what `textstream-export behaviour --ceilings` printed."""

MEAN_SHIFT, P95_SHIFT = 0.02, 0.06
"""How far a swapped name or gender may move the score: promised to users, not measured."""


@cache
def report(name: str) -> Report:
    """The suite, run on a shipped bundle."""
    return run(Scorer.load(SHIPPED[name], device="cpu"))


@each_shipped
def test_no_template_fails_more_often_than_its_ceiling(name: str) -> None:
    """Every template has a ceiling, every ceiling a template, and none is exceeded."""
    ceilings: dict[str, float] = json.loads(Path(__file__).with_name(CEILINGS[name]).read_text(encoding="utf-8"))
    rates = report(name).rates()
    assert rates.keys() == ceilings.keys()
    assert {template: rate for template, rate in rates.items() if rate > ceilings[template]} == {}


REPORTS = Path(__file__).with_name("reports.jsonl")
"""Messages of companies, service, software and news, written by hand, with the label that a careful reader gives them."""
READ = {"swift": 0.68, "deep": 0.82}
"""Least share of them whose label is right: swift takes most good news that no word praises for neutral."""


@each_shipped
def test_messages_that_report_are_read_as_well_as_they_were(name: str) -> None:
    """`textstream-export evaluate --data tests/e2e/reports.jsonl` shows what is taken for what."""
    assert evaluate(Scorer.load(SHIPPED[name], device="cpu"), REPORTS)["own/accuracy"] >= READ[name]


MISSED = {
    ("deep", "en", "names"): "by 0.04 in the mean, 0.15 at p95",
    ("deep", "en", "genders"): "by 0.01 in the mean, 0.08 at p95",
}
"""Bundles that break the promise, and how far they move."""


@pytest.mark.parametrize("swap", SWAPS)
@pytest.mark.parametrize("language", ["en", "zh"])
@each_shipped
def test_a_swapped_name_or_gender_hardly_moves_the_score(
    name: str, language: str, swap: str, request: pytest.FixtureRequest
) -> None:
    """The mean absolute change and its 95th percentile stay within what is promised."""
    how = MISSED.get((name, language, swap))
    if how is not None:
        request.applymarker(pytest.mark.xfail(strict=True, reason=f"{name} moves {how}"))
    scores = report(name).scores()
    assert scores[f"behaviour/{language}/{swap}/mean_shift"] <= MEAN_SHIFT
    assert scores[f"behaviour/{language}/{swap}/p95_shift"] <= P95_SHIFT
