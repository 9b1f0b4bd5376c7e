"""The packaged model on the dev files, from the events it emits with default settings, beside what others reach."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from textstream.model.scorer import Scorer
from textstream_export.data import Row, read_rows
from textstream_export.evaluate import evaluate
from textstream_export.gold import gold_sets
from textstream_export.measures import term_scores

DATA = Path(os.environ.get("TEXTSTREAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the training data: set TEXTSTREAM_DATA")

TUNED_ON = 600
"""Train rows that choose a peer's settings."""
KS = (1, 2, 3, 4, 5)
Extract = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def scores() -> dict[str, float]:
    """Every measure of the packaged model."""
    return evaluate(Scorer.load("swift", device="cpu"), DATA)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("tweeteval_sentiment/macro_recall", 0.65),
        ("smp2020_usual/macro_f1", 0.77),
        ("sst2/pos_neg_accuracy", 0.82),
        ("chnsenticorp/pos_neg_accuracy", 0.87),
    ],
)
def test_sentiment_reaches(scores: dict[str, float], name: str, least: float) -> None:
    """The sentiment of whole messages is at least as good as was promised."""
    assert scores[name] >= least


def test_few_english_and_chinese_messages_are_taken_for_another_language(scores: dict[str, float]) -> None:
    """At most one in a hundred messages in the two languages goes without an answer."""
    for source in ("tweeteval_sentiment", "sst2", "smp2020_usual", "chnsenticorp"):
        assert scores[f"{source}/unscored"] <= 0.01, source


def test_english_aspects_are_found_better_than_by_yake(scores: dict[str, float]) -> None:
    """English aspects are found better than by the best of YAKE, tuned on train rows, by the same scorer."""
    yake = pytest.importorskip("yake")
    extractors = [yake.KeywordExtractor(lan="en", n=n, top=max(KS)) for n in (1, 2, 3)]
    peers: list[Extract] = [lambda text, e=e: [term for term, _ in e.extract_keywords(text)] for e in extractors]  # type: ignore[misc]
    best = best_of(peers, "en")
    print(f"absa_mams string F1: swift {scores['absa_mams/f1']:.3f}, yake {best:.3f}")
    assert scores["absa_mams/f1"] > best


def test_chinese_aspects_are_found_better_than_by_jieba(scores: dict[str, float]) -> None:
    """Chinese aspects are found better than by jieba's TF-IDF, tuned on train rows, by the same scorer."""
    analyse: Any = pytest.importorskip("jieba.analyse")
    best = best_of([lambda text: list(analyse.extract_tags(text, topK=max(KS)))], "zh")
    print(f"aste_zh_dianping string F1: swift {scores['aste_zh_dianping/f1']:.3f}, jieba {best:.3f}")
    assert scores["aste_zh_dianping/f1"] > best


def best_of(peers: Sequence[Extract], lang: str) -> float:
    """Dev score of the peer, and the number of terms, that were best on train rows."""
    dev = list(read_rows(DATA / f"aspects.{lang}.dev.jsonl.gz"))
    source = dev[0].source
    train = [row for row in read_rows(DATA / f"aspects.{lang}.train.jsonl.gz") if row.source == source][:TUNED_ON]
    tried = [(f1(peer, k, train), i, k) for i, peer in enumerate(peers) for k in KS]
    _, chosen, k = max(tried)
    return f1(peers[chosen], k, dev)


def f1(peer: Extract, k: int, rows: Sequence[Row]) -> float:
    """Micro-F1 of strings, as for our own terms."""
    return term_scores(gold_sets(rows), [peer(row.text)[:k] for row in rows])["f1"]
