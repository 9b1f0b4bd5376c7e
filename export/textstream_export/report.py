"""Scores as tables to read, in Markdown: the published rows first, then every measure of every source."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from textstream.errors import Misconfigured
from textstream.event import LABELS
from textstream_export.data import Row
from textstream_export.measures import Scores

Columns = Mapping[str, Scores]
"""Who was scored → their scores, the one that is reported first, what stands beside it after."""

HEADLINES = (
    ("tweeteval_sentiment/macro_recall", "tweeteval_sentiment, macro-recall"),
    ("tweeteval_sentiment/ece", "tweeteval_sentiment, calibration error (15 bins)"),
    ("sst2/pos_neg_accuracy", "sst2, accuracy, positive against negative"),
    ("sst2/accuracy", "sst2, accuracy by label, neutral counted as wrong"),
    ("smp2020_usual/macro_f1", "smp2020_usual, macro-F1 of 3 classes"),
    ("smp2020_usual/ece", "smp2020_usual, calibration error (15 bins)"),
    ("chnsenticorp/pos_neg_accuracy", "chnsenticorp, accuracy, positive against negative"),
    ("chnsenticorp_unseen/pos_neg_accuracy", "the same on rows that share no 20 characters with train"),
    ("chnsenticorp_unseen/accuracy", "the same by label, neutral counted as wrong"),
    ("absa_mams/towards/accuracy", "absa_mams, sentiment towards given terms, accuracy"),
    ("absa_mams/towards/copied_accuracy", "the same if the message's label were copied"),
    ("aste_zh_dianping/towards/macro_f1", "aste_zh_dianping, sentiment towards given terms, macro-F1"),
    ("aste_zh_dianping/towards/copied_macro_f1", "the same if the message's label were copied"),
    ("tweets_kw/f1", "tweets_kw, key terms of any kind, F1"),
    ("absa_mams/f1", "absa_mams, key terms of any kind, F1"),
    ("absa_mams/own/f1", "absa_mams, aspects, F1"),
    ("absa_mams/own/offset_f1", "absa_mams, aspects, offset-exact F1"),
    ("aste_zh_dianping/f1", "aste_zh_dianping, key terms of any kind, F1"),
    ("aste_zh_dianping/own/f1", "aste_zh_dianping, aspects, F1"),
    ("aste_zh_dianping/own/offset_f1", "aste_zh_dianping, aspects, offset-exact F1"),
    ("tnews_kw/f1", "tnews_kw, key terms of any kind, F1"),
)
"""Scores that are published first, and what they are."""

_SENTIMENT = ("rows", "accuracy", "macro_precision", "macro_recall", "macro_f1", "pos_neg_accuracy", "ece", "unscored")
_EACH = tuple(f"{label}/{measure}" for label in LABELS for measure in ("precision", "recall", "f1"))
_TERMS = ("rows", "precision", "recall", "f1", "f1_at_1", "f1_at_3", "f1_at_5", "offset_f1", "partial_f1")
_TOWARDS = ("rows", "accuracy", "macro_f1", "copied_accuracy", "copied_macro_f1")
_FOUND = ("found", "found_accuracy", "found_macro_f1", "found_copied_accuracy", "found_copied_macro_f1")
SECTIONS = (
    ("Sentiment", "", _SENTIMENT),
    ("Sentiment, each class", "", _EACH),
    ("Key terms of any kind", "", _TERMS),
    ("Key terms of the source's own kind", "own/", _TERMS[1:]),
    ("Sentiment towards given terms", "towards/", _TOWARDS),
    ("Sentiment towards given terms, each class", "towards/", _EACH),
    ("Sentiment towards given terms, those found", "towards/", _FOUND),
)
"""Title, what the names of its measures begin with, the measures."""


def rows_digest(rows: Iterable[Row]) -> str:
    """What tells the rows of one report from those of another: their texts and their gold, in order."""
    found = sha256()
    for row in rows:
        found.update(repr(row).encode("utf-8", "surrogatepass"))
    return f"sha256:{found.hexdigest()}"


def read_report(path: Path, rows: Iterable[Row]) -> dict[str, Scores]:
    """Who was scored in an earlier report. Raises Misconfigured where it is none, or on other rows than these."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        of, columns = report["rows"], report["scores"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{path} is no report ({type(error).__name__}: {error}): write one with evaluate --out") from None
    if of != rows_digest(rows):
        raise Misconfigured(f"{path} is of other rows than --data holds now: evaluate again on these")
    return dict(columns)


def headlines(columns: Columns) -> str:
    """The published rows, a column for each who was scored."""
    rows = [
        (what, *(_number(scores.get(name)) for scores in columns.values()))
        for name, what in HEADLINES
        if any(name in scores for scores in columns.values())
    ]
    return table(("measure", *columns), rows)


def tables(columns: Columns) -> str:
    """Every measure, a section for each group of them; a row for each source and who was scored on it."""
    parts = []
    for title, prefix, measures in SECTIONS:
        if lines := list(_lines(columns, prefix, measures)):
            shown = [i for i in range(len(measures)) if any(line[i + 2] for line in lines)]
            head = ("source", "who", *(measures[i].replace("_", " ") for i in shown))
            parts.append(f"### {title}\n\n" + table(head, [(*line[:2], *(line[i + 2] for i in shown)) for line in lines]))
    if confused := list(_confusions(columns)):
        head = ("source", "who", "gold", *(f"as {label}" for label in LABELS), "unsaid")
        parts.append("### Confusion\n\n" + table(head, confused))
    return "\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _lines(columns: Columns, prefix: str, measures: Sequence[str]) -> Iterable[list[str]]:
    """Source, who, and each measure; only sources that have the section's second measure, which tells it from others."""
    for source in _sources(columns):
        for who, scores in columns.items():
            values = [scores.get(f"{source}/{prefix}{measure}") for measure in measures]
            if values[1] is not None:
                yield [source, who, *("" if value is None else _number(value) for value in values)]


def _confusions(columns: Columns) -> Iterable[list[str]]:
    for source in _sources(columns):
        for who, scores in columns.items():
            for gold in LABELS:
                counts = [scores.get(f"{source}/confusion/{gold}/{said}") for said in (*LABELS, "unsaid")]
                if counts[0] is not None:
                    yield [source, who, gold, *(f"{count or 0:.0f}" for count in counts)]


def _sources(columns: Columns) -> list[str]:
    return sorted({name.split("/")[0] for scores in columns.values() for name in scores})


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value > 1 else f"{value:.3f}"
