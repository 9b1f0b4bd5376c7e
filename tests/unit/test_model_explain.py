"""Which words moved a score: what leaving each of them out changes, in the very scores that were emitted."""

# ruff: noqa: D102, D103 (a test's name is the sentence it proves)

from collections.abc import Sequence

import pytest

from textstream.analysis import EncodedAnalysis, encoded
from textstream.event import Analysis, ModelInfo
from textstream.model.explain import MAX_WORDS, Word, explain
from textstream.model.scorer import Scorer
from textstream.model.tokens import Lexicon, Tokeniser, Tokens

WORTH = {"lovely": 0.5, "rude": -0.75, "好": 0.5, "不好": -1.0}


class Adds:
    """A model whose score is the worth of what a text holds; it says nothing of a text without letters."""

    info = ModelInfo(name="adds", version="1.0.0", digest="sha256:" + "0" * 64)

    def __init__(self) -> None:
        self._tokeniser = Tokeniser(Lexicon((), 1, 1), 2048)
        self.scored = 0

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        return self._tokeniser(texts)

    def analyse(self, batch: Sequence[Tokens]) -> list[EncodedAnalysis]:
        self.scored += len(batch)
        return [encoded(self._analysis(tokens.text)) for tokens in batch]

    def _analysis(self, text: str) -> Analysis:
        said = any(map(str.isalpha, text))
        score = sum(worth for word, worth in WORTH.items() if word in text)
        mood = {"label": "neutral", "score": score, "probabilities": {"negative": 0.0, "neutral": 1.0, "positive": 0.0}}
        return {
            "language": {"code": "en", "probability": 1.0, "supported": said},
            "sentiment": mood if said else None,
            "key_terms": [],
            "truncated": False,
        }  # type: ignore[typeddict-item]


def explained(model: Adds, text: str) -> list[Word]:
    (analysis,) = model.analyse(model.tokenise([text]))
    return explain(model, {"text": text, **analysis.decoded()})  # type: ignore[typeddict-item]


def moved(text: str, words: list[Word]) -> dict[str, float]:
    return {text[word.begin : word.end]: word.moved for word in words}


def test_a_word_moves_the_score_by_what_is_missing_without_it() -> None:
    text = "The room was lovely but the staff were rude"
    found = moved(text, explained(Adds(), text))
    assert found["lovely"] == pytest.approx(0.5)
    assert found["rude"] == pytest.approx(-0.75)
    assert sum(map(abs, found.values())) == pytest.approx(1.25)


def test_a_chinese_character_is_left_out_with_its_neighbours_too() -> None:
    """不好 is worth −1 and 好 +0.5: without 不 the score rises by 1, without both by 0.5 for two characters."""
    found = moved("不好吃", explained(Adds(), "不好吃"))
    assert found["不"] == pytest.approx((-1.0 - 0.25) / 2)
    assert found["好"] == pytest.approx((-0.5 - 0.25 - 0.25) / 3)


@pytest.mark.parametrize("text", ["", "12 ? 😀"])
def test_a_text_that_was_not_scored_has_no_reasons(text: str) -> None:
    assert explained(Adds(), text) == []


def test_the_only_word_of_a_text_is_its_whole_score() -> None:
    assert explained(Adds(), "lovely") == [Word(0, 6, 0.5)]


@pytest.mark.parametrize(("text", "most"), [("word " * 1000, MAX_WORDS), ("好" * 1000, 2 * MAX_WORDS - 1)])
def test_what_a_long_text_costs_is_bounded(text: str, most: int) -> None:
    model = Adds()
    words = explained(model, text)
    assert len(words) == MAX_WORDS
    assert model.scored == 1 + most  # the text itself, and each variant


@pytest.mark.parametrize(("text", "word"), [("The room was lovely", "lovely"), ("The staff were rude", "rude")])
def test_the_shipped_model_is_moved_by_the_word_that_a_reader_would_name(text: str, word: str) -> None:
    scorer = Scorer.load("swift", device="cpu")
    (event,) = scorer.score([text])
    found = moved(text, explain(scorer, event))
    assert max(found, key=lambda each: abs(found[each])) == word
