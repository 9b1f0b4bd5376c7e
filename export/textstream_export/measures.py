"""The measures, from plain numbers and strings: a bundle, a baseline and a peer are all judged by these same functions.

Names are paths (`negative/recall`), so that the scores of everything fit one flat table from name to number.
"""

import unicodedata
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import torch
from nervaluate import Evaluator
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support
from torchmetrics.functional.classification import multiclass_calibration_error

from textstream.event import KINDS, LABELS, Kind

Scores = dict[str, float]
Labels = NDArray[np.int64]
"""(rows,) indices into LABELS, or UNSAID."""
Span = tuple[int, int, Kind]
"""[begin, end) in code points, and its kind."""

UNSAID = len(LABELS)
"""What stands for the label of a text that got none: right for no row, and no false alarm of any class."""
ECE_BINS = 15
TOPS = (1, 3, 5)
"""The k of F1@k."""


def label_scores(gold: Labels, said: Labels) -> Scores:
    """Accuracy, means over the classes that gold has, each of these classes, and how often each was taken for which."""
    classes = np.unique(gold)
    each = precision_recall_fscore_support(gold, said, labels=classes, zero_division=0)[:3]
    means = dict(zip(("macro_precision", "macro_recall", "macro_f1"), map(float, map(np.mean, each)), strict=True))
    scores = {"rows": float(len(gold)), "accuracy": float(accuracy_score(gold, said)), **means}
    for which, *values in zip(classes.tolist(), *map(np.ndarray.tolist, each), strict=True):
        scores |= {f"{LABELS[which]}/{name}": v for name, v in zip(("precision", "recall", "f1"), values, strict=True)}
    names = (*LABELS, "unsaid")
    counts = confusion_matrix(gold, said, labels=range(len(names)))
    for truth in classes.tolist():
        scores |= {f"confusion/{LABELS[truth]}/{name}": float(n) for name, n in zip(names, counts[truth], strict=True)}
    return scores


def calibration_error(gold: Labels, chances: NDArray[np.float64]) -> float:
    """Expected calibration error of the most likely label; `chances` is (rows, 3)."""
    if not len(gold):
        return 0.0
    value = multiclass_calibration_error(
        torch.from_numpy(chances), torch.from_numpy(gold), num_classes=len(LABELS), n_bins=ECE_BINS, norm="l1"
    )
    return float(value)


def key(term: str) -> str:
    """When two terms are one string: by case and width (NFKC), with one space between words."""
    return " ".join(unicodedata.normalize("NFKC", term).casefold().split())


def present(terms: Sequence[str], text: str) -> set[str]:
    """The keys of the gold terms that stand in the text: nobody can extract the others."""
    within = key(text)
    return {key(term) for term in terms if key(term) in within} - {""}


def term_scores(gold: Sequence[AbstractSet[str]], said: Sequence[Sequence[str]]) -> Scores:
    """Micro-averages over all texts of what was said, the most salient first; gold as `present` gives it."""
    keys = [list(dict.fromkeys(map(key, terms))) for terms in said]
    precision, recall, f1 = set_scores(gold, keys)
    tops = {f"f1_at_{k}": set_scores(gold, [terms[:k] for terms in keys])[2] for k in TOPS}
    return {"rows": float(len(gold)), "precision": precision, "recall": recall, "f1": f1, **tops}


def set_scores(gold: Sequence[AbstractSet[str]], said: Sequence[Sequence[str]]) -> tuple[float, float, float]:
    """Micro-averaged precision, recall and F1 of sets."""
    right = sum(len(wanted & set(found)) for wanted, found in zip(gold, said, strict=True))
    found, wanted = sum(map(len, said)), sum(map(len, gold))
    return right / max(1, found), right / max(1, wanted), 2 * right / max(1, found + wanted)


def offset_scores(gold: Sequence[Sequence[Span]], said: Sequence[Sequence[Span]]) -> Scores:
    """Micro-F1 of spans, exact to the code point, and with half a point for a span that only overlaps gold."""
    judged = Evaluator(_as_records(gold), _as_records(said), tags=list(KINDS), loader="dict")  # else it looks into row 0
    overall = judged.evaluate()["overall"]
    return {"offset_f1": float(overall["exact"].f1), "partial_f1": float(overall["partial"].f1)}


def _as_records(rows: Sequence[Sequence[Span]]) -> list[list[dict[str, object]]]:
    """Spans in nervaluate's form, whose end is inclusive: else two neighbours would overlap."""
    return [[{"label": kind, "start": begin, "end": end - 1} for begin, end, kind in sorted(row)] for row in rows]
