"""A model that remembers: who is asked, what is told, and what is forgotten."""

# ruff: noqa: D102, D103 (a test's name is the sentence it proves)

import queue
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.support.fakes import FakeTokens, bare_tokens
from textstream import cli
from textstream.analysis import EncodedAnalysis, encoded
from textstream.bench.noop import analysis
from textstream.core.process import PROBE
from textstream.event import ModelInfo
from textstream.layers import load_settings
from textstream.model.cascade import Cascade
from textstream.model.remembering import MAX_CHARS, Remembered, Remembering
from textstream.model.tokens import Tokens
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

    def analyse(self, batch: Sequence[FakeTokens]) -> list[EncodedAnalysis]:
        if self.fails:
            raise RuntimeError("broken")
        self.asked += [tokens.text for tokens in batch]
        self.computed = self.computed.plus(sum(tokens.count for tokens in batch), 0)
        first = len(self.asked) - len(batch)
        return [numbered(first + at) for at in range(len(batch))]


class Telling:
    """A model that says the same of a text whenever it is asked: its first letter's number."""

    reference = None
    computed = Computed()

    def __init__(self, name: str) -> None:
        self.info = ModelInfo(name=name, version="1.0.0", digest="sha256:" + "1" * 64)

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        return bare_tokens(texts)

    def analyse(self, batch: Sequence[Tokens]) -> list[EncodedAnalysis]:
        return [numbered(ord(tokens.text[0])) for tokens in batch]


def numbered(number: int) -> EncodedAnalysis:
    """An analysis with a number in it."""
    return encoded({**analysis(), "truncated": True, "scored_until": number})


def numbers(scorer: Remembering, batch: Sequence[Tokens | Remembered]) -> list[int]:
    """Those of a batch's analyses."""
    return [said.decoded()["scored_until"] for said in scorer.analyse(batch)]


@pytest.fixture
def model() -> Numbering:
    return Numbering()


def score(scorer: Remembering, *texts: str) -> list[int]:
    """The numbers that the model gave these texts, which are a batch."""
    return numbers(scorer, scorer.tokenise(texts))


def test_the_model_is_asked_for_a_text_twice_and_then_no_more(model: Numbering) -> None:
    scorer = Remembering(model, 10)
    assert [score(scorer, "again") for _ in range(4)] == [[0], [1], [1], [1]]
    assert score(scorer, "new", "again", "other") == [2, 1, 3]  # in the order given
    assert model.asked == ["again", "again", "new", "other"]
    assert scorer.computed == model.computed.plus(0, 0, 3)
    assert scorer.info is model.info


def test_copies_in_a_batch_and_those_that_were_tokenised_ahead_are_scored_once(model: Numbering) -> None:
    """So a storm of retweets, or a backlog of them, costs one pass."""
    scorer = Remembering(model, 10)
    ahead = [scorer.tokenise(["again", "other", "again"]) for _ in range(3)]
    assert [numbers(scorer, batch) for batch in ahead] == [[0, 1, 0], [0, 2, 0], [0, 2, 0]]
    assert model.asked == ["again", "other", "other"]


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


def test_what_is_kept_of_texts_that_came_once_never_grows(model: Numbering) -> None:
    """Hashes in places of a fixed number, and no analysis: a text is known again while no other has taken its place."""
    scorer = Remembering(model, 500)
    score(scorer, *map(str, range(2_000)))
    size = len(scorer._once)
    model.asked.clear()
    again = [str(number) for number in range(2_000) if number % 4 == 0]
    score(scorer, *again)
    known = len(scorer._remembered)
    assert 0.5 * len(again) < known < len(again)  # half as many texts as there are places: some fell on one
    score(scorer, *map(str, range(10_000, 60_000)))
    assert len(scorer._once) == size
    score(scorer, *(str(number) for number in range(2_000) if number % 4 == 1))
    assert len(scorer._remembered) - known < 10  # forgotten by then


def test_long_texts_and_the_one_that_tries_the_model_are_scored_whenever_they_come(model: Numbering) -> None:
    """From memory a broken model would seem whole, and the bad records of its making would be blamed."""
    scorer = Remembering(model, 10, frozenset({PROBE}))
    long = "x" * (MAX_CHARS + 1)
    for _ in range(4):
        score(scorer, PROBE, long)
    assert len(model.asked) == 8


def test_a_worker_scores_the_text_that_tries_its_model_whenever_it_comes(model: Numbering) -> None:
    """Whoever sends it as a message changes nothing of that; and without the setting there is nothing to remember with."""
    flags = {"input.topics": "t", "model.remember_texts": "10"}
    scorer = cli._remembering(model, load_settings(environ={}, flags=flags))  # type: ignore[arg-type]
    assert isinstance(scorer, Remembering)
    for _ in range(3):
        score(scorer, PROBE)
    assert model.asked == [PROBE] * 3
    assert cli._remembering(model, load_settings(environ={}, flags={"input.topics": "t"})) is model  # type: ignore[arg-type]


def test_what_failed_is_not_remembered(model: Numbering) -> None:
    scorer = Remembering(model, 10)
    score(scorer, "again")
    model.fails = True
    with pytest.raises(RuntimeError, match="broken"):
        score(scorer, "again")
    model.fails = False
    assert score(scorer, "again") == [1]


class Yielding(OrderedDict[str, Remembered]):
    """Lets another thread run whenever something has been looked up in it."""

    def get(self, text: str) -> Remembered | None:  # type: ignore[override]
        found = super().get(text)
        time.sleep(0)
        return found


def test_tokenising_and_scoring_in_two_threads_keep_each_text_its_own(model: Numbering) -> None:
    """One thread tokenises, another scores, as in a worker, while texts are forgotten all the time: each answer is of its own
    text, and nothing is missed."""
    scorer = Remembering(model, 2)
    scorer._remembered = Yielding()
    rng = random.Random(1)
    batches = [[f"text {rng.randrange(6)}" for _ in range(3)] for _ in range(3_000)]
    tokenised: queue.Queue[Sequence[FakeTokens | Remembered] | None] = queue.Queue(4)
    told: list[str] = []

    def analyse() -> None:
        while (batch := tokenised.get()) is not None:
            told.extend(model.asked[number] for number in numbers(scorer, batch))  # type: ignore[arg-type]

    thread = threading.Thread(target=analyse, daemon=True)
    thread.start()
    for batch in batches:
        tokenised.put(scorer.tokenise(batch), timeout=60)  # type: ignore[arg-type]
    tokenised.put(None)
    thread.join()
    assert told == [text for batch in batches for text in batch]


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), max_size=12),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_a_stream_gets_the_same_analyses_with_and_without(batches: list[list[str]], most: int, ahead: int) -> None:
    """However texts repeat, however few are remembered, and however many batches are tokenised before one is scored."""
    scorer = Remembering(Telling("fast"), most)
    waiting: list[tuple[list[str], Sequence[Tokens | Remembered]]] = []
    for texts in [*batches, *[[]] * ahead]:
        waiting.append((texts, scorer.tokenise(texts)))
        if len(waiting) > ahead:
            expected, batch = waiting.pop(0)
            assert numbers(scorer, batch) == [ord(text) for text in expected]


@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_a_cascade_says_from_memory_which_of_its_models_spoke(margin: float) -> None:
    """The analysis that is remembered is the one that was given, with the model's name in it."""
    cascade = Cascade(Telling("fast"), Telling("good"), margin)
    scorer = Remembering(cascade, 10)
    given_first, *others = [scorer.analyse(scorer.tokenise(["a"])) for _ in range(3)]
    assert others == [given_first, given_first]
    assert given_first[0].decoded()["model"]["name"] == ("good" if margin else "fast")
    assert scorer.computed.remembered == 1
