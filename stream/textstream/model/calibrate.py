"""From logits to the numbers that are published: calibrated for each language, rounded, and still consistent."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from textstream.event import LABELS, Sentiment
from textstream.model.bundle import SentimentCalibration, TermCalibration

DIGITS = 4
WHOLE = 10**DIGITS


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True), np.float32)


def probabilities(
    logits: NDArray[np.float32], language: NDArray[np.int64], calibration: Sequence[SentimentCalibration]
) -> NDArray[np.float32]:
    """(rows, 3) for logits (rows, 3), each row by its language's calibration."""
    temperature = np.array([c.temperature for c in calibration], np.float32)
    bias = np.array([c.bias for c in calibration], np.float32)
    return softmax(logits / temperature[language, None] + bias[language])


def salience(
    evidence: NDArray[np.float32], which: NDArray[np.int64], calibration: Sequence[TermCalibration]
) -> NDArray[np.float32]:
    """(spans,) probability that each span is a key term; `which` picks its calibration."""
    weights = np.array([c.weights for c in calibration], np.float32)
    offset = np.array([c.offset for c in calibration], np.float32)
    odds = (evidence * weights[which]).sum(1) + offset[which]
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


def rounded(chances: NDArray[np.float32]) -> NDArray[np.int64]:
    """Probabilities (rows, 3) in ten-thousandths that sum to 10,000: what rounding left over goes to the largest.

    Raises FloatingPointError where a network has said something that is no number.
    """
    if not np.isfinite(chances).all():
        raise FloatingPointError("the network's outputs are no numbers: its graph is damaged, or overflows on this device")
    parts: NDArray[np.int64] = np.rint(chances * WHOLE).astype(np.int64)
    largest = parts.argmax(1)
    parts[np.arange(len(parts)), largest] += WHOLE - parts.sum(1)
    return parts


def sentiments(parts: NDArray[np.int64]) -> list[Sentiment]:
    """One Sentiment for each row of rounded probabilities (rows, 3), from which label and score follow."""
    columns = (*(parts / WHOLE).T.tolist(), ((parts[:, 2] - parts[:, 0]) / WHOLE).tolist(), parts.argmax(1).tolist())
    return [
        {"label": LABELS[k], "score": score, "probabilities": {"negative": a, "neutral": b, "positive": c}}
        for a, b, c, score, k in zip(*columns, strict=True)
    ]
