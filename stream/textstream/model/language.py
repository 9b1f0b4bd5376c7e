"""Which language a text is in, told from its tokens: by script, and among languages of Latin script by groups of letters.

A token's evidence is worked out once and remembered (see `tokens`), so a message costs one sum. English is presumed: an
English message that is taken for another language gets no answer at all, a foreign one taken for English only a poor one.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textstream.event import Language

SUPPORTED = frozenset({"en", "zh"})
SCRIPTS = ("zh", "ja", "ko", "ru", "ar", "hi", "th", "he", "el", "en")
"""The language each script stands for; the last is Latin, which `OTHERS` takes apart. Cyrillic is reported as ru."""
OTHERS = (
    "es", "fr", "de", "it", "pt", "nl", "pl", "sv", "da", "no", "fi", "cs", "hu", "ro", "tr", "id", "vi", "hr", "ca", "tl",
)  # fmt: skip
COLUMNS = len(SCRIPTS) + len(OTHERS) + 1
"""Of the evidence: words in each script, log-likelihood ratio of each other language to English, other letters."""

KNOWN = 0.8
"""Nats a word of the model's own vocabulary speaks for English, each: its words come from English messages."""
PRESUMED = 6.0
"""Nats that another language must bring against English, however short the text."""
TRUST = 0.35
"""Neighbouring letter groups share letters: their ratios are not independent, and count for this much."""
_MOST = 4.0
"""Nats one word may bring: a name must not decide alone."""

_HAN, _KANA, _LATIN = SCRIPTS.index("zh"), SCRIPTS.index("ja"), SCRIPTS.index("en")
_NAMES = {
    "CJK": 0, "HIRAGANA": 1, "KATAKANA": 1, "HANGUL": 2, "CYRILLIC": 3, "ARABIC": 4,
    "DEVANAGARI": 5, "THAI": 6, "HEBREW": 7, "GREEK": 8, "LATIN": 9,
}  # fmt: skip
_WORTH = {0: 0.6, 1: 1.0}
"""What a token counts in words: a Chinese token is a character, about 1.7 of them to a word."""


@dataclass(frozen=True, slots=True, eq=False)
class _Letters:
    """Group of 2 or 3 letters → log-likelihood ratios to English, in nats, for each of OTHERS."""

    row: dict[str, int]
    ratios: NDArray[np.float32]


@cache
def _letters() -> _Letters:
    with np.load(Path(__file__).with_name("letters.npz")) as table:
        assert tuple(table["languages"].tolist()) == OTHERS, "letters.npz is of another version"
        groups = bytes(table["groups"]).decode().split("\n")
        ratios = table["ratios"].astype(np.float32) / np.float32(table["step"])
    return _Letters({group: i for i, group in enumerate(groups)}, ratios)


def evidence(tokens: Sequence[str], known: Sequence[bool]) -> NDArray[np.float32]:
    """(tokens, COLUMNS): what each token, as `text.normal` gives it, says; `known` if the model has a row for it."""
    rows = np.zeros((len(tokens), COLUMNS), np.float32)
    latin = []
    for row, token in zip(rows, tokens, strict=True):
        first = token[:1] if token[:1].isalpha() else next((c for c in token if c.isalpha()), "")
        if not first or token[:1] == "<":
            continue
        name = unicodedata.name(first, "").split(" ")[0].split("-")[0]
        script = _NAMES.get(name, -1)
        row[script] = _WORTH.get(script, 1.0)
        if script == _LATIN:
            latin.append(token.replace("'", ""))
    if latin:
        words = np.flatnonzero(rows[:, _LATIN])
        rows[words, len(SCRIPTS) : -1] = _against_english(latin) - KNOWN * np.asarray(known)[words, None]
    return rows


def _against_english(words: Sequence[str]) -> NDArray[np.float32]:
    """(words, OTHERS): log-likelihood ratios of each word, bounded."""
    letters, rows, ends = _letters(), list[int](), list[int]()
    for word in words:
        padded = f" {word} "
        groups = [padded[i : i + 2] for i in range(len(padded) - 1)]
        groups += [padded[i : i + 3] for i in range(len(padded) - 2)]
        rows += [row for row in map(letters.row.get, groups) if row is not None]
        ends.append(len(rows))
    running = np.zeros((len(rows) + 1, len(OTHERS)))
    np.cumsum(letters.ratios.take(rows, axis=0), axis=0, out=running[1:])
    ratios = np.diff(running[ends], axis=0, prepend=0)
    return np.clip(ratios * TRUST, -_MOST, _MOST).astype(np.float32)


def decide(sums: NDArray[np.float32]) -> list[Language]:
    """The language of each text from its summed evidence, (texts, COLUMNS)."""
    scripts = np.concatenate([sums[:, : len(SCRIPTS)], sums[:, -1:]], 1)
    japanese = scripts[:, _KANA] * 4 > scripts[:, _HAN]  # kana beside Han: Japanese mixes them, Chinese only plays with it
    scripts[:, _KANA] += np.where(japanese, scripts[:, _HAN], 0)
    scripts[:, _HAN] -= np.where(japanese, scripts[:, _HAN], 0)
    total = scripts.sum(1)
    best = scripts.argmax(1)
    share = scripts.max(1) / np.maximum(total, 1e-6)
    ratios = sums[:, len(SCRIPTS) : -1] - PRESUMED  # (texts, OTHERS), against English at 0
    other = ratios.argmax(1)
    odds = np.exp(np.minimum(ratios, 50))
    english = 1 / (1 + odds.sum(1))
    foreign = odds.max(1) * english
    columns = (best.tolist(), share.tolist(), total.tolist(), other.tolist(), english.tolist(), foreign.tolist())
    return [_language(*row) for row in zip(*columns, strict=True)]


def _language(best: int, share: float, total: float, other: int, english: float, foreign: float) -> Language:
    if not total or best == len(SCRIPTS):
        return {"code": "und", "probability": 1.0, "supported": False}
    code, chance = SCRIPTS[best], share
    if best == _LATIN:
        code, chance = ("en", share * english) if english >= 0.5 else (OTHERS[other], share * foreign)
    return {"code": code, "probability": round(chance, 4), "supported": code in SUPPORTED}
