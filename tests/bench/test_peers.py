"""The script that measures peers: settings come from train rows alone, and everything is judged by one scorer."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bench import peers
from tests.unit import export_fixture
from textstream_export.data import Row

TWEETS = [Row(f"the pizza number {i}", "en", "tweets_kw", terms=("pizza",)) for i in range(20)]
FEELINGS = {"negative": -0.6, "neutral": 0.1, "positive": 0.7}
MOODS = [Row(label, "en", "tweeteval_sentiment", label) for label in FEELINGS for _ in range(5)]  # type: ignore[arg-type]


def test_a_peer_of_terms_gets_the_variant_and_the_number_that_train_rows_favour() -> None:
    """Of two variants the one that names the gold first wins, cut after one term."""
    variants = {"wrong": lambda text: ["the", "number"], "right": lambda text: ["pizza", "the", "number"]}
    answer, settings = peers.tuned(variants, TWEETS)
    assert settings == "right, k = 1"
    assert answer(["any text"]) == [["pizza"]]


def test_a_lexicon_gets_the_band_of_neutral_that_train_rows_favour() -> None:
    """Scores are cut where train labels part; without neutral rows there is one threshold."""
    answer, _ = peers.banded(FEELINGS.__getitem__, MOODS, "macro_recall")
    assert answer(list(FEELINGS)).tolist() == [0, 1, 2]
    binary, settings = peers.banded(FEELINGS.__getitem__, [row for row in MOODS if row.label != "neutral"], "accuracy")
    assert 1 not in binary(list(FEELINGS))
    low, high = (part.split()[-1] for part in settings.split(", "))
    assert low == high


def test_a_rate_is_of_answers_after_a_warm_up() -> None:
    """The answers are those of the timed pass, and the rate is a positive number of texts a second."""
    asked: list[int] = []

    def answer(texts: Sequence[str]) -> int:
        asked.append(len(texts))
        return len(texts)

    said, rate = peers.timed(answer, ["text"] * 100)
    assert said == 100
    assert rate > 0
    assert asked == [peers.WARM_UP, *[100] * peers.PASSES]


def test_peers_are_measured_and_written_with_a_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bundle, linear model and each installed peer get quality and rate; one whose package is missing is named and left out."""
    data = export_fixture.write(tmp_path, rows=240)
    monkeypatch.setitem(peers.LEXICONS, "en", {"missing": missing})
    monkeypatch.setattr(peers, "fast_text", missing)
    monkeypatch.setattr(
        peers, "EXTRACTORS", {"en": {"YAKE": peers.yake_variants}, "zh": {"third": lambda: {"word": lambda text: [text[2:4]]}}}
    )
    tasks = [part for name in ("tweeteval_sentiment", "tnews_kw", "absa_mams") for part in ("--task", name)]
    monkeypatch.setattr("sys.argv", ["peers", "--data", str(data), "--out", str(tmp_path / "peers.json"), *tasks])
    peers.main()
    said = capsys.readouterr()
    assert "missing is left out" in said.err
    found = json.loads((tmp_path / "peers.json").read_text())["tasks"]
    assert set(found["absa_mams"]) == {"textstream-swift", "YAKE", "linear n-grams"}
    assert set(found["tweeteval_sentiment"]) == {"textstream-swift", "linear n-grams"}
    assert found["absa_mams"]["YAKE"]["settings"].startswith("n = ")
    assert all(r["rate"] > 0 and 0 <= r["quality"] <= 1 for task in found.values() for r in task.values())
    assert "YAKE" in (tmp_path / "peers.svg").read_text()
    assert "### absa_mams" in said.out


def missing(*_: object) -> None:
    """A peer whose package is not there."""
    raise ImportError("no such package")
