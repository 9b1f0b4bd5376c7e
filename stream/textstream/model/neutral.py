"""Words that must not move a score: a person's name and gender share their rows with all other names and the other gender.

What a network cannot tell apart it cannot treat differently, so this holds for every text, not on the average of a test. The
price is what names do tell: that a politician is disliked is a fact about the training tweets, not about the next message.
Chinese characters are words of their own: what writes a name there, or a person of either gender, is found by `chinese_names`
and becomes one token. An encoder of word pieces, which others trained, has no row for names: it reads one of them, ANYBODY.
"""

import re
from collections.abc import Container

from textstream.model import text

NAME = "<name>"
"""The row of every capitalised word that has none of its own. Where a lexicon has it, words that are mostly capitalised
(names of people, places, brands) have no rows either."""

TITLE, MIXED = 2, 4
_PAIRS = """
he she|his her|his him|his hers|himself herself|man woman|men women|boy girl|boys girls|boyfriend girlfriend|husband wife
father mother|fathers mothers|dad mom|dad mum|dads moms|daddy mommy|son daughter|sons daughters|brother sister|brothers sisters
uncle aunt|nephew niece|grandpa grandma|grandfather grandmother|mr mrs|mr ms|sir madam|actor actress|waiter waitress
gentleman lady|gentlemen ladies|male female|hubby wifey|groom bride|lad lass|lads lasses|bro sis|guy gal|guys gals
他 她|男 女|哥 姐|弟 妹
"""
_PERSONS = """
先生 女士|先生 小姐|先生 男士|叔叔 阿姨|大叔 大婶|大爷 大妈|大哥 大姐|爸爸 妈妈|老爸 老妈|父亲 母亲|老公 老婆|丈夫 妻子
哥哥 姐姐|弟弟 妹妹|爷爷 奶奶|姥爷 姥姥|外公 外婆|儿子 女儿|岳父 岳母|舅舅 舅妈|帅哥 美女|爸 妈
"""


def _pairs(listed: str) -> dict[str, str]:
    return {b: a for pair in listed.replace("\n", "|").strip("|").split("|") for a, b in (pair.split(),)}


PERSONS: dict[str, str] = _pairs(_PERSONS)
"""The same of Chinese words that become one token; 妈 only where it is somebody's, for it is part of curses."""
assert all(len(word) == len(shared) for word, shared in PERSONS.items()), "one stands for the other, as long as it is"
SHARED: dict[str, str] = _pairs(_PAIRS)
"""A word → the word whose row it shares."""


ANYBODY = "王小明"
"""What an encoder that others trained reads for every Chinese name: a usual one, which says nothing."""
_PREFIXED = re.compile(r"\s*(?:De|Di|Du|Fitz|La|Le|Mac|Mc|Van)[A-Z][a-z]+").fullmatch
"""Names with a second capital; other words of that shape are hashtags, brands and code, which tell more."""


def shape_of(surface: str) -> int:
    """The shape of a token; McDonald and DeVries, of mixed case, are written as names are."""
    shape = text.shape(surface)
    return TITLE if shape == MIXED and _PREFIXED(surface) else shape


def neutral(token: str, shape: int, words: Container[str]) -> str:
    """The form under which a token is looked up; `token` is a folded form, `shape` its case, `words` those of the lexicon."""
    if NAME not in words:
        return token  # a lexicon of before: every word stands for itself
    shared = SHARED.get(token, token)
    if shared not in words and shape == TITLE and len(token) > 1 and token.isascii() and token.isalpha():
        return NAME
    return shared
