"""Language identification: a defined answer for everything, and English in doubt."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import pytest

from textstream.event import Language
from textstream.model.tokens import Lexicon, Tokeniser

KNOWN = [
    "the",
    "a",
    "is",
    "was",
    "i",
    "you",
    "it",
    "and",
    "to",
    "of",
    "so",
    "good",
    "bad",
    "food",
    "service",
    "was",
    "not",
    "my",
    "in",
    "on",
    "for",
    "but",
    "very",
    "like",
    "lol",
]


def language(text: str) -> Language:
    (tokens,) = Tokeniser(Lexicon(tuple(KNOWN), 64, 64), 512)([text])
    return tokens.language


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The food was good but the service was not", "en"),
        ("u r gr8 lol c u 2nite", "en"),
        ("ok", "en"),
        ("iPhone 15 Pro Max!!!", "en"),
        ("@user Costco", "en"),
        ("房间很好", "zh"),
        ("質量不錯，推薦！", "zh"),
        ("[哈哈]", "zh"),
        ("我昨天在 Starbucks 喝了一杯 latte，not bad 哦", "zh"),
        ("The 火锅 here is so good", "en"),
        ("美味しいの店", "ja"),
        ("これはとても美味しいです", "ja"),
        ("안녕하세요 반갑습니다", "ko"),
        ("Привет, как дела?", "ru"),
        ("مرحبا بالعالم", "ar"),
        ("नमस्ते दुनिया", "hi"),
        ("สวัสดีชาวโลก", "th"),
        ("שלום עולם", "he"),
        ("Καλημέρα κόσμε", "el"),
        ("La habitación era muy bonita pero el personal fue muy grosero con nosotros", "es"),
        ("Das Zimmer war sehr schön, aber das Personal war leider unfreundlich", "de"),
        ("Le service était vraiment décevant et la chambre n'était pas propre", "fr"),
        ("Il servizio era pessimo e la camera non era pulita", "it"),
        ("O atendimento foi péssimo e o quarto não estava limpo", "pt"),
    ],
)
def test_the_language_of(text: str, code: str) -> None:
    found = language(text)
    assert found["code"] == code
    assert found["supported"] == (code in ("en", "zh"))
    assert 0 < found["probability"] <= 1


@pytest.mark.parametrize(
    "text", ["", "  \n", "😀👍🏽", "https://example.com/good", "12345 67.8%", "@someone @other", "!!! ...", "\x00"]
)
def test_a_text_with_nothing_to_tell_by_is_und_and_not_supported(text: str) -> None:
    assert language(text) == {"code": "und", "probability": 1.0, "supported": False}


def test_a_script_nobody_named_is_not_supported() -> None:
    assert language("გამარჯობა მსოფლიო")["supported"] is False
