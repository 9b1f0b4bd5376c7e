"""Word pieces: the same tokens as everywhere, read in a pretrained encoder's vocabulary."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textstream.model.pieces import FIRST, MAX_PIECES, PAD, UNKNOWN, LanguageTokeniser, PieceTokeniser, WordPieces
from textstream.model.tokens import Lexicon, Tokeniser

ENGLISH = WordPieces(
    (PAD, UNKNOWN, FIRST, "the", "room", "love", "##ly", "##s", "face", "tears", "joy", "with", "of", "http", "@", "user")
)
CHINESE = WordPieces((PAD, UNKNOWN, FIRST, "iphone", *"房间很好。王小明爸妈他她喜欢我老师李"))
ALIKE = replace(CHINESE, persons_alike=True)


def said(vocabulary: WordPieces, text: str) -> list[list[str]]:
    """The pieces of each token."""
    (tokens,) = PieceTokeniser(vocabulary, 100)([text])
    assert tokens.heads is not None
    ends = [*tokens.heads.tolist()[1:], len(tokens.features)]
    names = [vocabulary.pieces[i] for i in tokens.features[:, 0]]
    return [names[begin:end] for begin, end in zip(tokens.heads.tolist(), ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("The lovely room", [["the"], ["love", "##ly"], ["room"]]),
        ("ROOMS", [["room", "##s"]]),
        ("roomx", [[UNKNOWN]]),
        ("😂", [["face", "with", "tears", "of", "joy"]]),
        ("https://t.co/x the", [["http"], ["the"]]),
        ("@someone", [["@", "user"]]),
        ("lovély", [["love", "##ly"]]),
    ],
)
def test_a_token_is_read_as_its_longest_known_pieces(text: str, pieces: list[list[str]]) -> None:
    assert said(ENGLISH, text) == pieces


def test_traditional_characters_are_read_as_simplified_ones() -> None:
    assert said(CHINESE, "房間很好") == [["房"], ["间"], ["很"], ["好"]]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("王小明喜欢", [["王", "小", "明"], ["喜"], ["欢"]]),
        ("李娜喜欢", [["王", "小", "明"], ["喜"], ["欢"]]),
        ("她喜欢妈妈", [["他"], ["喜"], ["欢"], ["爸", "爸"]]),
        ("爸爸喜欢他", [["爸", "爸"], ["喜"], ["欢"], ["他"]]),
        ("李老师好", [["王", "小", "明"], ["老"], ["师"], ["好"]]),
        ("我妈喜欢", [["我"], ["爸"], ["喜"], ["欢"]]),
        ("妈的", [["妈"], [UNKNOWN]]),
        ("媽媽喜歡", [["爸", "爸"], ["喜"], ["欢"]]),
        ("㍿好", [[UNKNOWN] * 4, ["好"]]),
        ("房间好", [["房"], ["间"], ["好"]]),
        ("The iPhone", [[UNKNOWN], ["iphone"]]),
    ],
)
def test_persons_are_read_alike_where_the_vocabulary_says_so(text: str, pieces: list[list[str]]) -> None:
    """A Chinese name, and a word for a person, is one token, read as every other of its kind; all else is read as it was."""
    assert said(ALIKE, text) == pieces


def test_english_words_of_both_genders_are_read_alike() -> None:
    vocabulary = WordPieces((PAD, UNKNOWN, FIRST, "he", "she", "loves", "his", "her", "dad", "mom"), persons_alike=True)
    assert said(vocabulary, "He loves his dad") == [["he"], ["loves"], ["his"], ["dad"]]
    assert said(vocabulary, "She loves her mom") == said(vocabulary, "He loves his dad")


def test_else_persons_are_their_characters() -> None:
    """As in a bundle that was made before persons were alike."""
    assert said(CHINESE, "她喜欢妈妈") == [["她"], ["喜"], ["欢"], ["妈"], ["妈"]]


def test_each_language_is_read_in_its_own_vocabulary() -> None:
    tokenise = LanguageTokeniser({"en": ENGLISH, "zh": CHINESE}, 100)
    english, chinese = tokenise(["the lovely room is the room", "房间很好"])
    assert english.features[:3, 0].tolist() == [ENGLISH.pieces.index(piece) for piece in ("the", "love", "##ly")]
    assert chinese.features[:, 0].tolist() == [CHINESE.pieces.index(piece) for piece in "房间很好"]


def test_a_language_without_vocabulary_has_tokens_but_no_units() -> None:
    (tokens,) = LanguageTokeniser({"en": ENGLISH}, 100)(["Привет, как дела?"])
    assert tokens.count == 5
    assert tokens.features.shape == (0, 1)


@given(st.lists(st.text(max_size=60), max_size=5))
def test_the_tokens_are_those_of_every_other_network(texts: list[str]) -> None:
    """Whatever the text: same places, one head for each token, at least one piece each, and a bounded number."""
    for theirs, ours in zip(Tokeniser(Lexicon((), 1, 1), 100)(texts), PieceTokeniser(ENGLISH, 100)(texts), strict=True):
        assert ours.begins.tolist() == theirs.begins.tolist() and ours.ends.tolist() == theirs.ends.tolist()
        assert ours.heads is not None and len(ours.heads) == ours.count
        sizes = [b - a for a, b in zip(ours.heads.tolist(), [*ours.heads.tolist()[1:], len(ours.features)], strict=False)]
        assert all(1 <= size <= MAX_PIECES for size in sizes)
        assert (ours.features[:, 0] > 0).all()
