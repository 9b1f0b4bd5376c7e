"""Gold terms and a teacher's word reach the tokens that a network reads, where a Chinese person is one of them."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from textstream.event import KINDS
from textstream.model.tokens import MERGED, Lexicon, Tokeniser
from textstream_export.data import Aspect, Row
from textstream_export.encode import OUTPUTS, build_lexicon, encode, find_terms, token_targets
from textstream_export.gold import TOKENISE
from textstream_export.recipe import RECIPES
from textstream_export.soft import Soft
from textstream_export.teacher import TEACHER_TOKENS

CUT = Tokeniser(Lexicon(tuple(sorted(MERGED)), 64, 64), 50)


@pytest.mark.parametrize(
    ("terms", "spans"),
    [
        (["王小明"], [(1, 2)]),
        (["王小明的手机"], [(1, 5)]),
        (["手机", "王小明"], [(1, 2), (3, 5)]),
        (["小明"], []),  # a part of a person is no term that tokens say
    ],
)
def test_a_gold_term_is_found_where_a_person_is_one_token(terms: list[str], spans: list[tuple[int, int]]) -> None:
    (tokens,) = CUT(["买王小明的手机"])
    assert find_terms(tokens, terms) == spans


def test_a_row_whose_only_term_is_a_part_of_a_person_teaches_nothing() -> None:
    (tokens,) = CUT(["买王小明的手机"])
    assert token_targets(Row(tokens.text, "zh", "weibo_ner", terms=("小明",)), tokens) is None
    targets = token_targets(Row(tokens.text, "zh", "weibo_ner", terms=("王小明",)), tokens)
    assert targets is not None and targets[0][:, KINDS.index("entity")].tolist() == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(("read_by", "taught"), [(TOKENISE, [0, 1, 4, 5, 6]), (CUT, [0, 1, 2, 3, 4])])
def test_what_a_teacher_says_of_characters_stands_at_the_person_they_write(read_by: Tokeniser, taught: list[int]) -> None:
    """One that reads characters teaches a person by the first of them; one that reads persons teaches token by token."""
    row = Row("买王小明的手机", "zh", "u_tweets")
    (its_own,) = read_by([row.text])
    said = np.repeat(np.arange(its_own.count, dtype=np.float16)[:, None], OUTPUTS, axis=1)
    told = Soft(np.zeros(3, np.float16), said)
    encoded = encode([partial(list, [(row, told)])], CUT, replace(RECIPES["swift"], languages=("zh",)))
    assert encoded.soft_units[:, 0].tolist() == taught


def test_of_a_source_that_is_not_drawn_a_teacher_alone_tells() -> None:
    """A recipe without weights for a source learns what a teacher says of its rows, and none of their gold."""
    row = Row("bad 手机", "zh", "absa_zh", aspects=(Aspect(4, 6, "positive"),))
    label = Row("bad", "en", "tweeteval_sentiment", label="negative")
    lots = [partial(list, [(each, Soft(np.zeros(3, np.float16), np.zeros((1, OUTPUTS), np.float16)))]) for each in (row, label)]
    drawn, untold = encode(lots, CUT, RECIPES["swift"]), encode(lots, CUT, replace(RECIPES["swift"], sources={}, terms={}))
    assert (drawn.label >= 0).tolist() == [False, True] and (drawn.tags > 0).any() and (drawn.towards >= 0).any()
    assert (untold.label < 0).all() and (untold.tags < 0).all() and (untold.towards < 0).all()
    assert np.isfinite(untold.soft_sentiment).all() and (untold.weight == 1).all()


def test_teachers_read_a_text_as_far_as_swift_does() -> None:
    """Else one that says more of a text than it has tokens need not have read characters."""
    assert RECIPES["swift"].max_train_tokens == TEACHER_TOKENS


def test_a_lexicon_doubts_rare_words_that_are_capitalised() -> None:
    """Two of three times capitalised is a name where the word is rare, and none where it is common."""
    rare = ["so Greta came", "and Greta left", "I saw the greta again"]
    common = [text for n in range(20) for text in ("see the City now", "see the City then", f"In a city of {n}")]
    words = build_lexicon([*rare, *common, "so the and came left again"], replace(RECIPES["swift"], min_word_count=1)).words
    assert "greta" not in words and "city" in words


def test_chinese_words_have_rows_where_their_characters_have() -> None:
    """As many as the recipe wants, the most frequent first; none of a character that has no row."""
    texts = ["服务员没有时间"] * 3
    all_, three, none = (build_lexicon(texts, replace(RECIPES["swift"], chinese_words=most)) for most in (99, 3, 0))
    assert three.chinese == ("没有", "服务", "时间") and "服务员" in all_.chinese and none.chinese == ()
    assert three.words == none.words and set("".join(all_.chinese)) <= set(all_.words)
