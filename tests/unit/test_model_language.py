"""Language identification: a defined answer for everything, and English in doubt."""

# ruff: noqa: D103 (a test's name is the sentence it proves)

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textstream.event import Language
from textstream.model import language as module
from textstream.model.text import normal
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

WORDS = (
    *(
        "the",
        "Straße",
        "don't",
        "naïve",
        "привет",
        "好",
        "すし",
        "한글",
        "ﷺ",
        "ａｂｃ",
        "123",
        "x1",
        "1x",
        "http://a",
        "@me",
        "ǆ",
        "ĳ",
    ),
    *("\ud800", "e\u0301", "\u0301", "Ⅷ", "ª", "𝒳", "\U000e0041", "z" * 40, "ѣ", "ა", "ʼn", "İ", "o'o'", "[哈哈]", "L'été"),
)


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


def plain_evidence(token: str, known: bool) -> list[float]:
    """What a token says, letter group by letter group, in double precision."""
    row = [0.0] * module.COLUMNS
    letter = next((c for c in token if c.isalpha()), "")
    if not letter or token.startswith("<"):
        return row
    name = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
    script = module._NAMES.get(name, module.COLUMNS - 1)
    row[script] = 0.6 if script == 0 else 1.0
    if module.SCRIPTS[script : script + 1] == ("en",):
        padded = f" {token.replace(chr(39), '')} "
        groups = [padded[at : at + size] for size in (2, 3) for at in range(len(padded) - size + 1)]
        for column in range(len(module.OTHERS)):
            ratio = module.TRUST * sum(RATIOS[group][column] for group in groups if group in RATIOS)
            row[len(module.SCRIPTS) + column] = min(4.0, max(-4.0, ratio)) - module.KNOWN * known
    return row


def read_ratios() -> dict[str, list[float]]:
    with np.load(Path(module.__file__).with_name("letters.npz")) as table:
        groups = bytes(table["groups"]).decode().split("\n")
        return dict(zip(groups, (table["ratios"] / float(table["step"])).tolist(), strict=True))


RATIOS = read_ratios()


@given(st.lists(st.tuples(st.one_of(st.text(max_size=12), st.sampled_from(WORDS)), st.booleans()), max_size=12))
def test_evidence_is_that_of_a_loop_over_letters(said: list[tuple[str, bool]]) -> None:
    """Words worked out together say what each says alone: no group of letters reaches from one word to the next."""
    tokens, known = [normal(surface) for surface, _ in said], [known for _, known in said]
    found = module.evidence(tokens, known)
    assert found.shape == (len(said), module.COLUMNS)
    for row, token, is_known in zip(found.tolist(), tokens, known, strict=True):
        assert row == pytest.approx(plain_evidence(token, is_known), abs=1e-4)


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), min_size=1, max_size=8))
def test_a_language_does_not_depend_on_the_texts_beside_it(texts: list[str]) -> None:
    cut = Tokeniser(Lexicon(tuple(KNOWN), 64, 64), 512)
    together = [tokens.language for tokens in cut(texts)]
    assert together == [language(text) for text in texts]
