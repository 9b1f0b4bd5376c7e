"""The packaged model's behaviour: no template fails more often than its ceiling, and a swapped name hardly matters."""

import json
from pathlib import Path

import pytest

from textstream.model.scorer import Scorer
from textstream_export.behaviour import SWAPS, Report, run

CEILINGS: dict[str, float] = json.loads(Path(__file__).with_name("behaviour_ceilings.json").read_text(encoding="utf-8"))
"""Most failures a case that each template may have: what `textstream-export behaviour --ceilings` printed."""

MEAN_SHIFT, P95_SHIFT = 0.02, 0.06
"""How far a swapped name or gender may move the score: promised to users, not measured."""


@pytest.fixture(scope="module")
def report() -> Report:
    """The suite, run on the packaged model."""
    return run(Scorer.load("swift", device="cpu"))


def test_no_template_fails_more_often_than_its_ceiling(report: Report) -> None:
    """Every template has a ceiling, every ceiling a template, and none is exceeded."""
    rates = report.rates()
    assert rates.keys() == CEILINGS.keys()
    assert {name: rate for name, rate in rates.items() if rate > CEILINGS[name]} == {}


@pytest.mark.xfail(strict=True, reason="swift 0.2.0 moves by 0.01 to 0.13 in the mean, 0.10 to 0.49 at p95")
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("swap", SWAPS)
def test_a_swapped_name_or_gender_hardly_moves_the_score(report: Report, language: str, swap: str) -> None:
    """The mean absolute change and its 95th percentile stay within what is promised."""
    scores = report.scores()
    assert scores[f"behaviour/{language}/{swap}/mean_shift"] <= MEAN_SHIFT
    assert scores[f"behaviour/{language}/{swap}/p95_shift"] <= P95_SHIFT
