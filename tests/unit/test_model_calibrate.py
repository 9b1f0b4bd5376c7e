"""Published probabilities sum to 1 as written, and label and score follow from them."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textstream.event import LABELS
from textstream.model.bundle import SentimentCalibration, TermCalibration
from textstream.model.calibrate import probabilities, rounded, salience, sentiments

LOGIT = st.floats(-60, 60, width=32)


@given(st.lists(st.tuples(LOGIT, LOGIT, LOGIT), min_size=1, max_size=20))
def test_probabilities_sum_to_one_and_the_label_is_the_largest(rows: list[tuple[float, float, float]]) -> None:
    plain = [SentimentCalibration(temperature=1.0)]
    logits = np.array(rows, np.float32)
    for mood in sentiments(rounded(probabilities(logits, np.zeros(len(rows), np.int64), plain))):
        said = mood["probabilities"]
        values = [said["negative"], said["neutral"], said["positive"]]
        assert abs(sum(values) - 1) < 1e-9
        assert min(values) >= 0
        assert said[mood["label"]] == max(values)
        assert abs(mood["score"] - (said["positive"] - said["negative"])) < 1e-9


def test_a_tie_goes_to_the_first_label() -> None:
    assert sentiments(rounded(np.array([[0.45, 0.1, 0.45]], np.float32)))[0]["label"] == LABELS[0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    """A graph that overflows must not publish."""
    with pytest.raises(FloatingPointError, match="no numbers"):
        rounded(np.array([[0.2, 0.3, 0.5], [0, wrong, 1]], np.float32))


def test_each_row_is_calibrated_for_its_own_language() -> None:
    cold = SentimentCalibration(temperature=1.0)
    warm = SentimentCalibration(temperature=2.0, bias=(0.0, 0.0, 1.0))
    chances = probabilities(np.array([[2, 0, 0], [2, 0, 0]], np.float32), np.array([0, 1]), [cold, warm])
    assert chances[0].argmax() == 0
    assert chances[1, 0] == chances[1, 2]


def test_salience_is_a_logistic_function_of_the_evidence() -> None:
    calibration = [TermCalibration(weights=(1.0, 0.5, 0.0, 0.0, 0.0, -1.0, 0.0), offset=-0.5)]
    assert salience(np.array([[0.5, 1.0, 3.0, 9.0, 4.0, 0.5, 7.0]], np.float32), np.array([0]), calibration).tolist() == [0.5]
