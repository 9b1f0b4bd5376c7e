"""Which language a text is in, told from its tokens: by script, and among languages of Latin script by groups of letters.

A token's evidence is worked out once and remembered (see `tokens`), so a message costs one sum. English is presumed: an
English message that is taken for another language gets no answer at all, a foreign one taken for English only a poor one.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
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
_WORTH = np.ones(COLUMNS, np.float32)
_WORTH[_HAN] = 0.6
"""What a token counts in words: a Chinese token is a character, about 1.7 of them to a word."""
_NOTHING = -1
_CODES = (*SCRIPTS, *OTHERS, "und")
_UND = len(_CODES) - 1


@dataclass(frozen=True, slots=True, eq=False)
class _Letters:
    """Groups of 2 or 3 letters, by the numbers of their letters, and what each says."""

    number: NDArray[np.int32]
    """By code point; what is in no group has the greatest number. The last entry stands for all code points beyond."""
    row: NDArray[np.int16]
    """By `group_code`, the row of a group in `ratios`; the last row where it is none."""
    ratios: NDArray[np.float32]
    """(groups + 1, OTHERS): log-likelihood ratios to English, in nats"""

    def group_codes(
        self, first: NDArray[np.int32], second: NDArray[np.int32], third: NDArray[np.int32] | int
    ) -> NDArray[np.int32]:
        """Where a group stands in `row`; the third letter of a pair is 0."""
        letters = int(self.number[-1]) + 1
        return (first * letters + second) * letters + third


@cache
def _letters() -> _Letters:
    with np.load(Path(__file__).with_name("letters.npz")) as table:
        assert tuple(table["languages"].tolist()) == OTHERS, "letters.npz is of another version"
        groups = bytes(table["groups"]).decode().split("\n")
        ratios = table["ratios"].astype(np.float32) / np.float32(table["step"])
    alphabet = sorted(set("".join(groups)))
    number = np.full(ord(alphabet[-1]) + 2, len(alphabet) + 1, np.int32)
    number[list(map(ord, alphabet))] = np.arange(1, len(alphabet) + 1)
    row = np.full((len(alphabet) + 2) ** 3, len(groups), np.int16)
    letters = _Letters(number, row, np.concatenate([ratios, np.zeros_like(ratios[:1])]))
    found = [at for at, group in enumerate(groups) if len(group) <= 3]  # a small "İ" is two letters, which makes some longer
    first, second, third = np.array([[*(number[ord(letter)] for letter in groups[at]), 0][:3] for at in found]).T
    row[letters.group_codes(first, second, third)] = found
    return letters


def evidence(tokens: Sequence[str], known: Sequence[bool]) -> NDArray[np.float32]:
    """(tokens, COLUMNS): what each token, as `text.normal` gives it, says; `known` if the model has a row for it."""
    rows = np.zeros((len(tokens), COLUMNS), np.float32)
    scripts = np.fromiter(map(_script_of_token, tokens), np.int64, len(tokens))
    said = np.flatnonzero(scripts != _NOTHING)
    rows[said, scripts[said]] = _WORTH[scripts[said]]
    words = np.flatnonzero(scripts == _LATIN)
    if len(words):
        latin = [tokens[at].replace("'", "") for at in words.tolist()]
        rows[words, len(SCRIPTS) : -1] = _against_english(latin) - KNOWN * np.asarray(known)[words, None]
    return rows


def _script_of_token(token: str) -> int:
    """The column of the script of its first letter, or _NOTHING for one without letters and for a placeholder."""
    first = token[:1]
    if first == "<":
        return _NOTHING
    return _script(first) if first.isalpha() else next((_script(c) for c in token if c.isalpha()), _NOTHING)


@lru_cache(maxsize=65_536)
def _script(letter: str) -> int:
    name = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
    return _NAMES.get(name, COLUMNS - 1)


def _against_english(words: Sequence[str]) -> NDArray[np.float32]:
    """(words, OTHERS): log-likelihood ratios of each word, bounded."""
    letters = _letters()
    padded = " ".join([f" {word} " for word in words])  # what spans two words is in no group
    codes = np.frombuffer((padded + "  ").encode("utf-32-le", "surrogatepass"), np.uint32)
    number = letters.number.take(codes, mode="clip")
    first, second, third = number[:-2], number[1:-1], number[2:]
    pairs, triples = letters.group_codes(first, second, 0), letters.group_codes(first, second, third)
    ratios = letters.ratios.take(letters.row.take(pairs), axis=0)  # (letters, OTHERS)
    ratios += letters.ratios.take(letters.row.take(triples), axis=0)
    ends = np.cumsum([len(word) + 3 for word in words])
    sums = np.add.reduceat(ratios, np.concatenate([np.zeros(1, np.int64), ends[:-1]]), axis=0)
    return np.clip(sums * np.float32(TRUST), -_MOST, _MOST)


def decide(sums: NDArray[np.float32]) -> list[Language]:
    """The language of each text from its summed evidence, (texts, COLUMNS)."""
    scripts = np.concatenate([sums[:, : len(SCRIPTS)], sums[:, -1:]], 1)
    japanese = scripts[:, _KANA] * 4 > scripts[:, _HAN]  # kana beside Han: Japanese mixes them, Chinese only plays with it
    scripts[:, _KANA] += np.where(japanese, scripts[:, _HAN], 0)
    scripts[:, _HAN] -= np.where(japanese, scripts[:, _HAN], 0)
    total, best = scripts.sum(1), scripts.argmax(1)
    share = scripts.max(1) / np.maximum(total, 1e-6)
    ratios = sums[:, len(SCRIPTS) : -1] - PRESUMED  # (texts, OTHERS), against English at 0
    odds = np.exp(np.minimum(ratios, 50))
    english = 1 / (1 + odds.sum(1))
    foreign = odds.max(1) * english
    latin, presumed = best == _LATIN, english >= 0.5
    code = np.where(latin & ~presumed, len(SCRIPTS) + ratios.argmax(1), best)
    chance = share * np.where(latin, np.where(presumed, english, foreign), 1)
    unsaid = (total == 0) | (best == len(SCRIPTS))
    code, chance = np.where(unsaid, _UND, code), np.where(unsaid, 1, chance)
    codes, probabilities = map(_CODES.__getitem__, code.tolist()), np.round(chance.astype(np.float64), 4).tolist()
    said = zip(codes, probabilities, strict=True)
    return [{"code": code, "probability": chance, "supported": code in SUPPORTED} for code, chance in said]
