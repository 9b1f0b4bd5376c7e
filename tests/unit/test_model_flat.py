"""Texts one after the other: what a text gets does not depend on what stands in the same pass, nor on how it is padded."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto

from tests.support.ways import both_ways
from textstream.errors import Misconfigured
from textstream.model.flat import MOST_CELLS, NEAR, Feed, Offsets, cuts, feeds
from textstream.model.packing import Ids, Infer, Lengths, Logits
from textstream.model.session import Session
from textstream.model.tokens import FEATURES
from textstream_export.network import Network, Windows
from textstream_export.recipe import Recipe
from textstream_export.to_onnx import build

pytestmark = both_ways

ROWS, WORDS = 60, 40
RECIPE = Recipe(width=24, near=(-2, -1, 1, 2), windows=((-4, -2, 0, 0, 2, 4), (-1, 0, 1)))
TEXTS = st.lists(st.integers(1, 300), min_size=1, max_size=24).map(sorted)
"""Units of each text, in order of length, as `packing.score` gives them; some take a pass of their own."""


@pytest.fixture(scope="module")
def network() -> Network:
    """Small, with logits as large as a trained one's."""
    torch.manual_seed(4)
    made = Network(Windows(RECIPE, ROWS), RECIPE.width, sources=2, dropout=0.1)
    for part in made.parameters():
        torch.nn.init.normal_(part, std=0.4)
    with torch.no_grad():
        made.encoder.table.weight[0] = 0  # type: ignore[union-attr, index, operator]
    return made.eval()


@pytest.fixture(scope="module")
def infer(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Infer:
    """The service's path through the graph, rows kept in 32 bits."""
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    onnx.save(build(network, WORDS, TensorProto.FLOAT), path)
    return Session({"cpu": path}, "cpu").infer


def texts_of(lengths: list[int], seed: int) -> list[Ids]:
    rng = np.random.default_rng(seed)
    rest = (len(FEATURES) - 1) * (ROWS,)
    return [rng.integers(1, (WORDS, *rest), (length, len(FEATURES))).astype(np.int32) for length in lengths]


def alone(infer: Infer, ids: Ids) -> tuple[Logits, Logits]:
    return infer(ids, np.array([len(ids)]))


@settings(max_examples=20)
@given(TEXTS, st.integers(0, 10_000))
def test_logits_do_not_depend_on_what_stands_in_the_same_pass(infer: Infer, lengths: list[int], seed: int) -> None:
    texts = texts_of(lengths, seed)
    sentiment, units = infer(np.concatenate(texts), np.array(lengths))
    assert (len(sentiment), len(units)) == (len(texts), sum(lengths))
    for ids, mood, own in zip(texts, sentiment, np.split(units, np.cumsum(lengths)[:-1]), strict=True):
        expected = alone(infer, ids)
        assert np.allclose(mood, expected[0][0], atol=1e-4)
        assert np.allclose(own, expected[1], atol=1e-4)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=20).map(sorted), st.integers(0, 10_000))
def test_flat_says_what_the_padded_network_says(network: Network, infer: Infer, lengths: list[int], seed: int) -> None:
    """Without padding in onnxruntime, with padding and masks in PyTorch, where the weights are not rounded to 8 bits."""
    texts = texts_of(lengths, seed)
    padded = np.zeros((len(texts), max(lengths), len(FEATURES)), np.int64)
    for row, ids in zip(padded, texts, strict=True):
        row[: len(ids)] = ids
    with torch.no_grad():
        expected = [part.numpy() for part in network(torch.from_numpy(padded))]
    sentiment, units = infer(np.concatenate(texts), np.array(lengths))
    scale = max(float(np.abs(part).max()) for part in expected)
    inside = np.arange(max(lengths)) < np.array(lengths)[:, None]
    assert np.abs(sentiment - expected[0]).max() < 0.03 * scale
    assert np.abs(units - expected[1][inside]).max() < 0.03 * scale


@given(TEXTS)
def test_passes_are_bounded_and_hold_every_text_once(lengths: list[int]) -> None:
    bounds = cuts(np.array(lengths))
    assert (bounds[0], bounds[-1]) == (0, len(lengths))
    assert bounds == sorted(set(bounds))
    for first, last in pairwise(bounds):
        assert (last - first) * lengths[last - 1] <= MOST_CELLS or last - first == 1


Offset = st.lists(st.integers(-6, 6), min_size=1, max_size=6).map(tuple)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), Offset, Offset, st.data())
def test_every_place_that_is_looked_up_is_of_the_same_text(
    lengths: list[int], near: tuple[int, ...], window: tuple[int, ...], data: st.DataObject
) -> None:
    """Each group of channels reads the unit its offset names, and row 0 where the text has none there."""
    inner = data.draw(st.sets(st.integers(1, len(lengths) - 1))) if len(lengths) > 1 else set()
    bounds = [0, *sorted(inner), len(lengths)]
    texts = texts_of(lengths, 1)
    found = list(feeds(np.concatenate(texts), np.array(lengths), bounds, Offsets(near, (window,))))
    for feed, (first, last) in zip(found, pairwise(bounds), strict=True):
        check(feed, texts[first:last], near, window)


def check(feed: Feed, texts: list[Ids], near: tuple[int, ...], window: tuple[int, ...]) -> None:
    assert all(not feed[name][0] for name in (*FEATURES, "text"))
    assert feed[NEAR][0].tolist() == list(range(len(near)))
    assert feed["window0"][0].tolist() == list(range(len(window)))
    row = 1
    for number, ids in enumerate(texts):
        rows = [row + at for at in range(len(ids))]
        assert feed["rows"][number].tolist() == rows + [0] * (max(map(len, texts)) - len(ids))
        assert feed["count"][number] == len(ids)
        for at in range(len(ids)):
            assert [int(feed[name][row + at]) for name in FEATURES] == ids[at].tolist()
            assert feed["text"][row + at] == number
            words, places = padded_with(ids[:, 0].tolist(), 6), padded_with(rows, 6)
            assert feed[NEAR][row + at].tolist() == [words[at + 6 + o] * len(near) + g for g, o in enumerate(near)]
            assert feed["window0"][row + at].tolist() == [places[at + 6 + o] * len(window) + g for g, o in enumerate(window)]
        row += len(ids)
    assert all(len(feed[name]) == row for name in (*FEATURES, "text", NEAR, "window0"))


def padded_with(values: list[int], zeros: int) -> list[int]:
    return [0] * zeros + values + [0] * zeros


@given(Offset, st.lists(Offset, max_size=12).map(tuple))
def test_offsets_are_read_back_from_a_graph_as_they_were(near: tuple[int, ...], windows: tuple[tuple[int, ...], ...]) -> None:
    offsets = Offsets(near, windows)
    assert Offsets.of({"another": "x"} | offsets.as_text()) == offsets


def test_a_graph_of_another_make_is_refused(network: Network, tmp_path: Path) -> None:
    model = build(network, WORDS)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(Misconfigured, match="graph of another textstream"):
        Session({"cpu": tmp_path / "model.onnx"}, "cpu")


def test_rows_of_a_batch_are_in_its_order(infer: Infer) -> None:
    """Two texts alike, one at each end of a batch of many passes, get the same numbers."""
    lengths: Lengths = np.array([7] * 2000)
    ids: NDArray[np.int32] = np.concatenate(texts_of([7] * 2000, 3))
    ids[-7:] = ids[:7]
    sentiment, units = infer(ids, lengths)
    assert np.allclose(sentiment[0], sentiment[-1], atol=1e-4)
    assert np.allclose(units[:7], units[-7:], atol=1e-4)
    assert not np.allclose(sentiment[0], sentiment[1], atol=1e-2)
