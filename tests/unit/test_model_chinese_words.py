"""Chinese characters are read with the word they stand in."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ways import in_python
from textstream.model.chinese_words import LONGEST, ChineseWords
from textstream.model.neutral import NAME
from textstream.model.tokens import MERGED, Lexicon, Tokeniser

CHARS = "天气很好吃饭"
ROWS = {char: row for row, char in enumerate(CHARS, start=1)}
WORDS = st.lists(st.text(CHARS, min_size=2, max_size=LONGEST), max_size=8, unique=True)


def lexicon(*words: str) -> Lexicon:
    return Lexicon((*CHARS, "他", "men", NAME), affix_rows=8, bigram_rows=8, chinese=words)


def words_of(texts: list[str], own: Lexicon) -> list[list[str]]:
    """The word that each token is read in; nothing where it is none."""
    rows = [tokens.features[:, 2].tolist() for tokens in Tokeniser(own, 100)(texts)]
    return [[own.chinese[row - own.first_chinese] if row >= own.first_chinese else "" for row in each] for each in rows]


@given(st.lists(st.text(CHARS + "a ", max_size=12), min_size=1, max_size=4), WORDS)
def test_a_character_is_read_in_the_longest_word_that_covers_it_or_the_first_of_those(
    texts: list[str], words: list[str]
) -> None:
    """Of all places at which any word stands in its own text, none that is longer or begins further ahead is passed over."""
    texts = [text.replace("a", "，") for text in texts]
    tokens = [[ROWS.get(char, 99) for char in text] for text in texts]
    found = ChineseWords(words, 100, ROWS).standing_in(
        np.array([row for each in tokens for row in each], np.int64), np.array(list(map(len, tokens)))
    )
    expected = []
    for text in texts:
        for at in range(len(text)):
            covering = [
                (-len(word), begin, 100 + words.index(word))
                for word in words
                for begin in range(max(0, at - len(word) + 1), at + 1)
                if text.startswith(word, begin)
            ]
            expected.append(min(covering)[2] if covering else 0)
    assert found.tolist() == expected


@given(st.lists(st.text(CHARS + "王先生女士a ", max_size=12), min_size=1, max_size=4), WORDS, st.integers(1, 12))
def test_compiled_and_not_the_same_words_are_read(texts: list[str], words: list[str], most: int) -> None:
    """With persons among the characters, with words longer than any that is found, and where a text is cut off."""
    own = Lexicon((*sorted(MERGED), *CHARS, *"王先生女士"), 8, 8, ("王天", *words, "天气很好吃", "先生"))
    compiled, plain = (
        [tokens.features.tolist() for tokens in Tokeniser(own, most)(texts)],
        in_python(lambda: [tokens.features.tolist() for tokens in Tokeniser(own, most)(texts)]),
    )
    assert compiled == plain


@given(st.lists(st.text(CHARS + "a ", max_size=12), min_size=1, max_size=4), WORDS)
def test_the_tokeniser_reads_the_word_in_place_of_the_shape(texts: list[str], words: list[str]) -> None:
    """What the words say, and the shape of a character that stands in none."""
    own = lexicon(*words)
    rows = {word: row for row, word in enumerate(own.words, start=1)}
    for tokens in Tokeniser(own, 100)(texts):
        read, count = tokens.features[:, 0].astype(np.int64), np.array([tokens.count], np.int64)
        standing = ChineseWords(own.chinese, own.first_chinese, rows).standing_in(read, count)
        tails = tokens.features[:, 2]
        assert (tails[standing > 0] == standing[standing > 0]).all()
        assert ((tails[standing == 0] >= own.first_affix) & (tails[standing == 0] < own.first_bigram)).all()


def test_a_word_is_found_across_spaces_case_of_writing_and_gender_but_not_across_texts() -> None:
    """As tokens are compared by their rows: 天 氣 in traditional writing, and what differs in gender alone."""
    own = lexicon("天气", "他吃")
    assert words_of(["天 氣好", "她吃", "天", "气"], own) == [["天气", "天气", ""], ["他吃", "他吃"], [""], [""]]


def test_a_person_is_no_character_of_a_word() -> None:
    """One token on a row of its own: what its characters would say is not said."""
    own = Lexicon((*MERGED, *CHARS, *"先生"), 8, 8, ("先生", "很好"))
    assert words_of(["先生很好"], own) == [["", "很好", "很好"]]
