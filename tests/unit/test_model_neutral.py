"""Names and genders reach the network as the same rows, so that they cannot move a score."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import numpy as np
import pytest

from textstream.model.neutral import NAME, SHARED
from textstream.model.tokens import Lexicon, Tokeniser
from textstream_export.encode import build_lexicon
from textstream_export.recipe import RECIPES

LEXICON = Lexicon((NAME, "he", "his", "is", "late", "again", "will", "told", "that", "great", "他", "很", "好"), 64, 128)
CUT = Tokeniser(LEXICON, 100)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Emily is late again", "Priya is late again"),
        ("told Oluwaseun that he is great", "told Wei that she is great"),
        ("She is late", "He is late"),
        ("told her that her is great", "told him that his is great"),
        ("他很好", "她很好"),
    ],
)
def test_names_and_genders_are_the_same_rows(one: str, other: str) -> None:
    first, second = CUT([one, other])
    assert np.array_equal(first.features, second.features)


def test_a_capitalised_word_of_the_lexicon_is_itself() -> None:
    will, emily = CUT(["Will is late", "Emily is late"])
    assert not np.array_equal(will.features, emily.features)


def test_a_name_still_tells_its_language() -> None:
    """The evidence is of the word as it is written: German nouns, all one row to the network, go on saying German."""
    german, english = CUT(["Geschwindigkeitsbegrenzung Wohnungsschlüssel Rücksichtnahme", "Emily Oluwaseun Priya"])
    assert (german.language["code"], english.language["code"]) == ("de", "en")


def test_a_gender_tells_no_language() -> None:
    """Words that share a row are known to the model alike, and so speak for English alike."""
    he, she = CUT(["he he he", "she she she"])
    assert he.language["code"] == she.language["code"] == "en"


def test_a_lexicon_without_names_keeps_every_word() -> None:
    old = Tokeniser(Lexicon(("he", "she"), 64, 128), 100)
    he, she = old(["he", "she"])
    assert not np.array_equal(he.features, she.features)


def test_shared_words_lead_to_words_that_stand_for_themselves() -> None:
    assert not set(SHARED) & set(SHARED.values())


def test_a_lexicon_leaves_out_what_is_mostly_capitalised() -> None:
    """Names have no row of their own, wherever they stand; common words that begin a sentence keep theirs."""
    texts = ["We met Emily there", "so Emily was late", "but Emily is kind", "Late again", "it was late", "she was late"]
    lexicon = build_lexicon(texts, RECIPES["swift"])
    assert lexicon.words[0] == NAME
    assert "emily" not in lexicon.words
    assert {"late", "was"} <= set(lexicon.words)
    assert "she" not in lexicon.words
