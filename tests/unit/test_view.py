"""The view model: what it counts, and that nothing in it grows without end."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.events import event, term
from textstream.event import LABELS, EnrichedEvent, Label, mentions
from textstream.observe import view as limits
from textstream.observe.view import DeadLetter, Mix, ViewModel, excerpt

START = 1_795_439_102.0  # a Monday in November 2026


def sent(seconds_after_start: float) -> str:
    """An RFC 3339 timestamp, as a source has it."""
    return datetime.fromtimestamp(START + seconds_after_start, UTC).isoformat(timespec="milliseconds")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enriched", "unscored", "tombstone", "dead"]),
            st.sampled_from(LABELS),
            st.floats(-1, 3, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_totals_add_up_whatever_arrives_whenever(arrivals: list[tuple[str, Label, float]]) -> None:
    """Outcomes are the sum of their kinds, sentiments and languages the sum of the enriched, also when the clock steps back."""
    model, now = ViewModel(START), START
    for kind, label, step in arrivals:
        now += step
        if kind == "enriched":
            model.add_enriched(event("nice room", label), now)
        elif kind == "unscored":
            model.add_enriched(event("👍", None), now)
        elif kind == "tombstone":
            model.add_tombstone(now)
        else:
            model.add_dead(DeadLetter("not_json"), now)
    view = model.at(now)
    assert view.outcomes == len(arrivals)
    assert view.enriched == view.sentiment.total + view.unscored == sum(count for _, count in view.languages)
    assert view.dead == sum(count for _, count in view.dead_letters)
    assert 0 <= sum(view.history) <= len(arrivals)
    assert view.rate >= 0


def test_the_rate_is_that_of_the_last_whole_seconds() -> None:
    """A steady 40 a second reads 40, and falls to 0 once the window has passed without an arrival."""
    model = ViewModel(START)
    for i in range(400):
        model.add_tombstone(START + i / 40)
    assert model.at(START + 10).rate == 40
    assert model.at(START + 10).mean_rate == pytest.approx(40)
    assert model.at(START + 10).history == (40,) * 10
    assert model.at(START + 13).rate == 40 * 2 / limits.RATE_WINDOW_S
    assert model.at(START + 15).rate == 0
    assert len(model.at(START + 10_000).history) == limits.HISTORY_S


def test_latency_runs_from_the_sources_timestamp_to_the_arrival() -> None:
    """Percentiles are nearest ranks of 1…100 ms; a source without a timestamp or with a fast clock does no harm."""
    model = ViewModel(START)
    for i in range(1, 101):
        model.add_enriched(event("x", timestamp=sent(i)), START + i + i / 1000)
    latency = model.at(START + 101).latency
    assert latency is not None
    assert (round(latency.p50_ms), round(latency.p99_ms)) == (50, 99)

    odd = ViewModel(START)
    odd.add_enriched(event("x", timestamp=None), START)
    assert odd.at(START).latency is None
    odd.add_enriched(event("x", timestamp=sent(60)), START)
    assert odd.at(START).latency == limits.Latency(0, 0)


def test_terms_are_ranked_by_messages_and_leave_with_the_window() -> None:
    """A term counts once a message with the sentiment towards it, the most frequent first, until the window has passed."""
    model = ViewModel(START)
    text = "room, room and staff"
    both = event(text, terms=[term(text, "room", "positive", normalized="room"), term(text, "staff", "negative")])
    model.add_enriched(both, START)
    model.add_enriched(event("Room!", terms=[term("Room!", "Room", "neutral", normalized="room")]), START + 1)
    assert model.at(START + 1).terms == (
        limits.Term("room", Mix(neutral=1, positive=1)),
        limits.Term("staff", Mix(negative=1)),
    )
    assert model.at(START + limits.TERM_WINDOW_S - limits.TERM_SLICE_S - 1).terms
    assert not model.at(START + limits.TERM_WINDOW_S + limits.TERM_SLICE_S).terms


def test_a_hostile_stream_stays_within_the_limits() -> None:
    """Endless new terms, languages and reasons, and endless texts: every collection of the view stays bounded."""
    model = ViewModel(START)
    for i in range(3_000):
        text = f"t{i} " + "x" * 2_000
        model.add_enriched(event(text, terms=[term(text, f"t{i}")], language=f"l{i}"), START + i)
        model.add_dead(DeadLetter(f"reason{i}"), START + i)
    view = model.at(START + 3_000)
    assert len(view.terms) <= limits.TOP_TERMS
    assert len(view.languages) == len(view.dead_letters) == limits.MAX_NAMES + 1
    assert view.languages[0][0] == view.dead_letters[0][0] == limits.OTHER
    assert len(view.latest) == limits.LATEST_MESSAGES
    assert all(len(shown["text"]) == limits.EXCERPT_CODE_POINTS for shown in view.latest)
    assert view.enriched == view.dead == 3_000


def test_latest_messages_come_at_a_readable_pace_newest_first() -> None:
    """Of 40 messages a second two or three are shown; the first message is shown at once."""
    model = ViewModel(START)
    model.add_enriched(event("first"), START)
    assert [shown["text"] for shown in model.at(START).latest] == ["first"]
    for i in range(1, 200):
        model.add_enriched(event(f"m{i}"), START + i / 40)
    shown = [int(shown["text"].removeprefix("m")) for shown in model.at(START + 5).latest[:-1]]
    assert shown == sorted(shown, reverse=True)
    assert 9 <= len(shown) <= 5 / limits.LATEST_EVERY_S


def test_an_excerpt_keeps_only_terms_that_stand_in_it() -> None:
    """A cut text keeps the mentions before the cut, and its terms still match their offsets."""
    text = "room " + "x" * limits.EXCERPT_CODE_POINTS + " room staff"
    begin = text.rindex("room")
    repeated = term(text, "room")
    repeated["mentions"] = [(0, 4), (begin, begin + 4)]
    short: EnrichedEvent = excerpt(event(text, terms=[repeated, term(text, "staff")]))
    assert [mentions(kept) for kept in short["key_terms"]] == [[(0, 4)]]
    assert short["text"][0:4] == "room"
    whole = event("short room", terms=[term("short room", "room")])
    assert excerpt(whole) is whole
