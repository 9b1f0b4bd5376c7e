"""Bundles beside what others would use: same rows, same scorer, same machine, one thread, everything tuned on train rows.

    uv pip install --group peers          # fastText is built from source: a few minutes
    python -m tests.bench.peers --data DIR --bundle swift --bundle export/bundles/deep --out export/peers.json

writes quality and messages/s of each as JSON and as a plot beside it. A peer whose package is not installed is named and left
out. fastText and the linear models are fitted on the train rows of the very source that is scored, which is generous to them.
"""

import argparse
import json
import logging
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import combinations, product
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from textstream.errors import TextstreamError
from textstream.event import LABELS
from textstream.model.scorer import Scorer
from textstream_export.baselines import LinearSentiment, LinearTagger, words
from textstream_export.data import Row, read_train, split_held_out
from textstream_export.evaluate import UNSEEN, group, rows_that_score, said_labels, signs
from textstream_export.gold import NEUTRAL, gold_sets, message_labels
from textstream_export.measures import Labels, label_scores, term_scores
from textstream_export.plots import Point, quality_against_rate
from textstream_export.report import table

TUNED_ON = 1000
"""Train rows that choose a peer's settings."""
KS = (1, 2, 3, 4, 5, 6, 8, 10)
"""How many terms a peer may say; the best number is chosen on train rows."""
MOST = max(KS)
BANDS = np.round(np.arange(-0.9, 0.91, 0.05), 2).tolist()
"""Scores below which a text may be negative, and above which positive: the best pair is chosen on train rows."""
PASSES, PASS_S = 3, 2.0
"""A rate is the median of this many passes, or of fewer where one takes longer than this."""
WARM_UP = 32
"""Texts before the clock starts: lexicons load on first use."""

Answer = TypeVar("Answer")
WORD = re.compile(r"\w[\w'’-]*")
NO_WORDS = re.compile(r"https?://\S+|www\.\S+|@\w+")
Sentiments = Callable[[Sequence[str]], Labels]
Terms = Callable[[Sequence[str]], list[list[str]]]
Extract = Callable[[str], list[str]]
"""The key terms of a text, the best first, at most MOST."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured on one group of rows."""

    name: str
    source: str
    lang: str
    measure: str
    shown: bool = False
    """Whether it is a panel of the plot."""

    @property
    def title(self) -> str:
        """A panel's heading."""
        return f"{self.source}: {self.measure.replace('_', ' ')}"


TASKS = (
    Task("tweeteval_sentiment", "tweeteval_sentiment", "en", "macro_recall", shown=True),
    Task("sst2", "sst2", "en", "accuracy"),
    Task("smp2020_usual", "smp2020_usual", "zh", "macro_f1", shown=True),
    Task(UNSEEN, "chnsenticorp", "zh", "accuracy"),
    Task("tweets_kw", "tweets_kw", "en", "f1"),
    Task("absa_mams", "absa_mams", "en", "f1", shown=True),
    Task("aste_zh_dianping", "aste_zh_dianping", "zh", "f1", shown=True),
    Task("tnews_kw", "tnews_kw", "zh", "f1"),
)
"""Accuracy is of positive against negative: neither source has neutral rows."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one system reached."""

    quality: float
    rate: float
    """Messages a second of one core, on this task's own texts."""
    settings: str = ""
    ours: bool = False


def banded(score: Callable[[str], float], train: Sequence[Row], measure: str) -> tuple[Sentiments, str]:
    """Labels from scores in -1…1, by the two thresholds (one where there is no neutral) that were best on train rows."""
    rows = train[:TUNED_ON]
    gold, values = message_labels(rows), np.array([score(row.text) for row in rows])
    pairs = list(combinations(BANDS, 2)) if NEUTRAL in gold else [(at, at) for at in BANDS]
    low, high = max(pairs, key=lambda pair: label_scores(gold, _labels(values, *pair))[measure])
    return lambda texts: _labels(np.array([score(text) for text in texts]), low, high), f"negative < {low}, positive ≥ {high}"


def _labels(values: Any, low: float, high: float) -> Labels:
    return np.where(values < low, 0, np.where(values >= high, 2, NEUTRAL)).astype(np.int64)


def vader() -> Callable[[str], float]:
    """English: a lexicon and rules."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    return lambda text: float(analyser.polarity_scores(text)["compound"])


def textblob() -> Callable[[str], float]:
    """English: the pattern lexicon, which the package ships."""
    from textblob.en import sentiment

    return lambda text: float(sentiment(text)[0])


def snownlp() -> Callable[[str], float]:
    """Chinese: naive Bayes, trained on shop reviews by its author."""
    from snownlp import SnowNLP

    return lambda text: 2 * float(SnowNLP(text).sentiments) - 1 if text.strip() else 0.0


LEXICONS: dict[str, dict[str, Callable[[], Callable[[str], float]]]] = {
    "en": {"VADER": vader, "TextBlob": textblob},
    "zh": {"SnowNLP": snownlp},
}


def fast_text(train: Sequence[Row], held: Sequence[Row], measure: str) -> tuple[Sentiments, str]:
    """fastText on words (Chinese: characters) and pairs of them; epochs and character n-grams by the held-out rows."""
    import fasttext

    gold = message_labels(held)
    best: tuple[float, Sentiments, str] | None = None
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.writelines(f"__label__{LABELS.index(row.label)} {' '.join(words(row.text))}\n" for row in train if row.label)
        file.flush()
        for epochs, longest in product((5, 15), (0, 4)):
            model = fasttext.train_supervised(
                file.name, dim=50, epoch=epochs, lr=0.3, wordNgrams=2, minn=2 if longest else 0, maxn=longest,
                bucket=500_000, thread=1, seed=1, verbose=0,
            )  # fmt: skip
            said = _fast_text_labels(model)
            quality = label_scores(gold, said([row.text for row in held]))[measure]
            if best is None or quality > best[0]:
                best = quality, said, f"epochs {epochs}, characters ≤ {longest}"
    assert best is not None
    return best[1:]


def _fast_text_labels(model: Any) -> Sentiments:
    # `model.f` is the binding below `predict`, which asks numpy for a copy in a way that numpy 2 refuses.
    def labels(texts: Sequence[str]) -> Labels:
        said = (model.f.predict(" ".join(words(text)) + "\n", 1, 0.0, "strict") for text in texts)
        return np.array([int(found[0][1].removeprefix("__label__")) if found else NEUTRAL for found in said], np.int64)

    return labels


@cache
def stop_words() -> frozenset[str]:
    """The SMART list of English words that say nothing."""
    import RAKE

    return frozenset(word.casefold() for word in RAKE.SmartStopList())


def yake_variants() -> dict[str, Extract]:
    """YAKE of up to 1, 2 or 3 words."""
    import yake

    def extract(n: int) -> Extract:
        extractor = yake.KeywordExtractor(lan="en", n=n, top=MOST)
        return lambda text: [term for term, _ in extractor.extract_keywords(text)]

    return {f"n = {n}": extract(n) for n in (1, 2, 3)}


def rake_variants() -> dict[str, Extract]:
    """RAKE with the SMART stop list, of up to 1, 2 or 3 words."""
    import RAKE

    rake = RAKE.Rake(RAKE.SmartStopList())

    def extract(most: int) -> Extract:
        return lambda text: [term for term, _ in rake.run(text, minCharacters=1, maxWords=most)][:MOST]

    return {f"≤ {most} words": extract(most) for most in (1, 2, 3)}


def text_rank_variants() -> dict[str, Extract]:
    """TextRank over nouns and adjectives, as tagged by the lexicon that textblob ships: words, or runs of them."""
    import networkx as nx
    from textblob.en import tag

    def extract(text: str, runs: bool, reach: int) -> list[str]:
        tagged = tag(text)
        graph = nx.Graph()
        kept = [word if pos.startswith(("NN", "JJ")) else None for word, pos in tagged]
        for at, word in enumerate(kept):
            if word is not None:
                graph.add_node(word.casefold())
                near = (other for other in kept[at + 1 : at + reach] if other is not None)
                graph.add_edges_from((word.casefold(), other.casefold()) for other in near)
        if not graph:
            return []
        rank = nx.pagerank(graph)
        if not runs:
            return sorted(rank, key=lambda word: -rank[word])[:MOST]
        terms: dict[str, float] = {}
        for run in " ".join(word or "\n" for word in kept).split("\n"):
            if run.strip():
                terms[run.strip()] = sum(rank[word.casefold()] for word in run.split())
        return sorted(terms, key=lambda term: -terms[term])[:MOST]

    def bound(runs: bool, reach: int) -> Extract:
        return lambda text: extract(text, runs, reach)

    return {f"{'runs' if runs else 'words'}, window {reach}": bound(runs, reach) for runs in (False, True) for reach in (2, 4)}


def content_words() -> dict[str, Extract]:
    """Every English word that is no stop word and no part of a URL or mention, or the longer of them; or nouns alone."""
    from textblob.en import tag

    def longer(least: int) -> Extract:
        return lambda text: [
            w for w in WORD.findall(NO_WORDS.sub(" ", text)) if len(w) >= least and w.casefold() not in stop_words()
        ]

    def nouns(text: str) -> list[str]:
        return [word for word, pos in tag(text) if pos.startswith("NN") and word.casefold() not in stop_words()]

    return {"all": longer(1), "3 letters or more": longer(3), "nouns": nouns}


def jieba_tf_idf() -> dict[str, Extract]:
    """jieba's TF-IDF, of all words or of nouns."""
    import jieba.analyse

    return {
        "all": lambda text: list(jieba.analyse.extract_tags(text, topK=MOST)),
        "nouns": lambda text: list(jieba.analyse.extract_tags(text, topK=MOST, allowPOS=("n", "nr", "ns", "nt", "nz", "vn"))),
    }


def jieba_text_rank() -> dict[str, Extract]:
    """jieba's TextRank with its part-of-speech filter, or of nouns alone."""
    import jieba.analyse

    return {
        "n, ns, vn, v": lambda text: list(jieba.analyse.textrank(text, topK=MOST)),
        "nouns": lambda text: list(jieba.analyse.textrank(text, topK=MOST, allowPOS=("n", "nr", "ns", "nt", "nz", "vn"))),
    }


def chinese_content_words() -> dict[str, Extract]:
    """Every noun, verb and adjective that jieba tags; or nouns alone."""
    import jieba.posseg

    def tagged(first: str) -> Extract:
        return lambda text: [word for word, flag in jieba.posseg.cut(text) if flag[0] in first]

    return {"nouns, verbs, adjectives": tagged("nva"), "nouns": tagged("n")}


EXTRACTORS: dict[str, dict[str, Callable[[], dict[str, Extract]]]] = {
    "en": {"YAKE": yake_variants, "RAKE": rake_variants, "TextRank": text_rank_variants, "all content words": content_words},
    "zh": {
        "jieba TF-IDF": jieba_tf_idf,
        "jieba TextRank": jieba_text_rank,
        "all content words": chinese_content_words,
    },
}


def tuned(variants: dict[str, Extract], train: Sequence[Row]) -> tuple[Terms, str]:
    """The variant, and the number of terms, with the best F1 on train rows; `all` is no limit."""
    rows = train[:TUNED_ON]
    gold = gold_sets(rows)
    tried: list[tuple[float, str, int | None]] = []
    for name, extract in variants.items():
        said = [extract(row.text) for row in rows]
        tried += [(term_scores(gold, [terms[:k] for terms in said])["f1"], name, k) for k in (*KS, None)]
    _, name, most = max(tried, key=lambda one: one[0])
    chosen = variants[name]
    return lambda texts: [chosen(text)[:most] for text in texts], f"{name}, k = {most or 'all'}"


def timed(answer: Callable[[Sequence[str]], Answer], texts: Sequence[str]) -> tuple[Answer, float]:
    """The answers, and messages for each second of CPU time: what else runs on the machine matters little to it."""
    said = answer(texts[:WARM_UP])
    seconds: list[float] = []
    while len(seconds) < PASSES and sum(seconds) < PASS_S:
        started = time.process_time()
        said = answer(texts)
        seconds.append(time.process_time() - started)
    return said, len(texts) / median(seconds)


def bundle_result(scorer: Scorer, task: Task, rows: Sequence[Row]) -> Result:
    """A bundle by its events: sentiment and key terms come of one pass, and so does their rate."""
    events, rate = timed(scorer.score, [row.text for row in rows])
    if task.measure == "f1":
        said = [[term["text"] for term in event["key_terms"]] for event in events]
        return Result(term_scores(gold_sets(rows), said)["f1"], rate, ours=True)
    gold, moods = message_labels(rows), [event["sentiment"] for event in events]
    said_of = said_labels if NEUTRAL in gold else signs
    return Result(label_scores(gold, said_of(moods))[task.measure], rate, ours=True)


def sentiment_results(task: Task, rows: Sequence[Row], train: Sequence[Row], held: Sequence[Row]) -> dict[str, Result]:
    """Every peer on one source's sentiment."""
    texts, gold = [row.text for row in rows], message_labels(rows)
    makers: dict[str, Callable[[], tuple[Sentiments, str]]] = {
        name: partial(_lexicon, make, train, task.measure) for name, make in LEXICONS[task.lang].items()
    }
    makers |= {
        "fastText": lambda: fast_text(train, held, task.measure),
        "linear n-grams": lambda: (LinearSentiment(train), ""),
    }
    found: dict[str, Result] = {}
    for name, settings, answer in _installed(makers):
        said, rate = timed(answer, texts)
        found[name] = Result(label_scores(gold, said)[task.measure], rate, settings)
    return found


def term_results(task: Task, rows: Sequence[Row], train: Sequence[Row]) -> dict[str, Result]:
    """Every peer on one source's key terms."""
    texts, gold = [row.text for row in rows], gold_sets(rows)
    makers: dict[str, Callable[[], tuple[Terms, str]]] = {
        name: partial(_extractor, make, train) for name, make in EXTRACTORS[task.lang].items()
    }
    makers["linear n-grams"] = lambda: (_tagger(LinearTagger(train)), "")
    found: dict[str, Result] = {}
    for name, settings, answer in _installed(makers):
        said, rate = timed(answer, texts)
        found[name] = Result(term_scores(gold, said)["f1"], rate, settings)
    return found


def _installed(makers: Mapping[str, Callable[[], tuple[Callable[[Sequence[str]], Answer], str]]]) -> Iterator[Any]:
    """Name, settings and answers of each peer whose package is there."""
    for name, make in makers.items():
        try:
            answer, settings = make()
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        yield name, settings, answer


def _lexicon(make: Callable[[], Callable[[str], float]], train: Sequence[Row], measure: str) -> tuple[Sentiments, str]:
    return banded(make(), train, measure)


def _extractor(make: Callable[[], dict[str, Extract]], train: Sequence[Row]) -> tuple[Terms, str]:
    return tuned(make(), train)


def _tagger(tagger: LinearTagger) -> Terms:
    return lambda texts: [[t[a:b] for a, b in spans] for t, spans in zip(texts, tagger(texts), strict=True)]


def measure(data: Path, bundles: Sequence[str], tasks: Sequence[Task]) -> dict[str, dict[str, Result]]:
    """Task → system → what it reached, the bundles first."""
    scorers = [Scorer.load(name, device="cpu") for name in bundles]
    rows = rows_that_score(data)
    groups = group(rows, data)
    train, held = split_held_out(read_train(data))
    found: dict[str, dict[str, Result]] = {}
    for task in tqdm(tasks, desc="peers", unit="task"):
        own = [rows[at] for at in groups[task.name]]
        fitted, kept = ([row for row in side if row.source == task.source] for side in (train, held))
        theirs = term_results(task, own, fitted) if task.measure == "f1" else sentiment_results(task, own, fitted, kept)
        found[task.name] = {scorer.info["name"]: bundle_result(scorer, task, own) for scorer in scorers} | theirs
    return found


def panels(found: Mapping[str, Mapping[str, Result]]) -> dict[str, list[Point]]:
    """The shown tasks as points."""
    return {
        task.title: [Point(name, r.rate, r.quality, r.ours) for name, r in found[task.name].items()]
        for task in TASKS
        if task.shown and task.name in found
    }


def as_markdown(found: Mapping[str, Mapping[str, Result]]) -> str:
    """A table a task, the best first."""
    measures = {task.name: task.measure.replace("_", " ") for task in TASKS}
    parts = []
    for name, results in found.items():
        ordered = sorted(results.items(), key=lambda item: -item[1].quality)
        lines = [(who, f"{r.quality:.3f}", f"{r.rate:,.0f}", r.settings) for who, r in ordered]
        parts.append(f"### {name}\n\n" + table(("system", measures[name], "messages/s", "settings"), lines))
    return "\n".join(parts)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled rows")
    parser.add_argument("--bundle", action="append", help="packaged name or folder; may be repeated (default: swift)")
    parser.add_argument("--task", action="append", choices=[task.name for task in TASKS], help="may be repeated (default: all)")
    parser.add_argument("--out", type=Path, help="write FILE.json, and FILE.svg with the plot")
    arguments = parser.parse_args()
    logging.getLogger("jieba").setLevel(logging.WARNING)
    started = time.monotonic()
    try:
        with threadpool_limits(1):
            chosen = [task for task in TASKS if task.name in (arguments.task or [task.name])]
            found = measure(arguments.data, arguments.bundle or ["swift"], chosen)
        print(as_markdown(found))
        if arguments.out:
            tasks = {name: {who: asdict(r) for who, r in results.items()} for name, results in found.items()}
            machine = {"cpu": cpu(), "cores": os.cpu_count(), "load": os.getloadavg()[2]}
            report = {"machine": machine, "minutes": round((time.monotonic() - started) / 60, 1), "tasks": tasks}
            arguments.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            if shown := panels(found):
                quality_against_rate(shown, arguments.out.with_suffix(".svg"))
    except TextstreamError as error:
        sys.exit(f"peers: {error}")


def cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
