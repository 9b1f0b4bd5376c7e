"""Decoding of key-term spans, and where a text may be cut."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from collections.abc import Iterable
from itertools import product

import numpy as np
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.ways import both_ways
from textstream.model.spans import (
    EVIDENCE,
    LEVELS,
    NAMED,
    READ,
    SURE,
    UNREAD,
    Candidates,
    candidates,
    plain,
    splits_grapheme,
    trimmed,
    united,
)
from textstream.model.text import EMOJI, QUOTE

pytestmark = both_ways

O, B, I = ([9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0])  # noqa: E741 (the names of the tags)


def channels(tokens: Iterable[list[list[float]]]) -> NDArray[np.float32]:
    """(tokens, 3, 3): the tags of each token in the first channels, nothing in the others."""
    return np.array([[*own, *[O] * (3 - len(own))] for own in tokens], np.float32)


def spans(*tags: list[float], first: tuple[int, ...] = (0,)) -> list[tuple[int, int]]:
    logits = channels([tag] for tag in tags)
    starts = np.isin(np.arange(len(tags)), first)
    found = candidates(logits, starts)
    return sorted(zip(found.begin.tolist(), found.end.tolist(), strict=True))


def test_a_span_begins_at_b_and_goes_on_through_i() -> None:
    assert spans(O, B, I, I, O, B, O) == [(1, 4), (5, 6)]


def test_a_second_b_begins_a_second_span() -> None:
    assert spans(B, B, I) == [(0, 1), (1, 3)]


def test_an_i_without_b_begins_a_span_too() -> None:
    assert spans(O, I, I) == [(1, 3)]


def test_no_span_runs_from_one_text_into_the_next() -> None:
    assert spans(O, B, I, I, first=(0, 2)) == [(1, 2), (2, 4)]


def test_evidence_is_the_mean_and_the_weakest_of_a_spans_tokens() -> None:
    found = candidates(channels([[B], [[0, 0, 3.0]], [O]]), np.array([True, False, False]))
    mean, least, length, *_ = found.evidence[0].tolist()
    assert (round(mean), round(least), round(length, 2)) == (6, 3, 0.69)


def test_evidence_is_how_surely_a_span_ends_where_it_does_and_begins_a_term() -> None:
    """The log-odds of inside behind its last token, certainly none at the end of a text, and of begin against inside."""
    logits = channels([[[0, 5.0, 2.0]], [[0, 0, 4.0]], [[6.0, 0, 4.0]], [[0, 20.0, 0]]])
    found = candidates(logits, np.array([True, False, False, False]))
    assert found.evidence.shape == (len(found.begin), EVIDENCE)
    behind, begins = found.evidence[:, 5:].T
    assert list(zip(found.begin.tolist(), found.end.tolist(), strict=True)) == [(0, 2), (3, 4)]
    assert behind.tolist() == [np.float32(4 - np.logaddexp(6, 0)), -SURE]
    assert begins.tolist() == [3.0, SURE]
    other_text = candidates(logits, np.array([True, False, True, False]))
    assert other_text.evidence[0, 5] == -SURE


def test_a_weak_neighbour_is_part_of_one_candidate_and_not_of_the_other() -> None:
    """Nested spans, each once, though both levels find some of them."""
    weak = [0.0, -9.0, -1.0]
    assert LEVELS[0] < weak[2] < LEVELS[1]
    assert spans(B, I, weak, O, B) == [(0, 2), (0, 3), (4, 5)]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 10_000))
def test_candidates_are_the_runs_of_every_level_each_once(lengths: list[int], seed: int) -> None:
    """Counted token by token: a run begins at a text's first token, behind a weak one, or where begin beats inside."""
    logits = np.random.default_rng(seed).normal(0, 2, (sum(lengths), 3, 3)).astype(np.float32)
    first = np.isin(np.arange(len(logits)), np.cumsum([0, *lengths]))
    odds = np.logaddexp(logits[..., 1], logits[..., 2]) - logits[..., 0]
    expected = set()
    for channel, level in product(range(3), LEVELS):
        begin = None
        for at in range(len(logits) + 1):
            inside = at < len(logits) and odds[at, channel] > level
            if begin is not None and (not inside or first[at] or logits[at, channel, 1] > logits[at, channel, 2]):
                expected.add((channel, begin, at))
                begin = None
            if inside and begin is None:
                begin = at
    found = candidates(logits, first)
    said = list(zip(found.channel.tolist(), found.begin.tolist(), found.end.tolist(), strict=True))
    assert len(said) == len(set(said))
    assert set(said) == expected


def test_evidence_is_of_begin_and_inside_together_however_large() -> None:
    """The log-odds are those of either tag, also where an exponential alone would overflow."""
    logits = np.random.default_rng(1).normal(0, 3, (50, 3, 3)).astype(np.float32)
    logits[7] = [[0, 1e4, -1e4], [0, 1e4, 1e4], [0, -1e4, 9e3]]
    found = candidates(logits, np.ones(50, np.bool_))  # every token a text, every span a token
    expected = np.logaddexp(logits[..., 1], logits[..., 2]) - logits[..., 0]
    assert np.allclose(found.evidence[:, 0], expected[found.begin, found.channel], atol=1e-4)
    assert np.array_equal(np.argwhere((expected > min(LEVELS)).T), np.stack([found.channel, found.begin], 1))


def test_evidence_names_the_surest_aspect_and_entity_of_its_own_text() -> None:
    """Bounded to both sides, and nothing of another text."""
    two = [0.0, 2.0, -9.0]
    logits = channels([[B, two, O], [B, O, B], [B, O, two], [B, B, O]])
    found = candidates(logits, np.array([True, False, True, True]))
    phrases = found.channel == 0
    assert found.evidence[phrases, 3].round(2).tolist() == [2.0, 2.0, UNREAD, READ]
    assert found.evidence[phrases, 4].round(2).tolist() == [READ, READ, 2.0, UNREAD]


def test_channels_are_decoded_apart() -> None:
    logits = channels([[B, O], [O, B]])
    found = candidates(logits, np.array([True, False]))
    assert (found.channel.tolist(), found.begin.tolist(), found.end.tolist()) == ([0, 1], [0, 1], [1, 2])


PHRASE, ASPECT, ENTITY = 0, 1, 2


def one_span(*said: tuple[int, float]) -> tuple[int, float]:
    """Kind and salience of a span that candidates of these channels say with these saliences."""
    channel, chance = np.array([c for c, _ in said]), np.array([s for _, s in said])
    place = np.zeros(len(said), np.int64)
    (which,), (kind,), (salience,) = united(channel, place, place + 2, chance)
    assert channel[which] == kind
    return int(kind), float(salience)


def test_a_span_of_more_channels_is_a_key_term_as_likely_as_the_surest_says() -> None:
    """An aspect or entity that is sure enough gives the kind, the surer of both; else the surest candidate does."""
    assert one_span((PHRASE, 0.8), (ENTITY, 0.4)) == (ENTITY, 0.8)
    assert one_span((ENTITY, 0.4), (ASPECT, 0.5), (PHRASE, 0.8)) == (ASPECT, 0.8)
    assert one_span((PHRASE, 0.3), (ENTITY, 0.9)) == (ENTITY, 0.9)
    assert one_span((PHRASE, 0.8), (ASPECT, NAMED - 0.01)) == (PHRASE, 0.8)
    assert one_span((ASPECT, NAMED), (PHRASE, 0.8)) == (ASPECT, 0.8)
    assert one_span((ASPECT, 0.1), (ENTITY, 0.2)) == (ENTITY, 0.2)
    assert one_span((PHRASE, 0.1), (ENTITY, 0.2)) == (PHRASE, 0.2)
    assert one_span((ASPECT, 0.1)) == (ASPECT, 0.1)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(1, 3), st.floats(0, 1)), max_size=30))
def test_every_span_stands_once_whoever_says_it(said: list[tuple[int, int, int, float]]) -> None:
    """No span is lost or made up, and none is less likely than a candidate of it."""
    channel = np.array([c for c, *_ in said], np.int64)
    begin = np.array([b for _, b, *_ in said], np.int64)
    end = begin + np.array([length for _, _, length, _ in said], np.int64)
    chance = np.array([s for *_, s in said], np.float64)
    which, kind, salience = united(channel, begin, end, chance)
    best: dict[tuple[int, int], float] = {}
    for *span, value in zip(begin.tolist(), end.tolist(), chance.tolist(), strict=True):
        best[span[0], span[1]] = max(best.get((span[0], span[1]), 0.0), value)
    spans_of_which = list(zip(begin[which].tolist(), end[which].tolist(), strict=True))
    assert dict(zip(spans_of_which, salience.tolist(), strict=True)) == best
    assert len(spans_of_which) == len(best)
    assert np.array_equal(kind, channel[which])


def test_nothing_said_is_no_span() -> None:
    assert spans(O, O) == []


PARTS = st.text(
    st.sampled_from("a 中é\u0301\u200d\ufe0f👍🏽👨👩🇨🇳1\u20e3\r\n\u0e33กक\u094dषㄱ가ᄀ\u1161\u0600ﾞカ\U000e0067🏴"), max_size=12
)


@given(st.one_of(st.text(), PARTS))
@example("e\u0301")
@example("क\u094dष")
@example("क\u094d🏻ष")
@example("\u094d🏻क")
@example("क\u094dﾞक")
@example("\u0600a")
def test_a_cut_that_is_allowed_never_splits_a_grapheme(text: str) -> None:
    edges = {0, *(m.end() for m in regex.finditer(r"\X", text))}
    allowed = {at for at in range(len(text) + 1) if not splits_grapheme(text, at)}
    assert allowed <= edges


def test_cuts_in_plain_english_and_chinese_are_all_allowed() -> None:
    text = "Good food, 很好吃。Très café!"
    assert not any(splits_grapheme(text, at) for at in range(len(text) + 1))


def test_a_plain_text_may_be_cut_anywhere() -> None:
    """No character of one joins another, so its cuts are not looked at one by one."""
    every = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000 and plain(chr(code))]
    assert len(every) > 27_000
    for character in every:
        text = f"{character}a{character}中{character}"
        assert not any(splits_grapheme(text, at) for at in range(len(text) + 1)), hex(ord(character))
    assert plain("\r\n") is plain("e\u0301") is plain("👩‍👩‍👧") is plain("각") is None


@given(st.lists(st.sampled_from([0, 0, QUOTE, EMOJI]), min_size=1, max_size=12), st.data())
@example([QUOTE, 0, QUOTE, 0, QUOTE, EMOJI], None)
def test_spans_lose_the_marks_at_their_ends(marks: list[int], data: st.DataObject | None) -> None:
    """As taking them off one by one does; a span of marks alone goes, one that holds another quote within loses emoji alone."""
    size = len(marks)
    ends = st.tuples(st.integers(0, size - 1), st.integers(1, size)).filter(lambda pair: pair[0] < pair[1])
    every = [(0, size)] if data is None else data.draw(st.lists(ends, max_size=6))
    begin, end = np.array(every, np.int64).reshape(-1, 2).T
    found = Candidates(np.arange(len(every)), begin, end, np.arange(len(every), dtype=np.float32)[:, None])

    def bared(first: int, last: int, off: tuple[int, ...]) -> tuple[int, int]:
        while first < last and marks[first] in off:
            first += 1
        while first < last and marks[last - 1] in off:
            last -= 1
        return first, last

    expected = []
    for number, whole in enumerate(every):
        first, last = bared(*whole, (QUOTE, EMOJI))
        if QUOTE in marks[first:last]:
            first, last = bared(*whole, (EMOJI,))
        if first < last:
            expected.append((number, first, last, float(number)))
    bare = trimmed(found, np.array(marks, np.uint8))
    assert list(zip(bare.channel, bare.begin, bare.end, bare.evidence[:, 0], strict=True)) == expected
