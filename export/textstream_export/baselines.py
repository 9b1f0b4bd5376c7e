"""What a model must beat: the majority answer, and linear models of n-grams, fitted for each source on its own train rows.

One source each is generous to them: they know the mix of labels and the habits of the very source that is scored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise

import numpy as np
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC
from tqdm import tqdm

from textstream.event import KINDS, LABELS
from textstream.model import text as prepare
from textstream.model.tokens import Tokens
from textstream_export.data import Aspect, Row
from textstream_export.encode import token_targets
from textstream_export.gold import NEUTRAL, TOKENISE, given_terms, gold_sets, gold_spans, kind_of, message_labels, term_labels
from textstream_export.measures import Labels, Scores, label_scores, offset_scores, term_scores

C = 0.1
"""Inverse strength of regularisation. On held-out train rows of four sources as good as logistic regression, and 5 times as
fast."""
MAX_TAGGER_ROWS = 8000
"""Rows a tagger is fitted on: beyond that it gains little and takes minutes."""
WINDOW = 6
"""Tokens to each side of a term that speak of it."""
HASHED = 2**20


def words(text: str) -> list[str]:
    """The folded tokens of a text; a Chinese character is one."""
    return [word for word in map(prepare.normal, prepare.cut(text)) if word]


def most_common(labels: Labels) -> int:
    """The majority answer."""
    return int(np.bincount(labels, minlength=len(LABELS)).argmax())


class LinearSentiment:
    """The label of a text from its words (1-2) and characters (2-5), weighted by TF-IDF."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._model = _classifier(
            TfidfVectorizer(tokenizer=words, token_pattern=None, lowercase=False, ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=min(2, len(rows))),
        ).fit([row.text for row in rows], message_labels(rows))

    def __call__(self, texts: Sequence[str]) -> Labels:
        """(texts,)"""
        return np.asarray(self._model.predict(texts), np.int64)


class LinearTowards:
    """The sentiment towards a given term from n-grams before it, in it, after it and of the whole text."""

    def __init__(self, rows: Sequence[Row]) -> None:
        parts = [TfidfVectorizer(analyzer=partial(_part_grams, which), sublinear_tf=True) for which in range(4)]
        self._model = _classifier(*parts).fit(list(map(_parts, given_terms(rows))), term_labels(rows))

    def __call__(self, rows: Sequence[Row]) -> Labels:
        """(terms,) for the gold aspects of all rows."""
        terms = given_terms(rows)
        return np.asarray(self._model.predict(list(map(_parts, terms))), np.int64) if terms else np.zeros(0, np.int64)


def _classifier(*features: TfidfVectorizer) -> Pipeline:
    return make_pipeline(make_union(*features), LinearSVC(C=C, class_weight="balanced"))


def _parts(term: tuple[str, Aspect]) -> tuple[list[str], list[str], list[str], list[str]]:
    """Words (before the term, in it, after it, of the text), those around it the nearest WINDOW."""
    text, aspect = term
    before, after = words(text[: aspect.begin])[-WINDOW:], words(text[aspect.end :])[:WINDOW]
    return before, words(text[aspect.begin : aspect.end]), after, words(text)


def _part_grams(which: int, parts: Sequence[list[str]]) -> list[str]:
    own = parts[which]
    return [*own, *(f"{a} {b}" for a, b in pairwise(own))]


@dataclass(slots=True)
class LinearTagger:
    """Key terms: outside, begin or inside for each token, from n-grams of the tokens around it."""

    rows: Sequence[Row]
    _model: LinearSVC = field(init=False)
    _hasher: FeatureHasher = field(init=False)

    def __post_init__(self) -> None:
        self._hasher = FeatureHasher(HASHED, input_type="string", alternate_sign=False, dtype=np.float32)
        channel = KINDS.index(kind_of(self.rows[0]))
        chosen = self.rows[:MAX_TAGGER_ROWS]
        features: list[list[str]] = []
        tags: list[int] = []
        for row, tokens in zip(chosen, TOKENISE([row.text for row in chosen]), strict=True):
            targets = token_targets(row, tokens)
            if targets is not None:
                features += _token_grams(tokens)
                tags += np.maximum(targets[0][:, channel], 0).tolist()
        self._model = LinearSVC(C=C).fit(self._hasher.transform(features), tags)

    def __call__(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """The terms of each text as [begin, end) in code points, in order of place."""
        batch = TOKENISE(texts)
        features = [grams for tokens in batch for grams in _token_grams(tokens)]
        if not features:
            return [[] for _ in texts]
        found: csr_matrix = self._hasher.transform(features)
        tags: list[int] = self._model.predict(found).tolist()
        out, start = [], 0
        for tokens in batch:
            out.append(list(_spans(tokens, tags[start : start + tokens.count])))
            start += tokens.count
        return out


def _spans(tokens: Tokens, tags: Sequence[int]) -> Iterator[tuple[int, int]]:
    start: int | None = None
    for at, tag in enumerate([*tags, 0]):
        if start is not None and tag != 2:
            yield int(tokens.begins[start]), int(tokens.ends[at - 1])
            start = None
        if tag == 1 or (tag == 2 and start is None):
            start = at


def _token_grams(tokens: Tokens) -> list[list[str]]:
    """For each token: itself, its neighbours to two sides, pairs and triples of them, its ends and its shape."""
    raw = [tokens.text[begin:end] for begin, end in zip(tokens.begins.tolist(), tokens.ends.tolist(), strict=True)]
    w = ["", "", *map(prepare.normal, raw), "", ""]
    out: list[list[str]] = []
    for i, surface in enumerate(raw, start=2):
        a, b, c, d, e = w[i - 2 : i + 3]
        case = prepare.shape(surface)
        single = [f"0 {c}", f"-1 {b}", f"+1 {d}", f"-2 {a}", f"+2 {e}", f"< {c[:3]}", f"> {c[-3:]}", f"case {case}"]
        wider = [f"-1 0 {b} {c}", f"0 +1 {c} {d}", f"-2 -1 {a} {b}", f"+1 +2 {d} {e}", f"-1 0 +1 {b} {c} {d}", f"{case} {b}"]
        out.append(single + wider)
    return out


def baselines(train: Sequence[Row], rows: Sequence[Row], groups: Mapping[str, Sequence[int]]) -> dict[str, Scores]:
    """The scores of the linear models and of the majority answer on `rows`, under the names that `evaluate` uses."""
    sources = {name: rows[places[0]].source for name, places in groups.items()}
    said: dict[str, dict[str, dict[int, _Answer]]] = {}
    for source in tqdm(sorted(set(sources.values())), desc="baselines", unit="source"):
        own = [row for row in train if row.source == source]
        said[source] = _answers(own, {at: row for at, row in enumerate(rows) if row.source == source}) if own else {}
    scores: dict[str, Scores] = {"linear": {}, "majority": {}}
    for name, places in groups.items():
        for who, answers in said[sources[name]].items():
            found = _scores([(rows[at], answers[at]) for at in places])
            scores[who] |= {f"{name}/{measure}": round(value, 4) for measure, value in found.items()}
    return scores


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a baseline says of one row; None where it has nothing to say of such rows."""

    label: int | None = None
    towards: list[int] | None = None
    terms: list[tuple[int, int]] | None = None


def _answers(train: Sequence[Row], asked: Mapping[int, Row]) -> dict[str, dict[int, _Answer]]:
    """Of each baseline the answer to each row of one source, by the row's place."""
    rows = list(asked.values())
    texts = [row.text for row in rows]
    if rows[0].label:
        labels = LinearSentiment(train)(texts).tolist()
        usual = _Answer(most_common(message_labels(train)))
        return {"linear": dict(zip(asked, map(_Answer, labels), strict=True)), "majority": dict.fromkeys(asked, usual)}
    terms = dict(zip(asked, LinearTagger(train)(texts), strict=True))
    if rows[0].aspects is None:
        return {"linear": {at: _Answer(terms=terms[at]) for at in asked}}
    flat = iter(LinearTowards(train)(rows).tolist())
    towards = {at: list(islice(flat, len(row.aspects or ()))) for at, row in asked.items()}
    most = most_common(term_labels(train))
    return {
        "linear": {at: _Answer(towards=towards[at], terms=terms[at]) for at in asked},
        "majority": {at: _Answer(towards=[most] * len(row.aspects or ())) for at, row in asked.items()},
    }


def _scores(answered: Sequence[tuple[Row, _Answer]]) -> Scores:
    rows = [row for row, _ in answered]
    first = answered[0][1]
    scores: Scores = {}
    if first.label is not None:
        gold = message_labels(rows)
        scores |= label_scores(gold, np.array([answer.label for _, answer in answered]))
        if NEUTRAL not in gold:
            scores["pos_neg_accuracy"] = scores["accuracy"]
    if first.towards is not None:
        labels = np.array([label for _, answer in answered for label in answer.towards or ()])
        scores |= {f"towards/{name}": value for name, value in label_scores(term_labels(rows), labels).items()}
    if first.terms is not None:
        kind = kind_of(rows[0])
        said = [[row.text[begin:end] for begin, end in answer.terms or ()] for row, answer in answered]
        own = term_scores(gold_sets(rows), said)
        if kind != "phrase":
            own |= offset_scores(gold_spans(rows), [[(a, b, kind) for a, b in answer.terms or ()] for _, answer in answered])
        scores |= own | {f"own/{name}": value for name, value in own.items() if name != "rows"}
    return scores
