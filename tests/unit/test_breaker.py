"""The dead-letter breaker: when it opens, and what it says."""

import hypothesis.strategies as st
from hypothesis import given

from textstream.core.breaker import Breaker

BAD = ("not_json", "no_text")
OUTCOMES = st.lists(st.sampled_from(["", "", *BAD]), max_size=120)
"""Reasons of dead letters; empty where an event goes out."""


def batched(reasons: list[str], size: int) -> list[list[str]]:
    """As many at once."""
    return [reasons[begin : begin + size] for begin in range(0, len(reasons), size)]


@given(OUTCOMES, st.floats(0, 1), st.integers(1, 40), st.integers(0, 20), st.integers(1, 50))
def test_it_opens_exactly_where_a_plain_count_says(
    reasons: list[str], share: float, window: int, run: int, at_once: int
) -> None:
    """It lets through what comes before the first outcome at which the last `window` hold too many dead letters or the last
    `run` are all dead letters, and nothing afterwards; what it says of them is true."""

    def too_many(at: int) -> bool:
        return sum(map(bool, reasons[max(0, at + 1 - window) : at + 1])) > share * window

    def in_a_row(at: int) -> bool:
        return 0 < run <= at + 1 and all(reasons[at + 1 - run : at + 1])

    opens = next((at for at in range(len(reasons)) if reasons[at] and (too_many(at) or in_a_row(at))), len(reasons))
    breaker = Breaker(share=share, window=window, run=run)
    assert sum(breaker.lets_through(some) for some in batched(reasons, at_once)) == opens
    assert (breaker.trip is None) == (opens == len(reasons))
    if (trip := breaker.trip) is not None:
        counted = [reason for reason in reasons[opens + 1 - trip.outcomes : opens + 1] if reason]
        assert trip.dead == len(counted) == sum(trip.reasons.values())
        assert trip.reasons == {reason: counted.count(reason) for reason in set(counted)}


@given(OUTCOMES)
def test_a_share_of_1_and_a_run_of_0_switch_it_off(reasons: list[str]) -> None:
    """Everything is let through, poison alone included."""
    assert Breaker(share=1, window=10, run=0).lets_through(reasons) == len(reasons)


def test_one_bad_record_of_two_is_no_reason_to_stop() -> None:
    """The share is one of a whole window, also where fewer outcomes have been seen."""
    breaker = Breaker(share=0.5, window=10, run=0)
    assert breaker.lets_through(["", "not_json"]) == 2
    assert breaker.trip is None


def test_it_says_what_was_wrong_most() -> None:
    """The reasons stand with their counts, the most frequent first."""
    breaker = Breaker(share=1, window=10, run=3)
    assert breaker.lets_through(["", "no_text", "not_json", "not_json", "not_json"]) == 3
    assert str(breaker.trip) == "3 of the last 3 outcomes are dead letters (not_json 2, no_text 1)"


def test_what_was_taken_back_does_not_count_twice() -> None:
    """After an abort the same dead letters come again: counted once, they do not make a run of it."""
    breaker = Breaker(share=1, window=10, run=3)
    assert breaker.lets_through(["not_json", "not_json"]) == 2
    breaker.forget()
    assert breaker.lets_through(["not_json", "not_json", "not_json"]) == 2
    breaker.forget()
    assert not breaker.lets_through([""])
