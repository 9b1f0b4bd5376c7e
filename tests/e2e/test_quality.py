"""The packaged model on the dev files, from the events it emits with default settings, beside what others reach."""

import os
from pathlib import Path

import pytest

from tests.bench import peers
from textstream.model.scorer import Scorer
from textstream_export.data import read_rows
from textstream_export.evaluate import evaluate
from textstream_export.gold import gold_sets
from textstream_export.measures import term_scores

DATA = Path(os.environ.get("TEXTSTREAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the training data: set TEXTSTREAM_DATA")


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
    pytest.importorskip("yake")
    assert scores["absa_mams/f1"] > best_of(peers.yake_variants(), "en")


def test_chinese_aspects_are_found_better_than_by_jieba(scores: dict[str, float]) -> None:
    """Chinese aspects are found better than by jieba's TF-IDF, tuned on train rows, by the same scorer."""
    pytest.importorskip("jieba.analyse")
    assert scores["aste_zh_dianping/f1"] > best_of(peers.jieba_tf_idf(), "zh")


def best_of(variants: dict[str, peers.Extract], lang: str) -> float:
    """Dev score of the variant, and the number of terms, that were best on train rows."""
    dev = list(read_rows(DATA / f"aspects.{lang}.dev.jsonl.gz"))
    train = [row for row in read_rows(DATA / f"aspects.{lang}.train.jsonl.gz") if row.source == dev[0].source]
    answer, _ = peers.tuned(variants, train)
    return term_scores(gold_sets(dev), answer([row.text for row in dev]))["f1"]
