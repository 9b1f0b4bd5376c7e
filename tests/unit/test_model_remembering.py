"""A model that remembers: who is asked, what is told, and what is forgotten."""

# ruff: noqa: D102, D103 (a test's name is the sentence it proves)

import queue
import threading
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tests.support.fakes import FakeTokens
from textstream.core.process import PROBE
from textstream.event import Analysis, ModelInfo
from textstream.model import remembering
from textstream.model.remembering import MAX_CHARS, Remembered, Remembering
from textstream.model.scorer import Scorer
from textstream.quality import Computed


class Numbering:
    """A model that says of a text how many it has been asked for; so whoever asks again is told something else."""

    reference = None

    def __init__(self) -> None:
        self.info = ModelInfo(name="numbering", version="1.0.0", digest="sha256:" + "1" * 64)
        self.computed = Computed()
        self.asked: list[str] = []
        self.fails = False

    def tokenise(self, texts: Sequence[str]) -> list[FakeTokens]:
        return [FakeTokens(text, len(text), 1) for text in texts]

    def analyse(self, batch: Sequence[FakeTokens]) -> list[Analysis]:
        if self.fails:
            raise RuntimeError("broken")
        self.asked += [tokens.text for tokens in batch]
        self.computed = self.computed.plus(sum(tokens.count for tokens in batch), 0)
        first = len(self.asked) - len(batch)
        language = {"code": "en", "probability": 1.0, "supported": True}
        return [
            {"language": language, "sentiment": None, "key_terms": [], "truncated": True, "scored_until": first + at}
            for at in range(len(batch))
        ]


@pytest.fixture
def model() -> Numbering:
    return Numbering()


def score(scorer: Remembering, *texts: str) -> list[int]:
    """The numbers that the model gave these texts, which are a batch."""
    return [said["scored_until"] for said in scorer.analyse(scorer.tokenise(texts))]


def test_the_model_is_asked_for_a_text_twice_and_then_no_more(model: Numbering) -> None:
    scorer = Remembering(model, 10)
    assert [score(scorer, "again") for _ in range(4)] == [[0], [1], [1], [1]]
    assert score(scorer, "new", "again", "other") == [2, 1, 3]  # in the order given
    assert model.asked == ["again", "again", "new", "other"]
    assert scorer.computed == model.computed.plus(0, 0, 3)
    assert scorer.info is model.info


def test_what_is_remembered_counts_as_the_tokens_that_it_has(model: Numbering) -> None:
    scorer = Remembering(model, 10)
    score(scorer, "again", "again")
    (known,) = scorer.tokenise(["again"])
    assert isinstance(known, Remembered)
    assert (known.count, known.unknown) == (5, 1)


def test_the_text_that_was_asked_for_longest_ago_is_forgotten_first(model: Numbering) -> None:
    scorer = Remembering(model, 2)
    for text in ("a", "a", "b", "b", "a", "c", "c"):
        score(scorer, text)
    model.asked.clear()
    score(scorer, "a", "c", "b")
    assert model.asked == ["b"]


def test_of_texts_that_came_once_a_bounded_number_of_hashes_is_kept(model: Numbering, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the analysis of none: what came once within them is remembered when it comes again, what came before them is not."""
    monkeypatch.setattr(remembering, "HASHES_A_TEXT", 4)
    scorer = Remembering(model, 2)
    score(scorer, "old")
    score(scorer, *map(str, range(16)))
    assert len(scorer._once) + len(scorer._once_before) <= 16
    assert not scorer._remembered
    model.asked.clear()
    score(scorer, "old", "12")
    score(scorer, "old", "12")
    assert model.asked == ["old", "12", "old"]


def test_long_texts_and_the_one_that_tries_the_model_are_always_scored(model: Numbering) -> None:
    """Else a broken model would seem whole, and the bad records of its making would be blamed."""
    scorer = Remembering(model, 10, frozenset({PROBE}))
    long = "x" * (MAX_CHARS + 1)
    for _ in range(4):
        score(scorer, PROBE, long)
    assert len(model.asked) == 8


def test_what_failed_is_not_remembered(model: Numbering) -> None:
    scorer = Remembering(model, 10)
    score(scorer, "again")
    model.fails = True
    with pytest.raises(RuntimeError, match="broken"):
        score(scorer, "again")
    model.fails = False
    assert score(scorer, "again") == [1]


def test_tokenising_and_scoring_in_two_threads_keep_each_text_its_own(model: Numbering) -> None:
    """One thread tokenises, another scores, as in a worker: every answer is of its own text."""
    scorer = Remembering(model, 5)
    batches = [[f"text {at * at % 7}"] * 2 for at in range(1_000)]
    tokenised = queue.SimpleQueue[list[FakeTokens | Remembered] | None]()
    told: list[str] = []

    def analyse() -> None:
        while (batch := tokenised.get()) is not None:
            told.extend(model.asked[said["scored_until"]] for said in scorer.analyse(batch))

    thread = threading.Thread(target=analyse)
    thread.start()
    for batch in batches:
        tokenised.put(scorer.tokenise(batch))
    tokenised.put(None)
    thread.join()
    assert told == [text for batch in batches for text in batch]


SWIFT = Scorer.load("swift", device="cpu")
TEXTS = ["The room was lovely, the staff were rude", "房间很好，服务很差。", "Отличный сервис", "ok", "", "😀", PROBE]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6), max_size=12), st.integers(1, 4))
def test_a_stream_gets_the_same_analyses_with_and_without(batches: list[list[str]], most: int) -> None:
    """However texts repeat, and however few are remembered."""
    scorer = Remembering(SWIFT, most)
    for texts in batches:
        assert scorer.analyse(scorer.tokenise(texts)) == SWIFT.analyse(SWIFT.tokenise(texts))
