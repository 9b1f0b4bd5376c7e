"""The packaged model through its public face: what an event promises holds for any text."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import json
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.support.bundles import SHIPPED, each_shipped
from tests.support.ways import both_ways
from textstream.errors import Misconfigured
from textstream.event import EnrichedEvent, KeyTerm
from textstream.model.scorer import Scorer
from textstream.model.text import fold

pytestmark = both_ways

EVENTS = TypeAdapter(EnrichedEvent)
MIXED = [
    "The room was lovely but the staff were rude 👍🏽",
    "",
    "这家店的服务员态度很差，但是火锅很好吃，火鍋真的好吃",
    "Das Zimmer war sehr schön, aber das Personal war leider unfreundlich",
    "👨‍👩‍👧‍👦🇨🇳",
    "Battery life is great, screen is bad. battery life!!! #BatteryLife",
    "\x00nul\x00 and \ufffe the food was cold",
    "long " * 700 + "the pizza was terrible",
]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load("swift", device="cpu")


def places(term: KeyTerm) -> list[tuple[int, int]]:
    return [(begin, end) for begin, end in term.get("mentions", [(term["begin"], term["end"])])]


def check(event: EnrichedEvent) -> None:
    """Everything DESIGN.md promises of one event."""
    EVENTS.validate_python(event)
    text, terms = event["text"], event["key_terms"]
    graphemes = {0, *(m.end() for m in regex.finditer(r"\X", text))}
    assert (event["sentiment"] is None) == (not event["language"]["supported"])
    for term in terms:
        assert text[term["begin"] : term["end"]] == term["text"]
        assert term["normalized"] == fold(term["text"])
        assert (term["begin"], term["end"]) in places(term)
        for begin, end in places(term):
            assert fold(text[begin:end]) == term["normalized"]
            assert {begin, end} <= graphemes
    spans = sorted(place for term in terms for place in places(term))
    assert all(a[1] <= b[0] for a, b in pairwise(spans)), "terms overlap"
    order = [(-term["salience"], term["begin"]) for term in terms]
    assert order == sorted(order)
    assert len({term["normalized"] for term in terms}) == len(terms) <= 10


@each_shipped
def test_every_promise_holds_on_a_batch_of_all_sorts(name: str) -> None:
    events = Scorer.load(SHIPPED[name], device="cpu").score(MIXED)
    assert [event["text"] for event in events] == MIXED
    for event in events:
        check(event)


WORDS = st.sampled_from(
    [
        "the food",
        " ",
        "\U0001f44d\U0001f3fd",
        "很",
        "好吃",
        "e\u0301",
        "\u200d",
        "#",
        "battery",
        "🇨",
        "🇳",
        "屏幕",
        "\n",
        "ﾞ",
        ".",
    ]
)


@settings(max_examples=150)
@given(st.lists(st.one_of(st.text(max_size=30), st.lists(WORDS, max_size=20).map("".join)), max_size=6))
@example(["\ud800"])
def test_no_text_makes_it_raise_and_every_promise_holds(texts: list[str]) -> None:
    for event in SCORER.score(texts):
        check(event)


SCORER = Scorer.load("swift", device="cpu", min_salience=0.0)


def test_analyses_do_not_depend_on_the_messages_beside_them(scorer: Scorer) -> None:
    together = [said.decoded() for said in scorer.analyse(scorer.tokenise(MIXED))]
    alone = [scorer.analyse(scorer.tokenise([text]))[0].decoded() for text in MIXED]
    for a, b in zip(together, alone, strict=True):
        assert a["language"] == b["language"]
        assert [t["text"] for t in a["key_terms"]] == [t["text"] for t in b["key_terms"]]
        if a["sentiment"] and b["sentiment"]:
            assert abs(a["sentiment"]["score"] - b["sentiment"]["score"]) < 1e-3


def test_a_repeated_term_stands_once_with_all_its_mentions(scorer: Scorer) -> None:
    (event,) = scorer.score(["The battery is great. I love this battery, what a BATTERY!"])
    (battery,) = [term for term in event["key_terms"] if term["normalized"] == "battery"]
    assert len(battery["mentions"]) > 1


@pytest.mark.parametrize("text", [b"The room", ["the", "room"], 7, None])
def test_what_is_no_text_is_refused(scorer: Scorer, text: Any) -> None:
    """Whatever stands in place of a string, its bytes are not read as one."""
    with pytest.raises((TypeError, AttributeError)):
        scorer.tokenise(["The room", text])


def test_any_sequence_of_texts_will_do(scorer: Scorer) -> None:
    """A tuple is tokenised as a list is."""
    assert [one.count for one in scorer.tokenise(tuple(MIXED))] == [one.count for one in scorer.tokenise(MIXED)]


def test_limits_are_kept() -> None:
    few = Scorer.load("swift", device="cpu", max_terms=1, min_salience=0.5)
    for event in few.score(MIXED):
        assert len(event["key_terms"]) <= 1
        assert all(term["salience"] >= 0.5 for term in event["key_terms"])


def test_ten_megabytes_cost_no_more_than_the_limit(scorer: Scorer) -> None:
    unit = {"words": "bad food ", "han": "好吃", "one token": "a", "spaces": " ", "marks": "\u0301", "punctuation": "?!"}
    started = time.perf_counter()
    for text in (part * (10_000_000 // len(part)) for part in unit.values()):
        (tokens,) = scorer.tokenise([text])
        assert tokens.count <= scorer.max_tokens
        scorer.analyse([tokens])
    assert time.perf_counter() - started < 10


def test_a_text_past_the_limit_is_truncated_and_says_where() -> None:
    short = Scorer.load("swift", device="cpu", max_tokens=20)
    (event, whole) = short.score(["The food was good. " * 30, "The food was good."])
    assert event["truncated"]
    assert event["text"][: event["scored_until"]].split()[-1].strip(".") in ("The", "food", "was", "good")
    assert 20 <= event["scored_until"] < 100
    assert all(end <= event["scored_until"] for term in event["key_terms"] for _, end in places(term))
    assert not whole["truncated"]
    assert "scored_until" not in whole


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I love it, great!", "positive"),
        ("terrible, the worst ever, I hate it", "negative"),
        ("我很喜欢，非常好", "positive"),
        ("太差了，非常失望，垃圾", "negative"),
    ],
)
def test_plain_feelings_are_understood(scorer: Scorer, text: str, label: str) -> None:
    (event,) = scorer.score([text])
    assert event["sentiment"] is not None
    assert event["sentiment"]["label"] == label


def test_a_title_is_a_term_without_its_marks(scorer: Scorer) -> None:
    """The game is one term, with and without the marks of a title around it; so is a phone before an emoji."""
    quoted, bare, phone = scorer.score(
        ["《王者荣耀》新英雄上线", "王者荣耀新英雄上线", "I love this phone 👩‍👩‍👧‍👦 but the battery… meh"]
    )
    for event in (quoted, bare):
        assert "王者荣耀" in [term["text"] for term in event["key_terms"]]
    assert {"phone", "battery"} <= {term["text"] for term in phone["key_terms"]}


def test_score_takes_an_iterator_and_counts_offsets_over_batches(scorer: Scorer) -> None:
    events = scorer.score(f"message {i}" for i in range(600))
    assert [event["source"]["offset"] for event in events] == list(range(600))
    assert len({event["id"] for event in events}) == 600
    json.dumps(events)


def test_it_loads_and_checks_itself_within_a_second_of_cpu() -> None:
    def seconds() -> float:
        started = time.process_time()  # not the wall's: other tests share the machine
        Scorer.load("swift", device="cpu")
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 1.0


def test_cuda_without_cuda_is_an_error_and_not_a_slow_worker() -> None:
    if Scorer.load("swift", device="auto").device == "cuda":
        assert Scorer.load("swift", device="cuda").device == "cuda"
        return
    with pytest.raises(Misconfigured, match="textstream\\[gpu\\]"):
        Scorer.load("swift", device="cuda")


@pytest.mark.parametrize("wrong", [{"max_terms": -1}, {"min_salience": 1.5}, {"max_tokens": 0}])
def test_a_limit_out_of_range_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Misconfigured):
        Scorer.load("swift", device="cpu", **wrong)  # type: ignore[arg-type]


def test_the_sentiment_towards_a_given_span_is_that_of_the_aspect_found_there(scorer: Scorer) -> None:
    """What evaluation reads for a gold span is what an event says of an aspect at the same place."""
    events = scorer.score(MIXED)
    aspects = [[term for term in event["key_terms"] if term["kind"] == "aspect"] for event in events]
    assert sum(map(len, aspects)) > 3
    given_spans = [[(term["begin"], term["end"]) for term in found] for found in aspects]
    assert scorer.towards(MIXED, given_spans) == [[term["sentiment"] for term in found] for found in aspects]


def test_quotes_around_a_given_span_make_no_difference(scorer: Scorer) -> None:
    """As they make none to a term that is found; a span of nothing else is taken as it is."""
    quoted, bare, quote = scorer.towards(["《王者荣耀》真难玩"], [[(0, 6), (1, 5), (0, 1)]])[0]
    assert quoted == bare is not None
    assert quote is not None


def test_nothing_is_said_towards_a_span_that_was_not_scored(scorer: Scorer) -> None:
    """A foreign text, a text without tokens, white space and a span past the end have no sentiment; the rest still do."""
    texts = [MIXED[3], "", "fine  food"]
    said = scorer.towards(texts, [[(4, 10)], [(0, 1)], [(4, 6), (6, 10), (50, 60)]])
    assert [[mood is not None for mood in own] for own in said] == [[False], [False], [False, True, False]]
    assert scorer.towards([], []) == []


def test_tokenise_is_safe_beside_analyse(scorer: Scorer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def work(seed: int) -> list[tuple[float, float, float]]:
        rng = np.random.default_rng(seed)
        texts = [f"word{rng.integers(1e6)} food {seed}" for _ in range(200)]
        return [said.probabilities for said in scorer.analyse(scorer.tokenise(texts)) if said.probabilities]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(8)))
    assert found == [work(seed) for seed in range(8)]
