"""Grouping by length and windows over long texts must not show in the result."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from textstream.event import Language
from textstream.model.packing import CORE, GPU, OVERLAP, WINDOW, Passes, padded, score
from textstream.model.tokens import Tokens

Ids = NDArray[np.int32]
Logits = NDArray[np.float32]
ENGLISH: Language = {"code": "en", "probability": 1.0, "supported": True}


def tokens(ids: Sequence[int]) -> Tokens:
    features = np.repeat(np.array(ids, np.int32)[:, None], 4, axis=1)
    place = np.arange(len(ids), dtype=np.int32)
    return Tokens("x" * len(ids), features, place, place + 1, ENGLISH, False)


def pieces(*sizes: int, first: int = 1) -> Tokens:
    """A text whose tokens have these numbers of pieces; unit ids count up from `first`."""
    ids = np.arange(first, first + sum(sizes), dtype=np.int32)[:, None]
    place = np.arange(len(sizes), dtype=np.int32)
    heads = (np.cumsum(sizes) - sizes).astype(np.int32)
    return Tokens("x" * len(sizes), ids, place, place + 1, ENGLISH, False, heads)


def echo(ids: Ids) -> tuple[Logits, Logits]:
    """A network that answers with each token's id, and for a text with the mean of its ids."""
    each = ids[:, :, :1].astype(np.float32)
    mean = each.sum(1) / np.maximum((each > 0).sum(1), 1)
    return np.repeat(mean, 3, axis=1), np.repeat(each, 12, axis=2)


@pytest.mark.parametrize("length", [1, WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + OVERLAP, 3 * WINDOW - 2 * OVERLAP, 2048])
def test_each_token_of_a_long_text_gets_exactly_one_answer(length: int) -> None:
    ids = list(range(1, length + 1))
    scored = score([tokens([7]), tokens(ids), tokens([8, 9])], padded(echo))
    assert scored.starts.tolist() == [0, 1, 1 + length]
    assert scored.tokens[:, 0].tolist() == [7, *ids, 8, 9]


def test_every_token_is_answered_by_a_window_that_sees_its_neighbourhood() -> None:
    reach = 5  # tokens to each side that the network sees

    def window_ends(ids: Ids) -> tuple[Logits, Logits]:
        inside = ids[:, :, 0] > 0
        place = np.cumsum(inside, 1)
        nearest = np.minimum(place - 1, inside.sum(1, keepdims=True) - place)
        return np.zeros((len(ids), 3), np.float32), np.repeat(nearest[..., None], 12, axis=2).astype(np.float32)

    length = 1000
    nearest = score([tokens(range(1, length + 1))], padded(window_ends)).tokens[:, 0]
    inner = nearest[reach : length - reach]
    assert inner.min() >= reach


def test_texts_of_all_lengths_keep_their_order_and_their_own_mean() -> None:
    rng = np.random.default_rng(1)
    batch = [tokens(rng.integers(1, 100, size)) for size in rng.integers(1, 60, 300)]
    scored = score(batch, padded(echo))
    expected = [t.features[:, 0].mean() for t in batch]
    assert np.allclose(scored.sentiment[:, 0], expected)


@pytest.mark.parametrize("passes", [CORE, GPU])
def test_no_pass_is_larger_than_the_limit(passes: Passes) -> None:
    sizes: list[int] = []

    def watch(ids: Ids) -> tuple[Logits, Logits]:
        sizes.append(ids.shape[0] * ids.shape[1])
        return echo(ids)

    score([tokens([1] * n) for n in [3] * 5000 + [200] * 100], padded(watch, passes))
    assert max(sizes) <= passes.most_units


def test_a_token_of_several_pieces_is_answered_by_its_first() -> None:
    scored = score([pieces(2, 1, 3), pieces(1, first=50), pieces(4, 2, first=100)], padded(echo))
    assert scored.starts.tolist() == [0, 3, 4]
    assert scored.tokens[:, 0].tolist() == [1, 3, 4, 50, 100, 104]


def test_windows_are_cut_by_pieces_and_every_token_is_answered_once() -> None:
    sizes = [1 + at % 5 for at in range(400)]
    scored = score([pieces(*sizes)], padded(echo))
    assert scored.tokens[:, 0].tolist() == (1 + np.cumsum(sizes) - sizes).tolist()
