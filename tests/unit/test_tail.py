"""What `textstream tail` takes for an event and which it shows, without a broker."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.support.events import event, term
from textstream.core.ports import Topics
from textstream.errors import Misconfigured
from textstream.event import EnrichedEvent
from textstream.observe.terminal import line, pretty
from textstream.tail import Wanted, all_outputs, outputs, pattern, read_event

TEXT = "Wi-Fi and C++"
EVENT = event(TEXT, "negative", terms=[term(TEXT, "Wi-Fi", "negative", "wi-fi"), term(TEXT, "C++")], language="zh-Hant")


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Wanted(), True),
        (Wanted(labels=frozenset(["negative", "neutral"])), True),
        (Wanted(labels=frozenset(["positive"])), False),
        (Wanted(labels=frozenset(["unscored"])), False),
        (Wanted(languages=frozenset(["zh"])), True),
        (Wanted(languages=frozenset(["zh-Hant"])), True),
        (Wanted(languages=frozenset(["z"])), False),
        (Wanted(term=pattern("^WI-?FI$")), True),
        (Wanted(term=pattern("c++")), True),
        (Wanted(term=pattern("and")), False),
        (Wanted(labels=frozenset(["negative"]), term=pattern("router")), False),
    ],
)
def test_all_filters_must_hold(wanted: Wanted, taken: bool) -> None:
    """By label, by language with its variants, by a pattern over key terms alone, which may be plain text."""
    assert wanted.takes(EVENT) is taken


def test_an_event_without_a_sentiment_is_unscored() -> None:
    """It has a label of its own, and no other takes it."""
    assert Wanted(labels=frozenset(["unscored"])).takes(event("👍", None))
    assert not Wanted(labels=frozenset(["neutral"])).takes(event("👍", None))


def test_a_topic_is_named_by_its_input_or_by_itself() -> None:
    """`reviews` means what comes of it, where there is such a topic; what does not exist is told with what was looked for."""
    existing = {"reviews": 1, "reviews.enriched": 1, "other": 1, "events": 1}
    assert outputs("reviews", "{topic}.enriched", existing) == ["reviews.enriched"]
    assert outputs("reviews.enriched", "{topic}.enriched", existing) == ["reviews.enriched"]
    assert outputs("other", "{topic}.enriched", existing) == ["other"]
    assert outputs("reviews", "events", existing) == ["reviews"]
    with pytest.raises(Misconfigured, match=r"topic gone\.enriched or gone does not exist: name an input or an output"):
        outputs("gone", "{topic}.enriched", existing)


def test_all_outputs_must_exist() -> None:
    """One topic that several inputs share is read once, and one that is missing is named."""
    topics = [Topics(name, "events", f"{name}.dead", f"{name}.replay") for name in ("a", "b")]
    assert all_outputs(topics, {"events": 1}, dead=False) == ["events"]
    with pytest.raises(Misconfigured, match=r"topic b\.dead does not exist"):
        all_outputs(topics, {"a.dead": 1}, dead=True)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "Invalid JSON"),
        (b"\xff", "Invalid JSON"),
        (b"[]", "be an object"),
        (b'{"text": "x"}', "id: Field required"),
        (json.dumps(event("x") | {"key_terms": [1]}).encode(), "key_terms.0: "),
        (json.dumps(event("x") | {"text": 5}).encode(), "text: "),
        (json.dumps(event("x") | {"truncated": "no"}).encode(), "truncated: "),
    ],
)
def test_what_is_no_event_is_told_in_a_few_words(value: bytes, why: str) -> None:
    """The place that is wrong, and nothing of what stands there."""
    with pytest.raises(ValueError, match=why):
        read_event(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.sampled_from([*EVENT, "mentions"]), JSON, st.integers(), st.integers())
def test_whatever_is_taken_for_an_event_can_be_shown(part: str, value: Any, begin: int, end: int) -> None:
    """Any value in any place of an event, and spans beyond its text: it is refused, or drawn without an error."""
    changed: dict[str, Any] = json.loads(json.dumps(EVENT))
    changed["key_terms"][0] |= {"begin": begin, "end": end, "mentions": [[begin, end], [end, begin]]}
    changed |= {"truncated": True} if part == "mentions" else {part: value}
    try:
        found: EnrichedEvent = read_event(json.dumps(changed).encode())
    except ValueError:
        return
    with (console := Console(width=60)).capture():
        console.print(pretty(found))
    assert line(found)
