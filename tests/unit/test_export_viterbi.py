"""Decoding of key terms by dynamic programming: the best legal tags, and spans that are judged as the greedy ones are."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit import export_fixture
from tests.unit.test_export_encoders import TINY
from textstream.model.packing import padded
from textstream.model.spans import candidates
from textstream_export import cli
from textstream_export.data import read_train, split_held_out
from textstream_export.run import load, train
from textstream_export.viterbi import (
    BEGIN,
    DECODERS,
    INSIDE,
    OUTSIDE,
    Asked,
    asked,
    best_apart,
    best_path,
    span_scores,
    viterbi,
)

O, B, I = ([9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0])  # noqa: E741 (the names of the tags)
TEXTS = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def firsts(lengths: list[int]) -> NDArray[np.bool_]:
    first = np.zeros(sum(lengths), np.bool_)
    first[np.cumsum(lengths) - lengths] = True
    return first


def logits(tokens: int, seed: int, channels: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 2, (tokens, channels, 3)).astype(np.float32)


def legal(tags: tuple[int, ...]) -> bool:
    return all(tag != INSIDE or before != OUTSIDE for before, tag in zip((OUTSIDE, *tags), tags, strict=False))


@given(TEXTS, st.integers(0, 10_000))
@settings(max_examples=60)
def test_the_path_is_the_best_of_all_legal_ones(lengths: list[int], seed: int) -> None:
    """In every text and channel no legal sequence of tags has a larger sum of logits, whatever stands in the batch beside."""
    said = logits(sum(lengths), seed)
    path = best_path(said, firsts(lengths))
    stops = np.cumsum(lengths)
    for begin, end in zip(stops - lengths, stops, strict=True):
        for channel in range(3):
            own = said[begin:end, channel].astype(np.float64)
            found = tuple(path[begin:end, channel].tolist())
            assert legal(found)
            sums = {
                tags: own[np.arange(end - begin), tags].sum() for tags in product(range(3), repeat=end - begin) if legal(tags)
            }
            assert sums[found] == pytest.approx(max(sums.values()), abs=1e-4)


def test_sure_tags_give_the_spans_that_the_greedy_decoding_gives() -> None:
    said = np.array([[tag, O, O] for tag in (O, B, I, I, O, B, B, I, O, B)], np.float32)
    first = firsts([8, 2])
    for found in (viterbi(said, first), candidates(said, first)):
        assert list(zip(found.begin.tolist(), found.end.tolist(), strict=True)) == [(1, 4), (5, 6), (6, 8), (9, 10)]


@given(TEXTS, st.integers(0, 10_000))
@settings(max_examples=60)
def test_spans_stand_apart_within_their_texts_with_the_evidence_of_their_tokens(lengths: list[int], seed: int) -> None:
    said, first = logits(sum(lengths), seed), firsts(lengths)
    text = np.cumsum(first)
    found = viterbi(said, first)
    spans = list(zip(found.channel.tolist(), found.begin.tolist(), found.end.tolist(), strict=True))
    assert spans == sorted(spans)
    odds = np.logaddexp(said[..., BEGIN], said[..., INSIDE]) - said[..., OUTSIDE]
    for at, (channel, begin, end) in enumerate(spans):
        assert text[begin] == text[end - 1]
        assert at == 0 or spans[at - 1][0] != channel or spans[at - 1][2] <= begin
        own = odds[begin:end, channel]
        assert found.evidence[at, :3] == pytest.approx([own.mean(), own.min(), np.log(end - begin)], abs=1e-4)


def test_a_term_that_opens_with_an_inside_is_whole() -> None:
    """The first token becomes a begin, where that costs less than to leave it outside."""
    said = np.array([[[0, 1.0, 2.0], O, O], [[0, 0, 3.0], O, O]], np.float32)
    found = viterbi(said, firsts([2]))
    assert (found.begin.tolist(), found.end.tolist()) == ([0], [2])


def test_scores_count_right_said_and_gold_spans_over_both_halves() -> None:
    """A network that is sure and right finds every span, each half judged by what the other has fitted."""
    rng = np.random.default_rng(2)
    pattern = [O, B, I, O, [2.0, 1.9, 0.0], O]  # a term that is right, and a doubt that is wrong
    said = np.array([[tag, O, O] for tag in pattern * 60], np.float32) + rng.normal(0, 0.1, (360, 3, 3)).astype(np.float32)
    first, half = firsts([6] * 60), np.repeat(np.arange(60) % 2 == 1, 6)
    question = Asked(0, said, first, half, frozenset((6 * at + 1, 6 * at + 3) for at in range(60)))
    assert [span_scores(question, decode) for decode in (candidates, viterbi)] == [(60, 60, 60)] * 2


def test_of_spans_that_overlap_the_surest_is_kept() -> None:
    """As the service keeps them: a span that loses to a better one does not stand in the way of a third."""
    spans = [(0, 2), (1, 4), (3, 5), (6, 7)]
    assert best_apart(spans, np.array([3.0, 2.0, 1.0, 0.0])).tolist() == [True, False, True, True]


def test_decoders_are_compared_on_held_out_rows_of_each_language_and_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    data = export_fixture.write(tmp_path)
    train(data, TINY, tmp_path / "run")
    run = load(tmp_path / "run")
    _, kept = split_held_out(read_train(data))
    questions = asked(kept, run.tokenise(100), padded(run.infer))
    assert {"en aspect", "zh aspect"} <= set(questions)
    assert all(question.gold and question.first[0] for question in questions.values())
    cli.main(["decoders", "--run", str(tmp_path / "run"), "--data", str(data)])
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == list(DECODERS)
