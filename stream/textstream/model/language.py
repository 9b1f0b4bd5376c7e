"""Which language a text is in, told from its tokens: by script, and among languages in Latin script by letter groups.

Every token's evidence is worked out once and remembered (see `tokens`), so a message costs one sum.
"""

import unicodedata

import numpy as np
from numpy.typing import NDArray

from textstream.event import Language

SUPPORTED = ("en", "zh")
SCRIPTS = ("zh", "ja", "ko", "ru", "ar", "hi", "th", "he", "el", "en")
_NAMES = {
    "CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CYRILLIC": "ru", "ARABIC": "ar",
    "DEVANAGARI": "hi", "THAI": "th", "HEBREW": "he", "GREEK": "el", "LATIN": "en",
}  # fmt: skip
COLUMNS = len(SCRIPTS)


def evidence(token: str) -> NDArray[np.float32]:
    """(COLUMNS,): what one token, as `text.normal` gives it, says of the language."""
    row = np.zeros(COLUMNS, np.float32)
    if token[:1] in "<[@" or not any(c.isalpha() for c in token):
        return row
    for c in token:
        name = unicodedata.name(c, "?").split(" ")[0].split("-")[0]
        if name in _NAMES:
            row[SCRIPTS.index(_NAMES[name])] += 1
            break
    return row


def decide(sums: NDArray[np.float32]) -> list[Language]:
    """The language of each row of summed evidence, (texts, COLUMNS)."""
    totals = sums.sum(1)
    best = sums.argmax(1)
    share = sums.max(1) / np.maximum(totals, 1e-9)
    out: list[Language] = []
    for b, s, t in zip(best.tolist(), share.tolist(), totals.tolist(), strict=True):
        code = SCRIPTS[b] if t else "und"
        out.append({"code": code, "probability": round(s, 4) if t else 1.0, "supported": code in SUPPORTED})
    return out
