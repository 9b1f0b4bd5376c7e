"""Words spelt by character n-grams while training, and pairs of texts of which one answer holds."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export.data import Row
from textstream_export.network import Windows
from textstream_export.recipe import RECIPES
from textstream_export.spelling import MOST, Spelling, gram_ids, grams_of
from textstream_export.twins import chosen, distance

WORDS = ("<name>", "terrible", "terribly", "ok", "好", "antidisestablishmentarianism")
LEXICON = Lexicon(WORDS, 16, 32)
TINY = replace(RECIPES["swift"], width=24, dropout=0.0, feature_dropout=0.0, pair_dropout=0.0)


def test_a_word_is_spelt_by_its_groups_of_three_to_five_letters() -> None:
    """Borders count as letters; short words, Chinese characters and placeholders have no spelling."""
    assert grams_of("cats") == ["^ca", "cat", "ats", "ts$", "^cat", "cats", "ats$", "^cats", "cats$"]
    assert grams_of("ok") == grams_of("好") == grams_of("<name>") == []


def test_all_of_a_word_of_nine_letters_counts() -> None:
    """Of a longer one the end of its largest groups does not."""
    assert len(grams_of("wonderful")) == MOST
    assert grams_of("wonderful")[-1] == "rful$"
    assert len(grams_of("wonderfully")) == MOST


@given(st.lists(st.text(max_size=60), max_size=20))
def test_every_word_has_a_row_of_n_grams_in_range(words: list[str]) -> None:
    """Whatever the words are, ids stay within the table and row 0, which is no word, has none."""
    ids = gram_ids(words, 50)
    assert ids.shape == (len(words) + 1, MOST)
    assert ids.min() >= 0
    assert ids.max() < 50
    assert not ids[0].any()


def test_what_is_spelt_alike_is_alike() -> None:
    """Two forms of a word share most of their vector; what is no word, or has no spelling, adds nothing."""
    torch.manual_seed(1)
    spelling = Spelling(WORDS, 4096, 32)
    vectors = spelling(torch.tensor([[2, 3, 6], [0, 5, 900]])).detach()
    alike, other = (
        torch.cosine_similarity(vectors[0, 0], vectors[0, 1], 0),
        torch.cosine_similarity(vectors[0, 0], vectors[0, 2], 0),
    )
    assert alike > other + 0.2
    assert not vectors[1].any()


def test_folding_changes_no_number() -> None:
    """A folded network says what it said before, without any n-gram."""
    torch.manual_seed(1)
    encoder = Windows(TINY, LEXICON.rows, Spelling(WORDS, 64, TINY.width)).eval()
    (tokens,) = Tokeniser(LEXICON, 50)(["Terrible, terribly ok 好 unseen"])
    ids = torch.from_numpy(tokens.features.astype(np.int64))[None]
    with torch.no_grad():
        before = encoder(ids)
        encoder.fold()
        after = encoder(ids)
    assert encoder.spelling is None
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(before, after, strict=True))


def test_twins_differ_in_a_name_or_gender_and_are_drawn_by_their_seed() -> None:
    """Each even text is followed by its twin, which differs; a seed names the same pairs again."""
    rows = [Row(f"he said that number {i} was bad", "en", "a") for i in range(40)]
    rows += [Row(f"他说第{i}个不好", "zh", "a") for i in range(40)]
    tokenise = Tokeniser(LEXICON, 50)
    pairs = chosen(rows, tokenise, TINY)
    assert pairs is not None
    ids = pairs.ids(3, 16)
    assert ids.shape[0] == 32
    assert torch.equal(ids, pairs.ids(3, 16))
    assert not torch.equal(ids, pairs.ids(4, 16))
    assert (ids[::2] != ids[1::2]).flatten(1).any(1).all(), "a pair that the network cannot tell apart teaches nothing"


def test_rows_without_a_twin_give_no_pairs() -> None:
    """Texts that are too long have none."""
    assert chosen([Row("x " * 200, "en", "a")], Tokeniser(LEXICON, 50), TINY) is None


def test_the_distance_of_twins_is_that_of_their_scores() -> None:
    """0 for equal answers, 2 where one is wholly positive and the other wholly negative."""
    logits = torch.tensor([[30.0, 0, 0], [0, 0, 30.0], [1.0, 2, 3], [1.0, 2, 3]])
    assert abs(float(distance(logits)) - 1) < 1e-6
    assert float(distance(logits[2:])) == 0
