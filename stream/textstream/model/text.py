"""Text preparation: a text is cut into tokens, a token's surface is folded to the form the model knows.

Training, export and service all call these functions, and nothing else prepares text; `TEXT_VERSION` stands in every
bundle's manifest. Tokens cover the text without a gap: each begins with the white space before it, so offsets are a
running sum of lengths and the text itself is never changed.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

TEXT_VERSION = 3
"""Changes with anything that changes a token, a folded form, a hash or a feature."""

MAX_TOKEN_CHARS = 40
"""A longer word is cut into pieces: no token costs more than this, whatever the input."""

HAN_RANGES = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3134F))
"""First and last code points of Chinese characters."""
HAN = "".join(f"{chr(first)}-{chr(last)}" for first, last in HAN_RANGES)
_EMOJI = "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u2190-\u21ff"
_EMOJI_TAIL = "(?:[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\u20e3]|[\U000e0020-\U000e007f]{1,20})"
_VARIANT = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_APOSTROPHE = "['\u2019`\u00b4]"
_MARKS = "!?.,~-=*_…。！？，～、"
_RUNS = "".join(rf"|{re.escape(mark)}{{1,{MAX_TOKEN_CHARS}}}" for mark in _MARKS)

# Order matters: the first alternative that matches wins. No capturing group, so that findall gives whole tokens. Alternatives
# begin with a character or a set where they can, which `re` tries without a call; (…|) is a third of the cost of (…)?.
_TOKEN = rf"""\s*+(?:
      https?://[^\s{HAN}，。]{{1,500}}
    | www\.[^\s{HAN}，。]{{1,500}}
    | @(?:[\w-]{{1,30}}(?=[\s:：,，/]|$)|[A-Za-z0-9_]{{1,30}})
    | [0-9#*]\ufe0f?\u20e3
    | [A-Za-z][{_LATIN}0-9\u0300-\u036f]{{0,{MAX_TOKEN_CHARS}}}     # don't and the tokenised "do n't" are one token:
      (?:{_APOSTROPHE}\s?t(?![A-Za-z])|\s(?:n\s?|){_APOSTROPHE}\s?t(?![A-Za-z])|n\s?{_APOSTROPHE}\s?t(?![A-Za-z])|)
    | [{HAN}]{_VARIANT}?
    | [{_LATIN}][{_LATIN}0-9\u0300-\u036f]{{0,{MAX_TOKEN_CHARS}}}
    | \d{{1,20}}(?:[.,:/-]\d{{1,20}}){{0,5}}
    | {_APOSTROPHE}(?:s|re|ve|ll|d|m)(?![A-Za-z])
    | \[[^\W\d_]{{1,8}}\]                                           # a Weibo emoticon: [哈哈]
    | [:;=][-o'^]?(?:[)(\]\[|\\/3*@]+|[dDpPoO](?!\w))|<3|\^_{{0,3}}\^
    | [\U0001f1e6-\U0001f1ff]{{2}}
    | [{_EMOJI}]{_EMOJI_TAIL}{{0,3}}(?:\u200d[{_EMOJI}]{_EMOJI_TAIL}{{0,3}}){{0,6}}
    {_RUNS}
    | [^\W\d_{HAN}]{{1,{MAX_TOKEN_CHARS}}}                          # a run in any other script
    | \S
    ) | \s+"""
PIECE = re.compile(_TOKEN, re.VERBOSE)
cut = PIECE.findall
"""`cut(text)`: the tokens' surfaces, each with the white space before it; joined they are the text."""

RUN = re.compile(rf"[{HAN}]{{2,}}(?!{_VARIANT})|" + _TOKEN, re.VERBOSE)
"""As PIECE, but Chinese characters that follow one another are one match, of as many tokens: a third of the time for them."""

UNBROKEN = r"[\t\n -~\u3001-\u3011\u3400-\u9fff\uff01-\uff1f\u2010-\u201f…·]"
"""Characters that no reader takes for parts of others."""

# All that _native.pyx knows of characters: the kind of token that each begins, of which a later line wins. For one of kind 0,
# and where a mark that joins comes next, PIECE itself is asked.
_KINDS = (
    (1, r"\W"), (10, rf"[^\W\d_{HAN}]"), (2, r"\s"), (4, f"[{_LATIN}]"), (3, "[A-Za-z]"), (5, f"[{HAN}]"), (6, r"\d"),
    (8, f"[{_EMOJI}]"), (7, f"[{re.escape(_MARKS)}]"), (9, _APOSTROPHE), (0, "[@[:;=<^\U0001f1e6-\U0001f1ff]"),
)  # fmt: skip
_FLAGS = (
    (16, UNBROKEN), (32, rf"[^\W\d_{HAN}]"), (64, rf"[{_LATIN}0-9\u0300-\u036f]"),
    (128, "[\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\u20e3\u200d]"),
)  # fmt: skip
_TABLED = 0x20000
"""Code points from here on are of kind 0 and join."""


@cache
def kinds() -> bytes:
    """By code point: its kind and flags, which the compiled part names."""
    every = "".join(map(chr, range(_TABLED)))
    table = np.zeros(len(every), np.uint8)
    for kind, pattern in _KINDS:
        for run in re.finditer(f"{pattern}+", every):
            table[run.start() : run.end()] = kind
    for flag, pattern in _FLAGS:
        for run in re.finditer(f"{pattern}+", every):
            table[run.start() : run.end()] |= np.uint8(flag)
    return table.tobytes()


QUOTES = "《》〈〉「」『』“”„«»‹›‘’＂｢｣〝〞\"'"
"""Quotes, and marks of titles."""
QUOTE, EMOJI = 1, 2


@cache
def marks() -> NDArray[np.uint8]:
    """By code point, what a key term is not to begin or end with: a QUOTE, an EMOJI, or 0; the last is for all beyond."""
    every = "".join(map(chr, range(_TABLED)))
    table = np.zeros(_TABLED + 1, np.uint8)
    for mark, those in ((QUOTE, re.escape(QUOTES)), (EMOJI, f"{_EMOJI}\U0001f1e6-\U0001f1ff")):
        for run in re.finditer(f"[{those}]+", every):
            table[run.start() : run.end()] = mark
    return table


URL, MENTION = "<url>", "<user>"
_SPACES = re.compile(r"\s+")
_STRETCHED = re.compile(r"(.)\1{2,}", re.DOTALL)
_NUMBER = re.compile(r"\d[\d.,:/-]*")
_QUOTES = str.maketrans({"’": "'", "`": "'", "´": "'", "“": '"', "”": '"', "…": "."})
_RENAMED = {"''": '"', "-lrb-": "(", "-rrb-": ")", "<lf>": ".", "http": URL, "<user": MENTION}


@cache
def simplified() -> dict[int, str]:
    """The table that folds traditional characters to simplified ones, for `str.translate`."""
    lines = Path(__file__).with_name("traditional.txt").read_text(encoding="utf-8").splitlines()
    return {ord(line[0]): line[1] for line in lines if not line.startswith("#")}


def fold(term: str) -> str:
    """Case, width and traditional characters folded, one space between words, no leading #: when two terms are one."""
    folded = unicodedata.normalize("NFKC", term).casefold().translate(simplified())
    folded = unicodedata.normalize("NFKC", _SPACES.sub(" ", folded).strip())
    return folded.lstrip("#").lstrip() or folded


def normal(surface: str) -> str:
    """The form of a token that the lexicon and the hashes know: as `readable`, with numbers told apart by length only."""
    token = readable(surface)
    if token[:1].isdecimal() and _NUMBER.fullmatch(token):
        return "0" * min(4, sum(map(str.isdigit, token)))
    return token


def readable(surface: str) -> str:
    """A token with case, width, traditional characters, quotes and stretching folded; empty for white space."""
    token = surface.strip()
    if token.isascii() and token.isalpha() and token[:4] != "http":  # nearly every new word: there is only case to fold
        return _squeezed(token.lower(), r"\1\1")
    if token[:4] in ("http", "www.") and len(token) > 4:
        return URL
    if token[:1] == "@" and len(token) > 1:
        return MENTION
    folded = _SPACES.sub("", unicodedata.normalize("NFKC", token).casefold()).translate(simplified()).translate(_QUOTES)
    if _NUMBER.fullmatch(folded):
        return folded
    folded = _squeezed(folded, r"\1\1" if folded[:1].isalnum() else r"\1\1\1")
    return _RENAMED.get(folded, folded)


def _squeezed(token: str, run: str) -> str:
    """With `run` in place of what is written three times or more, which is seldom: to look first takes a fifth of the time."""
    return _STRETCHED.sub(run, token) if _STRETCHED.search(token) else token


def shape(surface: str) -> int:
    """0 no case, 1 lower, 2 Title, 3 UPPER, 4 mIxed: what case tells that the folded form does not."""
    token = surface.strip()
    if token.islower():
        return 1
    if token.isupper():
        return 2 if len(token) == 1 else 3
    if token.istitle():
        return 2
    return 4 if token.lower() != token else 0


def hashed(text: str) -> int:
    """A hash of `text`, 32 bits, that is the same on every machine and in every process."""
    return crc32(text.encode("utf-8", "surrogatepass"))
